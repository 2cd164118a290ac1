"""A relative `data.root` in a recipe's file: the folder beside that file, where there is one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ganzoo.recipe.model import Recipe
from ganzoo.recipe.resolved import document_of


def rooted(recipe: Recipe) -> Recipe:
    """The recipe with an absolute `data.root`, where a relative one names a folder beside its file.

    So it doesn't matter where a command is given, and a run knows its data wherever it is resumed.
    What `--set` gives is meant from the working directory, and stays as it is.
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
    """The folder that a recipe's file means by a relative `root`; None where there is none."""
    try:
        folder = (file.parent / root).resolve()
        if Path(root).expanduser().is_absolute() or not folder.is_dir():
            return None
    except (OSError, ValueError):  # a name that no file can have
        return None
    return folder


def seen_from(folder: Path, root: Path) -> str:
    """How a recipe in `folder` names `root`: by a relative path where it is near, else absolutely.

    Near is what lies below `folder` or below the one around it.
    """
    try:
        relative = Path(os.path.relpath(root, folder.resolve()))
    except ValueError:  # another drive of Windows
        return root.as_posix()
    return relative.as_posix() if relative.parts[:2] != ("..", "..") else root.as_posix()
