"""A discriminator rests while it is right too often: decided at log steps, and resumed exactly."""

from __future__ import annotations

import pytest
import torch

from ganzoo.engine.check import inspect_recipe
from ganzoo.engine.intervals import Limits
from ganzoo.engine.optimize import Stepper
from ganzoo.engine.run import run
from ganzoo.engine.task_names import ACCURACY
from ganzoo.errors import GanzooError, RecipeError
from ganzoo.observers import Voice
from ganzoo.recipe import RecipeProblems, load_recipe
from tests.runs import assert_same_bits, log_of, tensors, train, weights, worst
from tests.test_ranks import EXACT

REST = "players.discriminator.rest_above=0.9"
SETS = (REST, "watch.log=1 steps", "checkpoints.every=1 steps", "checkpoints.keep=9")
SHARES = (0.95, 0.92, 0.9, 0.5, 0.95, 0.95)
"""The accuracy in each step: with a log step after each, the second, third and sixth step rest."""


@pytest.fixture
def controlled(monkeypatch):
    """Let the accuracy of each step be that of a list, whatever the discriminator answers."""
    shares = list(SHARES)
    note = Stepper.note

    def noted(self, source, values):
        if source == ACCURACY:
            values = {player: torch.tensor(shares[self.clock.step]) for player in values}
        note(self, source, values)

    monkeypatch.setattr(Stepper, "note", noted)
    return shares


def go(tiny, out=None, *, resume=None, steps, sets=SETS, quiet=True):
    recipe = load_recipe(tiny, sets) if tiny else None
    result = run(recipe, out=out, resume=resume, limits=Limits(steps), voice=Voice(quiet=quiet))
    assert result.error is None
    return out or resume


@pytest.mark.parametrize("accumulate", [1, 2])
def test_it_makes_no_step_while_it_is_above_the_bound(tiny, trainer_of, controlled, accumulate):
    trainer = trainer_of(tiny, REST, f"train.accumulate={accumulate}")
    nets, seen = trainer.nets, []
    for _ in SHARES:
        before = {role: next(net.parameters()).clone() for role, net in nets.items()}
        trainer.step()
        moved = {r for r, net in nets.items() if not torch.equal(next(net.parameters()), before[r])}
        seen.append("discriminator" in moved)
        assert "generator" in moved
        assert "discriminator/real" in trainer.stepper.logs()
        assert all(p.grad is None for net in nets.values() for p in net.parameters())
    assert seen == [True, False, False, True, True, False]  # 0.9 itself isn't above the bound
    assert trainer.stepper.moves == {"generator": 6, "discriminator": 3}


def test_it_is_decided_by_the_mean_of_a_closed_window(tiny, trainer_of, controlled):
    controlled[:] = [0.99, 0.6, 0.99, 0.95]
    trainer = trainer_of(tiny, REST)
    stepper = trainer.stepper
    trainer.step()
    stepper.logs(keep=True)
    assert not stepper.rest.resting
    trainer.step()
    stepper.logs()
    assert not stepper.rest.resting  # 0.795
    trainer.step()
    trainer.step()
    stepper.logs()
    assert stepper.rest.resting == {"discriminator"}
    stepper.logs()  # without a turn
    assert stepper.rest.resting == {"discriminator"}


def test_a_step_in_which_only_resting_players_have_a_turn_is_no_error(tiny, trainer_of, controlled):
    trainer = trainer_of(tiny, REST)
    step = trainer.task.step

    def alone(batch, optimize):
        step(batch, lambda who, terms: who == "generator" or optimize(who, terms))

    trainer.step()
    trainer.stepper.logs()
    trainer.task.step = alone
    trainer.step()
    trainer.task.step = lambda *_: None
    with pytest.raises(GanzooError, match="optimised no player"):
        trainer.step()


@pytest.mark.parametrize("at", [2, 3])
@pytest.mark.usefixtures("controlled")
def test_a_resume_across_a_rest_is_exact(tiny, tmp_path, at):
    sets = (*SETS, "watch.log=2 steps")
    whole = go(tiny, tmp_path / "whole", steps=6, sets=sets)
    parts = go(tiny, tmp_path / "parts", steps=at, sets=sets)
    go(None, resume=parts, steps=6)
    assert_same_bits(whole, parts, 6)
    assert [line["resting"] for line in log_of(whole)] == [["discriminator"], [], ["discriminator"]]


@pytest.mark.usefixtures("controlled")
def test_a_resume_that_forgets_the_rest_is_noticed(tiny, tmp_path, monkeypatch):
    whole = go(tiny, tmp_path / "whole", steps=3)
    parts = go(tiny, tmp_path / "parts", steps=1)
    load = Stepper.load_state
    monkeypatch.setattr(
        Stepper, "load_state", lambda self, t, plain: load(self, t, {**plain, "resting": []})
    )
    go(None, resume=parts, steps=3)
    with pytest.raises(AssertionError):
        assert_same_bits(whole, parts, 3)


