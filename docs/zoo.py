"""Write docs/zoo.md: each plugin's recipes, what they came to in real runs, and their controls.

`python docs/zoo.py run [RECIPE...]` trains what has no figures yet, or whose recipe means something
else by now, and keeps the figures in `zoo.json`; `python docs/zoo.py` writes the document from them
alone. `tests/test_docs_zoo.py` compares all three: recipes, figures, document.
"""  # noqa: INP001  # a script beside the documents, no package

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ganzoo.plugin_system.registry import current
from ganzoo.recipe import load_recipe

ROOT = Path(__file__).parents[1]
DOCUMENT, FIGURES, PICTURES = (ROOT / "docs" / name for name in ("zoo.md", "zoo.json", "images"))
WIDEST = 900
"""Pixels; pictures are made smaller to this width."""


@dataclass(frozen=True)
class Trial:
    """One way to run a recipe: what it is called, and the `--set` arguments."""

    label: str
    recipe: str
    changes: tuple[str, ...] = ()

    def arguments(self, seed: int) -> list[str]:
        """What comes after `ganzoo`."""
        changes = (*self.changes, *([f"train.seed={seed}"] if seed else []))
        return ["run", f"recipes/{self.recipe}.toml", *(x for c in changes for x in ("--set", c))]

    def key(self, seed: int) -> str:
        """Where its figures are kept: the command."""
        return " ".join(["ganzoo", *(f"'{a}'" if "[" in a else a for a in self.arguments(seed))])

    def sha256(self, seed: int) -> str:
        """Hash of what it means at present."""
        overrides = [a for a in self.arguments(seed)[2:] if a != "--set"]
        recipe = load_recipe(ROOT / "recipes" / f"{self.recipe}.toml", overrides=overrides)
        return recipe.sha256


@dataclass(frozen=True)
class Entry:
    """A recipe with its controls.

    Args:
        plugin: whose work it shows.
        trials: the recipe as it is, then the controls.
        figures: of the evaluation, by name.
        seeds: of each trial; the document gives the median and every value.
    """

    plugin: str
    trials: tuple[Trial, ...]
    figures: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)

    @property
    def recipe(self) -> str:
        """Name of the recipe."""
        return self.trials[0].recipe

    def runs(self) -> Iterator[tuple[Trial, int]]:
        """Every trial with every seed."""
        for trial in self.trials:
            for seed in self.seeds:
                yield trial, seed


def _shipped(recipe: str) -> Trial:
    return Trial("as shipped", recipe)


ENTRIES = (
    Entry(
        "gan",
        (
            _shipped("gan_ring"),
            Trial("control: one epoch of 40", "gan_ring", ("train.epochs=1",)),
        ),
        ("modes", "high_quality"),
        seeds=(0, 1, 2),
    ),
    Entry(
        "gan",
        (
            _shipped("gan_grid25"),
            Trial("control: vanilla loss, no penalty", "gan_grid25", ("loss=gan/vanilla",)),
        ),
        ("modes", "high_quality"),
        seeds=(0, 1, 2),
    ),
    Entry(
        "gan",
        (
            _shipped("gan_digits"),
            Trial("control: one epoch", "gan_digits", ("train.epochs=1",)),
        ),
        ("class_accuracy",),
    ),
    Entry(
        "r3gan",
        (
            _shipped("r3gan_stacked_digits"),
            Trial("control: no penalties", "r3gan_stacked_digits", ("loss=gan/rpgan",)),
            Trial("beside it: DCGAN with its own loss, as many images", "gan_stacked_digits"),
        ),
        ("modes", "kl"),
    ),
    Entry(
        "cyclegan",
        (
            _shipped("cyclegan_shapes"),
            Trial(
                "control: neither cycle nor identity term",
                "cyclegan_shapes",
                ("task.cycle=0",),
            ),
        ),
        ("a_to_b/l1", "b_to_a/l1"),
        seeds=(0, 1, 2),
    ),
    Entry(
        "pix2pix",
        (
            _shipped("quickstart"),
            Trial("control: a tenth of the images", "quickstart", ("data.train=20",)),
        ),
        ("pixel_accuracy", "l1", "gradient_energy"),
    ),
)


def load() -> dict[str, Any]:
    """The figures, by command."""
    return dict(json.loads(FIGURES.read_text())) if FIGURES.is_file() else {}


