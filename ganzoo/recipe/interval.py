"""Intervals in recipes: how they are written, such as `1000 steps`, and what they mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, WithJsonSchema

Unit = Literal["steps", "images", "epochs", "minutes"]
_EVERY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(step|image|epoch|minute)s?\s*")
_LONGEST = 10**12
"""The number of steps, images, epochs or minutes that no run reaches."""
# The same rules for editors, as a pattern: a positive number, and a whole one except for minutes.
_WHOLE = r"0*[1-9][0-9]{0,11}(\.0+)?"
_PART = r"(0*[1-9][0-9]{0,11}(\.[0-9]+)?|0+\.[0-9]*[1-9][0-9]*)"
_PATTERN = rf"^\s*(never|{_WHOLE}\s*(step|image|epoch)s?|{_PART}\s*minutes?)\s*$"


@dataclass(frozen=True)
class Interval:
    """A period of `count` units; a count of steps, images or epochs is a whole number."""

    count: float
    unit: Unit


def parse_every(text: str) -> Interval | None:
    """Parse `"1000 steps"`, `"5 epochs"`, `"20000 images"` or `"10 minutes"`; `"never"` is None.

    Raises:
        ValueError: the text has none of these forms.
    """
    if text.strip() == "never":
        return None
    match = _EVERY.fullmatch(text)
    if match is None:
        message = 'must be like "1000 steps", "5 epochs", "20000 images", "10 minutes" or "never"'
        raise ValueError(message)
    count, unit = float(match[1]), match[2] + "s"
    if count >= _LONGEST:
        message = f"must be less than {_LONGEST:,} {unit}"
        raise ValueError(message)
    if count <= 0 or (unit != "minutes" and count != int(count)):
        message = f'"{text}" must be a positive {"number" if unit == "minutes" else "whole number"}'
        raise ValueError(message)
    return Interval(count, unit)  # type: ignore[arg-type]


def _check_every(text: str) -> str:
    parse_every(text)
    return text


Every = Annotated[
    str,
    AfterValidator(_check_every),
    WithJsonSchema({"type": "string", "pattern": _PATTERN}),
]


def parse_begin(text: str) -> Interval | None:
    """Parse `"5 epochs"`, `"1000 steps"` or `"20000 images"`; a count of 0 is None: at once.

    Raises:
        ValueError: the text has none of these forms.
    """
    match = _EVERY.fullmatch(text)
    if match is None or match[2] == "minute":
        message = 'must be like "5 epochs", "1000 steps" or "20000 images"'
        raise ValueError(message)
    return parse_every(text) if float(match[1]) else None


def _check_begin(text: str) -> str:
    parse_begin(text)
    return text


Begin = Annotated[
    str,
    AfterValidator(_check_begin),
    WithJsonSchema(
        {"type": "string", "pattern": rf"^\s*({_WHOLE}|0+(\.0+)?)\s*(step|image|epoch)s?\s*$"}
    ),
]
