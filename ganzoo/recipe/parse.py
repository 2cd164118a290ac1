"""A parser of TOML that returns plain data and the place of each value.

Texts above certain limits are refused, since they would take too long.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from ganzoo.recipe.merge import Source
from ganzoo.recipe.problems import Problem
from ganzoo.recipe.toml_positions import Keys, Span, locate

MOST_BYTES = 250_000
"""The length in bytes of the longest recipe that is read. The longest shipped recipe has 4,000."""
MOST_PARTS = 20_000
"""The largest number of keys and values in one text. More than these would take minutes and
gigabytes, and no recipe has them."""
DEEPEST = 32
"""The largest number of tables and arrays inside each other, and of parts of a dotted key."""

_INTEGERS = range(-(2**63), 2**63)
"""The integers that every TOML parser reads. Longer ones can't be written to JSON or shown
everywhere."""
_TOKEN = re.compile(
    r"""(?P<text>\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')|"""
    r"""(?P<space>[ \t]+|\#[^\n]*)|(?P<word>[A-Za-z0-9_+-]+)|(?P<open>[\[{])|(?P<close>[\]}])|"""
    r"""(?P<dot>\.)|(?P<other>.)""",
    re.DOTALL,
)
_LONG_NUMBER = re.compile(r"[+-]?[0-9][0-9_]{400,}")
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class NotReadError(Exception):
    """A text isn't valid TOML, or exceeds a limit.

    Args:
        message: what is wrong.
        offset: the position of the error in the text.
        hint: what the user can do; may be empty.
        syntax: whether the text isn't valid TOML.
    """

    def __init__(self, message: str, offset: int, hint: str = "", *, syntax: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint
        self.syntax = syntax

    def problem(self, source: Source, shift: int = 0) -> Problem:
        """Return the error as a problem of `source`, in whose text the offset is `shift` larger."""
        before = source.text[: max(0, self.offset + shift)]
        line = before.count("\n") + 1
        return Problem(
            file=source.name,
            line=line,
            column=len(before) - before.rfind("\n"),
            key="not valid TOML" if self.syntax else "too large for a recipe",
            message=self.message,
            hint=self.hint,
            source_line=source.line(line) or " ",
            rank=source.rank,
        )


def parse(text: str, *, places: bool = True) -> tuple[dict[str, Any], dict[Keys, Span]]:
    """Return a TOML text as plain data, and the place of each of its values.

    Args:
        text: the text, with line ends normalised to a line feed.
        places: whether to find the places. Without them it takes half of the time.

    Raises:
        NotReadError: the text isn't valid TOML, or exceeds a limit.
    """
    _look_over(text)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(error, text) from error
    if fault := _too_large(data):
        path, message = fault
        span = locate(text).get(path)
        raise NotReadError(message, 0 if span is None else span.start)
    return data, locate(text) if places else {}


def _look_over(text: str) -> None:
    """Refuse a text that `tomllib` needs very long for, or that exceeds Python's recursion limit.

    Raises:
        NotReadError: the text has too many parts, too deep a nesting or too long a number.
    """
    depth = dots = parts = 0
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "space":
            continue
        if kind in {"word", "text", "open"} and not dots:
            parts += 1
            if parts > MOST_PARTS:
                message = f"more than {MOST_PARTS:,} keys and values"
                raise NotReadError(message, token.start())
        if kind == "word" and _LONG_NUMBER.fullmatch(token[0]):
            message = f"a number of {len(token[0]):,} digits; whole numbers have 64 bits at most"
            raise NotReadError(message, token.start())
        if kind == "dot":
            dots += 1
        elif kind not in {"word", "text"}:
            dots = 0
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth = max(0, depth - 1)
        if depth > DEEPEST or dots >= DEEPEST:
            raise NotReadError(_TOO_DEEP, token.start())


_TOO_DEEP = f"more than {DEEPEST} tables or arrays nested in each other"


def _too_large(data: dict[str, Any]) -> tuple[Keys, str] | None:
    """Return the path of a value nested too deeply, or of too large a number, and what is wrong.

    Only the parsed data show the full depth, since headers and dotted keys add up.
    """
    waiting: list[tuple[Keys, Any]] = [((), data)]
    while waiting:
        path, value = waiting.pop()
        if len(path) > DEEPEST:
            return path, _TOO_DEEP
        if isinstance(value, int) and value not in _INTEGERS:
            return path, "whole numbers have 64 bits at most"
        if isinstance(value, dict):
            waiting += [((*path, key), item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, index), item) for index, item in enumerate(value)]
    return None


def _not_toml(error: tomllib.TOMLDecodeError, text: str) -> NotReadError:
    message, offset = str(error), len(text)
    if place := _PLACE.search(message):
        message = message[: place.start()]
        if place[1]:
            lines = text.split("\n")
            before = sum(len(line) + 1 for line in lines[: int(place[1]) - 1])
            offset = before + int(place[2]) - 1
    start = text.rfind("\n", 0, offset) + 1
    hint = BACKSLASHES if _ESCAPE.search(text[start : offset + 1]) else ""
    return NotReadError(message[:1].lower() + message[1:], offset, hint, syntax=True)


BACKSLASHES = (
    "in double quotes \\ begins an escape: write a path in single quotes, as 'C:\\Users\\me', or "
    'with /, as "C:/Users/me"'
)

_ESCAPE = re.compile(r'"[^"\n]*\\(?:[^"\n]{0,9}|")\s*$')
"""The end of a line inside an escape sequence in double quotes, or directly after one. The line is
cut where reading failed."""
