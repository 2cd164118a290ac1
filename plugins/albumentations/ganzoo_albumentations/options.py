"""Options of every transform, made from albumentations' own JSON schema when they are needed.

`ganzoo_albumentations.options.HorizontalFlip` is a pydantic model like any other options class.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Optional, Union

from pydantic import ConfigDict, Field, Strict, create_model, model_validator

from ganzoo.api import Options
from ganzoo_albumentations.read_schemas import schemas

_INTERPOLATIONS = "nearest linear cubic area lanczos4 linear_exact nearest_exact"
INTERPOLATIONS = {name: code for code, name in enumerate(_INTERPOLATIONS.split())}
"""The names that recipes write for OpenCV's interpolation constants."""
_BORDERS = "constant replicate reflect wrap reflect_101"
BORDERS = {name: code for code, name in enumerate(_BORDERS.split())}
"""The names that recipes write for OpenCV's border constants."""

_LEFT_OUT = {
    "mask_interpolation",  # label maps always take the nearest pixel
    *("keypoint_remapping_method", "rotate_method"),  # samples have no keypoints and no boxes
    *("mask", "mask_params"),  # a function or an array, and its parameters
    "PlasmaShadow.plasma_size",  # albumentations 2.0.8 ignores it
}
"""The arguments that a recipe can't set, as `argument` or `Class.argument`."""
_BOUNDS = {"minimum": "ge", "exclusiveMinimum": "gt", "maximum": "le", "exclusiveMaximum": "lt"}


class TransformOptions(Options):
    """Base of the options of all transforms."""

    # The schema for editors needs nearly a hundred of these classes, but none of their validators.
    model_config = ConfigDict(defer_build=True, use_attribute_docstrings=False)

    name: ClassVar[str] = ""
    """The transform's id without its namespace, such as `horizontal_flip`."""

    @classmethod
    def entry(cls) -> dict[str, Any]:
        """Return the transform's part of `schemas.json`."""
        entry: dict[str, Any] = schemas()["transforms"][cls.name]
        return entry

    @model_validator(mode="before")
    @classmethod
    def _divisor_replaces_default_size(cls, values: Any) -> Any:
        """Replace `pad_if_needed`'s default size by "none" where a divisor is given instead."""
        if cls.name == "pad_if_needed" and isinstance(values, dict):
            for side in ("height", "width"):
                if values.get(f"pad_{side}_divisor") is not None:
                    values = {f"min_{side}": "none", **values}
        return values

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of albumentations' class: codes for names, None for "none"."""
        return {name: _plain(getattr(self, name), _codes(name)) for name in _arguments(self.name)}


def _arguments(name: str) -> list[str]:
    """Return the names of the arguments that a recipe may give a transform, in their order."""
    entry = schemas()["transforms"][name]
    names = (*entry["required"], *entry["defaults"])
    return [one for one in names if not {one, f"{entry['class']}.{one}"} & _LEFT_OUT]


def _codes(argument: str) -> Mapping[str, int]:
    """Return OpenCV's constants by name if the argument is one of them, else an empty dict."""
    if argument == "border_mode":
        return BORDERS
    return INTERPOLATIONS if argument.startswith("interpolation") else {}


def _plain(value: Any, codes: Mapping[str, int]) -> Any:
    if isinstance(value, tuple):
        return tuple(_plain(item, codes) for item in value)
    if isinstance(value, dict):
        return {key: _plain(item, codes) for key, item in value.items()}
    if isinstance(value, str):
        return None if value == "none" else codes.get(value, value)
    return value


def _named(default: Any, codes: Mapping[str, int]) -> Any:
    """Return a default as a recipe writes it, with names instead of codes."""
    if isinstance(default, dict):
        return {key: _named(item, codes) for key, item in default.items()}
    return next((name for name, code in codes.items() if code == default), default)


def annotation(schema: Mapping[str, Any], codes: Mapping[str, int]) -> Any:
    """Return the type of the values that a JSON schema allows; "none" stands for null.

    Args:
        schema: an argument's part of an `InitSchema`.
        codes: integers of an `enum` by the names that a recipe writes for them.

    Raises:
        KeyError: for a type that no argument of albumentations 2.0.8 has.
    """
    bare = {key: value for key, value in schema.items() if key not in {"title", "description"}}
    return _annotation(json.dumps(bare), tuple(codes.items()))


