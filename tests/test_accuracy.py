"""How often the discriminator is right: computed from what the loss saw, and logged."""

from __future__ import annotations

import json

import pytest
import torch

from ganzoo.engine.build import SummedLoss
from ganzoo.engine.discriminator_answers import accuracy, border_of
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.errors import PluginError
from ganzoo.interfaces import DiscriminatorOutput
from ganzoo.observers import Voice
from ganzoo.plugin_system.registry import current
from ganzoo.recipe import load_recipe
from ganzoo.testing import cases
from ganzoo.testing.kit import CheckFailed
from tests.runs import assert_same_bits, log_of

SETS = ("watch.log=1 steps", "checkpoints.every=1 steps", "checkpoints.keep=9")


def answers(*scales):
    return DiscriminatorOutput(tuple(torch.tensor(scale) for scale in scales))


@pytest.mark.parametrize(
    ("real", "fake", "decides", "share"),
    [
        ([[1.0, 2.0]], [[-1.0, -2.0]], 0.0, 1),
        ([[1.0, -2.0]], [[-1.0, -2.0]], 0.0, 0.75),
        ([[-1.0, -2.0]], [[1.0, 2.0]], 0.0, 0),
        ([[0.4, 0.6]], [[0.4, 0.6]], 0.5, 0.5),
        ([[0.6, 0.7]], [[0.4, 0.1]], 0.5, 1),
        ([[0.0]], [[0.0]], 0.0, 0.5),  # the border counts half
        ([[3.0, 1.0]], [[2.0, 2.0]], "pairs", 0.5),
        ([[3.0, 3.0]], [[2.0, 3.0]], "pairs", 0.75),
        ([[1.0] * 9, [-1.0]], [[-1.0] * 9, [1.0]], 0.0, 0.5),  # each scale has the same weight
    ],
)
def test_the_share_of_right_answers(real, fake, decides, share):
    assert accuracy(answers(*real), answers(*fake), decides).item() == pytest.approx(share)


def loss(name):
    return current().choose("loss", name).build()


def test_each_loss_says_where_it_decides():
    said = {name: border_of(loss(f"gan/{name}")) for name in ("vanilla", "lsgan", "hinge", "rpgan")}
    assert said == {"vanilla": 0.0, "lsgan": 0.5, "hinge": 0.0, "rpgan": "pairs"}
    assert border_of(loss("gan/wgan")) is None
    assert border_of(loss("gan/r1")) is None
    assert border_of(SummedLoss({"r1": loss("gan/r1"), "gan": loss("gan/lsgan")})) == 0.5
    assert border_of(loss({"use": "pix2pix/cgan_l1", "gan": "gan/lsgan"})) == 0.5
    odd = loss("gan/vanilla")
    odd.decides = "often"
    with pytest.raises(PluginError, match="decide at 'often'"):
        border_of(odd)


def test_the_kit_holds_a_loss_to_its_terms_at_chance(tmp_path, monkeypatch):
    found = {
        case.entry.id: case
        for case in cases("gan", current())
        if case.check.name == "check_loss_attributes"
    }
    for name in ("vanilla", "lsgan", "hinge", "rpgan"):
        found[f"gan/{name}"](tmp_path)
    monkeypatch.setattr(type(loss("gan/lsgan")), "decides", 0.0)
    with pytest.raises(CheckFailed, match="where it says that the discriminator decides"):
        found["gan/lsgan"](tmp_path)


def go(tiny, out=None, *, resume=None, steps, sets=(), quiet=True):
    recipe = None if resume else load_recipe(tiny, (*SETS, *sets))
    voice = Voice(quiet=quiet)
    result = run(recipe, out=out, resume=resume, limits=Limits(steps), voice=voice)
    assert result.error is None
    return out or resume


def test_it_is_in_the_logs_and_resumed_exactly(tiny, tmp_path, capsys):
    sets = ("watch.log=3 steps",)
    whole = go(tiny, tmp_path / "whole", steps=6, sets=sets, quiet=False)
    parts = go(tiny, tmp_path / "parts", steps=2, sets=sets)
    go(tiny, resume=parts, steps=6)
    assert_same_bits(whole, parts, 6)
    lines = log_of(whole)
    assert all(0 <= line["accuracy"]["discriminator"] <= 1 for line in lines)
    assert set(lines[0]["losses"]) == {
        *("discriminator/real", "discriminator/fake", "generator/gan", "generator/l1"),
    }
    assert "discriminator right " in capsys.readouterr().err


def test_without_a_border_there_is_no_figure_and_the_training_is_the_same(
    tiny, tmp_path, monkeypatch
):
    with_it = go(tiny, tmp_path / "with", steps=3)
    monkeypatch.setattr("ganzoo.engine.discriminator_answers.border_of", lambda loss: None)
    without = go(tiny, tmp_path / "without", steps=3)
    assert all("accuracy" not in line for line in log_of(without))
    assert all("accuracy" in line for line in log_of(with_it))
    files = [path / "checkpoints" / "step_3" / "manifest.json" for path in (with_it, without)]
    hashes = [json.loads(file.read_text())["files"] for file in files]
    for name in ("generator.safetensors", "discriminator.safetensors"):
        assert hashes[0][name] == hashes[1][name]


def test_a_critic_without_a_border_has_no_figure(tiny, tmp_path):
    path = go(tiny, tmp_path / "run", steps=2, sets=("loss.gan=gan/wgan",))
    assert all("accuracy" not in line for line in log_of(path))
