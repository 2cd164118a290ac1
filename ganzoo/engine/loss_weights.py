"""Weights of logged terms: what is minimised is weighted, what a person compares is plain."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ganzoo.errors import PluginError
from ganzoo.interfaces import Clock, Loss, Task


def weights_of(task: Task, loss: Loss, clock: Clock, terms: Iterable[str]) -> dict[str, float]:
    """The weight of each logged term whose loss or task says it.

    Args:
        task: whose `term_weights` are asked for.
        loss: the same; it may be a sum of several.
        clock: how far training is.
        terms: names as they are logged, `PLAYER/TERM`; a task may have put more before the term.

    Returns:
        Weights other than 0 and 1; a logged value divided by its weight is the plain one.
    """
    losses: Mapping[str, Any] = getattr(loss, "parts", {"": loss})
    said = _said(task, clock)
    for part, one in losses.items():
        said |= {f"{part}/{n}" if part else n: weight for n, weight in _said(one, clock).items()}
    found = {}
    for term in terms:
        path = term.partition("/")[2]
        for name, weight in said.items():
            if path == name or path.endswith(f"/{name}"):
                found[term] = weight
    return found


def _said(part: Any, clock: Clock) -> dict[str, float]:
    ask = getattr(part, "term_weights", None)
    if not callable(ask):
        return {}
    given = ask(clock)
    if not isinstance(given, Mapping):
        raise PluginError(
            f"the `term_weights` of {type(part).__qualname__} give a {type(given).__name__}",
            hint="They give a number by the name of a term; tell its authors.",
        )
    weights = {str(name): float(weight) for name, weight in given.items()}
    return {n: w for n, w in weights.items() if w not in (0, 1) and math.isfinite(w)}
