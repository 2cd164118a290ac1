"""CPU time of the commands that only name things, beyond `python -c pass`.

python -m tests.benchmarks.light_commands [--rounds N] [--json]

The goal is 0.3 s each. Rounds alternate between all commands, so that a busy neighbour meets all of
them alike; the figures are medians of user and system time, with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys

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


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of each command beyond Python's own: median, lowest and highest."""
    for arguments in COMMANDS.values():  # read everything from disk once
        cpu_seconds(["-m", "ganzoo", *arguments])
    spent: dict[str, list[float]] = {name: [] for name in COMMANDS}
    bare: list[float] = []
    for _ in range(rounds):
        bare.append(cpu_seconds(["-c", "pass"]))
        for name, arguments in COMMANDS.items():
            spent[name].append(cpu_seconds(["-m", "ganzoo", *arguments]))
    own = statistics.median(bare)
    return {
        name: {
            "median": statistics.median(seconds) - own,
            "lowest": min(seconds) - own,
            "highest": max(seconds) - own,
        }
        for name, seconds in spent.items()
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure(arguments.rounds)
    if arguments.json:
        print(json.dumps({"goal": GOAL, "rounds": arguments.rounds, "commands": figures}, indent=2))
        return
    print(f"CPU seconds beyond `python -c pass`, medians of {arguments.rounds}; goal {GOAL}")
    for name, one in figures.items():
        spread = f"{one['lowest']:.2f} to {one['highest']:.2f}"
        print(f"{name:15} {one['median']:.2f}  ({spread})")


if __name__ == "__main__":
    main()
