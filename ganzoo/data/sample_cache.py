"""Samples as they are before anything random happens to them, kept from one epoch to the next.

They lie in a temporary file without a name: what the system's page cache holds of it is given up
when memory gets short, no process grows by it, and it is gone with the processes, however they end.
Loader workers share it: each writes to a part of its own, and all read everything.
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
"""Where a sample's record begins in the file, and its bytes; (0, 0): it isn't kept."""
_SHARE_OF_DISK = 4
"""A cache takes at most one part in so many of what is free on the disk."""


class SampleCache:
    """Records of samples by index, in a file that ends with the processes that hold it open.

    It begins with a table of all samples' entries; records follow, in one part for each writer. An
    entry is written after its record, so that a reader finds none or a whole one. The object itself
    is pickled only while a process is being started, which then has the same file.

    Args:
        length: samples of the data.
        limit: bytes of all records together; those are kept that come first.

    Raises:
        OSError: there's no folder for temporary files, or no room in it.
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
        """Let go of the file; nothing else may be asked afterwards."""
        os.close(self._file)

    def take_part(self, writer: int, writers: int) -> None:
        """From now on write to this process's part of the file, and no other.

        Args:
            writer: number of the process among those that write, from 0.
            writers: how many there are.
        """
        share = self._limit // writers
        self._next = self._first + writer * share
        self._end = self._next + share

    def get(self, index: int) -> tuple[int, dict[str, np.ndarray]] | None:
        """How many stages were done, and the sample after them, in arrays of the caller's own."""
        start, size = _ENTRY.unpack(os.pread(self._file, _ENTRY.size, index * _ENTRY.size))
        if not size:
            return None
        record = os.pread(self._file, size, start)
        if len(record) != size:
            return None
        kept: tuple[int, dict[str, np.ndarray]] = pickle.loads(record)  # noqa: S301  # our own
        return kept

    def put(self, index: int, record: bytes) -> None:
        """Keep what `pack` made of a sample, if there's room for it."""
        if self._next + len(record) > self._end:
            return
        start = self._next
        try:
            whole = os.pwrite(self._file, record, start) == len(record)
            if whole:
                # The table has holes too, for which a full disk has no room.
                os.pwrite(self._file, _ENTRY.pack(start, len(record)), index * _ENTRY.size)
        except OSError:
            whole = False
        if not whole:
            self._end = start  # the disk is full: no attempt for every sample to come
            return
        self._next += len(record)


def pack(stages: int, sample: Mapping[str, np.ndarray]) -> bytes:
    """Write a sample as bytes.

    Args:
        stages: how many of a pipeline's stages it has been through.
        sample: C-contiguous arrays.
    """
    return pickle.dumps((stages, dict(sample)), protocol=5)


def open_cache(length: int, megabytes: int) -> SampleCache | None:
    """A cache for the samples of a data set, or None where there's no place for one.

    Args:
        length: samples of the data.
        megabytes: largest size, in 10^6 bytes; not more is taken than a quarter of the free disk.
    """
    if not megabytes or not hasattr(os, "pread"):  # Windows has no reading at a place
        return None
    try:
        free = shutil.disk_usage(tempfile.gettempdir()).free
        return SampleCache(length, min(megabytes * 10**6, free // _SHARE_OF_DISK))
    except OSError as error:
        log.warning("Nothing is kept between epochs (train.cache): %s", error)
        return None
