"""The shipped recipes in a form that takes seconds, on data that need no files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganzoo.data.pipeline import open_data
from ganzoo.errors import DataMissing
from ganzoo.plugin_system.registry import current
from ganzoo.recipe import load_document, load_recipe, shipped_recipes
from ganzoo.recipe.model import Recipe
from ganzoo.testing.subject import Subject
from ganzoo.testing.tiny import shrunk

STAND_INS = {
    "pix2pix/paired": {"use": "facades/procedural", "preset": "tiny"},
    "gan/from_noise": {"use": "gan/stacked_digits", "preset": "tiny", "size": 32},
}
"""Where a recipe's data can't be had here: data of the same kind, by the recipe's task."""


def shipped() -> list[str]:
    """Names of all shipped recipes."""
    return sorted(shipped_recipes(current()))


def narrow(name: str, folder: Path, *, log: int, train: dict[str, Any] | None = None) -> Recipe:
    """A shipped recipe with narrow networks, and with a stand-in where its data aren't here.

    Args:
        name: of the recipe.
        folder: where its runs would be.
        log: steps between two logs.
        train: keys of `[train]` to set. Accumulation is the recipe's own. Precision and device
            are fp32 and the CPU otherwise.
    """
    try:
        recipe = _made(name, folder, log, train or {}, stand_in=False)
        open_data(recipe, "train")
    except DataMissing:
        recipe = _made(name, folder, log, train or {}, stand_in=True)
    return recipe


def _made(name: str, folder: Path, log: int, train: dict[str, Any], *, stand_in: bool) -> Recipe:
    registry = current()
    recipe = load_recipe(name)

    def put(document: dict[str, Any]) -> None:
        if stand_in:
            document["data"] = STAND_INS[recipe.task.id]
            if recipe.task.id == "gan/from_noise":  # the stand-in has no classes
                document["task"]["conditional"] = False
            if recipe.networks["generator"].id == "r3gan/resnet":  # its tiny form makes 16 x 16
                document["data"] = {**document["data"], "size": 16}
        document["watch"]["log"] = f"{log} steps"
        document["train"]["accumulate"] = recipe.train.accumulate
        document["train"] |= train

    subject = Subject(registry, registry.record_of(recipe.task.id), None, folder)
    return load_document(shrunk(recipe, subject, put), registry)