def save(figures: Mapping[str, Any]) -> None:
    """Keep the figures."""
    text = json.dumps(figures, indent=1, sort_keys=True)
    FIGURES.write_text(f"{text}\n", encoding="utf-8")


def stale(entry: Entry, figures: Mapping[str, Any]) -> list[tuple[Trial, int]]:
    """Runs without figures, or with those of a recipe that meant something else."""
    return [
        (trial, seed)
        for trial, seed in entry.runs()
        if figures.get(trial.key(seed), {}).get("recipe_sha256") != trial.sha256(seed)
    ]


def train(trial: Trial, seed: int, picture: Path | None, threads: int) -> dict[str, Any]:
    """Run a trial and read its figures.

    Raises:
        RuntimeError: the run failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "ganzoo", *trial.arguments(seed), "--out", str(out)]
        minutes = _run(command, threads)
        provenance = json.loads((out / "provenance.json").read_text())
        status = json.loads((out / "status.json").read_text())
        (evaluation,) = (out / "evaluation").glob("*.json")
        judged = json.loads(evaluation.read_text())
        if picture is not None:
            _keep(max((out / "samples").glob("*.png")), picture)
        part = provenance["parts"][0]
        return {
            "recipe_sha256": provenance["recipe_sha256"],
            "metrics": {name: score["mean"] for name, score in judged["metrics"].items()},
            "controls": judged["controls"],
            "protocol": judged["protocol"],
            "data": judged["data"],
            "parameters": status["parameters"],
            "step": status["step"],
            "cpu_minutes": round(minutes, 1),
            "versions": part["versions"],
            "resolved": part["resolved"],
            "date": part["started"][:10],
        }


def _run(command: list[str], threads: int) -> float:
    """CPU minutes of a command: unlike the clock's they are the same on a busy machine.

    Raises:
        RuntimeError: it failed.
    """
    with tempfile.TemporaryFile("w+") as said:
        environ = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        process = subprocess.Popen(  # noqa: S603  # our own interpreter
            command, cwd=ROOT, env=environ, stdout=said, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            message = f"{' '.join(command)} ended with {process.returncode}:\n{said.read()[-2000:]}"
            raise RuntimeError(message)
    return (usage.ru_utime + usage.ru_stime) / 60


def _keep(sample: Path, picture: Path) -> None:
    with Image.open(sample) as opened:
        shown = opened.convert("RGB")
    if shown.width > WIDEST:
        shown = shown.resize((WIDEST, round(shown.height * WIDEST / shown.width)))
    shown.quantize(128).save(picture, optimize=True)


def picture_of(entry: Entry) -> Path:
    """Where the picture of an entry's first run is."""
    return PICTURES / f"zoo_{entry.plugin}_{entry.recipe}.png"


def run(names: Sequence[str], jobs: int) -> None:
    """Train what is stale and keep its figures."""
    todo = [
        (entry, trial, seed)
        for entry in ENTRIES
        if not names or entry.recipe in names
        for trial, seed in stale(entry, load())
    ]

    lock = threading.Lock()

    def work(item: tuple[Entry, Trial, int]) -> None:
        entry, trial, seed = item
        first = trial is entry.trials[0] and seed == entry.seeds[0]
        threads = max(1, (os.cpu_count() or 1) // jobs)
        figures = train(trial, seed, picture_of(entry) if first else None, threads)
        with lock:
            save(load() | {trial.key(seed): figures})
        sys.stderr.write(
            f"{trial.key(seed)}: {figures['metrics']}, {figures['cpu_minutes']} CPU min\n"
        )

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(work, todo))
    wanted = {trial.key(seed) for entry in ENTRIES for trial, seed in entry.runs()}
    save({key: value for key, value in load().items() if key in wanted})


def number(value: float) -> str:
    """A figure as the document shows it."""
    return f"{value:.0f}" if value == int(value) else f"{value:.4g}"


def render(figures: Mapping[str, Any]) -> str:
    """The whole document."""
    plugins = dict.fromkeys(entry.plugin for entry in ENTRIES)
    machine = next(iter(figures.values()))
    parts = [
        HEAD.format(
            torch=machine["versions"]["torch"],
            accelerate=machine["versions"]["accelerate"],
        )
    ]
    for plugin in plugins:
        parts.append(f"## {plugin}\n\n{_papers(plugin)}\n{_differs(plugin)}")
        parts += [_entry(entry, figures) for entry in ENTRIES if entry.plugin == plugin]
    return "\n".join(parts)


