"""Damaged and forged files of a run, and what ganzoo makes of them.

python -m tests.faults.damage [--count N] [--seed N]

A case is one file of a run directory that is damaged in one way, and a command that meets it:
`run --resume`, `predict`, `evaluate`, `runs list`, `runs compare`. Each runs in a forked child. It
must end by itself with one of ganzoo's exit codes and without a traceback; with exit code 0 what it
made must be what the whole run would have given, or it must have named what is damaged; and no
other file of the run may be lost. Cases depend on `--count` and `--seed` alone.

Tests of plugins may call `try_all` with a recipe of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganzoo.cli.main import main as ganzoo
from ganzoo.errors import ExitCode
from tests.faults.forks import Child

SECONDS = 60
"""What one command may take, however busy the machine is."""

COMMANDS = ("resume", "predict", "predict file", "evaluate", "list", "compare")

CODES = set(ExitCode) - {ExitCode.BUG}

RECIPE = """
name = "damaged"
task = "pix2pix/paired"
[data]
use = "images/side_by_side"
root = "{root}"
[generator]
use = "pix2pix/unet"
depth = 4
width = 4
[discriminator]
use = "pix2pix/patchgan"
receptive_field = 16
width = 4
[loss]
use = "pix2pix/cgan_l1"
[[metric]]
use = "ganzoo/l1"
[train]
epochs = 3
precision = "fp32"
device = "cpu"
threads = 1
workers = 0
[watch]
log = "2 steps"
samples = "4 steps"
[checkpoints]
every = "3 steps"
"""
"""Six images, so that the plan has 18 steps; `{root}` is a folder of pairs."""

BEGUN, AFTER = 6, 8
"""Steps of the run that is damaged, and steps after its resume."""

VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 10**40, -(10**40), 1e308, float("nan"), float("inf"), "", "x", "\0"),
    *("../../x", "x" * 5000, [], {}, [[]], {"": 0}, ["x"] * 3, {"use": 5}, "é\udc80", "2024-01-01"),
)
"""What stands in the place of a value of JSON or a card."""


@dataclass(frozen=True)
class Case:
    """One damage and one command.

    Args:
        number: of the case.
        file: the damaged file, relative to the run directory.
        way: how it is damaged, one of `WAYS`.
        command: one of `COMMANDS`.
        seed: of all that is drawn in damaging.
    """

    number: int
    file: str
    way: str
    command: str
    seed: int

    def __str__(self) -> str:
        return f"case {self.number}: {self.command} with {self.file} {self.way} (seed {self.seed})"


# --- ways to damage a file -------------------------------------------------------------------


def _flipped(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(draw.choice((1, 1, 4, 64))):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def _cut(path: Path, draw: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(len(content))])


def _emptied(path: Path, _: random.Random) -> None:
    path.write_bytes(b"")


def _removed(path: Path, _: random.Random) -> None:
    path.unlink()


def _grown(path: Path, draw: random.Random) -> None:
    path.write_bytes(path.read_bytes() + draw.randbytes(draw.choice((1, 100, 5000))))


def _zeroed(path: Path, draw: random.Random) -> None:
    """A block of zeros, as file systems leave after a power cut."""
    content = bytearray(path.read_bytes())
    start = draw.randrange(len(content))
    content[start:] = bytes(len(content) - start)
    path.write_bytes(content)


def _as_folder(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.mkdir()
    if draw.random() < 0.5:
        (path / "inside").write_text("x")


def _as_link(path: Path, draw: random.Random) -> None:
    path.unlink()
    others = [one for one in sorted(path.parent.iterdir()) if one.is_file()]
    targets = [Path(path.name), Path("nowhere"), Path("/dev/null"), Path(), *others]
    path.symlink_to(draw.choice(targets))


def _swapped(path: Path, draw: random.Random) -> None:
    """Exchanged with another file of its kind, or with any."""
    run = next(one for one in path.parents if (one / "checkpoints").is_dir())
    files = [one for one in sorted(run.rglob("*")) if one.is_file() and one != path]
    alike = [one for one in files if one.suffix == path.suffix]
    other = draw.choice(alike or files)
    mine = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(mine)


def _other_document(path: Path, draw: random.Random) -> None:
    texts = ("[]", "{}", "5", "null", '"x"', "{", "NaN", "[" * 3000, "\ufeff{}", '{"a": 1e999}')
    path.write_text(draw.choice(texts))


def _other_value(path: Path, draw: random.Random) -> None:
    """One value of a JSON file, of a line of JSON, or of a card is replaced, removed or added."""
    if path.suffix == ".safetensors":
        _in_card(path, lambda card: _change(card, draw))
        return
    lines = path.read_text().splitlines(keepends=True) if path.suffix == ".jsonl" else None
    place = draw.randrange(len(lines)) if lines else 0
    document = json.loads(lines[place] if lines else path.read_text())
    _change(document, draw)
    text = json.dumps(document)
    if lines:
        lines[place] = text + "\n"
        text = "".join(lines)
    path.write_text(text)


def _change(document: Any, draw: random.Random) -> None:
    """Replace or remove one value somewhere in a document, or add one."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list) and node[key]:
                walk(node[key])

    walk(document)
    node, key = draw.choice(places)
    kind = draw.random()
    if kind < 0.25:
        del node[key]
    elif kind < 0.3 and isinstance(node, dict):
        node["added"] = draw.choice(VALUES)
    else:
        node[key] = draw.choice(VALUES)


