"""A recipe for oneself: a copy that goes on meaning what it meant where it was."""

from __future__ import annotations

import os
import re
from importlib.resources.abc import Traversable
from pathlib import Path

from ganzoo.recipe.document import KEYS
from ganzoo.recipe.find import find_recipe, shipped_recipes
from ganzoo.recipe.load import read_merged, read_text
from ganzoo.recipe.parse import parse
from ganzoo.recipe.schema import schema_line
from ganzoo.registry import Registry

_SCHEMA = re.compile(r"\A#:schema [^\n]*\n")


def copied(file: Traversable, folder: Path, registry: Registry, *, flat: bool = False) -> str:
    """The text of a copy.

    Its first line names the schema that is in the new folder, if one is. What it extends is named
    so that it is found from there: as it was, by a shipped recipe's name, or by a path.

    Args:
        file: the recipe.
        folder: where the copy will be.
        registry: for the recipes that plugins ship.
        flat: write what it extends into it, instead of extending; loses the comments.

    Raises:
        RecipeProblems, RecipeError: a recipe that it extends can't be found or read.
    """
    merged = read_merged(
        file, registry
    )  # also where not flat: a copy of what can't be read is none
    if flat:
        from ganzoo.recipe.write import dumps

        order = [key for key in KEYS if key in merged] + [key for key in merged if key not in KEYS]
        text = dumps({key: merged[key] for key in order})
    else:
        text = _with_extends(file, folder, registry)
    return schema_line(folder) + _SCHEMA.sub("", text)


def _with_extends(file: Traversable, folder: Path, registry: Registry) -> str:
    text = read_text(file).replace("\r\n", "\n")
    data, spans = parse(text)  # which `read_merged` has done without complaint
    extends = data.get("extends", [])
    places = (
        [(("extends",), extends)]
        if isinstance(extends, str)
        else [(("extends", index), name) for index, name in enumerate(extends)]
    )
    for keys, name in reversed(places):
        span = spans[keys]
        text = f'{text[: span.start]}"{_seen_from(folder, name, file, registry)}"{text[span.end :]}'
    return text


def _seen_from(folder: Path, name: str, file: Traversable, registry: Registry) -> str:
    """What a recipe elsewhere must write for the parent that `file` calls `name`."""
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
    """Whether a shipped recipe's name would mean another file: one of the user's own."""
    files = {name, f"{name.removesuffix('.toml')}.toml"}
    own = (base / file for base in (folder, Path()) for file in files)
    return any(
        one.is_file() and not (isinstance(parent, Path) and one.samefile(parent)) for one in own
    )
