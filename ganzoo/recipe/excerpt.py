"""A line of a recipe with carets below the place that a message is about."""

from __future__ import annotations

import re

_WIDTH, _BEFORE = 120, 60
"""The number of characters that are shown of a line, and the number of those before the place."""


def excerpt(text: str, line: int, column: int, width: int) -> tuple[str, str]:
    """Return the line, and the line of carets below it.

    Args:
        text: the line of a file, or the argument of `--set`. If it is long, only the part around
            the column is shown. Control characters other than tabs are replaced by `?`.
        line: the number of the line; 0 for `--set`.
        column: where the carets begin, counted from 1.
        width: the number of carets, unless the line ends before.
    """
    above, below = (f"{line:>5} | ", "      | ") if line else ("      --set ", " " * 12)
    shown, column = _part(text, column)
    blank = re.sub(r"[^\t]", " ", shown[: column - 1])
    carets = "^" * max(1, min(width, len(shown) - column + 1, _BEFORE))
    return above + shown, below + blank + carets


def _part(line: str, column: int) -> tuple[str, int]:
    """Return the part of a line that is shown, and the column's position in it."""
    start = max(0, column - 1 - _BEFORE) if len(line) > _WIDTH else 0
    part = line[start : start + _WIDTH]
    if start + _WIDTH < len(line):
        part = part[:-3] + "..."
    if start:
        part = "..." + part[3:]
    shown = "".join(sign if sign.isprintable() or sign == "\t" else "?" for sign in part)
    return shown, column - start
