"""How many CPU cores this process may use, and how many threads `auto` makes of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

SPINS = "3000"
"""How often a waiting thread of OpenMP looks before it sleeps."""


def cores(root: Path = Path("/")) -> int:
    """Cores that affinity and the quota of the control group leave to this process; at least 1.

    A container's or a scheduler's limit is such a quota: the system shows it all of the machine's
    cores, and stops it for the rest of each period when it has used its share.

    Args:
        root: below which `proc` and `sys` are.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, int(min([count or 1, *_quotas(root)])))


def auto_threads(processes: int = 1) -> int:
    """What `train.threads = "auto"` is: `OMP_NUM_THREADS` where it is set, else a share of cores.

    Args:
        processes: those of this run on this machine, each of which asks.
    """
    # A list is for nested parallelism, whose outermost level comes first.
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return max(1, cores() // processes)


def share_cores() -> None:
    """Let threads that wait for each other sleep soon, instead of looking at a flag for long.

    OpenMP reads the setting when torch is imported, so this comes before. GNU's default is to look
    300,000 times, some milliseconds. Where other programs run on the same cores, a thread that
    spins keeps the one that it waits for from running, and a step takes several times as long;
    sleeping at once costs small networks a fifth of their speed on a free machine. 3,000 is near
    the best of both (tests/benchmarks/waiting.py; docs/performance.md has the figures). What the
    user's environment says is left as it is.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPINS


def _quotas(root: Path) -> Iterator[float]:
    """The quota, in cores, of each control group that this process is in, from its own up."""
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
    """A group's folder and those above it; within a container the top is often its own."""
    folder = top / group.strip("/")
    while folder != top and folder.is_relative_to(top):
        yield folder
        folder = folder.parent
    yield top


def _quota(*files: Path) -> Iterator[float]:
    """Cores' worth of time: microseconds of work in each period; nothing if there is no limit."""
    try:
        work, period = " ".join(file.read_text("utf-8") for file in files).split()
        if work not in {"max", "-1"}:
            yield int(work) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return
