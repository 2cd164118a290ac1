"""Checks of schedules: a rate's factor is a function of the clock alone."""

from __future__ import annotations

import math
from dataclasses import replace

from ganzoo.interfaces import Clock
from ganzoo.testing.kit import check, require
from ganzoo.testing.subject import Subject

_EPOCHS, _LENGTH = 3, 40
"""The planned training: passes over the data, and images of each."""


@check("schedule")
def check_schedule_is_a_pure_function(subject: Subject) -> None:
    """The factor depends on options, clock and epochs alone, and is finite and at least 0."""
    chosen = subject.choose()
    last = _EPOCHS * _LENGTH
    clocks = [Clock(one, one, one / last, epoch=one // _LENGTH) for one in range(last + 1)]
    factors = [chosen.build(clock, _EPOCHS) for clock in clocks]
    for clock, factor in zip(clocks, factors, strict=True):
        require(
            isinstance(factor, int | float) and math.isfinite(factor) and factor >= 0,
            f"the factor at progress {clock.progress:g} is {factor!r}: give a finite number from "
            "0 on",
        )
    require(any(factors), "the factor is 0 in the whole training")
    require(
        [chosen.build(clock, _EPOCHS) for clock in reversed(clocks)] == factors[::-1],
        "asked again in another order, it gives another factor: keep nothing between calls",
    )
    require(
        [chosen.build(replace(clock, step=2 * clock.step), _EPOCHS) for clock in clocks] == factors,
        "it depends on `clock.step`, which another batch size changes: use `images`, `progress` "
        "or `epoch`",
    )
