"""How a worker's batch reaches a CPU's training: through one piece of memory, used again and again.

By torch's own way each tensor is a new piece of shared memory, whose pages both processes must be
given anew, and a connection to ask for it: 2.3 ms for a pair of images, this way 0.6 to 0.7.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganzoo.data.shared_files import SharedFile, pack, unpack

PREFETCH = 2
"""Batches that a worker makes ahead; torch's own number."""
_PLACES = PREFETCH + 1
"""A worker's batches in memory: those made ahead, and the one being read."""
_PLACE_BYTES = 2**32
"""Distance of places, of which only what was written takes memory."""

Letter = tuple[int, int]
"""Where in the file a batch is, and its bytes."""


class Handover(SharedFile):
    """Memory into which workers write batches by turns, and from which they're read at once.

    A loader asks a worker for another batch when it takes one out, so that a batch lies untouched
    until two more of its worker's have been taken.
    """

    def __init__(self) -> None:
        file = os.memfd_create("ganzoo-batches")
        super().__init__(file)
        os.close(file)
        self._writer, self._written = 0, 0

    def take_part(self, writer: int) -> None:
        """From now on write to this worker's places."""
        self._writer = writer

    def post(self, batch: Mapping[str, Tensor]) -> Letter | None:
        """Write a batch; None where it is too large for that, or the system refuses the memory."""
        record = pack(0, {name: tensor.numpy() for name, tensor in batch.items()})
        if record is None or len(record) > _PLACE_BYTES:
            return None
        place = self._writer * _PLACES + self._written % _PLACES
        self._written += 1
        start = place * _PLACE_BYTES
        try:
            whole = os.pwrite(self._file, record, start) == len(record)
        except OSError:  # a limit on the size of files (`ulimit -f`) counts here too
            return None
        return (start, len(record)) if whole else None

    def collect(self, letter: Letter) -> dict[str, Tensor]:
        """A batch that a worker has written, in memory of the caller's own.

        Torch's memory begins on 64 bytes, as does that of every tensor made by this process: what
        some kernels round depends on that.
        """
        start, size = letter
        record: Any = torch.empty(size, dtype=torch.uint8).numpy()
        os.preadv(self._file, [record], start)
        return {name: torch.from_numpy(array) for name, array in unpack(record)[1].items()}


def open_handover() -> Handover | None:
    """One for a loader's workers, or None where the system has no such memory (Linux has).

    A container may forbid the call, and a process may have no descriptors left.
    """
    if not hasattr(os, "memfd_create"):
        return None
    try:
        return Handover()
    except OSError:
        return None
