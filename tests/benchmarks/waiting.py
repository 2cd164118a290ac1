"""What it costs when the threads that wait for each other look at a flag instead of sleeping.

python -m tests.benchmarks.waiting [--rounds N] [--busy N] [--json]

The same training step of small convolutions, on as many threads as there are cores, with OpenMP's
default, as the command line sets it (see `ganzoo.process.cpu_cores`), and with
`OMP_WAIT_POLICY=PASSIVE`; on a machine with nothing else to do (`--busy 0`) or beside busy
programs. Processes take turns.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from ganzoo.process.cpu_cores import SPINS, cores
from tests.benchmarks.timing import Spread, arguments, ratio, show

STEPS = 8
CODE = f"""
import time, torch
net = torch.nn.Sequential(
    torch.nn.Conv2d(3, 32, 4, 2, 1), torch.nn.ReLU(),
    torch.nn.Conv2d(32, 64, 4, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(64, 64, 4, 2, 1))
images = torch.rand(2, 3, 128, 128)
for number in range({STEPS} + 2):
    if number == 2:
        began = time.perf_counter()
    net(images).square().mean().backward()
print((time.perf_counter() - began) / {STEPS})
"""
POLICIES: dict[str, dict[str, str]] = {
    "default": {},
    "ganzoo": {"GOMP_SPINCOUNT": SPINS},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
}


def seconds(policy: str) -> float:
    """Seconds of a step in a process of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_"))}
    ended = subprocess.run(
        [sys.executable, "-c", CODE],
        env=kept | {"OMP_NUM_THREADS": str(cores())} | POLICIES[policy],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(ended.stdout)


def main() -> None:
    """Print the figures."""
    extra = [("--busy", {"type": int, "default": 0, "help": "programs that use a core each (0)"})]
    given = arguments(__doc__, rounds=5, extra=extra)
    beside = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(given.busy)
    ]
    try:
        found: dict[str, list[float]] = {name: [] for name in POLICIES}
        for _ in range(given.rounds):
            for name, times in found.items():
                times.append(seconds(name))
    finally:
        for one in beside:
            one.kill()
            one.wait()
    spreads = {name: Spread.of(times) for name, times in found.items()}
    gain = ratio(spreads["default"], spreads["ganzoo"])
    document: dict[str, Any] = {
        "busy": given.busy,
        **{name: spread.document() for name, spread in spreads.items()},
        "ratio": gain,
    }
    lines = [f"a step beside {given.busy} busy programs, {given.rounds} rounds"]
    lines += [f"{name:8} {spread.words('ms', 1000)}" for name, spread in spreads.items()]
    lines.append(f"the default takes {gain:.2f} times as long")
    show(document, lines, as_json=given.json)


if __name__ == "__main__":
    main()
