"""Trained as their recipes say, the ring's and the grid's modes are found; the control loses some.

The ring with one seed is one of the slow tests. Three seeds of the ring, the grid and its control
(nine runs, over half an hour of a core) are a proof that is run by hand: `pytest -m long`. One
thread each, as many at a time as there are cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import pytest

RECIPES = Path(__file__).parents[3] / "recipes"
GRID, RING, CONTROL = "gan_grid25", "gan_ring", "gan_grid25 with vanilla"
# The longest first, so that the cores end together.
JOBS = {
    GRID: ("gan_grid25", ()),
    CONTROL: ("gan_grid25", ("loss=gan/vanilla",)),
    RING: ("gan_ring", ()),
}


def trained(name: str, seed: int, folder: Path) -> dict[str, float]:
    """The figures that a run prints at its end."""
    recipe, sets = JOBS[name]
    command = [sys.executable, "-m", "ganzoo", "run", str(RECIPES / f"{recipe}.toml"), "--json"]
    for change in (*sets, f"train.seed={seed}", "train.device=cpu", "watch.samples=never"):
        command += ["--set", change]
    command += ["--out", str(folder / f"{name}_{seed}")]
    ended = subprocess.run(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    figures: dict[str, float] = json.loads(ended.stdout)["metrics"]
    return figures


def figures(
    names: Sequence[str], seeds: Sequence[int], folder: Path
) -> dict[str, dict[str, list[float]]]:
    """`{name: {"modes": [of each seed], "high_quality": [of each seed]}}`."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        runs = {
            name: [pool.submit(trained, name, seed, folder) for seed in seeds] for name in names
        }
        found = {name: [run.result() for run in several] for name, several in runs.items()}
    return {
        name: {key: [one[key] for one in several] for key in ("modes", "high_quality")}
        for name, several in found.items()
    }


@pytest.mark.timeout(2400)
@pytest.mark.parametrize(
    "seeds",
    [
        pytest.param((0,), marks=pytest.mark.slow, id="one seed"),
        pytest.param((0, 1, 2), marks=pytest.mark.long, id="three seeds"),
    ],
)
def test_the_ring_is_found(seeds, tmp_path):
    found = figures([RING], seeds, tmp_path)
    assert median(found[RING]["modes"]) == 8, found
    assert median(found[RING]["high_quality"]) >= 0.8, found


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_the_grid_is_found_and_vanilla_loses_modes(tmp_path):
    """On the ring vanilla takes all 8, so that the control is the grid."""
    found = figures([GRID, CONTROL], (0, 1, 2), tmp_path)
    assert median(found[GRID]["modes"]) >= 24, found
    assert median(found[GRID]["high_quality"]) >= 0.7, found
    assert median(found[CONTROL]["modes"]) <= 20, found
