"""Read and write arrays as `.npy` files, NumPy's files of one array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ganzoo.errors import DataError, EnvironmentFault, error_text
from ganzoo.files import replacing

ARRAY = ".npy"
"""The suffix of NumPy's files of one array."""


_START = b"\x93NUMPY"
"""The first bytes of a `.npy` file (NumPy Enhancement Proposal 1)."""

_ARCHIVE = b"PK"
"""The first bytes of a `.npz` file, which is a zip archive."""


def read_array(path: Path) -> np.ndarray:
    """Read a `.npy` file; nothing in it is unpickled.

    Raises:
        DataError: naming the file, when it isn't a complete file of one array of numbers.
    """
    try:
        # Mapped first: a header that promises more than the file holds is noticed before memory
        # is asked for.
        mapped: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    # What a forged header leads to may be anything: RecursionError, SyntaxError, MemoryError.
    except Exception as error:
        if not isinstance(error, OSError) and not _is_numpys(path):
            raise DataError(
                "not a .npy file",
                where=str(path),
                hint="Give a file that `numpy.save` has written.",
            ) from error
        reason = getattr(error, "strerror", None) or error_text(error, kind=False)
        raise DataError(f"can't read this array: {reason}", where=str(path)) from error
    if not isinstance(mapped, np.ndarray):
        raise DataError(
            "can't read this array: it is an archive of several arrays", where=str(path)
        )
    if mapped.dtype.kind not in "iufb":
        raise DataError(f"must hold numbers, but it holds {mapped.dtype}", where=str(path))
    return np.array(mapped)


def _is_numpys(path: Path) -> bool:
    """Return whether a file begins as NumPy's files do."""
    with path.open("rb") as file:
        return file.read(len(_START)).startswith((_START, _ARCHIVE))


def write_array(array: np.ndarray, path: Path) -> None:
    """Write an array as a `.npy` file, which is complete or absent.

    Raises:
        EnvironmentFault: the file can't be written.
    """
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, array, allow_pickle=False)
    except OSError as error:
        raise EnvironmentFault(f"can't write this array: {error}", where=str(path)) from error
