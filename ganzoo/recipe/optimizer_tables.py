"""The tables `[optimizer]` and `[players.NAME]` in one form, whichever way they are written.

A recipe may name the core's own optimizers and schedules by a short key: `name = "sgd"` in place of
`use = "ganzoo/sgd"`, and in a schedule `shape = "linear"` in place of `use = "ganzoo/linear"`. A
short key differs from `use` in one way: the rest of an inherited table stays. So a table with a
short key, or without any, may have keys that its component lacks. They are replaced here by the
ones that mean the same, or left out if they have no effect. Everything else in the core knows only
`use`.
"""

from __future__ import annotations

from ganzoo.api import Kind
from ganzoo.plugin_system.registry import CORE_KEYS, DEFAULTS, SHORT_KEYS, Registry
from ganzoo.recipe.merge import Mark, Node, Source, merge
from ganzoo.recipe.role_tables import laid_over

_DEFAULT = Mark(Source("default"))


def with_whole_optimizers(tree: Node, registry: Registry) -> Node:
    """Return a tree in which `[optimizer]` and each `[players.NAME]` is whole and has `use`.

    The table of a player is laid over `[optimizer]`: the optimizer's own options by the rules of
    `extends`, so that another `use` starts from that component's defaults, and each key of the
    engine (`clip`, `schedule`) by itself. What isn't a table stays for the validation to report. So
    does a short key beside `use`.
    """
    given = tree.value.get("optimizer", Node({}, _DEFAULT))
    table = {**tree.value, "optimizer": _whole(given)}
    players = tree.value.get("players")
    if players is not None and isinstance(players.value, dict):
        whole = {
            name: _of_player(_as_table(given), _as_table(own), registry)
            for name, own in players.value.items()
        }
        table["players"] = Node(whole, players.mark)
    return Node(table, tree.mark)


def _as_table(node: Node) -> Node:
    return Node({"use": node}, node.mark) if isinstance(node.value, str) else node


def _whole(node: Node) -> Node:
    """Return an `[optimizer]` with `use`, and with a schedule that has it too."""
    node = _as_table(node)
    if not isinstance(node.value, dict):
        return node
    schedule = _as_table(node.value.get("schedule", Node({}, _DEFAULT)))
    table = {**node.value, "schedule": _spelled_out(schedule, "schedule")}
    return _spelled_out(Node(table, node.mark), "optimizer")


def _of_player(base: Node, own: Node, registry: Registry) -> Node:
    """Return the whole table of a player; `base` is `[optimizer]` as it is written."""
    if not (isinstance(base.value, dict) and isinstance(own.value, dict)):
        return own if isinstance(base.value, dict) else _whole(own)
    options = _laid(_options_of(base), _options_of(own), "optimizer", registry)
    table = {**options.value, **_engine_keys(base)}
    for key, item in _engine_keys(own).items():
        below = table.get(key)
        if below is None:
            table[key] = item
        elif key == "schedule":
            table[key] = _laid(_as_table(below), _as_table(item), "schedule", registry)
        else:
            table[key] = merge(below, item)
    return _whole(Node(table, own.mark))


def _options_of(node: Node) -> Node:
    core = CORE_KEYS["optimizer"]
    return Node({key: item for key, item in node.value.items() if key not in core}, node.mark)


def _engine_keys(node: Node) -> dict[str, Node]:
    return {key: item for key, item in node.value.items() if key in CORE_KEYS["optimizer"]}


def _laid(below: Node, above: Node, kind: Kind, registry: Registry) -> Node:
    """Return a table laid over another, of which each may have a short key, `use` or neither."""
    if not (isinstance(below.value, dict) and isinstance(above.value, dict)):
        return above
    if "use" in above.value or ("use" in below.value and SHORT_KEYS[kind] not in above.value):
        return laid_over(_spelled_out(below, kind), above, kind, registry)
    return merge(below, above)


def _spelled_out(node: Node, kind: Kind) -> Node:
    """Return the table of a component with `use`, without keys that its short form brought."""
    if not isinstance(node.value, dict) or "use" in node.value:
        return node
    table = dict(node.value)
    short = table.pop(SHORT_KEYS[kind], None)
    use = Node(DEFAULTS[kind], _DEFAULT)
    if short is not None:
        text = f"ganzoo/{short.value}" if isinstance(short.value, str) else short.value
        use = Node(text, short.mark)
    table = _RENAMED.get(use.value, dict)(table) if isinstance(use.value, str) else table
    return Node({"use": use, **table}, node.mark)


def _of_sgd(table: dict[str, Node]) -> dict[str, Node]:
    return _from_betas(table, ("momentum",), ("eps",))


def _of_rmsprop(table: dict[str, Node]) -> dict[str, Node]:
    return _from_betas(table, ("momentum", "alpha"), ())


def _from_betas(
    table: dict[str, Node], names: tuple[str, ...], without_effect: tuple[str, ...]
) -> dict[str, Node]:
    """Return a table in which the entries of `betas` have names of their own."""
    kept = {key: item for key, item in table.items() if key not in without_effect}
    betas = kept.get("betas")
    if betas is None or not isinstance(betas.value, list) or len(betas.value) != 2:
        return kept
    del kept["betas"]
    return dict(zip(names, betas.value, strict=False)) | kept


def _of_constant(table: dict[str, Node]) -> dict[str, Node]:
    return {key: item for key, item in table.items() if key not in {"hold", "every"}}


_RENAMED = {
    "ganzoo/sgd": _of_sgd,
    "ganzoo/rmsprop": _of_rmsprop,
    "ganzoo/constant": _of_constant,
}
