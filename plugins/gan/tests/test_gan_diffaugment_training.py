"""Differentiable augments in training: both turns see them, gradients flow, a resume is exact."""

from __future__ import annotations

import json
import re
from typing import ClassVar

import pytest
import torch
from torch import nn

from ganzoo.cli.main import main
from ganzoo.engine.wrapped_networks import Declared, _Shell
from ganzoo.interfaces import Clock
from ganzoo.recipe import load_recipe
from ganzoo.testing.networks import io_of
from ganzoo.testing.trial import training, weights_of
from ganzoo_gan.diffaugment import DiffAugment
from ganzoo_gan.loss_options import DiffAugmentOptions

START = Clock(0, 0, 0.0)
ALL = ("colour", "translation", "cutout")


def build(*policy, **options):
    return DiffAugment(DiffAugmentOptions(policy=policy or ALL, **options))


def with_diffaugment(tiny, *lines):
    file = tiny.parent / "augmented.toml"
    file.write_text(
        f'extends = "{tiny.name}"\nname = "augmented"\n[[diffaugment]]\nuse = "gan/diffaugment"\n'
        + "\n".join(lines)
    )
    return file


class Noted(DiffAugment):
    """Notes what it is given; a class, so that a recipe's own can be put in its place."""

    given: ClassVar[list[torch.Tensor]] = []

    def __call__(self, images, clock):
        self.given.append(images)
        return super().__call__(images, clock)


def test_it_reaches_real_and_fake_in_both_turns(tiny, monkeypatch):
    monkeypatch.setattr("ganzoo_gan.diffaugment.DiffAugment", Noted)
    monkeypatch.setattr(Noted, "given", [])
    sets = ['loss.gan="gan/rpgan"']
    with training(load_recipe(with_diffaugment(tiny), sets)) as trainer:
        trainer.step()
    # rpgan looks at both in both turns; the source lies beside each.
    assert len(Noted.given) == 4
    real, fake, real_again, fake_again = (images[:, 3:] for images in Noted.given)
    assert torch.equal(real, real_again)
    torch.testing.assert_close(fake, fake_again)
    assert not torch.equal(real, fake)
    assert [images.requires_grad for images in Noted.given] == [False, False, False, True]


def gradients_of_the_generator(recipe):
    """Of its first turn; the discriminator is the same in all."""
    with training(recipe) as trainer:
        kept = {}

        def note(player, terms):
            if player == "generator":
                total = sum(term for name, term in terms.items() if name != "l1")
                weights = list(trainer.nets["generator"].parameters())
                kept["gradients"] = torch.autograd.grad(total, weights)

        note.clock = trainer.clock
        batch = trainer.session.move(next(trainer._open_stream()))
        for net in trainer.prepared.values():
            net.begin_step(trainer.clock)
        trainer.task.clock = trainer.clock
        trainer.task.step(batch, note)
        return kept["gradients"]


def test_the_generators_gradient_flows_through_it(tiny):
    sets = ["generator.dropout=0", "discriminator.norm=none"]
    plain = gradients_of_the_generator(load_recipe(tiny, sets))
    off = gradients_of_the_generator(load_recipe(with_diffaugment(tiny, "p = 0"), sets))
    on = gradients_of_the_generator(load_recipe(with_diffaugment(tiny), sets))
    assert all(torch.equal(a, b) for a, b in zip(plain, off, strict=True))
    assert all(gradient.any() for gradient in on)
    assert not any(torch.equal(a, b) for a, b in zip(plain, on, strict=True))


def test_what_is_cut_out_gets_no_gradient():
    """Through the engine's own wrapper: the hole's pixels didn't reach the discriminator."""
    net = nn.Conv2d(1, 1, 8)
    declared = Declared("a/task", "a/net", "discriminator", io_of((1, 8, 8)))
    shell = _Shell(net, "cpu", declared, (build("cutout"),), compiled=False)
    images = torch.ones(4, 1, 8, 8, requires_grad=True)
    torch.manual_seed(2)
    shell(images).sum().backward()
    torch.manual_seed(2)
    seen = build("cutout")(torch.ones(4, 1, 8, 8), START)
    assert torch.equal(images.grad, seen * net.weight.detach())
    assert 0 < (images.grad == 0).float().mean() < 1


@pytest.fixture
def run(tiny, capsys):
    def go(*words):
        capsys.readouterr()
        code = main(["run", *map(str, words), "--json"])
        said = capsys.readouterr()
        assert code == 0, said.err
        return json.loads(said.out)

    return go


def test_a_resume_is_exact(tiny, run):
    recipe = with_diffaugment(tiny, "p = { from = 0.2, to = 1 }")
    out = tiny.parent

    def weights(name):
        folder = out / name / "checkpoints" / "step_6"
        return {one.name: one.read_bytes() for one in folder.glob("*or.safetensors")}

    run(recipe, "--out", out / "whole", "--max-steps", 6)
    run(recipe, "--out", out / "parts", "--max-steps", 3)
    run("--resume", out / "parts", "--max-steps", 6)
    assert len(weights("whole")) == 2
    assert weights("whole") == weights("parts")
    # The control: without it training goes elsewhere.
    run(recipe, "--out", out / "plain", "--max-steps", 6, "--set", "diffaugment=[]")
    assert weights("plain") != weights("whole")


def test_a_policy_is_seen_by_training(tiny):
    """The same seed and draws, another policy: other weights after two steps."""
    ends = []
    for policy in ('["cutout"]', '["translation"]'):
        with training(load_recipe(with_diffaugment(tiny, f"policy = {policy}"))) as trainer:
            trainer.step()
            trainer.step()
            ends.append(weights_of(trainer.nets))
    assert any(not torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_overrides(tiny, capsys):
    for value in ('["gan/diffaugment"]', '[{ use = "gan/diffaugment", policy = ["cutout"] }]'):
        assert main(["check", str(tiny), "--set", f"diffaugment={value}"]) == 0
    assert "no problems" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('policy = ["color"]', '.toml:5:11: .*must be "colour", .*did you mean "colour"'),
        ('plicy = ["cutout"]', '.toml:5:1: .*unknown option.*did you mean "policy"'),
        ('policy = ["cutout", "cutout"]', "name each change once"),
        ("policy = []", "name at least one change"),
        ("p = 1.5", ".toml:5:5: .*at most 1"),
        ("p = { from = 0, to = 1, until = 2 }", ".toml:5"),
    ],
)
def test_mistakes_are_shown_where_they_are(tiny, capsys, line, said):
    assert main(["check", str(with_diffaugment(tiny, line))]) == 3
    message = capsys.readouterr().err
    assert re.search(said, message, re.DOTALL), message
    assert "1 problem" in message
    assert "Traceback" not in message
