"""How a training step grows with the image's side, the batch and the width; and that it stays.

python -m tests.benchmarks.growth [--sweeps side batch width drift] [--rounds N] [--json]

Around the paper's facades model (256 pixels, batch 1, width 64, a U-Net as deep as log2 of the
side) one thing changes at a time. Each point is a fresh process that times steps of ganzoo's
trainer on one batch held in memory, and tells its highest resident memory. Beside it stand, counted
by torch on the plain model's tensors without data: FLOPs of the step, and bytes that must be held
(weights, gradients, Adam's moments, and what the generator's turn saves for its backward).

Goal: from the smallest to the largest, time grows with FLOPs to a power of at most 1, and memory
beyond the imports with the bytes held to a power of at most 1. `drift` runs 2,000 steps of a small
model (width 8, 64 pixels) through ganzoo's loop, files and all: the last quarter's steps take at
most 5 % longer than the second quarter's, and at most 10 MB more are resident.

`growth_plot` draws the JSON.
"""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.facades import depth_of, prepare
from tests.benchmarks.memory import resident
from tests.benchmarks.timing import Spread, alternate, arguments, show

BASE = {"size": 256, "batch": 1, "width": 64}
SWEEPS: dict[str, tuple[int, ...]] = {
    "side": (128, 256, 512),
    "batch": (1, 2, 4, 8),
    "width": (16, 32, 64, 128),
}
KEYS = {"side": "size", "batch": "batch", "width": "width"}
TOLERANCE = 0.03
"""By how much a power may exceed 1 for noise."""
SLOWER = 1.05
GROWN = 10
"""Of the last quarter of a long run against the second: the ratio of times, and MB more."""


def counted(size: int, batch: int, width: int) -> dict[str, float]:
    """FLOPs of the plain step, and bytes that it must hold; nothing is computed."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from tests.benchmarks.plain import make_step

    with torch.device("meta"):
        step = make_step(width=width, depth=depth_of(size))
        image = torch.zeros(batch, 3, size, size)
    nets = (step.generator, step.discriminator)
    weights = [p for net in nets for p in net.parameters()]
    own = {p.untyped_storage()._cdata for p in weights}
    held: dict[int, torch.UntypedStorage] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            held[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        fake = step.generator(image)
        judged = step.discriminator(torch.cat([image, fake], 1))
    activations = sum(storage.nbytes() for storage in held.values())
    del judged
    with FlopCounterMode(display=False) as counter:
        step(image, image)
    count = sum(p.numel() for p in weights)
    return {"flops": counter.get_total_flops(), "bytes": 16 * count + activations}


def trainer_of(settings: dict[str, Any]) -> Any:
    """Ganzoo's trainer of the recipe in `settings`."""
    from ganzoo.data.pipeline import open_data
    from ganzoo.engine.accelerate_session import Session, resolve
    from ganzoo.engine.trainer import Trainer
    from ganzoo.recipe import loads

    recipe = loads(settings["recipe"].format(precision=settings["precision"]))
    data = open_data(recipe, "train")
    session = Session(resolve(recipe.train), accumulate=recipe.train.accumulate)
    return Trainer(recipe, data, session)


def point_child(settings: dict[str, Any]) -> dict[str, Any]:
    """Seconds a step in this process, and the highest resident memory beyond the imports."""
    import torch

    from ganzoo.engine import run  # what a run imports

    del run
    imports = resident()
    trainer = trainer_of(settings)
    one = trainer.data.sample(0)
    batch = {name: torch.stack([value] * settings["batch"]) for name, value in one.items()}
    trainer._stream = itertools.repeat(batch)
    seconds = alternate({"step": trainer.step}, settings["rounds"])["step"]
    return {"seconds": seconds.document(), "megabytes": resident("VmHWM") - imports}


def plain_child(settings: dict[str, Any]) -> dict[str, Any]:
    """Seconds a step of the plain fp32 loop in this process."""
    import os

    import torch

    from tests.benchmarks.plain import make_step

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    step = make_step(width=settings["width"], depth=depth_of(settings["size"]))
    image = torch.rand(settings["batch"], 3, settings["size"], settings["size"]) * 2 - 1
    seconds = alternate({"step": lambda: step(image, image)}, settings["rounds"])["step"]
    return {"plain_seconds": seconds.document()}


