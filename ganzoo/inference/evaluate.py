"""Scoring a run on held-out data, with controls beside that any honest figure must beat."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from ganzoo.api import Chosen, NetOptions
from ganzoo.data.convert import save_image, to_tensor, to_uint8
from ganzoo.data.pipeline import PreparedData, open_for_evaluation
from ganzoo.errors import DataError, UsageError
from ganzoo.files import replacing
from ganzoo.inference import controls
from ganzoo.inference.modes import Mode
from ganzoo.inference.network import Trained, load_trained
from ganzoo.inference.weights import find_weights
from ganzoo.interfaces import Field, Metric, Score, Split
from ganzoo.recipe import Recipe, load_recipe

log = logging.getLogger(__name__)

BOUNDS = ("ceiling", "floor")
"""A metric's values `ceiling_NAME` and `floor_NAME` are shown beside NAME, as controls."""

NETWORK = "generated"
Make = Callable[[Mapping[str, Tensor], str], Mapping[str, np.ndarray]]
"""From a sample and its name to an image, H x W x C uint8, by each contestant."""


@dataclass
class Judgement:
    """Scores of everyone who made images of the same samples.

    Args:
        names: of the samples, in the order of `Score.per_image`.
        scores: by contestant, then by metric value.
        protocol: how each value is made.
        headlines: what metrics say of the network in a sentence.
        notes: metrics that were left out.
    """

    names: list[str] = field(default_factory=list)
    scores: dict[str, dict[str, Score]] = field(default_factory=dict)
    protocol: dict[str, str] = field(default_factory=dict)
    headlines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def metrics_for(recipe: Recipe, data: PreparedData) -> list[Chosen]:
    """The metrics of a recipe, and those that the data propose, each once."""
    from ganzoo import registry

    known = {metric.id for metric in recipe.metrics}
    proposed = [name for name in getattr(data.source, "metrics", ()) if name not in known]
    active = registry.current()
    return [*recipe.metrics, *(active.choose("metric", name) for name in proposed)]


def judge(
    data: PreparedData,
    make: Make,
    metrics: Sequence[Chosen],
    *,
    limit: int | None = None,
    done: Callable[[int, int], None] = lambda *_: None,
) -> Judgement:
    """Let every contestant make an image of each sample, and score them all alike.

    Args:
        data: the samples; they are taken in the order of their names.
        make: gives each contestant's image; it is put into metrics as the 8-bit file is read.
        metrics: those whose fields the data lack are left out, which is said.
        limit: look at this many samples alone.
        done: called with the number of samples done and their total.

    Raises:
        DataError: when a sample can't be read, or its images can't be compared.
    """
    judgement = Judgement()
    usable = []
    for metric in metrics:
        missing = sorted(metric.load().needs - data.fields.keys())
        if missing:
            lacks = ", ".join(missing)
            judgement.notes.append(f"{metric.id} is left out: the data have no field {lacks}.")
        else:
            usable.append(metric)
    judges: dict[str, list[Metric]] = {}
    # by name as text (1, 10, 100, 2): an order of the files, not of the data component, so that
    # figures which compare neighbours can be computed from the saved files alone
    order = sorted(range(len(data)), key=data.name)[:limit]
    for count, index in enumerate(order, 1):
        name = data.name(index)
        sample = data.sample(index)
        batch = {key: _on_grid(value, data, key)[None] for key, value in sample.items()}
        for contestant, image in make(sample, name).items():
            if contestant not in judges:
                judges[contestant] = [metric.build() for metric in usable]
            shown = _tensor(image)[None]
            for instance in judges[contestant]:
                _update(instance, batch, shown, name)
        judgement.names.append(name)
        done(count, len(order))
    for contestant, instances in judges.items():
        judgement.scores[contestant] = {}
        for instance in instances:
            values = dict(instance.compute())
            judgement.scores[contestant] |= values
            judgement.protocol |= dict.fromkeys(_without_bounds(values), instance.protocol)
            headline = getattr(instance, "headline", None)
            if headline is not None and contestant == NETWORK:
                judgement.headlines.append(headline(values))
    return judgement


