"""The generators, against the published numbers and an independent build of the reference."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import leaky_relu

from ganzoo.testing.networks import io_of
from ganzoo_pix2pix.encoder_decoder import EncoderDecoder
from ganzoo_pix2pix.options import EncoderDecoderOptions, UNetOptions
from ganzoo_pix2pix.unet import UNet

FULL = io_of((3, 256, 256), (3, 256, 256))
TINY = {"depth": 3, "width": 4}
TINY_IO = io_of((3, 8, 8), (3, 8, 8))


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("network", "options", "expected"),
    [
        (UNet, UNetOptions(), 54_413_955),
        (UNet, UNetOptions(norm="instance"), 54_409_603),
        (UNet, UNetOptions(depth=7), 41_828_995),
        (EncoderDecoder, EncoderDecoderOptions(), 39_075_459),
        # no norms: 9,856 fewer of batch norm's, 5,504 biases, as with instance norm
        (UNet, UNetOptions(norm="none"), 54_409_603),
        # batch norm at the bottleneck: 512 scales and shifts
        (UNet, UNetOptions(bottleneck_norm=True), 54_413_955 + 1024),
    ],
)
def test_published_parameter_counts(network, options, expected):
    with torch.device("meta"):
        assert count(network(options, FULL)) == expected


def test_count_follows_the_channels_of_the_data():
    with torch.device("meta"):
        built = UNet(UNetOptions(), io_of((12, 256, 256), (1, 256, 256)))
    # e1: 9 more input channels x 64 x 16; d8: 2 fewer output channels x (128 x 16 + 1 bias)
    assert count(built) == 54_413_955 + 9 * 64 * 16 - 2 * (128 * 16 + 1)


# -- the reference, in its own shape -------------------------------------------------------------
# One level holds the next inside it and returns its input beside its result. Written anew from the
# layer table; the numbering of the layers, and so the names of the weights, is the reference's.


class Level(nn.Module):
    def __init__(self, outside, inside, inner=None, *, dropout=False, norm="batch"):
        super().__init__()
        bias = norm == "instance"
        make_norm = nn.InstanceNorm2d if norm == "instance" else nn.BatchNorm2d
        layers = [nn.LeakyReLU(0.2, True), nn.Conv2d(outside, inside, 4, 2, 1, bias=bias)]
        if inner is not None:
            layers += [make_norm(inside), inner]
        doubled = inside if inner is None else 2 * inside
        layers += [nn.ReLU(True), nn.ConvTranspose2d(doubled, outside, 4, 2, 1, bias=bias)]
        layers += [make_norm(outside)]
        if dropout:
            layers += [nn.Dropout(0.5)]
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return torch.cat([x, self.model(x)], 1)


class Outermost(nn.Module):
    def __init__(self, channels, width, inner, norm="batch"):
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(channels, width, 4, 2, 1, bias=norm == "instance"),
            inner,
            nn.ReLU(True),
            nn.ConvTranspose2d(2 * width, channels, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, x):
        return self.model(x)


class Reference(nn.Module):
    def __init__(self, depth=8, width=64, norm="batch"):
        super().__init__()
        level = Level(8 * width, 8 * width, norm=norm)
        for _ in range(depth - 5):
            level = Level(8 * width, 8 * width, level, dropout=True, norm=norm)
        for outside, inside in ((4, 8), (2, 4), (1, 2)):
            level = Level(outside * width, inside * width, level, norm=norm)
        self.model = Outermost(3, width, level, norm)

    def forward(self, x):
        return self.model(x)


def reference_key(key: str, depth: int) -> str:
    """Name in the reference's state dict of one of our weights."""
    side, number, layer, name = key.split(".")
    index = int(number) + 1 if side == "encoder" else depth - int(number)
    is_norm = layer == "1"
    if index == 1:
        return f"model.model.{0 if side == 'encoder' else 3}.{name}"
    prefix = "model.model.1" + ".model.3" * (index - 2)
    first = {"encoder": 1, "decoder": 3 if index == depth else 5}[side]
    return f"{prefix}.model.{first + is_norm}.{name}"


def with_weights_of(reference: nn.Module, options: UNetOptions) -> UNet:
    side = 2**options.depth
    ours = UNet(options, io_of((3, side, side), (3, side, side))).to(torch.float64)
    theirs = reference.state_dict()
    mapped = {key: theirs.pop(reference_key(key, options.depth)) for key in ours.state_dict()}
    assert not theirs, "weights of the reference that nothing of ours stands for"
    ours.load_state_dict(mapped)
    return ours


