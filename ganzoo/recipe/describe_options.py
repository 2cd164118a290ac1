"""Descriptions of options (key, type, limits, default) for `ganzoo show` and the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typing_extensions import is_typeddict  # knows its own TypedDict and that of typing

from ganzoo.api import Chosen, Scalar
from ganzoo.plugin_system.option_errors import key_of
from ganzoo.plugin_system.option_types import OptionType, option_type

_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Any: "any value",
    Scalar: "number or { from, to, begin, until, shape }",
}
_LIMITS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "multiple_of": "multiple of"}


@dataclass(frozen=True)
class OptionHelp:
    """The description of one key of a component's table.

    Args:
        key: the key; it has dots if it stands in an inner table.
        type: the type, in words.
        default: as a recipe would write it; None if the key is required or absent by default.
        required: whether the key must be given.
        limits: the limits, such as `>= 0, < 1`.
        help: what the option does.
    """

    key: str
    type: str
    default: Any
    required: bool
    limits: str
    help: str


def describe(model: type[BaseModel], prefix: str = "") -> Iterator[OptionHelp]:
    """Yield a description of every option of a model; an inner table yields its own options.

    Args:
        model: the options.
        prefix: what precedes each key, such as `schedule.`.
    """
    for name, info in model.model_fields.items():
        key, written = prefix + key_of(name, info), option_type(info)
        if written.form == "table" and written.type not in _WORDS:
            yield from describe(written.type, f"{key}.")
            continue
        yield OptionHelp(
            key=key,
            type=type_in_words(written),
            default=default_of(info),
            required=info.is_required(),
            limits=_limits(written),
            help=" ".join((info.description or "").split()),
        )


def type_in_words(written: OptionType) -> str:  # noqa: PLR0911  # one return for each form
    """Return a type in words, with the limits of its parts but without its own."""
    if written.ref is not None:
        return f"{written.ref.kind}: id or table"
    if written.form == "choice":
        literals = [_literal(value) for value in get_args(written.type)]
        return " or ".join(filter(None, (", ".join(literals[:-1]), literals[-1])))
    each = [_with_limits(part) for part in written.parts]
    if written.form == "union":
        return " or ".join(each)
    if written.form == "list":
        return f"array of {each[0]}"
    if written.form == "tuple":
        return f"array of {len(each)}: {', '.join(each[:1] if len({*each}) == 1 else each)}"
    if written.type in _WORDS:
        return _WORDS[written.type]
    if is_typeddict(written.type):
        return f"{{ {', '.join(written.type.__annotations__)} }}"
    if written.form == "table" or get_origin(written.type) is not None:
        return "table"
    return str(getattr(written.type, "__name__", written.type)).lower()


def _with_limits(written: OptionType) -> str:
    words, limits = type_in_words(written), _limits(written)
    return f"{words} ({limits})" if limits else words


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def default_of(info: FieldInfo) -> Any:
    """Return an option's default as a recipe would write it.

    It is None if the option is required, or absent by default.
    """
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


def _limits(written: OptionType) -> str:
    found = []
    for one in written.metadata:
        for name, sign in _LIMITS.items():
            limit = getattr(one, name, None)
            if limit is not None:
                found.append(f"{sign} {limit:g}" if isinstance(limit, float) else f"{sign} {limit}")
    return ", ".join(found)
