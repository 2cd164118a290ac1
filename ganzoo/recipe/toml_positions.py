"""The positions of keys and values in a TOML text.

`tomllib` returns the values of a text without their positions; this scanner finds the positions.
It reads only texts that `tomllib` has accepted, so it checks nothing.
"""

from __future__ import annotations

import bisect
import re
import tomllib
from dataclasses import dataclass

Keys = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|'
    r"'''.*?'{3,5}|"
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'",
    re.DOTALL,
)
_BLANK = re.compile(r"(?:[ \t\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_SCALAR = re.compile(r"[^,\]}#\n]+")


@dataclass(frozen=True)
class Span:
    """The places of a key and of its value; lines and columns are counted from 1.

    For a table that begins with a header, both places are those of the header's name. An item of
    an array has no key of its own, so both places are those of the item.

    Args:
        key_line, key_column, key_width: where the key begins, and its length.
        line, column, width: where the value begins, and its length. For a value with several lines
            it is the length of the first line.
        start, end: the slice of the text that holds the value.
    """

    key_line: int
    key_column: int
    key_width: int
    line: int
    column: int
    width: int
    start: int
    end: int


def locate(text: str) -> dict[Keys, Span]:
    """Return the places of all keys and values in a valid TOML text, by their paths.

    Args:
        text: the text, with line ends normalised to a line feed.
    """
    return _Scanner(text).run()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.spans: dict[Keys, Span] = {}
        self.items: dict[Keys, int] = {}  # the number of tables so far in each array of tables
        self.starts = [0] + [match.end() for match in re.finditer("\n", text)]

    def run(self) -> dict[Keys, Span]:
        table: Keys = ()
        while True:
            self._skip(_BLANK)
            if self.at >= len(self.text):
                return self.spans
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:  # can't happen in a text that tomllib accepts
            raise ValueError(f"no {pattern.pattern} at {self.at}")
        self.at = match.end()
        return match[0]

    def _header(self) -> Keys:
        """Read `[a.b]` or `[[a.b]]`, and return the path of the table that it begins."""
        double = self.text.startswith("[[", self.at)
        self.at += 2 if double else 1
        path: Keys = ()
        parts = self._dotted_key()
        for number, (name, start, end) in enumerate(parts):
            path = (*path, name)
            last = number == len(parts) - 1
            if last and double:
                index = self.items.get(path, 0)
                self.items[path] = index + 1
                self._note(path, start, end, start, end)
                path = (*path, index)
            elif path in self.items:
                path = (*path, self.items[path] - 1)
            self._note(path, start, end, start, end)
            if last and not double:
                self.spans[path] = self._span(start, end, start, end)
        self._skip(_SPACE)
        self.at += 2 if double else 1
        return path

    def _pair(self, table: Keys) -> None:
        """Read `a.b = value`."""
        parts = self._dotted_key()
        path = table
        for name, start, end in parts[:-1]:
            path = (*path, name)
            self._note(path, start, end, start, end)
        name, start, end = parts[-1]
        self._skip(_SPACE)
        self.at += 1  # =
        self._skip(_SPACE)
        self._value((*path, name), (start, end))

    def _dotted_key(self) -> list[tuple[str, int, int]]:
        """Read a dotted key, and return its names, each with its start and end."""
        parts = []
        while True:
            self._skip(_SPACE)
            start = self.at
            if self.text[start] in "\"'":
                name = next(iter(tomllib.loads(self._skip(_STRING) + " = 0")))
            else:
                name = self._skip(_BARE_KEY)
            parts.append((name, start, self.at))
            self._skip(_SPACE)
            if self.text[self.at] != ".":
                return parts
            self.at += 1

    def _value(self, path: Keys, key: tuple[int, int] | None) -> None:
        start = self.at
        sign = self.text[start]
        if sign in "\"'":
            self._skip(_STRING)
            end = self.at
        elif sign == "[":
            end = self._array(path)
        elif sign == "{":
            end = self._inline_table(path)
        else:
            end = start + len(self._skip(_SCALAR).rstrip())
        key_start, key_end = key or (start, end)
        self.spans[path] = self._span(key_start, key_end, start, end)

    def _array(self, path: Keys) -> int:
        self.at += 1
        index = 0
        while True:
            self._skip(_BLANK)
            if self.text[self.at] == "]":
                self.at += 1
                return self.at
            self._value((*path, index), None)
            index += 1
            self._skip(_BLANK)
            if self.text[self.at] == ",":
                self.at += 1

    def _inline_table(self, path: Keys) -> int:
        self.at += 1
        while True:
            self._skip(_BLANK)
            if self.text[self.at] == "}":
                self.at += 1
                return self.at
            self._pair(path)
            self._skip(_BLANK)
            if self.text[self.at] == ",":
                self.at += 1

    def _note(self, path: Keys, key_start: int, key_end: int, start: int, end: int) -> None:
        """Record the first place of a table that a header or a dotted key creates implicitly."""
        if path not in self.spans:
            self.spans[path] = self._span(key_start, key_end, start, end)

    def _span(self, key_start: int, key_end: int, start: int, end: int) -> Span:
        key_line, key_column = self._place(key_start)
        line, column = self._place(start)
        first_line_end = self.text.find("\n", start, end)
        width = (end if first_line_end < 0 else first_line_end) - start
        return Span(key_line, key_column, key_end - key_start, line, column, width, start, end)

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect.bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1
