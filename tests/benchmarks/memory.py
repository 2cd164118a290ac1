"""Peak resident memory of a run, beside the plain loop in fp32: the paper's facades model.

python -m tests.benchmarks.memory [--rounds N] [--steps N] [--precisions fp32 bf16] [--json]

Goals: at most 1.0 times the plain loop in fp32, at most 1.1 in bf16 (`precision = auto` where the
CPU multiplies it). Every measurement is a fresh process, and they take turns. What counts is the
highest resident size of the main process (VmHWM, in MB of 10^6 bytes), interpreter and imports
included: the whole of `ganzoo run` up to its last step, and the plain loop with Pillow, NumPy and
torch alone. Beside it stand what was resident before the networks were built (the first sample is
read by then, and what that imports; what optimizers import is not there yet), and the peak with the
checkpoint and the sample that end a run (the plain loop saves both networks by `torch.save`).

The data are `$GANZOO_DATA/facades` where that is, else pictures of blocks on disk. The EMA is off
and no process loads data beside the main one, in both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.facades import depth_of, plain_batches, prepare
from tests.benchmarks.timing import Spread, arguments, show

GOALS = {"fp32": 1.0, "bf16": 1.1}
WHAT = {
    "before": "before the networks",
    "first": "first step",
    "steps": "peak of the steps",
    "whole": "with the end",
}


def resident(field: str = "VmRSS") -> float:
    """This process's resident memory in MB: `VmRSS` now, `VmHWM` the highest so far."""
    with Path("/proc/self/status").open(encoding="ascii") as file:
        line = next(line for line in file if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024 / 1e6


def plain_child(settings: dict[str, Any]) -> dict[str, float]:
    """Memory of the plain loop in this process, in MB."""
    import torch

    from tests.benchmarks.plain import make_step

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    batches = plain_batches(Path(settings["root"]) / "train", settings["size"])
    first = next(batches)  # before the networks, as a run does it
    marks = {"before": resident()}
    step = make_step(width=settings["width"], depth=depth_of(settings["size"]))
    step(*first)
    marks["first"] = resident("VmHWM")
    for _ in range(settings["steps"] - 1):
        step(*next(batches))
    marks["steps"] = resident("VmHWM")
    torch.save(step.generator.state_dict(), Path(settings["out"]) / "generator.pt")
    torch.save(step.discriminator.state_dict(), Path(settings["out"]) / "discriminator.pt")
    return {**marks, "whole": resident("VmHWM")}


def ganzoo_child(settings: dict[str, Any]) -> dict[str, float]:
    """Memory of `ganzoo run` in this process, in MB."""
    from ganzoo.cli.main import main as ganzoo
    from ganzoo.engine.loop import Loop
    from ganzoo.engine.trainer import Trainer

    marks: dict[str, float] = {}
    began, stepped, finish = Trainer.__init__, Trainer.step, Loop._finish

    def begin(self: Trainer, *rest: Any, **more: Any) -> None:
        marks["before"] = resident()
        began(self, *rest, **more)

    def step(self: Trainer) -> None:
        stepped(self)
        marks.setdefault("first", resident("VmHWM"))

    def end(self: Loop, *rest: Any) -> None:
        marks["steps"] = resident("VmHWM")
        finish(self, *rest)

    Trainer.__init__, Trainer.step, Loop._finish = begin, step, end  # type: ignore[method-assign]
    out = Path(settings["out"])
    recipe = out / "recipe.toml"
    text = settings["recipe"].format(precision=settings["precision"])
    recipe.write_text(text, encoding="utf-8")
    steps = str(settings["steps"])
    if code := ganzoo(["run", str(recipe), "--max-steps", steps, "--out", str(out / "run")]):
        raise SystemExit(code)
    return {**marks, "whole": resident("VmHWM")}


def measure(settings: dict[str, Any], rounds: int, contenders: list[str]) -> dict[str, Any]:
    """MB of each contender (`plain`, or a precision) at each mark, over fresh processes."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in contenders}
    for _ in range(rounds):
        for name in contenders:
            with tempfile.TemporaryDirectory() as out:
                told = json.dumps({**settings, "out": out, "precision": name})
                command = [sys.executable, "-m", "tests.benchmarks.memory", "--child", told]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            for mark, value in json.loads(done.stdout.splitlines()[-1]).items():
                found[name].setdefault(mark, []).append(value)
    return {
        name: {mark: Spread.of(values) for mark, values in marks.items()}
        for name, marks in found.items()
    }


def main() -> None:
    """Measure, and print the figures."""
    flags: list[tuple[str, dict[str, Any]]] = [
        ("--steps", {"type": int, "default": 25}),
        ("--size", {"type": int, "default": 256, "help": "pixels of an image's side"}),
        ("--width", {"type": int, "default": 64}),
        ("--precisions", {"nargs": "+", "default": ["fp32", "bf16"], "choices": list(GOALS)}),
        ("--child", {"metavar": "SETTINGS", "help": "measure one contender in this process"}),
    ]
    asked = arguments(__doc__, rounds=3, extra=flags)
    if asked.child is not None:
        settings = json.loads(asked.child)
        child = plain_child if settings["precision"] == "plain" else ganzoo_child
        print(json.dumps(child(settings)))
        return
    with tempfile.TemporaryDirectory() as folder:
        settings = prepare(Path(folder), size=asked.size, width=asked.width)
        settings["steps"] = asked.steps
        figures = measure(settings, asked.rounds, ["plain", *asked.precisions])
    plain = figures["plain"]["steps"].median
    ratios = {name: figures[name]["steps"].median / plain for name in asked.precisions}
    lines = []
    for name, marks in figures.items():
        lines.append(name if name == "plain" else f"ganzoo, {name}: {ratios[name]:.3f} of plain")
        lines += [
            f"  {words:20} {marks[mark].words('MB', digits=0)}" for mark, words in WHAT.items()
        ]
    document = {
        "settings": {key: settings[key] for key in ("size", "width", "steps", "root")},
        "megabytes": {
            name: {mark: spread.document() for mark, spread in marks.items()}
            for name, marks in figures.items()
        },
        "ratios": ratios,
        "goals": {name: GOALS[name] for name in asked.precisions},
    }
    show(document, lines, as_json=asked.json)


if __name__ == "__main__":
    main()
