"""Write `table.json` from the installed albumentations: `python -m ganzoo_albumentations.generate`.

Types and bounds come from each transform's pydantic `InitSchema`, defaults from its signature,
names of integer constants from OpenCV, and which images it takes from trying them.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
import types
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator

from ganzoo_albumentations.selection import (
    DROPPED,
    LEFT_OUT,
    LIMITS,
    NEEDED,
    NODES,
    RULES,
    SINGLE,
)
from ganzoo_albumentations.table import PATH, Node
from ganzoo_albumentations.words import DESCRIPTIONS

_CODES = {
    "interpolation": {
        "nearest": "INTER_NEAREST",
        "linear": "INTER_LINEAR",
        "cubic": "INTER_CUBIC",
        "area": "INTER_AREA",
        "lanczos4": "INTER_LANCZOS4",
        "linear_exact": "INTER_LINEAR_EXACT",
        "nearest_exact": "INTER_NEAREST_EXACT",
    },
    "border": {
        "constant": "BORDER_CONSTANT",
        "replicate": "BORDER_REPLICATE",
        "reflect": "BORDER_REFLECT",
        "wrap": "BORDER_WRAP",
        "reflect_101": "BORDER_REFLECT_101",
    },
}
# What a range's validators mean: the lowest value, and what a single number v stands for.
_RANGES: dict[str, tuple[float | None, str]] = {
    "process_non_negative_range": (0, "0 to v"),
    "convert_to_0plus_range": (0, "0 to v"),
    "convert_to_1plus_range": (1, "1 to v"),
    "create_symmetric_range": (None, "-v to v"),
}
_BOUNDS = ("min", "above", "max", "below")


def snake_case(name: str) -> str:
    """Return `rgb_shift` for `RGBShift`."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def _leaves(node: Node) -> Iterator[Node]:
    for child in [*node.get("of", ()), *node.get("keys", {}).values()]:
        yield from _leaves(child)
    if "items" in node:
        yield from _leaves(node["items"])
    if node["type"] in {"integer", "number"}:
        yield node


def _lists(node: Node) -> Iterator[Node]:
    if node["type"] == "list":
        yield node
    for child in node.get("of", ()):
        yield from _lists(child)


class Reader:
    """Turns annotations into nodes of the table.

    Args:
        codes: OpenCV's integers by name, for each set of constants.
    """

    def __init__(self, codes: dict[str, dict[str, int]]) -> None:
        self.codes = codes

    def node(self, annotation: Any, argument: str, metadata: Sequence[Any] = ()) -> Node:
        """Return the node of an annotation with its validators.

        Raises:
            TypeError: for an annotation or a validator that has no place in the table.
        """
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return self.node(arguments[0], argument, [*annotation.__metadata__, *metadata])
        if origin in {Union, types.UnionType}:
            node = self._union([self.node(option, argument) for option in arguments])
        elif origin is Literal:
            node = self._choice(arguments, argument)
        elif origin is tuple and arguments[-1] is not Ellipsis:
            items = self.node(arguments[0], argument)
            node = {"type": "list", "items": items, "size": len(arguments)}
        elif origin in {tuple, list, Sequence}:
            node = {"type": "list", "items": self.node(arguments[0], argument)}
        elif origin is dict:
            names = get_args(arguments[0]) or ("x", "y")
            keys = {str(name): self.node(arguments[1], argument) for name in names}
            node = {"type": "table", "keys": keys}
        else:
            plain = {int: "integer", float: "number", bool: "boolean", types.NoneType: "none"}
            if annotation not in plain:
                raise TypeError(f"{argument}: no node for {annotation!r}")
            node = {"type": plain[annotation]}
        for validator in metadata:
            self._constrain(node, validator, argument)
        return node

    def _union(self, options: list[Node]) -> Node:
        flat: list[Node] = []
        for option in options:
            flat += option["of"] if option["type"] == "any" else [option]
        # An integer also fits a number, so the narrower shape must be tried first.
        flat = [option for i, option in enumerate(flat) if option not in flat[:i]]
        flat.sort(key=lambda option: "number" in str(option))
        return flat[0] if len(flat) == 1 else {"type": "any", "of": flat}

    def _choice(self, values: tuple[Any, ...], argument: str) -> Node:
        names = [value for value in values if value is not None]
        node: Node = {"type": "choice", "names": names}
        if all(isinstance(value, int) for value in names):
            kind = "border" if argument == "border_mode" else "interpolation"
            by_code = {code: name for name, code in self.codes[kind].items()}
            node = {"type": "choice", "codes": kind, "names": [by_code[v] for v in sorted(names)]}
        return node if len(names) == len(values) else self._union([node, {"type": "none"}])

    def _constrain(self, node: Node, validator: Any, argument: str) -> None:
        bounds: dict[str, float] = {}
        for kind, key, side in (
            (Ge, "ge", "min"),
            (Gt, "gt", "above"),
            (Le, "le", "max"),
            (Lt, "lt", "below"),
        ):
            if isinstance(validator, kind):
                bounds[side] = getattr(validator, key)
        if isinstance(validator, AfterValidator):
            bounds = self._read_function(node, validator.func, argument)
        elif not bounds:
            raise TypeError(f"{argument}: no rule for {validator!r}")
        limit(node, bounds)

    def _read_function(self, node: Node, function: Any, argument: str) -> dict[str, float]:
        name = function.__qualname__
        if name.startswith("check_range_bounds"):
            names = function.__code__.co_freevars
            cells = [cell.cell_contents for cell in function.__closure__]
            inside = dict(zip(names, cells, strict=True))
            low = "min" if inside["min_inclusive"] else "above"
            high = "max" if inside["max_inclusive"] else "below"
            found = {low: inside["min_val"], high: inside["max_val"]}
            return {side: value for side, value in found.items() if value is not None}
        if name == "nondecreasing":
            for pair in _lists(node):
                pair["increasing"] = True
        elif name == "float2int":
            for leaf in _leaves(node):
                leaf["type"] = "integer"
        elif name in _RANGES:
            low_value, single = _RANGES[name]
            node["single"] = single
            return {} if low_value is None else {"min": low_value}
        else:
            raise TypeError(f"{argument}: no rule for {name}")
        return {}


