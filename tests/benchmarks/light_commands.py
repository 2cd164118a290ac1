"""CPU time of the commands that only name things, beyond `python -c pass`.

python -m tests.benchmarks.light_commands [--rounds N] [--json]

The goal is 0.3 s each. Rounds alternate between all commands, so that a busy neighbour meets all of
them alike; the figures are medians of user and system time, with the lowest and the highest.
"""

from __future__ import annotations

import resource
import subprocess
import sys

from tests.benchmarks.timing import Spread, arguments, show

GOAL = 0.3
COMMANDS: dict[str, list[str]] = {
    "--help": ["--help"],
    "list": ["list"],
    "show": ["show", "ganzoo/l1"],
    "plugins": ["plugins"],
    "recipes list": ["recipes", "list"],
    "schema": ["schema"],
    "check --syntax": ["check", "quickstart", "--syntax"],
}


def cpu_seconds(arguments: list[str]) -> float:
    """User and system time of one Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(rounds: int) -> dict[str, Spread]:
    """Seconds of each command beyond the median of Python's own."""
    for one in COMMANDS.values():  # read everything from disk once
        cpu_seconds(["-m", "ganzoo", *one])
    spent: dict[str, list[float]] = {name: [] for name in COMMANDS}
    bare: list[float] = []
    for _ in range(rounds):
        bare.append(cpu_seconds(["-c", "pass"]))
        for name, one in COMMANDS.items():
            spent[name].append(cpu_seconds(["-m", "ganzoo", *one]))
    own = Spread.of(bare).median
    return {name: Spread.of(value - own for value in values) for name, values in spent.items()}


def main() -> None:
    """Print the figures."""
    given = arguments(__doc__, rounds=7)
    figures = measure(given.rounds)
    lines = [f"CPU seconds beyond `python -c pass`, medians of {given.rounds}; goal {GOAL}"]
    lines += [f"{name:15} {one.words('s', digits=2)}" for name, one in figures.items()]
    commands = {name: one.document() for name, one in figures.items()}
    show({"goal": GOAL, "commands": commands}, lines, as_json=given.json)


if __name__ == "__main__":
    main()
