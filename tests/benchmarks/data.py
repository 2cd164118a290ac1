"""The data path: pairs of facades to batches, beside Pillow's way as the reference goes it.

Measures how long one process takes for a pair, then how long a training step waits for its batch
behind loaders with 0 and 1 workers.

    python -m tests.benchmarks.data [--rounds N] [--json] [--step SECONDS]

The data are `$GANZOO_DATA/facades` where that is, else pictures of blocks, whose figures
are others.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor

from ganzoo.data.loader import batches
from ganzoo.data.pipeline import PreparedData, open_data
from ganzoo.data.sample_cache import open_cache
from ganzoo.data.sampler import StreamSampler
from ganzoo.recipe import load_recipe
from tests.benchmarks.facades import plain_pair, prepare
from tests.benchmarks.timing import Spread, alternate, arguments, ratio, show

_WAITS = 60
"""Steps of which each waits for its batch, at most."""


def seconds_a_pair(data: PreparedData, rounds: int) -> dict[str, Spread]:
    """Seconds of one pair, by way: Pillow's, and ours in the first epoch and in later ones."""
    files, random = list(data.source.files), Random(0)
    order = np.random.default_rng(0).permutation(len(data))
    number = itertools.count()
    cache = open_cache(len(data), 600)
    assert cache is not None
    for index in range(len(data)):
        data.batch([(0, index)], cache)
    turn = {"epoch": 0}

    def ten(way: str) -> None:
        for _ in range(10):
            index = int(order[next(number) % len(data)])
            if way == "plain":
                plain_pair(files[index], 256, random)
            elif way == "first":
                data.batch([(turn["epoch"], index)])
            else:
                turn["epoch"] += 1
                data.batch([(turn["epoch"], index)], cache)

    names = ("plain", "first", "later")
    taken = alternate({name: (lambda name=name: ten(name)) for name in names}, rounds)
    cache.close()
    return {
        name: Spread(one.median / 10, one.lowest / 10, one.highest / 10, one.count)
        for name, one in taken.items()
    }


def waits(data: PreparedData, workers: int, step: float) -> dict[str, Spread]:
    """Seconds spent in `next` before each step, in the first epoch and in the second.

    A step is `step` seconds of matrix products in this thread.
    """
    steps = min(_WAITS, len(data) - 1)
    loader = _loader(data, workers)
    next(loader)  # what starts workers is no wait of a step
    first = _waited(loader, step, steps)
    for _ in itertools.islice(loader, len(data) - steps - 1):
        pass
    later = _waited(loader, step, steps)
    loader.close()
    return {"first": first, "later": later}


def _waited(loader: Iterator[dict[str, Tensor]], step: float, steps: int) -> Spread:
    taken = []
    weights = torch.randn(256, 256)
    time.sleep(0.1)
    for _ in range(steps):
        began = time.perf_counter()
        next(loader)
        taken.append(time.perf_counter() - began)
        while time.perf_counter() - began < step:
            weights @ weights
    return Spread.of(taken)


def throughput(data: PreparedData, workers: int) -> dict[str, float]:
    """Pairs a second through the loader with nothing between, first epoch and second."""
    loader = _loader(data, workers)
    next(loader)
    figures = {}
    for name, count in (("first", len(data) - 1), ("later", len(data))):
        began = time.perf_counter()
        for _ in itertools.islice(loader, count):
            pass
        figures[name] = count / (time.perf_counter() - began)
    loader.close()
    return figures


def _loader(data: PreparedData, workers: int) -> Iterator[dict[str, Tensor]]:
    sampler = StreamSampler(
        length=len(data), batch_size=1, rank=0, world=1, seed=0, start=0, stop=3 * len(data)
    )
    return batches(data, sampler, workers=workers, pin=False)


def opened(folder: Path) -> PreparedData:
    """The paper's training data; `folder` is for what must lie on disk."""
    recipe = folder / "recipe.toml"
    text = prepare(folder, size=256, width=64)["recipe"].format(precision="fp32")
    recipe.write_text(text, encoding="utf-8")
    return open_data(load_recipe(recipe), "train", stand_in=False)


def measure(data: PreparedData, given: argparse.Namespace) -> None:
    """Measure and print."""
    grown = -resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pairs = seconds_a_pair(data, given.rounds)
    grown += resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    waiting = {workers: waits(data, workers, given.step) for workers in (0, 1)}
    through = {workers: throughput(data, workers) for workers in (0, 1)}
    document = {
        "data": {"use": data.chosen.id, "pairs": len(data)},
        "pairs": {name: one.document() for name, one in pairs.items()},
        "ratio_first": ratio(pairs["plain"], pairs["first"]),
        "ratio_later": ratio(pairs["plain"], pairs["later"]),
        "memory_grown_mb": grown * 1024 / 1e6,
        "waits": {
            workers: {name: one.document() for name, one in both.items()}
            for workers, both in waiting.items()
        },
        "pairs_per_second": through,
    }
    lines = [f"{len(data)} pairs of {data.chosen.id}"]
    lines += [f"{name}: {one.words('ms a pair', 1e3, 2)}" for name, one in pairs.items()]
    lines.append(
        f"plain / ours: first epoch {document['ratio_first']:.2f}x, "
        f"later {document['ratio_later']:.2f}x (goal 3x); "
        f"peak memory grew by {document['memory_grown_mb']:.0f} MB"
    )
    for workers, both in waiting.items():
        for name, one in both.items():
            lines.append(
                f"{workers} workers, {name} epoch: a step of {given.step * 1e3:g} ms waits "
                f"{one.words('ms', 1e3, 2)}; {through[workers][name]:.0f} pairs/s with no steps"
            )
    show(document, lines, as_json=given.json)


def main() -> None:
    """Find the data, measure and print."""
    given = arguments(
        __doc__,
        rounds=20,
        extra=[("--step", {"type": float, "default": 0.01, "help": "seconds of a step (0.01)"})],
    )
    torch.set_num_threads(1)  # as a loader worker has it
    with tempfile.TemporaryDirectory() as folder:
        measure(opened(Path(folder)), given)


if __name__ == "__main__":
    main()
