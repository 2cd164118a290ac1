"""Spectral normalisation: the limit holds, follows training, and survives copies and resumes."""

from __future__ import annotations

import copy

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from ganzoo.api import Scalar
from ganzoo.engine import dry_run
from ganzoo.engine.check import inspect_recipe
from ganzoo.engine.ema import Ema
from ganzoo.interfaces import Clock
from ganzoo.nn import weights_follow
from ganzoo.recipe import loads
from ganzoo.testing.networks import io_of
from ganzoo.testing.trial import same_after_a_resume
from ganzoo_gan.dcgan import DCGANDiscriminator
from ganzoo_gan.network_options import (
    DCGANDiscriminatorOptions,
    SNGANDiscriminatorOptions,
)
from ganzoo_gan.sngan import SNGANDiscriminator
from tests.runs import train


def judge(classes=0, channels=3, side=16, **options) -> SNGANDiscriminator:
    io = io_of((channels, side, side), classes=classes)
    return SNGANDiscriminator(SNGANDiscriminatorOptions(**options), io)


def largest(network: nn.Module) -> list[float]:
    """Largest singular value of each weight, by a decomposition; in evaluation mode."""
    network.eval()
    return [
        torch.linalg.matrix_norm(one.weight.detach().flatten(1), 2).item()
        for one in network.modules()
        if isinstance(one, nn.Conv2d | nn.Linear | nn.Embedding)
    ]


def dcgan(spectral_norm: bool) -> DCGANDiscriminator:
    options = DCGANDiscriminatorOptions(width=8, norm="none", spectral_norm=spectral_norm)
    return DCGANDiscriminator(options, io_of((3, 16, 16), classes=3))


def sngan(spectral_norm: bool) -> SNGANDiscriminator:
    return judge(3, width=8, spectral_norm=spectral_norm)


@pytest.mark.parametrize("build", [dcgan, sngan])
def test_the_largest_singular_value_of_every_weight_is_near_1(build):
    x, y = torch.rand(2, 3, 16, 16), torch.tensor([0, 2])
    values = {}
    for spectral_norm in (True, False):
        torch.manual_seed(0)
        network = build(spectral_norm)
        with torch.no_grad():
            for _ in range(20):
                network(x, y)
        values[spectral_norm] = largest(network)
    assert len(values[True]) == len(values[False]) >= 4
    assert values[True] == pytest.approx([1.0] * len(values[True]), rel=0.02)
    assert max(abs(value - 1) for value in values[False]) > 0.3  # the control


def test_the_limit_follows_the_weights_in_training_calls_alone():
    torch.manual_seed(0)
    network = sngan(spectral_norm=True)
    x, y = torch.rand(2, 3, 16, 16), torch.tensor([0, 2])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        network.eval()(x, y)
        stale = max(largest(network))  # not called since
        network.train()
        for _ in range(30):
            network(x, y)
        assert max(largest(network)) == pytest.approx(1, rel=0.02)
    assert stale > 1.1


def test_the_slope_is_limited():
    """A linear layer's is its largest singular value; ReLU and mean add nothing to it."""
    torch.manual_seed(0)
    x = torch.rand(2, 3, 16, 16, requires_grad=True)
    slopes = {}
    for limited in (True, False):
        network = DCGANDiscriminator(
            DCGANDiscriminatorOptions(width=8, norm="none", spectral_norm=limited, init_std=0.2),
            io_of((3, 16, 16)),
        )
        (slope,) = torch.autograd.grad(network(x).sum(), x)
        slopes[limited] = slope.flatten(1).norm(dim=1).max().item()
    # A 4x4 convolution of stride 2 puts each pixel into 4 cells, so its norm is at most sqrt(4)
    # times its matrix's; there are two, and the last one sees each cell once.
    assert slopes[True] <= 4
    assert slopes[False] > 4  # the control


