"""Augmentations that observe discriminators hear every answer, once, and keep what they learn."""

from __future__ import annotations

import pytest
import torch

from ganzoo.cli.main import main
from ganzoo.data.pipeline import open_data
from ganzoo.engine import checkpoint
from ganzoo.engine.build import build
from ganzoo.engine.discriminator_answers import Answers
from ganzoo.engine.dry_run import try_step
from ganzoo.engine.plan import plan_networks
from ganzoo.engine.snapshot import capture, restore
from ganzoo.errors import DivergedError, ExitCode
from ganzoo.plugin_system.registry import current
from ganzoo.recipe import load_document, load_recipe
from ganzoo.testing.trial import training
from tests.narrow import narrow
from tests.runs import log_of

TOY = "observing_toy"
LISTENER = 'diffaugment="observing_toy/listener"'


@pytest.fixture(autouse=True)
def heard(toy_plugin):
    """The calls of every listener."""
    calls = current().choose("diffaugment", {"use": "observing_toy/listener"}).load().heard
    calls.clear()
    return calls


def test_it_hears_what_the_loss_is_given(tiny, heard):
    recipe = load_recipe(tiny, [LISTENER, "train.batch_size=2"])
    with training(recipe) as trainer:
        noted = []
        terms = trainer.loss.discriminator

        def noting(inputs):
            noted.append((inputs.real_output, inputs.fake_output))
            return terms(inputs)

        trainer.loss.discriminator = noting
        trainer.step()
        trainer.step()
        assert len(heard) == len(noted) == 2
        for (real, fake, clock, gradients), (shown, made), step in zip(
            heard, noted, (0, 1), strict=True
        ):
            assert torch.equal(real.logits[0], shown.logits[0])
            assert torch.equal(fake.logits[0], made.logits[0])
            assert not torch.equal(real.logits[0], fake.logits[0])
            assert real.logits[0].shape[0] == 2
            assert not real.logits[0].requires_grad
            assert not gradients
            assert clock.step == step
        assert trainer.diffaugments[0].calls == 2


def test_it_hears_all_discriminators_of_a_batch_together(tmp_path, heard):
    document = dict(narrow("cyclegan_shapes", tmp_path, log=1).document)
    document["diffaugment"] = [{"use": "observing_toy/listener"}]
    recipe = load_document(document, current())
    with training(recipe) as trainer:
        trainer.step()
    ((real, fake, *_),) = heard
    assert len(real.logits) == len(fake.logits) == 2


def test_it_hears_each_accumulated_batch(tiny, heard):
    with training(load_recipe(tiny, [LISTENER, "train.accumulate=3"])) as trainer:
        trainer.step()
    assert len(heard) == 3


def test_training_is_the_same_with_and_without_it(tiny):
    ends = []
    for sets in ([], [LISTENER]):
        with training(load_recipe(tiny, sets)) as trainer:
            trainer.step()
            trainer.step()
            ends.append([p.clone() for net in trainer.nets.values() for p in net.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_what_it_logs_stands_beside_the_terms(tiny, capsys):
    out = tiny.parent / "run"
    twice = 'diffaugment=["observing_toy/listener", "observing_toy/listener"]'
    words = ["run", str(tiny), "--out", str(out), "--max-steps", "3", "--set", twice]
    assert main(words) == 0
    said = capsys.readouterr().err
    (line,) = log_of(out)
    assert line["losses"]["listener/calls"] == line["losses"]["listener_2/calls"] == 2  # of 1, 2, 3
    assert "generator/l1" in str(line)
    assert "listener/calls 2" in said


def test_a_dry_run_leaves_it_as_it_was(tiny, heard):
    recipe = load_recipe(tiny, [LISTENER])
    plan = plan_networks(recipe, open_data(recipe, "train").fields)
    built = build(recipe, plan, torch.device("cpu"), torch.float32)
    for on_meta in (False, True):
        try_step(built, on_meta=on_meta)
        assert heard
        heard.clear()
        assert built.diffaugments[0].calls == 0
        assert built.diffaugments[0].total == 0


def test_a_resume_brings_back_what_it_learned(tiny, tmp_path):
    recipe = load_recipe(tiny, [LISTENER])
    with training(recipe) as trainer:
        trainer.step()
        saved = checkpoint.save(tmp_path, capture(trainer), keep=1, best=None)
        trainer.step()
        whole = trainer.diffaugments[0].total.clone()
    with training(recipe) as trainer:
        restore(trainer, checkpoint.load(saved))
        assert trainer.diffaugments[0].calls == 1
        trainer.step()
        assert torch.equal(trainer.diffaugments[0].total, whole)


def test_what_it_logs_must_be_finite(tiny):
    with training(load_recipe(tiny, [LISTENER])) as trainer:
        trainer.diffaugments[0].total.fill_(float("nan"))
        trainer.step()
        with pytest.raises(DivergedError, match="logged value 'listener/total' was not finite"):
            trainer.check_finite()


@pytest.mark.parametrize(("loss", "border"), [("lsgan", 0.5), ("hinge", 0), ("wgan", 0)])
def test_logits_are_relative_to_where_the_loss_decides(tiny, heard, loss, border):
    with training(load_recipe(tiny, [LISTENER, f"loss.gan=gan/{loss}"])) as trainer:
        noted = []
        terms = trainer.loss.discriminator

        def noting(inputs):
            noted.append(inputs.real_output)
            return terms(inputs)

        trainer.loss.discriminator = noting
        trainer.step()
    assert torch.equal(heard[0][0].logits[0], noted[0].logits[0] - border)


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ((LISTENER, "task=observing_toy/private"), "observing_toy/private asks its loss"),
        ((LISTENER, "discriminator=none", "loss.gan_weight=0"), "observing_toy/listener adapts"),
        (('diffaugment="gan/ada"', "loss.gan=gan/wgan"), "states no such logit"),
        (('diffaugment="gan/ada"', "loss.gan=gan/rpgan"), "compares real samples with generated"),
        (('diffaugment="observing_toy/unsaved"',), "isn't an nn.Module"),
        (('diffaugment="observing_toy/mute"',), "doesn't return what to log"),
    ],
)
def test_what_cannot_work_is_refused(tiny, capsys, sets, said):
    words = [str(tiny), *(part for one in sets for part in ("--set", one))]
    assert main(["check", *words]) != ExitCode.DONE
    assert said in capsys.readouterr().err
    assert main(["run", *words, "--max-steps", "1"]) != ExitCode.DONE
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("sets", "kept"), [("diffaugment=gan/diffaugment", 0), (LISTENER, 1)])
def test_answers_are_only_kept_for_one_that_observes(tiny, monkeypatch, sets, kept):
    monkeypatch.setattr(Answers, "tell", lambda *_: {})  # it would empty the list
    with training(load_recipe(tiny, [sets])) as trainer:
        trainer.step()
        answers = trainer.task.loss.answers
    assert len(answers) == kept
    for output in (output for answer in answers for output in answer):  # no graph is kept either
        assert not any(logits.requires_grad for logits in output.logits)
        assert not output.features
