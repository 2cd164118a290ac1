"""Two real processes train what one trains on both batches: several calls, one backward each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RECIPE = """
name = "ranks"
task = { use = "cyclegan/unpaired", pool_size = 0 }
generator = { use = "cyclegan/resnet", width = 4, blocks = 1 }
discriminator = { use = "pix2pix/patchgan", receptive_field = 16, width = 4, norm = "instance" }
networks = { generator_ab = { width = 6 } }
loss = "gan/lsgan"
train = { epochs = 8, precision = "fp64", device = "cpu", threads = 1, workers = 0 }

[data]
use = "cyclegan/hidden_pairs"
pairs = { use = "cyclegan/shapes", size = 16, train = 16, val = 2, test = 2 }

[watch]
samples = "never"
validate = "never"
evaluate = "never"
"""
ROLES = ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")


def run(folder: Path, out: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "ganzoo", "run", *arguments]
    if "--resume" not in arguments:
        command += ["--out", out]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr


def weights(folder: Path, out: str, step: int) -> dict[str, torch.Tensor]:
    saved = folder / out / "checkpoints" / f"step_{step}"
    return {
        f"{role}.{name}": tensor
        for role in ROLES
        for name, tensor in load_file(saved / f"{role}.safetensors").items()
    }


def worst(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> float:
    assert one.keys() == two.keys()
    return max((one[name].double() - two[name].double()).abs().max().item() for name in one)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ranks.toml").write_text(RECIPE)
    return tmp_path


def test_two_ranks_equal_one_on_the_joined_batch(folder):
    common = ("ranks.toml", "--max-steps", "8")
    run(folder, "two", *common, "--processes", "2")
    run(folder, "one", *common, "--set", "train.batch_size=2")
    assert worst(weights(folder, "two", 8), weights(folder, "one", 8)) < 1e-8
    # The control: one process that sees one image a step ends elsewhere.
    run(folder, "half", *common)
    assert worst(weights(folder, "half", 8), weights(folder, "one", 8)) > 1e-5


def test_the_pools_of_two_ranks_are_resumed_exactly(folder):
    common = ("--processes", "2", "--max-steps")
    run(folder, "whole", "ranks.toml", *common, "8", "--set", "task.pool_size=2")
    run(folder, "parts", "ranks.toml", *common, "4", "--set", "task.pool_size=2")
    run(folder, "parts", "--resume", "parts", *common, "8")
    assert worst(weights(folder, "whole", 8), weights(folder, "parts", 8)) == 0
    state = load_file(folder / "whole/checkpoints/step_8/training_state.safetensors")
    pools = {name: tensor for name, tensor in state.items() if name.endswith("/images")}
    assert len(pools) == 4  # two of each rank, with images of its own
    first = [tensor for name, tensor in sorted(pools.items()) if name.startswith("rank0")]
    other = [tensor for name, tensor in sorted(pools.items()) if name.startswith("rank1")]
    assert all(not torch.equal(one, two) for one, two in zip(first, other, strict=True))
