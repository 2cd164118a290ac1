"""Checks of metrics: declared scores, whatever the batches, and images that stay as they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
from ganzoo.testing.compare import generators, unequal
from ganzoo.testing.kit import CheckFailed, NotTested, Unusable, check, require, told
from ganzoo.testing.subject import Subject
from ganzoo.testing.tiny import tiny_host

_IMAGES = 4


@check("metric")
def check_metric_declarations(subject: Subject) -> None:
    """The class says which fields it `needs`; the metric says its `protocol` in a sentence."""
    metric, needs = subject.choose().build(), getattr(subject.choose().load(), "needs", None)
    require(
        isinstance(needs, frozenset | set | tuple | list)
        and all(isinstance(name, str) for name in needs),
        f"`needs` of the class is {needs!r}: give a frozenset of names of fields, as an attribute "
        "of the class, since it is read before anything is built",
    )
    protocol, samples = getattr(metric, "protocol", None), getattr(metric, "samples", 1)
    require(
        isinstance(protocol, str) and len(protocol.split()) >= 3,
        f"`protocol` is {protocol!r}: say in a sentence how the figure is made",
    )
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
    single = _scores(material, material.noise)
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
    """It changes nothing that it is given, draws nothing, and tells other instances nothing."""
    material = _material(subject)
    with isolated(3):
        before = generators()
        once = _scores(material, material.perfect)
        require(
            before == generators(),
            "it draws from a global random generator, so that a validation changes the training: "
            "use one of its own",
        )
    _scores(material, material.noise)
    require(
        once == _scores(material, material.perfect),
        "a new instance knows what another one was given: make lists in __init__, not in the class",
    )
    given = {"generated": torch.stack(material.noise), **collate(material.rows)}
    kept = {name: one.clone() for name, one in given.items()}
    batch = {name: one for name, one in given.items() if name != "generated"}
    material.build().update(batch, given["generated"])
    other = unequal(kept, given)
    require(not other, f"update() changes {other}, which other metrics are given too")


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
    rows: Sequence[Mapping[str, Tensor]]
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
        NotTested: no installed recipe can be scored by it.
        Unusable: it fails with the samples of those that could.
    """
    needs = set(subject.choose().load().needs)
    found: dict[str, Recipe] = {}

    def put(document: dict[str, Any]) -> None:
        document["metric"] = [subject.table("metric", subject.id)]

    def fits(recipe: Recipe) -> bool:
        data = open_data(recipe, "train")
        made = _made(recipe, data)
        if made is not None and _proposed(subject, data.source):
            found["proposed"] = recipe
        elif made is not None and needs <= data.fields.keys():
            found.setdefault(data.formats[made].shown, recipe)
        return "proposed" in found

    why = ""
    try:
        tiny_host(subject, put, fits)
    except NotTested as reason:  # it goes through all recipes, and none may propose the metric
        why = str(reason)
    refused: Exception | None = None
    for recipe in (found[sort] for sort in ("proposed", "each", "together") if sort in found):
        data = open_data(recipe, "val")
        made = _made(recipe, data)
        samples = [data.sample(index) for index in range(min(len(data), _IMAGES))]
        if made is None or len(samples) < 2:
            continue
        rows = [
            {name: as_in_files(one[None], name, data)[0] for name, one in sample.items()}
            for sample in samples
        ]
        metric = _proposed(subject, data.source) or subject.choose()
        material = _Material(metric, rows, made, data.fields, data.formats[made])
        if made in needs:
            return material
        try:
            with isolated(0):
                material.build().update(collate(rows), torch.stack(material.perfect))
        except Exception as error:  # noqa: BLE001  # it may judge the other sort of samples alone
            refused = refused or error
            continue
        return material
    if refused is not None:
        message = f"`update` fails: {told(refused)}"
        raise Unusable(message, reported_by="check_metric_scores")
    listed = ", ".join(sorted(needs)) or "anything"
    message = f"no installed recipe has data with {listed} and a task that makes such samples"
    raise NotTested(f"{message}\n{why}".rstrip())


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


def _scores(material: _Material, made: Sequence[Tensor], *, size: int = 1) -> Mapping[str, Score]:
    """What the metric makes of samples, each of its figures known to be sound.

    Raises:
        Unusable: it makes nothing of them, or figures that aren't sound.
    """
    try:
        return _sound(material, made, size)
    except CheckFailed as fault:
        raise Unusable(str(fault), reported_by="check_metric_scores") from fault


def _sound(material: _Material, made: Sequence[Tensor], size: int) -> Mapping[str, Score]:
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
        except Exception as error:
            message = f"`update` fails with {', '.join(batch)} of a batch: {told(error)}"
            raise CheckFailed(message) from error
    scores = dict(metric.compute())
    require(scores, f"of {len(rows)} samples it computes nothing")
    for name, score in scores.items():
        require(
            isinstance(name, str) and name and isinstance(score, Score),
            f"the score {name!r} is a {type(score).__name__}, not a ganzoo.interfaces.Score",
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
    require(scores == dict(metric.compute()), "compute() doesn't give the same twice")
    headline = getattr(metric, "headline", None)
    if headline is not None:
        said = headline(scores)
        require(
            isinstance(said, str) and len(said.split()) > 1 and "\n" not in said,
            f"`headline` gives {said!r}: say the figures in a sentence",
        )
    return scores
