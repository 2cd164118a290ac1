"""Inspect all data of a recipe before training on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, get_args

import numpy as np
from PIL import Image

from ganzoo.data.contact_sheet import grid, notice
from ganzoo.data.formats import described, mask_of, shows_whole_type
from ganzoo.data.pipeline import PreparedData, open_data, unreadable
from ganzoo.data.value_ranges import Span, dark, span_of_dark
from ganzoo.errors import DataError, DataMissing, printable
from ganzoo.interfaces import DataSource, Field, Split

if TYPE_CHECKING:
    from torch import Tensor

    from ganzoo.recipe.model import Recipe


MOST_POINTS = 2500
"""The largest number of samples that are drawn as points in a contact sheet."""


@dataclass(frozen=True)
class Problem:
    """A problem of the data; `sample` is empty where the problem concerns a whole split."""

    split: str
    sample: str
    reason: str


@dataclass
class SplitReport:
    """The content of a split.

    Args:
        count: the number of samples.
        sizes: for each field, the number of samples of each size and depth before augmentation,
            such as `{"source": {"256 x 256 x 3 uint8": 400}}`.
        fields: for each field, its format and its shape after augmentation, as text.
        files: the number of files of each field whose number of files may differ from `count`.
        ranges: for each image field, the smallest and largest value in the inspected files.
        dark: for each image field, the values of the files that will look almost black, by name.
        broken: the error of each sample that can't be used, by index.
    """

    count: int = 0
    sizes: dict[str, Counter[str]] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)
    dark: dict[str, dict[str, Span]] = field(default_factory=dict)
    broken: dict[int, str] = field(default_factory=dict)


@dataclass
class Report:
    """The results of `inspect_data`."""

    use: str
    stand_in: bool = False
    notes: list[str] = field(default_factory=list)
    splits: dict[str, SplitReport] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    prepared: dict[str, PreparedData] = field(default_factory=dict)
    """The prepared data of each split that could be opened."""


def inspect_data(
    recipe: Recipe,
    limit: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Open every split and decode its samples.

    Args:
        recipe: a valid recipe.
        limit: the largest number of samples to decode in each split; None: all.
        progress: called with the split, the number of samples done, and the number of samples to
            decode.

    Raises:
        DataMissing: when the data are missing and the recipe has no fallback.
    """
    report = Report(use=recipe.data.id)
    look = partial(_look_at_samples, report=report, limit=limit, progress=progress)
    for split in get_args(Split):
        report.splits[split] = SplitReport()
        try:
            prepared = open_data(recipe, split)
        except DataMissing:
            raise
        except DataError as error:
            _look_at_broken(recipe, split, report, look, str(error))
            continue
        report.prepared[split] = prepared
        report.use, report.stand_in = prepared.chosen.id, prepared.stand_in
        report.notes += [note for note in prepared.notes if note not in report.notes]
        report.splits[split].fields = {name: _becomes(one) for name, one in prepared.fields.items()}
        look(prepared.source, split, prepared)
    return report


def _look_at_broken(
    recipe: Recipe,
    split: Split,
    report: Report,
    look: Callable[[DataSource, Split], None],
    reason: str,
) -> None:
    """Add the problems of a split that can't be opened, perhaps only because of one sample."""
    try:
        source: DataSource = recipe.data.build(split)
    except (DataError, OSError):  # `reason` is this error
        pass
    else:
        look(source, split)
    if reason not in {problem.reason for problem in report.problems if problem.split == split}:
        report.problems.append(Problem(split, "", reason))


def _look_at_samples(
    source: DataSource,
    split: Split,
    prepared: PreparedData | None = None,
    *,
    report: Report,
    limit: int | None,
    progress: Callable[[str, int, int], None] | None,
) -> None:
    """Decode samples, and apply the augmentation to the first sample of each size."""
    found = report.splits[split]
    found.count = len(source)
    if hasattr(source, "undrawn"):
        source = source.undrawn()
    own = getattr(source, "own_names", {})
    found.files = {name: len(names) for name, names in own.items()}
    looked_at = found.count if limit is None else min(limit, found.count)
    known: set[tuple[tuple[int, ...], ...]] = set()
    types: dict[str, np.dtype] = {}
    for index in range(looked_at):
        try:
            loaded = source.load(index, np.random.default_rng(0))
            sample = {
                name: np.asarray(one) for name, one in loaded.items()
            }  # a class may be an int
            for name, array in sample.items():
                if index >= found.files.get(name, found.count):
                    continue  # this file was inspected with an earlier sample
                size = f"{_times(array.shape)} {array.dtype}"
                found.sizes.setdefault(name, Counter())[size] += 1
                _widen(found.ranges, name, array)
                if not _shows_whole_type(name, array, prepared):
                    continue
                types[name] = array.dtype
                if span := span_of_dark(array):
                    file = own[name][index] if name in own else source.name(index)
                    found.dark.setdefault(name, {})[printable(file)] = span
            shapes = tuple(array.shape for array in sample.values())
            if prepared is not None and shapes not in known:
                known.add(shapes)
                prepared.sample(index)
        except (DataError, OSError) as error:
            name = printable(source.name(index))
            said = unreadable(error, name) if isinstance(error, OSError) else error
            report.problems.append(Problem(split, name, str(said)))
            found.broken[index] = printable(str(said))
        if progress:
            progress(split, index + 1, looked_at)
    _note_dark(report, split, types)


