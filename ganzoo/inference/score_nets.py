"""Networks put to the test: which applications data can judge, and their scores in training."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ganzoo.api import Chosen, Mode, NetOptions
from ganzoo.data.pipeline import PreparedData, open_for_evaluation
from ganzoo.data.rng import isolated
from ganzoo.inference import baselines
from ganzoo.inference.applications import available, choices_of, draws_all, lacking, taken_by
from ganzoo.inference.from_noise import Sampler
from ganzoo.inference.scores import NETWORK, means, without_bounds
from ganzoo.inference.scoring import Made, as_file, judge, judge_drawn, metrics_for
from ganzoo.inference.trained_application import Trained
from ganzoo.interfaces import Application, Field, NetIO, Split
from ganzoo.process.memory import memory_for
from ganzoo.recipe import Recipe

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """A part of an evaluation: one field that an application gives and that the data have.

    Args:
        name: of the application.
        application: it.
        given: the field.
        source: the first field that it takes from the data; what it gives if it takes none.
        label: what the part is called in documents and folders; empty if there is only one.
    """

    name: str
    application: Application
    given: str
    source: str
    label: str

    @property
    def prefix(self) -> str:
        """What names of figures begin with."""
        return f"{self.label}/" if self.label else ""

    @property
    def fields(self) -> tuple[str, str]:
        """What metrics see as source and target."""
        return self.source, self.given


def parts_of(task: Chosen, roles: Collection[str], fields: Mapping[str, Field]) -> list[Part]:
    """Return what can be scored of the applications whose networks and inputs are there.

    The label is the application's name where the task has several, followed by the field's where
    it gives several that the data have.
    """
    several = len(task.load().applications) > 1
    parts = []
    for name, application in available(task, roles).items():
        if lacking(application, fields):
            continue
        known = [one for one in application.gives if one in fields]
        source = next(iter(taken_by(application)), None)
        for given in known:
            words = [name] * several + [given] * (len(known) > 1)
            parts.append(Part(name, application, given, source or given, "/".join(words)))
    return parts


def left_out(task: Chosen, roles: Collection[str], fields: Mapping[str, Field]) -> list[str]:
    """Return a sentence for each application that only lacks inputs to be scored."""
    return [
        f"The application {name} is left out: it takes {' and '.join(missing)}, which the data "
        "don't have."
        for name, one in available(task, roles).items()
        if (missing := lacking(one, fields)) and any(given in fields for given in one.gives)
    ]


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
    note: Callable[[str], None] = log.warning,
) -> dict[str, float]:
    """Score networks in training: the mean of each metric, and nothing else left behind.

    Neither the networks nor any global random generator is changed.

    Args:
        recipe: the run's recipe, whose metrics are used.
        nets: raw networks by role; every application that the data can judge is scored.
        split: the data to score on.
        data: the split, if it is open already.
        io: shapes of the networks; by default those that the split's own shapes lead to.
        mode: the recipe's `inference.mode` by default.
        seed: of the dropout, and of what is drawn.
        limit: score this many samples alone.
        note: is called with a sentence about each application or metric that is left out, each
            metric that has no value, and values that aren't finite.

    Returns:
        Means by name, such as `l1`, or as `parts_of` calls it, `APPLICATION/l1`; without ceilings
        and floors, which training doesn't change.
    """
    task = recipe.task.load()
    mode = mode or recipe.inference.mode
    found: dict[str, float] = {}
    with isolated():
        data = data or open_for_evaluation(recipe, split)
        metrics = metrics_for(recipe, data)
        shapes = io or {role: task.io(role, recipe.task.options, data.fields) for role in nets}
        for one in left_out(recipe.task, nets, data.fields):
            note(one)
        for part in parts_of(recipe.task, nets, data.fields):
            choices = choices_of(recipe.task, part.name, {})
            settings = (recipe.task, part.name, nets, shapes, data.fields, mode, choices)
            if draws_all(part.application):
                judgement = judge_drawn(
                    *(data, Sampler(*settings), metrics, part.given),
                    seed=seed,
                    limit=limit,
                    control=False,
                )
            else:
                multiple = _multiple(recipe, task, part)
                trained = Trained(*settings, seed=seed, size_multiple=multiple)
                make = contestants(trained, data, part)
                judgement = judge(data, make, metrics, fields=part.fields, limit=limit)
            for one in judgement.notes:
                note(one)
            values = means(without_bounds(judgement.scores.get(NETWORK, {})))
            found |= {part.prefix + name: value for name, value in values.items()}
    return found


def _multiple(recipe: Recipe, task: Any, part: Part) -> int:
    """The number of pixels that the sides of an input must be multiples of."""
    networks = [recipe.network_of(role, task.roles[role]) for role in part.application.roles]
    options = [one.options for one in networks if one is not None]
    return math.lcm(*(one.size_multiple() for one in options if isinstance(one, NetOptions)))


def contestants(
    trained: Trained,
    data: PreparedData,
    part: Part,
    fitted: baselines.Controls | None = None,
    keep: Callable[[str, Made], None] = lambda *_: None,
) -> Callable[[Mapping[str, Tensor], str], dict[str, Made]]:
    """The application and the controls, as `judge` wants them."""

    def make(sample: Mapping[str, Tensor], name: str) -> dict[str, Made]:
        hint = "Use --device cpu, or data of smaller images (an [[augment]] that resizes)."
        with memory_for("a sample of this size", hint=hint, where=name):
            result = trained(sample, name)[part.given]
            made = data.formats[part.given].to_array(result, data.fields[part.given])
            keep(name, as_file(made, part.given, sample, data))
            return {NETWORK: made, **(fitted.images(sample) if fitted else {})}

    return make
