"""Results for all files of the folders that are named; no file on disk is replaced unasked."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ganzoo.api import Mode
from ganzoo.errors import DataError, UsageError
from ganzoo.files import remove_leftovers, split_suffix
from ganzoo.inference.application_weights import Weights, find_application
from ganzoo.inference.file_pipeline import Job, file_field, make_all
from ganzoo.inference.load_application import check_fields, load_trained, refuse_drawing

Unread = Callable[[Path, str], None]
"""Told of what can't be looked at, and why."""


def plan(
    inputs: Sequence[Path],
    out: Path,
    *,
    suffixes: Sequence[str],
    endings: Mapping[str, str],
    overwrite: bool = False,
    unread: Unread = lambda *_: None,
) -> list[Job]:
    """Decide where each result goes, before anything is computed.

    A single file goes to `out` itself when there is one result and `out` has its ending; otherwise
    `out` is a folder, and names and subfolders are kept: `in/a/1.jpg` of the folder `in` becomes
    `out/a/1.png`, or `out/a/1.FIELD.png` for each of several results. Files of one folder that
    differ in their endings alone keep these: `1_jpg.png`, `1_png.png`. Hidden files and folders
    (`.ipynb_checkpoints`) are left out unless they are named themselves.

    Args:
        inputs: files and folders.
        out: see above.
        suffixes: in lower case, of the files that are taken as inputs.
        endings: of the results' files, by the field that they hold.
        overwrite: let results replace what exists.
        unread: told of each folder that can't be looked into; the others are read.

    Raises:
        UsageError: an input doesn't exist, nothing is found, two results would have one name, a
            result would replace an input, or one that exists without `overwrite`.
    """
    known = {*suffixes, *endings.values()}
    one_file = len(inputs) == 1 and inputs[0].is_file()
    suffix = split_suffix(out.name, known)[1].lower()
    if one_file and len(endings) == 1 and suffix in known:
        ((field, ending),) = endings.items()
        if suffix != ending:
            raise UsageError(
                f"results are written as {ending[1:]} files: give it a name that ends in {ending}",
                where=str(out),
            )
        jobs = [Job(inputs[0], {field: out})]
    else:
        jobs = _into_folder(inputs, out, endings, suffixes, unread)
    _check_free(jobs, overwrite=overwrite)
    return jobs


def _into_folder(
    inputs: Sequence[Path],
    out: Path,
    endings: Mapping[str, str],
    suffixes: Sequence[str],
    unread: Unread,
) -> list[Job]:
    known = {*suffixes, *endings.values()}
    stem, suffix = split_suffix(out.name, known)
    if not out.is_dir() and (out.exists() or suffix.lower() in known):
        raise UsageError(
            "several results need a folder, but this is the name of a file",
            where=str(out),
            hint=f"Give a folder: -o {shlex.quote(str(out.with_name(stem)))}",
        )
    refused = []

    def told(path: Path, reason: str) -> None:
        refused.append(path)
        unread(path, reason)

    found = [pair for path in inputs for pair in _files(path, out, suffixes, told)]
    if not found and not refused:
        raise UsageError(
            "no files found that the network takes",
            where=", ".join(map(str, inputs)),
            hint=f"Files are taken by their ending: {' '.join(sorted(suffixes))}.",
        )
    unique = {source.resolve(): (source, kept) for source, kept in found}  # a file named twice
    parts = {source: split_suffix(kept.name, suffixes) for source, kept in unique.values()}
    stems = Counter(kept.with_name(parts[source][0]) for source, kept in unique.values())
    jobs = []
    for source, kept in unique.values():
        stem, suffix = parts[source]
        name = kept.with_name(stem)
        if stems[name] > 1:
            name = name.with_name(f"{stem}_{suffix[1:].lower()}")
        names = {
            field: f"{name.name}.{field}{ending}" if len(endings) > 1 else f"{name.name}{ending}"
            for field, ending in endings.items()
        }
        outputs = {field: out / name.with_name(one) for field, one in names.items()}
        jobs.append(Job(source, outputs))
    results = Counter(path for job in jobs for path in job.outputs.values())
    _refuse(
        [job for job in jobs if any(results[path] > 1 for path in job.outputs.values())],
        "inputs would get the same output name",
        "Give the folder above them, so that subfolders are kept, or run them one by one.",
    )
    return jobs


def _files(
    path: Path, out: Path, suffixes: Sequence[str], unread: Unread
) -> Iterable[tuple[Path, Path]]:
    """(file, the part of its path that is kept); earlier results in `out` are left out."""
    try:
        if path.is_file():
            return [(path, Path(path.name))]
        if not path.is_dir():
            raise UsageError("no such file or folder", where=str(path))
    except OSError as error:  # the folder that it is in may not be looked into
        unread(path, str(error.strerror))
        return []
    earlier = None if out.resolve() == path.resolve() else out.resolve()
    return [
        (file, file.relative_to(path))
        for file in sorted(_visible(path, unread))
        if split_suffix(file.name, suffixes)[1].lower() in suffixes
        and file.is_file()
        and earlier not in file.resolve().parents
    ]


