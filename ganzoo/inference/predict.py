"""Images in, images out: every file of the folders named, with nothing on disk lost."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganzoo.data.convert import save_image, to_tensor, to_uint8
from ganzoo.data.decode import IMAGE_SUFFIXES, decode_image
from ganzoo.data.pixels import Channels
from ganzoo.errors import DataError, EnvironmentFault, UsageError
from ganzoo.files import replacing
from ganzoo.inference.modes import Mode
from ganzoo.inference.network import Trained, load_trained, refuse_drawing, served, task_of
from ganzoo.inference.weights import WeightsCard, find_weights, read_card

log = logging.getLogger(__name__)

_CHANNELS: dict[int, Channels] = {1: "gray", 3: "rgb", 4: "rgba"}

ARRAY = ".npy"
"""NumPy's file of one array, for channel counts that no picture has: H x W x C."""

SUFFIXES = IMAGE_SUFFIXES | {ARRAY}


@dataclass(frozen=True)
class Job:
    """One image to make: from which file, and where to."""

    source: Path
    output: Path


def plan(
    inputs: Sequence[Path], out: Path, *, overwrite: bool = False, ending: str = ".png"
) -> list[Job]:
    """Decide where each result goes, before anything is computed.

    A single file goes to `out` itself when that ends in `ending`; otherwise `out` is a folder, and
    names and subfolders are kept: `in/a/1.jpg` of the folder `in` becomes `out/a/1.png`. Files of
    one folder that differ in their endings alone keep these: `1_jpg.png`, `1_png.png`.

    Raises:
        UsageError: an input doesn't exist, nothing is found, two results would have one name, a
            result would replace an input, or one that exists without `overwrite`.
    """
    if len(inputs) == 1 and inputs[0].is_file() and out.suffix.lower() in SUFFIXES:
        if out.suffix.lower() != ending:
            raise UsageError(
                f"results are written as {ending[1:]} files: name it {ending}", where=str(out)
            )
        jobs = [Job(inputs[0], out)]
    else:
        jobs = _into_folder(inputs, out, ending)
    _check_free(jobs, overwrite=overwrite)
    return jobs


def _into_folder(inputs: Sequence[Path], out: Path, ending: str) -> list[Job]:
    if out.exists() and not out.is_dir():
        raise UsageError("several images need a folder to go to", where=str(out))
    found = [pair for path in inputs for pair in _images(path, out)]
    if not found:
        raise UsageError(
            "no images found",
            where=", ".join(map(str, inputs)),
            hint=f"Files are taken for images by their ending: {' '.join(sorted(SUFFIXES))}.",
        )
    unique = {source.resolve(): (source, kept) for source, kept in found}  # a file named twice
    stems = Counter(kept.with_suffix("") for _, kept in unique.values())
    jobs = []
    for source, kept in unique.values():
        name = kept.with_suffix("")
        if stems[name] > 1:
            name = name.with_name(f"{name.name}_{kept.suffix[1:].lower()}")
        jobs.append(Job(source, out / name.with_name(f"{name.name}{ending}")))
    outputs = Counter(job.output for job in jobs)
    _refuse(
        [job for job in jobs if outputs[job.output] > 1],
        "inputs would get the same output name",
        "Give the folder above them, so that subfolders are kept, or run them one by one.",
    )
    return jobs


def _images(path: Path, out: Path) -> Iterable[tuple[Path, Path]]:
    """(file, the part of its path that is kept); earlier results in `out` are left out."""
    if path.is_file():
        return [(path, Path(path.name))]
    if not path.is_dir():
        raise UsageError("no such file or folder", where=str(path))
    earlier = None if out.resolve() == path.resolve() else out.resolve()
    return [
        (file, file.relative_to(path))
        for file in sorted(path.rglob("*"))
        if file.suffix.lower() in SUFFIXES
        and file.is_file()
        and not file.name.startswith(".")
        and earlier not in file.resolve().parents
    ]


def _check_free(jobs: Sequence[Job], *, overwrite: bool) -> None:
    sources = {job.source.resolve() for job in jobs}
    _refuse(
        [job for job in jobs if job.output.resolve() in sources],
        "results would replace the inputs themselves",
        "Choose another -o.",
    )
    if not overwrite:
        _refuse(
            [job for job in jobs if job.output.exists()],
            "results exist already",
            "Choose another -o, or replace them with --overwrite.",
        )


def _refuse(jobs: Sequence[Job], what: str, hint: str) -> None:
    if jobs:
        shown = "\n".join(f"  {job.source} -> {job.output}" for job in jobs[:5])
        more = f"\n  and {len(jobs) - 5} more" if len(jobs) > 5 else ""
        raise UsageError(f"{len(jobs)} {what}; nothing was done", hint=f"{shown}{more}\n{hint}")


