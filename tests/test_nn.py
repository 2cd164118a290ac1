"""Bricks for networks: initial weights, norms and resampling."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from ganzoo.nn import (
    Double,
    Halve,
    init_normal,
    norm_2d,
    uses_bias,
    weights_follow,
    weights_follow_now,
)


def small_network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(16, 64, 4), nn.BatchNorm2d(4096), nn.ConvTranspose2d(64, 16, 4, bias=False)
    )


@pytest.mark.parametrize("std", [0.02, 0.1])
def test_initial_weights_have_the_stated_mean_and_deviation(std):
    torch.manual_seed(0)
    network = small_network()
    init_normal(network, std)
    conv, norm, transposed = network
    # 16,384 draws: the mean is within 5 standard errors, std / 128 each; the deviation's own
    # standard error is std / sqrt(2 * 16384) = 0.0055 std.
    for weight in (conv.weight, transposed.weight):
        assert weight.mean().abs() < 5 * std / 128
        assert weight.std().item() == pytest.approx(std, rel=0.03)
    assert norm.weight.mean().item() == pytest.approx(1.0, abs=5 * std / 64)
    assert norm.weight.std().item() == pytest.approx(std, rel=0.06)  # 4,096 draws
    assert not conv.bias.any()
    assert not norm.bias.any()


def test_pytorchs_own_initial_weights_would_not_pass():
    torch.manual_seed(0)
    conv, norm, _ = small_network()
    assert conv.weight.std().item() != pytest.approx(0.02, rel=0.03)
    assert conv.bias.any()
    assert norm.weight.std() == 0


def test_initial_weights_follow_the_seed():
    def drawn(seed: int) -> torch.Tensor:
        network = small_network()
        torch.manual_seed(seed)
        init_normal(network)
        return network[0].weight

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))


def test_each_norm_does_what_its_name_says():
    x = 3 + 2 * torch.randn(4, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    batch = norm_2d("batch", 5)(x)
    assert torch.allclose(batch.mean((0, 2, 3)), torch.zeros(5), atol=1e-5)
    assert not torch.allclose(batch.mean((2, 3)), torch.zeros(4, 5), atol=1e-2)
    instance = norm_2d("instance", 5)(x)
    assert torch.allclose(instance.mean((2, 3)), torch.zeros(4, 5), atol=1e-5)
    assert not list(norm_2d("instance", 5).parameters())
    assert norm_2d("none", 5)(x) is x
    assert [uses_bias(norm) for norm in ("batch", "instance", "none")] == [False, True, True]


def test_eps_is_passed_on():
    for norm in ("batch", "instance"):
        assert norm_2d(norm, 5, eps=1e-3).eps == 1e-3
        assert norm_2d(norm, 5).eps == 1e-5


def test_batch_norm_is_pytorchs_wherever_that_one_works():
    ours, stock = norm_2d("batch", 5), nn.BatchNorm2d(5)
    x = torch.randn(2, 5, 1, 1, generator=torch.Generator().manual_seed(0))
    for training in (True, False):
        ours.train(training)
        stock.train(training)
        assert torch.equal(ours(x), stock(x))
    for (name, left), right in zip(
        ours.state_dict().items(), stock.state_dict().values(), strict=True
    ):
        assert torch.equal(left, right), name


def test_batch_norm_of_a_single_value_leaves_the_shift():
    x = torch.full((1, 5, 1, 1), 7.0, requires_grad=True)
    with pytest.raises(ValueError, match="more than 1 value"):
        nn.BatchNorm2d(5)(x)
    norm = norm_2d("batch", 5)
    nn.init.constant_(norm.bias, 0.25)
    result = norm(x)
    assert torch.equal(result, torch.full((1, 5, 1, 1), 0.25))
    result.sum().backward()
    assert not x.grad.any()
    # Momentum 0.1 towards mean 7 and variance 0, from 0 and 1.
    assert torch.allclose(norm.running_mean, torch.full((5,), 0.7))
    assert torch.allclose(norm.running_var, torch.full((5,), 0.9))
    assert norm.num_batches_tracked == 1
    # With stored statistics there is nothing special about one value.
    assert torch.allclose(norm.eval()(x), torch.full((1, 5, 1, 1), 0.25 + 6.3 / 0.9**0.5))


def test_weights_follow_only_inside_the_context():
    assert not weights_follow_now()
    with weights_follow():
        with weights_follow():
            assert weights_follow_now()
        assert weights_follow_now()
    assert not weights_follow_now()
    with pytest.raises(KeyError), weights_follow():
        raise KeyError
    assert not weights_follow_now()


def resampled(x: np.ndarray, side: int, taps: dict[int, float], step: int) -> np.ndarray:
    """One axis, by hand: value i is the sum of taps at step * i + offset, clamped to the border."""
    return np.array([
        sum(t * x[min(max(step * i + offset, 0), len(x) - 1)] for offset, t in taps.items())
        for i in range(side)
    ])  # fmt: skip


def halved(x: np.ndarray) -> np.ndarray:
    return resampled(x, -(-len(x) // 2), {-1: 0.125, 0: 0.375, 1: 0.375, 2: 0.125}, 2)


def doubled(x: np.ndarray) -> np.ndarray:
    before, after = (resampled(x, len(x), {0: 0.75, side: 0.25}, 1) for side in (-1, 1))
    return np.stack([before, after], 1).ravel()


@pytest.mark.parametrize(("layer", "twin"), [(Halve, halved), (Double, doubled)])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 4), (8, 8)])
def test_resampling_equals_a_naive_twin_at_even_and_odd_sizes(layer, twin, size):
    x = torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = np.apply_along_axis(twin, 3, np.apply_along_axis(twin, 2, x.numpy()))
    assert np.allclose(layer().double()(x).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("layer", [Halve(), Double()])
def test_resampling_keeps_constants_and_means(layer):
    constant = torch.full((1, 2, 9, 6), 0.7)
    assert torch.allclose(layer(constant), torch.tensor(0.7))
    # Away from borders each value goes on with the same weight.
    inner = torch.zeros(1, 2, 16, 16)
    inner[..., 4:12, 4:12] = torch.rand(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    assert layer(inner).mean().item() == pytest.approx(inner.mean().item(), rel=1e-5)
    # Control: taking every other value keeps constants, and not means.
    assert inner[..., ::2, ::2].mean().item() != pytest.approx(inner.mean().item(), rel=1e-3)


def test_halving_removes_what_the_smaller_map_cant_show():
    board = (-1.0) ** (torch.arange(16)[:, None] + torch.arange(16))[None, None]
    assert Halve()(board)[..., 1:-1, 1:-1].abs().max() < 1e-6
    assert board[..., ::2, ::2].mean() == 1  # control: every other value turns it into a constant


@pytest.mark.parametrize("layer", [Halve(), Double()])
def test_resampling_shifts_nothing(layer):
    x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for axes in ((2,), (3,), (2, 3)):
        assert torch.allclose(layer(x.flip(axes)), layer(x).flip(axes), atol=1e-6)
    # Control: every other value of the smoothed map does.
    plain = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 2)
    flipped = F.avg_pool2d(F.pad(x.flip(3), (1, 1, 1, 1), mode="replicate"), 3, 2)
    assert not torch.allclose(flipped, plain.flip(3), atol=1e-2)


def test_doubling_is_bilinear_interpolation():
    x = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    bilinear = F.interpolate(x, scale_factor=2, mode="bilinear")
    assert torch.allclose(Double()(x), bilinear, atol=1e-6)


def test_doubling_is_the_transpose_of_halving_but_for_scale_and_borders():
    draw = torch.Generator().manual_seed(0)
    large, small = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 8, 8)
    large[..., 3:13, 3:13] = torch.randn(1, 1, 10, 10, generator=draw)
    small[..., 2:6, 2:6] = torch.randn(1, 1, 4, 4, generator=draw)
    one, other = (Halve()(large) * small).sum(), (large * Double()(small)).sum()
    assert 4 * one.item() == pytest.approx(other.item(), rel=1e-5)


@pytest.mark.parametrize("layer", [Halve(), Double()])
def test_resampling_has_its_gradients_twice(layer):
    layer = copy.deepcopy(layer).double()
    x = torch.randn(1, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(lambda x: layer(x).square(), x)


@pytest.mark.parametrize("layer", [Halve(), Double()])
def test_a_filter_is_no_weight_and_isnt_saved(layer):
    assert not list(layer.parameters())
    assert not layer.state_dict()
    assert layer(torch.rand(1, 2, 4, 4).bfloat16()).dtype == torch.bfloat16
