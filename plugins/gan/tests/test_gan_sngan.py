"""SNGAN's networks, and spectral norm in everything that the engine does with a network."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from ganzoo.testing.networks import io_of
from ganzoo_gan.network_options import (
    SNGANDiscriminatorOptions,
    SNGANGeneratorOptions,
)
from ganzoo_gan.sngan import ClassBatchNorm, SNGANDiscriminator, SNGANGenerator


def made(classes=0, z=16, channels=3, side=16, **options) -> SNGANGenerator:
    io = io_of((z,), (channels, side, side), classes)
    return SNGANGenerator(SNGANGeneratorOptions(**options), io)


def judge(classes=0, channels=3, side=16, **options) -> SNGANDiscriminator:
    io = io_of((channels, side, side), classes=classes)
    return SNGANDiscriminator(SNGANDiscriminatorOptions(**options), io)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def conv(channels: int, out: int, side: int = 3) -> int:
    return channels * out * side**2 + out  # each with its bias


def test_parameters_of_table_4():
    # a) dense 128 -> 4x4x256; three blocks of BN, 3x3, BN, 3x3 and a 1x1 beside; BN, 3x3 to RGB
    block = 2 * (2 * 256 + conv(256, 256)) + conv(256, 256, 1)
    generator = (128 + 1) * 4 * 4 * 256 + 3 * block + 2 * 256 + conv(256, 3)
    # b) a block from RGB and one more that halve, each with a 1x1; two that don't, without; dense
    # (which in the authors' code has no bias: 1 of the 1,053,825 that others count).
    first = conv(3, 128) + conv(128, 128) + conv(3, 128, 1)
    halving, plain = 2 * conv(128, 128) + conv(128, 128, 1), 2 * conv(128, 128)
    discriminator = first + halving + 2 * plain + 128
    assert (generator, discriminator) == (4_276_739, 1_053_824)
    with torch.device("meta"):
        assert count(made(z=128, side=32)) == generator
        assert count(judge(side=32)) == discriminator
        # Spectral norm learns nothing of its own. Classes: scale and shift for each in the place of
        # one in the blocks' six norms; a vector for each.
        assert count(judge(side=32, spectral_norm=False)) == discriminator
        assert count(made(10, 128, side=32)) == generator + 6 * 2 * 256 * (10 - 1)
        assert count(judge(10, side=32)) == discriminator + 10 * 128


@pytest.mark.parametrize(("side", "ups", "downs"), [(8, 1, 1), (16, 2, 1), (32, 3, 2), (64, 4, 3)])
def test_sizes_have_the_blocks_that_they_take(side, ups, downs):
    with torch.device("meta"):
        generator, discriminator = made(side=side, channels=2), judge(side=side, channels=2)
        images = generator(torch.zeros(2, 16))
        assert images.shape == (2, 2, side, side)
        assert discriminator(images).shape == (2, 1)
        assert (len(generator.blocks), len(discriminator.blocks)) == (ups, downs + 2)
        assert discriminator.blocks(images).shape[-1] == side >> downs


def test_other_sizes_are_refused_with_the_nearest():
    for build in (made, judge):
        with pytest.raises(ValueError, match="nearest to 28: 16 or 32"):
            build(side=28)


def test_initial_weights_are_the_authors():
    torch.manual_seed(0)
    networks = made(10, width=32), judge(10, width=32, spectral_norm=False)
    for network in networks:
        for name, one in network.named_modules():
            if isinstance(one, nn.Conv2d | nn.Linear):
                field = math.prod(one.weight.shape[2:])
                fans = field * (one.weight.shape[0] + one.weight.shape[1])
                gain = math.sqrt(2) if ".conv" in name else 1.0
                bound = gain * math.sqrt(6 / fans)
                assert 0.9 * bound < one.weight.abs().max().item() <= bound, name
                assert one.bias is None or not one.bias.any(), name
    bound = math.sqrt(6 / (10 + 32))
    assert 0.9 * bound < networks[1].embedding.weight.abs().max().item() <= bound


def test_pooling():
    torch.manual_seed(0)
    summed, mean = judge(width=4), judge(width=4, pooling="mean")
    mean.load_state_dict(summed.state_dict())
    x = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        assert torch.allclose(summed.eval()(x), 64 * mean.eval()(x), rtol=1e-4)  # of 8x8 cells


# The order of layers, written out once more from the paper's table 4 and the authors' blocks, in
# which a doubling comes before a shortcut's 1x1 and a halving after it, but in the first block.


def shaken(network: nn.Module) -> dict[str, torch.Tensor]:
    """Its state, with nothing left at 0 or 1."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point() and value.ndim == 1:
                value.copy_(torch.rand(value.shape, generator=draw) + 0.2 * ("var" in name))
    return network.state_dict()


