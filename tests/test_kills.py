"""A seeded part of `python -m tests.faults.kills`, and controls that it would notice a loss."""

import time

import pytest
import torch

from tests.faults.kills import Kills, differences


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_killed_runs_go_on_to_the_same_bits(tmp_path):
    kills = Kills(tmp_path)
    assert {"open", "write", "fsync", "rename", "unlink", "mkdir"} <= kills.counts.keys()
    until = time.monotonic() + 60
    tried = 0
    for number, case in enumerate(kills.cases(30, seed=1)):
        if time.monotonic() > until:
            break
        assert kills.outcome(number, case).wrong == "", case
        tried += 1
    assert tried >= len(kills.counts) // 2


def test_an_end_that_differs_in_one_bit_is_seen():
    weights = torch.zeros(3)
    other = weights.clone()
    other[1] = torch.finfo(torch.float32).tiny
    assert differences({"w": weights, "s": "x"}, {"w": weights.clone(), "s": "x"}) == ""
    assert differences({"w": weights}, {"w": other}) == "not the same: ['w']"
    assert differences({"w": weights}, {}) == "not in both: ['w']"