HEAD = """\
# The zoo

This page was written by `python docs/zoo.py` from `docs/zoo.json`, which contains the results of
real runs (`python docs/zoo.py run`). No number was typed by hand. The first row of each table is
the recipe as it is shipped, and the other rows are its controls. The scores are those of the
held-out split. With several seeds, the median comes first and every value follows in brackets.
The machine had 2 cores, shared with other jobs; torch {torch}, accelerate {accelerate}.
"""


def _papers(plugin: str) -> str:
    lines = []
    for entry in current().components():
        if entry.record.namespace == plugin and entry.component.paper:
            component = entry.component
            paper = component.paper
            if not paper.startswith("http"):
                paper = f"[{paper}](https://arxiv.org/abs/{paper})"
            lines.append(f"- `{entry.id}` ({component.kind}), {paper}: {component.summary}\n")
    return "".join(lines)


def _differs(plugin: str) -> str:
    """The section of the plugin's README that says what is faithful to the paper and what isn't."""
    readme = (ROOT / "plugins" / plugin / "README.md").read_text()
    found = re.search(
        r"^## (?:[^\n]*faithful[^\n]*)\n(.*?)(?=^## |\Z)",
        readme,
        re.DOTALL | re.MULTILINE | re.IGNORECASE,
    )
    if found is None:
        message = f"plugins/{plugin}/README.md has no section on what is faithful"
        raise RuntimeError(message)
    return f"### Faithful to the paper, and not\n{found[1]}".rstrip() + "\n"


def _entry(entry: Entry, figures: Mapping[str, Any]) -> str:
    first = figures[entry.trials[0].key(entry.seeds[0])]
    recipe = load_recipe(ROOT / "recipes" / f"{entry.recipe}.toml")
    networks = ", ".join(f"{role} {count:,}" for role, count in first["parameters"].items())
    lines = [
        f"### {entry.recipe}\n",
        f"{recipe.summary}. Parameters: {networks}. {first['step']:,} steps.\n",
        f"![samples]({picture_of(entry).relative_to(DOCUMENT.parent)})\n",
        f"| | command | {' | '.join(entry.figures)} | CPU minutes |",
        f"|---|---|{'---|' * (len(entry.figures) + 1)}",
    ]
    for trial in entry.trials:
        runs = [figures[trial.key(seed)] for seed in entry.seeds]
        cells = [_values([one["metrics"][name] for one in runs]) for name in entry.figures]
        minutes = _values([one["cpu_minutes"] for one in runs])
        command = trial.key(entry.seeds[0])
        lines.append(f"| {trial.label} | `{command}` | {' | '.join(cells)} | {minutes} |")
    for control, values in first["controls"].items():
        cells = [number(values[name]) if name in values else "" for name in entry.figures]
        if any(cells):
            lines.append(f"| {control.replace('_', ' ')} | | {' | '.join(cells)} | |")
    protocol = [f"- {name}: {first['protocol'][name]}" for name in entry.figures]
    if len(entry.seeds) > 1:
        protocol.append(f"- seeds: {', '.join(map(str, entry.seeds))} (`--set train.seed=...`)")
    return "\n".join([*lines, "", *protocol, ""])


def _values(values: Sequence[float]) -> str:
    shown = f"**{number(statistics.median(values))}**"
    return shown if len(values) == 1 else f"{shown} ({', '.join(map(number, values))})"


def main() -> None:
    """Run what is stale, or write the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("run",))
    parser.add_argument("recipes", nargs="*")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    if given.what == "run":
        run(given.recipes, given.jobs)
    figures = load()
    missing = [trial.key(seed) for entry in ENTRIES for trial, seed in stale(entry, figures)]
    if missing:
        sys.exit("\n".join(["no figures yet: run `python docs/zoo.py run`", *missing]))
    DOCUMENT.write_text(render(figures), encoding="utf-8")
    sys.stdout.write(f"wrote {DOCUMENT}\n")


if __name__ == "__main__":
    main()