def test_two_forwards_before_a_backward_a_penalty_and_freezing():
    torch.manual_seed(0)
    network = sngan(spectral_norm=True)
    y = torch.tensor([0, 2])
    real, fake = (torch.rand(2, 3, 16, 16, requires_grad=True) for _ in range(2))
    score = network(real, y).sum() - network(fake, y).sum()
    (slope,) = torch.autograd.grad(score, real, create_graph=True)
    (score + slope.square().sum()).backward()
    assert all(one.grad.isfinite().all() for one in network.parameters())
    network.zero_grad()
    network.requires_grad_(requires_grad=False)
    network(fake, y).sum().backward()
    assert fake.grad.abs().sum() > 0
    assert all(one.grad is None for one in network.parameters())


def test_an_average_and_a_copy_are_their_own():
    torch.manual_seed(0)
    network = sngan(spectral_norm=True)
    average = Ema(network, Scalar(10))
    x, y = torch.rand(2, 3, 16, 16), torch.tensor([0, 2])
    before = average.module.eval()(x, y)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1)
        network(x, y)
    assert torch.equal(average.module(x, y), before)
    average.update(network, 10, Clock(1, 10, 0.1))
    middle = copy.deepcopy(average.module)(x, y)
    assert torch.equal(middle, average.module(x, y))
    assert not torch.equal(middle, before)


def test_a_state_is_loaded_whole_into_a_network_whose_weights_follow():
    torch.manual_seed(0)
    network = sngan(spectral_norm=True)
    x, y = torch.rand(2, 3, 16, 16), torch.tensor([0, 2])
    for _ in range(3):
        network(x, y)
    state = network.state_dict()
    assert "blocks.0.conv1.parametrizations.weight.0._u" in state
    assert "embedding.parametrizations.weight.original" in state
    with weights_follow():
        again = sngan(spectral_norm=True)
    again.load_state_dict(state)
    assert torch.equal(again.eval()(x, y), network.eval()(x, y))


def test_memory_order_changes_nothing():
    torch.manual_seed(0)
    network = sngan(spectral_norm=True)
    other = copy.deepcopy(network).to(memory_format=torch.channels_last)
    x, y = torch.rand(2, 3, 16, 16), torch.tensor([0, 2])
    given = x.contiguous(memory_format=torch.channels_last)
    for _ in range(2):
        assert torch.allclose(network(x, y), other(given, y), atol=1e-5)


def test_bf16_estimates_the_same_norm():
    torch.manual_seed(0)
    network = sngan(spectral_norm=True)
    x, y = torch.rand(2, 3, 16, 16), torch.tensor([0, 2])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for _ in range(20):
            network(x, y)
    assert largest(network) == pytest.approx([1.0] * len(largest(network)), rel=0.02)


RECIPE = """
name = "sn"
task = { use = "gan/from_noise", latent_size = 8, conditional = true, critic_steps = 2 }
data = "gan/digits"
generator = { use = "gan/sngan", width = 4 }
discriminator = { use = "gan/sngan", width = 4 }
loss = "gan/hinge"
metric = []

[train]
epochs = 20
batch_size = 4
precision = "fp32"
device = "cpu"
threads = 1
workers = 0

[ema]
enabled = true
half_life = 20

[watch]
samples = "never"
"""


def test_a_check_makes_a_step_without_numbers(monkeypatch):
    monkeypatch.setattr(dry_run, "with_numbers", lambda _: pytest.fail("numbers were needed"))
    assert inspect_recipe(loads(RECIPE, "sn"))["problems"] == []


def test_a_resume_is_exact_with_averages(tmp_path):
    same_after_a_resume(loads(RECIPE, "sn"), tmp_path)


@pytest.mark.slow
def test_two_processes_hold_the_same_vectors(tmp_path):
    recipe = tmp_path / "sn.toml"
    recipe.write_text(RECIPE)
    run = train(recipe, "out", processes=2, steps=4)
    state = load_file(run / "checkpoints/step_4/training_state.safetensors")
    vectors = [name for name in state if name.startswith("rank0/buffer/discriminator/")]
    assert len(vectors) == 2 * 9  # two for each weight: 3 and 2 x 2 in blocks, linear, embedding
    means = [name for name in state if name.startswith("rank0/") and name.endswith("running_mean")]

    def same(name: str) -> bool:
        return torch.equal(state[name], state[name.replace("rank0", "rank1")])

    assert all(same(name) for name in vectors)
    assert not all(same(name) for name in means)  # the control: statistics are each process's
