"""The validation of a recipe: its own keys, and the options in each component's table."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from ganzoo.api import Chosen, Kind, TaskOptions
from ganzoo.plugin_system.registry import CORE_KEYS, SHORT_KEYS, Registry
from ganzoo.plugin_system.suggestions import did_you_mean
from ganzoo.recipe.control_characters import unusable_texts
from ganzoo.recipe.interval import parse_every
from ganzoo.recipe.merge import Node, descend, plain
from ganzoo.recipe.model import (
    SETTINGS,
    AugmentEntry,
    Inference,
    LossEntry,
    Optimizer,
    OptimizerKeys,
    Recipe,
    RoleEntry,
)
from ganzoo.recipe.optimizer_tables import faults_without_effect
from ganzoo.recipe.problems import Problem, RecipeProblems
from ganzoo.recipe.resolved import KEYS, NETWORKS, document_of, mistyped, origins_of
from ganzoo.recipe.role_tables import is_none, no_kind
from ganzoo.recipe.table_checks import Model, TableChecks
from ganzoo.recipe.toml_positions import Keys

DEFAULT_METRICS = (
    "ganzoo/l1",
    "ganzoo/psnr",
    "ganzoo/ssim",
    "ganzoo/gradient_energy",
    "ganzoo/own_other",
)
"""The metrics of a recipe without `[[metric]]`. With an empty array, only the data's metrics are
used."""

OF_PLAYERS = ("begin", "rest_above")
"""The engine's keys that `[players.NAME]` may have, but not `[optimizer]`."""
On = Literal["train", "evaluation", "always"]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
MOST = 50
"""The largest number of unknown keys that are explained."""


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
    for one in faults_without_effect(tree, registry):
        # The table of a player has the keys of [optimizer], so it has their problems too.
        if not any(one.repeats(other) for other in problems):
            problems.append(one)
    check = _Check(tree, registry, problems)
    recipe = check.recipe(stem)
    if recipe is None:
        raise RecipeProblems(check.problems)
    document = document_of(recipe)
    for leaf, message in mistyped(document, check.tree):
        check.complain(leaf, message)
    if check.problems:
        raise RecipeProblems(check.problems)
    origins = origins_of(document, check.tree, registry)
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


