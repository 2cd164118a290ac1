"""Scoring a run on held-out data, with controls beside that any honest figure must beat."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ganzoo.api import Mode, NetOptions
from ganzoo.data.fingerprint import difference, identity_of
from ganzoo.data.formats import is_8_bit_image
from ganzoo.data.pipeline import PreparedData, open_for_evaluation
from ganzoo.data.rng import isolated
from ganzoo.errors import DataError, UsageError
from ganzoo.files import write_json
from ganzoo.inference import baselines
from ganzoo.inference.find_weights import find_weights
from ganzoo.inference.from_noise import Sampler, load_sampler
from ganzoo.inference.report import Gallery, results_of, together
from ganzoo.inference.scores import NETWORK, means, without_bounds
from ganzoo.inference.scoring import Made, as_file, judge, judge_drawn, metrics_for
from ganzoo.inference.trained_network import Trained, direction, draws, load_trained, task_of
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.inference.weights_file import read_card
from ganzoo.interfaces import NetIO, Split
from ganzoo.process.memory import memory_for
from ganzoo.recipe import Recipe, load_recipe
from ganzoo.recipe.resolved import flatten
from ganzoo.run_files import RESOLVED, no_run, read_status

log = logging.getLogger(__name__)

MOST_PICTURES = 100
"""Samples from drawn inputs that are saved as pictures; they need no more to be looked at."""


def score_nets(
    recipe: Recipe,
    nets: Mapping[str, nn.Module],
    split: Split,
    *,
    data: PreparedData | None = None,
    io: Mapping[str, NetIO] | None = None,
    mode: Mode | None = None,
    seed: int = 0,
    limit: int | None = None,
) -> dict[str, float]:
    """Score networks in training: the mean of each metric, and nothing else left behind.

    Neither the networks nor any global random generator is changed.

    Args:
        recipe: the run's recipe, whose metrics are used.
        nets: raw networks by role; each that the task serves is scored.
        split: the data to score on.
        data: the split, if it is open already.
        io: shapes of the networks; by default those that the split's own shapes lead to.
        mode: the recipe's `inference.mode` by default.
        seed: of the dropout, and of what is drawn.
        limit: score this many samples alone.

    Returns:
        Means by name: `l1`, or `ROLE/l1` for a task that serves several roles; without ceilings
        and floors, which training doesn't change.
    """
    task = recipe.task.load()
    mode = mode or recipe.inference.mode
    found: dict[str, float] = {}
    with isolated():
        data = data or open_for_evaluation(recipe, split)
        metrics = metrics_for(recipe, data)
        for role, fields in task.serves.items():
            if draws(recipe.task, role, data.fields):
                shapes = io[role] if io else task.io(role, recipe.task.options, data.fields)
                sampler = Sampler(nets[role], recipe.task, role, shapes, mode)
                judgement = judge_drawn(
                    data, sampler, metrics, seed=seed, limit=limit, control=False
                )
            else:
                network = recipe.network_of(role, task.roles[role])
                options = network.options if network else None
                multiple = options.size_multiple() if isinstance(options, NetOptions) else 1
                trained = Trained(nets[role], recipe.task, role, mode, seed, multiple)
                make = _contestants(trained, data)
                judgement = judge(data, make, metrics, fields=fields, limit=limit)
            for note in judgement.notes:
                log.warning(note)
            prefix = f"{role}/" if len(task.serves) > 1 else ""
            values = means(without_bounds(judgement.scores.get(NETWORK, {})))
            found |= {f"{prefix}{name}": value for name, value in values.items()}
    return found


def _contestants(
    trained: Trained,
    data: PreparedData,
    fitted: baselines.Controls | None = None,
    keep: Callable[[str, Made], None] = lambda *_: None,
) -> Callable[[Mapping[str, Tensor], str], dict[str, Made]]:
    """The network and the controls, as `judge` wants them."""
    made_field = trained.fields[1]

    def make(sample: Mapping[str, Tensor], name: str) -> dict[str, Made]:
        inputs = {key: value for key, value in sample.items() if key != made_field}
        hint = "Use --device cpu, or data of smaller images (an [[augment]] that resizes)."
        with memory_for("a sample of this size", hint=hint, where=name):
            result = trained(inputs, name)
            made = data.formats[made_field].to_array(result, data.fields[made_field])
            keep(name, as_file(made, made_field, sample, data))
            return {NETWORK: made, **(fitted.images(sample) if fitted else {})}

    return make


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
    """
    used = card.data.get("use")
    stand_in = recipe.fallback is not None and used == recipe.fallback.id != recipe.data.id
    return open_for_evaluation(recipe, split, stand_in=stand_in)