def _note_dark(report: Report, split: Split, types: Mapping[str, np.dtype]) -> None:
    """Add a note for each field of a split whose pictures are almost black.

    Args:
        report: what was found.
        split: the split.
        types: the types of those fields whose pictures show the whole range of their type.
    """
    for name, (low, high) in report.splits[split].ranges.items():
        if name not in types:
            continue
        if black := dark(f"{name} of the {split} split", low, high, types[name]):
            # This note is replaced by one about the whole split.
            first = f"{name} of the first {split} sample"
            report.notes = [note for note in report.notes if not note.startswith(first)] + [black]


def _shows_whole_type(name: str, array: np.ndarray, prepared: PreparedData | None) -> bool:
    """Whether the ends of an array's type are black and white in its picture."""
    if prepared is None:
        return array.ndim == 3  # The fields of a split that can't be opened aren't known.
    known = prepared.fields.get(name)
    return known is not None and shows_whole_type(known, prepared.formats[name])


def _widen(ranges: dict[str, tuple[int, int]], name: str, array: np.ndarray) -> None:
    if array.ndim == 3 and array.dtype.kind == "u" and array.size:
        low, high = int(array.min()), int(array.max())
        before = ranges.get(name, (low, high))
        ranges[name] = min(low, before[0]), max(high, before[1])


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def _becomes(one: Field) -> str:
    """Return the format and shape of a field after augmentation, as text."""
    words = described(one)
    if one.classes:
        words += f", {one.classes} classes"
    return words if one.aligned else f"{words}, no pair with the others"


def contact_sheet(
    data: PreparedData, rows: int, caption: str, broken: Mapping[int, str] | None = None
) -> Image.Image | None:
    """Draw samples from all parts of a split after augmentation.

    What is drawn sample by sample, such as images, is in one row per sample. Where there is nothing
    of this sort, the first field of which many samples are drawn together, such as points, is
    plotted.

    Args:
        data: the split.
        rows: the largest number of samples in rows.
        caption: the text below them.
        broken: the errors of samples that can't be used, by index. At most `rows` of them are shown
            too, as a row with the error.

    Returns:
        The picture, or None where there is nothing to be drawn.
    """
    broken = broken or {}
    if _drawn(data):
        if len(broken) > rows:
            caption += f" · {rows} of {len(broken)} samples that can't be used"
        return grid(contact_sheet_rows(data, rows, broken), caption)
    usable = [int(index) for index in _spread(data, MOST_POINTS) if index not in broken]
    plotted = [name for name, one in data.formats.items() if one.shown == "together"]
    if not plotted or not usable:
        return None
    samples = [data.sample(index) for index in usable]
    its_format, its_field = data.formats[plotted[0]], data.fields[plotted[0]]
    alike = [name for name in plotted if data.fields[name].format == its_field.format]
    groups = {
        name: np.stack([its_format.to_array(one[name], data.fields[name]) for one in samples])
        for name in alike
    }
    return Image.fromarray(its_format.plot(groups, its_field, caption))


def _drawn(data: PreparedData) -> list[str]:
    """Names of the fields that are drawn sample by sample."""
    return [name for name, one in data.formats.items() if one.shown == "each"]


def _spread(data: PreparedData, most: int) -> np.ndarray:
    indices: np.ndarray = np.linspace(0, len(data) - 1, min(most, len(data))).round().astype(int)
    return indices


def contact_sheet_rows(
    data: PreparedData, rows: int, broken: Mapping[int, str] | None = None, largest: int = 256
) -> list[dict[str, np.ndarray]]:
    """Return samples from all parts of a split after augmentation, as 8-bit pictures by field.

    Args:
        data: the split.
        rows: the largest number of usable samples.
        broken: the errors of samples that can't be used, by index. At most `rows` of them are
            returned too, with the error in place of their pictures.
        largest: the largest length in pixels of a picture's longer side; larger pictures are
            reduced.
    """
    broken = broken or {}
    table = []
    for index in sorted({*_spread(data, rows).tolist(), *list(broken)[:rows]}):
        said = broken.get(index, "")
        if not said:
            try:
                pictures = _pictures(data, index)
            except DataError as error:
                said = printable(str(error))
            else:
                table.append({name: _reduced(one, largest) for name, one in pictures.items()})
        if said:
            drawn, square = _drawn(data), notice(said)
            table.append(dict.fromkeys(drawn, np.full_like(square, 235)) | {drawn[0]: square})
    return table


def _pictures(data: PreparedData, index: int) -> dict[str, np.ndarray]:
    """The picture of each field of a sample that is drawn by itself."""
    sample = data.sample(index)
    return {name: picture_of(name, sample[name], sample, data) for name in _drawn(data)}


def picture_of(
    name: str, value: Tensor, sample: Mapping[str, Tensor], data: PreparedData
) -> np.ndarray:
    """Draw one value of a field, with its places without data made visible: H x W x 3 uint8.

    Args:
        name: the field.
        value: its tensor, or one that a network made in its place.
        sample: the sample that it belongs to, which has the mask.
        data: whose fields and formats these are.
    """
    field, its_format = data.fields[name], data.formats[name]
    array = its_format.to_array(value, field)
    return its_format.picture(array, field, mask_of(field, sample))


def _reduced(image: np.ndarray, largest: int) -> np.ndarray:
    longer = max(image.shape[:2])
    if longer <= largest:
        return image
    height, width = (max(1, round(side * largest / longer)) for side in image.shape[:2])
    planes = [Image.fromarray(np.ascontiguousarray(one)) for one in np.moveaxis(image, 2, 0)]
    return np.stack([np.array(one.resize((width, height))) for one in planes], 2)