def drift_child(settings: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds a step, and resident MB, of each part of a long run in this process."""
    from ganzoo.engine.intervals import Limits
    from ganzoo.engine.loop import Loop
    from ganzoo.engine.run_view import Run
    from ganzoo.observers import Voice
    from ganzoo.process.signals import StopFlag

    trainer = trainer_of(settings)
    parts, steps = 20, settings["steps"]
    milliseconds, megabytes, ends = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        this = Run(Path(folder), trainer.recipe, trainer, Voice(quiet=True))
        loop = Loop(this, Limits(), None)
        for part in range(parts):
            this.last_step = steps * (part + 1) // parts
            before, began = trainer.steps, time.perf_counter()
            loop._steps(StopFlag())
            took = time.perf_counter() - began
            milliseconds.append(1000 * took / max(1, trainer.steps - before))
            megabytes.append(resident())
            ends.append(trainer.steps)
    quarter = parts // 4
    second, last = (Spread.of(milliseconds[i : i + quarter]) for i in (quarter, parts - quarter))
    return {
        "steps": ends,
        "milliseconds": milliseconds,
        "megabytes": megabytes,
        "slower": last.median / second.median,
        "grown_megabytes": max(megabytes[-quarter:]) - max(megabytes[quarter : 2 * quarter]),
    }


def in_process(settings: dict[str, Any]) -> dict[str, Any]:
    """What a fresh process finds."""
    command = [sys.executable, "-m", "tests.benchmarks.growth", "--child", json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def sweep(
    name: str, values: list[int], base: dict[str, int], more: dict[str, Any], *, plain: bool
) -> dict[str, Any]:
    """Points of one sweep, and the powers with which time and memory grow between the ends."""
    points = []
    for value in values:
        at = {**base, KEYS[name]: value}
        with tempfile.TemporaryDirectory() as folder:
            settings = {**prepare(Path(folder), **at), **more}
            found = in_process(settings)
            if plain:
                found |= in_process({**settings, "plain": True})
        points.append({"value": value, **at, **counted(**at), **found})
    first, last = points[0], points[-1]

    def grown(key: str) -> float:
        return math.log(last[key] / first[key])

    def time_power(of: str) -> float:
        return math.log(last[of]["median"] / first[of]["median"]) / grown("flops")

    powers = {"time_power": time_power("seconds")}
    if plain:
        powers["plain_time_power"] = time_power("plain_seconds")
    return {"points": points, **powers, "memory_power": grown("megabytes") / grown("bytes")}


def lines_of(document: dict[str, Any]) -> list[str]:
    """The figures for people."""
    lines = []
    for name, found in document["sweeps"].items():
        powers = f"time as FLOPs^{found['time_power']:.2f}, memory as held^"
        lines.append(f"{name}: {powers}{found['memory_power']:.2f}")
        if "plain_time_power" in found:
            lines.append(f"  the plain loop's time as FLOPs^{found['plain_time_power']:.2f}")
        for point in found["points"]:
            seconds, flops = point["seconds"]["median"], point["flops"]
            lines.append(
                f"  {point['value']:4}  {seconds * 1000:8.1f} ms  {flops / 1e9:8.1f} GFLOP  "
                f"{flops / seconds / 1e9:6.0f} GFLOP/s  {point['megabytes']:6.0f} MB  "
                f"held {point['bytes'] / 1e6:6.0f} MB"
            )
    if "drift" in document:
        drift = document["drift"]
        lines.append(
            f"drift over {drift['steps'][-1]} steps: {drift['slower']:.3f} of the time, "
            f"{drift['grown_megabytes']:+.1f} MB, from the second quarter to the last"
        )
    return lines


def main() -> None:
    """Measure, and print the figures."""
    flags: list[tuple[str, dict[str, Any]]] = [
        ("--sweeps", {"nargs": "+", "default": [*SWEEPS, "drift"], "choices": [*SWEEPS, "drift"]}),
        ("--precision", {"default": "fp32", "choices": ["fp32", "bf16"]}),
        ("--values", {"nargs": "+", "type": int, "help": "points of each sweep"}),
        ("--size", {"type": int, "default": BASE["size"]}),
        ("--width", {"type": int, "default": BASE["width"]}),
        ("--drift-steps", {"type": int, "default": 2000}),
        ("--plain", {"action": "store_true", "help": "time the plain fp32 loop beside each point"}),
        ("--child", {"metavar": "SETTINGS", "help": "measure one thing in this process"}),
    ]
    asked = arguments(__doc__, rounds=5, extra=flags)
    if asked.child is not None:
        settings = json.loads(asked.child)
        child = drift_child if "steps" in settings else point_child
        child = plain_child if "plain" in settings else child
        print(json.dumps(child(settings)))
        return
    more = {"precision": asked.precision, "rounds": asked.rounds}
    base = {**BASE, "size": asked.size, "width": asked.width}
    document: dict[str, Any] = {"precision": asked.precision, "base": base, "sweeps": {}}
    for name in asked.sweeps:
        if name != "drift":
            values = asked.values or list(SWEEPS[name])
            document["sweeps"][name] = sweep(name, values, base, more, plain=asked.plain)
            continue
        with tempfile.TemporaryDirectory() as folder:
            settings = prepare(Path(folder), size=64, width=8)
            document["drift"] = in_process({**settings, **more, "steps": asked.drift_steps})
    met = [
        found[key] <= 1 + TOLERANCE
        for found in document["sweeps"].values()
        for key in ("time_power", "memory_power")
    ]
    if "drift" in document:
        drift = document["drift"]
        met += [drift["slower"] <= SLOWER, drift["grown_megabytes"] <= GROWN]
    document["met"] = all(met)
    show(document, lines_of(document), as_json=asked.json)


if __name__ == "__main__":
    main()