def test_the_generator_computes_what_is_drawn():
    torch.manual_seed(0)
    network = made(z=5, width=4).double().eval()
    w, z = shaken(network), torch.randn(3, 5, dtype=torch.float64)

    def norm(x, at):
        mean, var = w[f"{at}.running_mean"], w[f"{at}.running_var"]
        return F.batch_norm(x, mean, var, w[f"{at}.weight"], w[f"{at}.bias"])

    def conv(x, at):
        weight = w[f"{at}.weight"]
        return F.conv2d(x, weight, w[f"{at}.bias"], padding=weight.shape[-1] // 2)

    def double(x):
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    x = F.linear(z, w["start.weight"], w["start.bias"]).view(3, 4, 4, 4)
    for block in ("blocks.0", "blocks.1"):
        h = conv(double(norm(x, f"{block}.norm1").relu()), f"{block}.conv1")
        h = conv(norm(h, f"{block}.norm2").relu(), f"{block}.conv2")
        x = h + conv(double(x), f"{block}.shortcut")
    expected = conv(norm(x, "norm").relu(), "last").tanh()
    assert torch.allclose(network(z), expected, atol=1e-12)


def test_the_discriminator_computes_what_is_drawn():
    torch.manual_seed(0)
    network = judge(width=4, side=32, spectral_norm=False).double()
    w, image = shaken(network), torch.rand(2, 3, 32, 32, dtype=torch.float64) * 2 - 1

    def conv(x, at):
        weight = w[f"{at}.weight"]
        return F.conv2d(x, weight, w[f"{at}.bias"], padding=weight.shape[-1] // 2)

    def halve(x):
        return x.unfold(2, 2, 2).unfold(3, 2, 2).mean((-2, -1))

    h = conv(conv(image, "blocks.0.conv1").relu(), "blocks.0.conv2")
    x = halve(h) + conv(halve(image), "blocks.0.shortcut")
    h = conv(conv(x.relu(), "blocks.1.conv1").relu(), "blocks.1.conv2")
    x = halve(h) + halve(conv(x, "blocks.1.shortcut"))
    for block in ("blocks.2", "blocks.3"):
        x = x + conv(conv(x.relu(), f"{block}.conv1").relu(), f"{block}.conv2")
    expected = F.linear(x.relu().sum((2, 3)), w["judge.weight"])
    assert torch.allclose(network(image), expected, rtol=1e-9)


# Classes.


def test_class_batch_norm_has_a_scale_and_shift_for_each_class_and_common_statistics():
    torch.manual_seed(0)
    norm, plain = ClassBatchNorm(4, 3), nn.BatchNorm2d(4, affine=False)
    x, y = torch.randn(6, 4, 5, 5), torch.tensor([0, 1, 2, 0, 1, 2])
    assert torch.equal(norm(x, y), plain(x))
    with torch.no_grad():
        norm.scale.weight[1] = 2.0
        norm.shift.weight[2] = 5.0
    changed = norm(x, y) - plain(x)
    assert torch.equal(changed[y == 0], torch.zeros(2, 4, 5, 5))
    assert torch.allclose(changed[y == 1], plain(x)[y == 1])
    assert torch.allclose(changed[y == 2], torch.full((2, 4, 5, 5), 5.0), atol=1e-6)


def test_the_class_reaches_samples_and_logits():
    torch.manual_seed(0)
    generator, discriminator = made(3, width=8).eval(), judge(3, width=8).eval()
    z, x = torch.randn(1, 16).expand(3, -1), torch.rand(1, 3, 16, 16).expand(3, -1, -1, -1)
    y = torch.arange(3)
    with torch.no_grad():
        # All scales are 1 and all shifts 0 at first: classes are then alike.
        assert len(generator(z, y).flatten(1).unique(dim=0)) == 1
        generator.blocks[0].norm2.shift.weight.normal_()
        assert len(generator(z, y).flatten(1).unique(dim=0)) == 3
        assert len(discriminator(x, y).unique()) == 3
        assert len(discriminator(x, 0 * y).unique()) == 1
        for network, inputs in ((generator, z), (discriminator, x)):
            with pytest.raises(ValueError, match="without class indices"):
                network(inputs)


def test_projection_is_an_inner_product_with_the_pooled_map():
    torch.manual_seed(0)
    network = judge(3, width=4).eval()
    x, y = torch.rand(2, 3, 16, 16), torch.tensor([2, 0])
    with torch.no_grad():
        pooled = network.blocks(x).relu().sum((2, 3))
        of_class = (network.embedding.weight[y] * pooled).sum(1, keepdim=True)
        assert torch.allclose(network(x, y), network.judge(pooled) + of_class, rtol=1e-5)
        assert not torch.allclose(network(x, y), network.judge(pooled), rtol=1e-2)


# Spectral norm.


# In a run. The digits are scikit-learn's, of 8x8 pixels, with their classes.
