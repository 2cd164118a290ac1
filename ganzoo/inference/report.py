"""What an evaluation leaves behind: its document, the table on the terminal, the files."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganzoo.api import Chosen
from ganzoo.data.array_files import write_array
from ganzoo.data.formats import format_of, shows_whole_type
from ganzoo.files import remove_leftovers
from ganzoo.inference import baselines
from ganzoo.inference.applications import draws_all, fields_of, from_files
from ganzoo.inference.scores import BOUNDS, NETWORK, Judgement, means, without_bounds
from ganzoo.inference.scoring import Made
from ganzoo.interfaces import Application, Field, Format, NetIO


class Gallery:
    """What a network made, as files of one folder: one a sample, or `samples.npy`.

    Args:
        folder: earlier results in it go.
        its_format: the format of what is made. If samples are shown together, such as points, all
            are in one array.
        field: what is made.
        pictures: files of single samples that are kept at most; None: all.
    """

    def __init__(
        self, folder: Path, its_format: Format, field: Field, pictures: int | None = None
    ) -> None:
        self.folder = folder
        self.format = its_format
        self.field = field
        self.pictures = pictures
        self.rows: list[np.ndarray] = []
        self.files: set[Path] = set()

    def add(self, name: str, made: Made) -> None:
        """Keep one."""
        if self.format.shown == "together" or not self.format.suffixes:
            self.rows.append(made)
        elif self.pictures is None or len(self.files) < self.pictures:
            path = self.folder / f"{name}{self.format.suffix(self.field)}"
            self.format.write(made, path, self.field)
            self.files.add(path)

    def finish(self) -> None:
        """Write what goes into one file, and drop files of an earlier evaluation."""
        if self.rows:
            path = self.folder / "samples.npy"
            write_array(np.stack(self.rows), path)
            self.files.add(path)
        remove_leftovers(self.folder, self.folder.parent)
        own = {self.format.suffix(self.field)} if self.format.suffixes else set()
        for stale in {one for end in {".png", ".npy", *own} for one in self.folder.glob(f"*{end}")}:
            if stale not in self.files:
                stale.unlink()


def results_of(judgement: Judgement, metrics: Sequence[Chosen]) -> dict[str, Any]:
    """The part of an evaluation's document that its metrics make."""
    ways = {
        name: way
        for metric in metrics
        for name, way in getattr(metric.load(), "better", {}).items()
    }
    own = judgement.scores.get(NETWORK, {})
    beside = {
        name: means(without_bounds(scores))
        for name, scores in judgement.scores.items()
        if name != NETWORK
    }
    protocol = judgement.protocol | {name: baselines.PROTOCOL[name] for name in beside}
    for bound in BOUNDS:
        values = {
            name.removeprefix(f"{bound}_"): score.mean
            for name, score in own.items()
            if name.startswith(f"{bound}_")
        }
        if values:
            beside[bound] = values
    return {
        "metrics": {
            name: {"mean": score.mean, "per_image": list(score.per_image)}
            for name, score in without_bounds(own).items()
        },
        "controls": beside,
        "better": {name: ways[name] for name in without_bounds(own) if name in ways},
        "headlines": judgement.headlines,
        "protocol": protocol,
    }


