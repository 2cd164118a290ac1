"""A copy of a recipe in another folder, with the same meaning as the original."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from ganzoo.plugin_system.registry import Registry
from ganzoo.recipe.find_recipe import find_recipe, shipped_recipes
from ganzoo.recipe.load import read_text, read_tree
from ganzoo.recipe.merge import Node, Source, build, descend, plain
from ganzoo.recipe.parse import parse
from ganzoo.recipe.relative_paths import beside, seen_from, weights_beside
from ganzoo.recipe.resolved import KEYS
from ganzoo.recipe.schema import schema_line
from ganzoo.recipe.start import Start, split_source

_SCHEMA = re.compile(r"\A#:schema [^\n]*\n")


def copied(file: Traversable, folder: Path, registry: Registry, *, flat: bool = False) -> str:
    """Return the text of a copy.

    Its first line names the schema in the new folder, if there is one. The recipes that it extends
    are named so that they are found from the new folder: by the same name as before, by the name
    of a shipped recipe, or by a path. Paths of data and weights beside the recipe are adapted in
    the same way.

    Args:
        file: the recipe.
        folder: the folder of the copy.
        registry: for the recipes that plugins ship.
        flat: whether to write the keys of the extended recipes into the copy, instead of `extends`.
            The comments are lost then.

    Raises:
        RecipeProblems, RecipeError: a recipe that it extends can't be found or read.
    """
    # It is needed without `flat` too, since it raises an error if a recipe can't be read.
    tree = read_tree(file, registry)
    if flat:
        from ganzoo.recipe.write import dumps

        merged: dict[str, Any] = plain(tree)
        for keys, path in _paths(tree, folder):
            merged[keys[0]][keys[1]] = path
        order = [key for key in KEYS if key in merged] + [key for key in merged if key not in KEYS]
        text = dumps({key: merged[key] for key in order})
    else:
        text = _with_paths(file, folder, registry)
    return schema_line(folder) + _SCHEMA.sub("", text)


def _paths(tree: Node, folder: Path) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield the place of each path to something beside its file, and its text in the copy."""
    start = tree.value.get("start")
    roles = start.value if start is not None and isinstance(start.value, dict) else ()
    for keys in (("data", "root"), *(("start", role) for role in roles)):
        node, depth = descend(tree, keys)
        if depth < len(keys) or not isinstance(node.value, str) or keys[1] in Start.model_fields:
            continue
        file = Path(node.mark.source.name)
        if keys[0] == "data":
            if (meant := beside(file, node.value)) is not None:
                yield keys, seen_from(folder, meant)
        elif weights := weights_beside(file, node.value):
            path, name = split_source(weights)
            text = seen_from(folder, Path(path))
            yield keys, text if name is None else f"{text}:{name}"


def _with_paths(file: Traversable, folder: Path, registry: Registry) -> str:
    text = read_text(file).replace("\r\n", "\n")
    data, spans = parse(text)  # this raises nothing, since `read_tree` has parsed the text
    extends = data.get("extends", [])
    named: list[tuple[tuple[str | int, ...], str]] = (
        [(("extends",), extends)]
        if isinstance(extends, str)
        else [(("extends", index), name) for index, name in enumerate(extends)]
    )
    own = build(data, Source(str(file)), spans)
    changes = [(spans[keys], _seen_from(folder, name, file, registry)) for keys, name in named] + [
        (spans[keys], path) for keys, path in _paths(own, folder)
    ]
    for span, path in sorted(changes, key=lambda change: -change[0].start):
        text = f"{text[: span.start]}{json.dumps(path, ensure_ascii=False)}{text[span.end :]}"
    return text


def _seen_from(folder: Path, name: str, file: Traversable, registry: Registry) -> str:
    """Return how a recipe in `folder` must name the parent that `file` names `name`."""
    beside = file if isinstance(file, Path) else None
    parent = find_recipe(name, registry, beside=beside)
    shipped = shipped_recipes(registry)
    if shipped.get(name.removesuffix(".toml")) == parent and not _shadowed(name, folder, parent):
        return name
    if isinstance(parent, Path):
        parent = parent.resolve()
    for known, one in shipped.items():
        own = one.resolve() if isinstance(one, Path) else one
        if own == parent and not _shadowed(known, folder, parent):
            return known
    return (
        Path(os.path.relpath(parent, folder.resolve())).as_posix()
        if isinstance(parent, Path)
        else name
    )


def _shadowed(name: str, folder: Path, parent: Traversable) -> bool:
    """Return whether the name of a shipped recipe would lead to another file of the user."""
    files = {name, f"{name.removesuffix('.toml')}.toml"}
    own = (base / file for base in (folder, Path()) for file in files)
    return any(
        one.is_file() and not (isinstance(parent, Path) and one.samefile(parent)) for one in own
    )
