"""Relative paths in a recipe's file: `data.root` and the weights in `[start]`.

They are relative to the folder of that file if they lead to something from there. Otherwise they
are relative to the working directory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ganzoo.files import expanded
from ganzoo.recipe.model import Recipe
from ganzoo.recipe.resolved import document_of
from ganzoo.recipe.start import split_source
from ganzoo.recipe.toml_positions import Keys


def rooted(recipe: Recipe) -> Recipe:
    """Return the recipe with absolute paths where a path names something beside its file.

    The meaning of the recipe then doesn't depend on the working directory, and a run finds its data
    wherever it is resumed. A value given by `--set` is relative to the working directory, and stays
    unchanged.
    """
    changed = _start_beside(_data_beside(recipe))
    return recipe if changed is recipe else replace(changed, document=document_of(changed))


def _data_beside(recipe: Recipe) -> Recipe:
    root = getattr(recipe.data.options, "root", None)
    file = recipe_file_of(recipe, ("data", "root"))
    folder = beside(file, root) if file is not None and isinstance(root, str) else None
    if folder is None:
        return recipe
    options = recipe.data.options.model_copy(update={"root": str(folder)})
    return replace(recipe, data=recipe.data.model_copy(update={"options": options}))


def _start_beside(recipe: Recipe) -> Recipe:
    found = {}
    for role, source in recipe.start.sources.items():
        file = recipe_file_of(recipe, ("start", role))
        if file is not None and (path := weights_beside(file, source)):
            found[role] = path
    return replace(recipe, start=recipe.start.model_copy(update=found)) if found else recipe


def recipe_file_of(recipe: Recipe, keys: Keys) -> Path | None:
    """Return the file that contains a value; None if it comes from elsewhere."""
    origin = recipe.origins.get(keys)
    return Path(origin.source) if origin is not None and origin.line else None


def beside(file: Path, path: str, exists: Callable[[Path], bool] = Path.is_dir) -> Path | None:
    """Return what a relative path names beside a file, by default a folder; None if nothing."""
    try:
        found = (file.parent / path).resolve()
        if expanded(path).is_absolute() or not exists(found):
            return None
    except (OSError, ValueError):  # a name that no file can have
        return None
    return found


def weights_beside(file: Path, source: str) -> str | None:
    """Return weights beside a file as an absolute `FILE or RUN[:role]`; None if there are none."""
    path, role = split_source(source)
    found = beside(file, path, Path.exists)
    if found is None:
        return None
    return str(found) if role is None else f"{found}:{role}"


def seen_from(folder: Path, root: Path) -> str:
    """Return how a recipe in `folder` names `root`.

    The path is relative if `root` lies below `folder` or below its parent, and absolute otherwise.
    """
    try:
        relative = Path(os.path.relpath(root, folder.resolve()))
    except ValueError:  # another drive of Windows
        return root.as_posix()
    return relative.as_posix() if relative.parts[:2] != ("..", "..") else root.as_posix()
