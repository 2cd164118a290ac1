"""The smallest form of a recipe: what tasks, metrics, callbacks and networks are tried out in.

Data, networks, losses, task and differentiable augments are taken at their preset `tiny`, augments
of samples, weights to start from and everything that writes files are left out, and the recipe's
stand-in data are taken where it has any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ganzoo.api import Chosen, Kind
from ganzoo.data.pipeline import open_data
from ganzoo.engine.plan import plan_networks
from ganzoo.errors import DataMissing, GanzooError
from ganzoo.plugin_system.registry import Registry
from ganzoo.recipe import load_document, load_recipe, shipped_recipes
from ganzoo.recipe.model import Recipe
from ganzoo.testing.kit import CheckFailed, NotApplicable, NotTested, Unusable
from ganzoo.testing.subject import TINY, Subject

Put = Callable[[dict[str, Any]], None]
"""Changes a recipe's document in place."""

_TRAIN = {
    "epochs": 20,
    "batch_size": 2,
    "accumulate": 1,
    "precision": "fp32",
    "device": "cpu",
    "workers": 0,
    "threads": 1,
    "channels_last": False,
}
_WATCH = {
    "log": "1 step",
    "samples": "never",
    "validate": "never",
    "evaluate": "never",
    "tensorboard": False,
}
TELLS = "check_task_recipe"
"""The check that reports a component that no recipe names, or none that can be planned."""
_SHOWN = 3
"""Recipes that are told of, when none will do."""
_COMPONENTS: tuple[Kind, ...] = (
    *("task", "data", "generator", "discriminator", "network", "loss", "diffaugment"),
)


def _as_it_is(document: dict[str, Any]) -> None:
    """Change nothing."""


def tiny_recipe(
    subject: Subject,
    put: Put = _as_it_is,
    fits: Callable[[Recipe], bool] | None = None,
    wanted: str = "",
) -> Recipe:
    """The tiny form of a recipe that names the component; the plugin's own come first.

    Args:
        subject: the component.
        put: last changes to the recipe.
        fits: whether a recipe will do; any does, if it isn't said.
        wanted: what fits, for the message: `has classes`.

    Raises:
        Unusable: no recipe names it, or none of those can be made tiny.
        CheckFailed: the last changes alone are what can't be made.
        NotTested: the data of all that name it aren't here; or none fits, and one of the plugin's
            own can't be opened.
        NotApplicable: none of them fits.
    """
    faults: list[GanzooError] = []
    named = small_enough = own_missing = False
    for own, recipe in _recipes(subject):
        if not any(_is(subject, chosen) for chosen in _chosen(recipe)):
            continue
        named = True
        try:
            small = _planned(recipe, subject, put)
        except GanzooError as fault:
            fault.message = f"{recipe.name}: {fault.message}"
            faults.append(fault)
            own_missing |= own
        else:
            if fits is None or fits(small):
                return small
            small_enough = True
    told = "\n".join(str(fault) for fault in faults)
    if small_enough and own_missing:
        message = f"no recipe of {subject.id} that can be opened {wanted}; others can't be:\n{told}"
        raise NotTested(message)
    if small_enough:
        message = f"no recipe of {subject.id} {wanted}"
        raise NotApplicable(message)
    if not named:
        message = f"no recipe uses {subject.id}: ship one (the hook ganzoo_recipes)"
        raise Unusable(message, reported_by=TELLS)
    if all(isinstance(fault, DataMissing) for fault in faults):
        message = f"no recipe of {subject.id} has its data here, nor a data.fallback:\n{told}"
        raise NotTested(message)
    message = f"no recipe of {subject.id} can be made tiny:\n{told}"
    if put is not _as_it_is:
        tiny_recipe(subject)
        raise CheckFailed(message)
    raise Unusable(message, reported_by=TELLS)


def task_recipe(
    subject: Subject,
    put: Put = _as_it_is,
    fits: Callable[[Recipe], bool] | None = None,
    wanted: str = "",
) -> Recipe:
    """As `tiny_recipe`, for every check of a task but the one that reports missing data.

    Raises:
        Unusable: also where all data are missing.
    """
    try:
        return tiny_recipe(subject, put, fits, wanted)
    except NotTested:
        try:
            tiny_recipe(subject)
        except NotTested as reason:
            raise Unusable(str(reason), reported_by=TELLS) from reason
        raise


def _planned(recipe: Recipe, subject: Subject, put: Put) -> Recipe:
    """Return the tiny form, whose data are here and whose networks fit them."""
    small = load_document(shrunk(recipe, subject, put), subject.registry)
    plan_networks(small, open_data(small, "train").fields)
    return small