@cache  # four of five arguments have the type of another one
def _annotation(text: str, code_items: tuple[tuple[str, int], ...]) -> Any:  # noqa: PLR0911  # one a type
    schema, codes = json.loads(text), dict(code_items)
    if "anyOf" in schema:
        # An integer is a number too, so integers have to be tried first.
        arms = sorted(schema["anyOf"], key=lambda arm: '"number"' in json.dumps(arm))
        made = tuple(annotation(arm, codes) for arm in arms)
        if len(made) == 1:
            return made[0]
        union: Any = Union[made]  # noqa: UP007  # a tuple, not a union
        return Annotated[union, Field(union_mode="left_to_right")]
    if "enum" in schema:
        values = ["none" if value is None else value for value in schema["enum"]]
        return Literal[tuple(name for name in codes if codes[name] in values) or tuple(values)]
    kind = schema["type"]
    if kind == "array":
        items = tuple(annotation(one, codes) for one in schema.get("prefixItems", ()))
        return GenericAlias(tuple, items or (annotation(schema["items"], codes), ...))
    if kind == "object":
        keys = schema.get("propertyNames", {}).get("enum")
        values = schema["additionalProperties"]
        item = Any if values is True else annotation(values, codes)
        return GenericAlias(dict, (Literal[tuple(keys)] if keys else str, item))
    if kind in {"integer", "number"}:
        bounds: dict[str, Any] = {_BOUNDS[key]: schema[key] for key in _BOUNDS if key in schema}
        plain: Any = int if kind == "integer" else float
        return Annotated[plain, Strict(), Field(**bounds)]
    return {"boolean": Annotated[bool, Strict()], "null": Literal["none"]}[kind]


def _own_fields(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that this plugin adds to albumentations' own."""
    if entry["kind"] == "pixel":
        text = "Names of the images that are changed; absent: all of them."
        named = tuple[Annotated[str, Field(min_length=1)], ...]
        kind: Any = Annotated[named, Field(min_length=1)] | None
        return {"fields": (kind, Field(default=None, description=text))}
    if "interpolation" in entry["defaults"]:
        text = 'Interpolation of single images by name, such as `{ source = "nearest" }`.'
        names = annotation(entry["schema"]["properties"]["interpolation"], INTERPOLATIONS)
        kind = GenericAlias(dict, (str, names))
        return {"interpolation_of": (kind, Field(default_factory=dict, description=text))}
    return {}


@cache
def make(name: str) -> type[TransformOptions]:
    """Return the options class of a transform, by its id without namespace.

    Raises:
        KeyError: when there is no such transform.
    """
    entry = schemas()["transforms"][name]
    pointer = f"See `python -m pydoc albumentations.{entry['class']}`."
    fields: dict[str, Any] = {}
    for argument in _arguments(name):
        schema, codes = dict(entry["schema"]["properties"][argument]), _codes(argument)
        default = _named(entry["defaults"].get(argument, ...), codes)
        help_text = schema.get("description", pointer)
        if default is None:  # a recipe leaves the argument out
            for key in {"anyOf", "enum"} & schema.keys():
                schema[key] = [one for one in schema[key] if one not in (None, {"type": "null"})]
        kind = annotation(schema, codes)
        if default is None:
            kind = Optional[kind]  # noqa: UP045  # `|` takes no Literal of pydantic's kind
        fields[argument] = (kind, Field(default=default, description=help_text))
    made = create_model(
        entry["class"],
        __base__=TransformOptions,
        __module__=__name__,
        __doc__=f"Arguments of albumentations' {entry['class']}.",
        **fields,
        **_own_fields(entry),
    )
    made.name = name
    return made


if not TYPE_CHECKING:

    def __getattr__(attribute: str) -> type[TransformOptions]:
        """Create the class on demand; pickle finds it by this name too."""
        for name, entry in schemas()["transforms"].items():
            if entry["class"] == attribute:
                return make(name)
        raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
