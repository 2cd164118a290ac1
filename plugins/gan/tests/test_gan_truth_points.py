"""Trained as their recipes say, the ring's and the grid's modes are found; the control loses some.

One seed is one of the slow tests: three runs, one thread each, as many at a time as there are
cores. Three seeds (nine runs, half an hour of a core) are a proof that is run by hand:
`pytest -m long`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
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


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((0,), marks=pytest.mark.slow, id="one seed"),
        pytest.param((0, 1, 2), marks=pytest.mark.long, id="three seeds"),
    ],
)
def figures(request, tmp_path_factory):
    """`{name: {"modes": [of each seed], "high_quality": [of each seed]}}`."""
    folder = tmp_path_factory.mktemp("truth")
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        runs = {
            name: [pool.submit(trained, name, seed, folder) for seed in request.param]
            for name in JOBS
        }
        found = {name: [run.result() for run in several] for name, several in runs.items()}
    return {
        name: {key: [one[key] for one in several] for key in ("modes", "high_quality")}
        for name, several in found.items()
    }


@pytest.mark.timeout(2400)
def test_the_ring_is_found(figures):
    assert median(figures[RING]["modes"]) == 8, figures
    assert median(figures[RING]["high_quality"]) >= 0.8, figures


@pytest.mark.timeout(2400)
def test_the_grid_is_found_and_vanilla_loses_modes(figures):
    """On the ring vanilla takes all 8, so that the control is the grid."""
    assert median(figures[GRID]["modes"]) >= 24, figures
    assert median(figures[GRID]["high_quality"]) >= 0.7, figures
    assert median(figures[CONTROL]["modes"]) <= 20, figures
