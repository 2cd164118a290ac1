"""Measure how long a training step takes on this machine, by making a few real steps.

`ganzoo check` prints the time, and `ganzoo init` chooses a size with it. Networks, images, losses
and optimizers are those of a run, and are discarded afterwards. Nothing is written except the
run's own temporary cache.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager

import torch
from torch import Tensor

from ganzoo.data.loader import batches
from ganzoo.data.pipeline import PreparedData
from ganzoo.data.rng import isolated
from ganzoo.data.sampler import StreamSampler
from ganzoo.engine.accelerate_session import Session, resolve
from ganzoo.engine.plan import planned_steps
from ganzoo.engine.ranks import place
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import EnvironmentFault, GanzooError, error_text
from ganzoo.plugin_system.blame import left_by
from ganzoo.process.memory import free_memory, shortage
from ganzoo.recipe.model import Recipe

_WARM = 2
"""The number of first steps that aren't counted, because they fill caches and allocators."""
_MOST = 12
"""The largest number of steps that are counted."""
_BYTES_A_WEIGHT = 16
"""The memory for each weight: 4 bytes each for the weight, its gradient and two moments."""
_LONG = 8.0
"""If the first step takes more seconds than this, no other step is measured, to save time."""
_FEW_IMAGES = 16
"""The number of images of a larger batch that are tried first. A step of 512 images may take
minutes on a CPU."""


@dataclasses.dataclass(frozen=True)
class StepTime:
    """The time of one step and of the recipe's whole plan.

    Args:
        seconds: the seconds of one step whose images are already in the caches.
        reading: the seconds that it takes to read an image for the first time.
        timed: the number of images in a step that was measured. It is one batch, or less where a
            whole batch would take too long; `seconds` is extrapolated from it to `images`.
        images: the number of images per step.
        steps: the number of steps that the recipe plans.
        samples: the number of samples of the training data.
        device, precision, threads: the settings that a run would use.
    """

    seconds: float
    reading: float
    timed: int
    images: int
    steps: int
    samples: int
    device: str
    precision: str
    threads: int

    @property
    def whole(self) -> float:
        """Return the seconds of all planned steps."""
        return self.of(self.steps)

    def of(self, steps: float) -> float:
        """Return the seconds of the first `steps` steps of a training."""
        return steps * self.seconds + min(self.samples, steps * self.images) * self.reading


@contextmanager
def kept_for_backward() -> Iterator[list[int]]:
    """Collect the bytes that each operation in the block keeps for its backward pass.

    This also works on the meta device.
    """
    sizes: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        sizes.append(tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield sizes


def refuse_what_does_not_fit(recipe: Recipe, weights: int, kept: int) -> None:
    """Check that the free main memory is enough to measure a step on the CPU.

    The system would kill a process that uses more memory than there is, so this isn't tried.

    Args:
        recipe: the recipe whose steps would be measured.
        weights: the number of weights of its networks.
        kept: the number of bytes that a step of a whole batch keeps for its backward passes.

    Raises:
        EnvironmentFault: when there isn't enough free memory.
    """
    free = free_memory()
    batch = recipe.train.batch_size
    needed = weights * _BYTES_A_WEIGHT + kept * min(batch, _FEW_IMAGES) // batch
    if resolve(recipe.train).device == "cpu" and free is not None and needed > free:
        raise EnvironmentFault(
            f"it needs about {needed / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are free"
        )


def measure(recipe: Recipe, data: PreparedData, *, seconds: float = 2.0) -> StepTime:
    """Make a few steps of a recipe, and return the time of one.

    The steps use the same few training images repeatedly, so that these come from the caches as in
    a run's later epochs. The states of the random generators are restored.

    Args:
        recipe: the recipe.
        data: its training split.
        seconds: the time after which the measurement stops. It never stops within a step, and it
            stops after the first step only if that took very long.

    Raises:
        GanzooError: when anything keeps a step from being measured here; it contains the reason.
    """
    try:
        with isolated(0):
            return _measured(recipe, data, seconds)
    except SystemExit as left:
        raise left_by(left) from left
    except GanzooError:
        raise
    except Exception as error:
        short = shortage(error)
        raise EnvironmentFault(str(short) if short else error_text(error)) from error


def _measured(recipe: Recipe, data: PreparedData, seconds: float) -> StepTime:
    if place().world > 1:
        raise EnvironmentFault(
            "a step can be measured only in a single process, and this is one of several"
        )
    train = recipe.train
    # All players move in the measured steps, also those that begin later in a training.
    players = {
        player: dataclasses.replace(table, keys=table.keys.model_copy(update={"begin": None}))
        for player, table in recipe.players.items()
    }
    one = dataclasses.replace(
        recipe, train=train.model_copy(update={"accumulate": 1}), players=players
    )
    resolved = resolve(train)
    count = min(train.batch_size, _FEW_IMAGES)
    began = time.monotonic()
    with closing(Session(resolved, accumulate=1)) as session:
        trainer = Trainer(one, data, session)
        step, reading = _of_batches(trainer, count, seconds)
        left = seconds - (time.monotonic() - began)
        if count < train.batch_size and step * train.batch_size / count * _WARM < left:
            count = train.batch_size
            step, reading = _of_batches(trainer, count, left)
    images = train.batch_size * train.accumulate
    return StepTime(
        seconds=step * images / count,
        reading=reading,
        timed=count,
        images=images,
        steps=planned_steps(train, len(data)),
        samples=len(data),
        device=resolved.device,
        precision=resolved.precision,
        threads=resolved.threads,
    )


def _of_batches(trainer: Trainer, count: int, seconds: float) -> tuple[float, float]:
    """Return the seconds of a step of `count` images, and of an image's first reading."""
    reading: list[float] = []
    with closing(_few(trainer, count, reading)) as stream:
        trainer.feed(stream)
        took = _steps(trainer, seconds)
    return statistics.median(took[_WARM:] or took[-1:]), min(reading[:2]) / count


def _steps(trainer: Trainer, seconds: float) -> list[float]:
    """Make steps and return the seconds of each; the first ones are for warming up."""
    took: list[float] = []
    end = time.monotonic() + seconds
    while len(took) < _WARM + _MOST:
        if took and (took[0] > _LONG or (len(took) > 1 and time.monotonic() > end)):
            break
        began = time.perf_counter()
        trainer.step()
        if trainer.session.device.type == "cuda":
            torch.cuda.synchronize()  # `step` returns before the device has done the work
        took.append(time.perf_counter() - began)
    return took


def _few(trainer: Trainer, count: int, reading: list[float]) -> Generator[dict[str, Tensor]]:
    """Yield batches of the first images repeatedly, and append their read times to `reading`."""
    train, data = trainer.recipe.train, trainer.data
    sampler = StreamSampler(
        length=min(len(data), 2 * count),
        batch_size=count,
        rank=0,
        world=1,
        seed=train.seed,
        start=0,
        stop=(_WARM + _MOST) * count,
    )
    # There are no workers, which would take longer to start than the whole measurement takes.
    with closing(batches(data, sampler, workers=0, pin=False)) as stream:
        began = time.perf_counter()
        for batch in stream:
            reading.append(time.perf_counter() - began)
            yield batch
            began = time.perf_counter()
