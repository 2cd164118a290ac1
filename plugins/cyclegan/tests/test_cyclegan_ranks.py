"""Two real processes train what one trains on both batches: several calls, one backward each."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from tests.runs import train, weights, worst

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


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "ranks.toml"
    path.write_text(RECIPE)
    return path


def test_two_ranks_equal_one_on_the_joined_batch(recipe):
    two = train(recipe, "two", processes=2, steps=8)
    one = train(recipe, "one", "train.batch_size=2", processes=1, steps=8)
    assert len({name.split(".")[0] for name in weights(one, 8)}) == 4
    assert worst(weights(two, 8), weights(one, 8)) < 1e-8
    # The control: one process that sees one image a step ends elsewhere.
    half = train(recipe, "half", processes=1, steps=8)
    assert worst(weights(half, 8), weights(one, 8)) > 1e-5


def test_the_pools_of_two_ranks_are_resumed_exactly(recipe):
    whole = train(recipe, "whole", "task.pool_size=2", processes=2, steps=8)
    parts = train(recipe, "parts", "task.pool_size=2", processes=2, steps=4)
    train(recipe, "parts", processes=2, steps=8)
    assert worst(weights(whole, 8), weights(parts, 8)) == 0
    state = load_file(whole / "checkpoints/step_8/training_state.safetensors")
    pools = {name: tensor for name, tensor in state.items() if name.endswith("/images")}
    assert len(pools) == 4  # two of each rank, with images of its own
    first = [tensor for name, tensor in sorted(pools.items()) if name.startswith("rank0")]
    other = [tensor for name, tensor in sorted(pools.items()) if name.startswith("rank1")]
    assert all(not torch.equal(one, two) for one, two in zip(first, other, strict=True))