def tiny_host(
    subject: Subject,
    put: Put = _as_it_is,
    fits: Callable[[Recipe], bool] = lambda _: True,
    wanted: str = "can be run here",
) -> Recipe:
    """The tiny form of the first recipe that the component, put into it, makes a run of.

    Args:
        subject: the component.
        put: how to put it in.
        fits: whether the recipe, so changed, will do.
        wanted: what fits, for the message: `has data with ...`.

    Raises:
        NotTested: there is none.
    """
    faults: list[str] = []
    for _, recipe in _recipes(subject):
        try:
            small = _planned(recipe, subject, put)
        except GanzooError as fault:
            faults.append(f"{recipe.name}: {fault.message}")
            continue
        if fits(small):
            return small
    message = "\n".join([f"no installed recipe {wanted}", *faults[:_SHOWN]])
    raise NotTested(message)


def shrunk(recipe: Recipe, subject: Subject, put: Put = _as_it_is) -> dict[str, Any]:
    """The document of a recipe's tiny form.

    Args:
        recipe: any valid one.
        subject: whose settings are laid over the presets.
        put: last changes.
    """
    document: dict[str, Any] = dict(recipe.document)
    data = dict(document["data"])
    fallback = data.pop("fallback", None)
    # A stand-in needs neither files nor a network; who gives settings means the data themselves.
    document["data"] = data if fallback is None or data["use"] in subject.settings else fallback
    for key in _COMPONENTS:
        if key in document:
            document[key] = _smallest(document[key], subject, key)
    if recipe.roles:
        document["networks"] = {
            role: _smallest(table, subject, recipe.roles[role].kind)
            for role, table in document["networks"].items()
        }
    # Weights of the whole networks don't fit the tiny ones, and need not be on this machine.
    document.pop("start", None)
    document |= {"augment": [], "metric": [], "callback": []}
    document["out"] = str(subject.folder)
    document["train"] = {**document["train"], **_TRAIN}
    document["watch"] = {**document["watch"], **_WATCH}
    document["checkpoints"] = {**document["checkpoints"], "every": "never", "best": ""}
    # A warm-up's first steps change nothing, and players that are absent or rest have no turns.
    document["optimizer"] = _at_full_rate(document["optimizer"])
    if "players" in document:
        document["players"] = {
            name: _at_full_rate(table) for name, table in document["players"].items()
        }
    put(document)
    return document


def _at_full_rate(optimizer: Mapping[str, Any]) -> dict[str, Any]:
    left_out = {"schedule", "begin", "rest_above"}
    return {key: value for key, value in optimizer.items() if key not in left_out}


def _smallest(value: Any, subject: Subject, kind: Kind | None) -> Any:
    """A table with its component's preset `tiny` and the settings laid over it, nested ones too.

    Args:
        value: a table, a list of them, or anything.
        subject: whose registry and settings are looked up.
        kind: of the component that the table names; None in nested tables, which don't tell.
    """
    if isinstance(value, list):
        return [_smallest(item, subject, kind) for item in value]
    if not isinstance(value, Mapping):
        return value
    table = dict(value)
    name = table.get("use")
    if isinstance(name, str):
        try:
            found = subject.registry.lookup(name)
        except GanzooError:
            found = ()  # an option that happens to be called `use`
        # One id may name a network and the loss of the same paper.
        of_kind = [entry for entry in found if kind in {None, entry.component.kind}]
        for entry in of_kind:
            if kind is not None or len(of_kind) == 1:
                table |= entry.component.presets.get(TINY, {})
                table |= subject.settings_of(entry)
    return {key: _smallest(item, subject, None) for key, item in table.items()}


def _recipes(subject: Subject) -> Iterator[tuple[bool, Recipe]]:
    """Every installed recipe that is valid here, and whether it is of the component's own plugin.

    Those of this plugin come first.

    Raises:
        Unusable: one of the plugin's own isn't valid.
    """
    shipped = shipped_recipes(subject.registry)
    own = f"{subject.record.namespace}/"
    for name in sorted(shipped, key=lambda name: not name.startswith(own)):
        file = shipped[name]
        try:
            recipe = _loaded(file if isinstance(file, Path) else name, subject.registry)
        except GanzooError as fault:
            if name.startswith(own):
                raise Unusable(f"{name}: {fault}", reported_by="check_recipes") from fault
        else:
            yield name.startswith(own), recipe


@lru_cache(maxsize=256)
def _loaded(name: Path | str, registry: Registry) -> Recipe:
    """Return a recipe, which many checks of one registry look at."""
    return load_recipe(name, registry=registry)


def _chosen(recipe: Recipe) -> Iterator[Chosen]:
    """What a recipe names, nested components left aside."""
    yield from (recipe.task, recipe.data)
    if recipe.fallback is not None:
        yield recipe.fallback
    yield from (entry.chosen for entry in recipe.augment)
    yield from (entry.chosen for entry in recipe.loss)
    yield from recipe.named_networks()
    yield from (*recipe.diffaugment, *recipe.metrics, *recipe.callbacks)


def _is(subject: Subject, chosen: Chosen) -> bool:
    return chosen.id == subject.id and chosen.component.kind == subject.component.component.kind
