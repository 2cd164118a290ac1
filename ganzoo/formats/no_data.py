"""How pictures show that there are no data: as the checks by which editors show transparency."""

from __future__ import annotations

import numpy as np

CHECKS = (105, 150)
"""The two grays of the checks."""
_SIDE = 4
"""The side length of a check in pixels."""


def with_no_data(picture: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The picture with checks where the mask is 0.

    Args:
        picture: H x W x 3 uint8.
        mask: H x W; None: there are data everywhere.
    """
    if mask is None or mask.shape != picture.shape[:2]:
        return picture
    rows, columns = np.indices(mask.shape) // _SIDE
    checks = np.array(CHECKS, np.uint8)[(rows + columns) % 2]
    shown: np.ndarray = np.where((mask == 0)[:, :, None], checks[:, :, None], picture)
    return shown
