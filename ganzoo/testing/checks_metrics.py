"""Checks of metrics: declared scores, whatever the batches, and images that stay as they are."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganzoo.api import Chosen
from ganzoo.data.pipeline import PreparedData, collate, open_data
from ganzoo.data.rng import isolated
from ganzoo.inference.scores import built
from ganzoo.inference.scoring import as_in_files
from ganzoo.interfaces import DataSource, Field, Format, Metric, Score
from ganzoo.recipe.model import Recipe
from ganzoo.testing.kit import CheckFailed, NotApplicable, NotTested, check, require
from ganzoo.testing.networks import generators
from ganzoo.testing.subject import Subject
from ganzoo.testing.tiny import tiny_host
from ganzoo.testing.trial import changed

_IMAGES = 4

Rows = Sequence[Mapping[str, Tensor]]
Scores = Mapping[str, Score]


@check("metric")
def check_metric_declarations(subject: Subject) -> None:
    """The class says which fields it `needs`; the metric says its `protocol` in a sentence."""
    chosen = subject.choose()
    needs = getattr(chosen.load(), "needs", None)
    require(
        isinstance(needs, frozenset | set | tuple | list)
        and all(isinstance(name, str) for name in needs),
        f"`needs` of the class is {needs!r}: give a frozenset of names of fields, as an attribute "
        "of the class, since it is read before anything is built",
    )
    metric = chosen.build()
    protocol = getattr(metric, "protocol", None)
    require(
        isinstance(protocol, str) and len(protocol.split()) >= 3,
        f"`protocol` is {protocol!r}: say in a sentence how the figure is made",
    )
    samples = getattr(metric, "samples", 1)
    require(
        isinstance(samples, int) and samples > 0,
        f"`samples` is {samples!r}: say how many it wants of a network that draws its inputs",
    )


@check("metric")
def check_metric_scores(subject: Subject) -> None:
    """Scores are finite, the same twice, and other ones for noise than for the data's own."""
    material = _material(subject)
    perfect, noise = _scores(material, material.perfect), _scores(material, material.noise)
    require(
        any(perfect[name].mean != noise[name].mean for name in perfect.keys() & noise.keys()),
        f"noise scores as a perfect copy of {material.made!r} does: it tells nothing",
    )


@check("metric")
def check_metric_batching(subject: Subject) -> None:
    """Scores don't depend on how the samples came in batches."""
    material = _material(subject)
    single = _scores(material, material.noise, size=1)
    for size in (len(material.rows), 3):
        joined = _scores(material, material.noise, size=size)
        for name in single:
            one, other = (
                [scores[name].mean, *scores[name].per_image] for scores in (single, joined)
            )
            require(
                np.shape(one) == np.shape(other) and np.allclose(one, other, rtol=1e-4, atol=1e-5),
                f"{name!r} is {one[0]:.6g} of samples one by one, and {other[0]:.6g} in batches of "
                f"{size}: keep what samples give, and take means in compute()",
            )


@check("metric")
def check_metric_leaves_images(subject: Subject) -> None:
    """It leaves what it is given as it was, and keeps nothing for another instance."""
    material = _material(subject)
    once = _scores(material, material.perfect)
    _scores(material, material.noise)
    require(
        once == _scores(material, material.perfect),
        "a new instance knows what another one was given: make lists in __init__, not in the class",
    )
    batch, made = collate(material.rows), torch.stack(material.noise)
    before = {"generated": made.clone(), **{name: one.clone() for name, one in batch.items()}}
    material.build().update(batch, made)
    other = changed(before, {"generated": made, **batch})
    require(not other, f"update() changes {other}, which other metrics are given too")


@check("metric")
def check_metric_draws_nothing(subject: Subject) -> None:
    """It draws from no global random generator: a validation mustn't change the training."""
    material = _material(subject)
    with isolated(3):
        before = generators()
        _scores(material, material.perfect)
        require(
            before == generators(),
            "it draws from a global random generator: use one of its own",
        )


@dataclass(frozen=True)
class _Material:
    """What a metric is tried out on.

    Args:
        metric: with its options, as the data propose it if they do.
        rows: samples of the data.
        made: the field that a network makes.
        fields: of the data.
        its_format: the format of what a network makes.
    """

    metric: Chosen
    rows: Rows
    made: str
    fields: Mapping[str, Field]
    its_format: Format

    def build(self) -> Metric:
        """A new one, which knows what it judges."""
        return built([self.metric], self.fields, self.fields[self.made])[0]

    @property
    def perfect(self) -> list[Tensor]:
        """The samples' own."""
        return [row[self.made] for row in self.rows]

    @property
    def noise(self) -> list[Tensor]:
        """Even noise where there is a range, such as that of images; else far from the data."""
        draw = np.random.Generator(np.random.PCG64(0))
        field, bounded = self.fields[self.made], self.its_format.shown != "together"
        low, high = (-1, 1) if bounded else (20, 30)
        noise = [torch.from_numpy(draw.uniform(low, high, own.shape)) for own in self.perfect]
        arrays = [self.its_format.to_array(one.float(), field) for one in noise]
        return list(self.its_format.to_tensors(arrays, field))


