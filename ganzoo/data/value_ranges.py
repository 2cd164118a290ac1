"""Do the files' values use the range of their type, or will everything look black?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

_DARK = {8: 20, 16: 16383}
"""Largest values, by bits, that no ordinary picture ends at: class numbers, and 14 bits in 16."""

_CURE = {
    8: "If they are numbers of classes, save them as colours or as spread-out grays.",
    16: "Bring them to the full range first (12 bits in 16: times 16).",
}


class Span(NamedTuple):
    """The smallest and the largest value of a file, and the largest that its type can hold."""

    low: int
    high: int
    most: int


def dark(what: str, low: float, high: float, dtype: np.dtype) -> str:
    """A sentence where integer values end far below the type's largest; else "".

    Args:
        what: whose values, for the sentence.
        low: the smallest value.
        high: the largest value.
        dtype: of the array; other than uint8 and uint16, nothing is said.
    """
    bits = _bits_of_dark(high, dtype)
    if not bits:
        return ""
    return (
        f"{what} has values from {low:,} to {high:,}, of the {2**bits - 1:,} that {bits} bits "
        f"hold: it is read as all but black. {_CURE[bits]}"
    )


def span_of_dark(array: np.ndarray) -> Span | None:
    """The values of a file of the kind that `dark` speaks of; None of any other."""
    if not array.size or not _bits_of_dark(array.max(), array.dtype):
        return None
    return Span(int(array.min()), int(array.max()), int(np.iinfo(array.dtype).max))


def dark_files(found: Mapping[str, Span], looked_at: int, most: int = 5) -> str:
    """A sentence that names single files of the kind that `dark` speaks of; "" for none.

    Args:
        found: the values of each such file, by its name.
        looked_at: how many files were looked at.
        most: names that are given.
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
        f"{len(found)} of {looked_at} {be} read, shown and trained on as all but black: "
        f"{', '.join(named)}{more}. {cure}"
    )


def _bits_of_dark(high: float, dtype: np.dtype) -> int:
    """Bits of the type, 8 or 16, where the largest value is far below what they hold; else 0."""
    bits = {np.dtype(np.uint8): 8, np.dtype(np.uint16): 16}.get(dtype, 0)
    return bits if bits and 0 < high <= _DARK[bits] else 0
