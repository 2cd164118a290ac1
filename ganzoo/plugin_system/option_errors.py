"""Error messages about the values of options, made from pydantic's errors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ganzoo.api import Scalar
from ganzoo.errors import ExitCode
from ganzoo.plugin_system.option_types import option_type
from ganzoo.plugin_system.suggestions import did_you_mean

Loc = tuple[str | int, ...]

_FIXED = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be an array",
    "list_type": "must be an array",
    "set_type": "must be an array",
    "frozen_set_type": "must be an array",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "none_required": "must be left out",
    "missing": "is required",
}
_LIMITS = {
    "greater_than": ("must be greater than {}", "gt"),
    "greater_than_equal": ("must be at least {}", "ge"),
    "less_than": ("must be less than {}", "lt"),
    "less_than_equal": ("must be at most {}", "le"),
    "multiple_of": ("must be a multiple of {}", "multiple_of"),
    "literal_error": ("must be {}", "expected"),
    "enum": ("must be {}", "expected"),
    "too_short": ("must have at least {} entries", "min_length"),
    "too_long": ("must have at most {} entries", "max_length"),
    "string_too_short": ("must have at least {} characters", "min_length"),
    "string_too_long": ("must have at most {} characters", "max_length"),
}


_MOST = 200
"""The largest number of errors of one table that are explained."""
UNKNOWN = "unknown option"
QUOTES = "put it in quotes"
"""The hint for a value that would be text if it stood in quotes."""


@dataclass(frozen=True)
class OptionProblem:
    """One problem of a table.

    Args:
        loc: the keys from the top of the table to the value, or to the missing or unknown key.
        message: what is wrong, as a text that follows the key: "must be at least 1".
        hint: the nearest legal name, or where to find help; may be empty.
        exit_code: `RECIPE`, or `PLUGIN` if a plugin is missing or broken.
        on_key: whether the key itself is wrong, not its value.
    """

    loc: Loc
    message: str
    hint: str = ""
    exit_code: ExitCode = ExitCode.RECIPE
    on_key: bool = False


def key_of(name: str, info: FieldInfo) -> str:
    """Return the key of a field in a recipe: its alias if it has one, else its name."""
    return info.alias or name


def explain(
    error: ValidationError, model: type[BaseModel], data: Mapping[str, Any]
) -> list[OptionProblem]:
    """Return pydantic's errors as problems whose `loc` has only keys of `data` and missing keys.

    Pydantic's locations also name the alternatives of a union. These names are removed, and the
    errors of the alternatives about the same value become one message.
    """
    found: dict[Loc, list[tuple[OptionProblem, bool]]] = {}
    for one in error.errors(include_url=False)[:_MOST]:
        loc = one["loc"]
        missing = one["type"] == "missing"
        path = _existing(data, loc[:-1] if missing else loc)
        from_union = len(path) < len(loc) - missing
        if missing:
            path = (*path, loc[-1])
        found.setdefault(path, []).append((_problem(one, path, model), from_union))
    problems: list[OptionProblem] = []
    for path, group in found.items():
        if all(arm for _, arm in group) and any(
            len(other) > len(path) and other[: len(path)] == path for other in found
        ):
            continue  # the alternative that fits the value's form has a more exact error
        problems.append(_joined([problem for problem, _ in group]))
    return problems


def _existing(data: Any, loc: Sequence[str | int]) -> Loc:
    """Return the keys of a location that exist in the data, without names of alternatives."""
    path: list[str | int] = []
    for part in loc:
        if isinstance(data, Mapping):
            there = part in data
        else:
            there = isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)
        if there:
            data = data[part]
            path.append(part)
    return tuple(path)


def _problem(one: Mapping[str, Any], path: Loc, model: type[BaseModel]) -> OptionProblem:
    kind, context = one["type"], one.get("ctx", {})
    if kind == "extra_forbidden":
        parent = model_at(model, path[:-1])
        known = [] if parent is None else [key_of(*item) for item in parent.model_fields.items()]
        hint = did_you_mean(str(path[-1]), known) or (
            f"known: {', '.join(sorted(known))}" if known else "it has no options"
        )
        return OptionProblem(path, UNKNOWN, hint, on_key=True)
    if kind in _FIXED:
        hint = QUOTES if kind == "string_type" else ""
        if kind.startswith("model_") and model_at(model, path) is Scalar:
            return OptionProblem(path, "must be a number, or a table like { from = 10, to = 1 }")
        return OptionProblem(path, _FIXED[kind], hint)
    if kind in _LIMITS:
        text, key = _LIMITS[kind]
        limit = context[key]
        expected = f"{limit:g}" if isinstance(limit, float) else str(limit)
        hint = ""
        if kind in {"literal_error", "enum"} and isinstance(one["input"], str):
            hint = did_you_mean(one["input"], re.findall("'([^']*)'", expected))
        return OptionProblem(path, text.format(expected.replace("'", '"')), hint)
    message = one["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return OptionProblem(path, message[:1].lower() + message[1:])


def _joined(problems: list[OptionProblem]) -> OptionProblem:
    """Return the problems that the alternatives of a union have with one value as one problem."""
    messages = list(dict.fromkeys(problem.message for problem in problems))
    start = "must be "
    if all(message.startswith(start) for message in messages):
        text = start + " or ".join(message.removeprefix(start) for message in messages)
    else:
        text = "; ".join(messages)
    hint = next((problem.hint for problem in problems if problem.hint), "")
    return OptionProblem(problems[0].loc, text, hint, on_key=problems[0].on_key)


def model_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """Return the model that describes the table at a location, or None."""
    here: type[BaseModel] | None = model
    for part in loc:
        if isinstance(part, int) or here is None:
            continue
        fields = {key_of(name, info): info for name, info in here.model_fields.items()}
        here = next(option_type(fields[part]).models(), None) if part in fields else None
    return here
