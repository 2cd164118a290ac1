"""Trained as its recipe says, R3GAN finds hundreds of 1,000 modes; the control, a DCGAN, few.

Data, images seen, batch and noise are the same for both; the control's networks have more weights.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ganzoo.recipe import load_recipe

RECIPES = Path(__file__).parents[3] / "recipes"
OURS, CONTROL = "r3gan_stacked_digits", "gan_stacked_digits"


def trained(name: str, folder: Path) -> dict[str, float]:
    """The figures that a run prints at its end."""
    command = [sys.executable, "-m", "ganzoo", "run", str(RECIPES / f"{name}.toml"), "--json"]
    command += ["--set", "train.device=cpu", "--set", "watch.samples=never"]
    command += ["--out", str(folder / name)]
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


def test_both_recipes_show_the_same_images_as_often():
    ours, control = (load_recipe(RECIPES / f"{name}.toml") for name in (OURS, CONTROL))
    assert ours.data == control.data
    assert ours.task == control.task
    assert ours.train == control.train


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_hundreds_of_modes_are_found_and_hardly_any_by_the_control(tmp_path):
    """Calibrated on the first half of one run: 596 to 669 modes, KL 1.47 to 2.10 from step 500 on.

    The control ended with 5 modes and KL 6.9. "Nearly all" of the modes, which the paper finds with
    larger networks and budgets, isn't claimed here.
    """
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        ours, control = pool.map(lambda name: trained(name, tmp_path), (OURS, CONTROL))
    both = f"{OURS}: {ours}; {CONTROL}: {control}"
    assert ours["modes"] >= 400, both
    assert ours["kl"] <= 3, both
    assert control["modes"] <= ours["modes"] / 2, both
    assert control["kl"] >= 1.5 * ours["kl"], both
