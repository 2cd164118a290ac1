"""The training step of the paper's facades model: ganzoo's trainer against a plain PyTorch loop.

python -m tests.benchmarks.step [--precisions fp32 auto] [--rounds N] [--together] [--sums] [--json]

Both train the same networks in turns, on one batch that is loaded before (`tests.benchmarks.data`
times the data). The plain loop is `tests.benchmarks.plain`: fp32, torch's own layers and
`torch.optim.Adam` with its defaults. Ganzoo's step is all of `Trainer.step`.

Each has a process of its own, since a run tells the C library to keep freed memory, and that holds
for all that its process does; with `--together` they share one, so that the plain loop gains too.

`--sums` adds where the time of ganzoo's step goes, by torch's profiler: it is the operations' own
time, which the profiler itself makes longer.

Goals: 3x of the plain loop where `precision = auto` is bf16 on a CPU with AMX, and 1.4x in fp32.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from ganzoo.data.pipeline import open_data
from ganzoo.engine.accelerate_session import Session, resolve
from ganzoo.engine.trainer import Trainer
from ganzoo.nn import ways
from ganzoo.recipe import load_recipe
from ganzoo.recipe.model import Recipe
from tests.benchmarks import plain
from tests.benchmarks.timing import Spread, arguments, ratio, show

GOALS = {"fp32": 1.4, "auto": 3.0}
_SHOWN = 12
_WARM = 3


def recipe_of(precision: str, sets: list[str]) -> Recipe:
    """The paper's recipe on data that need no files."""
    here = ["data.use=facades/procedural", f"train.precision={precision}"]
    return load_recipe("pix2pix_facades", [*sets, *here])


def one_batch(side: int) -> dict[str, Tensor]:
    """A pair of random images."""
    random = torch.Generator().manual_seed(0)
    shape = (1, 3, side, side)
    return {name: torch.rand(shape, generator=random) * 2 - 1 for name in ("source", "target")}


def make_trainer(recipe: Recipe) -> Trainer:
    """A trainer that sees one batch again and again."""
    session = Session(resolve(recipe.train), accumulate=1)
    trainer = Trainer(recipe, open_data(recipe, "train"), session)
    trainer.feed(itertools.repeat(one_batch(trainer.plan.io["generator"].input.shape[1])))
    return trainer


def make_plain(recipe: Recipe) -> Callable[[], object]:
    """The plain loop's step for the recipe's networks."""
    torch.set_num_threads(resolve(recipe.train).threads)
    generator: Any = recipe.networks["generator"]
    settings = {name: getattr(generator.options, name) for name in ("width", "depth", "dropout")}
    step = plain.make_step(**settings)
    batch = one_batch(open_data(recipe, "train").fields["source"].shape[1])
    return lambda: step(**batch)


def details(trainer: Trainer, *, profiled: bool) -> dict[str, Any]:
    """What ganzoo's steps go through."""
    convolutions = Counter(way for net in trainer.nets.values() for way in ways(net).values())
    found: dict[str, Any] = {
        "resolved": trainer.session.resolved.precision,
        "freed_memory_kept": trainer.session.memory_kept,
        "convolutions": dict(convolutions),
    }
    return found | ({"milliseconds": sums(trainer)} if profiled else {})