def test_a_bound_that_is_never_reached_changes_no_bit(tiny, tmp_path, controlled):
    controlled[:] = [0.9] * 3
    with_it = go(tiny, tmp_path / "with", steps=3)
    without = go(tiny, tmp_path / "without", steps=3, sets=SETS[1:])
    one, other = tensors(with_it, 3), tensors(without, 3)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert all("resting" not in line for line in log_of(without))
    controlled[:] = [0.91] * 3
    rested = tensors(go(tiny, tmp_path / "rested", steps=3), 3)
    assert not all(torch.equal(rested[name], other[name]) for name in other)


@pytest.mark.usefixtures("controlled")
def test_the_log_says_when_it_begins_and_ends(tiny, tmp_path, capsys):
    path = go(tiny, tmp_path / "run", steps=5, quiet=False)
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("the player discriminator rests: it was right in 95.0%") == 2
    assert "step 1: the player discriminator rests" in said
    assert said.count("no longer rests") == 1
    assert "step 3: the player discriminator no longer rests: it was right in 90.0%" in said
    assert said.count("discriminator right 95%, rests") == 2
    rests = [bool(line["resting"]) for line in log_of(path)]
    assert rests == [True, True, False, False, True]
    go(None, resume=path, steps=6, quiet=False)
    assert "the player discriminator rests, as it did" in capsys.readouterr().err


@pytest.mark.usefixtures("controlled")
def test_tensorboard_has_a_curve_of_its_rests(tiny, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    go(tiny, tmp_path / "run", steps=4, sets=(*SETS, "watch.tensorboard=true"))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [event.value for event in events.Scalars("resting/discriminator")] == [1, 1, 0, 0]


@pytest.mark.usefixtures("controlled")
def test_a_resume_with_another_log_interval_is_refused(tiny, tmp_path):
    path = go(tiny, tmp_path / "run", steps=2)
    with pytest.raises(RecipeError) as caught:
        go(tiny, resume=path, steps=3, sets=(*SETS, "watch.log=2 steps"))
    assert "watch.log: 1 steps -> 2 steps" in caught.value.hint
    assert "decides when a player rests" in caught.value.hint
    go(tiny, resume=path, steps=3, sets=(*SETS, "watch.samples=2 steps"))


@pytest.mark.slow
def test_two_ranks_rest_together(tiny):
    sets = (*EXACT, "train.precision=fp64", "train.epochs=8", "players.discriminator.lr=1e-2")
    rest = (*sets, "players.discriminator.rest_above=0.52")
    one = train(tiny, "one", *rest, "train.batch_size=2", processes=1, steps=6)
    two = train(tiny, "two", *rest, "train.batch_size=1", processes=2, steps=6)
    rests = [line["resting"] for line in log_of(two)]
    assert rests == [line["resting"] for line in log_of(one)]
    assert [] in rests
    assert ["discriminator"] in rests[:-1]
    assert worst(weights(one, 6), weights(two, 6)) < 1e-7
    never = train(tiny, "never", *sets, "train.batch_size=1", processes=2, steps=6)
    assert worst(weights(never, 6), weights(two, 6)) > 1e-5


# What is refused.


def refused(recipe, *sets):
    """What `check` says; a run says the same before it begins."""
    try:
        found = inspect_recipe(load_recipe(recipe, sets))["problems"]
    except GanzooError as error:
        return str(error)
    return "\n".join(map(str, found))


def test_a_player_without_an_accuracy_is_refused_before_the_training(tiny, tmp_path):
    assert refused(tiny, REST) == ""
    said = refused(tiny, REST, "loss.gan=gan/wgan")
    assert "[players.discriminator] can't rest" in said
    assert "nothing says how often it is right" in said
    said = refused(tiny, "players.generator.rest_above=0.9")
    assert "[players.generator] can't rest: only discriminators have an accuracy" in said
    with pytest.raises(RecipeError, match="can't rest"):
        go(tiny, tmp_path / "run", steps=1, sets=(*SETS, "loss.gan=gan/wgan"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (("optimizer.rest_above=0.9",), "is a key of a single player"),
        (("players.discriminator.rest_above=0.5",), "must be greater than 0.5"),
        (("players.discriminator.rest_above=1",), "must be less than 1"),
        (("players.discriminator.rest_above=90",), "must be less than 1"),
        ((REST, "watch.log=never"), 'is decided at log steps, and watch.log is "never"'),
        ((REST, "watch.log=2 minutes"), "set watch.log in steps, images or epochs"),
    ],
)
def test_a_wrong_bound_is_named(tiny, sets, message):
    with pytest.raises(RecipeProblems) as caught:
        load_recipe(tiny, sets)
    assert message in str(caught.value)
