"""Decide when a run logs, samples, validates, saves and stops."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass

from ganzoo.errors import UsageError
from ganzoo.recipe.interval import parse_every


class Ticker:
    """Decide whether an interval of the recipe ended during a step.

    Steps, images and epochs are counted from the start of training, so that a resumed run acts at
    the same steps as an uninterrupted one. Minutes are counted from the start of this process.

    Args:
        every: the interval as in a recipe, such as `100 steps`.
        length: the number of training samples, which is the length of an epoch.
    """

    def __init__(self, every: str, length: int) -> None:
        self.interval = parse_every(every)
        self.length = length
        self._began = time.monotonic()

    @property
    def by_time(self) -> bool:
        """Return whether the interval is in minutes, so that processes must agree on its end."""
        return self.interval is not None and self.interval.unit == "minutes"

    def due(self, step: int, before: int, after: int) -> bool:
        """Return whether to act after `step` steps; the last used images `before` to `after`."""
        if self.interval is None:
            return False
        count, unit = self.interval.count, self.interval.unit
        if unit == "steps":
            return step % int(count) == 0
        if unit == "minutes":
            if time.monotonic() - self._began < 60 * count:
                return False
            self._began = time.monotonic()
            return True
        size = int(count) * (self.length if unit == "epochs" else 1)
        return before // size != after // size


@dataclass(frozen=True)
class Limits:
    """The limits at which this process stops before the end of the plan.

    They don't change any schedule.

    Args:
        steps: the total number of optimisation steps of the run, earlier parts included.
        seconds: the total time spent in training, earlier parts included.
    """

    steps: int | None = None
    seconds: float | None = None


_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def parse_duration(text: str) -> float:
    """Return the number of seconds of a duration such as `90s`, `10m` or `1h30m`.

    Raises:
        UsageError: when the text has another form, has no unit, or means zero seconds.
    """
    match = _DURATION.fullmatch(text.strip())
    hours, minutes, seconds = (float(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if not 0 < total < math.inf:
        raise UsageError(
            f"{text!r} is not a duration", hint="Write it with a unit: 90s, 10m or 1h30m."
        )
    return total


def in_words(seconds: float) -> str:
    """Return a duration, rounded to seconds, in the form that `parse_duration` reads."""
    minutes, rest = divmod(max(1, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)


def rounded(seconds: float) -> str:
    """Return a duration with about two digits: `15 ms`, `0.15 s`, `12 min`, `3 h 20 min`."""
    if seconds < 0.1:
        return f"{1000 * seconds:.2g} ms"
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(10 * round(minutes / 10), 60)
    if hours < 10:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    hours = round(seconds / 3600)
    return f"{hours} h" if hours < 72 else f"{round(hours / 24)} days"
