"""The training loader: the stream of `sampler`, decoded in this process or in workers.

What a batch holds depends on (seed, epoch, index) alone, so 0, 1 or 8 workers give the same bits.
"""

from __future__ import annotations

import traceback
from collections.abc import Generator, Sequence
from multiprocessing import active_children
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from ganzoo.data.pipeline import PreparedData
from ganzoo.data.sample_cache import SampleCache, open_cache
from ganzoo.data.sampler import Position, StreamSampler
from ganzoo.errors import EnvironmentFault, GanzooError
from ganzoo.plugin_system.blame import culprit, left_by
from ganzoo.process.memory import shortage
from ganzoo.process.signals import left_to_parent


class _Batches(Dataset[Any]):
    """Batches by positions; an error is a value, so that no worker wraps it in a traceback."""

    def __init__(self, data: PreparedData, cache: SampleCache | None) -> None:
        self.data = data
        self.cache = cache

    def __getitem__(self, positions: Sequence[Position]) -> dict[str, Tensor] | Exception:
        try:
            return self.data.batch(positions, self.cache)
        except GanzooError as error:
            return error
        except SystemExit as left:
            return left_by(left)
        except Exception as error:
            if get_worker_info() is None:
                raise
            if short := shortage(error):
                return EnvironmentFault(
                    f"a process that loads data: {short}",
                    hint="Set train.workers lower, or use smaller images.",
                )
            # As a value too: an error of the loader's own keeps it alive, and with it workers that
            # heed no signal, so that the process would never end.
            told = RuntimeError(f"in a loader worker:\n{traceback.format_exc()}")
            told.culprit = culprit(error)  # type: ignore[attr-defined]  # read by `culprit` again
            return told


def _as_it_is(batch: Any) -> Any:
    return batch


def _begin_worker(_: int) -> None:
    # Ctrl-C reaches the whole process group, and so do a scheduler's signals; the main process
    # finishes its step with our batches, then ends us.
    left_to_parent()
    worker: Any = get_worker_info()
    if worker.dataset.cache:
        worker.dataset.cache.take_part(worker.id, worker.num_workers)
    try:
        import cv2
    except ImportError:
        return
    cv2.setNumThreads(0)


def batches(
    data: PreparedData, sampler: StreamSampler, *, workers: int, pin: bool
) -> Generator[dict[str, Tensor]]:
    """Batches of tensors in the sampler's order.

    Raises:
        DataError: naming the sample that can't be read.
    """
    cache = open_cache(len(data), data.cache_mb)
    loader: DataLoader[Any] = DataLoader(
        _Batches(data, cache),
        # Without a batch size the loader asks for what the sampler gives: a whole batch at once.
        batch_size=None,
        sampler=sampler,
        num_workers=workers,
        collate_fn=_as_it_is,
        pin_memory=pin,
        worker_init_fn=_begin_worker if workers else None,
        # The loader draws a seed for its workers; never from the training's generator.
        generator=torch.Generator(),
    )
    others = set(active_children())
    stream = iter(loader)
    mine = set(active_children()) - others
    try:
        for batch in stream:
            if isinstance(batch, Exception):
                raise batch
            yield batch
    finally:
        del stream  # the loader asks its workers to end, and waits for a while
        for worker in mine:
            if worker.is_alive():  # it hangs, and Python would wait for it at its end
                worker.kill()
        if cache:
            cache.close()


def lost_worker(error: RuntimeError) -> EnvironmentFault | None:
    """What it means that torch found a worker dead, which it says at any moment of the training."""
    if not str(error).startswith("DataLoader worker (pid"):
        return None
    return EnvironmentFault(
        f"a process that loads data has ended: {str(error).strip()}",
        hint="Systems kill processes where memory is short: free some, or set train.workers lower "
        "(0: no such processes). Then go on with --resume, if there is a checkpoint.",
    )
