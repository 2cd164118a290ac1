"""Two real processes over gloo: the same weights on both, equal to one process on both batches."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from tests.runs import ganzoo, losses, train, weights, worst

pytestmark = pytest.mark.slow

EXACT = (
    "generator.norm=instance",
    "discriminator.norm=instance",
    "generator.dropout=0",
    "watch.log=1 steps",
)


def test_two_ranks_equal_one_on_the_joined_batch(tiny):
    exact = (*EXACT, "train.precision=fp64", "train.epochs=8")
    two = train(tiny, "two", *exact, "train.batch_size=1", processes=2, steps=20)
    one = train(tiny, "one", *exact, "train.batch_size=2", processes=1, steps=20)
    assert worst(weights(two, 20), weights(one, 20)) < 1e-8
    # The control: one process that sees one image a step ends elsewhere.
    half = train(tiny, "half", *exact, "train.batch_size=1", processes=1, steps=20)
    assert worst(weights(half, 20), weights(one, 20)) > 1e-5


def test_two_ranks_that_start_from_weights_equal_one_that_does(tiny):
    source = train(
        tiny, "source", "train.seed=5", "train.precision=fp64", *EXACT, processes=1, steps=1
    )
    exact = (*EXACT, "train.precision=fp64", "train.epochs=8", f"start.generator={source}")
    exact += ('start.freeze=["generator/encoder.*"]',)
    two = train(tiny, "two", *exact, "train.batch_size=1", processes=2, steps=4)
    one = train(tiny, "one", *exact, "train.batch_size=2", processes=1, steps=4)
    assert worst(weights(two, 4), weights(one, 4)) < 1e-8
    theirs, mine = weights(source, 1), weights(two, 4)
    kept = {name for name in mine if torch.equal(mine[name], theirs[name])}
    assert kept == {name for name in mine if name.startswith("generator.encoder.")}


def test_two_ranks_that_accumulate_equal_one_that_does(tiny):
    """No gradient of the batches before the last is lost, or counted twice, in DDP's buckets."""
    exact = (*EXACT, "train.precision=fp64", "train.epochs=8")
    two = train(
        tiny, "two", *exact, "train.batch_size=1", "train.accumulate=2", processes=2, steps=10
    )
    one = train(
        tiny, "one", *exact, "train.batch_size=2", "train.accumulate=2", processes=1, steps=10
    )
    assert worst(weights(two, 10), weights(one, 10)) < 1e-8
    # The control: the last batch of each step alone, of as many images.
    single = train(tiny, "single", *exact, "train.batch_size=2", processes=1, steps=10)
    assert worst(weights(single, 10), weights(one, 10)) > 1e-5


def test_first_losses_of_two_ranks_in_fp32(tiny):
    exact = (*EXACT, "train.precision=fp32")
    two = train(tiny, "two", *exact, "train.batch_size=1", processes=2, steps=1)
    one = train(tiny, "one", *exact, "train.batch_size=2", processes=1, steps=1)
    for name, value in losses(one)[0].items():
        assert losses(two)[0][name] == pytest.approx(value, abs=1e-5)
    state = "checkpoints/step_1/training_state.safetensors"
    first, second = load_file(two / state), load_file(one / state)
    moments = [name for name in second if name.endswith("exp_avg")]
    assert moments
    for name in moments:  # after one step Adam's first moment is 0.5 times the gradient
        torch.testing.assert_close(first[name], second[name], atol=1e-5, rtol=1e-3)


def test_both_ranks_hold_the_same_weights_and_resume_exactly(tiny):
    """Batch norm and dropout on: the ranks differ in noise and statistics, never in weights."""
    whole = train(tiny, "whole", processes=2, steps=6)
    train(tiny, "parts", processes=2, steps=3)
    parts = train(tiny, "parts", processes=2, steps=6)
    assert worst(weights(whole, 6), weights(parts, 6)) == 0
    assert losses(whole) == losses(parts)
    state = load_file(whole / "checkpoints/step_6/training_state.safetensors")
    buffers = [n for n in state if n.startswith("rank0/buffer/") and n.endswith("running_mean")]
    assert buffers
    differ = [n for n in buffers if not torch.equal(state[n], state[n.replace("rank0", "rank1")])]
    assert differ  # each rank has statistics of its own images ...
    name = differ[0].removeprefix("rank0/buffer/").replace("/", ".", 1)
    mean = (state[differ[0]] + state[differ[0].replace("rank0", "rank1")]) / 2
    torch.testing.assert_close(weights(whole, 6)[name], mean)  # ... and the weights file the mean


def test_another_rank_count_is_said(tiny):
    train(tiny, "run", processes=2, steps=2)
    ended = ganzoo("run", "--resume", "run", "--max-steps", "3", cwd=tiny.parent)
    assert ended.returncode == 0, ended.stderr
    assert "ranks 2 -> 1" in ended.stderr
    assert "aren't bit for bit" in ended.stderr


def test_sigterm_to_the_launcher_saves_and_exits_130(tiny):
    process = subprocess.Popen(
        [sys.executable, "-m", "ganzoo", "run", str(tiny), "--out", "run", "--processes", "2",
         "--device", "cpu", "--set", "train.epochs=100000"],
        cwd=tiny.parent, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    log = tiny.parent / "run" / "metrics.jsonl"
    until = time.monotonic() + 120
    while not log.exists() and time.monotonic() < until:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert list((tiny.parent / "run" / "checkpoints").glob("step_*"))


def test_kill_9_in_the_middle_then_resume(tiny):
    arguments = ["run", str(tiny), "--set", "checkpoints.every=5 steps", "--max-steps", "20"]
    whole = ganzoo(*arguments, "--out", "whole", cwd=tiny.parent)
    assert whole.returncode == 0, whole.stderr
    process = subprocess.Popen(
        [sys.executable, "-m", "ganzoo", *arguments, "--out", "parts"],
        cwd=tiny.parent, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    until = time.monotonic() + 120
    while not (tiny.parent / "parts/checkpoints/LATEST").exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.wait()
    ended = ganzoo("run", "--resume", "parts", "--max-steps", "20", cwd=tiny.parent)
    assert ended.returncode == 0, ended.stderr
    assert worst(weights(tiny.parent / "whole", 20), weights(tiny.parent / "parts", 20)) == 0
