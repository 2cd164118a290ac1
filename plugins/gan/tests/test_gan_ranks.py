"""Relativistic pairing and penalties in two real processes: one process on the joined batch."""

from __future__ import annotations

import pytest

from tests import runs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # four runs, five processes

RECIPE = """
extends = "tiny.toml"
name = "mine"
[generator]
norm = "instance"
dropout = 0
[discriminator]
norm = "none"                # batch norm: each rank has statistics of its own images
[[loss]]
use = "pix2pix/cgan_l1"
gan = "gan/rpgan"
[[loss]]
use = "gan/r1"
[[loss]]
use = "gan/r2"
interval = 2
[train]
precision = "fp64"
epochs = 8
[watch]
log = "1 step"
"""


@pytest.fixture
def train(tiny):
    recipe = tiny.parent / "mine.toml"
    recipe.write_text(RECIPE)

    def go(name, *, processes, batch, sets=()):
        sets = (f"train.batch_size={batch}", *sets)
        run = runs.train(recipe, name, *sets, processes=processes, steps=8)
        return runs.weights(run, 8), runs.losses(run)

    return go


def test_two_ranks_equal_one_on_the_joined_batch(train):
    two, logs = train("two", processes=2, batch=1)
    one, again = train("one", processes=1, batch=2)
    assert runs.worst(two, one) < 1e-8
    for mine, other in zip(logs, again, strict=True):
        assert mine == pytest.approx(other, rel=1e-5)
    assert "discriminator/r2/penalty" in logs[0]
    assert "discriminator/r2/penalty" not in logs[1]
    # The controls: one image a step, and the penalties left out, end elsewhere.
    assert runs.worst(train("half", processes=1, batch=1)[0], one) > 1e-5
    plain = ('loss={use="pix2pix/cgan_l1",gan="gan/rpgan"}',)
    assert runs.worst(train("plain", processes=1, batch=2, sets=plain)[0], one) > 1e-5
