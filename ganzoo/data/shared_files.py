"""Samples and batches as rows of bytes, in files that processes share without a name for them."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np

_TAIL = struct.Struct("<q")
"""Bytes of the description before it, at the end of a record."""
_ALIGNED = 64


class SharedFile:
    """An open file that ends with the processes that hold it, however they end.

    It pickles only while a process is being started, which then reads and writes the same file.

    Args:
        file: descriptor of it, which is duplicated.
    """

    def __init__(self, file: int) -> None:
        self._file = os.dup(file)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_file": DupFd(self._file)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        self._file = state["_file"].detach()

    def close(self) -> None:
        """Let go of the file; nothing else may be asked afterwards."""
        os.close(self._file)


def aligned(size: int) -> int:
    """The next multiple of 64 bytes, on which arrays begin."""
    return -(-size // _ALIGNED) * _ALIGNED


def pack(stages: int, sample: Mapping[str, np.ndarray]) -> bytearray | None:
    """A sample in a row of bytes, or None where an array holds other than numbers.

    Args:
        stages: how many of a pipeline's stages it has been through.
        sample: C-contiguous arrays.
    """
    layout, end = [], 0
    for name, array in sample.items():
        if array.dtype.kind not in "biufc":
            return None
        layout.append((name, array.dtype.str, array.shape, end))
        end += aligned(array.nbytes)
    description = json.dumps((stages, layout)).encode()
    record = bytearray(end + len(description) + _TAIL.size)
    for (_, _, _, offset), array in zip(layout, sample.values(), strict=True):
        np.ndarray(array.shape, array.dtype, record, offset)[...] = array
    record[end : -_TAIL.size] = description
    _TAIL.pack_into(record, len(record) - _TAIL.size, len(description))
    return record


def unpack(record: Any) -> tuple[int, dict[str, np.ndarray]]:
    """What `pack` was given; the arrays lie in the record, a buffer that can be written to."""
    (length,) = _TAIL.unpack(record[-_TAIL.size :])
    stages, layout = json.loads(bytes(record[-_TAIL.size - length : -_TAIL.size]))
    return stages, {
        name: np.ndarray(shape, dtype, record, offset) for name, dtype, shape, offset in layout
    }
