"""The choice of image size, network width and epochs for `ganzoo init`, by measured step times.

This module does no measurement or input of its own. The choice depends on the arguments alone.
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
"""The number of steps that a training should have. The result of fewer steps shows too little, so a
smaller scale is chosen instead if there is one."""
ENOUGH_STEPS = 10_000
"""The number of steps that is enough for a first result. More steps are proposed only to complete
the last epoch."""
_SHARE = 0.85
"""The share of the wanted time that the steps may take. The rest is for the start and for
samples."""
_FALLBACK = 128
"""The largest image size, in pixels, that is chosen if no scale could be measured."""
_SLACK = 1.1
"""The factor by which a training may be longer than planned, so that its last epoch is complete."""
_HOPELESS = 4
"""A scale isn't measured if its training is expected to take more than this many times the
available time. The last scale is always measured."""
_SMALLEST = 16
_GROWTH = 0.75
"""The assumed power of the work with which the time of a step grows. It is used if the measured
scales don't show the growth."""


@dataclass(frozen=True)
class Choice:
    """The chosen scale and length of a training, and the measurements behind the choice.

    Args:
        scale: the size of the images and the width of the networks.
        epochs: the number of epochs at this scale.
        steps: the number of steps in these epochs.
        tried: the measured step time of each scale.
        reason: why nothing could be measured; empty if a measurement succeeded.
    """

    scale: Scale
    epochs: int
    steps: int
    tried: Mapping[Scale, StepTime]
    reason: str = ""

    @property
    def seconds(self) -> float | None:
        """The time that the planned steps take; None if the scale wasn't measured."""
        found = self.tried.get(self.scale)
        return None if found is None else found.of(self.steps)


def candidates(scales: Sequence[Scale], own: int | None, wanted: int | None) -> list[Scale]:
    """Return the scales to choose among, best first.

    Args:
        scales: all scales that the recipe proposes.
        own: the images' own size in pixels; None if it isn't known. A larger size is used only if
            the user asks for it.
        wanted: the size that the user asks for; None if there is no such request.
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
    """Choose the best scale at which enough steps fit into the time, and how many epochs fit.

    If no scale is fast enough, the last one is chosen. The search begins in the middle, because
    the best scales take longest to measure. A scale that can't be measured counts as too slow if
    another one can be measured.

    Args:
        scales: the scales, best first.
        measure: returns the time of a step; raises `GanzooError` if it can't measure it.
        seconds: the time that the whole training should take.
        samples: the number of training samples.
        images: the number of images in a step.
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
    if scale not in tried:  # the last scale couldn't be measured, but another one could
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
    """Return the number of steps in `budget` seconds, with the first reading of each image."""
    once = (budget - found.samples * found.reading) / found.seconds
    if once * found.images >= found.samples:
        return once
    return budget / (found.seconds + found.images * found.reading)


def extrapolated(tried: Mapping[Scale, StepTime], to: Scale, images: int) -> float | None:
    """Estimate the seconds of a step of `images` images at a scale that wasn't measured.

    The result is None if no scale was measured.

    Small networks use a processor less well than large ones, so a step with 16 times the work
    takes less than 16 times as long. The time is assumed to grow as a power of the work. The
    power is computed from the smallest and the largest measured scale.
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
