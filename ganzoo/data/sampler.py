"""Determine the order of training images.

The order is a pure function of (seed, epoch), so that a resume only needs the position. Training
reads an endless stream: the permutation of epoch 0, then that of epoch 1, and so on. A step takes
the next `batch_size * processes * accumulate` positions. So no image is omitted at the end of an
epoch, and the stream is the same for every number of processes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from ganzoo.data.rng import generator_for

Position = tuple[int, int]
"""The number of the pass over the data, and the index of the sample: (epoch, index)."""


def permutation(seed: int, epoch: int, length: int) -> np.ndarray:
    """Return the order of the images in one pass over the data."""
    return generator_for(seed, "order", epoch).permutation(length)


class StreamSampler(Sampler[list[Position]]):
    """Yield batches of positions for one process, from a position of the stream onwards.

    Args:
        length: the number of images in the data.
        batch_size: the number of images in a batch of one process.
        rank, world: the number of this process, and the number of processes. Each global batch is
            split into `world` consecutive parts, so that all parts together are the images that a
            single process would use.
        seed: the seed of the order.
        start, stop: the positions of the stream, counted over all processes, between which images
            are taken. Their difference is a multiple of the global batch.
    """

    def __init__(
        self,
        *,
        length: int,
        batch_size: int,
        rank: int,
        world: int,
        seed: int,
        start: int,
        stop: int,
    ) -> None:
        self.length = length
        self.batch_size = batch_size
        self.rank = rank
        self.world = world
        self.seed = seed
        self.start = start
        self.stop = stop

    def __len__(self) -> int:
        return max(0, self.stop - self.start) // (self.batch_size * self.world)

    def __iter__(self) -> Iterator[list[Position]]:
        epoch, order = -1, np.empty(0, dtype=np.int64)
        whole = self.batch_size * self.world
        for base in range(self.start, self.stop, whole):
            batch: list[Position] = []
            first = base + self.rank * self.batch_size
            for position in range(first, first + self.batch_size):
                now, place = divmod(position, self.length)
                if now != epoch:
                    epoch, order = now, permutation(self.seed, now, self.length)
                batch.append((epoch, int(order[place])))
            yield batch
