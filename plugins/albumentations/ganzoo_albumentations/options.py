"""Options of every transform, made from the table when first asked for.

`ganzoo_albumentations.options.HorizontalFlip` is a pydantic model like any other options class.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Optional, Union

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    Strict,
    TypeAdapter,
    WrapValidator,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from ganzoo.api import Options
from ganzoo_albumentations import table
from ganzoo_albumentations.table import Node

_BOUNDS = {"min": "ge", "above": "gt", "max": "le", "below": "lt"}


class TransformOptions(Options):
    """Base of all of them: rules between arguments, and the way back to albumentations."""

    # Nearly a hundred of these are made for a schema, which needs no validator.
    model_config = ConfigDict(defer_build=True)

    name: ClassVar[str] = ""
    """The transform's id without its namespace, such as `horizontal_flip`."""

    @classmethod
    def entry(cls) -> dict[str, Any]:
        """Return the transform's part of the table."""
        entry: dict[str, Any] = table.read()["transforms"][cls.name]
        return entry

    @model_validator(mode="before")
    @classmethod
    def _one_of_two_is_enough(cls, values: Any) -> Any:
        """Giving one of two exclusive arguments takes back the other one's default."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        for rule, *pair in cls.entry()["rules"]:
            for given, other in (pair, pair[::-1]):
                default = cls.model_fields[other].default
                wanted = values.get(given) not in (None, "none") and rule == "one"
                if wanted and other not in values and default is not None:
                    values[other] = "none"
        return values

    @model_validator(mode="after")
    def _keep_the_rules(self) -> TransformOptions:
        for rule, first, second in self.entry()["rules"]:
            pair = [getattr(self, name) for name in (first, second)]
            given = sum(value not in (None, "none") for value in pair)
            if rule == "one" and given != 1:
                raise ValueError(f"must have exactly one of {first} and {second}")
            if rule == "at_most_one" and given > 1:
                raise ValueError(f"must not have both {first} and {second}")
            if rule == "below" and not pair[0] < pair[1]:
                raise ValueError(f"must have {first} below {second}, not {pair[0]} and {pair[1]}")
            if rule == "sum_at_most_1" and sum(pair) > 1:
                raise ValueError(f"must have {first} + {second} at most 1, not {sum(pair)}")
        return self

    def arguments(self) -> dict[str, Any]:
        """Return what albumentations' class is called with: codes for names, None for "none"."""
        return {
            name: _plain(row["node"], getattr(self, name))
            for name, row in self.entry()["arguments"].items()
        }


def _plain(node: Node, value: Any) -> Any:
    if value is None or value == "none":
        return None
    kind = node["type"]
    if kind == "any":
        return _plain(next(option for option in node["of"] if table.fits(option, value)), value)
    if "codes" in node:
        return table.read()["codes"][node["codes"]][value]
    if kind == "list":
        return tuple(_plain(node["items"], item) for item in value)
    if kind == "table":
        return {key: _plain(node["keys"][key], item) for key, item in value.items()}
    return value


def _increasing(pair: tuple[Any, ...]) -> tuple[Any, ...]:
    if pair[0] > pair[1]:
        raise ValueError(f"must have its first value not above its second, {list(pair)} has")
    return pair


def _chooser(node: Node) -> Callable[[Any, Any], Any]:
    """Check a value against the one alternative that it has the shape of.

    Pydantic's own union would report every alternative's complaint.
    """

    @cache
    def adapter(index: int) -> TypeAdapter[Any]:
        return TypeAdapter(annotation(node["of"][index]))

    def choose(value: Any, handler: Any) -> Any:  # noqa: ARG001  # pydantic's signature
        for index, option in enumerate(node["of"]):
            if table.fits(option, value):
                return adapter(index).validate_python(value)
        raise PydanticCustomError("shape", "must be {what}", {"what": table.describe(node)})

    return choose


def annotation(node: Node) -> Any:
    """Return the type that pydantic checks a node's values by."""
    return _annotation(json.dumps(node))


@cache  # four of five nodes of the table are another one's like
def _annotation(text: str) -> Any:  # noqa: PLR0911  # one return a type
    node: Node = json.loads(text)
    kind = node["type"]
    if kind in {"integer", "number"}:
        bounds: dict[str, Any] = {_BOUNDS[key]: node[key] for key in _BOUNDS if key in node}
        if kind == "integer":
            return Annotated[int, Strict(), Field(**bounds)]
        return Annotated[float, Strict(), Field(allow_inf_nan=False, **bounds)]
    if kind == "boolean":
        return Annotated[bool, Strict()]
    if kind == "none":
        return Literal["none"]
    if kind == "choice":
        return Literal[tuple(node["names"])]
    if kind == "table":
        keys = {key: annotation(child) for key, child in node["keys"].items()}
        made = TypedDict("made", keys, total=False)  # type: ignore[misc]  # ty: keys are data
        made.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]
        return made
    if kind == "list":
        item, size = annotation(node["items"]), node.get("size")
        listed: Any = GenericAlias(tuple, (item, ...) if size is None else (item,) * size)
        if size is None:
            listed = Annotated[listed, Field(min_length=1)]
        return Annotated[listed, AfterValidator(_increasing)] if node.get("increasing") else listed
    options = tuple(annotation(option) for option in node["of"])
    union: Any = Union[options]  # noqa: UP007  # a tuple, not a union
    return Annotated[union, WrapValidator(_chooser(node))]


def _own_fields(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the options that are ours, not albumentations'."""
    own: dict[str, Any] = {}
    if entry["kind"] == "pixel":
        text = "Names of the images that are changed; absent: all of them."
        named = tuple[Annotated[str, Field(min_length=1)], ...]
        own["fields"] = (
            Annotated[named, Field(min_length=1)] | None,
            Field(default=None, description=text),
        )
    elif "interpolation" in entry["arguments"]:
        text = 'Interpolation of single images by name, such as `{ source = "nearest" }`.'
        names = annotation(entry["arguments"]["interpolation"]["node"])
        own["interpolation_of"] = (
            GenericAlias(dict, (str, names)),
            Field(default_factory=dict, description=text),
        )
    return own


@cache
def make(name: str) -> type[TransformOptions]:
    """Return the options class of a transform, by its id without namespace.

    Raises:
        KeyError: if there is no such transform.
    """
    entry = table.read()["transforms"][name]
    fields: dict[str, Any] = {}
    for argument, row in entry["arguments"].items():
        kind = annotation(row["node"])
        default = row.get("default", ...)
        if default is None:
            kind = Optional[kind]  # noqa: UP045  # `|` takes no Literal of pydantic's kind
        fields[argument] = (kind, Field(default=default, description=row["description"]))
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
        """Make the class on demand; it also pickles by this name."""
        name = table.ids_by_class().get(attribute)
        if name is None:
            raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
        return make(name)
