"""Hints for a key in the wrong table: the tables that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from ganzoo.api import KINDS, Kind, Options
from ganzoo.errors import GanzooError
from ganzoo.plugin_system.option_errors import key_of
from ganzoo.plugin_system.option_types import option_type
from ganzoo.plugin_system.registry import CORE_KEYS, NESTED, Registry
from ganzoo.recipe.merge import Node, descend
from ganzoo.recipe.model import SETTINGS
from ganzoo.recipe.resolved import KEYS
from ganzoo.recipe.role_tables import kinds_of_roles
from ganzoo.recipe.toml_positions import Keys

_TEXTS = ("name", "summary", "extends", "out")
"""The top-level keys of a recipe that aren't tables."""


def belongs(loc: Keys, tree: Node, registry: Registry) -> str:
    """Return a hint with at most three places where a recipe may have the last key of `loc`.

    The places are the recipe's own keys and tables, and the options of the components that this
    recipe names. The hint is empty if there is no such place.

    Args:
        loc: the place of the unknown key.
        tree: the recipe.
        registry: the registry of components.
    """
    name = loc[-1]
    if name in KEYS and len(loc) > 1:
        value = descend(tree, loc)[0].value
        if isinstance(value, dict):
            return _of_a_table(loc, value, tree, registry)
        if name in _TEXTS or isinstance(value, str):
            return f'"{name}" is a key of the recipe itself: it must stand above the first [table]'
    return _meant(name, loc, tree, registry)


def options_of_others(name: str, registry: Registry) -> str:
    """Return a sentence with at most three components that have an option of this name, or "".

    It is used only if `belongs` found no place, so no component of the recipe has the option.
    """
    found = []
    for entry in registry.components():
        try:
            model = registry.options_model(entry)
        except GanzooError:
            continue  # `ganzoo plugins check` reports it
        if name in {path[-1] for path in _options(model, ())}:
            found.append(f"{entry.id} ({entry.component.kind})")
    if not found:
        return ""
    return (
        f"{name} is an option of components that this recipe doesn't name: {', '.join(found[:3])}"
    )


def _of_a_table(loc: Keys, value: dict[str, Node], tree: Node, registry: Registry) -> str:
    """Return a hint for a core table that stands inside another: `train.lr` under [data]."""
    name, key = loc[-1], next(iter(value), "KEY")
    if name == loc[-2]:
        already = f"under [{name}] keys are written without this prefix"
        return "\n".join(filter(None, (already, _meant(key, loc, tree, registry))))
    if (name, key) in _places(tree, registry):
        cure = f"did you mean {name}.{key}? It must stand above the first [table]"
        return f"{cure}, or as {key} under [{name}]"
    return _meant(key, loc, tree, registry)


def _meant(name: str | int, loc: Keys, tree: Node, registry: Registry) -> str:
    """Return `did you mean ...?` with other places where a key of this name is known, or ""."""
    found = [
        ".".join(map(str, path))
        for path in _places(tree, registry)
        if path[-1] == name and path != loc
    ]
    return f"did you mean {' or '.join(found[:3])}?" if found else ""


def _places(tree: Node, registry: Registry) -> Iterator[Keys]:
    for table, model in SETTINGS.items():
        yield from _options(model, (table,))
    defaults: set[Keys] = set()
    for kind in KINDS:
        for path, node in _tables(kind, tree):
            for key in CORE_KEYS.get(kind, ()):
                yield (*path, key)
            for option in _options_of(kind, node, path, registry):
                defaults.add(option)
                yield option
            for key, inner_kind in NESTED.get(kind, {}).items():
                if isinstance(node.value, dict) and key in node.value:
                    yield from _options_of(inner_kind, node.value[key], (*path, key), registry)
    for role, kind in kinds_of_roles(tree, registry).items():
        table = tree.value["networks"].value[role]
        for option in _options_of(kind, table, ("networks", role), registry):
            if (kind, *option[2:]) not in defaults:
                yield option


def _tables(kind: Kind, tree: Node) -> Iterator[tuple[Keys, Node]]:
    """Yield the table of each component of a kind, with its place."""
    node = tree.value.get(kind)
    if node is None:
        return
    if isinstance(node.value, list):
        for index, item in enumerate(node.value):
            yield (kind, index), item
    else:
        yield (kind,), node


def _options_of(kind: Kind, node: Node, path: Keys, registry: Registry) -> Iterator[Keys]:
    """Yield the places of the options of the component that a table or a string names."""
    use = node.value.get("use") if isinstance(node.value, dict) else node
    if use is None or not isinstance(use.value, str):
        return
    try:
        model = registry.options_model(registry.entry(kind, use.value))
    except GanzooError:
        return  # the unusable component is reported as a separate problem
    yield from _options(model, path)


def _options(model: type[BaseModel], path: Keys) -> Iterator[Keys]:
    for field, info in model.model_fields.items():
        inner = (*path, key_of(field, info))
        yield inner
        for one in option_type(info).models():
            if issubclass(one, Options):  # leaves out `from` and `to` of a Scalar
                yield from _options(one, inner)
