"""Several processes: what their environment says, how they meet, and how they end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ganzoo.cli.main import main
from ganzoo.engine.ranks import Place, place
from ganzoo.errors import EnvironmentFault, ExitCode
from tests.faults.forks import Child, warm


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Place(0, 1, 1)),
        ({"WORLD_SIZE": ""}, Place(0, 1, 1)),
        ({"WORLD_SIZE": "4", "RANK": "3", "LOCAL_WORLD_SIZE": "2"}, Place(3, 4, 2)),
        ({"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}, Place(0, 2, 2)),
    ],
)
def test_the_environment_says_which_process_this_is(variables, expected):
    assert place(variables) == expected


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WORLD_SIZE": "abc"}, "WORLD_SIZE is 'abc', which is not a whole number of at least 1"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is '0', which is not a whole number of at least 1"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but RANK isn't set"),
        (
            {"WORLD_SIZE": "2", "RANK": "x"},
            "RANK is 'x', which is not a whole number of at least 0",
        ),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK is 2, and WORLD_SIZE 2: ranks go from 0 to 1"),
        ({"RANK": "1"}, "RANK is 1, and WORLD_SIZE 1"),
        ({"LOCAL_RANK": "1.5"}, "LOCAL_RANK is '1.5'"),
        ({"WORLD_SIZE": "2", "RANK": "0", "LOCAL_WORLD_SIZE": "no"}, "LOCAL_WORLD_SIZE is 'no'"),
    ],
)
def test_an_environment_that_cant_be_meant_is_explained(variables, said):
    with pytest.raises(EnvironmentFault, match=re.escape(said)):
        place(variables)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WORLD_SIZE": "abc"}, "WORLD_SIZE is 'abc'"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "WORLD_SIZE is 2, but MASTER_ADDR isn't set"),
        (
            {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "x"},
            "MASTER_PORT is 'x'",
        ),
        (
            {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "taken"},
            "the 2 processes of this run can't meet at 127.0.0.1:",
        ),
    ],
)
def test_processes_that_cant_meet_exit_7_in_words(tiny, tmp_path, variables, said):
    warm()
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()

        def work():
            os.environ.update(variables)
            if variables.get("MASTER_PORT") == "taken":
                os.environ["MASTER_PORT"] = str(other.getsockname()[1])
            return main(["run", str(tiny), "--out", str(tmp_path / "run")])

        child = Child(work, tmp_path / "said")
        assert child.wait(30) == ExitCode.ENVIRONMENT
    assert f"error: {said}" in child.text()
    assert "Traceback" not in child.text()
    assert not (tmp_path / "run").exists()


def begun(tiny: Path) -> tuple[subprocess.Popen, list[int]]:
    """A run in two processes that has done its first steps, and their ids."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ganzoo", "run", str(tiny), "--out", "run", "--processes", "2",
         "--device", "cpu", "--set", "train.epochs=100000", "--json"],
        cwd=tiny.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    until = time.monotonic() + 120
    while not (tiny.parent / "run/metrics.jsonl").exists() and time.monotonic() < until:
        time.sleep(0.1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return process, [int(one) for one in children]


def listening(pids: list[int]) -> set[str]:
    """Local addresses, as /proc has them, at which some processes listen."""
    sockets = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A":
                sockets[f"socket:[{inode}]"] = local.partition(":")[0]
    files = [file for pid in pids for file in Path(f"/proc/{pid}/fd").iterdir()]
    return {sockets[held] for file in files if (held := held_by(file)) in sockets}


def held_by(file: Path) -> str:
    try:
        return str(file.readlink())
    except FileNotFoundError:  # closed meanwhile
        return ""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="no /proc here")
def test_processes_listen_to_this_machine_alone_and_end_with_their_launcher(tiny):
    process, ranks = begun(tiny)
    with socket.socket() as control:
        control.bind(("", 0))
        control.listen()
        assert not listening([os.getpid()]) <= LOOPBACK  # the measure sees an open door
    assert len(ranks) == 2
    heard = listening([process.pid, *ranks])
    process.kill()
    process.wait()
    until = time.monotonic() + 10
    while any(map(alive, ranks)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(alive, ranks))
    assert heard
    assert heard <= LOOPBACK
    assert list((tiny.parent / "run/checkpoints").glob("step_*"))  # there was time for one


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="no /proc here")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_the_launcher_ends_all_with_a_checkpoint(tiny, number):
    process, ranks = begun(tiny)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED, err
    assert json.loads(out)["outcome"] == "interrupted"
    assert not any(map(alive, ranks))
    assert list((tiny.parent / "run/checkpoints").glob("step_*"))
    assert "Traceback" not in err
