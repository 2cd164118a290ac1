"""What a step logs waits on the device, and is read as it was when it was given."""

from __future__ import annotations

import math

import pytest
import torch

from ganzoo.engine import optimize as stepper_module
from ganzoo.errors import DivergedError
from ganzoo.interfaces import Clock


@pytest.fixture
def stepper(tiny, trainer_of):
    return trainer_of(tiny).stepper


def turn(stepper, step: int, **terms: float) -> None:
    """The generator's turn of a step; each term has a gradient, which is zero."""
    weight = stepper.names["generator"][0][1]
    stepper.clock = Clock(step - 1, step - 1, 0.0)
    stepper("generator", {name: value + 0 * weight.sum() for name, value in terms.items()})


@pytest.mark.parametrize("held", [1, 3, 1000])
def test_means_are_those_of_all_turns_however_many_may_wait(stepper, held, monkeypatch):
    monkeypatch.setattr(stepper_module, "_HELD", held)
    for step in range(1, 8):
        terms = {"a": float(step)} | ({"b": 10.0 * step} if step % 2 else {})
        turn(stepper, step, **terms)
        assert len(stepper._waiting) < held
    assert stepper.logs(keep=True) == {"generator/a": 4.0, "generator/b": 40.0}
    assert stepper.logs() == {"generator/a": 4.0, "generator/b": 40.0}
    assert stepper.logs() == {}


def test_the_first_step_that_was_not_finite_is_named_however_late_it_is_read(stepper):
    for step in range(1, 9):
        turn(stepper, step, a=1.0, b=math.nan if step >= 5 else 1.0)
    with pytest.raises(DivergedError, match=r"term 'b' of player 'generator'.* at step 5"):
        stepper.logs()


def test_a_window_goes_through_a_checkpoint(stepper):
    third = 1 / 3
    for step in (1, 2):
        turn(stepper, step, a=third)
    tensors, plain = stepper.state()
    turn(stepper, 3, a=third)
    whole = stepper.logs()
    stepper.load_state(tensors, plain)
    turn(stepper, 3, a=third)
    assert stepper.logs() == whole
    turn(stepper, 4, a=2.0)
    assert stepper.logs() != whole


def test_a_loss_may_change_its_own_tensor_afterwards(stepper):
    weight = stepper.names["generator"][0][1]
    kept = torch.ones(1)
    for _ in range(2):
        stepper("generator", {"a": 0 * weight.sum(), "kept": kept})
        kept += 1
    assert stepper.logs()["generator/kept"] == 1.5


def test_terms_of_several_precisions_are_logged_together(stepper):
    weight = stepper.names["generator"][0][1]
    half = torch.tensor([0.5], dtype=torch.bfloat16)
    stepper("generator", {"a": 1 + 0 * weight.sum(), "half": half})
    assert stepper.logs() == {"generator/a": 1.0, "generator/half": 0.5}
