"""stdout and stderr whose reader is gone, that are closed, or that can't say a name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganzoo.cli.main import main
from ganzoo.process.streams import lasting_streams
from tests.faults.forks import Child, to, warm
from tests.runs import log_of

PLUGIN = '''
from ganzoo.api import component, hookimpl

@component("loss")
def x():
    """it \\u540d \\U0001f600 \\u00e9"""

@component("callback")
def loud():
    return Loud

class Loud:
    def __init__(self, options):
        pass

    @hookimpl
    def ganzoo_step_done(self, step):
        print("a plugin's own words", step, flush=True)
'''


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "wording_toy.py"
    path.write_text(PLUGIN)
    return str(path)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_what_an_encoding_lacks_is_printed_as_escapes(plugin, encoding):
    command = [sys.executable, "-m", "ganzoo", "--plugin", plugin, "show", "wording_toy/x"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    plain, as_json = (
        subprocess.run([*command, *more], capture_output=True, env=environment, check=False)
        for more in ([], ["--json"])
    )
    assert (plain.returncode, plain.stderr) == (0, b"")
    said = plain.stdout.decode("utf-8" if encoding == "ascii" else encoding)
    assert ("\u540d" if encoding == "utf-8" else "it") in said
    if encoding == "cp1252":
        assert "it \\u540d \\U0001f600 \u00e9" in said
    # JSON has escapes of its own, by which nothing is lost.
    summary = json.loads(as_json.stdout)["components"][0]["summary"]
    assert summary.startswith("it \u540d \U0001f600 \u00e9")


def test_a_name_that_is_no_text_is_printed(tmp_path):
    def speak():
        with lasting_streams():
            sys.stdout.write("bad\udcff.png\n")
        try:
            sys.stdout.write("bad\udcff.png\n")
            sys.stdout.flush()
        except UnicodeEncodeError:  # negative control
            return 5
        return 0

    child = Child(speak, tmp_path / "said")
    assert child.wait() == 5
    assert child.text() == "bad\\udcff.png\n"


def whole(run: Path) -> bool:
    status = json.loads((run / "status.json").read_text())
    return status["state"] == "stopped" and log_of(run)[-1]["step"] == status["step"] == 6


@pytest.fixture(autouse=True)
def _warm():
    warm()


def train(tiny, plugin, out, *more):
    return main(
        ["--plugin", plugin, "run", str(tiny), "--out", str(out), "--max-steps", "6",
         "--set", "callback=wording_toy/loud", *more]
    )  # fmt: skip


def test_a_run_goes_on_when_its_log_has_no_reader(tiny, plugin, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)

    def work():
        to(writer)
        return train(tiny, plugin, tmp_path / "run")

    assert Child(work).wait() == 0
    os.close(writer)
    assert whole(tmp_path / "run")
    assert "stopped at step 6" in (tmp_path / "run/log.txt").read_text()


def test_a_run_goes_on_when_its_terminal_is_gone(tiny, plugin, tmp_path):
    """Under a live bar, which another thread draws; SIGHUP is another matter."""
    master, slave = os.openpty()

    def work():
        to(slave)
        assert sys.stderr.isatty()
        os.close(slave)
        os.close(master)
        return train(tiny, plugin, tmp_path / "run")

    child = Child(work)
    os.close(master)
    os.close(slave)
    assert child.wait() == 0
    assert whole(tmp_path / "run")


@pytest.mark.parametrize("which", [(1,), (2,), (0, 1, 2)])
def test_a_run_without_streams_writes_nothing_into_its_files(tiny, plugin, tmp_path, which):
    def work():
        for descriptor in which:
            os.close(descriptor)
        if 1 in which:
            sys.stdout = None
        if 2 in which:
            sys.stderr = None
        code = train(tiny, plugin, tmp_path / "run")
        for descriptor in which:  # no file of the run has its number
            assert Path(f"/dev/fd/{descriptor}").resolve() == Path("/dev/null")
        return code

    assert Child(work, tmp_path / "said").wait() == 0
    assert whole(tmp_path / "run")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_result_that_could_not_be_written_is_said_after_the_run(tiny, plugin, tmp_path):
    def work():
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, 1)
        return train(tiny, plugin, tmp_path / "run", "--json")

    child = Child(work, tmp_path / "said")
    assert child.wait() == 7
    assert "error: no space is left for the output" in child.text()
    assert whole(tmp_path / "run")  # the training is whole
