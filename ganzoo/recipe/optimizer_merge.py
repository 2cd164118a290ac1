"""How the tables `[optimizer]` and `[players.NAME]` of one recipe are merged with another's.

They are merged like all tables, with two additions: each key of the engine (`clip`, `schedule`) is
merged by itself, whatever the optimizers are, and a table may have a short key.

A short key names one of the core's own optimizers and schedules: `name = "sgd"` in place of
`use = "ganzoo/sgd"`, and in a schedule `shape = "linear"` in place of `use = "ganzoo/linear"`. A
table without `use` and short key means the default component. A short key differs from `use` in one
way: in a merge, the inherited options stay that the other component has too, or that mean the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ganzoo.api import Kind
from ganzoo.errors import GanzooError
from ganzoo.plugin_system.option_errors import key_of
from ganzoo.plugin_system.registry import CORE_KEYS, DEFAULTS, SHORT_KEYS, Registry
from ganzoo.recipe.merge import Mark, Node, Source, merge
from ganzoo.recipe.toml_positions import Keys

Table = dict[str, Node]

DEFAULT = Mark(Source("default"))

FROM_BETAS: dict[str, tuple[str, ...]] = {
    "ganzoo/sgd": ("momentum",),
    "ganzoo/rmsprop": ("momentum", "alpha"),
}
"""What the entries of `betas` are called by optimizers without `betas`."""
WITHOUT_EFFECT: dict[str, tuple[str, ...]] = {
    "ganzoo/sgd": ("eps",),
    "ganzoo/constant": ("hold", "every"),
}
"""Options that a short form may have though its component lacks them: they have no effect on it."""


def merge_recipes(base: Node, over: Node, registry: Registry) -> Node:
    """Merge two recipes; values of `over` take precedence over those of `base`."""
    whole = merge(base, over)
    table = {
        key: merge_at(base.value[key], over.value[key], (key,), base, registry)
        for key in ("optimizer", "players")
        if key in base.value and key in over.value
    }
    return Node({**whole.value, **table}, whole.mark)


def merge_at(base: Node, over: Node, path: Keys, recipe: Node, registry: Registry) -> Node:
    """Merge two nodes of recipes.

    Args:
        base: the node below.
        over: the node above, whose values take precedence.
        path: the keys that lead to both nodes.
        recipe: the recipe to which `base` belongs.
        registry: the registry of components.
    """
    kind = kind_at(path)
    if kind is not None:
        defaults = _defaults(recipe, path)

        def options(below: Table, above: Table, its: Kind) -> Table:
            return merge_options(below, above, its, defaults[its], registry)

        return merge_tables(base, over, kind, options)
    if path != ("players",) or not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return merge(base, over)
    merged = dict(base.value)
    for name, item in over.value.items():
        below = merged.get(name)
        at = (*path, name)
        merged[name] = item if below is None else merge_at(below, item, at, recipe, registry)
    return Node(merged, over.mark)


def kind_at(path: Keys) -> Kind | None:
    """Return whether the path leads to the table of an optimizer or of its schedule."""
    length = {"optimizer": 1, "players": 2}.get(str(path[0])) if path else None
    if length == len(path):
        return "optimizer"
    return "schedule" if length == len(path) - 1 and path[-1] == "schedule" else None


def _defaults(recipe: Node, path: Keys) -> Mapping[Kind, str]:
    """Return what a table means that names no component: for a player, that of `[optimizer]`."""
    common = recipe.value.get("optimizer")
    if path[0] == "optimizer" or common is None:
        return DEFAULTS
    common = as_table(common)
    schedule = common.value.get("schedule") if isinstance(common.value, dict) else None
    tables: dict[Kind, Node | None] = {"optimizer": common, "schedule": schedule}
    return {
        kind: DEFAULTS[kind] if node is None else _component(as_table(node), kind, DEFAULTS[kind])
        for kind, node in tables.items()
    }


def merge_tables(
    base: Node, over: Node, kind: Kind, options: Callable[[Table, Table, Kind], Table]
) -> Node:
    """Merge two tables of a kind, each key of the engine by itself.

    Args:
        base: the table below.
        over: the table above, whose values take precedence.
        kind: the kind of both components.
        options: merges the components' own keys, and the keys that name them, of two tables.
    """
    base, over = as_table(base), as_table(over)
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    own = CORE_KEYS.get(kind, ())
    below, above = (
        {key: item for key, item in table.value.items() if key not in own} for table in (base, over)
    )
    table = options(below, above, kind)
    table |= {key: item for key, item in base.value.items() if key in own}
    for key, item in over.value.items():
        if key not in own:
            continue
        if key not in table:
            table[key] = item
        elif key == "schedule":
            table[key] = merge_tables(table[key], item, "schedule", options)
        else:
            table[key] = merge(table[key], item)
    return Node(table, over.mark)


def as_table(node: Node) -> Node:
    """Return the table for which the id of a component is short."""
    return Node({"use": node}, node.mark) if isinstance(node.value, str) else node


def merge_options(
    below: Table, above: Table, kind: Kind, default: str, registry: Registry
) -> Table:
    """Merge the options of two components of a kind, named by `use`, by a short key or not."""
    short = SHORT_KEYS[kind]
    if "use" in above:
        below = with_use(below, kind, default)
        present = ""
    elif short in above:
        present = _component(Node(above, DEFAULT), kind, default)
        below = _kept(below, kind, default, present, registry)
    else:
        present = _component(Node(below, DEFAULT), kind, default)
    names = FROM_BETAS.get(present, ())
    if any(
        "betas" in one and not other.keys().isdisjoint(names)
        for one, other in ((below, above), (above, below))
    ):
        below, above = (_without_betas(table, present) for table in (below, above))
    merged: Table = merge(Node(below, DEFAULT), Node(above, DEFAULT)).value
    return merged


def _component(node: Node, kind: Kind, default: str) -> str:
    """Return the id of a table's component; `default` if it names none."""
    if not isinstance(node.value, dict):
        return default
    use, short = node.value.get("use"), node.value.get(SHORT_KEYS[kind])
    if use is not None:
        return str(use.value)
    return default if short is None else f"ganzoo/{short.value}"


