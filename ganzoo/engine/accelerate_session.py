"""One process's share of the machine: device, precision, threads and ranks, through Accelerate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from accelerate.utils import DistributedDataParallelKwargs, GradientAccumulationPlugin
from pydantic import Field, NonNegativeInt, PositiveInt

from ganzoo.engine.memory_allocator import keep_freed_memory
from ganzoo.engine.ranks import meet, place
from ganzoo.nn.device_and_precision import Precision, pick_device, pick_precision, set_fp32
from ganzoo.process.cpu_cores import auto_threads, cores
from ganzoo.recipe.model import Train

_AUTOCAST = {"fp64": "no", "fp32": "no", "bf16": "bf16", "fp16": "fp16"}


@dataclass(frozen=True)
class Resolved:
    """What `auto` became, once; stored with the run and used again by a resume."""

    device: str
    precision: Precision
    threads: Annotated[int, Field(ge=1, le=4096)]
    ranks: PositiveInt
    workers: NonNegativeInt
    channels_last: bool
    tf32: bool = False  # this and the next: not in runs from before there was a choice
    compile: str = "off"

    def differences(self, other: Resolved) -> list[str]:
        """What `other` has that differs and makes other bits, in words (workers make none)."""
        mine, theirs = asdict(self), asdict(other)
        return [
            f"{key} {mine[key]} -> {theirs[key]}"
            for key in mine
            if mine[key] != theirs[key] and key != "workers"
        ]


def resolve(train: Train, stored: Resolved | None = None) -> Resolved:
    """Settle every `auto` of `[train]` on this machine.

    Args:
        train: the recipe's table.
        stored: what an earlier part of the same run used; `auto` then keeps it where it can.

    Raises:
        EnvironmentFault: when the device is missing or can't do the precision, or the environment
            names no place among processes that can be meant.
    """
    processes = place()
    device = pick_device(train.device)
    same = stored if stored is not None and stored.device == device else None
    kept = same.precision if same is not None else None
    precision = pick_precision(train.precision, device, auto=kept)
    if train.threads != "auto":
        threads = train.threads
    elif same is not None:
        threads = same.threads
    else:
        threads = auto_threads(processes.local_world)
    if train.workers != "auto":
        workers = train.workers
    else:
        workers = 0 if device == "cpu" else min(4, cores())
    channels_last = train.channels_last
    if channels_last == "auto":
        channels_last = device == "cuda" and precision in ("fp16", "bf16")
    return Resolved(
        device=device,
        precision=precision,
        threads=threads,
        ranks=processes.world,
        workers=workers,
        channels_last=channels_last,
        tf32=train.tf32,
        compile=train.compile,
    )


class Session:
    """Accelerate's state for one run in this process; `close()` lets another one start.

    Args:
        resolved: device, precision and the rest, settled.
        accumulate: batches per optimisation step.
    """

    def __init__(self, resolved: Resolved, *, accumulate: int) -> None:
        self.resolved = resolved
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(resolved.threads)
        self.memory_kept = resolved.device == "cpu" and keep_freed_memory()
        """Whether what a step frees stays with the process."""
        self._fp32_before = set_fp32("tf32" if resolved.tf32 else "ieee")
        meet(resolved.device)
        self.accelerator = Accelerator(
            cpu=resolved.device == "cpu",
            mixed_precision=_AUTOCAST[resolved.precision],
            # Passed as a plugin: a plain number is overruled by the environment that
            # `accelerate launch` sets. Our loader isn't Accelerate's, so its end means nothing.
            gradient_accumulation_plugin=GradientAccumulationPlugin(
                num_steps=accumulate, adjust_scheduler=False, sync_with_dataloader=False
            ),
            # Batch-norm statistics differ between ranks and are averaged for a checkpoint;
            # broadcasting them would change tensors that a second forward still needs. Gradients
            # that lie in the buckets they are summed in need no copy out of them, nor its memory.
            kwargs_handlers=[
                DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True)
            ],
            step_scheduler_with_optimizer=False,
        )
        self.device = self.accelerator.device
        self.dtype = torch.float64 if resolved.precision == "fp64" else torch.float32

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        return int(self.accelerator.process_index)

    @property
    def world(self) -> int:
        """Number of processes."""
        return int(self.accelerator.num_processes)

    @property
    def main(self) -> bool:
        """Whether this process writes files and speaks."""
        return bool(self.accelerator.is_main_process)

    def share(self, value: Any) -> Any:
        """The main process's value, in every process (small and picklable; not for disk)."""
        if self.world == 1:
            return value
        box = [value]
        torch.distributed.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        """Every process's value, in the order of ranks."""
        if self.world == 1:
            return [value]
        box: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(box, value)
        return box

    def mean(self, tensor: torch.Tensor) -> torch.Tensor:
        """Mean of a tensor over all processes."""
        if self.world == 1:
            return tensor
        total = tensor.clone()
        torch.distributed.all_reduce(total)
        return total / self.world

    def any(self, flag: bool) -> bool:  # noqa: FBT001  # one value, as of torch's any
        """Whether any process says so."""
        if self.world == 1:
            return flag
        votes = torch.tensor(int(flag), device=self.device)
        torch.distributed.all_reduce(votes, op=torch.distributed.ReduceOp.MAX)
        return bool(votes.item())

    def move(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """A batch on the device, in the run's dtype and memory order.

        The loader pins what goes to a GPU, so that the copy only joins the device's queue: as long
        as no step waits for the device, the host is ahead and the next batch's copy is queued while
        this step is computed. Not run on a GPU yet. A stream of its own would hide the copy itself
        (1.6 MB for a pair of 256 x 256, some 0.1 ms), at the price of synchronising both.
        """
        moved = {}
        for name, tensor in batch.items():
            value = tensor.to(self.device, non_blocking=True)
            if value.is_floating_point():
                value = value.to(self.dtype)
            if self.resolved.channels_last and value.ndim == 4:
                value = value.contiguous(memory_format=torch.channels_last)
            moved[name] = value
        return moved

    def close(self) -> None:
        """Forget Accelerate's process-wide state, so that the next run may differ."""
        torch.set_num_threads(self._threads_before)
        set_fp32(*self._fp32_before)
        if self.world == 1:
            AcceleratorState._reset_state()  # noqa: SLF001  # accelerate offers no public reset
            GradientState._reset_state()  # noqa: SLF001
            PartialState._reset_state()  # noqa: SLF001
