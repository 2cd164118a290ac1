"""DCGAN's networks: parameters derived by hand, sizes, classes, and the engine around them."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from ganzoo.engine.build import build_network
from ganzoo.errors import ExitCode, RecipeError
from ganzoo.plugin_system.registry import current
from ganzoo.testing.networks import io_of
from ganzoo_gan.dcgan import DCGANDiscriminator, DCGANGenerator
from ganzoo_gan.network_options import DCGANDiscriminatorOptions, DCGANGeneratorOptions

PAPER = 100, 3, 64  # length of the noise, channels, side


def made(classes=0, z=16, channels=3, side=16, **options) -> DCGANGenerator:
    io = io_of((z,), (channels, side, side), classes)
    return DCGANGenerator(DCGANGeneratorOptions(**options), io)


def judge(classes=0, channels=3, side=16, **options) -> DCGANDiscriminator:
    io = io_of((channels, side, side), classes=classes)
    return DCGANDiscriminator(DCGANDiscriminatorOptions(**options), io)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def chain(*channels: int) -> int:
    """Weights of 4x4 convolutions without biases from each number of channels to the next."""
    return sum(16 * one * other for one, other in itertools.pairwise(channels))


def test_parameters_of_the_papers_sizes():
    # Noise 100 -> 4x4x512 -> 8x8x256 -> 16x16x128 -> 32x32x64 -> 64x64x3, all 4x4 convolutions;
    # the four maps between have a batch norm with scale and shift, and nothing has a bias.
    generator = chain(100, 512, 256, 128, 64, 3) + 2 * (512 + 256 + 128 + 64)
    # 64x64x3 -> 64 -> 128 -> 256 -> 4x4x512 -> 1; batch norm on neither the first nor the logit.
    discriminator = chain(3, 64, 128, 256, 512, 1) + 2 * (128 + 256 + 512)
    assert (generator, discriminator) == (3_576_704, 2_765_568)
    z, channels, side = PAPER
    with torch.device("meta"):
        assert count(made(z=z, channels=channels, side=side)) == generator
        assert count(judge(channels=channels, side=side)) == discriminator
        # The control: other norms leave biases in every layer, and nothing else.
        biases = 512 + 256 + 128 + 64 + 3
        plain = count(made(z=z, channels=channels, side=side, norm="none"))
        assert plain == generator - 2 * (512 + 256 + 128 + 64) + biases
        # Classes: as many more numbers of noise, and a vector of 512 for each class.
        assert count(made(10, z, channels, side)) == generator + chain(10, 512)
        assert count(judge(10, channels, side)) == discriminator + 10 * 512
        assert count(judge(channels=channels, side=side, spectral_norm=True)) == discriminator


@pytest.mark.parametrize("side", [8, 16, 32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sizes_and_channels(side, channels):
    with torch.device("meta"):
        images = made(side=side, channels=channels)(torch.zeros(2, 16))
        assert images.shape == (2, channels, side, side)
        assert judge(side=side, channels=channels)(images).shape == (2, 1)


@pytest.mark.parametrize(
    ("side", "nearest"), [(1, "8"), (7, "8"), (9, "8 or 16"), (28, "16 or 32"), (63, "32 or 64")]
)
def test_other_sizes_are_refused_with_the_nearest(side, nearest):
    for build in (made, judge):
        with pytest.raises(ValueError, match=f"not {side} x {side}; nearest to {side}: {nearest}$"):
            build(side=side)


def test_a_recipe_with_another_size_ends_with_words():
    chosen = current().choose("generator", "gan/dcgan")
    with pytest.raises(RecipeError, match="16 or 32") as caught:
        build_network(chosen, io_of((16,), (3, 28, 28)), 0, "generator")
    assert caught.value.exit_code == ExitCode.RECIPE


def test_oblong_images_points_and_images_for_noise_are_refused():
    with pytest.raises(ValueError, match="16 x 32"):
        DCGANDiscriminator(DCGANDiscriminatorOptions(), io_of((3, 16, 32)))
    with pytest.raises(ValueError, match="makes images"):
        DCGANGenerator(DCGANGeneratorOptions(), io_of((2,), (2,)))
    with pytest.raises(ValueError, match="takes points or noise"):
        DCGANGenerator(DCGANGeneratorOptions(), io_of((3, 16, 16), (3, 16, 16)))


def layers(network: nn.Module) -> list[str]:
    return [type(one).__name__ for one in network.modules() if not list(one.children())]


def test_layers_are_the_papers():
    convolutions = ["ConvTranspose2d", "BatchNorm2d", "ReLU"]
    assert layers(made(side=32, width=2)) == [*convolutions * 3, "ConvTranspose2d"]
    first, other = ["Conv2d", "LeakyReLU"], ["Conv2d", "BatchNorm2d", "LeakyReLU"]
    assert layers(judge(side=32, width=2)) == [*first, *other * 2, "Conv2d"]
    # 8 pixels have no layer that isn't first or last, hence no norm: biases instead.
    assert layers(judge(side=8, width=2)) == [*first, "Conv2d"]
    assert judge(side=8, width=2).judge.bias is not None
    assert judge(side=16, width=2).judge.bias is None
    slopes = {one.negative_slope for one in judge().modules() if isinstance(one, nn.LeakyReLU)}
    assert slopes == {0.2}


def test_weights_are_drawn_as_the_paper_says():
    torch.manual_seed(0)
    network = judge(10, side=32, width=32)
    for one in network.modules():
        if isinstance(one, nn.Conv2d | nn.Embedding):
            assert one.weight.std().item() == pytest.approx(0.02, rel=0.1)
            assert abs(one.weight.mean().item()) < 0.002
        if isinstance(one, nn.BatchNorm2d):
            assert one.weight.mean().item() == pytest.approx(1, abs=0.02)
    wide = made(width=32, init_std=0.1).model[0].weight
    assert wide.std().item() == pytest.approx(0.1, rel=0.1)


def test_images_are_in_range_and_an_image_of_a_batch_norm_network_depends_on_its_batch():
    torch.manual_seed(0)
    z = torch.randn(8, 16)
    with torch.no_grad():
        network = made(width=8)
        images = network(100 * z)
        assert images.abs().max() <= 1
        assert not torch.allclose(network(z)[:4], network(z[:4]))
        network.eval()
        assert torch.allclose(network(z)[:4], network(z[:4]), atol=1e-6)


@pytest.mark.parametrize(("norm", "sees_others"), [("batch", True), ("instance", False)])
def test_a_penalty_needs_a_discriminator_without_batch_norm(norm, sees_others):
    """What the option's help says: with batch norm the slope at one image is its batch's too."""
    torch.manual_seed(0)
    network = judge(width=4, norm=norm)
    x = torch.rand(4, 3, 16, 16, requires_grad=True)
    (slope,) = torch.autograd.grad(network(x)[0].sum(), x)
    assert (slope[1:].abs().max() > 1e-6) == sees_others
    assert slope[0].abs().max() > 1e-6


def test_the_class_reaches_samples_and_logits():
    torch.manual_seed(0)
    generator, discriminator = made(3, width=8).eval(), judge(3, width=8).eval()
    z, x = torch.randn(1, 16).expand(3, -1), torch.rand(1, 3, 16, 16).expand(3, -1, -1, -1)
    y = torch.arange(3)
    with torch.no_grad():
        images, logits = generator(z, y), discriminator(x, y)
        assert len(images.flatten(1).unique(dim=0)) == 3
        assert len(logits.unique()) == 3
        # The control: one class, one image and one logit.
        assert len(generator(z, 0 * y).flatten(1).unique(dim=0)) == 1
        assert len(discriminator(x, 0 * y).unique()) == 1


def test_projection_is_an_inner_product_with_the_pooled_map():
    torch.manual_seed(0)
    network = judge(3, width=4).eval()
    x, y = torch.rand(2, 3, 16, 16), torch.tensor([2, 0])
    with torch.no_grad():
        maps = network.features(x)
        of_class = (network.embedding.weight[y] * maps.mean((2, 3))).sum(1, keepdim=True)
        own = network.judge(maps).flatten(1)
        assert torch.allclose(network(x, y), own + of_class, atol=1e-7)
        assert not torch.allclose(network(x, y), own, atol=1e-5)


@pytest.mark.parametrize("build", [made, judge])
def test_class_indices_may_not_be_missing(build):
    network = build(3, width=2)
    with pytest.raises(ValueError, match="without class indices"):
        network(torch.zeros(2, 16) if build is made else torch.zeros(2, 3, 16, 16))


def test_widths_double_up_to_eight_times():
    def widths(network: nn.Module) -> list[int]:
        kinds = nn.Conv2d | nn.ConvTranspose2d
        return [one.out_channels for one in network.modules() if isinstance(one, kinds)]

    assert widths(judge(side=256, width=2)) == [2, 4, 8, 16, 16, 16, 1]
    assert widths(made(side=256, width=2)) == [16, 16, 16, 8, 4, 2, 3]


def test_a_wrong_size_is_told_with_where_sizes_come_from():
    chosen = current().choose("generator", "gan/dcgan")
    with pytest.raises(RecipeError, match="nearest to 50: 32 or 64") as caught:
        build_network(chosen, io_of((16,), (3, 50, 50)), 0, "generator")
    assert "[[augment]]" in caught.value.hint
    # The control: no augment makes images of points.
    with pytest.raises(RecipeError, match="gan/dcgan can't be built") as caught:
        build_network(chosen, io_of((16,), (2,)), 0, "generator")
    assert caught.value.hint == ""
