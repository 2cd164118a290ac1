"""The cores that a process may use, and what `threads = auto` makes of them."""

import os
import subprocess
import sys

import pytest

from ganzoo.cli.main import main
from ganzoo.engine.accelerate_session import Resolved, resolve
from ganzoo.process.cpu_cores import SPINS, auto_threads, cores
from ganzoo.recipe.model import Train


@pytest.fixture
def machine(monkeypatch):
    """One with 16 cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("0::/", {}, 16),
        ("0::/", {"cpu.max": "max 100000"}, 16),
        ("0::/", {"cpu.max": "400000 100000"}, 4),
        ("0::/job/step", {"job/cpu.max": "250000 100000", "job/step/cpu.max": "max 100000"}, 2),
        ("0::/job", {"cpu.max": "50000 100000"}, 1),  # half a core is one thread
        ("0::/", {"cpu.max": "broken"}, 16),
        (
            "4:cpu,cpuacct:/docker/x",
            {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"},
            3,
        ),
        (
            "4:cpu,cpuacct:/a",
            {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"},
            16,
        ),
        ("3:memory:/", {"cpu/cpu.cfs_quota_us": "1", "cpu/cpu.cfs_period_us": "1"}, 16),
    ],
)
def test_quotas_of_control_groups(machine, tmp_path, group, files, expected):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(group + "\n")
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert cores(tmp_path) == expected


def test_where_nothing_is_known_all_cores_are_used(machine, tmp_path):
    assert cores(tmp_path) == 16


@pytest.mark.parametrize(
    ("value", "expected"), [("3", 3), ("2,4", 2), (" 5 ", 5), ("", 8), ("0", 8), ("many", 8)]
)
def test_auto_heeds_omp_num_threads(machine, monkeypatch, value, expected):
    monkeypatch.setattr("ganzoo.process.cpu_cores.cores", lambda: 16)
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert auto_threads(2) == expected
    assert auto_threads(64) == (expected if expected != 8 else 1)


def test_a_run_uses_it_unless_the_recipe_or_an_earlier_part_says_else(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert resolve(Train(device="cpu")).threads == 3
    assert resolve(Train(device="cpu", threads=2)).threads == 2
    stored = Resolved("cpu", "fp32", 5, 1, 0, channels_last=False)
    assert resolve(Train(device="cpu"), stored).threads == 5


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, SPINS),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, None),
        ({"GOMP_SPINCOUNT": "1000"}, "1000"),
    ],
)
def test_waiting_threads_sleep_soon_unless_the_environment_says_otherwise(
    said, expected, monkeypatch
):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")  # so that what main sets is taken back
        monkeypatch.delenv(name)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert main(["--version"]) == 0
    assert os.environ.get("GOMP_SPINCOUNT") == expected


def test_openmp_hears_of_it():
    """libgomp prints what it goes by when torch loads it."""
    code = "from ganzoo.cli.main import main; main(['--version']); import torch"
    for said, expected in (({}, SPINS), ({"GOMP_SPINCOUNT": "77"}, "77")):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP", "GOMP"))}
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env=environment | said | {"OMP_DISPLAY_ENV": "verbose"},
            capture_output=True,
            text=True,
            check=True,
        )
        if "GOMP_SPINCOUNT" not in ended.stderr:
            pytest.skip("torch here has another OpenMP than GNU's")
        assert f"GOMP_SPINCOUNT = '{expected}'" in ended.stderr
