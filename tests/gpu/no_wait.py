"""No step waits for the device between two logs: CUDA itself raises where one does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from ganzoo.api import hookimpl
from ganzoo.data.pipeline import open_data
from ganzoo.engine.accelerate_session import Session, resolve
from ganzoo.engine.intervals import Limits
from ganzoo.engine.loop import Loop
from ganzoo.engine.run_view import Run
from ganzoo.engine.trainer import Trainer
from ganzoo.observers import Voice
from ganzoo.observers.defaults import default_observers
from tests.gpu.parts import Setup
from tests.gpu.report import Figure, NotPossibleError
from tests.narrow import narrow, shipped

LOG = 4


class Between:
    """Lets CUDA raise from one step's end to the next one's, unless that one logs."""

    def __init__(self) -> None:
        self.watched = 0

    @hookimpl(trylast=True)
    def ganzoo_step_done(self, step: int) -> None:
        """The step is over, and so are the hooks of others."""
        watch = (step + 1) % LOG != 0
        self.watched += watch
        torch.cuda.set_sync_debug_mode("error" if watch else "default")


def rows() -> Mapping[str, Callable[[Setup], Figure]]:
    """A row for each shipped recipe."""
    return {name: lambda setup, name=name: _recipe(name, setup) for name in shipped()}


def _recipe(name: str, setup: Setup) -> Figure:
    if setup.device != "cuda":
        message = "CUDA alone can tell; tests/test_no_host_sync.py is the counterpart for a CPU"
        raise NotPossibleError(message)
    settings = {"device": setup.device, "precision": "auto", "channels_last": "auto"}
    recipe = narrow(name, setup.folder, log=LOG, train=settings)
    session = Session(resolve(recipe.train), accumulate=recipe.train.accumulate)
    between = Between()
    try:
        trainer = Trainer(recipe, open_data(recipe, "train"), session)
        path = Path(setup.folder) / "no_wait" / name.replace("/", "_")
        path.mkdir(parents=True, exist_ok=True)
        run = Run(path, recipe, trainer, Voice(quiet=True))
        run.last_step = 2 * LOG + 1
        loop = Loop(run, Limits(steps=run.last_step), [*default_observers(run), between])
        loop._steps(())
        trainer.close()
    finally:
        torch.cuda.set_sync_debug_mode("default")
        session.close()
    return Figure(f"{between.watched} steps without a wait, {session.resolved.precision}")
