"""Check whether values use the range of their type; otherwise images look almost black."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

_DARK = {8: 20, 16: 16383}
"""For each number of bits, an image with no value above this one isn't an ordinary picture. Its
values are class numbers, or numbers of at most 14 bits in 16."""

_CURE = {
    8: "If they are numbers of classes, save them as colours or as spread-out grays.",
    16: "Scale them to the full range first (12 bits in 16: multiply by 16).",
}


class Span(NamedTuple):
    """The smallest and the largest value of a file, and the largest value of its type."""

    low: int
    high: int
    most: int


def dark(what: str, low: float, high: float, dtype: np.dtype) -> str:
    """Return a warning if integer values are far below the type's largest value, or "".

    Args:
        what: the name of the values, for the warning.
        low: the smallest value.
        high: the largest value.
        dtype: the dtype of the array. There is no warning for other types than uint8 and uint16.
    """
    bits = _bits_of_dark(high, dtype)
    if not bits:
        return ""
    return (
        f"{what} has values from {low:,} to {high:,}, of the {2**bits - 1:,} that {bits} bits "
        f"hold: it is read as almost black. {_CURE[bits]}"
    )


def span_of_dark(array: np.ndarray) -> Span | None:
    """Return the values of a file for which `dark` returns a warning; None for other files."""
    if not array.size or not _bits_of_dark(array.max(), array.dtype):
        return None
    return Span(int(array.min()), int(array.max()), int(np.iinfo(array.dtype).max))


def dark_files(found: Mapping[str, Span], looked_at: int, most: int = 5) -> str:
    """Return a warning that lists the files for which `dark` returns a warning, or "".

    Args:
        found: the values of each such file, by its name.
        looked_at: the number of files that were inspected.
        most: the largest number of names in the warning.
    """
    if not found:
        return ""
    named = [
        f"{name} (values {one.low:,} to {one.high:,} of {one.most:,})"
        for name, one in list(found.items())[:most]
    ]
    more = f" and {len(found) - most} more" if len(found) > most else ""
    cure = _CURE[next(iter(found.values())).most.bit_length()]
    be = "is" if len(found) == 1 else "are"
    return (
        f"{len(found)} of {looked_at} {be} read, shown and trained on as almost black: "
        f"{', '.join(named)}{more}. {cure}"
    )


def _bits_of_dark(high: float, dtype: np.dtype) -> int:
    """Return the bits of the type, 8 or 16, if the largest value is far below its maximum, or 0."""
    bits = {np.dtype(np.uint8): 8, np.dtype(np.uint16): 16}.get(dtype, 0)
    return bits if bits and 0 < high <= _DARK[bits] else 0
