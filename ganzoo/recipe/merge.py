"""A recipe while it is put together: plain data in which each value remembers its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ganzoo.recipe.model import Origin
from ganzoo.recipe.toml_positions import Keys, Span


@dataclass(frozen=True)
class Source:
    """What values were read from.

    Args:
        name: as shown: a file's path, `--set`, or a document's name.
        text: the file, or the argument of `--set`.
        rank: order in which problems are listed: the recipe, what it extends, then `--set`.
    """

    name: str
    text: str = ""
    rank: int = 0

    def line(self, number: int) -> str:
        """Line `number` (from 1) without its end."""
        return self._lines[number - 1]

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")


@dataclass(frozen=True)
class Mark:
    """The place of a value; `span` is None in data that never were a text."""

    source: Source
    span: Span | None = None

    def origin(self) -> Origin:
        """The same for `Recipe.origins`."""
        if self.span is None or self.source.name == "--set":
            return Origin(self.source.name)
        return Origin(self.source.name, self.span.line, self.span.column)


@dataclass(frozen=True)
class Node:
    """A table (`dict`), an array (`list`) or a single value, with its place."""

    value: Any
    mark: Mark


def build(data: Any, source: Source, spans: Mapping[Keys, Span], path: Keys = ()) -> Node:
    """Plain data as a tree."""
    value = data
    if isinstance(data, Mapping):
        value = {key: build(item, source, spans, (*path, key)) for key, item in data.items()}
    elif isinstance(data, list | tuple):
        value = [build(item, source, spans, (*path, at)) for at, item in enumerate(data)]
    return Node(value, Mark(source, spans.get(path)))


def plain(node: Node) -> Any:
    """The tree as plain data."""
    if isinstance(node.value, dict):
        return {key: plain(item) for key, item in node.value.items()}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    return node.value


def descend(node: Node, path: Keys) -> tuple[Node, int]:
    """The node at a path, or the last one on the way, and how many keys lead there."""
    for depth, key in enumerate(path):
        value = node.value
        inside = (
            key in value
            if isinstance(value, dict)
            else isinstance(value, list) and isinstance(key, int) and key < len(value)
        )
        if not inside:
            return node, depth
        node = value[key]
    return node, len(path)


def merge(base: Node, over: Node) -> Node:
    """Lay one node over another.

    Tables merge deeply, unless `use` changes: then the upper one replaces the lower one whole. A
    string is short for a table with only `use` where the other one is a table with `use`. All else
    is replaced.
    """
    below, above = _use(base), _use(over)
    if isinstance(over.value, str) and isinstance(base.value, dict) and below is not None:
        if below == above:
            return Node({**base.value, "use": over}, base.mark)
        return over
    if isinstance(base.value, str) and isinstance(over.value, dict):
        base = Node({"use": base}, base.mark)
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    if above is not None and above != below:
        return over
    merged = dict(base.value)
    for key, item in over.value.items():
        merged[key] = merge(merged[key], item) if key in merged else item
    return Node(merged, over.mark)


def _use(node: Node) -> Any:
    """The component that a table or a string names, if any."""
    if isinstance(node.value, dict):
        inner = node.value.get("use")
        return None if inner is None else inner.value
    return node.value if isinstance(node.value, str) else None
