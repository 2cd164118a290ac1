"""ADA in training: p follows overfitting, is logged, resumed to the bit, and equal on all ranks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from ganzoo.api import Component
from ganzoo.cli.main import main
from ganzoo.interfaces import Field
from ganzoo.plugin_system import registry
from ganzoo.plugin_system.discovery import PluginRecord
from ganzoo.recipe import load_document, load_recipe
from ganzoo.testing.trial import training
from tests.runs import losses, train

ADA = 'diffaugment=[{{use="gan/ada", {}}}]'
FAST = ADA.format("interval=2, speed=40, target=-0.5")
"""p moves in each second step, upwards more often than not."""


def state_of(folder):
    """ADA's buffers in a checkpoint, by name."""
    tensors = load_file(folder / "training_state.safetensors")
    return {
        name.rpartition("/")[2]: value for name, value in tensors.items() if "diffaugment/0" in name
    }


@pytest.fixture
def run(tiny, capsys):
    def go(*words):
        assert main(["run", *map(str, words)]) == 0, capsys.readouterr().err
        return capsys.readouterr().err

    return go


def test_a_resume_is_exact_and_goes_on_counting(tiny, run):
    out = tiny.parent
    words = ("--set", FAST, "--set", "watch.log=1 step")
    run(tiny, "--out", out / "whole", "--max-steps", 6, *words)
    run(tiny, "--out", out / "parts", "--max-steps", 3, *words)
    middle = state_of(out / "parts" / "checkpoints" / "step_3")
    assert middle["batches"] == 1  # in the middle of an interval
    run("--resume", out / "parts", "--max-steps", 6)
    ends = [out / name / "checkpoints" / "step_6" for name in ("whole", "parts")]
    whole, parts = (state_of(end) for end in ends)
    assert whole.keys() == parts.keys() == {"p", "signs", "images", "batches"}
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert whole["p"] > 0
    for role in ("generator", "discriminator"):
        mine, theirs = ((end / f"{role}.safetensors").read_bytes() for end in ends)
        assert mine == theirs
    assert losses(out / "whole") == losses(out / "parts")
    # The control: with another p the training goes elsewhere.
    run(tiny, "--out", out / "plain", "--max-steps", 6, *words, "--set", "diffaugment=[]")
    plain = out / "plain" / "checkpoints" / "step_6" / "generator.safetensors"
    assert plain.read_bytes() != (ends[0] / "generator.safetensors").read_bytes()


def test_p_and_r_are_logged(tiny, run):
    out = tiny.parent / "logged"
    words = ("--set", FAST, "--set", "watch.log=1 step", "--max-steps", 5)
    said = run(tiny, "--out", out, *words)
    logged = [(one["ada/p"], one["ada/r"]) for one in losses(out)]
    assert len(logged) == 5
    assert "ada/p" in said
    p, r = zip(*logged, strict=True)
    assert all(-1 <= value <= 1 for value in r)
    # One image a batch: p moves by 2 / 40 in the second and fourth step, by the mean of two r.
    expected = [0.0]
    for step in range(2, 6):
        up = (r[step - 2] + r[step - 1]) / 2 > -0.5
        change = (0.05 if up else -0.05) if step % 2 == 0 else 0
        expected.append(max(0, expected[-1] + change))
    assert p == pytest.approx(expected)


