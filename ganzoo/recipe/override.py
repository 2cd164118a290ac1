"""`KEY=VALUE` from the command line: `--set` for a recipe, `--option` for an application."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Any

from ganzoo.errors import UsageError, one_line
from ganzoo.plugin_system.registry import Registry
from ganzoo.recipe.merge import Node, Source, build
from ganzoo.recipe.optimizer_merge import kind_at, merge_at
from ganzoo.recipe.parse import NotReadError, parse
from ganzoo.recipe.problems import Problem, at
from ganzoo.recipe.toml_positions import Keys, Span

_LEAD = "v = "
"""The text that is put before a value to make it valid TOML."""


class _CannotSetError(Exception):
    """The key leads to no value that can be set; the message names the place where it fails."""


def apply_override(tree: Node, argument: str, rank: int, registry: Registry) -> Node | Problem:
    """Apply one override to a recipe, by the rules of `extends`.

    The value is TOML. A value that isn't valid TOML, or is a date, is taken as text, so that names
    need no quotes. An index selects an entry of an array: `augment.0.size=64`.

    Args:
        tree: the recipe, normalised.
        argument: `KEY=VALUE`, with dots in the key.
        rank: the position of this override's problems among all problems.
        registry: the registry of components.

    Returns:
        The changed recipe, or the problem if the key can't be set or the value can't be read.

    Raises:
        UsageError: the argument isn't like `KEY=VALUE`.
    """
    key, sign, text = argument.partition("=")
    path = _keys(key) if sign else ()
    if not path:
        raise UsageError(
            f"--set {one_line(argument)}: it must have the form KEY=VALUE",
            hint="for example --set train.epochs=10 or --set data.fallback=none",
        )
    source = Source("--set", argument, rank)
    try:
        value, spans = _value(text, len(key) + 1, len(key.strip()))
    except NotReadError as error:
        return error.problem(source, len(key) + 1 - len(_LEAD))
    over = build(value, source, spans)
    if path == ("extends",):
        return at(over.mark, "extends", "can't be set: name another recipe instead", on_key=True)
    try:
        return _Put(tree, registry)(tree, path, over, ())
    except _CannotSetError as error:
        return at(over.mark, ".".join(path), str(error), on_key=True)


def read_setting(option: str, argument: str) -> tuple[str, Any]:
    """Return the key and the value of `KEY=VALUE`, with a value as `apply_override` takes it.

    Args:
        option: the command-line option, for messages.
        argument: what it was given; the key has no dots.

    Raises:
        UsageError: the argument isn't like that, or the value can't be read.
    """
    key, sign, text = argument.partition("=")
    if not sign or len(_keys(key)) != 1:
        raise UsageError(
            f"{option} {one_line(argument)}: it must have the form KEY=VALUE",
            hint=f"for example {option} truncation=0.7",
        )
    try:
        value, _ = _value(text, 0, 0)
    except NotReadError as error:
        reason = error.problem(Source(option, argument, 0), 0).message
        raise UsageError(f"{option} {one_line(argument)}: {reason}") from error
    return _keys(key)[0], value


def _keys(text: str) -> tuple[str, ...]:
    """Return the parts of a dotted key; none if it isn't a valid key."""
    try:
        table: Any = parse(f"{text} = 0", places=False)[0]
    except NotReadError:
        return ()
    path: tuple[str, ...] = ()
    while isinstance(table, dict) and len(table) == 1:
        ((name, table),) = table.items()
        path = (*path, name)
    return () if isinstance(table, dict) else path


def _value(text: str, offset: int, key_width: int) -> tuple[Any, dict[Keys, Span]]:
    """Return the value, and the places of all its parts in the whole argument.

    Raises:
        NotReadError: the value is too large, or begins with a quote and isn't TOML. The error's
            offset counts in the text of `_LEAD` and the value.
    """
    data: dict[str, Any] = {}
    found: dict[Keys, Span] = {}
    try:
        data, found = parse(_LEAD + text)
    except NotReadError as error:
        if not error.syntax or text.strip()[:1] in {'"', "'"}:
            raise
    if set(data) != {"v"} or isinstance(data["v"], date | datetime | time):
        data = {"v": text.strip()}  # not TOML, more than one value, or a date, which no option has
        found = {("v",): Span(1, 1, 1, 1, len(_LEAD) + 1, max(1, len(text)), 0, 0)}
    spans: dict[Keys, Span] = {}
    for keys, span in found.items():
        shift = offset - len(_LEAD)
        moved = replace(span, column=span.column + shift, key_column=span.key_column + shift)
        if len(keys) == 1:
            moved = replace(moved, key_column=1, key_width=key_width)
        spans[keys[1:]] = moved
    return data["v"], spans


@dataclass(frozen=True)
class _Put:
    """Put a value at a path of a recipe."""

    recipe: Node
    registry: Registry

    def __call__(
        self, node: Node, path: tuple[str, ...], over: Node, done: tuple[str, ...]
    ) -> Node:
        if not path:
            return merge_at(node, over, done, self.recipe, self.registry)
        head, rest = path[0], path[1:]
        if isinstance(node.value, list):
            if not head.isdecimal() or int(head) >= len(node.value):
                last = len(node.value) - 1
                legal = f"give an index from 0 to {last}" if last >= 0 else "it is empty"
                raise _CannotSetError(f"{'.'.join(done)} is an array: {legal}")
            items = list(node.value)
            items[int(head)] = self(items[int(head)], rest, over, (*done, head))
            return Node(items, node.mark)
        if isinstance(node.value, str):
            node = Node({"use": node}, node.mark)
        if not isinstance(node.value, dict):
            return _nest(path, over, done)
        if path == ("use",) or (not rest and kind_at(done)):
            return merge_at(node, Node({head: over}, node.mark), done, self.recipe, self.registry)
        if head in node.value:
            child = self(node.value[head], rest, over, (*done, head))
        else:
            child = _nest(rest, over, (*done, head))
        return Node({**node.value, head: child}, node.mark)


def _nest(path: tuple[str, ...], over: Node, done: tuple[str, ...]) -> Node:
    """Return the value inside of new tables for the keys that don't exist yet."""
    if not path:
        return over
    if path[0].isdecimal():
        raise _CannotSetError(f"the recipe has no {'.'.join(done)}")
    return Node({path[0]: _nest(path[1:], over, (*done, path[0]))}, over.mark)
