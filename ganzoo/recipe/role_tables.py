"""The tables of single roles, `[networks.ROLE]`, which change the default table of their kind."""

from __future__ import annotations

from ganzoo.api import Kind
from ganzoo.errors import GanzooError
from ganzoo.plugin_system.option_errors import OptionProblem, key_of
from ganzoo.plugin_system.registry import Registry
from ganzoo.recipe.merge import Node, Source, build, merge, plain, use_of
from ganzoo.recipe.resolved import NETWORKS


def is_none(node: Node) -> bool:
    """Return whether a network's table says that the task works without it."""
    return plain(node) in ("none", {"use": "none"})


def with_whole_roles(tree: Node, registry: Registry) -> tuple[Node, dict[str, Kind]]:
    """Return a tree in which each `[networks.ROLE]` is whole, and the kinds of these roles.

    Such a table is laid over the default table of the role's kind by the rules of `extends`. But a
    preset that it names has priority over the default table. The roles of a task are only known
    when its class is imported, which imports torch. So the kind of a role follows from the recipe:

    - from the component that the table names;
    - otherwise, or if that id has components of several kinds, from the role's name, if it begins
      with a kind, as `generator_ab` does;
    - otherwise from the default tables, if only one can be meant.

    `ganzoo.engine.plan` compares the result with the task. A role whose kind doesn't follow is left
    out of the kinds, and its table stays as it is. So does "none".
    """
    kinds = kinds_of_roles(tree, registry)
    if not kinds:
        return tree, {}
    node = tree.value["networks"]
    whole = {
        role: laid_over(_default(kind, tree), node.value[role], kind, registry)
        for role, kind in kinds.items()
    }
    networks = Node({**node.value, **whole}, node.mark)
    return Node({**tree.value, "networks": networks}, tree.mark), kinds


def kinds_of_roles(tree: Node, registry: Registry) -> dict[str, Kind]:
    """Return the kind of each role that has a table, if it follows from the recipe."""
    node = tree.value.get("networks")
    if node is None or not isinstance(node.value, dict):
        return {}
    return {
        role: kind
        for role, own in node.value.items()
        if not is_none(own) and (kind := _kind_of(role, own, tree, registry)) is not None
    }


def no_kind(role: str, tree: Node, registry: Registry) -> OptionProblem:
    """Return why the kind of a role's network doesn't follow from the recipe."""
    own = tree.value["networks"].value[role]
    use, loc = use_of(own), ("networks", role)
    tables = [kind for kind in NETWORKS if _default(kind, tree) is not None]
    if not isinstance(own.value, dict | str):
        return OptionProblem(loc, 'must be the id of a network, a table, or "none"')
    at_use = (*loc, "use") if isinstance(own.value, dict) else loc
    if use is None and tables:
        names = " or ".join(f'"{use_of(tree.value[kind])}" ([{kind}])' for kind in tables)
        message = "doesn't say which table it changes"
        return OptionProblem(loc, message, f"add its `use`: {names}", on_key=True)
    if not isinstance(use, str):
        hint = "`ganzoo list` shows what it may be"
        return OptionProblem(at_use, "is required" if use is None else "must be text", hint)
    if kinds := _network_kinds(use, registry):
        message = f'"{use}" is a {" and a ".join(kinds)}: it isn\'t clear which is meant'
        return OptionProblem(at_use, message, "use a component of one kind")
    try:
        kind = registry.lookup(use)[0].component.kind
    except GanzooError as error:
        return OptionProblem(at_use, error.message, error.hint, error.exit_code)
    return OptionProblem(at_use, f'"{use}" is a {kind}, not a network')


def _default(kind: Kind, tree: Node) -> Node | None:
    """Return the table of a kind's roles that have none of their own; None if there is none."""
    node: Node | None = tree.value.get(kind)
    return None if node is None or is_none(node) else node


def _network_kinds(use: object, registry: Registry) -> list[Kind]:
    """Return the kinds of networks for which there is a component of an id."""
    try:
        entries = registry.lookup(use) if isinstance(use, str) else ()
    except GanzooError:
        return []
    kinds = {entry.component.kind for entry in entries}
    return [kind for kind in NETWORKS if kind in kinds]


def _kind_of(role: str, own: Node, tree: Node, registry: Registry) -> Kind | None:
    """Return the kind of a role's network; None if it doesn't follow from the recipe."""
    use = use_of(own)
    possible = _network_kinds(use, registry)
    if len(possible) == 1:
        return possible[0]
    possible = possible or list(NETWORKS)
    named = [kind for kind in possible if role.startswith(kind)]
    if named:
        return named[0]
    tables = {kind: node for kind in possible if (node := _default(kind, tree)) is not None}
    same = [kind for kind, node in tables.items() if use is None or use == use_of(node)]
    return same[0] if len(same) == 1 else None


def laid_over(default: Node | None, own: Node, kind: Kind, registry: Registry) -> Node:
    """Return the table of a component laid over another one of its kind.

    Args:
        default: the table below, with `use`; None if there is none.
        own: the table above, whose preset has priority over the table below.
        kind: the kind of both components.
        registry: the registry of components.
    """
    if default is None or not _same(use_of(own), use_of(default), kind, registry):
        return own
    if isinstance(own.value, str):
        own = Node({"use": own}, own.mark)
    if not isinstance(own.value, dict):
        return own  # the validation reports it
    preset = "preset" in own.value
    own = _with_preset(own, use_of(default), kind, registry)
    changes = {key: item for key, item in own.value.items() if key != "use"}
    if preset and isinstance(default.value, dict):  # a table has one preset
        rest = {key: item for key, item in default.value.items() if key != "preset"}
        default = Node(rest, default.mark)
    whole = merge(default, Node(changes, own.mark))
    if "use" in own.value:
        whole.value["use"] = own.value["use"]
    return Node(whole.value, own.mark)


def _same(use: object, other: object, kind: Kind, registry: Registry) -> bool:
    """Return whether an id means the same component as another, which may be its former id."""
    if use is None or use == other:
        return True
    if not (isinstance(use, str) and isinstance(other, str)):
        return False
    return registry.present_id(kind, use) == registry.present_id(kind, other)


def _with_preset(own: Node, use: object, kind: Kind, registry: Registry) -> Node:
    """Return a table in which a preset is replaced by its options; they yield to the table's own.

    A preset that doesn't exist is left in the table, so that the validation reports it.
    """
    preset = own.value.get("preset")
    if preset is None or not isinstance(preset.value, str):
        return own
    try:
        entry = registry.entry(kind, str(use))
        model = registry.options_model(entry)
    except GanzooError:
        return own  # the validation reports it
    options = entry.component.presets.get(preset.value)
    if options is None or "preset" in {key_of(*item) for item in model.model_fields.items()}:
        return own
    laid = build(options, Source(f'preset "{preset.value}"'), {}).value
    rest = {key: item for key, item in own.value.items() if key != "preset"}
    return Node({**laid, **rest}, own.mark)