def test_p_0_trains_as_if_it_were_not_there_but_for_its_draws(tiny):
    """Draws move torch's generator, so that dropout is another; there is none here."""
    sets = ["generator.dropout=0"]
    never = ADA.format("p_max=0")
    ends = []
    for more in ([], [never]):
        with training(load_recipe(tiny, [*sets, *more])) as trainer:
            for _ in range(3):
                trainer.step()
            ends.append([p.clone() for net in trainer.nets.values() for p in net.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_penalties_pass_through_it(tiny):
    losses = 'loss=[{use="pix2pix/cgan_l1"}, {use="gan/r1"}]'
    sets = [losses, "discriminator.norm=none", ADA.format("p=1")]
    with training(load_recipe(tiny, sets)) as trainer:
        trainer.step()
        logs = trainer.stepper.logs()
    assert logs["discriminator/r1/penalty"] > 0


# Overfitting.


STEPS = 120


class Noise:
    """Images of independent uniform values, 1 x 8 x 8; each index has its own."""

    def __init__(self, options, split):
        self.fields = {"real": Field((1, 8, 8), "ganzoo/image")}
        self.length = options.count

    def __len__(self):
        return self.length

    def load(self, index, rng):
        drawn = np.random.default_rng((7, index)).uniform(-1, 1, (8, 8, 1))
        return {"real": drawn.astype(np.float32)}

    def name(self, index):
        return f"{index:06d}"


class Perfect(nn.Module):
    """Uniform noise as an image: exactly the distribution of the data, whatever is learned."""

    def __init__(self, options, io):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x.reshape(-1, 1, 8, 8) + 0 * self.weight


class Judge(nn.Sequential):
    def __init__(self, options, io):
        super().__init__(nn.Flatten(), nn.Linear(64, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1))


@pytest.fixture
def overfitting():
    """Train against the perfect generator on some images; return p and r of the last steps."""
    from ganzoo.api import Options

    class Count(Options):
        count: int = 8

    def part(kind, name, target, options=None):
        return Component(kind=kind, name=name, target=lambda: target, options=options)

    before = registry.current()
    toy = PluginRecord(
        namespace="perfect",
        distribution="perfect.py",
        version="0",
        module="perfect",
        components=(
            part("data", "noise", Noise, Count),
            part("generator", "perfect", Perfect),
            part("discriminator", "judge", Judge),
        ),
    )
    registry.activate(records=[*before.records, toy])

    def go(count):
        recipe = load_document(
            {
                "name": "overfit",
                "task": {"use": "gan/from_noise", "latent_size": 64, "latent": "uniform"},
                "data": {"use": "perfect/noise", "count": count},
                "generator": "perfect/perfect",
                "discriminator": "perfect/judge",
                "loss": "gan/vanilla",
                "optimizer": {"lr": 1e-3, "betas": [0.0, 0.99]},
                "diffaugment": [
                    {"use": "gan/ada", "speed": 1000, "policy": ["x_flip", "brightness"]}
                ],
                "train": {
                    "epochs": 16 * STEPS // count,
                    "batch_size": 16,
                    "device": "cpu",
                    "precision": "fp32",
                    "workers": 0,
                },
                "metric": [],
            },
            registry.current(),
        )
        found = []
        with training(recipe) as trainer:
            for _ in range(STEPS):
                trainer.step()
                found.append(trainer.diffaugments[0].p.item())
            return found, trainer.stepper.logs()["ada/r"]

    yield go
    registry.activate(records=before.records)


@pytest.mark.slow
def test_p_rises_where_the_discriminator_overfits_and_only_there(overfitting):
    """The generator is perfect: a discriminator can tell real images only by memorising them.

    It does so with 16 images, and can't with as many images as there are in all batches. These
    transformations don't keep it from that, so that p rises up to 1.
    """
    few, sure = overfitting(16)
    many, unsure = overfitting(16 * STEPS)
    assert few[-1] > 0.9
    assert sure > 0.6
    assert max(many) < 0.05
    assert abs(unsure) < 0.2


# Ranks.


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_ranks_equal_one_on_the_joined_batch(tiny):
    """With a p of 1e-10, which no draw is below, images stay the same and p can be compared."""
    words = ("generator.norm=instance", "discriminator.norm=instance", "generator.dropout=0")
    words += ("watch.log=1 step", "train.precision=fp64", "train.epochs=8")
    words += (ADA.format("interval=2, speed=1_000_000_000_000, p=1e-10, target=-0.52"),)

    def trained(name, processes, batch):
        return train(tiny, name, *words, f"train.batch_size={batch}", processes=processes, steps=8)

    two, one, half = trained("two", 2, 1), trained("one", 1, 2), trained("half", 1, 1)
    logs = [losses(run) for run in (two, one, half)]
    for mine, other in zip(*logs[:2], strict=True):
        assert mine == pytest.approx(other, rel=1e-6)
    tensors = load_file(two / "checkpoints" / "step_8" / "training_state.safetensors")
    single = load_file(one / "checkpoints" / "step_8" / "training_state.safetensors")
    for name in ("p", "signs", "images", "batches"):
        mine = [tensors[f"rank{rank}/diffaugment/0/{name}"] for rank in (0, 1)]
        assert torch.equal(*mine)
        assert torch.equal(mine[0], single[f"rank0/diffaugment/0/{name}"])
    change = tensors["rank0/diffaugment/0/p"].item() / 1e-10 - 1
    # r rises from -0.64 to -0.47: p is lowered once by 4e-12, and raised three times.
    assert change == pytest.approx(0.08, abs=1e-3)
    # The control: one image a step.
    assert [line["ada/p"] for line in logs[2]] != [line["ada/p"] for line in logs[1]]
