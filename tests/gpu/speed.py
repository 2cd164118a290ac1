"""The paper's facades model beside a plain loop: time of a step, images a second, memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch

from ganzoo.engine.trainer import Trainer
from tests.benchmarks import plain
from tests.benchmarks.timing import ratio
from tests.gpu.loops import (
    allocated,
    in_turns,
    one_batch,
    papers_recipe,
    peak_mebibytes,
    trainer_of,
)
from tests.gpu.parts import Setup
from tests.gpu.report import Figure, NotPossibleError

AIM = 10.0
"""Milliseconds a step at batch 1; a published figure of the reference on a V100 is 40."""


@dataclass(frozen=True)
class Setting:
    """How the step is computed.

    Args:
        precision: of ganzoo's step. The plain loop's is bf16 by autocast, or fp32.
        channels_last: the memory order of images.
        tf32: for both loops, since it holds for the process.
        fused: whether Adam is fused, as ganzoo has it.
    """

    precision: str = "bf16"
    channels_last: bool = True
    tf32: bool = False
    fused: bool = True

    @property
    def name(self) -> str:
        """In words."""
        parts = [self.precision, "TF32" if self.tf32 else ""]
        parts.append("channels-last" if self.channels_last else "contiguous")
        parts.append("" if self.fused else "Adam not fused")
        return ", ".join(filter(None, parts))


BEST = Setting()
OTHERS = (
    Setting("fp32", channels_last=False),
    Setting("fp32", channels_last=False, tf32=True),
    Setting("fp32", tf32=True),
    Setting("bf16", channels_last=False),
    Setting("bf16", fused=False),
    Setting("fp16"),
)


def rows() -> Mapping[str, Callable[[Setup], Figure]]:
    """What matters most comes first: the time may be too short for all."""
    cases = [(1, BEST), (16, BEST), (64, BEST)]
    cases += [(1, setting) for setting in OTHERS]
    cases += [(size, OTHERS[0]) for size in (16, 64)]
    return {
        f"batch {size}, {setting.name}": partial(_measure, size, setting) for size, setting in cases
    }


def _measure(size: int, setting: Setting, setup: Setup) -> Figure:
    if setting.precision == "fp16" and setup.device == "cpu":
        message = "fp16 needs CUDA"
        raise NotPossibleError(message)
    if setup.small and size > 1:
        message = "a CPU is tried with single images"
        raise NotPossibleError(message)
    try:
        return _compared(size, setting, setup)
    except torch.cuda.OutOfMemoryError as error:
        message = "the device has too little memory for both loops"
        raise NotPossibleError(message) from error


def _compared(size: int, setting: Setting, setup: Setup) -> Figure:
    recipe = papers_recipe(
        setup,
        f"train.batch_size={size}",
        f"train.precision={setting.precision}",
        f"train.channels_last={str(setting.channels_last).lower()}",
        f"train.tf32={str(setting.tf32).lower()}",
    )
    before = allocated(setup.device)
    with trainer_of(recipe) as trainer:
        if not setting.fused:
            _unfuse(trainer)
        memory = {"ganzoo": peak_mebibytes(trainer.step, setup.device, before)}
        between = allocated(setup.device)
        networks = recipe.networks["generator"].options
        yardstick = plain.make_step(
            width=networks.width,
            depth=networks.depth,
            device=setup.device,
            bf16=setting.precision != "fp32",
        )
        shape = trainer.plan.io["generator"].input.shape
        batch = {name: one.to(setup.device) for name, one in one_batch(shape, size).items()}
        memory["plain"] = peak_mebibytes(lambda: yardstick(**batch), setup.device, between)
        spent = in_turns(
            {"ganzoo": trainer.step, "plain": lambda: yardstick(**batch)},
            setup.device,
            min(10.0, setup.seconds / 2),
            steps=3 if setup.small else max(5, 40 // size),
        )
    share = ratio(spent["ganzoo"], spent["plain"])
    rate = 1e3 * size / spent["ganzoo"].median
    text = f"{spent['ganzoo'].words('ms')} a step, {rate:.0f} images/s, {share:.2f} of plain"
    text += f" ({spent['plain'].words('ms')})"
    if memory["ganzoo"] is not None:
        text += f"; peak {memory['ganzoo']:.0f} MiB (plain {memory['plain']:.0f})"
    if size == 1 and setting == BEST and not setup.small:
        text += f"; aim {AIM:.0f} ms"
    values = {name: spread.document() for name, spread in spent.items()}
    return Figure(text, {**values, "images_per_second": rate, "ratio": share, "peak_MiB": memory})


def _unfuse(trainer: Trainer) -> None:
    for player, fused in list(trainer.stepper.optimizers.items()):
        group = fused.param_groups[0]
        settings = {key: group[key] for key in ("lr", "betas", "eps", "weight_decay")}
        trainer.stepper.optimizers[player] = torch.optim.Adam(group["params"], **settings)
