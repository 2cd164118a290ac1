"""A player may begin later: until then its networks and the terms that need them are absent."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ganzoo.data.pipeline import open_data
from ganzoo.engine import dry_run
from ganzoo.engine.check import inspect_recipe
from ganzoo.engine.intervals import Limits
from ganzoo.engine.late_players import LatePlayers
from ganzoo.engine.plan import plan_networks
from ganzoo.engine.run import run
from ganzoo.errors import GanzooError, PluginError, RecipeError
from ganzoo.interfaces import Clock
from ganzoo.observers import Voice
from ganzoo.plugin_system.registry import current
from ganzoo.recipe import RecipeProblems, load_recipe
from ganzoo.testing import cases
from ganzoo.testing.kit import CheckFailed
from tests.runs import assert_same_bits, log_of, losses, train, weights, worst

LATE = "players.discriminator.begin=2 steps"
SETS = (LATE, "watch.log=1 steps", "checkpoints.every=1 steps", "checkpoints.keep=9")
ALONE = {"generator/l1"}


def go(tiny, out=None, *, resume=None, steps, sets=SETS, quiet=True):
    recipe = None if resume else load_recipe(tiny, sets)
    result = run(recipe, out=out, resume=resume, limits=Limits(steps), voice=Voice(quiet=quiet))
    assert result.error is None
    return out or resume


def test_until_it_begins_its_terms_are_absent_and_its_weights_stay(tiny, trainer_of):
    trainer = trainer_of(tiny, LATE)
    weight = next(trainer.nets["discriminator"].parameters())
    before, terms, moved = weight.detach().clone(), [], []
    for _ in range(4):
        trainer.step()
        terms.append(set(trainer.stepper.logs()))
        moved.append(not torch.equal(weight, before))
    assert [names == ALONE for names in terms] == [True, True, False, False]
    assert {"generator/gan", "generator/l1", "discriminator/real"} <= terms[2]
    assert moved == [False, False, True, True]
    assert trainer.stepper.moves == {"generator": 4, "discriminator": 2}


def test_the_generator_learns_as_if_there_were_no_discriminator(tiny, tmp_path):
    late = go(tiny, tmp_path / "late", steps=3)
    without = ("discriminator=none", "loss.gan_weight=0", *SETS[1:])
    alone = go(tiny, tmp_path / "alone", steps=3, sets=without)
    for step, same in ((2, True), (3, False)):
        one, other = (
            load_file(path / "checkpoints" / f"step_{step}" / "generator.safetensors")
            for path in (late, alone)
        )
        assert all(torch.equal(one[name], other[name]) for name in one) == same


@pytest.mark.parametrize(
    ("begin", "clocks"),
    [
        ("2 epochs", [Clock(99, 99, 0.1, 1), Clock(0, 0, 0.0, 2)]),
        ("3 steps", [Clock(2, 99, 0.5, 9), Clock(3, 0, 0.0)]),
        ("8 images", [Clock(9, 7, 0.5, 9), Clock(0, 8, 0.0)]),
    ],
)
def test_it_begins_by_the_clock(tiny, trainer_of, begin, clocks):
    late = trainer_of(tiny, f"players.discriminator.begin={begin}").late
    before, after = clocks
    assert late.not_begun(before) == {"discriminator"}
    assert late.hidden(late.not_begun(before)) == {"discriminator"}
    assert late.not_begun(after) == frozenset()
    assert late.in_words("discriminator") == begin


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_resume_across_the_beginning_is_exact(tiny, tmp_path, at):
    whole = go(tiny, tmp_path / "whole", steps=4)
    parts = go(tiny, tmp_path / "parts", steps=at)
    go(tiny, resume=parts, steps=4)
    assert_same_bits(whole, parts, 4)
    assert set(log_of(whole)[1]["losses"]) == ALONE
    assert len(log_of(whole)[2]["losses"]) > 1


def test_the_log_says_when_it_begins(tiny, tmp_path, capsys):
    go(tiny, tmp_path / "run", steps=4, quiet=False)
    said = " ".join(capsys.readouterr().err.split())
    assert "the player discriminator begins after 2 steps; until then its terms are absent" in said
    assert said.count("step 3: the player discriminator begins") == 1
    go(tiny, tmp_path / "other", steps=3, sets=SETS[1:], quiet=False)
    assert "begins" not in capsys.readouterr().err


@pytest.mark.slow
def test_two_ranks_begin_together(tiny):
    exact = ("generator.norm=instance", "discriminator.norm=instance", "generator.dropout=0")
    sets = (*exact, LATE, "watch.log=1 steps", "train.precision=fp64")
    one = train(tiny, "one", *sets, "train.batch_size=4", processes=1, steps=4)
    two = train(tiny, "two", *sets, "train.batch_size=2", processes=2, steps=4)
    assert set(losses(two)[1]) == ALONE
    assert worst(weights(one, 4), weights(two, 4)) < 1e-9


# What is refused.


def refused(recipe: Path | str, *sets: str) -> str:
    """What `check` says; a run says the same before it begins."""
    try:
        found = inspect_recipe(load_recipe(recipe, sets))["problems"]
    except GanzooError as error:
        return str(error)
    return "\n".join(map(str, found))


def test_a_task_that_needs_the_player_in_every_step_is_refused():
    said = refused("cyclegan_shapes", "players.discriminators.begin=2 epochs")
    assert "cyclegan/unpaired needs discriminator_a, discriminator_b in every step" in said
    said = refused("gan_ring", "players.generator.begin=2 epochs")
    assert "gan/from_noise needs generator in every step" in said


def test_a_loss_without_another_term_is_refused_before_the_training(tiny):
    said = refused(tiny, "loss=gan/vanilla", LATE)
    assert "nothing to minimise before discriminator begins" in said
    assert refused(tiny, LATE) == ""  # the control: L1 is left
    assert refused(tiny, "loss=gan/vanilla") == ""


def test_each_phase_is_tried_before_the_training(tiny, monkeypatch):
    """The discriminator's terms are only needed after its beginning."""

    def broken(*_):
        raise ValueError("this is the second phase")

    loss = current().choose("loss", {"use": "pix2pix/cgan_l1"}).load()
    monkeypatch.setattr(loss, "discriminator", broken)
    assert "this is the second phase" in refused(tiny, LATE)
    # The control: the first phase alone finds nothing.
    play = dry_run._play

    def first_only(task, nets, optimize, *others):
        if optimize.not_begun:
            play(task, nets, optimize, *others)

    monkeypatch.setattr(dry_run, "_play", first_only)
    assert refused(tiny, LATE) == ""


