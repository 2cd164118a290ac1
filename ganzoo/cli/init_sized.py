"""The measurements of `ganzoo init` on this machine, and the recipe made from them."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ganzoo.cli.init_scale import LEAST_STEPS, Choice, candidates, choose, extrapolated
from ganzoo.cli.init_text import here_text, nice, paper_text
from ganzoo.engine.intervals import in_words, rounded
from ganzoo.errors import GanzooError, RecipeError, UsageError
from ganzoo.process.cpu_cores import cores

if TYPE_CHECKING:
    from ganzoo.data.pipeline import PreparedData
    from ganzoo.data.proposal import Scale, Sizing
    from ganzoo.engine.step_timing import StepTime
    from ganzoo.recipe import Recipe

DEFAULT_SECONDS = 600.0
"""The time that a first training takes if the user doesn't ask for another time."""
_HEADERS = 200
"""The largest number of images whose sizes are read."""
_PATIENCE = 5.0
"""The expected time of a step, in seconds, from which on the published setting isn't measured. The
time that it takes is then extrapolated."""


@dataclass(frozen=True)
class Sized:
    """A recipe whose training time fits the machine.

    Args:
        text: the text of the whole recipe.
        said: sentences for the user.
        limit: seconds after which the run must be stopped with `--max-time`, since one epoch takes
            longer than that; None if the planned training ends in time.
    """

    text: str
    said: tuple[str, ...] = ()
    limit: float | None = None


def sized(
    head: str,
    load: Callable[[str], Recipe],
    sizing: Sizing,
    size: int | None,
    seconds: float | None,
) -> Sized:
    """Complete a recipe with a scale at which a training takes the requested time.

    Args:
        head: the part of the recipe that is the same at all scales.
        load: a function that reads such a text.
        sizing: the scales to choose among.
        size: the image size that the user asks for; None if any size will do.
        seconds: the training time that the user asks for. With None it is ten minutes, or on a GPU
            the published setting is used.

    Raises:
        UsageError: the networks can't be built for this size.
        GanzooError: the data can't be read.
    """
    from ganzoo.data.pipeline import open_data
    from ganzoo.data.proposal import Scale
    from ganzoo.engine.accelerate_session import resolve
    from ganzoo.engine.step_timing import measure

    recipe = load(head)
    data = open_data(recipe, "train")
    own = _own_size(data)
    if size is not None:
        _check_size(load(head + here_text(sizing.tables(Scale(size, 1)), [])), size)

    def measured(tables: Mapping[str, Any]) -> StepTime:
        at = load(head + here_text(tables, []))
        return measure(at, open_data(at, "train"))

    paper = _Published(sizing, len(data))
    wanted = seconds or DEFAULT_SECONDS
    limit = None
    asked = seconds is not None or size is not None
    if not asked and resolve(recipe.train).device != "cpu" and paper.measured(measured):
        choice = paper.choice()
        tables = sizing.paper_tables
    else:
        choice = choose(
            candidates(sizing.scales, own, size),
            lambda scale: measured(sizing.tables(scale)),
            wanted,
            samples=len(data),
            images=recipe.train.batch_size * recipe.train.accumulate,
        )
        tables = sizing.tables(choice.scale)
        if (choice.seconds or 0) > 1.2 * wanted:
            limit = wanted
        paper.extrapolated(choice.tried, measured)
    said = tuple(_said(choice, len(data), own, limit))
    text = here_text(_planned(tables, choice, recipe), [*_measured(choice, wanted), *said])
    text += paper_text(sizing.paper_name, sizing.paper_tables, paper.time)
    return Sized(head + text, said, limit)