class _Check(TableChecks):
    def recipe(self, stem: str) -> Recipe | None:
        """Return the recipe, or None if there are problems."""
        for key in [key for key in self.table if key not in KEYS][:MOST]:
            hint = did_you_mean(key, KEYS) or f"known: {', '.join(KEYS)}"
            if key.startswith(tuple(f"{kind}_" for kind in NETWORKS)):
                hint = f"the table of a single role is called [networks.{key}]"
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
            table: None if is_none(self.table[table]) else self.component((table,), table)
            for table in NETWORKS
            if table in self.table
        }
        roles = self.roles()
        diffaugment = tuple(self.listed("diffaugment", ()))
        loss = tuple(self.loss())
        metrics = tuple(self.listed("metric", DEFAULT_METRICS))
        callbacks = tuple(self.listed("callback", ()))
        settings = {key: self.settings(key, model, task) for key, model in SETTINGS.items()}
        self.best(settings)
        self.averaged(settings)
        optimizer = self.optimizer(("optimizer",))
        players = self.players()
        self.resting(players, settings)
        if self.problems or task is None or data is None or optimizer is None:
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
            roles=roles,
            diffaugment=diffaugment,
            loss=loss,
            metrics=metrics,
            callbacks=callbacks,
            optimizer=optimizer,
            players=players,
            player_places={
                name: node.mark.origin() for name, node in self.table["players"].value.items()
            }
            if players
            else {},
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

    def fallback(self) -> Chosen | None:
        node, depth = descend(self.tree, ("data", "fallback"))
        if depth < 2 or node.value == "none":
            return None
        return self.component(("data", "fallback"), "data")

    def roles(self) -> dict[str, RoleEntry]:
        """Return the networks of roles with a table of their own, which `tree` has as a whole."""
        node = self.table.get("networks")
        if node is None:
            return {}
        if not isinstance(node.value, dict):
            self.complain(("networks",), "must be a table with a table for each role")
            return {}
        entries = {}
        for role, own in node.value.items():
            kind, chosen = self.kinds.get(role), None
            if kind is not None:
                chosen = self.component(("networks", role), kind)
            elif not is_none(own):
                self.tell(no_kind(role, self.tree, self.registry))
            entries[role] = RoleEntry(kind, chosen, own.mark.origin())
        return entries

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

    def listed(self, key: Kind, default: tuple[str, ...]) -> Iterator[Chosen]:
        if key in self.table:
            found = [self.component(loc, key) for loc, _ in self.items(key)]
        else:
            found = [self.choose(key, name, (key,)) for name in default]
        yield from (chosen for chosen in found if chosen is not None)

    def settings(self, key: str, model: type[Model], task: Chosen | None) -> Model | None:
        value = plain(self.table[key]) if key in self.table else {}
        if model is Inference and isinstance(value, dict):
            options = task.options if task else None
            own = options.default_mode if isinstance(options, TaskOptions) else None
            value = {"mode": own, **value} if own else value
        return self.model((key,), model, value)

    def best(self, settings: Mapping[str, Any]) -> None:
        """Check that the validation split is scored if a best checkpoint is to be kept."""
        checkpoints, watch = settings["checkpoints"], settings["watch"]
        if checkpoints and watch and checkpoints.best and watch.validate_every.strip() == "never":
            message = "has no effect, because nothing is validated"
            self.complain(("checkpoints", "best"), message, 'set watch.validate, as "5 epochs"')

    def resting(self, players: Mapping[str, Optimizer], settings: Mapping[str, Any]) -> None:
        """Check that players with `rest_above` can rest exactly: at log steps that are counted."""
        watch = settings["watch"]
        log = parse_every(watch.log) if watch else None
        for name, player in players.items() if watch else ():
            if player.keys.rest_above is not None and (log is None or log.unit == "minutes"):
                message = f'is decided at log steps, and watch.log is "{watch.log}"'
                hint = 'set watch.log in steps, images or epochs, as "50 steps"'
                self.complain(("players", name, "rest_above"), message, hint)

    def averaged(self, settings: Mapping[str, Any]) -> None:
        """Check that there is an average if roles are named for it.

        Where `enabled = false` is written, the roles are meant for a later time, and stay.
        """
        ema = settings["ema"]
        if ema and ema.roles and "enabled" not in ema.model_fields_set:
            message = "has no effect, because nothing is averaged"
            self.complain(("ema", "roles"), message, "set ema.enabled = true")

    def optimizer(self, loc: Keys) -> Optimizer | None:
        """Return the optimizer of a table, which `tree` has as a whole."""
        node, _ = descend(self.tree, loc)
        if not isinstance(node.value, dict):
            self.choose("optimizer", plain(node), loc)
            return None
        core = CORE_KEYS["optimizer"]
        for key in OF_PLAYERS if loc == ("optimizer",) else ():
            if key in node.value:
                message = "is a key of a single player"
                self.complain((*loc, key), message, "write it in [players.NAME]", on_key=True)
        places: dict[Kind, Keys] = {"optimizer": loc, "schedule": (*loc, "schedule")}
        for kind, place in places.items():
            if descend(self.tree, (*place, SHORT_KEYS[kind]))[1] > len(place):
                message = "is short for `use`, which this table has too"
                hint = "leave it out, and write the whole id, such as ganzoo/NAME, as `use`"
                self.complain((*place, SHORT_KEYS[kind]), message, hint, on_key=True)
        chosen = self.component(loc, "optimizer", (*core, SHORT_KEYS["optimizer"]))
        schedule = self.component((*loc, "schedule"), "schedule", (SHORT_KEYS["schedule"],))
        given = {key: plain(item) for key, item in node.value.items() if key in core}
        keys = schedule and self.model(loc, OptimizerKeys, {**given, "schedule": schedule})
        return Optimizer(chosen, keys, ".".join(map(str, loc))) if chosen and keys else None

    def players(self) -> dict[str, Optimizer]:
        """Return the optimizer of each player: `[optimizer]` with changes of `[players.NAME]`."""
        node = self.table.get("players")
        if node is None:
            return {}
        if not isinstance(node.value, dict):
            self.complain(("players",), "must be a table with a table for each player")
            return {}
        found = {name: self.optimizer(("players", name)) for name in node.value}
        return {name: optimizer for name, optimizer in found.items() if optimizer is not None}
