"""The tables `[optimizer]` and `[players.NAME]` in one form, whichever way they are written.

A table may name its component by a short key, see `ganzoo.recipe.optimizer_merge`. Such a table, or
one without a name, may have keys that its component lacks. They are replaced here by the ones that
mean the same, or left out if they have no effect. Everything else in the core knows only `use`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from pydantic import ValidationError

from ganzoo.api import Kind, Options
from ganzoo.plugin_system.builtin_options import AdamOptions, DecreaseOptions
from ganzoo.plugin_system.option_errors import explain
from ganzoo.plugin_system.registry import DEFAULTS, SHORT_KEYS, Registry
from ganzoo.recipe.merge import Node, descend, plain
from ganzoo.recipe.optimizer_merge import (
    DEFAULT,
    FROM_BETAS,
    WITHOUT_EFFECT,
    Table,
    as_table,
    merge_options,
    merge_tables,
    with_use,
)
from ganzoo.recipe.problems import Problem, at
from ganzoo.recipe.role_tables import laid_over
from ganzoo.recipe.toml_positions import Keys


def with_whole_optimizers(tree: Node, registry: Registry) -> Node:
    """Return a tree in which `[optimizer]` and each `[players.NAME]` is whole and has `use`.

    The table of a player is laid over `[optimizer]`: the optimizer's own options by the rules of
    `extends`, so that another `use` starts from that component's defaults, and each key of the
    engine (`clip`, `schedule`) by itself. What isn't a table stays for the validation to report. So
    does a short key beside `use`.
    """
    tree = _with_players(tree, registry)
    table = {**tree.value, "optimizer": _whole(tree.value["optimizer"])}
    if players := _players(tree):
        whole = {name: _whole(node) for name, node in players.items()}
        table["players"] = Node(whole, tree.value["players"].mark)
    return Node(table, tree.mark)


def faults_without_effect(tree: Node, registry: Registry) -> Iterator[Problem]:
    """Yield the problems of keys that `with_whole_optimizers` leaves out of the same tree."""
    tree = _with_players(tree, registry)
    for path in (("optimizer",), *(("players", name) for name in _players(tree))):
        yield from _faults(tree, path, "optimizer", AdamOptions)
        yield from _faults(tree, (*path, "schedule"), "schedule", DecreaseOptions)


def _with_players(tree: Node, registry: Registry) -> Node:
    """Return a tree in which the tables of players are laid over `[optimizer]`, as written."""
    common = as_table(tree.value.get("optimizer", Node({}, DEFAULT)))
    table = {**tree.value, "optimizer": common}
    if players := _players(tree):
        laid = functools.partial(_laid, registry=registry)
        whole = {
            name: merge_tables(common, own, "optimizer", laid) for name, own in players.items()
        }
        table["players"] = Node(whole, tree.value["players"].mark)
    return Node(table, tree.mark)


def _players(tree: Node) -> dict[str, Node]:
    node = tree.value.get("players")
    return node.value if node is not None and isinstance(node.value, dict) else {}


def _whole(node: Node) -> Node:
    """Return an `[optimizer]` with `use`, and with a schedule that has it too."""
    node = as_table(node)
    if not isinstance(node.value, dict):
        return node
    schedule = as_table(node.value.get("schedule", Node({}, DEFAULT)))
    table = {**node.value, "schedule": _with_use(schedule, "schedule")}
    return _with_use(Node(table, node.mark), "optimizer")


def _with_use(node: Node, kind: Kind) -> Node:
    if not isinstance(node.value, dict):
        return node
    return Node(with_use(node.value, kind, DEFAULTS[kind]), node.mark)


def _laid(below: Table, above: Table, kind: Kind, registry: Registry) -> Table:
    """Return options laid over others; either may have a short key, `use` or neither."""
    if "use" in above or ("use" in below and SHORT_KEYS[kind] not in above):
        default = Node(with_use(below, kind, DEFAULTS[kind]), DEFAULT)
        whole: Table = laid_over(default, Node(above, DEFAULT), kind, registry).value
        return whole
    return merge_options(below, above, kind, DEFAULTS[kind], registry)


def _faults(tree: Node, path: Keys, kind: Kind, model: type[Options]) -> Iterator[Problem]:
    node, depth = descend(tree, path)
    if depth < len(path) or not isinstance(node.value, dict) or "use" in node.value:
        return
    short = node.value.get(SHORT_KEYS[kind])
    component = DEFAULTS[kind] if short is None else f"ganzoo/{short.value}"
    left_out = {
        key: plain(node.value[key])
        for key in WITHOUT_EFFECT.get(component, ())
        if key in node.value
    }
    betas = node.value.get("betas")
    taken = len(FROM_BETAS.get(component, ()))
    if taken and betas is not None:
        given = plain(betas)
        left_out["betas"] = given
        if isinstance(given, list) and len(given) == 2:
            # The entries that have a name of their own are checked under that name.
            left_out["betas"] = [*[0.0] * taken, *given[taken:]]
    try:
        model.model_validate(left_out)
    except ValidationError as error:
        for one in explain(error, model, left_out):
            place, _ = descend(node, one.loc)
            key = ".".join(map(str, (*path, *one.loc)))
            yield at(place.mark, key, one.message, one.hint, on_key=one.on_key)
