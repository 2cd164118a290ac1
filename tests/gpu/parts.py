"""The parts of the GPU check in their order, and what each row is given."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.gpu.report import Figure


@dataclass(frozen=True)
class Setup:
    """What a row may use.

    Args:
        device: `cuda`, or `cpu` to try the check's own logic with small networks.
        seconds: how long the row may take before it is stopped.
        folder: shared by all parts; the training's run directory is in it.
    """

    device: str
    seconds: float
    folder: Path

    @property
    def small(self) -> bool:
        """Whether to take small networks and few steps."""
        return self.device == "cpu"


@dataclass(frozen=True)
class Part:
    """A module with a function `rows()` that gives functions of a `Setup`, by the row's name.

    Args:
        name: what the rows have in their first column.
        module: its dotted name.
        weight: the part's share of the time: seconds of the full six minutes. What a part leaves
            over is shared by those after it.
    """

    name: str
    module: str
    weight: float

    def rows(self) -> Mapping[str, Callable[[Setup], Figure]]:
        """The rows in their order."""
        found: Mapping[str, Callable[[Setup], Figure]] = importlib.import_module(self.module).rows()
        return found


PARTS = (
    Part("three steps", "tests.gpu.three_steps", 70),
    Part("exact resume", "tests.gpu.exact_resume", 30),
    Part("no wait for the device", "tests.gpu.no_wait", 30),
    Part("speed", "tests.gpu.speed", 75),
    Part("training", "tests.gpu.training", 65),
    Part("use", "tests.gpu.use", 25),
    Part("two processes", "tests.gpu.two_processes", 30),
    Part("torch.compile", "tests.gpu.compiled", 35),
)
