"""Find the weights of logged loss terms.

The training minimises weighted terms. Terms of different runs are compared without their weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ganzoo.engine.build import parts_of
from ganzoo.errors import PluginError
from ganzoo.interfaces import Clock, Loss, Task


def weights_of(task: Task, loss: Loss, clock: Clock, terms: Iterable[str]) -> dict[str, float]:
    """Return the weight of each logged term for which the loss or the task states one.

    Args:
        task: the task, which may have a method `term_weights`.
        loss: the loss, which may have one too; it may be a sum of several losses.
        clock: the progress of the training.
        terms: names as they are logged, `PLAYER/TERM`; a task may have put a prefix before TERM.

    Returns:
        Weights other than 0 and 1. A logged value divided by its weight is the unweighted value.

    Raises:
        PluginError: when a `term_weights` doesn't return a mapping.
    """
    losses = parts_of(loss)
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
            f"the `term_weights` of {type(part).__qualname__} return a {type(given).__name__}",
            hint="They must return a number for the name of a term; report this to its authors.",
        )
    weights = {str(name): float(weight) for name, weight in given.items()}
    return {n: w for n, w in weights.items() if w not in (0, 1) and math.isfinite(w)}
