"""gan/mlp: sizes, slopes, classes and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganzoo.testing.networks import io_of
from ganzoo_gan.mlp import MLP, MLPDiscriminator
from ganzoo_gan.mlp_options import MLPDiscriminatorOptions, MLPOptions


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_parameters_are_those_of_its_matrices_and_shifts():
    """z -> w -> w -> w -> D: (z + 1) w + 2 (w + 1) w + (w + 1) D."""
    net = MLP(MLPOptions(width=128, depth=3), io_of((2,), (2,)))
    assert count(net) == 3 * 128 + 2 * 129 * 128 + 129 * 2 == 33_666
    judge = MLPDiscriminator(MLPDiscriminatorOptions(width=128, depth=3), io_of((2,)))
    assert count(judge) == 3 * 128 + 2 * 129 * 128 + 129 == 33_537
    assert net(torch.zeros(5, 2)).shape == (5, 2)
    assert judge(torch.zeros(5, 2)).shape == (5, 1)


@pytest.mark.parametrize("slope", [0.2, 0.0])
def test_one_hidden_layer_by_hand(slope):
    net = MLP(MLPOptions(width=2, depth=1, negative_slope=slope), io_of((1,), (1,)))
    with torch.no_grad():
        net.layers[0].weight.copy_(torch.tensor([[1.0], [-1.0]]))
        net.layers[0].bias.zero_()
        net.layers[2].weight.copy_(torch.tensor([[1.0, 10.0]]))
        net.layers[2].bias.fill_(0.5)
    # at 3: units 3 and -3, the second times the slope; 3 - 30 slope + 0.5
    assert net(torch.tensor([[3.0]])).item() == pytest.approx(3.5 - 30 * slope)


def test_classes_are_one_hot_coordinates():
    net = MLP(MLPOptions(width=16, depth=1), io_of((2,), (2,), 3))
    assert count(net) == (2 + 3 + 1) * 16 + 17 * 2
    x = torch.randn(4, 2)
    zeros, ones = torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
    assert torch.equal(net(x, zeros), net(x, zeros))
    assert not torch.equal(net(x, zeros), net(x, ones))
    with pytest.raises(ValueError, match="3 classes"):
        net(x)


def test_spectral_norm_bounds_the_slope():
    """Leaky ReLUs rise by 1 at most, so layers of norm 1 bound the whole: |f(a)-f(b)| <= |a-b|."""

    def steepest(spectral_norm: bool) -> float:
        torch.manual_seed(0)
        options = MLPDiscriminatorOptions(width=32, depth=2, spectral_norm=spectral_norm)
        net = MLPDiscriminator(options, io_of((2,)))
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                if "weight" in name:
                    parameter.mul_(10)
        for _ in range(50):  # the estimate follows, one iteration a call
            net(torch.randn(8, 2))
        net.eval()
        x = torch.randn(256, 2, requires_grad=True)
        (slope,) = torch.autograd.grad(net(x).sum(), x)
        return slope.norm(dim=1).max().item()

    assert steepest(spectral_norm=True) <= 1.01
    assert steepest(spectral_norm=False) > 10


@pytest.mark.parametrize(
    ("io", "told"),
    [
        (io_of((2,), (3, 8, 8)), r"makes points .* not images \(3, 8, 8\)"),
        (io_of((3, 8, 8), (1,)), r"takes points .* not images \(3, 8, 8\)"),
        (io_of((8, 8), (1,)), r"takes points .* not the shape \(8, 8\)"),
    ],
)
def test_images_are_refused_in_words(io, told):
    with pytest.raises(ValueError, match=told):
        MLP(MLPOptions(), io)