def limit(node: Node, bounds: dict[str, float]) -> None:
    """Narrow every number within a node."""
    for leaf in _leaves(node):
        merged = {**{key: leaf.pop(key) for key in _BOUNDS if key in leaf}, **bounds}
        leaf.update({key: merged[key] for key in _BOUNDS if key in merged})


def named(node: Node, value: Any, codes: dict[str, dict[str, int]]) -> Any:
    """Return a default as a recipe writes it: names for codes, lists for tuples."""
    if isinstance(value, dict):
        return {key: named(node["keys"][key], value[key], codes) for key in sorted(value)}
    if "codes" in node:
        return next(name for name, code in codes[node["codes"]].items() if code == value)
    return list(value) if isinstance(value, tuple) else value


def argument_entry(reader: Reader, cls: Any, parameter: inspect.Parameter) -> dict[str, Any]:
    """Return an argument's row: its node, default and description."""
    name, full = parameter.name, f"{cls.__name__}.{parameter.name}"

    def look_up(source: dict[str, Any]) -> Any:
        return source.get(full, source.get(name))

    schema = cls.InitSchema.model_fields[name]
    node = json.loads(json.dumps(look_up(NODES))) if look_up(NODES) else None
    node = node or reader.node(schema.annotation, name, schema.metadata)
    limit(node, look_up(LIMITS) or {})
    single = node.pop("single", None) or look_up(SINGLE)
    nullable = parameter.default is None
    if nullable and node["type"] == "any":  # absent says it
        rest = [option for option in node["of"] if option["type"] != "none"]
        node = rest[0] if len(rest) == 1 else {"type": "any", "of": rest}
    description = look_up(DESCRIPTIONS)
    if single and node["type"] == "any":
        description += f" A single number v stands for the range {single}."
    row = {"node": node, "description": description}
    if nullable:
        row["default"] = None
    elif parameter.default is not parameter.empty:
        row["default"] = named(node, parameter.default, reader.codes)
    return row


def probe(cls: Any) -> dict[str, list[int]]:
    """Return the channel counts that a transform takes, by depth of the image.

    5 stands for more than 4. A count is taken if the transform runs and keeps the array's type;
    float32 isn't taken by what rounds it to 8 bits inside.
    """
    import numpy as np

    found: dict[str, list[int]] = {}
    arguments = {**NEEDED.get(cls.__name__, {}), "p": 1.0}
    for depth in ("uint8", "float32"):
        for channels in (1, 2, 3, 4, 5):
            rng = np.random.default_rng(0)
            image = rng.random((32, 32, channels), np.float32)
            if depth == "uint8":
                image = rng.integers(0, 256, image.shape, np.uint8)
            transform = cls(**arguments)
            transform.set_random_seed(1)
            try:
                after = transform(image=image)["image"]
            except Exception:  # noqa: BLE001, S112  # that it fails is the answer
                continue
            levels = after * np.float32(255)
            rounded = depth == "float32" and np.abs(levels - np.rint(levels)).max() < 1e-3
            if after.dtype == image.dtype and not rounded:
                found.setdefault(depth, []).append(channels)
    return found


def transforms() -> Iterator[tuple[Any, str]]:
    """Yield every concrete transform of albumentations and why it is left out ("" if it isn't)."""
    import albumentations
    from albumentations.core import transforms_interface as interface

    bases = {interface.DualTransform, interface.ImageOnlyTransform, interface.BasicTransform}
    for name in sorted(dir(albumentations)):
        cls = getattr(albumentations, name)
        if not (inspect.isclass(cls) and issubclass(cls, interface.BasicTransform)):
            continue
        if cls in bases or cls is interface.Transform3D or inspect.isabstract(cls):
            continue
        solid = issubclass(cls, interface.Transform3D) or name.endswith("3D")
        yield cls, "three-dimensional" if solid else LEFT_OUT.get(name, "")


def generate() -> str:
    """Return the text of `table.json`."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # its import would go online
    import albumentations
    import cv2

    codes = {
        kind: {name: int(getattr(cv2, constant)) for name, constant in names.items()}
        for kind, names in _CODES.items()
    }
    reader = Reader(codes)
    lines = ["{", f' "albumentations": {json.dumps(version("albumentations"))},']
    lines += [f' "codes": {json.dumps(codes)},', ' "transforms": {']
    for cls, reason in transforms():
        if reason:
            continue
        name = cls.__name__
        spatial = issubclass(cls, albumentations.DualTransform)
        head = {"class": name, "kind": "spatial" if spatial else "pixel", "takes": probe(cls)}
        head["rules"] = RULES.get(name, [])
        lines.append(f"  {json.dumps(snake_case(name))}: {json.dumps(head)[:-1]},")
        lines.append('   "arguments": {')
        for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]:
            if parameter.name in DROPPED or f"{name}.{parameter.name}" in DROPPED:
                continue
            row = json.dumps(argument_entry(reader, cls, parameter))
            lines.append(f"    {json.dumps(parameter.name)}: {row},")
        lines[-1] = lines[-1].removesuffix(",")
        lines.append("   }},")
    lines[-1] = lines[-1].removesuffix(",")
    return "\n".join([*lines, " }", "}", ""])


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some transforms call themselves deprecated
        PATH.write_text(generate())
    sys.stderr.write(f"wrote {PATH}\n")
