"""Kill a small run at random moments and at file operations, resume it, and compare the ends.

`python -m tests.faults.kills --count 200` prints a summary; exit code 1 if a case failed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from conftest import TINY
from ganzoo.engine.checkpoint import damage
from tests.faults.forks import Child, warm

RECIPE = (
    TINY.replace("epochs = 4", "epochs = 1")
    .replace('log = "3 steps"\nsamples = "never"', 'log = "1 steps"\nsamples = "3 steps"')
    .replace('every = "never"', 'every = "2 steps"\nkeep = 2')
)
"""Seven steps with three checkpoints, of which two are kept, and samples."""

LONGEST = 300
"""Seconds after which a run of a few seconds hangs; on a busy machine it may take a minute."""

EVENTS = {
    "open": "open",
    "os.rename": "rename",
    "os.remove": "unlink",
    "os.mkdir": "mkdir",
    "os.rmdir": "rmdir",
    "os.listdir": "listdir",
    "os.scandir": "listdir",
    "os.chmod": "chmod",
}
"""Python's audit events before an operation on a file, and what they are called here."""


@dataclass(frozen=True)
class Case:
    """One kill: `moment` is a share of the whole run's time, or the number of an operation."""

    kind: str
    moment: float


@dataclass(frozen=True)
class Outcome:
    """What came of a kill; `wrong` is empty where all is as it must be."""

    case: Case
    wrong: str
    seconds: float


