"""Two processes: equal weights on both, and those of one process on the joined batch.

On one GPU they share it by gloo; NCCL takes over where there are two. `main` is one of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed

from ganzoo.data.pipeline import open_data
from ganzoo.engine.accelerate_session import Session, resolve
from ganzoo.engine.trainer import Trainer
from tests.gpu.loops import papers_recipe
from tests.gpu.parts import Setup
from tests.gpu.report import Figure

STEPS = 3
NEAR = 1e-4
"""How far weights may be from those of one process: fp32 sums in another order."""
SETS = (
    # What draws, or takes means over a batch, differs between one process and two.
    *("generator.norm=instance", "discriminator.norm=instance", "generator.dropout=0"),
    *("generator.width=8", "discriminator.width=8", "augment=[]", "data.train=20"),
    # SGD: Adam's first step is as long for a gradient of rounding errors as for any other.
    *("train.precision=fp32", "optimizer.name=sgd", "optimizer.lr=0.001", "train.workers=0"),
)


def rows() -> Mapping[str, Callable[[Setup], Figure]]:
    """One row."""
    return {"equal weights, and those of one process": _compare}


def _compare(setup: Setup) -> Figure:
    folder = setup.folder / "two_processes"
    folder.mkdir(exist_ok=True)
    backend = "nccl" if setup.device == "cuda" and torch.cuda.device_count() > 1 else "gloo"
    _both(setup, folder, backend)
    first, second = (load_file(folder / f"rank{rank}.safetensors") for rank in range(2))
    one, half = _train(setup, batch=2), _train(setup, batch=1)
    between, joined, control = _worst(first, second), _worst(first, one), _worst(half, one)
    text = (
        f"{backend}: ranks differ by {between:g}, from one process by {joined:.1e}"
        f" (one process that sees half of each batch: {control:.1e})"
    )
    faults = []
    if between != 0:
        faults.append("the ranks' weights differ")
    if not joined <= NEAR:
        faults.append(f"more than {NEAR:g} from one process")
    if not control > 10 * NEAR:
        faults.append("the control is too near for this to show anything")
    values = {"between": between, "joined": joined, "control": control}
    return Figure(text, values, "; ".join(faults))


def _both(setup: Setup, folder: Path, backend: str) -> None:
    order = {"device": setup.device, "folder": str(folder), "backend": backend}
    (folder / "store").unlink(missing_ok=True)
    children = []
    for rank in range(2):
        # Processes that share a GPU are both the first of theirs.
        local = rank if backend == "nccl" else 0
        place = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": local, "LOCAL_WORLD_SIZE": 2}
        environment = {**os.environ, **{name: str(value) for name, value in place.items()}}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29555"}  # Accelerate asks
        children.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.gpu.two_processes", json.dumps(order)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    said = [child.communicate()[0] for child in children]
    for child, text in zip(children, said, strict=True):
        if child.returncode:
            last = text.strip().splitlines()[-1:] or ["it said nothing"]
            message = f"a process ended with {child.returncode}: {last[0]}"
            raise RuntimeError(message)


def _train(setup: Setup, batch: int) -> dict[str, Tensor]:
    recipe = papers_recipe(setup, *SETS, f"train.batch_size={batch}")
    session = Session(resolve(recipe.train), accumulate=1)
    try:
        trainer = Trainer(recipe, open_data(recipe, "train"), session)
        for _ in range(STEPS):
            trainer.step()
        trainer.check_finite()
        return {
            f"{role}.{name}": tensor.detach().cpu().contiguous().clone()
            for role, net in trainer.nets.items()
            for name, tensor in net.state_dict().items()
        }
    finally:
        session.close()


def _worst(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> float:
    return max((one[name].double() - two[name].double()).abs().max().item() for name in two)


def main(order: Mapping[str, Any]) -> None:
    """Be one of the two."""
    folder, rank = Path(order["folder"]), int(os.environ["RANK"])
    store = f"file://{folder / 'store'}"
    if order["backend"] == "nccl":
        torch.cuda.set_device(rank)
    # Before Accelerate would, which takes NCCL for a GPU; NCCL refuses two processes on one.
    distributed.init_process_group(order["backend"], init_method=store, rank=rank, world_size=2)
    weights = _train(Setup(order["device"], 0.0, folder), batch=1)
    save_file(weights, folder / f"rank{rank}.safetensors")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # torch with gloo aborts at interpreter exit now and then
