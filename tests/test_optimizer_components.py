"""Optimizers and schedules of plugins: the kit, a training, and a resume."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

from ganzoo.engine.check import inspect_recipe
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.errors import PluginError, RecipeError
from ganzoo.observers import Voice
from ganzoo.plugin_system import registry
from ganzoo.plugin_system.discovery import discover
from ganzoo.recipe import load_recipe
from ganzoo.testing import cases
from ganzoo.testing.kit import CheckFailed
from tests.core_only import CORE_ONLY
from tests.runs import assert_same_bits, tensors

pytestmark = pytest.mark.usefixtures("toy_plugin")
TOY = ("optimizer_toy", "optimizer_faults_toy")
FILE = Path(__file__).parent / "toys" / "optimizer_toy.py"
sys.path.append(str(FILE.parent))  # as `--plugin` does
import optimizer_toy  # noqa: E402

REGISTRY = registry.Registry([*CORE_ONLY, *discover(files=[FILE], environ={}, entry_points=[])])
BROKEN = {**optimizer_toy.Broken.optimizers, **optimizer_toy.Broken.schedules}
MINE = ("check_optimizer_", "check_schedule_")


ALL = [case for case in cases("optimizer_toy", REGISTRY) if case.entry]
GOOD = [case for case in ALL if case.entry.component.name not in BROKEN]
CORES = [case for case in cases("ganzoo", REGISTRY) if case.check.name.startswith(MINE)]


@pytest.mark.parametrize("case", [*GOOD, *CORES], ids=lambda case: case.id)
def test_the_cores_own_and_good_toys_pass(case, tmp_path):
    case(tmp_path)


@pytest.mark.parametrize("name", BROKEN)
def test_broken_toys_are_caught(name, tmp_path):
    _, check, message = BROKEN[name]
    (case,) = (one for one in ALL if (one.entry.component.name, one.check.name) == (name, check))
    with pytest.raises(CheckFailed) as caught:
        case(tmp_path)
    assert message in str(caught.value)


SETS = (
    "optimizer={use='optimizer_toy/sign', betas=[0.5, {from=0.9, to=0.99}]}",
    "optimizer.schedule={use='optimizer_toy/wave', waves=3}",
    "players.discriminator={use='ganzoo/sgd', lr=1e-3}",
    "players.discriminator.schedule={use='ganzoo/steps', images=[3], factor=0.1}",
    "checkpoints.every=3 steps",
    "watch.log=2 steps",
)


def go(tiny, out, *, resume=None, steps, sets=SETS):
    recipe = None if resume else load_recipe(tiny, sets)
    voice = Voice(quiet=True)
    return run(recipe, out=out, resume=resume, limits=Limits(steps), voice=voice)


def test_a_plugins_optimizer_trains_and_resumes_to_the_bit(tiny, tmp_path):
    go(tiny, tmp_path / "whole", steps=6)
    go(tiny, tmp_path / "parts", steps=3)
    go(tiny, None, resume=tmp_path / "parts", steps=6)
    assert_same_bits(tmp_path / "whole", tmp_path / "parts", 6)
    names = tensors(tmp_path / "whole", 6)
    assert any("optimizer/generator" in n and n.endswith("/average") for n in names)
    assert any("optimizer/discriminator" in n and n.endswith("/momentum_buffer") for n in names)


def test_another_schedule_is_another_training(tiny, tmp_path):
    """The control of the test above."""
    go(tiny, tmp_path / "one", steps=3)
    other = [one.replace("waves=3", "waves=1") for one in SETS]
    go(tiny, tmp_path / "other", steps=3, sets=other)
    with pytest.raises(AssertionError):
        assert_same_bits(tmp_path / "one", tmp_path / "other", 3)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ("optimizer=optimizer_toy/lost", "doesn't have exactly the parameters"),
        ("optimizer=optimizer_toy/no_optimizer", "built a list, not a torch.optim.Optimizer"),
        ("optimizer.schedule=optimizer_toy/falls_below", "gives the factor -"),
    ],
)
def test_a_broken_one_is_named(tiny, tmp_path, sets, message):
    with pytest.raises(PluginError) as caught:
        raise go(tiny, tmp_path / "run", steps=None, sets=[sets]).error
    assert message in str(caught.value)
    assert "optimizer_toy/" in str(caught.value)


FAULT = "optimizer_faults_toy"


@pytest.mark.parametrize(
    ("sets", "kind", "where", "message"),
    [
        (f"optimizer={FAULT}/forgetful", PluginError, "optimizer", "as 'lr', not a finite number"),
        (f"optimizer={FAULT}/endless", PluginError, "optimizer", "(0.5, nan) as 'betas'"),
        (f"optimizer={FAULT}/failing", PluginError, "optimizer", "no attribute 'rate'"),
        (
            f"players.discriminator={FAULT}/misspelt",
            PluginError,
            "players.discriminator",
            "line 48",
        ),
        (
            f"players.discriminator={FAULT}/refusing",
            RecipeError,
            "players.discriminator",
            "below 1",
        ),
        (f"optimizer.schedule={FAULT}/of_clock", PluginError, "optimizer.schedule", "2 positional"),
    ],
)
def test_a_failing_one_is_found_by_check_and_before_a_run(
    tiny, tmp_path, sets, kind, where, message
):
    with pytest.raises(kind) as caught:
        go(tiny, tmp_path / "run", steps=None, sets=[sets])
    assert not (tmp_path / "run").exists()
    assert FAULT in caught.value.message
    assert caught.value.where == where
    (problem,) = inspect_recipe(load_recipe(tiny, [sets]))["problems"]
    for error in (caught.value.message, problem["message"]):
        assert message in error
    assert (problem["where"], problem["exit_code"]) == (where, caught.value.exit_code)


def test_a_state_that_cannot_be_saved_is_found_in_the_first_step(tiny, tmp_path):
    result = go(tiny, tmp_path / "run", steps=None, sets=["optimizer=optimizer_toy/numbers"])
    assert "keeps 'steps' of a weight as an int" in str(result.error)
    assert result.document["step"] == 0


def test_steps_multiply_the_rate_at_their_points():
    def factors(**options):
        chosen = REGISTRY.choose("schedule", {"use": "ganzoo/steps", **options})
        return [chosen.build(Clock(i), 1) for i in range(11)]

    class Clock:
        def __init__(self, images):
            self.images, self.progress = images, images / 10

    assert factors(at=[0.5, 0.8]) == [1] * 5 + [0.5] * 3 + [0.25] * 3
    assert factors(images=[5, 8]) == factors(at=[0.5, 0.8])
    warm = factors(at=[0.5], factor=0.1, warmup=0.4)
    assert warm[:6] == [pytest.approx(one) for one in (0, 0.25, 0.5, 0.75, 1, 0.1)]
    assert math.isclose(warm[-1], 0.1)
