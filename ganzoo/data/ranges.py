"""Do the files' values use the range of their type, or will everything look black?"""

from __future__ import annotations

import numpy as np

_DARK = {8: 20, 16: 16383}
"""Largest values, by bits, that no ordinary picture ends at: class numbers, and 14 bits in 16."""

_CURE = {
    8: "If they are numbers of classes, save them as colours or as spread-out grays.",
    16: "Bring them to the full range first (12 bits in 16: times 16).",
}


def dark(what: str, low: float, high: float, dtype: np.dtype) -> str:
    """A sentence where integer values end far below the type's largest; else "".

    Args:
        what: whose values, for the sentence.
        low: the smallest value.
        high: the largest value.
        dtype: of the array; other than uint8 and uint16, nothing is said.
    """
    bits = {np.dtype(np.uint8): 8, np.dtype(np.uint16): 16}.get(dtype, 0)
    if not bits or not 0 < high <= _DARK[bits]:
        return ""
    return (
        f"{what} has values from {low:,} to {high:,}, of the {2**bits - 1:,} that {bits} bits "
        f"hold: it is read as all but black. {_CURE[bits]}"
    )
