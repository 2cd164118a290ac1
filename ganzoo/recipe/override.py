"""`--set KEY=VALUE`: changes of a recipe from the command line."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

from ganzoo.errors import UsageError
from ganzoo.recipe.locate import Keys, Span, locate
from ganzoo.recipe.problems import Problem, at
from ganzoo.recipe.tree import Node, Source, build, merge


class _CannotSetError(Exception):
    """The key leads nowhere; the message says where it ends."""


def apply_override(tree: Node, argument: str, rank: int) -> Node | Problem:
    """Lay one override over a recipe, by the rules of `extends`.

    The value is TOML; what isn't valid TOML is taken as text, so that names need no quotes. An
    index leads into an array: `augment.0.size=64`.

    Args:
        tree: the recipe, normalised.
        argument: `KEY=VALUE`, with dots in the key.
        rank: place of the problems of this override among the others.

    Returns:
        The changed recipe, or the problem where the key leads nowhere.

    Raises:
        UsageError: when it isn't like `KEY=VALUE`.
    """
    key, sign, text = argument.partition("=")
    path = _keys(key) if sign else ()
    if not path:
        raise UsageError(
            f"--set {argument}: not like KEY=VALUE",
            hint="for example --set train.epochs=10 or --set data.fallback=none",
        )
    source = Source("--set", argument, rank)
    value, spans = _value(text, len(key) + 1, len(key.strip()))
    over = build(value, source, spans)
    if path == ("extends",):
        return at(over.mark, "extends", "can't be set: name another recipe instead", on_key=True)
    try:
        return _put(tree, path, over, ())
    except _CannotSetError as error:
        return at(over.mark, ".".join(path), str(error), on_key=True)


def _keys(text: str) -> tuple[str, ...]:
    """The parts of a dotted key; none if it is no key."""
    try:
        table: Any = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    path: tuple[str, ...] = ()
    while isinstance(table, dict) and len(table) == 1:
        ((name, table),) = table.items()
        path = (*path, name)
    return () if isinstance(table, dict) else path


def _value(text: str, offset: int, key_width: int) -> tuple[Any, dict[Keys, Span]]:
    """The value, and the places of all its parts in the whole argument."""
    lead = "v = "
    try:
        data = tomllib.loads(lead + text)
    except tomllib.TOMLDecodeError:
        data = {}
    found: dict[Keys, Span]
    if set(data) != {"v"}:  # no TOML, or more than a value
        data = {"v": text.strip()}
        found = {("v",): Span(1, 1, 1, 1, len(lead) + 1, max(1, len(text)), 0, 0)}
    else:
        found = locate(lead + text)
    spans: dict[Keys, Span] = {}
    for keys, span in found.items():
        shift = offset - len(lead)
        moved = replace(span, column=span.column + shift, key_column=span.key_column + shift)
        if len(keys) == 1:
            moved = replace(moved, key_column=1, key_width=key_width)
        spans[keys[1:]] = moved
    return data["v"], spans


def _put(node: Node, path: tuple[str, ...], over: Node, done: tuple[str, ...]) -> Node:
    if not path:
        return merge(node, over)
    head, rest = path[0], path[1:]
    if isinstance(node.value, list):
        if not head.isdecimal() or int(head) >= len(node.value):
            last = len(node.value) - 1
            legal = f"an index from 0 to {last} follows" if last >= 0 else "it is empty"
            raise _CannotSetError(f"{'.'.join(done)} is an array: {legal}")
        items = list(node.value)
        items[int(head)] = _put(items[int(head)], rest, over, (*done, head))
        return Node(items, node.mark)
    if isinstance(node.value, str):
        node = Node({"use": node}, node.mark)
    if not isinstance(node.value, dict):
        return _nest(path, over, done)
    if path == ("use",):
        return merge(node, Node({"use": over}, node.mark))
    if head in node.value:
        child = _put(node.value[head], rest, over, (*done, head))
    else:
        child = _nest(rest, over, (*done, head))
    return Node({**node.value, head: child}, node.mark)


def _nest(path: tuple[str, ...], over: Node, done: tuple[str, ...]) -> Node:
    """Tables for the keys that aren't there yet."""
    if not path:
        return over
    if path[0].isdecimal():
        raise _CannotSetError(f"the recipe has no {'.'.join(done)}")
    return Node({path[0]: _nest(path[1:], over, (*done, path[0]))}, over.mark)
