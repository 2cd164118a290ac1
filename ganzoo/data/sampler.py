"""The order of training images: a pure function of (seed, epoch), so a resume is a position.

Training reads an endless stream: the permutation of epoch 0, then of epoch 1, and so on. A step
takes the next `batch_size * processes * accumulate` positions, so no image is dropped at an epoch's
end and every process count reads the same stream.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from ganzoo.data.rng import generator_for

Position = tuple[int, int]
"""(epoch, index): which sample, and in which pass over the data."""


def permutation(seed: int, epoch: int, length: int) -> np.ndarray:
    """Order of the images in one pass."""
    return generator_for(seed, "order", epoch).permutation(length)


class StreamSampler(Sampler[list[Position]]):
    """Batches of positions for one process, from an image count onwards.

    Args:
        length: images in the data.
        batch_size: images in one batch of one process.
        rank, world: this process and the number of them; each global batch is cut into `world`
            consecutive parts, so that all parts joined are what one process would see.
        seed: of the order.
        start, stop: images of the stream, all processes together; multiples of the global batch.
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
