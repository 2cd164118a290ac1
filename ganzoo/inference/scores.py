"""What metrics say: looked over as it comes, and gathered by contestant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ganzoo.api import Chosen
from ganzoo.data.formats import format_of
from ganzoo.errors import DataError, PluginError
from ganzoo.interfaces import Field, Metric, Score

BOUNDS = ("ceiling", "floor")
"""A metric's values `ceiling_NAME` and `floor_NAME` are shown beside NAME, as controls."""

NETWORK = "generated"
REAL = "real_data"


@dataclass
class Judgement:
    """Scores of everyone who made something of, or like, the same samples.

    Args:
        names: of the samples, in the order of `Score.per_image`.
        scores: by contestant, then by metric value.
        protocol: how each value is made.
        headlines: what metrics say of the network in a sentence.
        notes: metrics that were left out or have no value, and values that are no numbers.
    """

    names: list[str] = field(default_factory=list)
    scores: dict[str, dict[str, Score]] = field(default_factory=dict)
    protocol: dict[str, str] = field(default_factory=dict)
    headlines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def score(self, contestant: str, chosen: Sequence[Chosen], metrics: Sequence[Metric]) -> None:
        """Take in what metrics say of a contestant.

        Raises:
            PluginError: one of them says something else than scores by name.
        """
        self.scores[contestant] = {}
        for its, metric in zip(chosen, metrics, strict=True):
            values = scores_of(its.id, metric.compute())
            if not values and contestant == NETWORK:
                self.notes.append(
                    f"{its.id} has no value for these samples; `ganzoo show {its.id}` says what it "
                    "needs."
                )
            self.scores[contestant] |= values
            self.protocol |= dict.fromkeys(without_bounds(values), metric.protocol)
            for name, score in values.items():
                if not all(map(math.isfinite, (score.mean, *score.per_image))):
                    self.notes.append(
                        f"{its.id}: {name} of {contestant} has values that aren't finite numbers "
                        f"(mean {score.mean}); they are null in files."
                    )
            headline = getattr(metric, "headline", None)
            if headline is not None and values and contestant == NETWORK:
                self.headlines.append(str(headline(values)))


def scores_of(metric: str, given: Any) -> dict[str, Score]:
    """What a metric's `compute` gave, in Python's numbers.

    Raises:
        PluginError: it isn't scores by name.
    """
    hint = f"`compute` must return a Score by name. `ganzoo show {metric}` names its plugin."
    if not isinstance(given, Mapping):
        raise PluginError(f"{metric} returns a {type(given).__name__}, not scores", hint=hint)
    scores = {}
    for name, score in given.items():
        if not isinstance(score, Score):
            raise PluginError(
                f"{metric} returns a {type(score).__name__} as {name!r}, not a Score", hint=hint
            )
        try:
            scores[str(name)] = Score(float(score.mean), tuple(map(float, score.per_image)))
        except (TypeError, ValueError) as error:
            raise PluginError(f"{metric}: {name!r} is not a number: {error}", hint=hint) from error
    return scores


def built(metrics: Sequence[Chosen], fields: Mapping[str, Field], made: Field) -> list[Metric]:
    """Build metrics, and tell them what they are going to judge.

    Args:
        metrics: the metrics.
        fields: of the batches, by name; with `source` and `target` where a network has them.
        made: what is generated.

    Raises:
        PluginError: one of them lacks what a metric must have.
        DataError: one of them can't judge this.
    """
    fields = {name: _with_type(one) for name, one in fields.items()}
    made = _with_type(made)
    ready: list[Metric] = []
    for chosen in metrics:
        metric = chosen.build()
        missing = [
            name for name in ("needs", "protocol", "update", "compute") if not hasattr(metric, name)
        ]
        if missing:
            raise PluginError(
                f"{chosen.id} builds a {type(metric).__name__} without `{missing[0]}`",
                hint=f"It is not a metric. `ganzoo show {chosen.id}` names its plugin.",
            )
        prepare = getattr(metric, "prepare", None)
        if prepare is not None:
            prepare(fields, made)
        elif made.mask:
            raise DataError("it has no `prepare`, so that it would judge places without data")
        ready.append(metric)
    return ready


def _with_type(field: Field) -> Field:
    """The field with the type that its format gives the values of files."""
    return replace(field, dtype=format_of(field).dtype(field))


def without_bounds(scores: Mapping[str, Score]) -> dict[str, Score]:
    """The values that are no ceilings and floors of others."""
    prefixes = tuple(f"{bound}_" for bound in BOUNDS)
    return {name: score for name, score in scores.items() if not name.startswith(prefixes)}


def means(scores: Mapping[str, Score]) -> dict[str, float]:
    """The mean of each value."""
    return {name: score.mean for name, score in scores.items()}
