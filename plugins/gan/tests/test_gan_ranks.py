"""Relativistic pairing and penalties in two real processes: one process on the joined batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from safetensors.torch import load_file

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
        out = tiny.parent / name
        words = ["run", str(recipe), "--out", str(out), "--max-steps", "8", "--json"]
        words += ["--processes", str(processes), "--device", "cpu"]
        for value in (f"train.batch_size={batch}", *sets):
            words += ["--set", value]
        ended = subprocess.run(
            [sys.executable, "-m", "ganzoo", *words],
            cwd=tiny.parent,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["step"] == 8
        logs = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        return {
            f"{role}.{name}": tensor
            for role in ("generator", "discriminator")
            for name, tensor in load_file(out / f"checkpoints/step_8/{role}.safetensors").items()
        }, [one["losses"] for one in logs if "losses" in one]

    return go


def worst(one, other):
    assert one.keys() == other.keys()
    return max((one[name].double() - other[name].double()).abs().max().item() for name in one)


def test_two_ranks_equal_one_on_the_joined_batch(train):
    two, logs = train("two", processes=2, batch=1)
    one, again = train("one", processes=1, batch=2)
    assert worst(two, one) < 1e-8
    for mine, other in zip(logs, again, strict=True):
        assert mine == pytest.approx(other, rel=1e-5)
    assert "discriminator/r2/penalty" in logs[0]
    assert "discriminator/r2/penalty" not in logs[1]
    # The controls: one image a step, and the penalties left out, end elsewhere.
    assert worst(train("half", processes=1, batch=1)[0], one) > 1e-5
    plain = ('loss={use="pix2pix/cgan_l1",gan="gan/rpgan"}',)
    assert worst(train("plain", processes=1, batch=2, sets=plain)[0], one) > 1e-5
