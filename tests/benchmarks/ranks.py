"""Two processes with a batch of one each, beside a hand-written DDP loop of the same step.

python -m tests.benchmarks.ranks [--rounds N] [--steps N] [--precisions fp32 bf16] [--json]

The paper's facades model on two cores, one thread a process, gradients averaged over gloo. The goal
is at most 1.05 times the plain loop's time. Both live in the same two processes and take turns of
some steps, begun together; ganzoo's are those of `ganzoo run --processes 2`, its loop's clocks and
hooks included, and both read their own data. Afterwards each loop's weights must be the same in
both processes. One process with two threads and a batch of two is measured beside it and not
judged, and neither is what moving the gradients takes alone.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.facades import depth_of, plain_batches, prepare
from tests.benchmarks.timing import Spread, alternate, arguments, ratio, show

if TYPE_CHECKING:
    from torch import nn

GOAL = 1.05


def ganzoo_steps(
    settings: dict[str, Any], folder: Path
) -> tuple[Callable[[], object], list[nn.Module]]:
    """Ganzoo's loop over some steps, as `engine.run.run` puts it together, and its networks."""
    from ganzoo.data.pipeline import open_data
    from ganzoo.engine.accelerate_session import Session, resolve
    from ganzoo.engine.intervals import Limits
    from ganzoo.engine.loop import Loop
    from ganzoo.engine.run_view import Run
    from ganzoo.engine.trainer import Trainer
    from ganzoo.observers import Voice
    from ganzoo.process.signals import StopFlag
    from ganzoo.recipe import loads

    recipe = loads(settings["recipe"].format(precision=settings["precision"]))
    data = open_data(recipe, "train")
    session = Session(resolve(recipe.train), accumulate=recipe.train.accumulate)
    trainer = Trainer(recipe, data, session)
    this = Run(folder, recipe, trainer, Voice(quiet=True))
    loop = Loop(this, Limits(), None)

    def steps() -> None:
        this.last_step = trainer.steps + settings["steps"]
        loop._steps(StopFlag())

    return steps, list(trainer.nets.values())


def plain_steps(settings: dict[str, Any]) -> tuple[Callable[[], object], list[nn.Module]]:
    """The plain loop over some steps, with DDP where there are several processes."""
    import torch
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    from tests.benchmarks.plain import PlainPatchGAN, PlainStep, PlainUNet, draw_weights

    torch.manual_seed(0)
    nets = [
        draw_weights(PlainUNet(settings["width"], depth_of(settings["size"]))),
        draw_weights(PlainPatchGAN(settings["width"])),
    ]
    if distributed.is_initialized():
        torch.manual_seed(1 + distributed.get_rank())
        # Broadcast statistics would change what the discriminator's first forward still needs.
        nets = [DistributedDataParallel(net, broadcast_buffers=False) for net in nets]
    step = PlainStep(nets[0], nets[1], bf16=settings["precision"] == "bf16")
    batches = plain_batches(Path(settings["root"]) / "train", settings["size"], settings["batch"])

    def steps() -> None:
        for _ in range(settings["steps"]):
            step(*next(batches))

    return steps, nets


def together(call: Callable[[], object]) -> Callable[[], object]:
    """A call that all processes begin and end together."""
    from torch import distributed

    def both() -> None:
        if distributed.is_initialized():
            distributed.barrier()
        call()
        if distributed.is_initialized():
            distributed.barrier()

    return both


def agree(nets: list[nn.Module]) -> bool:
    """Whether all weights are the same in all processes."""
    import torch
    from torch import distributed

    if not distributed.is_initialized():
        return True
    mine = torch.stack([p.detach().double().sum() for net in nets for p in net.parameters()])
    lowest, highest = mine.clone(), mine.clone()
    distributed.all_reduce(lowest, op=distributed.ReduceOp.MIN)
    distributed.all_reduce(highest, op=distributed.ReduceOp.MAX)
    return torch.equal(lowest, highest)


