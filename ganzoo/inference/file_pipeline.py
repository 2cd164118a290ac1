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

from ganzoo.data.convert import to_tensor
from ganzoo.data.formats import mask_of, split_no_data, with_no_data
from ganzoo.errors import DataError, DivergedError, UsageError
from ganzoo.files import split_suffix
from ganzoo.inference.application_weights import Weights
from ganzoo.inference.applications import beside_files, from_files
from ganzoo.inference.trained_application import Trained
from ganzoo.interfaces import Field, Format
from ganzoo.process.memory import memory_for

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """What to make of one file, and where to write it.

    Args:
        source: the file.
        outputs: the files of the results, at least one, by the field that they hold.
    """

    source: Path
    outputs: Mapping[str, Path]

    @property
    def where(self) -> Path:
        """The first result."""
        return next(iter(self.outputs.values()))


FAR = 2
"""An image that is so many times larger or smaller than those of training is worth a warning."""


def make_all(
    trained: Trained,
    weights: Weights,
    jobs: Sequence[Job],
    size: int | None = None,
) -> Iterator[tuple[Job, DataError | None]]:
    """Make each job's image; the next is read and the last one saved in threads meanwhile.

    The network itself is called by the caller's thread, one image after the other, so that seeds
    and results are what they would be without threads.

    Args:
        trained: the application.
        weights: its weights, whose name goes into each picture's note.
        jobs: what to make.
        size: longer side in pixels that each image is brought to first; None: its own.

    Yields:
        Each job in turn once its file is there, and None; or why its input can't be used.

    Raises:
        EnvironmentFault: a result can't be written, or the device has no memory for it.
        DivergedError: what the network makes isn't finite. Those before have been saved, and
            threads have ended.
    """
    taken, known, formats = file_field(weights), weights.fields, weights.formats
    field, reads = known[taken], formats[taken]
    note = {**weights.source(), **trained.settings()}
    if size is not None:
        note["size"] = size
    watch = _SizeWatch(field) if reads.pixels else None
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "save") as saver:

        def read(job: Job) -> Future[np.ndarray]:
            return reader.submit(reads.read, job.source, field)

        def save(job: Job, reading: Future[np.ndarray]) -> Future[None]:
            try:
                with _memory_for(job, "reading it"):
                    array = reading.result()
                if job is jobs[0] and reads.pixels:
                    _note_pairs(jobs, field, *array.shape[:2])
                with _memory_for(job, _size_of(array, reads)):
                    inputs = _inputs(array, taken, known, formats, size)
                    if size is None and watch is not None:
                        watch.look(job, *array.shape[:2])
                    name, _ = split_suffix(job.source.name, reads.suffixes)
                    results = _run(trained, inputs, job, name, formats)
            except DataError as error:
                refused: Future[None] = Future()
                refused.set_exception(error)
                return refused
            return saver.submit(_write, job, results, weights, formats, note)

        read_ones = one_behind((job, read(job)) for job in jobs)
        for job, saving in one_behind((job, save(job, reading)) for job, reading in read_ones):
            try:
                with _memory_for(job, "saving its result"):
                    saving.result()
            except DataError as error:
                yield job, error
            else:
                yield job, None


def _write(
    job: Job,
    results: Mapping[str, np.ndarray],
    weights: Weights,
    formats: Mapping[str, Format],
    note: Mapping[str, Any],
) -> None:
    """Write each result into its file."""
    for name, result in results.items():
        field = weights.fields[name]
        formats[name].write(result, job.outputs[name], field, {**note, **_unit(field)})


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


def _inputs(
    array: np.ndarray,
    taken: str,
    fields: Mapping[str, Field],
    formats: Mapping[str, Format],
    size: int | None,
) -> dict[str, Tensor]:
    """What a file gives a network: its field, and its mask if the field has a value for "no data".

    Args:
        array: what the file holds.
        taken: its field.
        fields: those of the data, and those that only the application has.
        formats: of these.
        size: see `make_all`.
    """
    arrays = split_no_data({taken: array}, fields)
    inputs = {name: to_tensor(one, fields[name], formats[name]) for name, one in arrays.items()}
    if size is None:
        return inputs
    return {
        name: brought_to(one, size, coded=_is_coded(fields[name], one))
        for name, one in inputs.items()
    }


def _size_of(array: np.ndarray, its_format: Format) -> str:
    if its_format.pixels:
        return f"an image of {array.shape[1]} x {array.shape[0]} pixels"
    return f"an input of {' x '.join(map(str, array.shape))} values"


def _unit(field: Field) -> dict[str, Any]:
    """What the values in a file mean, for its note; nothing where they use the whole type."""
    if field.range is None:
        return {}
    return {"range": list(field.range), "unit": field.unit}


def _is_coded(field: Field, tensor: Tensor) -> bool:
    """Whether values stand for classes, of which none is mixed from two others."""
    return bool(field.palette) or not tensor.is_floating_point()


def _run(
    trained: Trained,
    inputs: Mapping[str, Tensor],
    job: Job,
    name: str,
    formats: Mapping[str, Format],
) -> dict[str, np.ndarray]:
    """What the application makes of a file, by field; without data where the file had none."""
    known = trained.fields
    try:
        made = {
            field: formats[field].to_array(one, known[field])
            for field, one in trained(inputs, name).items()
        }
    except DivergedError as error:
        error.where = str(job.source)
        if trained.precision != "fp32":
            error.hint = f"Try --precision fp32: this was {trained.precision}. {error.hint}"
        raise
    return {
        field: with_no_data(one, known[field], mask_of(known[field], inputs))
        for field, one in made.items()
    }


def file_field(weights: Weights) -> str:
    """The field that an application takes from files.

    Raises:
        UsageError: it takes several.
    """
    found = from_files(weights.application, weights.fields)
    if len(found) > 1:
        raise UsageError(
            f"the application {weights.name} takes {' and '.join(found)} for each sample, and "
            "files give only one of them",
            where=str(weights.path),
            hint=beside_files(weights.application, weights.card.fields),
        )
    return found[0]


def brought_to(image: Tensor, size: int, *, coded: bool = False) -> Tensor:
    """An image whose longer side has `size` pixels, in its own proportions.

    Args:
        image: C x H x W, or H x W.
        size: at least 1.
        coded: the values stand for classes: none is mixed from two.
    """
    if image.ndim == 2:
        return brought_to(image[None], size, coded=coded)[0]
    height, width = image.shape[-2:]
    scale = size / max(height, width)
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    if coded:
        values = image if image.is_floating_point() else image.double()
        return functional.interpolate(values[None], shape, mode="nearest-exact")[0].to(image.dtype)
    return functional.interpolate(image[None], shape, mode="bilinear", antialias=True)[0]


class _SizeWatch:
    """Says once when an image is far from the size that the network was trained at."""

    def __init__(self, field: Field) -> None:
        self.trained = field.shape[-2:]
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


def _note_pairs(jobs: Sequence[Job], field: Field, height: int, width: int) -> None:
    trained_height, trained_width = field.shape[-2:]
    if width == 2 * height and trained_width == trained_height:
        log.warning(
            "%s is twice as wide as high, like a file that holds a pair side by side; all of it is"
            " taken as the input%s",
            jobs[0].source,
            ", as are the others" if len(jobs) > 1 else "",
        )