class _Published:
    """The published setting, and the time that it takes on this machine."""

    def __init__(self, sizing: Sizing, samples: int) -> None:
        train = sizing.paper_tables["train"]
        self.sizing = sizing
        self.epochs = int(train["epochs"])
        self.images = int(train["batch_size"])
        self.steps = -(-self.epochs * samples // self.images)
        self.found: StepTime | None = None
        self.time = "how long it takes here could not be measured"

    def measured(self, measure: Callable[[Mapping[str, Any]], StepTime]) -> bool:
        """Measure the step time of the setting, and return whether that succeeded."""
        try:
            self.found = measure(self.sizing.paper_tables)
        except GanzooError:
            return False
        self.time = f"about {rounded(self.found.of(self.steps))} here, as measured"
        return True

    def choice(self) -> Choice:
        """Return the published setting as the choice."""
        tried = {} if self.found is None else {self.sizing.paper: self.found}
        return Choice(self.sizing.paper, self.epochs, self.steps, tried)

    def extrapolated(
        self,
        tried: Mapping[Scale, StepTime],
        measure: Callable[[Mapping[str, Any]], StepTime],
    ) -> None:
        """Estimate the time from other scales; measure it if a step is expected to be short."""
        step = extrapolated(tried, self.sizing.paper, self.images)
        if step is None or (step < _PATIENCE and self.measured(measure)):
            return
        self.time = f"about {rounded(step * self.steps)} here, extrapolated"


def _own_size(data: PreparedData) -> int | None:
    """Return the median length in pixels of the images' shorter side; None if it isn't known."""
    sizes: Callable[[int], Mapping[str, tuple[int, int]]] | None
    sizes = getattr(data.source, "sizes", None)
    if sizes is None:
        return None
    step = -(-len(data) // _HEADERS)
    found = [min(map(min, sizes(index).values())) for index in range(0, len(data), step)]
    return int(statistics.median_high(found))


def _check_size(recipe: Recipe, size: int) -> None:
    """Check that the networks can be built for a size.

    Raises:
        UsageError: they can't; the hint names the sizes that they can be built for.
    """
    import torch

    from ganzoo.data.pipeline import open_data
    from ganzoo.engine.build import build_network
    from ganzoo.engine.plan import plan_networks

    try:
        plan = plan_networks(recipe, open_data(recipe, "train").fields)
        for role, component in plan.chosen.items():
            with torch.device("meta"):
                build_network(component, plan.io[role], 0, role)
    except RecipeError as error:
        hint = error.hint.partition("\n")[0]
        raise UsageError(f"--size {size}: {error.message}", hint=hint) from error


def _planned(tables: Mapping[str, Any], choice: Choice, recipe: Recipe) -> dict[str, Any]:
    """Return the tables with batch size, epochs, and the intervals of samples and checkpoints."""
    train = {"batch_size": recipe.train.batch_size, **tables.get("train", {})}
    return {
        **tables,
        "train": {**train, "epochs": choice.epochs},
        "watch": {"samples": f"{nice(choice.steps / 10)} steps"},
        "checkpoints": {"every": f"{nice(choice.steps / 3)} steps"},
    }


def _measured(choice: Choice, wanted: float) -> Iterator[str]:
    """Yield lines about what was measured, on which day and on which hardware."""
    from ganzoo.nn.device_and_precision import processor

    for number, (scale, found) in enumerate(choice.tried.items()):
        if not number:
            where = processor() if found.device == "cpu" else found.device
            threads = _several(found.threads, "thread")
            yield (
                f"Measured {time.strftime('%Y-%m-%d')} on {where}: {threads}, "
                f"{found.precision}, {found.samples:,} training images."
            )
        steps = wanted / (found.of(1000) / 1000)
        yield (
            f"{scale}: {rounded(found.seconds)} a step of {_several(found.images, 'image')}, "
            f"{steps:,.0f} steps in {rounded(wanted)}"
        )


def _several(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _busy() -> str:
    """Return a sentence for the user if the machine is busy, or an empty string."""
    load, count = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, cores()
    if load < 1.5 * count:
        return ""
    return (
        f"This machine is busy (a load of {load:.1f} on {count} cores), so steps take longer "
        "than usual: `ganzoo init` may propose larger sizes when it is idle."
    )


def _said(choice: Choice, samples: int, own: int | None, limit: float | None) -> Iterator[str]:
    """Yield sentences for the user about the choice and its limits."""
    plan = (
        f"{choice.scale}: {choice.epochs:,} epochs of {samples:,} images are {choice.steps:,} steps"
    )
    if choice.seconds is None:
        yield (
            f"No step could be measured ({' '.join(choice.reason.split())}), so the time isn't "
            f"known: {plan}."
        )
    else:
        yield f"{plan}, about {rounded(choice.seconds)}."
        if busy := _busy():
            yield busy
    if own is not None and own < choice.scale.size:
        yield f"The images have {own} pixels on their shorter side and are enlarged."
    if limit is not None:
        yield f"One epoch takes longer than {rounded(limit)}: stop the run with --max-time."
    elif choice.steps < LEAST_STEPS / 2 and choice.seconds is not None:
        yield (
            f"{choice.steps:,} steps are too few for a good result: --for {_longer(choice)} "
            "gives more."
        )


def _longer(choice: Choice) -> str:
    """Return a training time, in words, that is long enough for `LEAST_STEPS` steps."""
    minutes = LEAST_STEPS / choice.steps * (choice.seconds or 0) / 0.85 / 60
    return in_words(60 * max(1, math.ceil(minutes)))