def test_what_fails_with_every_player_is_not_blamed_on_the_beginning(tiny, monkeypatch):
    late = False

    def broken(_, inputs):
        if not late or inputs.fake_output is None:
            raise RecipeError("a fault", hint="its own hint")
        return {"l1": inputs.fake.mean()}

    loss = current().choose("loss", {"use": "pix2pix/cgan_l1"}).load()
    monkeypatch.setattr(loss, "generator", broken)
    said = refused(tiny, LATE)
    assert "a fault" in said
    assert "before discriminator begins" not in said
    late = True
    said = refused(tiny, LATE)
    assert "a fault before discriminator begins" in said
    assert "its own hint" in said


@pytest.mark.parametrize("begin", ["9 epochs", "3 epochs", "999999 steps", "999999 images"])
def test_a_beginning_after_the_end_is_refused(tiny, trainer_of, begin):
    sets = f"players.discriminator.begin={begin}", "train.epochs=3"
    with pytest.raises(RecipeError, match=r"begins after .*, and the last step of the planned"):
        trainer_of(tiny, *sets)
    assert "the last step of the planned training starts after" in refused(tiny, *sets)


def test_a_beginning_in_the_last_step_is_refused(tiny):
    """With 100 samples the second and last step of 64 starts after 64 images."""

    def check(begin, samples, world=1):
        sets = (f"players.discriminator.begin={begin}", "train.batch_size=64", "train.epochs=1")
        recipe = load_recipe(tiny, sets)
        plan = plan_networks(recipe, open_data(recipe, "train").fields)
        LatePlayers(recipe, plan).check_begins(samples, world)

    check("64 images", 100)
    check("1 step", 100)
    for begin in ("65 images", "2 steps", "1 epoch"):
        with pytest.raises(RecipeError, match="planned training starts after"):
            check(begin, 100)
    check("70 images", 200)
    with pytest.raises(RecipeError, match="starts after 0 images with 2 processes"):
        check("64 images", 100, 2)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ("optimizer.begin=2 steps", "is a key of a single player"),
        ("players.discriminator.begin=2 minutes", 'must be like "5 epochs"'),
        ("players.discriminator.begin=never", 'must be like "5 epochs"'),
        ("players.discriminator.begin=soon", 'must be like "5 epochs"'),
        ("players.discriminator.begin=-1 steps", 'must be like "5 epochs"'),
        ("players.discriminator.begin=2", "must be text"),
    ],
)
def test_a_wrong_beginning_is_named(tiny, sets, message):
    with pytest.raises(RecipeProblems) as caught:
        load_recipe(tiny, [sets])
    assert message in str(caught.value)


def test_a_task_that_doesnt_look_is_named(tiny, trainer_of):
    trainer = trainer_of(tiny, LATE)
    trainer.stepper.not_begun = frozenset({"generator"})
    with pytest.raises(PluginError, match="optimises 'generator' before the player begins"):
        trainer.stepper("generator", {})


# The kit.


def begin_later(folder, monkeypatch=None):
    (case,) = (
        one
        for one in cases("pix2pix", current())
        if one.check.name == "check_task_players_begin_later"
    )
    if monkeypatch is not None:
        monkeypatch.setattr(LatePlayers, "hidden", lambda *_: frozenset())
    case(folder)


def test_the_kit_lets_the_discriminator_begin_later(tmp_path, monkeypatch):
    begin_later(tmp_path)
    with pytest.raises(CheckFailed, match="look in `nets` in each step"):
        begin_later(tmp_path, monkeypatch)  # the task sees the networks all the same
