"""A relative `data.root` in a recipe's file, which names a folder beside that file if it exists."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ganzoo.recipe.model import Recipe
from ganzoo.recipe.resolved import document_of


def rooted(recipe: Recipe) -> Recipe:
    """Return the recipe with a `data.root` made absolute if it names a folder beside its file.

    The meaning of the recipe then doesn't depend on the working directory, and a run finds its data
    wherever it is resumed. A value given by `--set` is relative to the working directory, and stays
    unchanged.
    """
    root = getattr(recipe.data.options, "root", None)
    origin = recipe.origins.get(("data", "root"))
    if not isinstance(root, str) or origin is None or not origin.line:
        return recipe
    folder = beside(Path(origin.source), root)
    if folder is None:
        return recipe
    options = recipe.data.options.model_copy(update={"root": str(folder)})
    changed = replace(recipe, data=recipe.data.model_copy(update={"options": options}))
    return replace(changed, document=document_of(changed))


def beside(file: Path, root: str) -> Path | None:
    """Return the folder that a relative `root` names beside a file; None if there is none."""
    try:
        folder = (file.parent / root).resolve()
        if Path(root).expanduser().is_absolute() or not folder.is_dir():
            return None
    except (OSError, ValueError):  # a name that no file can have
        return None
    return folder


def seen_from(folder: Path, root: Path) -> str:
    """Return how a recipe in `folder` names `root`.

    The path is relative if `root` lies below `folder` or below its parent, and absolute otherwise.
    """
    try:
        relative = Path(os.path.relpath(root, folder.resolve()))
    except ValueError:  # another drive of Windows
        return root.as_posix()
    return relative.as_posix() if relative.parts[:2] != ("..", "..") else root.as_posix()