def outcome(network: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Output, and the gradient of something of it with respect to the image."""
    torch.manual_seed(11)  # the same dropout
    x = x.clone().requires_grad_()
    y = network(x)
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    return y.detach(), x.grad


def reference_pair(depth, norm, **options):
    torch.manual_seed(5)
    reference = Reference(depth, 4, norm).to(torch.float64)
    for name, buffer in reference.named_buffers():  # eval mode should have something to show
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    return reference, with_weights_of(
        reference, UNetOptions(depth=depth, width=4, norm=norm, **options)
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("depth", [8, 7, 5])
def test_same_weights_give_the_references_output_and_gradient(depth, norm, training):
    reference, ours = reference_pair(depth, norm)
    batch = 1 if depth == 8 else 2
    x = torch.rand(batch, 3, 2**depth, 2**depth, dtype=torch.float64) * 2 - 1
    expected = outcome(reference.train(training), x)
    got = outcome(ours.train(training), x)
    torch.testing.assert_close(got[0], expected[0], atol=1e-10, rtol=0)
    torch.testing.assert_close(got[1], expected[1], atol=1e-8, rtol=1e-8)
    for parameter in ours.parameters():
        assert parameter.grad.isfinite().all()


@pytest.mark.parametrize(
    "delta", [{"dropout_layers": [1, 2, 3]}, {"skip_relu": False}, {"norm_eps": 1e-3}]
)
def test_each_delta_departs_from_the_reference(delta):
    reference, ours = reference_pair(7, "batch", **delta)
    x = torch.rand(2, 3, 128, 128, dtype=torch.float64) * 2 - 1
    assert (outcome(reference, x)[0] - outcome(ours, x)[0]).abs().max() > 1e-3


def test_swapped_halves_of_a_skip_depart_from_the_reference(monkeypatch):
    reference, ours = reference_pair(5, "batch")
    x = torch.rand(2, 3, 32, 32, dtype=torch.float64) * 2 - 1
    cat = torch.cat
    expected = outcome(reference, x)[0]
    monkeypatch.setattr(torch, "cat", lambda tensors, dim: cat(tensors[::-1], dim))
    assert (expected - outcome(ours, x)[0]).abs().max() > 1e-3


def test_full_size_weights_have_the_references_names_and_shapes():
    with torch.device("meta"):
        theirs = {key: value.shape for key, value in Reference().state_dict().items()}
        ours = UNet(UNetOptions(), FULL).state_dict()
    assert {reference_key(key, 8): value.shape for key, value in ours.items()} == theirs


def test_without_the_skips_relu_the_encoder_reaches_the_decoder_leaky():
    torch.manual_seed(0)
    network = UNet(UNetOptions(**TINY, skip_relu=False, dropout=0), TINY_IO).double()
    (e1, e2, e3), (d1, d2, d3) = network.encoder, network.decoder
    x = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    s1 = leaky_relu(e1(x), 0.2)
    s2 = leaky_relu(e2(s1), 0.2)
    up = d1(leaky_relu(e3(s2), 0.2))
    up = d2(torch.cat([s2, up.clamp(min=0)], 1))
    up = d3(torch.cat([s1, up.clamp(min=0)], 1))
    torch.testing.assert_close(network(x), up.tanh())


# -- behaviour -----------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    depth=st.integers(2, 5),
    tall=st.integers(1, 3),
    wide=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    norm=st.sampled_from(["batch", "instance", "none"]),
    network=st.sampled_from([(UNet, UNetOptions), (EncoderDecoder, EncoderDecoderOptions)]),
)
def test_any_multiple_of_the_depths_power_keeps_its_size(
    depth, tall, wide, channels, norm, network
):
    build, make_options = network
    options = make_options(depth=depth, width=2, norm=norm)
    size = (tall * options.size_multiple(), wide * options.size_multiple())
    net = build(options, io_of((channels[0], *size), (channels[1], *size)))
    y = net(torch.rand(2, channels[0], *size))
    assert y.shape == (2, channels[1], *size)
    assert y.abs().max() <= 1


def test_half_a_multiple_does_not_fit():
    network = UNet(UNetOptions(**TINY), TINY_IO)
    with pytest.raises(RuntimeError):
        network(torch.rand(2, 3, 12, 12))
    assert UNetOptions(depth=3).size_multiple() == 8
    assert UNetOptions().size_multiple() == 256


@pytest.mark.parametrize(
    ("network", "options"), [(UNet, UNetOptions), (EncoderDecoder, EncoderDecoderOptions)]
)
def test_memory_order_changes_nothing(network, options):
    net = network(options(**TINY, dropout=0), TINY_IO).double()
    x = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    expected = net(x)
    net.to(memory_format=torch.channels_last)
    got = net(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(got, expected, atol=1e-12, rtol=0)


def test_autocast_trains_with_finite_gradients():
    net = UNet(UNetOptions(**TINY), TINY_IO)
    with torch.autocast("cpu", torch.bfloat16):
        y = net(torch.rand(2, 3, 8, 8))
    y.float().square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


def test_initial_weights_come_from_the_seed_and_are_narrow():
    def drawn(seed, **options):
        torch.manual_seed(seed)
        return UNet(UNetOptions(depth=3, width=16, **options), TINY_IO).encoder[2][0].weight

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    assert drawn(1).std().item() == pytest.approx(0.02, rel=0.02)
    assert drawn(1, init_std=0.1).std().item() == pytest.approx(0.1, rel=0.02)
