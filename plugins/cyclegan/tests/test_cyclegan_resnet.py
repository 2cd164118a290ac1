"""The generator: parameters by the paper's layer list, sizes, and its neighbour's PatchGAN."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganzoo.errors import RecipeError
from ganzoo.plugin_system import registry
from ganzoo.testing.networks import io_of
from ganzoo_cyclegan.options import ResNetOptions
from ganzoo_cyclegan.resnet import ResNet


def build(channels=3, made=3, side=32, **options):
    return ResNet(ResNetOptions(**options), io_of((channels, side, side), (made, side, side)))


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def by_layers(blocks, width=64, channels=3):
    """c7s1-w, d2w, d4w, R4w x blocks, u2w, uw, c7s1-channels; each with its biases."""

    def layer(before, after, kernel):
        return before * after * kernel**2 + after

    w = width
    ends = layer(channels, w, 7) + layer(w, channels, 7)
    downs = layer(w, 2 * w, 3) + layer(2 * w, 4 * w, 3)
    ups = layer(4 * w, 2 * w, 3) + layer(2 * w, w, 3)
    return ends + downs + ups + blocks * 2 * layer(4 * w, 4 * w, 3)


@pytest.mark.parametrize(("blocks", "count"), [(9, 11_378_179), (6, 7_837_699)])
def test_parameters(blocks, count):
    with torch.device("meta"):
        assert parameters(build(blocks=blocks)) == count == by_layers(blocks)
        # Batch norm has scale and shift of its own and makes the inner biases superfluous.
        inner = 64 + 128 + 256 + blocks * 2 * 256 + 128 + 64
        assert parameters(build(blocks=blocks, norm="batch")) == count + inner


def test_the_recipes_discriminator_is_the_papers():
    chosen = registry.activate().choose(
        "discriminator", {"use": "pix2pix/patchgan", "receptive_field": 70, "norm": "instance"}
    )
    with torch.device("meta"):
        net = chosen.build(io_of((3, 256, 256)))
    # C64-C128-C256-C512 and one logit, 4x4 kernels, each with its biases (section 7.1).
    plan = [(3, 64), (64, 128), (128, 256), (256, 512), (512, 1)]
    assert parameters(net) == sum(16 * i * o + o for i, o in plan) == 2_764_737


@pytest.mark.parametrize("size", [(8, 8), (12, 20), (32, 36)])
def test_any_size_of_multiples_of_four(size):
    net = build(channels=1, made=2, width=2, blocks=1)
    x = torch.randn(2, 1, *size)
    y = net(x)
    assert y.shape == (2, 2, *size)
    assert y.abs().max() <= 1
    assert torch.equal(net(x[:1]), y[:1]) or torch.allclose(net(x[:1]), y[:1], atol=1e-6)
    assert net(torch.randn(1, 1, 9, 9)).shape[2:] != (9, 9)  # the control: why size_multiple is 4


def test_first_weights_are_normal():
    net = build(width=16, blocks=2)
    weights = torch.cat([m.weight.flatten() for m in net.modules() if isinstance(m, nn.Conv2d)])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    assert all(
        not m.bias.any() for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    )


def test_refusals():
    with pytest.raises(RecipeError, match="at least 8 x 8"):
        build(side=4)
    with pytest.raises(ValueError, match="images"):
        ResNet(ResNetOptions(), io_of((16,), (3, 8, 8)))
    with pytest.raises(ValueError, match="classes"):
        ResNet(ResNetOptions(), io_of((3, 8, 8), (3, 8, 8), 10))
