"""Truth: samples are of the class that was asked for, where the generator could learn classes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

SHUFFLED = '''
"""The digits, with the training labels dealt to the wrong ones."""

import numpy as np

from ganzoo.api import component
from ganzoo_gan.data_options import DigitsOptions
from ganzoo_gan.digits import Digits


class Shuffled(Digits):
    @property
    def arrays(self):
        arrays = dict(super().arrays)
        if self.split == "train":
            arrays["label"] = np.random.Generator(np.random.PCG64(0)).permutation(arrays["label"])
        return arrays

    def load(self, index, rng=None):
        return {name: np.asarray(array[index]) for name, array in self.arrays.items()}


@component("data", DigitsOptions)
def digits():
    return Shuffled
'''


def evaluation(folder, *arguments):
    """Run the recipe as a user would, and read what the run says of its test split."""
    command = [sys.executable, "-m", "ganzoo", *arguments, "--out", "run"]
    ended = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GANZOO_CACHE": str(folder.parent / "cache")},
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads((folder / "run" / "evaluation" / "test_running.json").read_text())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_digits_are_of_the_class_asked_for(tmp_path):
    """Calibrated once (one core): 98.4 %, real test digits 98.9 %, shuffled classifier 9.9 %."""
    recipe = str(ROOT / "recipes" / "gan_digits.toml")
    document = evaluation(tmp_path, "run", recipe)
    assert document["n"] == 1000
    accuracy, controls = document["metrics"]["class_accuracy"]["mean"], document["controls"]
    assert controls["ceiling"]["class_accuracy"] >= 0.95
    assert accuracy >= 0.9
    # Control: a classifier that was trained with shuffled labels.
    assert 0.03 <= controls["floor"]["class_accuracy"] <= 0.25


@pytest.mark.long  # as long as the test above, whose floor is a control of its own
@pytest.mark.timeout(1800)
def test_a_generator_that_was_shown_shuffled_labels_hits_them_by_chance(tmp_path):
    (tmp_path / "shuffled.py").write_text(SHUFFLED)
    recipe = str(ROOT / "recipes" / "gan_digits.toml")
    data = 'data={ use = "shuffled/digits", size = 16 }'
    document = evaluation(tmp_path, "--plugin", "shuffled.py", "run", recipe, "--set", data)
    assert 0.03 <= document["metrics"]["class_accuracy"]["mean"] <= 0.2