def reduction(nets: list[nn.Module], rounds: int) -> list[float]:
    """Seconds of summing all gradients over the processes, in pieces of DDP's 25 MB."""
    import torch
    from torch import distributed

    count = sum(p.numel() for net in nets for p in net.parameters())
    pieces = torch.zeros(count).split(25 * 1024 * 1024 // 4)
    seconds = []
    for _ in range(rounds):
        distributed.barrier()
        began = time.perf_counter()
        for piece in pieces:
            distributed.all_reduce(piece)
        seconds.append(time.perf_counter() - began)
    return seconds


def child(settings: dict[str, Any]) -> dict[str, Any]:
    """Seconds a step of both loops in this process, one of `world`."""
    from torch import distributed

    with tempfile.TemporaryDirectory() as folder:
        ours, our_nets = ganzoo_steps(settings, Path(folder))  # its session opens the group
        plain, plain_nets = plain_steps(settings)
        contenders = {"ganzoo": together(ours), "plain": together(plain)}
        seconds = alternate(contenders, settings["rounds"], warm=1)
        found: dict[str, Any] = {name: one.document() for name, one in seconds.items()}
        for name, nets in {"ganzoo": our_nets, "plain": plain_nets}.items():
            if not agree(nets):
                raise SystemExit(f"{name}: the processes' weights differ")
        if distributed.is_initialized():
            found["reduction"] = Spread.of(reduction(our_nets, 5)).document()
    return found


def launch(settings: dict[str, Any], ranks: int) -> dict[str, Spread]:
    """Seconds a step of both loops with so many processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tests.benchmarks.ranks", "--child", json.dumps(settings)]
    children = []
    for rank in range(ranks):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks}
        group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        # As torchrun sets it: a process's own share of the cores.
        threads = str(max(1, len(os.sched_getaffinity(0)) // ranks))
        environment = {**os.environ, **group, "OMP_NUM_THREADS": threads}
        if ranks > 1:
            environment |= {key: str(value) for key, value in place.items()}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        children.append(subprocess.Popen(command, env=environment, **pipes))  # type: ignore[call-overload]
    told = [one.communicate() for one in children]
    if any(one.returncode for one in children):
        raise SystemExit("\n".join(errors for _, errors in told))
    found = json.loads(told[0][0].splitlines()[-1])
    steps = {"ganzoo": settings["steps"], "plain": settings["steps"], "reduction": 1}
    return {
        name: Spread(
            *(one[key] / steps[name] for key in ("median", "lowest", "highest")), one["count"]
        )
        for name, one in found.items()
    }


def main() -> None:
    """Measure, and print the figures."""
    flags: list[tuple[str, dict[str, Any]]] = [
        ("--steps", {"type": int, "default": 2, "help": "steps of a turn (2)"}),
        ("--size", {"type": int, "default": 256, "help": "pixels of an image's side"}),
        ("--width", {"type": int, "default": 64}),
        ("--precisions", {"nargs": "+", "default": ["fp32", "bf16"], "choices": ["fp32", "bf16"]}),
        ("--no-single", {"action": "store_true", "help": "leave out the single process"}),
        ("--child", {"metavar": "SETTINGS", "help": "measure in this process, as one of several"}),
    ]
    asked = arguments(__doc__, rounds=5, extra=flags)
    if asked.child is not None:
        print(json.dumps(child(json.loads(asked.child))), flush=True)
        os._exit(0)  # torch 2.14 with gloo aborts at interpreter exit now and then
    document: dict[str, Any] = {"goal": GOAL, "size": asked.size, "width": asked.width}
    lines: list[str] = []
    for precision in asked.precisions:
        found: dict[str, Any] = {}
        for ranks in (2,) if asked.no_single else (2, 1):
            with tempfile.TemporaryDirectory() as folder:
                settings = prepare(
                    Path(folder), size=asked.size, width=asked.width, batch=2 // ranks
                )
                more = {"precision": precision, "steps": asked.steps, "rounds": asked.rounds}
                seconds = launch({**settings, **more}, ranks)
            name = "two processes" if ranks == 2 else "one process"
            share = ratio(seconds["ganzoo"], seconds["plain"])
            found[name] = {
                "seconds": {who: one.document() for who, one in seconds.items()},
                "ratio": share,
            }
            lines.append(f"{precision}, {name}: ganzoo {share:.3f} of plain")
            lines += [f"  {who:10} {one.words('ms', 1000)}" for who, one in seconds.items()]
        if len(found) == 2:
            found["two to one"] = {
                who: found["two processes"]["seconds"][who]["median"]
                / found["one process"]["seconds"][who]["median"]
                for who in ("ganzoo", "plain")
            }
            both = ", ".join(f"{who} {value:.2f}" for who, value in found["two to one"].items())
            lines.append(f"{precision}, two processes to one: {both}")
        document[precision] = found
    show(document, lines, as_json=asked.json)


if __name__ == "__main__":
    main()
