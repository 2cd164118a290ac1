"""The tree from which a recipe is merged: plain data with the place of each value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ganzoo.recipe.model import Origin
from ganzoo.recipe.toml_positions import Keys, Span


@dataclass(frozen=True)
class Source:
    """The text that values were read from.

    Args:
        name: the name that messages show: a file's path, `--set`, or the name of a document.
        text: the content of the file, or the argument of `--set`.
        rank: the position of its problems in the list of all: first those of the recipe, then those
            of what it extends, then those of `--set`.
    """

    name: str
    text: str = ""
    rank: int = 0

    def line(self, number: int) -> str:
        """Return line `number`, counted from 1, without its line feed."""
        return self._lines[number - 1]

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")


@dataclass(frozen=True)
class Mark:
    """The place of a value; `span` is None in data that weren't read from a text."""

    source: Source
    span: Span | None = None

    def origin(self) -> Origin:
        """Return the place in the form that `Recipe.origins` has."""
        if self.span is None or self.source.name == "--set":
            return Origin(self.source.name)
        line, column, width = self.span.line, self.span.column, self.span.width
        return Origin(self.source.name, line, column, self.source.line(line), width)


@dataclass(frozen=True)
class Node:
    """A table (`dict`), an array (`list`) or a single value, together with its place."""

    value: Any
    mark: Mark


def build(data: Any, source: Source, spans: Mapping[Keys, Span], path: Keys = ()) -> Node:
    """Return plain data as a tree.

    Args:
        data: a table, an array or a single value.
        source: the text that it was read from.
        spans: the places of the values, by their paths.
        path: the keys that lead to `data`.
    """
    value = data
    if isinstance(data, Mapping):
        value = {key: build(item, source, spans, (*path, key)) for key, item in data.items()}
    elif isinstance(data, list | tuple):
        value = [build(item, source, spans, (*path, at)) for at, item in enumerate(data)]
    return Node(value, Mark(source, spans.get(path)))


def plain(node: Node) -> Any:
    """Return a tree as plain data."""
    if isinstance(node.value, dict):
        return {key: plain(item) for key, item in node.value.items()}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    return node.value


def descend(node: Node, path: Keys) -> tuple[Node, int]:
    """Return the node at a path, or its last existing parent, and the number of keys to it."""
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
    """Merge two nodes; values of `over` take precedence over those of `base`.

    Tables are merged recursively. But if `over` has another `use`, it replaces the whole table. A
    string is short for a table with only `use` if the other node is a table with `use`. Any other
    value replaces the one in `base`.
    """
    below, above = use_of(base), use_of(over)
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


def use_of(node: Node) -> Any:
    """Return the name of the component in a table or a string, or None."""
    if isinstance(node.value, dict):
        inner = node.value.get("use")
        return None if inner is None else inner.value
    return node.value if isinstance(node.value, str) else None
