"""How large a recipe of `ganzoo init` is, and for how many epochs: chosen by measured steps.

Nothing here measures or reads anything: the choice is a function of what it is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ganzoo.errors import GanzooError

if TYPE_CHECKING:
    from ganzoo.data.proposal import Scale
    from ganzoo.engine.step_timing import StepTime

Measure = Callable[["Scale"], "StepTime"]

LEAST_STEPS = 3_000
"""Fewer steps show too little; a smaller size is chosen before that."""
ENOUGH_STEPS = 10_000
"""More than so many aren't proposed for a first result, nor more than the published plan has."""
_SHARE = 0.85
"""Of the time that is wanted, what steps may take: the rest is for the start and for samples."""
_FALLBACK = 128
"""Pixels where nothing could be measured."""
_SLACK = 1.1
"""By how much the last epoch may be longer than there is time for, since epochs are whole."""
_HOPELESS = 4
"""What would need so many times the time that there is isn't measured, but for the last scale."""
_SMALLEST = 16
_GROWTH = 0.75
"""With which power of the work a step's time grows, where a single scale was measured."""


@dataclass(frozen=True)
class Choice:
    """What was chosen, and by which measurements.

    Args:
        scale: of images and networks.
        epochs: at this scale.
        steps: in these.
        tried: what was measured.
        reason: why nothing was; empty where something was.
    """

    scale: Scale
    epochs: int
    steps: int
    tried: Mapping[Scale, StepTime]
    reason: str = ""

    @property
    def seconds(self) -> float | None:
        """Of the plan; None where nothing was measured."""
        found = self.tried.get(self.scale)
        return None if found is None else found.of(self.steps)


def candidates(scales: Sequence[Scale], own: int | None, wanted: int | None) -> list[Scale]:
    """Scales to choose among, best first.

    Args:
        scales: all that the recipe proposes.
        own: the images' own size in pixels, which is exceeded only where somebody wants that; None
            where it isn't known.
        wanted: the size that somebody wants.
    """
    from ganzoo.data.proposal import Scale

    widths = sorted({scale.width for scale in scales}, reverse=True)
    if wanted is not None:
        return [Scale(wanted, width) for width in widths]
    fit = [scale for scale in scales if own is None or scale.size <= own]
    if fit:
        return fit
    size = max(_SMALLEST, 1 << (max(own or 1, 1).bit_length() - 1))
    return [Scale(size, width) for width in widths if width <= 32] or [Scale(size, widths[-1])]


def choose(
    scales: Sequence[Scale], measure: Measure, seconds: float, *, samples: int, images: int
) -> Choice:
    """The best scale at which enough steps fit into the time, and the epochs that fill it.

    Where none does it is the last one. It begins in the middle, since the best ones cost most to
    measure. What can't be measured counts as too slow where others can.

    Args:
        scales: best first.
        measure: tells what a step takes; raises `GanzooError` where it can't.
        seconds: that the training should take, all in all.
        samples: of the training data.
        images: of a step.
    """
    budget = _SHARE * seconds
    tried: dict[Scale, StepTime] = {}
    reasons: list[str] = []

    def fits(scale: Scale) -> bool:
        step = extrapolated(tried, scale, images)
        hopeless = step is not None and step > _HOPELESS * budget / LEAST_STEPS
        if hopeless and scale != scales[-1]:
            return False
        try:
            tried[scale] = measure(scale)
        except GanzooError as error:
            reasons.append(error.message)
            return False
        return _steps_in(budget, tried[scale]) >= LEAST_STEPS

    at = len(scales) // 2
    if fits(scales[at]):
        while at and fits(scales[at - 1]):
            at -= 1
    else:
        at = next((i for i in range(at + 1, len(scales)) if fits(scales[i])), len(scales) - 1)
    scale = scales[at]
    if not tried:
        scale = next((one for one in scales if one.size <= _FALLBACK and one.width <= 32), scale)
        return _planned(scale, LEAST_STEPS, samples, images, tried, reasons[0])
    if scale not in tried:  # the smallest can't be measured, though another could
        scale = min(tried, key=lambda one: one.work)
    steps = _steps_in(budget, tried[scale])
    return _planned(scale, steps, samples, images, tried, "")


def _planned(
    scale: Scale,
    steps: float,
    samples: int,
    images: int,
    tried: Mapping[Scale, StepTime],
    reason: str,
) -> Choice:
    share = min(steps, ENOUGH_STEPS) * images / samples
    epochs = max(1, int(_SLACK * share))
    return Choice(scale, epochs, -(-epochs * samples // images), tried, reason)


def _steps_in(budget: float, found: StepTime) -> float:
    """Steps that fit into so many seconds, each image's first reading included."""
    once = (budget - found.samples * found.reading) / found.seconds
    if once * found.images >= found.samples:
        return once
    return budget / (found.seconds + found.images * found.reading)


def extrapolated(tried: Mapping[Scale, StepTime], to: Scale, images: int) -> float | None:
    """Seconds of a step of so many images at a scale that wasn't measured; None: nothing was.

    Small networks keep a processor less busy than large ones, so that a step of 16 times the work
    takes less than 16 times as long: how much less, the smallest and largest measured tell.
    """
    if not tried:
        return None
    small, large = (pick(tried, key=lambda one: one.work) for pick in (min, max))
    power = _GROWTH
    if large.work > small.work and tried[large].seconds > tried[small].seconds:
        power = math.log(tried[large].seconds / tried[small].seconds)
        power = min(1.0, power / math.log(large.work / small.work))
    grown = math.pow(to.work / large.work, power)
    return tried[large].seconds * grown * images / tried[large].images