def read_image(path: Path, channels: int) -> np.ndarray:
    """Read a file with the number of channels that a network takes.

    Returns:
        H x W x C: uint8 or uint16 from a picture, and also floats in [-1, 1] from a `.npy` file.

    Raises:
        DataError: naming the file, when it can't be read or hasn't so many channels.
    """
    if path.suffix.lower() == ARRAY:
        return _read_array(path, channels)
    if channels not in _CHANNELS:
        raise DataError(
            f"the network takes {channels} channels; pictures have 1, 3 or 4, so give it {ARRAY} "
            f"files of H x W x {channels}",
            where=str(path),
        )
    return decode_image(path, _CHANNELS[channels])


def _read_array(path: Path, channels: int) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"can't read this array: {error}", where=str(path)) from error
    if array.ndim != 3 or array.shape[2] != channels:
        shape = " x ".join(map(str, array.shape))
        raise DataError(f"must be H x W x {channels}, and it is {shape}", where=str(path))
    return array


def _save(array: np.ndarray, path: Path, note: Mapping[str, Any]) -> None:
    if path.suffix.lower() != ARRAY:
        save_image(array, path, note=note)
        return
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, array, allow_pickle=False)
    except OSError as error:
        raise EnvironmentFault(f"can't write this array: {error}", where=str(path)) from error


def _note_pairs(jobs: Sequence[Job], card: WeightsCard, width: int, height: int) -> None:
    _, trained_height, trained_width = card.io.inputs
    if width == 2 * height and trained_width == trained_height:
        log.warning(
            "%s is twice as wide as high, like a file that holds a pair side by side; all of it is"
            " taken as the input%s",
            jobs[0].source,
            ", as are the others" if len(jobs) > 1 else "",
        )


def predict(
    run_or_weights: Path,
    inputs: Sequence[Path],
    out: Path,
    *,
    mode: Mode | None = None,
    seed: int | None = None,
    device: str = "auto",
    role: str | None = None,
    ema: bool | None = None,
    overwrite: bool = False,
    done: Callable[[Job], None] = lambda _: None,
) -> dict[str, Any]:
    """Generate an image for every input file.

    Args:
        run_or_weights: see `ganzoo.inference.weights.find_weights`.
        inputs: files and folders (read recursively).
        out: a folder, or a `.png` for a single file; `.npy` where the network makes other than 1,
            3 or 4 channels.
        mode: unless given, the one that the weights say.
        seed: of the dropout; unless given, the one that the weights say.
        role: see `find_weights`.
        ema: see `find_weights`.
        device: `auto`, `cpu`, `cuda` or `mps`.
        overwrite: replace results that exist.
        done: called after each input, with a broken one too.

    Returns:
        `{"weights", "role", "ema", "mode", "seed", "device", "outputs": [{"input", "output"}],
        "failed": [{"input", "reason"}]}`; a broken input doesn't stop the others.

    Raises:
        GanzooError: before anything is written, as `plan`, `find_weights` and `load_trained`;
            EnvironmentFault when a result can't be written or the device has no memory for it.
    """
    path = find_weights(run_or_weights, role, ema=ema)
    ending = _ending(path)
    jobs = plan(inputs, out, overwrite=overwrite, ending=ending)
    card, trained = load_trained(path, mode=mode, seed=seed, device=device)
    field = card.fields[trained.fields[0]]
    note = {"weights": str(path), "mode": trained.mode, "seed": trained.seed, "step": card.step}
    outputs: list[dict[str, str]] = []
    failed: list[dict[str, str]] = []
    for job in jobs:
        try:
            array = read_image(job.source, card.io.inputs[0])
            if not outputs and not failed:
                _note_pairs(jobs, card, array.shape[1], array.shape[0])
            generated = _run(trained, to_tensor(array, field), job)
            _save(to_uint8(generated), job.output, note)
        except DataError as error:
            failed.append({"input": str(job.source), "reason": error.message})
        else:
            outputs.append({"input": str(job.source), "output": str(job.output)})
        done(job)
    return {
        "weights": str(path),
        "role": card.role,
        "ema": card.ema,
        "mode": trained.mode,
        "seed": trained.seed,
        "device": next((str(p.device) for p in trained.net.parameters()), "cpu"),
        "outputs": outputs,
        "failed": failed,
    }


def _ending(path: Path) -> str:
    """What results are called, by the card alone.

    Raises:
        UsageError: the network takes no files.
        DataError: it takes something else than images, or makes it.
    """
    card = read_card(path)
    task = task_of(card)
    refuse_drawing(card, task, path)
    for verb, name in zip(("takes", "makes"), served(task, card.role), strict=True):
        if card.fields[name].kind != "image":
            raise DataError(
                f"its network {verb} {card.fields[name].kind}, no images", where=str(path)
            )
    return ".png" if card.io.outputs[0] in _CHANNELS else ARRAY


def _run(trained: Trained, image: Any, job: Job) -> Any:
    import torch

    try:
        return trained({trained.fields[0]: image}, job.source.stem)
    except torch.OutOfMemoryError as error:
        height, width = image.shape[-2:]
        raise EnvironmentFault(
            f"the device has no memory for an image of {width} x {height} pixels",
            where=str(job.source),
            hint="Use --device cpu, or a smaller image; results so far are kept.",
        ) from error
