"""Cache samples before the first random augmentation, for use in all epochs.

The samples are in a temporary file without a name. When memory is short, the system frees the part
of its page cache that holds the file. No process uses more memory for it, and the file disappears
when the processes end, however they end. Loader workers share it: each writes to its own part, and
all of them read everything.
"""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import struct
import tempfile
from collections.abc import Mapping
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np

log = logging.getLogger(__name__)

_ENTRY = struct.Struct("<qq")
"""The position of a sample's record in the file, and the size of the record in bytes. (0, 0) means
that the sample isn't in the cache."""
_SHARE_OF_DISK = 4
"""A cache takes at most the free disk space divided by this number."""


class SampleCache:
    """Records of samples by index, in a file that exists as long as a process has it open.

    The file begins with a table of all samples' entries. Records follow, in one part for each
    writer. An entry is written after its record, so that a reader finds no record or a complete
    one. The object itself is pickled only while a process is being started, which then uses the
    same file.

    Args:
        length: the number of samples of the data.
        limit: the largest size of all records together, in bytes. When the space is used up,
            further samples aren't cached.

    Raises:
        OSError: when there is no folder for temporary files, or no space in it.
    """

    def __init__(self, length: int, limit: int) -> None:
        with tempfile.TemporaryFile(prefix="ganzoo-") as file:
            self._file = os.dup(file.fileno())
        self._first = length * _ENTRY.size
        self._limit = limit
        os.truncate(self._file, self._first)
        self.take_part(0, 1)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_file": DupFd(self._file)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        self._file = state["_file"].detach()

    def close(self) -> None:
        """Close the file; no other method may be called afterwards."""
        os.close(self._file)

    def take_part(self, writer: int, writers: int) -> None:
        """Write only to this process's part of the file from now on.

        Args:
            writer: the number of this process among those that write, counted from 0.
            writers: the number of processes that write.
        """
        share = self._limit // writers
        self._next = self._first + writer * share
        self._end = self._next + share

    def get(self, index: int) -> tuple[int, dict[str, np.ndarray]] | None:
        """Return the number of stages done and a copy of the sample after them; None if absent."""
        start, size = _ENTRY.unpack(os.pread(self._file, _ENTRY.size, index * _ENTRY.size))
        if not size:
            return None
        record = os.pread(self._file, size, start)
        if len(record) != size:
            return None
        kept: tuple[int, dict[str, np.ndarray]] = pickle.loads(record)  # noqa: S301  # from `put`
        return kept

    def put(self, index: int, record: bytes) -> None:
        """Store the record of a sample, a result of `pack`, if there is space for it."""
        if self._next + len(record) > self._end:
            return
        start = self._next
        try:
            whole = os.pwrite(self._file, record, start) == len(record)
            if whole:
                # This can fail on a full disk too, because the table is a sparse part of the file.
                os.pwrite(self._file, _ENTRY.pack(start, len(record)), index * _ENTRY.size)
        except OSError:
            whole = False
        if not whole:
            self._end = start  # the disk is full, so no further sample is tried
            return
        self._next += len(record)


def pack(stages: int, sample: Mapping[str, np.ndarray]) -> bytes | None:
    """Return a sample as bytes, or None if it has more than plain arrays of numbers or texts.

    Objects may not be picklable, and such a sample is used without the cache.

    Args:
        stages: the number of the pipeline's stages that have been applied to it.
        sample: C-contiguous arrays.
    """
    if any(array.dtype.hasobject for array in sample.values()):
        return None
    return pickle.dumps((stages, dict(sample)), protocol=5)


def open_cache(length: int, megabytes: int) -> SampleCache | None:
    """Open a cache for the samples of a data set; return None where that isn't possible.

    Args:
        length: the number of samples of the data.
        megabytes: the largest size, in 10^6 bytes. The cache takes at most a quarter of the free
            disk space. 0: no cache.
    """
    if not megabytes or not hasattr(os, "pread"):  # Windows has no `pread`
        return None
    try:
        free = shutil.disk_usage(tempfile.gettempdir()).free
        return SampleCache(length, min(megabytes * 10**6, free // _SHARE_OF_DISK))
    except OSError as error:
        log.warning("Nothing is kept between epochs (train.cache): %s", error)
        return None
