"""Load training batches in the order of `sampler`, in this process or in worker processes.

A sample depends only on (seed, epoch, index), so that any number of workers gives the same batches,
bit for bit.
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

_SECONDS_TO_END = 5
"""Seconds that a killed worker may take to end. It takes longer only if a disk does not answer."""


class _Batches(Dataset[Any]):
    """Return batches by positions.

    Errors are returned and not raised, so that a worker doesn't wrap them in a traceback.
    """

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
            # This error is returned too. If it were raised, it would keep the loader alive, and
            # with it the workers, which ignore signals, so that the process would never end.
            told = RuntimeError(f"in a loader worker:\n{traceback.format_exc()}")
            told.culprit = culprit(error)  # type: ignore[attr-defined]  # read by `culprit` again
            return told


def _as_it_is(batch: Any) -> Any:
    return batch


def _begin_worker(_: int) -> None:
    # Ctrl-C and a scheduler's signals reach the whole process group. The workers ignore them: the
    # main process finishes its step with their batches, and then ends them.
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
    """Yield batches of tensors in the sampler's order.

    Raises:
        DataError: when a sample can't be read; the error names it.
    """
    cache = open_cache(len(data), data.cache_mb)
    loader: DataLoader[Any] = DataLoader(
        _Batches(data, cache),
        # Without a batch size, the loader requests all positions of a batch at once.
        batch_size=None,
        sampler=sampler,
        num_workers=workers,
        collate_fn=_as_it_is,
        pin_memory=pin,
        worker_init_fn=_begin_worker if workers else None,
        # The loader draws a seed for its workers, and must not use the training's generator.
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
        del stream  # the loader asks its workers to end, and waits for some time
        for worker in mine:
            if worker.is_alive():  # it doesn't respond, and Python would wait for it at its exit
                worker.kill()
                worker.join(_SECONDS_TO_END)  # it is among the active children until then
        if cache:
            cache.close()


def lost_worker(error: RuntimeError) -> EnvironmentFault | None:
    """Return the error for a worker process that has ended; None for other errors.

    Torch raises its RuntimeError at any moment of the training.
    """
    if not str(error).startswith("DataLoader worker (pid"):
        return None
    return EnvironmentFault(
        f"a process that loads data has ended: {str(error).strip()}",
        hint="The system ends processes if there is too little memory: free some memory, or set "
        "train.workers lower (0: no such processes). Then continue with --resume, if there is a "
        "checkpoint.",
    )
