"""The core's schedules: pure functions that return the factor of the learning rate at a clock."""

from __future__ import annotations

import math

from ganzoo.interfaces import Clock
from ganzoo.plugin_system.builtin_options import DecreaseOptions, StepsOptions, WarmUp


def constant(options: WarmUp, clock: Clock, epochs: int) -> float:
    """Return 1, after the warm-up."""
    del epochs
    return _warmed(1.0, options, clock)


def linear(options: DecreaseOptions, clock: Clock, epochs: int) -> float:
    """Return a factor that decreases linearly towards 0.

    With `every = "epoch"` the factor in epoch e (from 1) of E is
    1 - max(0, e - hold * E) / (E - hold * E + 1). This is the rule of the training code published
    with arXiv 1611.07004; the factor never reaches 0.
    """
    return _warmed(1 - _passed(options, clock, epochs), options, clock)


def cosine(options: DecreaseOptions, clock: Clock, epochs: int) -> float:
    """Return a factor that decreases towards 0 along half a period of a cosine."""
    share = _passed(options, clock, epochs)
    return _warmed((1 + math.cos(math.pi * share)) / 2, options, clock)


def steps(options: StepsOptions, clock: Clock, epochs: int) -> float:
    """Return `factor` to the power of the number of points that are behind the clock."""
    del epochs
    behind = sum(clock.progress >= point for point in options.at)
    behind += sum(clock.images >= point for point in options.images)
    return _warmed(options.factor**behind, options, clock)


def _passed(options: DecreaseOptions, clock: Clock, epochs: int) -> float:
    """Return the share of the decrease that is behind the clock, from 0 to 1."""
    if options.every == "epoch":
        held = options.hold * epochs
        epoch = min(clock.epoch + 1, epochs)
        share = max(0.0, epoch - held) / (epochs - held + 1)
    else:
        share = max(0.0, clock.progress - options.hold) / (1 - options.hold)
    return min(share, 1.0)


def _warmed(factor: float, options: WarmUp, clock: Clock) -> float:
    if options.warmup and clock.progress < options.warmup:
        factor *= clock.progress / options.warmup
    return factor
