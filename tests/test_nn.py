"""Bricks for networks: initial weights and norms."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganzoo.nn import init_normal, norm_2d, uses_bias, weights_follow, weights_follow_now


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
