"""A relative `data.root` in a recipe's file: the folder beside that file, where there is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ganzoo.recipe.document import document_of
from ganzoo.recipe.model import Recipe


def rooted(recipe: Recipe) -> Recipe:
    """The recipe with an absolute `data.root`, where a relative one names a folder beside its file.

    So it doesn't matter where a command is given, and a run knows its data wherever it is resumed.
    What `--set` gives is meant from the working directory, and stays as it is.
    """
    root = getattr(recipe.data.options, "root", None)
    origin = recipe.origins.get(("data", "root"))
    if not isinstance(root, str) or origin is None or not origin.line:
        return recipe
    try:
        folder = (Path(origin.source).parent / root).resolve()
        there = folder.is_dir() and not Path(root).expanduser().is_absolute()
    except (OSError, ValueError):  # a name that no file can have
        return recipe
    if not there:
        return recipe
    options = recipe.data.options.model_copy(update={"root": str(folder)})
    changed = replace(recipe, data=recipe.data.model_copy(update={"options": options}))
    return replace(changed, document=document_of(changed))
