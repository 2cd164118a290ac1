"""The validation of a recipe: its own keys, and the options in each component's table."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

from pydantic import ValidationError

from ganzoo.api import Chosen, Kind, Options
from ganzoo.errors import ExitCode
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.plugin_system.option_errors import QUOTES, UNKNOWN, explain
from ganzoo.plugin_system.registry import Registry
from ganzoo.plugin_system.suggestions import did_you_mean
from ganzoo.recipe.control_characters import quotes_for, unusable_texts
from ganzoo.recipe.merge import Node, build, descend, merge, plain
from ganzoo.recipe.misplaced_keys import belongs, options_of_others
from ganzoo.recipe.model import (
    AugmentEntry,
    Checkpoints,
    Ema,
    Inference,
    LossEntry,
    Optimizer,
    Recipe,
    Train,
    Watch,
)
from ganzoo.recipe.problems import Problem, RecipeProblems, at
from ganzoo.recipe.resolved import KEYS, NETWORKS, document_of, dump, mistyped, origins_of
from ganzoo.recipe.toml_positions import Keys

SETTINGS: dict[str, type[Options]] = {
    "train": Train,
    "optimizer": Optimizer,
    "ema": Ema,
    "watch": Watch,
    "checkpoints": Checkpoints,
    "inference": Inference,
}
ARRAYS: tuple[Kind, ...] = ("augment", "diffaugment", "metric", "callback")
DEFAULT_METRICS = (
    "ganzoo/l1",
    "ganzoo/psnr",
    "ganzoo/ssim",
    "ganzoo/gradient_energy",
    "ganzoo/own_other",
)
"""The metrics of a recipe without `[[metric]]`. With an empty array, only the data's metrics are
used."""

On = Literal["train", "evaluation", "always"]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
MOST = 50
"""The largest number of unknown keys that are explained."""

Model = TypeVar("Model", bound=Options)


def normalise(tree: Node) -> Node:
    """Return the tree with one form for values with two, such as `[loss]` and `[[loss]]`."""
    table = dict(tree.value)
    for key in ARRAYS:
        if key in table and not isinstance(table[key].value, list):
            table[key] = Node([table[key]], table[key].mark)
    if "loss" in table and isinstance(table["loss"].value, list) and len(table["loss"].value) == 1:
        table["loss"] = table["loss"].value[0]
    return Node(table, tree.mark)


def validate(
    tree: Node,
    registry: Registry,
    problems: list[Problem],
    *,
    stem: str,
    text: str,
    path: Path | None,
) -> Recipe:
    """Check a merged and normalised recipe.

    Args:
        tree: the recipe.
        registry: the registry of components.
        problems: the problems that were found before.
        stem: the name for a recipe without one.
        text: the file as it was read, for `Recipe.text`.
        path: the file, for `Recipe.path`.

    Raises:
        RecipeProblems: there are problems: those in `problems`, and those found here.
    """
    check = _Check(tree, registry, problems)
    recipe = check.recipe(stem)
    if recipe is None:
        raise RecipeProblems(check.problems)
    document = document_of(recipe)
    for leaf, message in mistyped(document, tree):
        check.complain(leaf, message)
    if check.problems:
        raise RecipeProblems(check.problems)
    origins = origins_of(document, tree, registry)
    return replace(recipe, document=document, origins=origins, path=path, text=text)


def runs_folder(tree: Node, registry: Registry, problems: list[Problem], *, stem: str) -> Path:
    """Return the folder of a recipe's runs; the arguments are those of `validate`.

    Raises:
        RecipeProblems: `problems` isn't empty, or one of the keys `name` and `out` is wrong.
    """
    check = _Check(tree, registry, problems)
    name, out = check.place(stem)
    if check.problems:
        raise RecipeProblems(check.problems)
    return Path(out) / name


class _Check:
    def __init__(self, tree: Node, registry: Registry, problems: list[Problem]) -> None:
        self.tree = tree
        self.table: dict[str, Node] = tree.value
        self.registry = registry
        self.problems = problems

    def recipe(self, stem: str) -> Recipe | None:
        """Return the recipe, or None if there are problems."""
        for key in [key for key in self.table if key not in KEYS][:MOST]:
            hint = did_you_mean(key, KEYS) or f"known: {', '.join(KEYS)}"
            self.complain((key,), "unknown key", self.home((key,), hint), on_key=True)
        for loc, message, hint in unusable_texts(self.tree):
            self.complain(loc, message, hint)
        name, out = self.place(stem)
        summary = self.text("summary", "")
        task = self.component(("task",), "task")
        data = self.component(("data",), "data", ("fallback",))
        fallback = self.fallback()
        augment = tuple(self.augment())
        networks: dict[str, Chosen | None] = {
            table: self.network(table) for table in NETWORKS if table in self.table
        }
        diffaugment = tuple(self.listed("diffaugment", ()))
        loss = tuple(self.loss())
        metrics = tuple(self.listed("metric", DEFAULT_METRICS))
        callbacks = tuple(self.listed("callback", ()))
        settings = {key: self.settings(key, model) for key, model in SETTINGS.items()}
        self.best(settings)
        players = self.players(cast("Optimizer | None", settings["optimizer"]))
        if self.problems or task is None or data is None:
            return None
        return Recipe(
            name=name,
            summary=summary,
            out=out,
            task=task,
            data=data,
            fallback=fallback,
            augment=augment,
            networks=networks,
            diffaugment=diffaugment,
            loss=loss,
            metrics=metrics,
            callbacks=callbacks,
            players=players,
            **cast("dict[str, Any]", settings),
        )

    def place(self, stem: str) -> tuple[str, str]:
        """Return the recipe's name and the folder of all runs."""
        name = self.text("name", re.sub(r"[^A-Za-z0-9._-]", "_", stem)[:200])
        if not NAME.fullmatch(name):
            message = "must have only letters, digits, dots, _ and -, and begin with one of the"
            self.complain(("name",), f"{message} first two; it has 200 characters at most")
        out = self.text("out", "runs")
        if any(len(os.fsencode(part)) > 255 for part in out.split("/")) or len(out) > 1000:
            self.complain(("out",), "is too long for a folder")
        return name, out

    def complain(
        self,
        loc: Keys,
        message: str,
        hint: str = "",
        *,
        on_key: bool = False,
        exit_code: ExitCode = ExitCode.RECIPE,
    ) -> None:
        """Record a problem at its place, or at the nearest table if nothing is there."""
        node, depth = descend(self.tree, loc)
        if hint == QUOTES:
            hint = quotes_for(node)
        at_table = depth < len(loc) and isinstance(node.value, dict | list)
        key = ".".join(map(str, loc))
        self.problems.append(
            at(node.mark, key, message, hint, on_key=on_key or at_table, exit_code=exit_code)
        )

    def choose(self, kind: Kind, value: Any, loc: Keys) -> Chosen | None:
        try:
            return self.registry.choose(kind, value, loc)
        except ChoiceError as error:
            for one in error.problems:
                hint = self.home(one.loc, one.hint) if one.message == UNKNOWN else one.hint
                self.complain(
                    one.loc, one.message, hint, on_key=one.on_key, exit_code=one.exit_code
                )
            return None

    def home(self, loc: Keys, hint: str) -> str:
        """Return a hint for an unknown key: the nearest known key, and tables that know the key."""
        near = hint if hint.startswith("did you mean") else ""
        there = belongs(loc, self.tree, self.registry, SETTINGS)
        if there or near:
            return "\n".join(filter(None, (there, near)))
        others = options_of_others(str(loc[-1]), self.registry)
        return "\n".join(filter(None, (others, hint)))

    def component(self, loc: Keys, kind: Kind, core: tuple[str, ...] = ()) -> Chosen | None:
        """Return the component of a table whose keys in `core` aren't options of the component."""
        node, depth = descend(self.tree, loc)
        if depth < len(loc):
            self.complain(loc, "is required", f"`ganzoo list {kind}` lists what it may be")
            return None
        value = plain(node)
        if isinstance(value, dict):
            value = {key: item for key, item in value.items() if key not in core}
        return self.choose(kind, value, loc)

    def text(self, key: str, default: str) -> str:
        node = self.table.get(key)
        if node is None:
            return default
        if not isinstance(node.value, str):
            self.complain((key,), "must be text", QUOTES)
            return default
        return node.value

    def fallback(self) -> Chosen | None:
        node, depth = descend(self.tree, ("data", "fallback"))
        if depth < 2 or node.value == "none":
            return None
        return self.component(("data", "fallback"), "data")

    def network(self, table: Kind) -> Chosen | None:
        node = self.table[table]
        if plain(node) in ("none", {"use": "none"}):
            return None
        return self.component((table,), table)

    def items(self, key: str) -> Iterator[tuple[Keys, Node]]:
        """Yield the place and node of each table of an array, or of a single table."""
        node = self.table[key]
        if isinstance(node.value, list):
            for index, item in enumerate(node.value):
                yield (key, index), item
        else:
            yield (key,), node

    def augment(self) -> Iterator[AugmentEntry]:
        if "augment" not in self.table:
            return
        for loc, _ in self.items("augment"):
            on = self.core_key((*loc, "on"), "train")
            if on not in get_args(On):
                message = 'must be "train", "evaluation" or "always"'
                self.complain((*loc, "on"), message, did_you_mean(str(on), get_args(On)))
            chosen = self.component(loc, "augment", ("on",))
            if chosen is not None:
                yield AugmentEntry(chosen, on)

    def loss(self) -> Iterator[LossEntry]:
        if "loss" not in self.table:
            self.complain(("loss",), "is required", "`ganzoo list loss` lists what it may be")
            return
        names: set[str] = set()
        several = isinstance(self.table["loss"].value, list)
        if several and not self.table["loss"].value:
            self.complain(("loss",), "must have at least one entry")
        for loc, _ in self.items("loss"):
            name = self.core_key((*loc, "name"), "")
            chosen = self.component(loc, "loss", ("name",))
            if not isinstance(name, str):
                self.complain((*loc, "name"), "must be text")
                continue
            if several and chosen is not None:
                label = name or chosen.component.name
                if label in names:
                    message = f'must differ from the others\': "{label}" is taken'
                    self.complain((*loc, "name"), message, "terms are logged as name/term")
                names.add(label)
                name = label
            if chosen is not None:
                yield LossEntry(chosen, name)

    def core_key(self, loc: Keys, default: Any) -> Any:
        node, depth = descend(self.tree, loc)
        return node.value if depth == len(loc) else default

    def listed(self, key: Kind, default: tuple[str, ...]) -> Iterator[Chosen]:
        if key in self.table:
            found = [self.component(loc, key) for loc, _ in self.items(key)]
        else:
            found = [self.choose(key, name, (key,)) for name in default]
        yield from (chosen for chosen in found if chosen is not None)

    def settings(self, key: str, model: type[Model]) -> Model | None:
        value = plain(self.table[key]) if key in self.table else {}
        return self.model((key,), model, value)

    def best(self, settings: Mapping[str, Any]) -> None:
        """Check that the validation split is scored if a best checkpoint is to be kept."""
        checkpoints, watch = settings["checkpoints"], settings["watch"]
        if checkpoints and watch and checkpoints.best and watch.validate_every.strip() == "never":
            message = "has no effect, because nothing is validated"
            self.complain(("checkpoints", "best"), message, 'set watch.validate, as "5 epochs"')

    def model(self, loc: Keys, model: type[Model], value: Any) -> Model | None:
        if not isinstance(value, Mapping):
            self.complain(loc, "must be a table")
            return None
        try:
            return model.model_validate(value)
        except ValidationError as error:
            for one in explain(error, model, value):
                place = (*loc, *one.loc)
                hint = self.home(place, one.hint) if one.message == UNKNOWN else one.hint
                self.complain(place, one.message, hint, on_key=one.on_key)
            return None

    def players(self, optimizer: Optimizer | None) -> dict[str, Optimizer]:
        """Return the optimizer of each player: `[optimizer]` with changes of `[players.NAME]`."""
        node = self.table.get("players")
        if node is None:
            return {}
        if not isinstance(node.value, dict):
            self.complain(("players",), "must be a table with a table for each player")
            return {}
        base = build(dump(optimizer or Optimizer()), node.mark.source, {})
        players = {}
        for name, changes in node.value.items():
            player = self.model(("players", name), Optimizer, plain(merge(base, changes)))
            if player is not None:
                players[name] = player
        return players
