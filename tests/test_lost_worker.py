"""A loader's worker that the system ends, as it does where memory is short: said in words."""

import multiprocessing
import os
import re
import signal

import pytest

from ganzoo.api import hookimpl
from ganzoo.data.loader import lost_worker
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.errors import EnvironmentFault
from ganzoo.observers import Voice
from ganzoo.recipe import load_recipe


class Watch:
    """Kills a worker after the second step, if so told."""

    def __init__(self, kills):
        self.kills = kills
        self.outcome = None

    @hookimpl
    def ganzoo_step_done(self, step):
        if step == 2:
            workers = multiprocessing.active_children()
            assert len(workers) == 2
            if self.kills:
                os.kill(workers[0].pid, signal.SIGKILL)

    @hookimpl
    def ganzoo_run_done(self, outcome):
        self.outcome = outcome


def train(tiny, out, watch):
    recipe = load_recipe(tiny, ["train.workers=2"])
    voice = Voice(quiet=True)
    return run(recipe, out=out, limits=Limits(6), voice=voice, observers=[watch])


def test_a_worker_that_was_killed_ends_the_run_in_words(tiny, tmp_path):
    watch = Watch(kills=True)
    result = train(tiny, tmp_path / "run", watch)
    assert isinstance(result.error, EnvironmentFault)
    assert re.search("killed by signal|exited unexpectedly", result.error.message)  # torch's words
    assert "train.workers" in result.error.hint
    assert result.outcome == watch.outcome == "failed"
    # The other one is over too: Python would wait for it at its end, and it heeds no signal.
    assert not multiprocessing.active_children()
    unhurt = train(tiny, tmp_path / "unhurt", Watch(kills=False))  # negative control
    assert unhurt.error is None


class Breaks(Watch):
    """Fails by itself."""

    @hookimpl
    def ganzoo_step_done(self, step):
        message = "not a worker's"
        raise RuntimeError(message)


def test_other_errors_of_a_run_are_themselves(tiny, tmp_path):
    assert lost_worker(RuntimeError("CUDA error: DataLoader worker (pid 1)")) is None
    watch = Breaks(kills=False)
    with pytest.raises(RuntimeError, match="not a worker's") as caught:
        train(tiny, tmp_path / "run", watch)
    assert watch.outcome == "failed"
    assert not multiprocessing.active_children()  # though the error's frames live
    assert caught.value.__traceback__
