"""Files through a network: the next is read and the last one saved while the network works."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from torch import Tensor
from torch.nn import functional

from ganzoo.data.convert import to_tensor, to_uint8
from ganzoo.data.read_image import Channels, decode_image
from ganzoo.data.write_image import save_image
from ganzoo.errors import DataError, DivergedError, EnvironmentFault, error_text
from ganzoo.files import replacing
from ganzoo.inference.trained_network import Trained
from ganzoo.inference.weights_card import WeightsCard, source_of
from ganzoo.interfaces import Field
from ganzoo.process.memory import memory_for

log = logging.getLogger(__name__)

T = TypeVar("T")

PICTURE_CHANNELS: dict[int, Channels] = {1: "gray", 3: "rgb", 4: "rgba"}
"""How pictures of so many channels are read."""

ARRAY = ".npy"
"""NumPy's file of one array, for channel counts that no picture has: H x W x C."""

FLOAT_LIMIT = 1 + 1e-4
"""Floats of an array may be as large: what was rounded on the way counts as 1."""


@dataclass(frozen=True)
class Job:
    """One image to make: from which file, and where to."""

    source: Path
    output: Path


FAR = 2
"""An image that is so many times larger or smaller than those of training is worth a warning."""


def make_all(
    trained: Trained,
    card: WeightsCard,
    jobs: Sequence[Job],
    weights: Path,
    size: int | None = None,
) -> Iterator[tuple[Job, DataError | None]]:
    """Make each job's image; the next is read and the last one saved in threads meanwhile.

    The network itself is called by the caller's thread, one image after the other, so that seeds
    and results are what they would be without threads.

    Args:
        trained: the network.
        card: of its weights.
        jobs: what to make.
        weights: their file, whose name goes into each picture's note.
        size: longer side in pixels that each image is brought to first; None: its own.

    Yields:
        Each job in turn once its file is there, and None; or why its input can't be used.

    Raises:
        EnvironmentFault: a result can't be written, or the device has no memory for it.
        DivergedError: what the network makes isn't finite. Those before have been saved, and
            threads have ended.
    """
    field = card.fields[trained.fields[0]]
    note = {
        **source_of(card, weights),
        "mode": trained.mode,
        "seed": trained.seed,
        "precision": trained.precision,
    }
    if size is not None:
        note["size"] = size
    watch = _SizeWatch(field)
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "save") as saver:

        def read(job: Job) -> Future[np.ndarray]:
            return reader.submit(read_image, job.source, field.shape[0])

        def save(job: Job, reading: Future[np.ndarray]) -> Future[None]:
            try:
                with _memory_for(job, "reading it"):
                    array = reading.result()
                if job is jobs[0]:
                    _note_pairs(jobs, field, *array.shape[:2])
                height, width = array.shape[:2]
                with _memory_for(job, f"an image of {width} x {height} pixels"):
                    image = to_tensor(array, field)
                    if size is None:
                        watch.look(job, height, width)
                    else:
                        image = brought_to(image, size, coded=bool(field.palette))
                    made = _run(trained, image, job)
            except DataError as error:
                refused: Future[None] = Future()
                refused.set_exception(error)
                return refused
            return saver.submit(_save, made, job.output, note)

        read_ones = one_behind((job, read(job)) for job in jobs)
        for job, saving in one_behind((job, save(job, reading)) for job, reading in read_ones):
            try:
                with _memory_for(job, "saving its result"):
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


def _memory_for(job: Job, what: str) -> AbstractContextManager[None]:
    hint = "Use a smaller image, or reduce its size with --size; the results so far are kept."
    return memory_for(what, where=str(job.source), hint=hint)


def _run(trained: Trained, image: Tensor, job: Job) -> np.ndarray:
    try:
        return to_uint8(trained({trained.fields[0]: image}, job.source.stem))
    except DivergedError as error:
        error.where = str(job.source)
        if trained.precision != "fp32":
            error.hint = f"Try --precision fp32: this was {trained.precision}. {error.hint}"
        raise


def brought_to(image: Tensor, size: int, *, coded: bool = False) -> Tensor:
    """An image whose longer side has `size` pixels, in its own proportions.

    Args:
        image: C x H x W.
        size: at least 1.
        coded: the colours stand for classes: none is mixed from two.
    """
    height, width = image.shape[-2:]
    scale = size / max(height, width)
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    if coded:
        return functional.interpolate(image[None], shape, mode="nearest-exact")[0]
    return functional.interpolate(image[None], shape, mode="bilinear", antialias=True)[0]


class _SizeWatch:
    """Says once when an image is far from the size that the network was trained at."""

    def __init__(self, field: Field) -> None:
        self.trained = field.shape[1:]
        self.said = False

    def look(self, job: Job, height: int, width: int) -> None:
        """Look at the size of one image."""
        usual = max(self.trained)
        if self.said or usual / FAR <= max(height, width) <= usual * FAR:
            return
        self.said = True
        log.warning(
            "%s is %d x %d pixels, and the network was trained at %d x %d: unless those were parts"
            " of such images, it sees everything at a scale that it wasn't trained on. --size %d "
            "resizes images to the size of training.",
            job.source,
            width,
            height,
            *self.trained[::-1],
            usual,
        )


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
        # Mapped first: a header that promises more than the file holds is noticed before memory
        # is asked for.
        mapped: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    # What a forged header leads to may be anything: RecursionError, SyntaxError, MemoryError.
    except Exception as error:
        reason = error_text(error, kind=False)
        raise DataError(f"can't read this array: {reason}", where=str(path)) from error
    if not isinstance(mapped, np.ndarray):
        raise DataError(
            "can't read this array: it is an archive of several arrays", where=str(path)
        )
    array = np.array(mapped)
    if array.ndim != 3 or array.shape[2] != channels or not array.size:
        shape = " x ".join(map(str, array.shape)) or "a single number"
        raise DataError(f"must be H x W x {channels}, but it is {shape}", where=str(path))
    if array.dtype.kind == "f" and (np.abs(array) > FLOAT_LIMIT).any():
        low, high = array.min(), array.max()
        raise DataError(
            f"floats must lie between -1 and 1, but these go from {low:g} to {high:g}",
            where=str(path),
        )
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


def _note_pairs(jobs: Sequence[Job], field: Field, height: int, width: int) -> None:
    _, trained_height, trained_width = field.shape
    if width == 2 * height and trained_width == trained_height:
        log.warning(
            "%s is twice as wide as high, like a file that holds a pair side by side; all of it is"
            " taken as the input%s",
            jobs[0].source,
            ", as are the others" if len(jobs) > 1 else "",
        )
