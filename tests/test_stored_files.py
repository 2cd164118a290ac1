"""Weights and runs that earlier versions wrote are still usable; see tests/stored/README.md."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from ganzoo.cli.main import cli
from ganzoo.errors import GanzooError

STORED = Path(__file__).parent / "stored"
FORMATS = sorted(STORED.glob("format_*"))
RUN = STORED / "contract_1_run"


def ganzoo(*arguments: object) -> str:
    done = CliRunner().invoke(cli, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done.output


def code_of(done: Result) -> int:
    """Return the exit code; `cli` raises ganzoo's errors, which `main` turns into codes."""
    return done.exception.exit_code if isinstance(done.exception, GanzooError) else done.exit_code


@pytest.fixture
def gradient(tmp_path: Path) -> Path:
    y, x = np.mgrid[0:32, 0:32]
    path = tmp_path / "in.png"
    Image.fromarray(np.stack([x * 8, y * 8, (x * y) % 256], -1).astype(np.uint8)).save(path)
    return path


def level_difference(made: np.ndarray, stored: np.ndarray) -> int:
    """Return the largest difference of two 8-bit arrays of one shape."""
    assert made.shape == stored.shape
    assert made.dtype == stored.dtype == np.uint8
    return int(np.abs(made.astype(int) - stored.astype(int)).max())


@pytest.mark.parametrize("mode", ["paper", "running"])
@pytest.mark.parametrize("stored", FORMATS, ids=lambda path: path.name)
def test_weights_of_every_format_translate_as_they_did(
    stored: Path, mode: str, gradient: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.png"
    weights = stored / "pix2pix.safetensors"
    ganzoo("predict", weights, gradient, "-o", out, "--mode", mode, "--seed", 3)
    before = np.asarray(Image.open(stored / f"{mode}.png"))
    # Another processor may add in another order, which can move a value over a rounding boundary.
    assert level_difference(np.asarray(Image.open(out)), before) <= 1
    assert before.std() > 4  # a constant picture would prove nothing


@pytest.mark.parametrize("stored", FORMATS, ids=lambda path: path.name)
def test_weights_of_every_format_draw_as_they_did(stored: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    ganzoo("sample", stored / "digits.safetensors", "-n", 20, "--seed", 5, "-o", out)
    before = np.load(stored / "digits.npy")
    assert level_difference(np.load(out), before) <= 1
    other = tmp_path / "other.npy"
    ganzoo("sample", stored / "digits.safetensors", "-n", 20, "--seed", 6, "-o", other)
    assert level_difference(np.load(other), before) > 100


@pytest.mark.parametrize("stored", FORMATS, ids=lambda path: path.name)
def test_a_stored_class_is_drawn_when_it_is_asked_for(stored: Path, tmp_path: Path) -> None:
    for label, wanted in (("7", 0), ("10", 2)):
        arguments = ["sample", str(stored / "digits.safetensors"), "-n", "2", "--label", label]
        done = CliRunner().invoke(cli, [*arguments, "-o", str(tmp_path / f"{label}.npy")])
        assert code_of(done) == wanted, done.output


def test_a_changed_weight_of_format_2_is_noticed(gradient: Path, tmp_path: Path) -> None:
    stored = STORED / "format_2" / "pix2pix.safetensors"
    with safe_open(stored, "numpy") as file:
        card = file.metadata()
    tensors = load_file(stored)
    name = min(tensors)
    tensors[name] = -tensors[name]
    copy = tmp_path / "changed.safetensors"
    save_file(tensors, copy, metadata=card)
    arguments = ["predict", str(copy), str(gradient), "-o", str(tmp_path / "out.png")]
    done = CliRunner().invoke(cli, arguments)
    assert code_of(done) == 5, done.output


def test_a_run_of_contract_1_is_listed_and_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "quickstart" / "old"
    shutil.copytree(RUN, run)
    assert "old" in ganzoo("runs", "list", tmp_path / "runs")
    ganzoo("run", "--resume", run, "--max-steps", 83, "--set", "watch.samples=never")
    status = json.loads((run / "status.json").read_text())
    assert status["step"] == 83
