"""Where a key that stands in the wrong table belongs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from ganzoo.api import KINDS, Kind, Options
from ganzoo.errors import GanzooError
from ganzoo.recipe.document import KEYS
from ganzoo.recipe.locate import Keys
from ganzoo.recipe.tree import Node
from ganzoo.registry import CORE_KEYS, Registry
from ganzoo.wording import key_of, models_in


def belongs(
    loc: Keys, tree: Node, registry: Registry, settings: Mapping[str, type[Options]]
) -> str:
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
        return f'"{name}" is a key of the recipe itself: it stands above the first [table]'
    found = [
        ".".join(map(str, path))
        for path in _places(tree, registry, settings)
        if path[-1] == name and path != loc
    ]
    return f"did you mean {' or '.join(found[:3])}?" if found else ""


def _places(
    tree: Node, registry: Registry, settings: Mapping[str, type[Options]]
) -> Iterator[Keys]:
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
        for one in models_in(info.annotation):
            if issubclass(one, Options):  # not the ends of a number that changes
                yield from _options(one, inner)