def together(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Documents of several parts of an evaluation as one."""
    document = dict(next(iter(parts.values())))
    for key in ("weights", "application", "options", "n", "direction", "names"):
        document[key] = {label: part[key] for label, part in parts.items()}
    document |= {"metrics": {}, "controls": {}, "better": {}, "headlines": []}
    document |= {"protocol": {}, "notes": []}
    for label, part in parts.items():
        for key in ("metrics", "better"):
            document[key] |= {f"{label}/{name}": one for name, one in part[key].items()}
        for control, values in part["controls"].items():
            mine = document["controls"].setdefault(control, {})
            mine |= {f"{label}/{name}": value for name, value in values.items()}
        document["headlines"] += [f"{label}: {sentence}" for sentence in part["headlines"]]
        document["protocol"] |= {
            name if name in part["controls"] else f"{label}/{name}": sentence
            for name, sentence in part["protocol"].items()
        }
        for note in part["notes"]:
            shared = all(note in other["notes"] for other in parts.values())
            said = note if shared else f"{label}: {note}"
            document["notes"] += [] if said in document["notes"] else [said]
    return document


def print_report(document: Mapping[str, Any]) -> None:
    """Show an evaluation on stderr: the run's figures, and the controls' beside them."""
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=True)
    beside = document["controls"]
    counts = document["n"].values() if isinstance(document["n"], Mapping) else [document["n"]]
    table = Table(
        title=f"{document['split']}: {' and '.join(map(str, dict.fromkeys(counts)))} samples of"
        f" {document['data']}, mode {document['mode']}, seed {document['seed']},"
        f" step {document['step']}"
    )
    table.add_column("", no_wrap=True, min_width=max(map(len, document["metrics"]), default=0))
    table.add_column("better")
    table.add_column("this run", justify="right", style="bold")
    for name in beside:
        table.add_column(name.replace("_", " "), justify="right")
    for name, score in document["metrics"].items():
        cells = [f"{beside[c][name]:.4f}" if name in beside[c] else "" for c in beside]
        table.add_row(name, document["better"].get(name, ""), f"{score['mean']:.4f}", *cells)
    if document["metrics"]:
        console.print(table)
    if isinstance(document["direction"], Mapping):
        for label, direction in document["direction"].items():
            console.print(f"{label}: {direction}")
    for sentence in document["headlines"]:
        console.print(sentence)
    for note in document["notes"]:
        console.print(note, style="yellow")


def closing(
    document: Mapping[str, Any],
    task: Chosen,
    fields: Mapping[str, Field],
    io: Mapping[str, NetIO],
    images: int,
) -> list[str]:
    """Three sentences for the end of a run: what was learned, how it is judged, what to type next.

    Args:
        document: the run's evaluation.
        task: the run's.
        fields: of the training data.
        io: the inputs and outputs of the networks, by role.
        images: how many training samples were shown, repeated ones included.
    """
    told, counts, run = document["direction"], document["n"], shlex.quote(document["run"])
    directions = dict.fromkeys(told.values() if isinstance(told, Mapping) else [told])
    count = max(counts.values()) if isinstance(counts, Mapping) else counts
    judged = document["application"]
    name = next(iter(judged.values())) if isinstance(judged, Mapping) else judged
    every: Mapping[str, Application] = task.load().applications
    which = f" --application {name}" if len(every) > 1 else ""
    following = _use(every[name], fields_of(every[name], fields, io), run, which)
    kinds = [fields[one] for one in (*every[name].takes, *every[name].gives) if one in fields]
    if all(shows_whole_type(one, format_of(one)) for one in kinds):
        following += ", and `ganzoo init FOLDER` writes a recipe for your own images"
    learned = (
        f"What was learned: {' and '.join(directions)}, with {images:,} training samples shown, "
        "repetitions included."
    )
    how = (
        f"How it is judged: on {count:,} samples of the {document['split']} split, which "
        "were not used in the training; the controls beside them need no trained network."
    )
    return [learned, how, f"What to type next: {following}."]


def _use(application: Application, fields: Mapping[str, Field], run: str, which: str) -> str:
    """Return the command that uses an application which has been judged, and what it does."""
    if draws_all(application):
        return f"`ganzoo sample {run}{which}` generates more samples"
    files = from_files(application, fields)
    taken = format_of(fields[files[0]])
    formats = [taken, *(format_of(fields[name]) for name in application.gives if name in fields)]
    if len(files) > 1 or not all(one.suffixes for one in formats):
        return f"`ganzoo bundle {run} -o model.safetensors` writes its networks into one file"
    what, own = ("IMAGES", "images") if taken.pixels else ("FILES", "files")
    of = "" if taken.pixels else f" of {fields[files[0]].called or files[0]}"
    return f"`ganzoo predict {run} {what} -o out{which}` does the same with your own {own}{of}"
