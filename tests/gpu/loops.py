"""Trainers that see one batch again and again, the plain loop beside them, and timing."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ganzoo.data.pipeline import open_data
from ganzoo.engine.accelerate_session import Session, resolve
from ganzoo.engine.trainer import Trainer
from ganzoo.recipe import load_recipe
from ganzoo.recipe.model import Recipe
from tests.benchmarks.timing import Spread
from tests.gpu.parts import Setup

PAPER = "pix2pix_facades"


def papers_recipe(setup: Setup, *sets: str) -> Recipe:
    """The recipe of the paper on drawn data; narrow, and of 64 pixels, where `setup.small`."""
    here = ["data.use=facades/procedural", f"train.device={setup.device}"]
    if setup.small:
        here += ["data.size=64", "augment=[]", "train.threads=1"]
        here += ["generator.depth=6", "generator.width=8", "discriminator.width=8"]
    return load_recipe(PAPER, [*here, *sets])


@contextmanager
def trainer_of(recipe: Recipe) -> Iterator[Trainer]:
    """A trainer whose stream repeats one batch of random images that lies on the device."""
    session = Session(resolve(recipe.train), accumulate=1)
    try:
        trainer = Trainer(recipe, open_data(recipe, "train"), session)
        batch = one_batch(trainer.plan.io["generator"].input.shape, recipe.train.batch_size)
        trainer._stream = itertools.repeat(
            {name: value.to(session.device) for name, value in batch.items()}
        )
        yield trainer
    finally:
        session.close()


def one_batch(shape: Sequence[int], size: int) -> dict[str, Tensor]:
    """A pair of random images, `size` times."""
    random = torch.Generator().manual_seed(0)
    return {
        name: torch.rand((size, *shape), generator=random) * 2 - 1 for name in ("source", "target")
    }


def first_losses(recipe: Recipe, steps: int) -> list[dict[str, float]]:
    """Each step's losses, and a look whether all is finite."""
    with trainer_of(recipe) as trainer:
        found = []
        for _ in range(steps):
            trainer.step()
            found.append(trainer.stepper.logs())
        trainer.check_finite()
    return found


def furthest(mine: Sequence[Mapping[str, float]], other: Sequence[Mapping[str, float]]) -> float:
    """The largest distance of two runs' losses: absolute below 1, relative above."""
    return max(
        abs(one[name] - two[name]) / max(1.0, abs(two[name]))
        for one, two in zip(mine, other, strict=True)
        for name in two
    )


def milliseconds(call: Callable[[], object], device: str, steps: int) -> float:
    """Milliseconds of one call, over so many: by CUDA's events, or by the clock on a CPU."""
    if device != "cuda":
        began = time.perf_counter()
        for _ in range(steps):
            call()
        return (time.perf_counter() - began) * 1e3 / steps
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    for _ in range(steps):
        call()
    last.record()
    last.synchronize()
    return float(first.elapsed_time(last)) / steps


def in_turns(
    contenders: Mapping[str, Callable[[], object]], device: str, seconds: float, steps: int
) -> dict[str, Spread]:
    """Milliseconds a call of each contender, in turns of `steps` calls, 3 to 15 turns."""
    for call in contenders.values():
        milliseconds(call, device, 3)  # what the first calls pay once
    found: dict[str, list[float]] = {name: [] for name in contenders}
    ends = time.monotonic() + seconds
    for turn in range(15):
        if turn >= 3 and time.monotonic() > ends:
            break
        for name, call in contenders.items():
            found[name].append(milliseconds(call, device, steps))
    return {name: Spread.of(values) for name, values in found.items()}


def peak_mebibytes(call: Callable[[], object], device: str, before: int) -> float | None:
    """Device memory that was in use at most during a call, beyond `before` bytes."""
    if device != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats()
    call()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def allocated(device: str) -> int:
    """Bytes of device memory that tensors hold."""
    return torch.cuda.memory_allocated() if device == "cuda" else 0