def watch(folder: Path, happened: Callable[[str], None]) -> None:
    """Call `happened` before each operation on files below a folder, in this process, for ever."""

    def inside(path: object) -> bool:
        return isinstance(path, str | os.PathLike) and str(path).startswith(str(folder))

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        kind = EVENTS.get(event)
        if kind is not None and arguments and inside(arguments[0]):
            happened(kind)

    sys.addaudithook(heard)
    fsync, write_text = os.fsync, Path.write_text

    def counted_fsync(file: int) -> None:
        happened("fsync")
        fsync(file)

    def half_written(self: Path, data: str, *args: Any, **kwargs: Any) -> int:
        if inside(self):
            write_text(self, data[: len(data) // 2], *args, **kwargs)
            happened("write")
        return write_text(self, data, *args, **kwargs)

    os.fsync = counted_fsync
    Path.write_text = half_written  # type: ignore[method-assign]


def train(folder: Path, *, resume: bool) -> int:
    """The run, in this process, as `ganzoo run` does it."""
    from ganzoo.engine.run import run
    from ganzoo.recipe import loads

    result = run(None, resume=folder) if resume else run(loads(RECIPE), out=folder)
    return int(result.exit_code)


class Kills:
    """The uninterrupted run, and others that are killed and go on.

    Args:
        root: an empty folder for runs.
    """

    def __init__(self, root: Path) -> None:
        warm()
        self.root = root
        self.whole = root / "whole"
        began = time.monotonic()
        counts = root / "counts.json"

        def counting() -> int:
            seen: Counter[str] = Counter()
            watch(self.whole, lambda kind: seen.update([kind]))
            code = train(self.whole, resume=False)
            counts.write_text(json.dumps(seen))
            return code

        child = Child(counting, root / "whole.txt")
        assert child.wait() == 0, child.text()
        self.seconds = time.monotonic() - began
        self.counts: dict[str, int] = json.loads(counts.read_text())
        self.expected = ended(self.whole)

    def cases(self, count: int, seed: int) -> list[Case]:
        """As many kills of each kind of operation, at any of them, and at random moments."""
        random_numbers = random.Random(seed)
        kinds = itertools.cycle(["moment", *sorted(self.counts)])
        made = []
        for kind in itertools.islice(kinds, count):
            if kind == "moment":
                made.append(Case(kind, random_numbers.random()))
            else:
                made.append(Case(kind, random_numbers.randint(1, self.counts[kind])))
        return made

    def outcome(self, number: int, case: Case) -> Outcome:
        """Kill, go on, and compare."""
        began = time.monotonic()
        folder = self.root / f"run{number}"
        try:
            wrong = self._killed(folder, case) or self._gone_on(folder)
        except TimeoutError as hung:
            wrong = str(hung)
        shutil.rmtree(folder, ignore_errors=True)
        return Outcome(case, wrong, time.monotonic() - began)

    def _killed(self, folder: Path, case: Case) -> str:
        left = [int(case.moment)]

        def dying(kind: str) -> None:
            if kind == case.kind:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        def work() -> int:
            watch(folder, dying)
            return train(folder, resume=False)

        child = Child(work, folder.with_suffix(".killed.txt"))
        if case.kind == "moment":
            until = time.monotonic() + case.moment * self.seconds
            while not child.ended() and time.monotonic() < until:
                time.sleep(0.002)
            if not child.ended():
                child.send(signal.SIGKILL)
        code = child.wait(LONGEST)
        if code not in (0, -signal.SIGKILL):
            return f"before the kill it ended with {code}: {child.text()}"
        return ""

    def _gone_on(self, folder: Path) -> str:
        saved = whole_checkpoints(folder)
        resume = (folder / "recipe.resolved.toml").exists()
        child = Child(lambda: train(folder, resume=resume), folder.with_suffix(".resumed.txt"))
        code = child.wait(LONGEST)
        text = child.text()
        if code or "Traceback" in text:
            return f"exit {code}: {text}"
        done = "nothing is left" in text
        begun_at = f"continuing from {folder / 'checkpoints' / saved[-1]}" if saved else ""
        if not done and begun_at not in text:
            return f"{saved[-1]} was there and not used: {text}"
        if leftovers := [str(file) for file in folder.rglob("*.tmp")]:
            return f"left behind: {leftovers}"
        return differences(self.expected, ended(folder))


def whole_checkpoints(folder: Path) -> list[str]:
    """Names of the checkpoints that were renamed into their place, oldest first."""
    found = (folder / "checkpoints").glob("step_*")
    names = [path.name for path in found if path.name.removeprefix("step_").isdecimal()]
    return sorted(names, key=lambda name: int(name.removeprefix("step_")))


def ended(folder: Path) -> dict[str, Any]:
    """A run's end state: every tensor of its last checkpoint, its metrics, and its files."""
    names = whole_checkpoints(folder)
    last = folder / "checkpoints" / names[-1]
    tensors = {
        f"{file.stem}/{name}": tensor
        for file in sorted(last.glob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }
    samples = {path.name: path.read_bytes() for path in sorted((folder / "samples").glob("*.png"))}
    status = json.loads((folder / "status.json").read_text())
    return {
        # Those that are to stay: one that was to be removed may be left, until the next is written.
        "checkpoints": names[-2:],
        "damaged": [name for name in names if damage(folder / "checkpoints" / name)],
        "metrics": (folder / "metrics.jsonl").read_text(),
        "state": [status["state"], status["step"], status["images"], status["complete"]],
        **samples,
        **tensors,
    }


def differences(expected: dict[str, Any], found: dict[str, Any]) -> str:
    """What differs between two end states, in words; empty where nothing does."""
    if expected.keys() != found.keys():
        return f"not in both: {sorted(expected.keys() ^ found.keys())}"
    wrong = [
        name
        for name, value in expected.items()
        if not (torch.equal(value, found[name]) if torch.is_tensor(value) else value == found[name])
    ]
    return f"not the same: {wrong}" if wrong else ""


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kills = Kills(Path(folder))
        print(f"uninterrupted: {kills.seconds:.1f} s, operations {kills.counts}")
        passed: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        for number, case in enumerate(kills.cases(options.count, options.seed)):
            outcome = kills.outcome(number, case)
            (failed if outcome.wrong else passed).update([case.kind])
            if outcome.wrong:
                print(f"{case}: {outcome.wrong}", flush=True)
        for kind in sorted(passed | failed):
            print(f"{kind}: {passed[kind]} identical, {failed[kind]} not")
        print(f"{sum(passed.values())} of {options.count} kills: identical bit for bit")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