def _kept(below: Table, kind: Kind, default: str, present: str, registry: Registry) -> Table:
    """Return the inherited options that stay when a short key names another component.

    Options of `--set` stay in any case, so that the validation reports them.
    """
    if not _component(Node(below, DEFAULT), kind, default).startswith("ganzoo/"):
        return {}
    kept = {key: item for key, item in below.items() if key not in ("use", SHORT_KEYS[kind])}
    try:
        model = registry.options_model(registry.entry(kind, present))
    except GanzooError:
        return kept  # the validation reports the name
    known = {key_of(*item) for item in model.model_fields.items()} | {
        *WITHOUT_EFFECT.get(present, ())
    }
    if present in FROM_BETAS:
        known.add("betas")
    return {
        key: item for key, item in kept.items() if key in known or item.mark.source.name == "--set"
    }


def with_use(table: Table, kind: Kind, default: str) -> Table:
    """Return the options of a component with `use`, without keys that only its short form has."""
    if "use" in table:
        return table
    rest = dict(table)
    short = rest.pop(SHORT_KEYS[kind], None)
    use = Node(default, DEFAULT)
    if short is not None:
        text = f"ganzoo/{short.value}" if isinstance(short.value, str) else short.value
        use = Node(text, short.mark)
    present = use.value
    if isinstance(present, str):
        rest = _without_betas(rest, present)
        for key in WITHOUT_EFFECT.get(present, ()):
            rest.pop(key, None)
    return {"use": use, **rest}


def _without_betas(table: Table, component: str) -> Table:
    """Return a table in which the entries of `betas` have the names that a component gives them.

    If one of them has its name in the table too, `betas` stays for the validation to report, unless
    it is inherited.
    """
    names, betas = FROM_BETAS.get(component, ()), table.get("betas")
    if not names or betas is None or not isinstance(betas.value, list) or len(betas.value) != 2:
        return table
    beside = [table[name].mark.source for name in names if name in table]
    if betas.mark.source in beside or (beside and betas.mark.source.name == "--set"):
        return table
    rest = {key: item for key, item in table.items() if key != "betas"}
    return dict(zip(names, betas.value, strict=False)) | rest
