"""Options in words: keys, types, limits and defaults, for `ganzoo show` and the documentation."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typing_extensions import is_typeddict  # of typing's TypedDict and its own

from ganzoo.api import Chosen, Ref, Scalar
from ganzoo.plugin_system.option_errors import key_of

_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Scalar: "number or { from, to, until, shape }",
}
_LIMITS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "multiple_of": "multiple of"}


@dataclass(frozen=True)
class OptionHelp:
    """One key of a component's table.

    Args:
        key: dotted where it stands in an inner table.
        type: in words.
        default: as a recipe would write it; None where the key is required or absent by default.
        required: whether it must be given.
        limits: such as `>= 0, < 1`.
        help: what it does.
    """

    key: str
    type: str
    default: Any
    required: bool
    limits: str
    help: str


def describe(model: type[BaseModel], prefix: str = "") -> Iterator[OptionHelp]:
    """Every option of a model, inner tables' options after them."""
    for name, info in model.model_fields.items():
        key = prefix + key_of(name, info)
        inner: Any = info.annotation
        names_component = any(isinstance(one, Ref) for one in info.metadata)
        if _is_model(inner) and inner not in _WORDS and not names_component:
            yield from describe(inner, f"{key}.")
            continue
        yield OptionHelp(
            key=key,
            type=type_in_words(inner, info.metadata),
            default=default_of(info),
            required=info.is_required(),
            limits=_limits(info.metadata),
            help=" ".join((info.description or "").split()),
        )


def type_in_words(annotation: Any, metadata: Sequence[Any] = ()) -> str:  # noqa: PLR0911  # a case a line
    """What may be written for a type."""
    ref = next((one for one in metadata if isinstance(one, Ref)), None)
    if ref is not None:
        return f"{ref.kind}: id or table"
    if annotation in _WORDS:
        return _WORDS[annotation]
    origin, arms = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        limits = _limits(arms[1:])
        words = type_in_words(arms[0], arms[1:])
        return f"{words} ({limits})" if limits else words
    if origin is Literal:
        literals = [_literal(value) for value in arms]
        return " or ".join(filter(None, (", ".join(literals[:-1]), literals[-1])))
    if origin in {Union, types.UnionType}:
        return " or ".join(type_in_words(arm) for arm in arms if arm is not type(None))
    if origin in {list, tuple}:
        if arms and arms[-1] is not ... and origin is tuple:
            each = [type_in_words(arm) for arm in arms]
            return f"array of {len(arms)}: {', '.join(each[:1] if len({*each}) == 1 else each)}"
        return f"array of {type_in_words(arms[0])}"
    if annotation is Any:
        return "any value"
    if is_typeddict(annotation):
        return f"{{ {', '.join(annotation.__annotations__)} }}"
    if origin is not None or _is_model(annotation):
        return "table"
    return str(getattr(annotation, "__name__", annotation)).lower()


def _is_model(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def default_of(info: FieldInfo) -> Any:
    """An option's default as a recipe would write it; None: required, or absent by default."""
    required = info.is_required()
    return _plain(
        None if required else info.get_default(call_default_factory=True, validated_data={})
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Chosen):
        return value.as_table()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else str(value)


def flat(metadata: Iterable[Any]) -> list[Any]:
    """Metadata with those that stand inside a `Field(...)`."""
    return [
        inner
        for one in metadata
        for inner in (one.metadata if isinstance(one, FieldInfo) else [one])
    ]


def _limits(metadata: Iterable[Any]) -> str:
    found = []
    for one in flat(metadata):
        for name, sign in _LIMITS.items():
            limit = getattr(one, name, None)
            if limit is not None:
                found.append(f"{sign} {limit:g}" if isinstance(limit, float) else f"{sign} {limit}")
    return ", ".join(found)
