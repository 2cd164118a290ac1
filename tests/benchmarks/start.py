"""Time of `ganzoo run` until its first training step begins, beyond `python -c "import torch"`.

python -m tests.benchmarks.start [--rounds N] [--json] [RECIPE ...]

The goal is 2 s of wall clock each, with everything in the disk's cache. Each round starts fresh
processes that take turns; both tell the clock themselves, so that neither's exit counts: the bare
one when torch is imported, the run from a callback that comes last of all that begin it. CPU time,
of all threads, is reported beside it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.timing import Spread, arguments, show

GOAL = 2.0
RECIPES = ("quickstart", "gan_ring", "pix2pix_facades")
BARE = "import torch, time; print(time.time(), time.process_time())"
MARKER = '''"""A plugin whose callback tells when the first step begins, and leaves."""

import os
import time

from ganzoo.api import component, hookimpl


@component("callback")
def leave():
    return Leave


class Leave:
    def __init__(self, options):
        pass

    @hookimpl(trylast=True)
    def ganzoo_run_started(self, run):
        print(time.time(), time.process_time(), flush=True)
        os._exit(0)
'''


class Start(NamedTuple):
    """Seconds until a process was ready, by the clock and of the CPU."""

    wall: float
    cpu: float


def start(command: list[str]) -> Start:
    """Seconds of one Python process until it printed the time."""
    began = time.time()
    done = subprocess.run([sys.executable, *command], capture_output=True, check=False)
    words = done.stdout.split()
    if done.returncode or len(words) != 2:
        raise SystemExit(f"{command} told no time:\n{done.stderr.decode()}")
    return Start(float(words[0]) - began, float(words[1]))


def command_of(recipe: str, folder: Path) -> list[str]:
    """`ganzoo run RECIPE` that ends where its first step would begin."""
    marker = folder / "first_step.py"
    marker.write_text(MARKER, encoding="utf-8")
    out = tempfile.mkdtemp(dir=folder)
    callback = ["--set", "callback=first_step/leave"]
    return ["-m", "ganzoo", "--plugin", str(marker), "run", recipe, "--out", out, *callback]


def measure(recipes: list[str], rounds: int) -> dict[str, list[Start]]:
    """Starts of the bare import of torch and of each recipe; one of each before doesn't count."""
    found: dict[str, list[Start]] = {name: [] for name in ("bare", *recipes)}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1 + rounds):
            for name, starts in found.items():
                command = ["-c", BARE] if name == "bare" else command_of(name, Path(folder))
                one = start(command)
                if number:
                    starts.append(one)
    return found


def main() -> None:
    """Print the figures."""
    extra = [("recipes", {"nargs": "*", "metavar": "RECIPE", "default": list(RECIPES)})]
    given = arguments(__doc__, rounds=5, extra=extra)
    found = measure(given.recipes, given.rounds)
    spreads = {
        name: (Spread.of(one.wall for one in starts), Spread.of(one.cpu for one in starts))
        for name, starts in found.items()
    }
    wall, cpu = spreads.pop("bare")
    lines = [
        f"seconds until the first step, medians of {given.rounds}; goal {GOAL} beyond the bare one",
        f"{'import torch':18} {wall.words('s', digits=2)}, CPU {cpu.words('s', digits=2)}",
    ]
    document: dict[str, Any] = {
        "goal": GOAL,
        "bare": {"wall": wall.document(), "cpu": cpu.document()},
    }
    for name, (its_wall, its_cpu) in spreads.items():
        beyond = its_wall.median - wall.median
        document[name] = {
            "wall": its_wall.document(),
            "cpu": its_cpu.document(),
            "beyond": beyond,
            "cpu_beyond": its_cpu.median - cpu.median,
        }
        lines.append(
            f"{name:18} {its_wall.words('s', digits=2)}, CPU {its_cpu.words('s', digits=2)}; "
            f"beyond {beyond:.2f} s, CPU {its_cpu.median - cpu.median:.2f} s"
        )
    show(document, lines, as_json=given.json)


if __name__ == "__main__":
    main()
