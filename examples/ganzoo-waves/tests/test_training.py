"""Runs: what is learned beside a control, an exact resume, and the use of the result."""

import json
import subprocess
import sys
import wave

import pytest
import torch
from ganzoo_waves.options import PITCHES
from ganzoo_waves.pitch import strongest_frequency


def ganzoo(*arguments, folder):
    """Run a command."""
    command = [sys.executable, "-m", "ganzoo", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def train(folder, name, *arguments, **settings):
    """Train a run in `folder/name`."""
    plan = {"watch.samples": "never"}
    plan |= {key.replace("__", "."): value for key, value in settings.items()}
    sets = [f"--set={key}={value}" for key, value in plan.items()]
    ganzoo("run", "waves/tones", "--out", name, *sets, *arguments, folder=folder)


def score(folder, name):
    """Return the share of generated sounds that have the pitch of their class."""
    document = json.loads((folder / name / "evaluation/test_running.json").read_text())
    return document["metrics"]["pitch"]["mean"]


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A folder with the finished run `tones`, half as long as the recipe's."""
    folder = tmp_path_factory.mktemp("runs")
    train(folder, "tones", train__epochs=10)
    return folder


def test_a_short_run_learns_pitches_and_its_control_does_not(learned):
    train(learned, "shuffled", train__epochs=10, data__shuffled="true")
    assert score(learned, "tones") > 0.9
    assert score(learned, "shuffled") < 0.5


def test_a_resume_is_exact(tmp_path):
    plan = {"data__train": 64, "train__epochs": 3, "watch__evaluate": "never"}
    train(tmp_path, "whole", **plan)
    train(tmp_path, "parts", "--max-steps", "3", **plan)
    ganzoo("run", "--resume", "parts", folder=tmp_path)
    for name in ("generator", "generator.ema", "discriminator", "training_state"):
        file = f"checkpoints/step_6/{name}.safetensors"
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes()


def test_a_bundle_makes_files_of_the_class_that_is_asked_for(learned):
    ganzoo("bundle", "tones", "-o", "tones.safetensors", folder=learned)
    ganzoo("sample", "tones.safetensors", "-n", "4", "--label", "2", "-o", "out", folder=learned)
    files = sorted((learned / "out").glob("*.wav"))
    assert len(files) == 4
    for path in files:
        with wave.open(str(path)) as file:
            samples = torch.frombuffer(bytearray(file.readframes(1024)), dtype=torch.int16)
        frequency = strongest_frequency(samples[None].float()).item()
        assert frequency == pytest.approx(PITCHES[2], rel=0.05)
    assert (learned / "out" / "grid.png").exists()