def _visible(folder: Path, unread: Unread) -> Iterator[Path]:
    """All files below a folder but hidden ones and those in hidden folders."""

    def refused(error: OSError) -> None:
        unread(Path(error.filename), f"can't read this folder: {error.strerror}")

    for parent, folders, names in os.walk(folder, onerror=refused):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def _check_free(jobs: Sequence[Job], *, overwrite: bool) -> None:
    sources = {job.source.resolve() for job in jobs}
    _refuse(
        [job for job in jobs if any(one.resolve() in sources for one in job.outputs.values())],
        "results would replace the inputs themselves",
        "Choose another -o.",
    )
    if not overwrite:
        _refuse(
            [job for job in jobs if any(one.exists() for one in job.outputs.values())],
            "results exist already",
            "Choose another -o, or replace them with --overwrite.",
        )


def _refuse(jobs: Sequence[Job], what: str, hint: str) -> None:
    if jobs:
        shown = "\n".join(f"  {job.source} -> {job.where}" for job in jobs[:5])
        more = f"\n  and {len(jobs) - 5} more" if len(jobs) > 5 else ""
        raise UsageError(f"{len(jobs)} {what}; nothing was done", hint=f"{shown}{more}\n{hint}")


def predict(
    run_or_weights: Path,
    inputs: Sequence[Path],
    out: Path,
    *,
    application: str | None = None,
    options: Mapping[str, Any] | None = None,
    mode: Mode | None = None,
    seed: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    size: int | None = None,
    ema: bool | None = None,
    overwrite: bool = False,
    done: Callable[[Job], None] = lambda _: None,
) -> dict[str, Any]:
    """Generate a result for every input file.

    Args:
        run_or_weights: see `ganzoo.inference.application_weights.find_application`.
        inputs: files and folders (read recursively).
        out: a folder; or, for a single file with one result, a file name that ends as the result's
            format says: `.png` for 8-bit images of 1, 3 or 4 channels.
        application: which one; None: the first one that takes files.
        options: of the application, by key; the others have their defaults.
        mode: unless given, the one that the weights say.
        seed: of the dropout; unless given, the one that the weights say.
        ema: see `ganzoo.inference.find_weights.find_networks`.
        device: `auto`, `cpu`, `cuda` or `mps`.
        precision: `auto`, `fp32`, `bf16` or `fp16`; see `ganzoo.inference.precision`.
        size: longer side in pixels that each image is brought to first; None: its own.
        overwrite: replace results that exist.
        done: called after each input, in their order, with a broken one too.

    Returns:
        `{"weights", "application", "options", "direction", "ema", "mode", "seed", "device",
        "precision", "size", "outputs": [{"input", "output"}], "failed": [{"input", "reason"}]}`.
        `ema` says by role whether these are moving averages. An output of an application that
        gives several fields also has its `field`. A broken input doesn't stop the others.

    Raises:
        GanzooError: before anything is written, as `plan`, `find_application` and `load_trained`;
            EnvironmentFault when a result can't be written or the device has no memory for it.
    """
    weights = find_application(run_or_weights, application, ema=ema, command="predict")
    suffixes, endings = _endings(weights, size)
    failed: list[dict[str, str]] = []
    jobs = plan(
        inputs,
        out,
        suffixes=suffixes,
        endings=endings,
        overwrite=overwrite,
        unread=lambda path, reason: failed.append({"input": str(path), "reason": reason}),
    )
    trained = load_trained(
        weights, options=options, mode=mode, seed=seed, device=device, precision=precision
    )
    remove_leftovers(*{job.where.parent for job in jobs})
    outputs: list[dict[str, str]] = []
    for job, refusal in make_all(trained, weights, jobs, size):
        if refusal is None:
            for field, path in job.outputs.items():
                which = {"field": field} if len(job.outputs) > 1 else {}
                outputs.append({"input": str(job.source), "output": str(path), **which})
        else:
            failed.append({"input": str(job.source), "reason": refusal.message})
        done(job)
    return {
        "weights": str(weights.path),
        **trained.settings(),
        "direction": trained.direction,
        "ema": weights.ema,
        "device": trained.device,
        "size": size,
        "outputs": outputs,
        "failed": failed,
    }


def _endings(weights: Weights, size: int | None) -> tuple[Sequence[str], dict[str, str]]:
    """Suffixes of what is taken, and those of the results by field, by the card alone.

    Raises:
        UsageError: the application takes no files, or several for a sample, or `size` is for
            something without pixels.
        DataError: it takes what no file holds, or makes it.
    """
    refuse_drawing(weights)
    check_fields(weights)
    formats, application, known = weights.formats, weights.application, weights.fields
    taken = file_field(weights)
    for verb, name in (("takes", taken), *(("makes", one) for one in application.gives)):
        if not formats[name].suffixes:
            raise DataError(
                f"the application {weights.name} {verb} {known[name].format}, which has no files",
                where=str(weights.path),
            )
    if size is not None and not formats[taken].pixels:
        raise UsageError(
            f"--size is for images, not for {known[taken].format}", where=str(weights.path)
        )
    endings = {name: formats[name].suffix(known[name]) for name in application.gives}
    return formats[taken].suffixes, endings
