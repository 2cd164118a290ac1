"""Where a key that stands in the wrong table belongs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from ganzoo.api import KINDS, Kind, Options
from ganzoo.errors import GanzooError
from ganzoo.plugin_system.option_errors import key_of
from ganzoo.plugin_system.option_types import option_type
from ganzoo.plugin_system.registry import CORE_KEYS, Registry
from ganzoo.recipe.merge import Node, descend
from ganzoo.recipe.resolved import KEYS
from ganzoo.recipe.toml_positions import Keys

Settings = Mapping[str, type[Options]]

_TEXTS = ("name", "summary", "extends", "out")
"""Keys of a recipe itself that are no tables."""


def belongs(loc: Keys, tree: Node, registry: Registry, settings: Settings) -> str:
    """A hint with the places, three at most, where a recipe may have the last key of `loc`.

    Those are the recipe's own keys and tables, and the options of the components that this recipe
    names. Empty where there is none.

    Args:
        loc: where the key stands, and isn't known.
        tree: the recipe.
        registry: where the components are.
        settings: the model of each table that is no component's.
    """
    name = loc[-1]
    if name in KEYS and len(loc) > 1:
        value = descend(tree, loc)[0].value
        if isinstance(value, dict):
            return _of_a_table(loc, value, tree, registry, settings)
        if name in _TEXTS or isinstance(value, str):
            return f'"{name}" is a key of the recipe itself: it stands above the first [table]'
    return _meant(name, loc, tree, registry, settings)


def options_of_others(name: str, registry: Registry) -> str:
    """A sentence with the components that have an option of this name, three at most; or "".

    To be asked when `belongs` knows no place: then it can't be a component that the recipe names.
    """
    found = []
    for entry in registry.components():
        try:
            model = registry.options_model(entry)
        except GanzooError:
            continue  # which `ganzoo plugins check` tells
        if name in {path[-1] for path in _options(model, ())}:
            found.append(f"{entry.id} ({entry.component.kind})")
    if not found:
        return ""
    return (
        f"{name} is an option of components that this recipe doesn't name: {', '.join(found[:3])}"
    )


def _of_a_table(
    loc: Keys, value: dict[str, Node], tree: Node, registry: Registry, settings: Settings
) -> str:
    """Of a table of the recipe itself that was begun inside of another: `train.lr` under [data]."""
    name, key = loc[-1], next(iter(value), "KEY")
    if name == loc[-2]:
        already = f"under [{name}] keys are written without this prefix"
        return "\n".join(filter(None, (already, _meant(key, loc, tree, registry, settings))))
    if (name, key) in _places(tree, registry, settings):
        cure = f"did you mean {name}.{key}? It stands above the first [table]"
        return f"{cure}, or as {key} under [{name}]"
    return _meant(key, loc, tree, registry, settings)


def _meant(name: str | int, loc: Keys, tree: Node, registry: Registry, settings: Settings) -> str:
    """The places of a key of this name, but for where it stands, as a question; or ""."""
    found = [
        ".".join(map(str, path))
        for path in _places(tree, registry, settings)
        if path[-1] == name and path != loc
    ]
    return f"did you mean {' or '.join(found[:3])}?" if found else ""


def _places(tree: Node, registry: Registry, settings: Settings) -> Iterator[Keys]:
    for table, model in settings.items():
        yield from _options(model, (table,))
    for kind in KINDS:
        for path, node in _tables(kind, tree):
            if kind in CORE_KEYS:
                yield (*path, CORE_KEYS[kind])
            yield from _options_of(kind, node, path, registry)
            if kind == "data" and isinstance(node.value, dict) and "fallback" in node.value:
                inner = (*path, "fallback")
                yield from _options_of(kind, node.value["fallback"], inner, registry)


def _tables(kind: Kind, tree: Node) -> Iterator[tuple[Keys, Node]]:
    """Each table of a kind's component, with its place."""
    node = tree.value.get(kind)
    if node is None:
        return
    if isinstance(node.value, list):
        for index, item in enumerate(node.value):
            yield (kind, index), item
    else:
        yield (kind,), node


def _options_of(kind: Kind, node: Node, path: Keys, registry: Registry) -> Iterator[Keys]:
    """The options of the component that a table or a string names."""
    use = node.value.get("use") if isinstance(node.value, dict) else node
    if use is None or not isinstance(use.value, str):
        return
    try:
        model = registry.options_model(registry.entry(kind, use.value))
    except GanzooError:
        return  # which is a problem of its own
    yield from _options(model, path)


def _options(model: type[BaseModel], path: Keys) -> Iterator[Keys]:
    for field, info in model.model_fields.items():
        inner = (*path, key_of(field, info))
        yield inner
        for one in option_type(info).models():
            if issubclass(one, Options):  # not the ends of a number that changes
                yield from _options(one, inner)