def sums(trainer: Trainer, steps: int = 3) -> dict[str, float]:
    """Milliseconds a step that the most expensive operations take by themselves."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
        for _ in range(steps):
            trainer.step()
    found = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)
    return {event.key: event.self_cpu_time_total / steps / 1e3 for event in found[:_SHOWN]}


class Here:
    """A contender in this process."""

    def __init__(self, contender: str, recipe: Recipe) -> None:
        self.trainer = make_trainer(recipe) if contender == "ganzoo" else None
        self.step = self.trainer.step if self.trainer is not None else make_plain(recipe)
        for _ in range(_WARM):
            self.step()

    def seconds(self) -> float:
        """Of one step."""
        began = time.perf_counter()
        self.step()
        return time.perf_counter() - began

    def details(self, *, profiled: bool) -> dict[str, Any]:
        """As the function of this name, of ganzoo."""
        assert self.trainer is not None
        return details(self.trainer, profiled=profiled)

    def close(self) -> None:
        """Let another precision have its session."""
        if self.trainer is not None:
            self.trainer.session.close()


class Apart:
    """A contender in a process of its own, with the same methods."""

    def __init__(self, contender: str, precision: str, sets: list[str]) -> None:
        flags = ["--serve", contender, "--precisions", precision]
        flags += [part for one in sets for part in ("--set", one)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.step", *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ask("step")

    def _ask(self, what: str) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def seconds(self) -> float:
        """Of one step."""
        return float(self._ask("step"))

    def details(self, *, profiled: bool) -> dict[str, Any]:
        """As the function of this name, of ganzoo."""
        found: dict[str, Any] = self._ask("sums" if profiled else "details")
        return found

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def serve(contender: str, precision: str, sets: list[str]) -> None:
    """Answer the questions of an `Apart`."""
    here = Here(contender, recipe_of(precision, sets))
    for line in sys.stdin:
        question = line.strip()
        answer: Any = (
            here.seconds() if question == "step" else here.details(profiled=question == "sums")
        )
        print(json.dumps(answer), flush=True)


def measure(
    precision: str, rounds: int, *, sets: list[str], together: bool, profiled: bool
) -> tuple[dict[str, Spread], dict[str, Any]]:
    """Seconds a step of both contenders, and what ganzoo's went through."""
    seconds: dict[str, list[float]] = {"plain": [], "ganzoo": []}
    with ExitStack() as stack:
        contenders: dict[str, Here | Apart] = {}
        for name in seconds:
            contenders[name] = (
                Here(name, recipe_of(precision, sets)) if together else Apart(name, precision, sets)
            )
            stack.callback(contenders[name].close)
        for _ in range(rounds):
            for name, contender in contenders.items():
                seconds[name].append(contender.seconds())
        more = contenders["ganzoo"].details(profiled=profiled)
    return {name: Spread.of(values) for name, values in seconds.items()}, more


def main() -> None:
    """Print the figures."""
    given = arguments(
        __doc__,
        rounds=15,
        extra=(
            ("--precisions", {"nargs": "+", "choices": ["fp32", "auto", "bf16"], "default": None}),
            ("--set", {"action": "append", "default": [], "help": "change the recipe"}),
            ("--together", {"action": "store_true", "help": "both contenders in this process"}),
            ("--sums", {"action": "store_true", "help": "where ganzoo's time goes"}),
            ("--serve", {"choices": ["plain", "ganzoo"], "help": "be a contender"}),
        ),
    )
    precisions = given.precisions or [*GOALS]
    if given.serve:
        serve(given.serve, precisions[0], given.set)
        return
    document: dict[str, Any] = {"goals": GOALS, "together": given.together, "precisions": {}}
    lines = []
    for precision in precisions:
        spent, more = measure(
            precision,
            given.rounds,
            sets=given.set,
            together=given.together,
            profiled=given.sums,
        )
        gain = ratio(spent["plain"], spent["ganzoo"])
        figures = {who: spread.document() for who, spread in spent.items()}
        document["precisions"][precision] = {**figures, "ratio": gain, **more}
        lines += [f"{precision}: {who} {spread.words('ms', 1e3)}" for who, spread in spent.items()]
        goal = f", goal {GOALS[precision]}" if precision in GOALS else ""
        lines.append(f"{precision} ({more['resolved']}): plain / ganzoo = {gain:.2f}{goal}")
        lines.append(f"{precision}: convolutions {more['convolutions']}")
        lines += [
            f"{precision}: {value:7.1f} ms a step in {name}"
            for name, value in more.get("milliseconds", {}).items()
        ]
    show(document, lines, as_json=given.json)


if __name__ == "__main__":
    main()