def evaluate_run(
    run: Path,
    split: Split,
    *,
    mode: Mode | None = None,
    seed: int = 0,
    limit: int | None = None,
    device: str = "auto",
    role: str | None = None,
    ema: bool | None = None,
    overrides: Sequence[str] = (),
    done: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Score a run's newest weights on a split, with controls beside.

    What is generated is saved in `RUN/evaluation/SPLIT_MODE/`, the document as `SPLIT_MODE.json`
    beside it; both are replaced by the next evaluation of that name. Images are files `NAME.png`,
    of a network that draws its inputs the first 100; points are one file `samples.npy`, N x D
    floats. Where the task serves several roles each has a folder of its own, `SPLIT_MODE/ROLE/`,
    and the document of one that was asked for is called `SPLIT_MODE_ROLE.json`.

    Args:
        run: the run directory.
        split: the data to score on.
        mode: the recipe's unless given.
        seed: of the dropout, and of what is drawn.
        limit: score this many samples alone.
        device: `auto`, `cpu`, `cuda` or `mps`.
        role: the network to score; None: each that the task serves.
        ema: see `ganzoo.inference.find_weights.find_weights`.
        overrides: see `run_recipe`.
        done: called with the number of samples done and their total.

    Returns:
        `{"run", "file", "weights", "step", "split", "mode", "seed", "n", "data", "stand_in",
        "direction", "notes", "names", "metrics": {NAME: {"mean", "per_image"}},
        "controls": {CONTROL: {NAME: mean}}, "headlines", "better": {NAME: "lower"},
        "protocol": {NAME: sentence}}`.
        A NAME whose `per_image` is empty is a figure of the whole set. Of a task that serves
        several roles, NAME is `ROLE/NAME`, and `weights`, `n`, `direction` and `names` are tables
        by role.

    Raises:
        UsageError: this is no run directory, or holds no weights.
        GanzooError: weights or data can't be used.
    """
    recipe = run_recipe(run, overrides)
    if overrides:
        _refuse_other_data(run, recipe)
    serves = recipe.task.load().serves
    several = len(serves) > 1
    parts = {}
    for one in [role] if role else list(serves):
        weights = find_weights(run, one, ema=ema)
        folder = run / "evaluation" / f"{split}_{mode or read_card(weights).inference['mode']}"
        parts[one] = _evaluate_weights(
            recipe,
            weights,
            split,
            Path(folder, one) if several else folder,
            mode=mode,
            seed=seed,
            limit=limit,
            device=device,
            done=done,
        )
    ending = f"_{role}.json" if several and role else ".json"
    file = folder.with_name(f"{folder.name}{ending}")
    results = together(parts) if several else next(iter(parts.values()))
    document = {"run": str(run), "file": str(file), **results}
    write_json(file, document)
    return document


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


def _evaluate_weights(
    recipe: Recipe,
    weights: Path,
    split: Split,
    folder: Path,
    *,
    mode: Mode | None,
    seed: int,
    limit: int | None,
    device: str,
    done: Callable[[int, int], None],
) -> dict[str, Any]:
    """The document of one network, without the run."""
    card = read_card(weights)
    data = trained_data(recipe, card, split)
    metrics, notes = metrics_for(recipe, data), list(data.notes)
    if draws(task_of(card), card.role, data.fields):
        card, sampler = load_sampler(weights, mode=mode, device=device)
        used = sampler.mode
        made = sampler.field
        gallery = Gallery(folder, data.formats[made], data.fields[made], MOST_PICTURES)
        judgement = judge_drawn(
            data, sampler, metrics, seed=seed, limit=limit, keep=gallery.add, done=done
        )
    else:
        card, trained = load_trained(weights, mode=mode, seed=seed, device=device)
        used = trained.mode
        fitted = _fit_controls(recipe, card, data, trained.fields, notes)
        made = trained.fields[1]
        gallery = Gallery(folder, data.formats[made], data.fields[made])
        make = _contestants(trained, data, fitted, gallery.add)
        judgement = judge(data, make, metrics, fields=trained.fields, limit=limit, done=done)
    gallery.finish()
    return {
        "weights": str(weights),
        "step": card.step,
        "split": split,
        "mode": used,
        "seed": seed,
        "n": len(judgement.names),
        "data": data.chosen.id,
        "stand_in": data.stand_in,
        "direction": direction(recipe.task, card.role, data.fields),
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
