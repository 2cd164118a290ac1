"""`train.compile`: how long it takes to warm up, milliseconds a step, and the same losses."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

from tests.gpu.loops import first_losses, furthest, in_turns, papers_recipe, trainer_of
from tests.gpu.parts import Setup
from tests.gpu.report import Figure, NotPossibleError

NEAR = 1e-3
"""How far losses of three steps in fp32 may be from those without it: other sums, same maths."""
AIM = {"reduce-overhead": 5.0}
"""Milliseconds a step of the paper's model at batch 1 with CUDA graphs."""


def rows() -> Mapping[str, Callable[[Setup], Figure]]:
    """A row for each mode, and the speed without it."""
    return {
        "compile = default": partial(_compiled, "default"),
        "compile = reduce-overhead (CUDA graphs)": partial(_compiled, "reduce-overhead"),
    }


def _compiled(mode: str, setup: Setup) -> Figure:
    if setup.device == "cpu":
        message = "CUDA alone is asked; tests/test_compiled.py compiles for a CPU"
        raise NotPossibleError(message)
    exact = ("generator.dropout=0", "train.precision=fp32")  # other kernels drop other values
    compiled = first_losses(papers_recipe(setup, *exact, f"train.compile={mode}"), 3)
    apart = furthest(compiled, first_losses(papers_recipe(setup, *exact), 3))
    fault = "" if apart <= NEAR else f"losses differ by {apart:.1e}, more than {NEAR:g}"
    with trainer_of(papers_recipe(setup, f"train.compile={mode}")) as trainer:
        began = time.monotonic()
        for _ in range(3):
            trainer.step()
        trainer.stepper.logs()
        warm = time.monotonic() - began
        spent = in_turns({mode: trainer.step}, setup.device, setup.seconds / 8, steps=20)[mode]
    aim = f"; aim {AIM[mode]:.0f} ms" if mode in AIM else ""
    text = f"{spent.words('ms')} a step at batch 1, the first three in {warm:.0f} s{aim}"
    text += f"; fp32 losses within {apart:.1e}"
    return Figure(text, {**spent.document(), "warm_seconds": warm, "apart": apart}, fault)