def _in_card(path: Path, change: Callable[[Any], None]) -> None:
    """Change the card in a weights file; its tensors stay as they are."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata() or {})
    key = next(iter(metadata), None)
    if key is None:  # training_state has no card
        return
    card = json.loads(metadata[key])
    change(card)
    save_file(load_file(path), path, {**metadata, key: json.dumps(card)})


def _forged(path: Path, draw: random.Random) -> None:
    """Another value, and a manifest that vouches for it."""
    _other_value(path, draw)
    manifest = path.parent / "manifest.json"
    document = json.loads(manifest.read_text())
    content = path.read_bytes()
    document["files"][path.name] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    manifest.write_text(json.dumps(document))


WAYS: Mapping[str, Callable[[Path, random.Random], None]] = {
    "flipped": _flipped,
    "cut": _cut,
    "emptied": _emptied,
    "removed": _removed,
    "grown": _grown,
    "zeroed": _zeroed,
    "as a folder": _as_folder,
    "as a link": _as_link,
    "swapped": _swapped,
    "another document": _other_document,
    "with another value": _other_value,
    "forged": _forged,
}


def commands_of(file: str) -> Sequence[str]:
    """The commands that meet a file; those that read no checkpoints have nothing to do with one."""
    return COMMANDS[:4] if file.startswith("checkpoints/step_") else COMMANDS


def ways_of(file: str) -> list[str]:
    """The ways in which a file can be damaged; what JSON can suffer counts for more."""
    ways = [way for way in WAYS if way not in ("another document", "with another value", "forged")]
    path = Path(file)
    if path.suffix in (".json", ".jsonl"):
        ways += ["another document", *["with another value"] * 6]
    if path.suffix == ".safetensors" and path.stem != "training_state":
        ways += ["with another value"] * 3
    if path.parent.name.startswith("step_") and path.name != "manifest.json":
        forgeable = path.suffix == ".json" or path.stem != "training_state"
        ways += ["forged"] * 4 * forgeable
    return ways


# --- a run, and what comes of it while it is whole -------------------------------------------


class Whole:
    """A run of `BEGUN` steps that was evaluated, another beside it, and what commands make of it.

    Args:
        folder: an empty one, where all of it is put.
        recipe: a recipe's text, with `{root}` in place of the folder of pairs.
    """

    def __init__(self, folder: Path, recipe: str = RECIPE) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        _pairs(folder / "pairs")
        (folder / "in").mkdir()
        shutil.copy(folder / "pairs" / "test" / "0.png", folder / "in" / "picture.png")
        file = folder / "recipe.toml"
        file.write_text(recipe.replace("{root}", str(folder / "pairs")))
        steps = ["--max-steps", str(BEGUN)]
        for name in ("a", "b"):
            out = ["--out", str(self.runs / name), "--set", "watch.evaluate=never"]
            _whole(["run", str(file), *out, *steps])
        _whole(["evaluate", str(self.runs / "a")])
        self.files = sorted(
            str(one.relative_to(self.runs / "a"))
            for one in (self.runs / "a").rglob("*")
            if one.is_file() and one.name != ".lock"
        )
        self.results = {}
        for command in COMMANDS:
            place = self.copy(folder / "reference")
            code, said = _apart(lambda place=place, command=command: do(command, place), place)
            if code:
                raise AssertionError(f"{command} fails on a whole run: {said}")
            self.results[command] = result(command, place)
            shutil.rmtree(place)

    def copy(self, place: Path) -> Path:
        """A copy of runs and pictures, to be damaged."""
        shutil.copytree(self.runs, place / "runs")
        shutil.copytree(self.folder / "in", place / "in")
        return place

    def cases(self, count: int, seed: int) -> list[Case]:
        """Cases that meet every file by every command before any twice."""
        draw = random.Random(seed)
        pairs = [(file, command) for file in self.files for command in commands_of(file)]
        cases = []
        while len(cases) < count:
            draw.shuffle(pairs)
            for file, command in pairs[: count - len(cases)]:
                way = draw.choice(ways_of(file))
                cases.append(Case(len(cases), file, way, command, draw.randrange(2**32)))
        return cases


def _pairs(folder: Path) -> None:
    for split, count in (("train", 6), ("val", 2), ("test", 2)):
        (folder / split).mkdir(parents=True)
        for index in range(count):
            pixels = np.random.default_rng(index).integers(0, 256, (16, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / split / f"{index}.png")


def _whole(arguments: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        code, said = _apart(lambda: ganzoo(arguments), Path(folder))
    if code:
        raise AssertionError(f"{arguments}: {said}")


def do(command: str, place: Path) -> int:
    """Run a command on the runs below a folder; its exit code."""
    run = place / "runs" / "a"
    predict = ["--device", "cpu", "-o", str(place / "out")]
    return ganzoo(
        {
            "resume": ["run", "--resume", str(run), "--max-steps", str(AFTER)],
            "predict": ["predict", str(run), str(place / "in"), *predict],
            "predict file": [
                *("predict", str(run / f"checkpoints/step_{BEGUN}/generator.safetensors")),
                *(str(place / "in"), *predict),
            ],
            "evaluate": ["evaluate", str(run), "--device", "cpu", "--json"],
            "list": ["runs", "list", str(place / "runs")],
            "compare": ["runs", "compare", str(run), str(place / "runs" / "b")],
        }[command]
    )


def result(command: str, place: Path) -> Any:
    """What a command computed, in a form that can be compared; None of those that only read."""
    run = place / "runs" / "a"
    if command == "resume":
        from safetensors.torch import load_file

        tensors = load_file(run / f"checkpoints/step_{AFTER}/generator.safetensors")
        return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}
    if command.startswith("predict"):
        return [np.asarray(Image.open(one)).tobytes() for one in sorted((place / "out").iterdir())]
    if command == "evaluate":
        text = (place / "said.txt").read_text()
        document = json.loads(text[text.index("\n{\n") :])
        return {key: document[key] for key in ("metrics", "controls", "n", "step")}
    return None


# --- a command in a process of its own, and what is demanded of it ---------------------------


def _apart(work: Callable[[], int], place: Path) -> tuple[int | None, str]:
    """What work in a forked child comes to: its exit code (None: no end), and what it said."""
    child = Child(work, place / "said.txt")
    try:
        return child.wait(SECONDS), child.text()
    except TimeoutError:
        return None, child.text()


def _contents(run: Path) -> dict[str, bytes]:
    return {
        str(one.relative_to(run)): one.read_bytes()
        for one in sorted(run.rglob("*"))
        if one.is_file() and not one.is_symlink()
    }


def attempt(whole: Whole, case: Case, place: Path) -> tuple[str, str]:
    """Play a case in a folder that isn't there yet.

    Returns:
        What is wrong with what came of it, empty if nothing is; and what the command said.
    """
    whole.copy(place)
    run = place / "runs" / "a"
    draw = random.Random(case.seed)
    try:
        WAYS[case.way](run / case.file, draw)
        before = _contents(run)
        code, said = _apart(lambda: do(case.command, place), place)
        return _complaint(whole, case, place, code, said, before), f"exit {code}\n{said}"
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _complaint(
    whole: Whole,
    case: Case,
    place: Path,
    code: int | None,
    said: str,
    before: Mapping[str, bytes],
) -> str:
    if code is None:
        return f"it had not ended after {SECONDS} s"
    if code not in CODES:
        return f"it ended with {code}"
    if "Traceback" in said or "this is a bug" in said:
        return "a traceback"
    if lost := _lost(case, before, _contents(place / "runs" / "a"), code):
        return f"lost: {lost}"
    # A link that leads back, or a file swapped with its equal, is no damage at all.
    if code == 0 and not _named(case, said):
        made = result(case.command, place)
        if made != whole.results[case.command]:
            return "another result than the whole run's, without a word"
    if case.command == "list" and str(place / "runs" / "b") not in said.replace("\n", ""):
        return "the other run isn't listed"
    return ""


def _named(case: Case, said: str) -> bool:
    """Whether what was said names the damaged file, or the checkpoint that it belongs to."""
    folder = Path(case.file).parent.name
    return Path(case.file).name in said or (folder.startswith("step_") and folder in said)


def _lost(
    case: Case, before: Mapping[str, bytes], after: Mapping[str, bytes], code: int
) -> list[str]:
    """Files of the run that aren't what they were, and had no reason to change."""
    changing = {"log.txt", "status.json", "provenance.json", "metrics.jsonl", ".lock"}
    lost = []
    for name, content in before.items():
        mine = name == case.file and case.command in ("resume", "evaluate") and code == 0
        thinned = case.command == "resume" and name.startswith("checkpoints/") and code == 0
        scored = case.command == "evaluate" and name.startswith("evaluation/")
        if mine or thinned or scored or (case.command == "resume" and name in changing):
            continue
        if after.get(name) != content:
            lost.append(name)
    if case.command == "resume" and case.file != "metrics.jsonl" and case.way != "swapped":
        kept = set(after.get("metrics.jsonl", b"").splitlines())
        lines = before["metrics.jsonl"].splitlines()
        # Until the older checkpoint, from which a resume may have to go on.
        early = [line for line in lines if json.loads(line)["step"] <= BEGUN // 2]
        lost += [f"metrics.jsonl: {line!r}" for line in early if line not in kept]
    return lost


def try_all(
    count: int, seed: int, folder: Path, recipe: str = RECIPE, say: Callable[[str], None] = print
) -> list[str]:
    """Play `count` cases; what was wrong with which.

    Args:
        count: of cases.
        seed: on which they depend.
        folder: an empty one.
        recipe: as of `Whole`.
        say: gets the summary, and each complaint as it comes.
    """
    whole = Whole(folder, recipe)
    faults = []
    ways: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    for case in whole.cases(count, seed):
        wrong, said = attempt(whole, case, folder / "case")
        ways[case.way] += 1
        codes[said.partition("\n")[0]] += 1
        if wrong:
            faults.append(f"{case}: {wrong}")
            say(f"{faults[-1]}\n{said[-1500:]}\n")
    say(f"{count} cases on {len(whole.files)} files, seed {seed}: {len(faults)} wrong")
    say("ways: " + ", ".join(f"{way} {number}" for way, number in sorted(ways.items())))
    say("ends: " + ", ".join(f"{code}: {number}" for code, number in sorted(codes.items())))
    return faults


def main() -> int:
    """The command; 1 if something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        return bool(try_all(arguments.count, arguments.seed, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
