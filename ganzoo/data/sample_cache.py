"""Samples as they are before anything random happens to them, kept from one epoch to the next.

They lie in a temporary file without a name: what the system's page cache holds of it is given up
when memory gets short, no process grows by it, and it is gone with the processes, however they end.
Loader workers share it: each writes to a part of its own, and all read everything.
"""

from __future__ import annotations

import logging
import os
import shutil
import struct
import tempfile
from typing import Any

import numpy as np

from ganzoo.data.shared_files import SharedFile, aligned, unpack

log = logging.getLogger(__name__)

_ENTRY = struct.Struct("<qq")
"""Where a sample's record begins in the file, and its bytes; (0, 0): it isn't kept."""
_SHARE_OF_DISK = 4
"""A cache takes at most one part in so many of what is free on the disk."""


class SampleCache(SharedFile):
    """Records of samples by index, in a file that ends with the processes that hold it open.

    It begins with a table of all samples' entries; records follow, in one part for each writer. An
    entry is written after its record, so that a reader finds none or a whole one.

    Args:
        length: samples of the data.
        limit: bytes of all records together; those are kept that come first.

    Raises:
        OSError: there's no folder for temporary files, or no room in it.
    """

    def __init__(self, length: int, limit: int) -> None:
        with tempfile.TemporaryFile(prefix="ganzoo-") as file:
            super().__init__(file.fileno())
        self._first = length * _ENTRY.size
        self._limit = limit
        os.truncate(self._file, self._first)
        self.take_part(0, 1)

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
        record: Any = np.empty(size, np.uint8)
        if os.preadv(self._file, [record], start) != size:
            return None
        return unpack(record)

    def put(self, index: int, record: bytearray) -> None:
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
        self._next += aligned(len(record))


def open_cache(length: int, megabytes: int) -> SampleCache | None:
    """A cache for the samples of a data set, or None where there's no place for one.

    Args:
        length: samples of the data.
        megabytes: largest size, in 10^6 bytes; not more is taken than a quarter of the free disk.
    """
    if not megabytes or not hasattr(os, "preadv"):  # Windows has no reading at a place
        return None
    try:
        free = shutil.disk_usage(tempfile.gettempdir()).free
        return SampleCache(length, min(megabytes * 10**6, free // _SHARE_OF_DISK))
    except OSError as error:
        log.warning("Nothing is kept between epochs (train.cache): %s", error)
        return None
