"""The training loader: the stream of `sampler`, decoded in this process or in workers.

What a batch holds depends on (seed, epoch, index) alone, so 0, 1 or 8 workers give the same bits.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ganzoo.data.pipeline import PreparedData, collate
from ganzoo.data.sampler import Position, StreamSampler
from ganzoo.errors import GanzooError


class _Samples(Dataset[Any]):
    """Samples by position; an error is a value, so that a worker doesn't wrap it in a traceback."""

    def __init__(self, data: PreparedData) -> None:
        self.data = data

    def __getitem__(self, position: Position) -> dict[str, Tensor] | GanzooError:
        epoch, index = position
        try:
            return self.data.sample(index, epoch)
        except GanzooError as error:
            return error


def _collate(samples: list[Any]) -> dict[str, Tensor] | GanzooError:
    for sample in samples:
        if isinstance(sample, GanzooError):
            return sample
    return collate(samples)


def _quiet_worker(_: int) -> None:
    # Ctrl-C reaches the whole process group, and so does a scheduler's SIGTERM; the main process
    # finishes its step with our batches, then ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        import cv2
    except ImportError:
        return
    cv2.setNumThreads(0)


def batches(
    data: PreparedData, sampler: StreamSampler, *, workers: int, pin: bool
) -> Iterator[dict[str, Tensor]]:
    """Batches of tensors in the sampler's order.

    Raises:
        DataError: naming the sample that can't be read.
    """
    loader: DataLoader[Any] = DataLoader(
        _Samples(data),
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=pin,
        worker_init_fn=_quiet_worker if workers else None,
        # The loader draws a seed for its workers; never from the training's generator.
        generator=torch.Generator(),
    )
    for batch in loader:
        if isinstance(batch, GanzooError):
            raise batch
        yield batch
