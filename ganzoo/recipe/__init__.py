"""Recipes: the complete description of a run, as data."""

from __future__ import annotations

from ganzoo.recipe.find_recipe import find_recipe, shipped_recipes
from ganzoo.recipe.interval import Interval, parse_every
from ganzoo.recipe.load import load_document, load_recipe, loads, read_recipe
from ganzoo.recipe.model import (
    AugmentEntry,
    Checkpoints,
    Ema,
    Inference,
    LossEntry,
    Optimizer,
    Origin,
    Recipe,
    Train,
    Watch,
)
from ganzoo.recipe.problems import Problem, RecipeProblems

__all__ = [
    "AugmentEntry",
    "Checkpoints",
    "Ema",
    "Inference",
    "Interval",
    "LossEntry",
    "Optimizer",
    "Origin",
    "Problem",
    "Recipe",
    "RecipeProblems",
    "Train",
    "Watch",
    "find_recipe",
    "load_document",
    "load_recipe",
    "loads",
    "parse_every",
    "read_recipe",
    "shipped_recipes",
]