def _update(metric: Metric, batch: Mapping[str, Tensor], image: Tensor, name: str) -> None:
    try:
        metric.update(batch, image)
    except DataError as error:
        error.where = error.where or name
        raise


def _on_grid(value: Tensor, data: PreparedData, name: str) -> Tensor:
    return _tensor(to_uint8(value)) if data.fields[name].kind == "image" else value


def _tensor(image: np.ndarray) -> Tensor:
    return to_tensor(image, Field(image.shape, "image"))


def _without_bounds(scores: Mapping[str, Score]) -> dict[str, Score]:
    prefixes = tuple(f"{bound}_" for bound in BOUNDS)
    return {name: score for name, score in scores.items() if not name.startswith(prefixes)}


def _means(scores: Mapping[str, Score]) -> dict[str, float]:
    return {name: score.mean for name, score in scores.items()}


def score_nets(
    recipe: Recipe,
    nets: Mapping[str, nn.Module],
    split: Split,
    *,
    data: PreparedData | None = None,
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
        mode: the recipe's `inference.mode` by default.
        seed: of the dropout.
        limit: score this many samples alone.

    Returns:
        Means by name: `l1`, or `ROLE/l1` for a task that serves several roles; without ceilings
        and floors, which training doesn't change.
    """
    from ganzoo.engine.rng import isolated

    task = recipe.task.load()
    means: dict[str, float] = {}
    with isolated():
        data = data or open_for_evaluation(recipe, split)
        metrics = metrics_for(recipe, data)
        for role, (source, _) in task.serves.items():
            table = recipe.networks[task.roles[role]]
            options = table.options if table else None
            multiple = options.size_multiple() if isinstance(options, NetOptions) else 1
            trained = Trained(
                nets[role], recipe.task, role, mode or recipe.inference.mode, seed, multiple
            )
            judgement = judge(data, _network_alone(trained, source), metrics, limit=limit)
            for note in judgement.notes:
                log.warning(note)
            prefix = f"{role}/" if len(task.serves) > 1 else ""
            values = _means(_without_bounds(judgement.scores[NETWORK]))
            means |= {f"{prefix}{name}": value for name, value in values.items()}
    return means


def _network_alone(trained: Trained, source: str) -> Make:
    def make(sample: Mapping[str, Tensor], name: str) -> dict[str, np.ndarray]:
        return {NETWORK: to_uint8(trained(sample[source], name))}

    return make


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
    done: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Score a run's newest weights on a split, with controls beside.

    The generated images are saved as `RUN/evaluation/SPLIT_MODE/NAME.png`, the document as
    `RUN/evaluation/SPLIT_MODE.json`; both are replaced by the next evaluation of that name.

    Args:
        run: the run directory.
        split: the data to score on.
        mode: the recipe's unless given.
        seed: of the dropout.
        limit: score this many samples alone.
        device: `auto`, `cpu`, `cuda` or `mps`.
        role: see `ganzoo.inference.weights.find_weights`.
        ema: see `find_weights`.
        done: called with the number of samples done and their total.

    Returns:
        `{"run", "weights", "step", "split", "mode", "seed", "n", "data", "stand_in", "notes",
        "names", "metrics": {NAME: {"mean", "per_image"}}, "controls": {CONTROL: {NAME: mean}},
        "headlines", "protocol": {NAME: sentence}}`. A NAME whose `per_image` is empty is a figure
        of the whole set.

    Raises:
        UsageError: this is no run directory, or holds no weights.
        GanzooError: weights or data can't be used.
    """
    resolved = run / "recipe.resolved.toml"
    if not resolved.is_file():
        raise UsageError(
            "this is no run directory", where=str(run), hint=f"It holds no {resolved.name}."
        )
    weights = find_weights(run, role, ema=ema)
    card, trained = load_trained(weights, mode=mode, seed=seed, device=device)
    recipe = load_recipe(resolved)
    source, target = trained.fields
    # The data that the weights were trained on: never a stand-in for weights of real photographs,
    # nor the reverse once the data have been found.
    trained_on = card.data.get("use")
    stand_in = recipe.fallback is not None and trained_on == recipe.fallback.id != recipe.data.id
    data = open_for_evaluation(recipe, split, stand_in=stand_in)
    notes = list(data.notes)
    fitted = _fit_controls(recipe, data, source, target, notes)
    folder = run / "evaluation" / f"{split}_{trained.mode}"

    def make(sample: Mapping[str, Tensor], name: str) -> dict[str, np.ndarray]:
        image = to_uint8(trained(sample[source], name))
        save_image(image, folder / f"{name}.png")
        return {NETWORK: image, **(fitted.images(sample) if fitted else {})}

    judgement = judge(data, make, metrics_for(recipe, data), limit=limit, done=done)
    notes += judgement.notes
    for stale in set(folder.glob("*.png")) - {folder / f"{name}.png" for name in judgement.names}:
        stale.unlink()  # of an earlier evaluation of more samples
    document = {
        "run": str(run),
        "weights": str(weights),
        "step": card.step,
        "split": split,
        "mode": trained.mode,
        "seed": seed,
        "n": len(judgement.names),
        "data": data.chosen.id,
        "stand_in": data.stand_in,
        "notes": notes,
        "names": judgement.names,
        **_results(judgement),
    }
    with replacing(folder.with_suffix(".json")) as temporary:
        text = json.dumps(document, indent=2, allow_nan=False)
        temporary.write_text(f"{text}\n", encoding="utf-8")
    return document


def _fit_controls(
    recipe: Recipe, data: PreparedData, source: str, target: str, notes: list[str]
) -> controls.Controls | None:
    """The controls, or None and a note: held-out data may be there without those for training."""
    try:
        train = open_for_evaluation(recipe, "train", stand_in=data.stand_in)
    except DataError as error:
        notes.append(f"No controls: the training data can't be opened ({error.message}).")
        return None
    return controls.fit_controls(train, source, target)


def _results(judgement: Judgement) -> dict[str, Any]:
    own = judgement.scores[NETWORK]
    beside = {
        name: _means(_without_bounds(scores))
        for name, scores in judgement.scores.items()
        if name != NETWORK
    }
    protocol = judgement.protocol | {name: controls.PROTOCOL[name] for name in beside}
    for bound in BOUNDS:
        values = {
            name.removeprefix(f"{bound}_"): score.mean
            for name, score in own.items()
            if name.startswith(f"{bound}_")
        }
        if values:
            beside[bound] = values
    return {
        "metrics": {
            name: {"mean": score.mean, "per_image": list(score.per_image)}
            for name, score in _without_bounds(own).items()
        },
        "controls": beside,
        "headlines": judgement.headlines,
        "protocol": protocol,
    }


def print_report(document: Mapping[str, Any]) -> None:
    """Show an evaluation on stderr: the run's figures, and the controls' beside them."""
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=True)
    beside = document["controls"]
    table = Table(
        title=f"{document['split']}: {document['n']} images of {document['data']},"
        f" mode {document['mode']}, seed {document['seed']}, step {document['step']}"
    )
    table.add_column("")
    table.add_column("this run", justify="right", style="bold")
    for name in beside:
        table.add_column(name.replace("_", " "), justify="right")
    for name, score in document["metrics"].items():
        cells = [f"{beside[c][name]:.4f}" if name in beside[c] else "" for c in beside]
        table.add_row(name, f"{score['mean']:.4f}", *cells)
    console.print(table)
    for sentence in document["headlines"]:
        console.print(sentence)
    for note in document["notes"]:
        console.print(note, style="yellow")
