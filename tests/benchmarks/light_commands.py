"""CPU time of the commands that only name things, beyond `python -c pass`.

python -m tests.benchmarks.light_commands [--rounds N] [--json] [--no-bytecode]

The goal is 0.3 s for commands that only list names, and 0.6 s for those that build the options of
components with pydantic. Python may keep bytecode, as `pip install` does for all it installs: in a
temporary folder here, filled before the rounds, whatever PYTHONDONTWRITEBYTECODE says; without it
each of ganzoo's modules is compiled again, by every command. `--no-bytecode` leaves the
environment as it is. Rounds alternate between all commands, so that a busy neighbour meets all of
them alike; the figures are medians of user and system time, with the lowest and the highest.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from tempfile import TemporaryDirectory

from tests.benchmarks.timing import Spread, arguments, show

GOALS = {
    "--help": 0.3,
    "list": 0.3,
    "plugins": 0.3,
    "recipes list": 0.6,
    "show": 0.6,
    "schema": 0.6,
    "check --syntax": 0.6,
}
COMMANDS: dict[str, list[str]] = {
    "--help": ["--help"],
    "list": ["list"],
    "show": ["show", "ganzoo/l1"],
    "plugins": ["plugins"],
    "recipes list": ["recipes", "list"],
    "schema": ["schema"],
    "check --syntax": ["check", "quickstart", "--syntax"],
}


def cpu_seconds(arguments: list[str], environ: Mapping[str, str] | None = None) -> float:
    """User and system time of one Python process; in this one's environment if none is given."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True, env=environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def keeping_bytecode(folder: str) -> dict[str, str]:
    """This process's environment, but that Python keeps bytecode, in a folder."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": folder}


def measure(rounds: int, environ: Mapping[str, str] | None = None) -> dict[str, Spread]:
    """Seconds of each command beyond the median of Python's own."""
    for one in COMMANDS.values():  # read everything from disk once
        cpu_seconds(["-m", "ganzoo", *one], environ)
    spent: dict[str, list[float]] = {name: [] for name in COMMANDS}
    bare: list[float] = []
    for _ in range(rounds):
        bare.append(cpu_seconds(["-c", "pass"], environ))
        for name, one in COMMANDS.items():
            spent[name].append(cpu_seconds(["-m", "ganzoo", *one], environ))
    own = Spread.of(bare).median
    return {name: Spread.of(value - own for value in values) for name, values in spent.items()}


def main() -> None:
    """Print the figures."""
    flag = {"action": "store_true", "help": "leave the environment as it is"}
    given = arguments(__doc__, rounds=7, extra=[("--no-bytecode", flag)])
    with TemporaryDirectory() as folder:
        figures = measure(given.rounds, None if given.no_bytecode else keeping_bytecode(folder))
    lines = [f"CPU seconds beyond `python -c pass`, medians of {given.rounds}"]
    lines += [
        f"{name:15} {one.words('s', digits=2)}, goal {GOALS[name]}" for name, one in figures.items()
    ]
    commands = {name: one.document() for name, one in figures.items()}
    show(
        {"goals": GOALS, "bytecode": not given.no_bytecode, "commands": commands},
        lines,
        as_json=given.json,
    )


if __name__ == "__main__":
    main()
