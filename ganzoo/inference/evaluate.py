"""Scoring a run on held-out data, with controls beside that any honest figure must beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ganzoo.api import Mode
from ganzoo.data.fingerprint import difference, identity_of
from ganzoo.data.formats import is_8_bit_image, unlike
from ganzoo.data.pipeline import PreparedData, open_for_evaluation
from ganzoo.errors import DataError, UsageError
from ganzoo.files import write_json
from ganzoo.inference import baselines
from ganzoo.inference.application_weights import Weights, find_application
from ganzoo.inference.applications import draws_all, lacking
from ganzoo.inference.from_noise import load_sampler
from ganzoo.inference.load_application import load_trained
from ganzoo.inference.report import Gallery, results_of, together
from ganzoo.inference.score_nets import Part, contestants, left_out, parts_of
from ganzoo.inference.scoring import judge, judge_drawn, metrics_for
from ganzoo.inference.trained_application import Applied
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.interfaces import Split
from ganzoo.recipe import Recipe, load_recipe
from ganzoo.recipe.resolved import flatten
from ganzoo.run_files import RESOLVED, no_run, read_status

MOST_PICTURES = 100
"""Samples from drawn inputs that are saved as pictures; they need no more to be looked at."""


def run_recipe(run: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a run directory.

    Args:
        run: the directory.
        overrides: `--set`s, which may say where the data lie and nothing else.

    Raises:
        UsageError: this is none; or another key than `data.root` would change.
    """
    resolved = run / RESOLVED
    if not resolved.is_file():
        raise no_run(run)
    recipe = load_recipe(resolved, overrides)
    if overrides:
        old, new = flatten(load_recipe(resolved).document), flatten(recipe.document)
        others = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        if others := [key for key in others if key != "data.root"]:
            raise UsageError(
                f"a run is evaluated as it was trained: {', '.join(others)} can't be set",
                where="--set",
                hint="Only data.root can be set, if the data were moved.",
            )
    return recipe


def trained_data(recipe: Recipe, card: WeightsCard, split: Split) -> PreparedData:
    """A split of the data that weights were trained on, in its form for evaluation.

    Never a stand-in for weights of real photographs, nor the reverse once the data have been found.

    Raises:
        DataError: the values of its files mean something else than those of the training data.
    """
    used = card.data.get("use")
    stand_in = recipe.fallback is not None and used == recipe.fallback.id != recipe.data.id
    data = open_for_evaluation(recipe, split, stand_in=stand_in)
    for name in data.fields.keys() & card.fields.keys():
        if reason := unlike(data.fields[name], card.fields[name]):
            raise DataError(f"{name} of the {split} split {reason}", where=data.chosen.id)
    return data


