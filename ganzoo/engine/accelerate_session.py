"""Set up device, precision, threads and ranks for one process, through Accelerate."""

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
    """The settings that a run uses in place of `auto`.

    They are determined once, stored with the run, and used again by a resume.
    """

    device: str
    precision: Precision
    threads: Annotated[int, Field(ge=1, le=4096)]
    ranks: PositiveInt
    workers: NonNegativeInt
    channels_last: bool
    tf32: bool = False  # runs of older versions have neither this field nor the next one
    compile: str = "off"

    def differences(self, other: Resolved) -> list[str]:
        """Return the settings of `other` that differ and that change the results, as text.

        The number of loader workers doesn't change the results, so it is left out.
        """
        mine, theirs = asdict(self), asdict(other)
        return [
            f"{key} {mine[key]} -> {theirs[key]}"
            for key in mine
            if mine[key] != theirs[key] and key != "workers"
        ]


def resolve(train: Train, stored: Resolved | None = None) -> Resolved:
    """Replace every `auto` of `[train]` by a value for this machine.

    Args:
        train: the recipe's table.
        stored: the settings of an earlier part of the same run. `auto` keeps their precision and
            threads where the device is the same.

    Raises:
        EnvironmentFault: when the device is missing or doesn't support the precision, or when the
            environment variables about ranks are invalid.
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
    """Accelerate's state for one run in this process.

    Another run can start in the same process after `close()`.

    Args:
        resolved: device, precision and the other settings, without `auto`.
        accumulate: number of batches per optimisation step.
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
            # The number is passed as a plugin, because the environment that `accelerate launch`
            # sets would override a plain number. Accelerate doesn't know our loader, so it can't
            # synchronise at the end of the data.
            gradient_accumulation_plugin=GradientAccumulationPlugin(
                num_steps=accumulate, adjust_scheduler=False, sync_with_dataloader=False
            ),
            # Batch-norm statistics differ between ranks and are averaged for a checkpoint. A
            # broadcast would change tensors that a second forward pass still needs. Gradients
            # that are views of DDP's buckets need no copy, and no memory for one.
            kwargs_handlers=[
                DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True)
            ],
            step_scheduler_with_optimizer=False,
        )
        self.device = self.accelerator.device
        self.dtype = torch.float64 if resolved.precision == "fp64" else torch.float32

    @property
    def rank(self) -> int:
        """Return the number of this process, counted from 0."""
        return int(self.accelerator.process_index)

    @property
    def world(self) -> int:
        """Return the number of processes."""
        return int(self.accelerator.num_processes)

    @property
    def main(self) -> bool:
        """Return whether this process writes files and prints messages."""
        return bool(self.accelerator.is_main_process)

    def share(self, value: Any) -> Any:
        """Return the main process's value in every process.

        The value must be small and picklable; it is not meant for files.
        """
        if self.world == 1:
            return value
        box = [value]
        torch.distributed.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        """Return every process's value, in the order of ranks."""
        if self.world == 1:
            return [value]
        box: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(box, value)
        return box

    def mean(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the mean of a tensor over all processes."""
        if self.world == 1:
            return tensor
        total = tensor.clone()
        torch.distributed.all_reduce(total)
        return total / self.world

    def joined(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the samples of all processes along the first axis, in the order of ranks.

        The shape must be the same in every process. This doesn't wait for the device.
        """
        if self.world == 1:
            return tensor
        parts = [torch.empty_like(tensor) for _ in range(self.world)]
        torch.distributed.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    def any(self, flag: bool) -> bool:  # noqa: FBT001  # one value, as of torch's any
        """Return whether the flag is set in any process."""
        if self.world == 1:
            return flag
        votes = torch.tensor(int(flag), device=self.device)
        torch.distributed.all_reduce(votes, op=torch.distributed.ReduceOp.MAX)
        return bool(votes.item())

    def move(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return a batch on the device, in the run's dtype and memory format.

        The loader pins the memory of batches for a GPU, so that the copy only enters the device's
        queue. As long as no step waits for the device, the next batch's copy is queued while this
        step is computed. This has not been tried on a GPU yet. A separate CUDA stream would
        hide the copy itself (1.6 MB for a pair of 256 x 256 images, about 0.1 ms), but both
        streams would have to be synchronised.
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
        """Reset Accelerate's process-wide state, so that the next run may use other settings."""
        torch.set_num_threads(self._threads_before)
        set_fp32(*self._fp32_before)
        if self.world == 1:
            AcceleratorState._reset_state()  # noqa: SLF001  # accelerate offers no public reset
            GradientState._reset_state()  # noqa: SLF001
            PartialState._reset_state()  # noqa: SLF001