def _material(subject: Subject) -> _Material:
    """Samples of a recipe whose data propose the metric, or else have what it reads.

    Raises:
        NotApplicable: no installed recipe can be scored by it.
    """
    needs = set(subject.choose().load().needs)
    listed = ", ".join(sorted(needs)) or "anything"

    def put(document: dict[str, Any]) -> None:
        document["metric"] = [subject.table("metric", subject.id)]

    def proposes(recipe: Recipe) -> bool:
        return _proposed(subject, open_data(recipe, "train").source) is not None

    def makes(shown: str) -> Callable[[Recipe], bool]:
        def fits(recipe: Recipe) -> bool:
            data = open_data(recipe, "train")
            made = _made(recipe, data)
            return (
                needs <= data.fields.keys()
                and made is not None
                and data.formats[made].shown == shown
            )

        return fits

    refused: list[Exception] = []
    for fits in (proposes, makes("each"), makes("together")):
        try:
            recipe = tiny_host(subject, put, fits)
        except NotTested:
            continue
        data = open_data(recipe, "val")
        count = min(len(data), _IMAGES)
        rows = [
            {
                name: as_in_files(one[None], name, data)[0]
                for name, one in data.sample(index).items()
            }
            for index in range(count)
        ]
        made = _made(recipe, data)
        if made is None or count < 2:
            continue
        metric = _proposed(subject, data.source) or subject.choose()
        material = _Material(metric, rows, made, data.fields, data.formats[made])
        if made in needs:
            return material
        try:
            with isolated(0):
                material.build().update(collate(rows), torch.stack(material.perfect))
        except Exception as error:  # noqa: BLE001  # it may judge the other kind alone
            refused.append(error)
            continue
        return material
    if refused:
        raise refused[0]
    message = f"no installed recipe has data with {listed} and a task that makes such samples"
    raise NotApplicable(message)


def _proposed(subject: Subject, source: DataSource) -> Chosen | None:
    """The metric as the data want it, else in its smallest form; None if they don't propose it."""
    small = subject.table("metric", subject.id)
    for table in getattr(source, "metrics", ()):
        if subject.registry.choose("metric", table).id == subject.id:
            wanted = {} if isinstance(table, str) else table
            return subject.registry.choose("metric", {**small, **wanted, "use": small["use"]})
    return None


def _made(recipe: Recipe, data: PreparedData) -> str | None:
    """The field of floats, such as images or points, that the recipe's task makes."""
    applications = recipe.task.load().applications.values()
    made = (name for one in applications for name in one.gives)
    floats = [name for name, one in data.formats.items() if not one.indices]
    return next((name for name in made if name in floats), None)


def _scores(material: _Material, made: Sequence[Tensor], *, size: int = 1) -> Scores:
    """What the metric makes of samples, each of its figures known to be sound."""
    metric, rows = material.build(), material.rows
    for at in range(0, len(rows), size):
        batch = collate(rows[at : at + size])
        try:
            metric.update(batch, torch.stack(tuple(made[at : at + size])))
        except KeyError as error:
            message = (
                f"`update` reads {error}, and the batch has {', '.join(batch)}: `needs` says "
                "which fields it reads, so that it is left out where data lack them"
            )
            raise CheckFailed(message) from error
    scores, again = dict(metric.compute()), dict(metric.compute())
    require(scores, f"of {len(rows)} samples it computes nothing")
    for name, score in scores.items():
        require(isinstance(name, str) and name, f"a score is called {name!r}")
        require(
            isinstance(score, Score),
            f"{name!r} is a {type(score).__name__}, not a ganzoo.interfaces.Score",
        )
        values = [score.mean, *score.per_image]
        require(
            all(isinstance(v, float | int) and math.isfinite(v) for v in values),
            f"{name!r} has values that are no finite numbers: {values[:4]}",
        )
        require(
            len(score.per_image) in {0, len(rows)},
            f"{name!r} has {len(score.per_image)} values of {len(rows)} samples",
        )
        json.dumps(values)
    require(scores == again, "compute() doesn't give the same twice")
    headline = getattr(metric, "headline", None)
    if headline is not None:
        said = headline(scores)
        require(
            isinstance(said, str) and len(said.split()) > 1 and "\n" not in said,
            f"`headline` gives {said!r}: say the figures in a sentence",
        )
    return scores
