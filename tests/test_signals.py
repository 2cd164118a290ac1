"""Signals that ask a run to end: a checkpoint and 130, or at once where it is asked twice."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from ganzoo.api import hookimpl
from ganzoo.cli.main import main
from ganzoo.engine.run import run
from ganzoo.errors import ExitCode
from ganzoo.observers import Voice
from ganzoo.plugin_system import registry
from ganzoo.process.signals import HEEDED, TOGETHER, handled
from ganzoo.recipe import load_recipe
from tests.faults.forks import Child, warm

PLUGIN = '''
"""Components that never end."""

import time
from pathlib import Path

from ganzoo.api import Options, component, hookimpl


class Choices(Options):
    in_a_worker: bool = False


@component("data", Choices)
def data():
    return Data


@component("callback")
def callback():
    return Callback


class Data:
    def __init__(self, options, split):
        from ganzoo_facades.procedural import ProceduralFacades
        from ganzoo_facades.options import ProceduralFacadesOptions

        self.real = ProceduralFacades(ProceduralFacadesOptions(size=32, train=7, val=3), split)
        self.fields = self.real.fields
        self.in_a_worker = options.in_a_worker

    def __len__(self):
        return len(self.real)

    def name(self, index):
        return self.real.name(index)

    def load(self, index, rng):
        from torch.utils.data import get_worker_info

        # What is looked at before the training begins is loaded in the main process.
        while not self.in_a_worker or get_worker_info() is not None:
            Path("hangs").touch()
            time.sleep(0.01)
        return self.real.load(index, rng)


class Callback:
    def __init__(self, options):
        pass

    @hookimpl
    def ganzoo_step_done(self, step):
        while step == 2:
            time.sleep(0.01)
'''


@pytest.fixture(autouse=True)
def _heard():
    """SIGHUP is not ignored, as it is where `nohup` or a service manager runs the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


class Sends:
    """Sends signals to this very process after the second step."""

    def __init__(self, *numbers):
        self.numbers = numbers

    @hookimpl
    def ganzoo_step_done(self, step):
        if step == 2:
            for number in self.numbers:
                os.kill(os.getpid(), number)


def train(tiny, out, *observers, sets=()):
    recipe = load_recipe(tiny, sets)
    return run(recipe, out=out, voice=Voice(quiet=True), observers=list(observers))


def saved(out: Path) -> list[str]:
    return sorted(path.name for path in out.glob("checkpoints/step_*"))


@pytest.mark.parametrize("number", HEEDED, ids=lambda number: number.name)
def test_a_signal_ends_a_run_with_a_checkpoint(tiny, tmp_path, number):
    before = signal.getsignal(number)
    result = train(tiny, tmp_path / "run", Sends(number))
    assert (result.outcome, result.exit_code) == ("interrupted", ExitCode.INTERRUPTED)
    assert saved(tmp_path / "run") in (["step_2"], ["step_3"])  # the hook comes after the look
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "interrupted"
    assert signal.getsignal(number) is before


def test_nohup_is_heeded(tiny, tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        result = train(tiny, tmp_path / "run", Sends(signal.SIGHUP))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert result.outcome == "finished"


@pytest.mark.parametrize(
    "numbers",
    [
        (signal.SIGTERM, signal.SIGTERM),  # as `timeout` sends it
        (signal.SIGXCPU, signal.SIGXCPU, signal.SIGUSR1, signal.SIGTERM),
    ],
)
def test_signals_that_come_together_or_again_cost_no_checkpoint(tiny, tmp_path, numbers):
    def work():
        return int(train(tiny, tmp_path / "run", Sends(*numbers)).exit_code)

    warm()
    assert Child(work, tmp_path / "said").wait() == ExitCode.INTERRUPTED
    assert saved(tmp_path / "run")


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "endless_toy.py"
    path.write_text(PLUGIN)
    warm()
    return str(path)


def ganzoo(tmp_path, *arguments):
    def work():
        os.chdir(tmp_path)
        return main(arguments)

    return Child(work, tmp_path / "said")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_a_step_that_never_does(tiny, plugin, tmp_path, number):
    child = ganzoo(
        tmp_path, "--plugin", plugin, "run", str(tiny), "--out", "run",
        "--set", "callback=endless_toy/callback", "--set", "watch.log=1 steps",
    )  # fmt: skip
    child.until(lambda: "step 2/" in child.text())
    child.send(number)
    child.until(lambda: "stopping after this step" in child.text())
    time.sleep(1.2 * TOGETHER)
    child.send(number)
    assert child.wait(10) == ExitCode.INTERRUPTED
    place = f'Callback.ganzoo_step_done of the plugin "endless_toy" ({plugin}), {plugin}:'
    assert f"exited at once, without a checkpoint, in {place}" in child.text()


def test_a_worker_that_hangs_ends_with_the_run(tiny, plugin, tmp_path):
    child = ganzoo(
        tmp_path, "--plugin", plugin, "run", str(tiny), "--out", "run",
        "--set", "data={use='endless_toy/data', in_a_worker=true}", "--set", "train.workers=1",
    )  # fmt: skip
    child.until(lambda: "disk: up to" in child.text())
    children = Path(f"/proc/{child.pid}/task/{child.pid}/children")
    child.until(lambda: children.read_text().split())
    worker = int(children.read_text().split()[0])
    child.until((tmp_path / "hangs").exists)
    child.send(signal.SIGTERM)
    time.sleep(1.2 * TOGETHER)
    child.send(signal.SIGTERM)
    assert child.wait(10) == ExitCode.INTERRUPTED, child.text()
    assert "waiting for a loader worker's data" in child.text()
    child_ended(worker)


def child_ended(pid: int) -> None:
    until = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


def test_ctrl_c_names_the_plugin_whose_data_hang(tiny, plugin, tmp_path):
    child = ganzoo(
        tmp_path, "--plugin", plugin, "run", str(tiny), "--out", "run",
        "--set", "data.use=endless_toy/data",
    )  # fmt: skip
    child.until((tmp_path / "hangs").exists)
    child.send(signal.SIGINT)
    assert child.wait(10) == ExitCode.INTERRUPTED
    assert 'interrupted in Data.load of the plugin "endless_toy"' in child.text()
    assert "Traceback" not in child.text()
    assert not (tmp_path / "run").exists()


def test_ctrl_c_names_the_plugin_that_never_is_imported(tmp_path):
    (tmp_path / "stuck_toy.py").write_text("open('hangs', 'w').close()\nwhile True: pass\n")
    child = ganzoo(tmp_path, "--plugin", str(tmp_path / "stuck_toy.py"), "list")
    child.until((tmp_path / "hangs").exists)
    child.send(signal.SIGINT)
    assert child.wait(10) == ExitCode.INTERRUPTED
    assert child.text().startswith('interrupted while the plugin "stuck_toy"')


def test_handlers_are_put_back():
    before = {number: signal.getsignal(number) for number in HEEDED}
    with handled(lambda _number, _frame: None):
        assert all(signal.getsignal(number) is not before[number] for number in HEEDED)
    assert {number: signal.getsignal(number) for number in HEEDED} == before
    assert registry.current().records  # what names the plugins in these tests