def evaluate_run(
    run: Path,
    split: Split,
    *,
    application: str | None = None,
    options: Mapping[str, Any] | None = None,
    mode: Mode | None = None,
    seed: int = 0,
    limit: int | None = None,
    device: str = "auto",
    ema: bool | None = None,
    overrides: Sequence[str] = (),
    done: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Score a run's newest weights on a split, with controls beside.

    What is generated is saved in `RUN/evaluation/SPLIT_MODE/`, the document as `SPLIT_MODE.json`
    beside it; both are replaced by the next evaluation of that name. Images are files `NAME.png`,
    of an application that draws its inputs the first 100; points are one file `samples.npy`, N x D
    floats. Where the task has several applications each has a folder of its own,
    `SPLIT_MODE/APPLICATION/`, and the document of one that was asked for is called
    `SPLIT_MODE_APPLICATION.json`.

    Args:
        run: the run directory.
        split: the data to score on.
        application: the one to score; None: each whose inputs and results the data have.
        options: of the application, by key; the others have their defaults.
        mode: the recipe's unless given.
        seed: of the dropout, and of what is drawn.
        limit: score this many samples alone.
        device: `auto`, `cpu`, `cuda` or `mps`.
        ema: see `ganzoo.inference.find_weights.find_networks`.
        overrides: see `run_recipe`.
        done: called with the number of samples done and their total.

    Returns:
        `{"run", "file", "weights", "application", "options", "step", "split", "mode", "seed", "n",
        "data", "stand_in", "direction", "notes", "names", "metrics": {NAME: {"mean",
        "per_image"}}, "controls": {CONTROL: {NAME: mean}}, "headlines", "better": {NAME: "lower"},
        "protocol": {NAME: sentence}}`.
        A NAME whose `per_image` is empty is a figure of the whole set. Of a task with several
        applications, NAME is `APPLICATION/NAME`, and `weights`, `application`, `options`, `n`,
        `direction` and `names` are tables by application (see `parts_of`).

    Raises:
        UsageError: this is no run directory, or holds no weights, or there is no such application,
            or the data lack what it takes, or have nothing that it gives.
        GanzooError: weights or data can't be used.
    """
    recipe = run_recipe(run, overrides)
    if overrides:
        _refuse_other_data(run, recipe)
    first = find_application(run, application, ema=ema)
    names, notes = ([application], []) if application else _scored(recipe, run, first.card)
    if options and len(names) > 1:
        raise UsageError(
            "--option is for one application, and this task has several",
            hint=f"Name one with --application: {', '.join(names)}.",
        )
    documents = {}
    for name in names:
        # Finding weights reads whole files, to compare them with their hashes.
        weights = first if name == first.name else find_application(run, name, ema=ema)
        folder = run / "evaluation" / f"{split}_{mode or weights.card.inference['mode']}"
        data = trained_data(recipe, weights.card, split)
        parts = [
            part for part in parts_of(weights.task, weights.files, data.fields) if part.name == name
        ]
        if not parts:
            missing = lacking(weights.application, data.fields)
            verb, absent = ("takes", missing) if missing else ("gives", weights.application.gives)
            raise UsageError(
                f"the application {name} {verb} {' and '.join(absent)}, which the data don't have, "
                "so that it can't be scored",
                where=str(run),
            )
        for part in parts:
            documents[part.label] = _evaluate_part(
                *(recipe, weights, part, data, folder / part.label),
                options=options or {},
                mode=mode,
                seed=seed,
                limit=limit,
                device=device,
                done=done,
            )
    several = any(documents)  # labels: the only part of a task with one application has none
    ending = f"_{application}.json" if several and application else ".json"
    file = folder.with_name(f"{folder.name}{ending}")
    results = together(documents) if several else documents[""]
    results["notes"] = [*notes, *results["notes"]]
    document = {"run": str(run), "file": str(file), **results}
    write_json(file, document)
    return document


def _scored(recipe: Recipe, run: Path, card: WeightsCard) -> tuple[list[str], list[str]]:
    """Return the applications of a run that its data can judge, and a note about each other one.

    Raises:
        UsageError: when there are none.
    """
    roles = recipe.task.load().roles
    trained = [role for role, kind in roles.items() if recipe.network_of(role, kind) is not None]
    names = [part.name for part in parts_of(recipe.task, trained, card.fields)]
    notes = left_out(recipe.task, trained, card.fields)
    if not names:
        fault = (
            f"the data lack what the applications of {recipe.task.id} take"
            if notes
            else f"the data have nothing that an application of {recipe.task.id} gives"
        )
        hint = "\n".join(notes)
        raise UsageError(f"{fault}, so that none can be scored", where=str(run), hint=hint)
    return list(dict.fromkeys(names)), notes


def _refuse_other_data(run: Path, recipe: Recipe) -> None:
    """Compare the training images below another `data.root` with the run's, if they are there.

    Raises:
        DataError: they are others, so the held-out ones would be too.
    """
    before = read_status(run).get("data")
    if before is None:
        return
    try:
        train = open_for_evaluation(recipe, "train", stand_in=before["stand_in"])
    except DataError:
        return  # those held out may be there without them
    if reason := difference(before, identity_of(train)):
        raise DataError(reason, where=str(run), hint="Set data.root to the run's own data.")


def _evaluate_part(
    recipe: Recipe,
    weights: Weights,
    part: Part,
    data: PreparedData,
    folder: Path,
    *,
    options: Mapping[str, Any],
    mode: Mode | None,
    seed: int,
    limit: int | None,
    device: str,
    done: Callable[[int, int], None],
) -> dict[str, Any]:
    """The document of one part, without the run."""
    metrics, notes = metrics_for(recipe, data), list(data.notes)
    its_format, its_field = data.formats[part.given], data.fields[part.given]
    used: Applied
    if draws_all(part.application):
        used = load_sampler(weights, options=options, mode=mode, seed=seed, device=device)
        gallery = Gallery(folder, its_format, its_field, MOST_PICTURES)
        judgement = judge_drawn(
            *(data, used, metrics, part.given),
            seed=seed,
            limit=limit,
            keep=gallery.add,
            done=done,
        )
    else:
        used = load_trained(weights, options=options, mode=mode, seed=seed, device=device)
        fitted = _fit_controls(recipe, weights.card, data, part.fields, notes)
        gallery = Gallery(folder, its_format, its_field)
        make = contestants(used, data, part, fitted, gallery.add)
        judgement = judge(data, make, metrics, fields=part.fields, limit=limit, done=done)
    gallery.finish()
    settings = used.settings()
    return {
        "weights": str(weights.path),
        "application": settings["application"],
        "options": settings["options"],
        "step": weights.card.step,
        "split": data.split,
        "mode": used.mode,
        "seed": seed,
        "n": len(judgement.names),
        "data": data.chosen.id,
        "stand_in": data.stand_in,
        "direction": used.direction,
        "notes": notes + judgement.notes,
        "names": judgement.names,
        **results_of(judgement, metrics),
    }


def _fit_controls(
    recipe: Recipe,
    card: WeightsCard,
    data: PreparedData,
    fields: tuple[str, str],
    notes: list[str],
) -> baselines.Controls | None:
    """The controls; None for what isn't an 8-bit image, and without the training data.

    That is said, since those held out may be there without the training data.
    """
    made, made_format = data.fields[fields[1]], data.formats[fields[1]]
    if fields[0] == fields[1]:
        notes.append(f"No controls: {fields[1]} is also what goes in.")
        return None
    if made.mask or not is_8_bit_image(made, made_format):
        if made_format.pixels:
            notes.append("No controls: they are made for 8-bit images without a mask.")
        return None
    try:
        train = trained_data(recipe, card, "train")
    except DataError as error:
        notes.append(f"No controls: the training data can't be opened ({error.message}).")
        return None
    return baselines.fit_controls(train, *fields)
