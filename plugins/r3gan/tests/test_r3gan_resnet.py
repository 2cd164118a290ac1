"""R3GAN's networks: their numbers, fix-up's promises, classes, and what they refuse."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from ganzoo.nn import Double, Halve
from ganzoo.testing.networks import io_of
from ganzoo_r3gan.options import GeneratorOptions
from ganzoo_r3gan.resnet import RECTIFIED, Block, Discriminator, Generator, transition

SMALL = GeneratorOptions(
    widths=(16, 12, 8), blocks=(1, 2, 1), cardinalities=(4, 3, 2), class_embedding=6
)
NOISE, IMAGE = (5,), (3, 16, 16)


def generator(classes: int = 0, options: GeneratorOptions = SMALL) -> Generator:
    torch.manual_seed(0)
    return Generator(options, io_of(NOISE, IMAGE, classes))


def discriminator(classes: int = 0, options: GeneratorOptions = SMALL) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(options, io_of(IMAGE, classes=classes))


def awakened(net: nn.Module) -> nn.Module:
    """The network with branches that do something, as after some training."""
    for module in net.modules():
        if isinstance(module, Block):
            nn.init.normal_(module.narrow.weight, 0, 0.1)
    return net


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


# The paper's configuration for CIFAR-10. A block of width 768 has 1,536 inner channels in 96 groups
# of 16: 768 * 1536 + (9 * 16 * 1536) + 1536 * 768 weights and 2 * 1536 biases = 2,583,552.
BLOCKS = 8 * 2_583_552  # two in each of four stages
BASIS = 768 * 4 * 4
RGB = 3 * 768


@pytest.mark.parametrize("classes", [0, 10])
def test_parameters_at_the_papers_size_are_those_worked_out_by_hand(classes):
    # Classes are embedded in as many numbers as the noise has, and as the 4 x 4 stage is wide.
    made = BLOCKS + BASIS + RGB + 64 * 768 + (64 * 768 + 10 * 64 if classes else 0)
    judged = BLOCKS + BASIS + RGB + (768 * 768 + 10 * 768 if classes else 768)
    assert (made, judged) == {
        0: (20_732_160, 20_683_776),
        10: (20_781_952, 21_280_512),
    }[classes]
    with torch.device("meta"):
        image = (3, 32, 32)
        assert count(Generator(GeneratorOptions(), io_of((64,), image, classes))) == made
        assert count(Discriminator(GeneratorOptions(), io_of(image, classes=classes))) == judged


def test_widths_and_blocks_of_each_stage_count_as_said():
    def of_block(width: int, groups: int) -> int:
        inner = 2 * width
        return 2 * width * inner + 9 * inner * inner // groups + 2 * inner

    blocks = of_block(16, 4) + 2 * of_block(12, 3) + of_block(8, 2)
    between = 16 * 12 + 12 * 8
    assert count(generator()) == blocks + between + 16 * 16 + 5 * 16 + 8 * 3
    assert count(discriminator()) == blocks + between + 16 * 16 + 16 + 8 * 3


@pytest.mark.parametrize(("stages", "side"), [(1, 4), (2, 8), (3, 16), (5, 64)])
def test_the_number_of_stages_is_the_size_of_the_images(stages, side):
    options = GeneratorOptions(
        widths=(4,) * stages, blocks=(1,) * stages, cardinalities=(2,) * stages
    )
    assert options.side() == side
    made = Generator(options, io_of((7,), (1, side, side)))(torch.randn(2, 7))
    assert made.shape == (2, 1, side, side)
    assert Discriminator(options, io_of((1, side, side)))(made).shape == (2, 1)


# Fix-up.


def test_a_block_starts_as_the_identity():
    torch.manual_seed(0)
    block, x = Block(8, 16, 4, depth=6), torch.randn(2, 8, 5, 5)
    assert torch.equal(block(x), x)
    assert not torch.equal(awakened(block)(x), x)


def test_a_branch_has_a_leaky_relu_after_each_layer_but_the_last():
    torch.manual_seed(0)
    block, x = awakened(Block(8, 16, 4, depth=6)), torch.randn(2, 8, 5, 5)
    with torch.no_grad():
        for layer in (block.widen, block.mix):
            layer.bias.normal_()
    inner = F.conv2d(x, block.widen.weight, block.widen.bias)
    inner = torch.maximum(inner, 0.2 * inner)
    inner = F.conv2d(inner, block.mix.weight, block.mix.bias, padding=1, groups=4)
    inner = torch.maximum(inner, 0.2 * inner)
    assert torch.allclose(block(x), x + F.conv2d(inner, block.narrow.weight), atol=1e-6)


def test_initial_weights_have_the_stated_deviations():
    torch.manual_seed(0)
    block = Block(64, 128, 4, depth=16)
    scale = RECTIFIED / 16**0.25  # two of a branch's three layers: 16^(-1 / (2 * 3 - 2)), twice
    # 8,192 and 36,864 draws: standard errors of the deviation below 1 %.
    assert block.widen.weight.std().item() == pytest.approx(scale / 64**0.5, rel=0.04)
    assert block.mix.weight.std().item() == pytest.approx(scale / (9 * 32) ** 0.5, rel=0.04)
    assert not block.widen.bias.any()
    assert not block.mix.bias.any()
    # sqrt(2 / (1 + 0.2^2)): the mean square of a leaky ReLU of N(0, 1) is (1 + 0.2^2) / 2.
    assert F.leaky_relu(torch.randn(100_000), 0.2).square().mean().item() == pytest.approx(
        1 / RECTIFIED**2, rel=0.03
    )


def stack(depth: int, told: int) -> nn.Sequential:
    """Blocks as in a network of `depth` of them that was told another number."""
    torch.manual_seed(depth)
    return nn.Sequential(*(Block(16, 32, 2, told) for _ in range(depth)))


def test_values_stay_as_large_at_any_depth_and_would_double_without_fix_up():
    x = torch.randn(16, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert stack(64, told=64)(x).var().item() == pytest.approx(x.var().item())
        # Control: He's weights in all three layers, as without fix-up: each branch adds about as
        # much as it was given (less what zeros around a map take away).
        usual = stack(8, told=1)
        for block in usual:
            nn.init.normal_(block.narrow.weight, 0, RECTIFIED / 32**0.5)
        assert usual(x).var() > 50 * x.var()


def moved_by_one_step(depth: int, told: int) -> float:
    """How far one small step of gradient descent moves what a stack computes."""
    net = stack(depth, told)
    draw = torch.Generator().manual_seed(0)
    x, target = (torch.randn(8, 16, 6, 6, generator=draw) for _ in range(2))
    before = net(x)
    (before * target).mean().backward()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.sub_(0.01 * parameter.grad)
        return (net(x) - before).norm().item()


def test_one_step_moves_a_deep_network_as_far_as_a_shallow_one():
    # Only the last layers have a gradient at first, so that each block moves the output by its
    # branch's mean square: (depth^(-1/4))^(2 * 2) = 1 / depth, and there are `depth` blocks.
    assert moved_by_one_step(64, told=64) == pytest.approx(moved_by_one_step(4, told=4), rel=0.2)
    # Control: without the scale each block moves it as far as a single one would.
    unscaled = moved_by_one_step(64, told=1) / moved_by_one_step(4, told=1)
    assert unscaled == pytest.approx(16, rel=0.3)


def test_networks_tell_their_blocks_the_depth_of_all_stages():
    for net in (generator(), discriminator()):
        for block in net.modules():
            if isinstance(block, Block):
                fan_in = block.mix.weight[0].numel()
                expected = RECTIFIED / math.sqrt(fan_in) / 4**0.25  # 1 + 2 + 1 blocks
                assert block.mix.weight.std().item() == pytest.approx(expected, rel=0.25)


def test_initial_images_are_about_as_large_as_the_noise_makes_them():
    torch.manual_seed(0)
    options = GeneratorOptions(widths=(32,) * 4, blocks=(4,) * 4, cardinalities=(8,) * 4)
    with torch.no_grad():
        images = Generator(options, io_of((64,), (3, 32, 32)))(torch.randn(16, 64))
        assert 0.2 < images.std().item() < 2
        logits = Discriminator(options, io_of((3, 32, 32)))(images)
        assert 0.02 < logits.std().item() < 5


# Resampling between stages.


@pytest.mark.parametrize("resample", [Double, Halve])
def test_a_change_of_width_and_resampling_commute(resample):
    torch.manual_seed(0)
    one = transition(resample(), 6, 4)
    x = torch.randn(2, 6, 8, 8)
    layers = list(one)
    swapped = layers[0](layers[1](x)) if resample is Halve else layers[1](layers[0](x))
    assert torch.allclose(one(x), swapped, atol=1e-6)
    other = layers[1](layers[0](x)) if resample is Halve else layers[0](layers[1](x))
    assert torch.allclose(one(x), other, atol=1e-6)
    assert len(transition(resample(), 6, 6)) == 1


# The ends of the networks.


def test_the_start_is_a_learned_map_weighted_by_the_noise():
    net = generator()
    z = torch.randn(3, 5)
    weights = z @ net.modulate.weight.T
    expected = torch.stack([w[:, None, None] * net.start for w in weights])
    found: list[Tensor] = []
    net.stages[0].register_forward_pre_hook(lambda _, args: found.append(args[0]))
    net(z)
    assert torch.allclose(found[0], expected)
    assert torch.allclose(net(torch.zeros(1, 5)), torch.zeros(1, *IMAGE))


def test_the_end_is_a_filter_of_4_x_4_for_each_channel():
    net, found = discriminator(), []
    net.stages[-1].register_forward_hook(lambda *args: found.append(args[-1]))
    logits = net(torch.rand(3, *IMAGE))
    filtered = F.conv2d(found[0], net.end[:, None], groups=16).flatten(1)
    assert torch.allclose(logits, net.head(filtered), atol=1e-6)


def test_the_ends_are_drawn_by_their_number_of_inputs():
    options = GeneratorOptions(widths=(256, 8), blocks=(1, 1), cardinalities=(2, 2))
    torch.manual_seed(0)
    make = Generator(options, io_of((64,), (3, 8, 8)))
    judge = Discriminator(options, io_of((3, 8, 8)))
    assert make.start.std().item() == pytest.approx(1, rel=0.05)
    assert make.modulate.weight.std().item() == pytest.approx(1 / 8, rel=0.05)
    assert judge.end.std().item() == pytest.approx(1 / 4, rel=0.05)  # 4 x 4 inputs
    assert judge.head.weight.std().item() == pytest.approx(1 / 16, rel=0.15)


def test_images_are_cut_to_their_range_in_use_and_free_in_training():
    net, z = generator(), 100 * torch.randn(2, 5)
    assert net(z).abs().max() > 1
    assert torch.equal(net.eval()(z), net.train()(z).clamp(-1, 1))


def test_a_tanh_bounds_images_in_training_too():
    options = SMALL.model_copy(update={"output": "tanh"})
    noise = 50 * torch.randn(4, *NOISE)
    bounded, linear = (awakened(generator(options=one)) for one in (options, SMALL))
    for net in (bounded, linear):
        net.train()
    assert torch.equal(bounded(noise), linear(noise).tanh())
    assert bounded(noise).abs().max() <= 1 < linear(noise).abs().max()  # the control


def test_a_class_changes_images_and_logits():
    y = torch.tensor([0, 1, 2])
    make, judge = awakened(generator(3)), awakened(discriminator(3))
    one_noise = torch.randn(1, 5).expand(3, 5)
    images = make(one_noise, y)
    assert (images[0] - images[1]).abs().max() > 1e-2
    same = make(one_noise, y[:1].expand(3))  # control
    assert torch.allclose(same[0], same[1], atol=1e-5)
    one_image = torch.rand(1, *IMAGE).expand(3, *IMAGE)
    logits = judge(one_image, y)
    assert logits.shape == (3, 1)
    assert len(logits.unique()) == 3


def test_the_logit_of_a_class_is_an_inner_product():
    net, x = discriminator(3), torch.rand(2, *IMAGE)
    y = torch.tensor([2, 0])
    found = []
    net.head.register_forward_hook(lambda *args: found.append(args[-1]))
    logits = net(x, y)
    for index in range(2):
        expected = found[0][index] @ net.embedding.weight[y[index]]
        assert logits[index].item() == pytest.approx(expected.item(), rel=1e-5)


def test_class_vectors_are_drawn_like_weights_on_one_hot_vectors():
    options = GeneratorOptions(widths=(8, 64), blocks=(1, 1), cardinalities=(2, 2))
    torch.manual_seed(0)
    make = Generator(options, io_of((200,), (3, 8, 8), 25))
    assert make.embedding.weight.shape == (25, 200)
    assert make.embedding.weight.std().item() == pytest.approx(1 / 5, rel=0.05)
    wide = GeneratorOptions(widths=(100, 8), blocks=(1, 1), cardinalities=(2, 2))
    judge = Discriminator(wide, io_of((3, 8, 8), classes=25))
    assert judge.embedding.weight.shape == (25, 100)
    assert judge.embedding.weight.std().item() == pytest.approx(1 / 5 / 10, rel=0.06)


def test_samples_are_judged_one_by_one():
    net, x = awakened(discriminator()), torch.rand(4, *IMAGE)
    alone = torch.cat([net(one[None]) for one in x])
    assert torch.allclose(net(x), alone, atol=1e-5)
    # Control: batch norm, which the paper does without, would mix them.
    mixed = nn.Sequential(nn.BatchNorm2d(3), net)
    assert not torch.allclose(mixed(x), torch.cat([mixed(one[None]) for one in x]), atol=1e-3)


def test_a_penalty_on_the_slope_reaches_every_weight():
    net = awakened(discriminator(3))
    x = torch.rand(2, *IMAGE, requires_grad=True)
    score = net(x, torch.tensor([0, 1])).sum()
    (slope,) = torch.autograd.grad(score, x, create_graph=True)
    slope.square().sum().backward()
    without = {name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()}
    # Biases shift where a leaky ReLU bends, which its slope doesn't notice.
    assert all(name.endswith("bias") for name in without)


# What isn't taken.


@pytest.mark.parametrize(
    ("net", "io", "message"),
    [
        (Generator, io_of((3, 16, 16), (3, 16, 16)), "takes points or noise"),
        (Generator, io_of((5,), (2,)), r"makes images \(C, H, W\)"),
        (Generator, io_of((5,), (3, 32, 32)), "makes 16 x 16 pixels with 3 stages.*32 x 32"),
        (Generator, io_of((5,), (3, 16, 8)), r"are 8 x 16 \(W x H\): images are square"),
        (Discriminator, io_of((2,)), r"takes images \(C, H, W\)"),
        (Discriminator, io_of((3, 28, 28)), "takes 16 x 16 pixels with 3 stages.*28 x 28"),
    ],
)
def test_shapes_of_others_are_refused_in_words(net, io, message):
    with pytest.raises(ValueError, match=message):
        net(SMALL, io)


def test_a_conditional_network_asks_for_classes():
    with pytest.raises(ValueError, match="built for 3 classes"):
        generator(3)(torch.randn(1, 5))
    with pytest.raises(ValueError, match="built for 3 classes"):
        discriminator(3)(torch.rand(1, *IMAGE))
    assert generator()(torch.randn(1, 5), None).shape == (1, *IMAGE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": (1, 1)}, "blocks has 2 entries, but widths has 4"),
        ({"cardinalities": (96,) * 5}, "cardinalities has 5 entries, but widths has 4"),
        ({"cardinalities": (96, 96, 96, 100)}, "100 doesn't divide the 1536 inner channels"),
        ({"widths": (), "blocks": (), "cardinalities": ()}, "at least 1 item"),
        ({"widths": (8, 8, 8, 0)}, "greater than or equal to 1"),
    ],
)
def test_stages_that_dont_fit_together_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        GeneratorOptions(**options)
