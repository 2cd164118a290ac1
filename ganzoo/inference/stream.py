"""Files through a network: the next is read and the last one saved while the network works."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ganzoo.data.convert import save_image, to_tensor, to_uint8
from ganzoo.data.decode import decode_image
from ganzoo.data.pixels import Channels
from ganzoo.errors import DataError, DivergedError, EnvironmentFault
from ganzoo.files import replacing
from ganzoo.inference.card import WeightsCard
from ganzoo.inference.network import Trained

log = logging.getLogger(__name__)

T = TypeVar("T")

PICTURE_CHANNELS: dict[int, Channels] = {1: "gray", 3: "rgb", 4: "rgba"}
"""How pictures of so many channels are read."""

ARRAY = ".npy"
"""NumPy's file of one array, for channel counts that no picture has: H x W x C."""


@dataclass(frozen=True)
class Job:
    """One image to make: from which file, and where to."""

    source: Path
    output: Path


def make_all(
    trained: Trained, card: WeightsCard, jobs: Sequence[Job], weights: str
) -> Iterator[tuple[Job, DataError | None]]:
    """Make each job's image; the next is read and the last one saved in threads meanwhile.

    The network itself is called by the caller's thread, one image after the other, so that seeds
    and results are what they would be without threads.

    Args:
        trained: the network.
        card: of its weights.
        jobs: what to make.
        weights: their file's name, for the note in a picture.

    Yields:
        Each job in turn once its file is there, and None; or why its input can't be used.

    Raises:
        EnvironmentFault: a result can't be written, or the device has no memory for it.
        DivergedError: what the network makes isn't finite. Those before have been saved, and
            threads have ended.
    """
    field = card.fields[trained.fields[0]]
    note = {
        "weights": weights,
        "mode": trained.mode,
        "seed": trained.seed,
        "precision": trained.precision,
        "step": card.step,
    }
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "save") as saver:

        def read(job: Job) -> Future[np.ndarray]:
            return reader.submit(read_image, job.source, card.io.inputs[0])

        def save(job: Job, reading: Future[np.ndarray]) -> Future[None]:
            try:
                array = reading.result()
                if job is jobs[0]:
                    _note_pairs(jobs, card, *array.shape[:2])
                made = _run(trained, to_tensor(array, field), job)
            except DataError as error:
                refused: Future[None] = Future()
                refused.set_exception(error)
                return refused
            return saver.submit(_save, made, job.output, note)

        read_ones = one_behind((job, read(job)) for job in jobs)
        for job, saving in one_behind((job, save(job, reading)) for job, reading in read_ones):
            try:
                saving.result()
            except DataError as error:
                yield job, error
            else:
                yield job, None


def one_behind(things: Iterable[T]) -> Iterator[T]:
    """Give each thing when the next has been drawn: what drawing one starts has that long to end.

    Nothing is drawn before the first is asked for.
    """
    waiting: list[T] = []
    for thing in things:
        waiting.append(thing)
        if len(waiting) == 2:
            yield waiting.pop(0)
    yield from waiting


def _run(trained: Trained, image: Tensor, job: Job) -> np.ndarray:
    try:
        return to_uint8(trained({trained.fields[0]: image}, job.source.stem))
    except torch.OutOfMemoryError as error:
        height, width = image.shape[-2:]
        raise EnvironmentFault(
            f"the device has no memory for an image of {width} x {height} pixels",
            where=str(job.source),
            hint="Use --device cpu, or a smaller image; results so far are kept.",
        ) from error
    except DivergedError as error:
        error.where = str(job.source)
        if trained.precision != "fp32":
            error.hint = f"Try --precision fp32: this was {trained.precision}. {error.hint}"
        raise


def read_image(path: Path, channels: int) -> np.ndarray:
    """Read a file with the number of channels that a network takes.

    Returns:
        H x W x C: uint8 or uint16 from a picture, and also floats in [-1, 1] from a `.npy` file.

    Raises:
        DataError: naming the file, when it can't be read or hasn't so many channels.
    """
    if path.suffix.lower() == ARRAY:
        return _read_array(path, channels)
    if channels not in PICTURE_CHANNELS:
        raise DataError(
            f"the network takes {channels} channels; pictures have 1, 3 or 4, so give it {ARRAY} "
            f"files of H x W x {channels}",
            where=str(path),
        )
    return decode_image(path, PICTURE_CHANNELS[channels])


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


def _note_pairs(jobs: Sequence[Job], card: WeightsCard, height: int, width: int) -> None:
    _, trained_height, trained_width = card.io.inputs
    if width == 2 * height and trained_width == trained_height:
        log.warning(
            "%s is twice as wide as high, like a file that holds a pair side by side; all of it is"
            " taken as the input%s",
            jobs[0].source,
            ", as are the others" if len(jobs) > 1 else "",
        )
