"""Blocks that leave the global random generators alone."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from ganzoo.data.rng import get_state, isolated, isolated_torch, seed_all, set_state


def draw():
    return torch.rand(()).item(), np.random.random(), random.random()  # noqa: NPY002


@pytest.fixture(autouse=True)
def _as_before():
    before = get_state()
    yield
    set_state(*before)


@pytest.mark.parametrize("seed", [None, 3, 2**40])
def test_a_block_gives_every_generator_back(seed):
    seed_all(1)
    expected = draw()
    seed_all(1)
    with isolated(seed):
        inside = draw()
    assert draw() == expected
    assert (inside == expected) == (seed is None)


def test_a_block_that_fails_gives_every_generator_back():
    seed_all(1)
    expected = draw()
    seed_all(1)
    with pytest.raises(ZeroDivisionError), isolated(3):
        _ = draw()[0] / 0
    assert draw() == expected


def test_a_seeded_block_draws_what_seed_all_gives():
    seed_all(3)
    expected = draw()
    with isolated(3):
        assert draw() == expected
    with isolated(4):
        assert draw() != expected


def test_the_block_for_torch_leaves_the_others_running():
    seed_all(1)
    first, second = draw(), draw()
    seed_all(1)
    with isolated_torch(3):
        inside = draw()
    after = draw()
    assert inside[1:] == first[1:]
    assert (after[0], *after[1:]) == (first[0], *second[1:])
