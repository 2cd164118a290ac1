"""The number of CPU cores that this process may use, and the number of its threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

SPINS = "3000"
"""The number of times that a waiting OpenMP thread checks for work before it sleeps."""


def cores(root: Path = Path("/")) -> int:
    """Return the number of cores that this process may use, at least 1.

    It is limited by CPU affinity and by the quotas of control groups, which containers and
    schedulers use. A process with a quota sees all cores of the machine, but is stopped for the
    rest of each period when it has used its share.

    Args:
        root: the folder that contains `proc` and `sys`.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, int(min([count or 1, *_quotas(root)])))


def auto_threads(processes: int = 1) -> int:
    """Return the number of threads for `train.threads = "auto"`.

    It is `OMP_NUM_THREADS` if that is set, and otherwise this process's share of the cores.

    Args:
        processes: the number of processes of this run on this machine, which share the cores.
    """
    # A list of numbers is for nested parallelism; the first one is for the outermost level.
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return max(1, cores() // processes)


def share_cores() -> None:
    """Let OpenMP threads that wait for each other sleep after a short time of spinning.

    OpenMP reads the setting when torch is imported, so call this before. By default GNU's OpenMP
    checks a flag 300,000 times before a thread sleeps, which takes some milliseconds. If other
    programs use the same cores, a spinning thread can keep the thread that it waits for from
    running, and a step takes several times as long. If threads sleep at once, small networks lose
    a fifth of their speed on a free machine. 3,000 checks are near the optimum of both cases
    (tests/benchmarks/waiting.py; docs/performance.md has the figures). A setting in the user's
    environment is not changed.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPINS


def _quotas(root: Path) -> Iterator[float]:
    """Yield the quota, in cores, of this process's control group and of each of its parents."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":  # version 2
            for folder in _upwards(root / "sys/fs/cgroup", group):
                yield from _quota(folder / "cpu.max")
        elif "cpu" in controllers.split(","):
            for folder in _upwards(root / "sys/fs/cgroup/cpu", group):
                yield from _quota(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")


def _upwards(top: Path, group: str) -> Iterator[Path]:
    """Yield a group's folder and its parents up to `top`.

    Inside a container, `top` often is the folder of the container's own group.
    """
    folder = top / group.strip("/")
    while folder != top and folder.is_relative_to(top):
        yield folder
        folder = folder.parent
    yield top


def _quota(*files: Path) -> Iterator[float]:
    """Yield a quota in cores: CPU time per period, both in microseconds; nothing if unlimited."""
    try:
        work, period = " ".join(file.read_text("utf-8") for file in files).split()
        if work not in {"max", "-1"}:
            yield int(work) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return
