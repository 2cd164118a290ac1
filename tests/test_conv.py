"""Convolutions by matrices: their plain twin is torch's own layer with the same weights."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ganzoo.nn import Conv2d, ConvTranspose2d, ways

TWINS = {Conv2d: nn.Conv2d, ConvTranspose2d: nn.ConvTranspose2d}


def twins(kind, *sizes, dtype=torch.float64, **settings):
    """Our layer and torch's, with the same weights."""
    torch.manual_seed(0)
    ours = kind(*sizes, **settings).to(dtype)
    plain = TWINS[kind](*sizes, **settings).to(dtype)
    plain.load_state_dict(ours.state_dict())
    return ours, plain


def results(layer, x):
    """Output and gradients for the input and each weight, for one fixed gradient of the output."""
    x = x.clone().requires_grad_()
    y = layer(x)
    weights = [*layer.parameters()]
    grads = torch.autograd.grad(y, [x, *weights], torch.linspace(-1, 1, y.numel()).view_as(y).to(y))
    return [y.detach(), *grads]


def apart(mine, theirs):
    """Largest distance of any of two lists' tensors, relative to the tensor's largest value."""
    assert [one.shape for one in mine] == [one.shape for one in theirs]
    return max(
        float((a.double() - b.double()).abs().max() / b.double().abs().max().clamp(min=1e-30))
        for a, b in zip(mine, theirs, strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from([*TWINS]),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    batch=st.integers(1, 2),
    height=st.integers(1, 3),
    width=st.integers(1, 3),
    bias=st.booleans(),
)
def test_any_small_map_equals_torchs_convolution(
    kind, kernel, stride, padding, dilation, batch, height, width, bias
):
    if kind is Conv2d:  # the sizes of the output map, which is the smaller one
        least = max(1, dilation * (kernel - 1) + 1 - 2 * padding)
        size = [(side - 1) * stride + least for side in (height, width)]
    else:
        size = [height, width]
        made = [(s - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 for s in size]
        if min(made) < 1:
            return
    channels = 16 * 2 * 9
    sizes = (3, channels, kernel) if kind is Conv2d else (channels, 3, kernel)
    ours, plain = twins(kind, *sizes, stride=stride, padding=padding, dilation=dilation, bias=bias)
    x = torch.randn(batch, sizes[0], *size, dtype=torch.float64)
    smaller = ours(x) if kind is Conv2d else x
    expected = "matrices" if channels >= 16 * batch * smaller[0, 0].numel() else "native"
    assert apart(results(ours, x), results(plain, x)) < 1e-12
    assert ours.way == expected


@pytest.mark.parametrize("kind", [*TWINS])
@pytest.mark.parametrize("side", [1, 2, 4])
@pytest.mark.parametrize(
    ("dtype", "most"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 2e-2)]
)
def test_the_layers_of_a_u_net_equal_torchs(kind, side, dtype, most):
    ours, plain = twins(kind, 256, 256, 4, stride=2, padding=1, dtype=dtype)
    x = torch.randn(1, 256, *[side if kind is ConvTranspose2d else 2 * side] * 2, dtype=dtype)
    mine = results(ours, x)
    assert ours.way == "matrices"
    assert all(one.is_contiguous() and one.dtype == dtype for one in mine)
    # Against double precision, so that the bound is on both one's own rounding.
    exact = results(plain.double(), x.double())
    assert apart(mine, exact) < most


def test_a_turned_kernel_would_be_found():
    ours, plain = twins(ConvTranspose2d, 64, 8, 4, stride=2, padding=1)
    plain.weight.data = plain.weight.data.flip(2)
    x = torch.randn(1, 64, 2, 2, dtype=torch.float64)
    assert apart(results(ours, x), results(plain, x)) > 1e-2
    assert ours.way == "matrices"


def test_output_padding_makes_the_larger_map():
    ours, plain = twins(ConvTranspose2d, 64, 8, 3, stride=2, padding=1, output_padding=1)
    x = torch.randn(1, 64, 1, 2, dtype=torch.float64)
    assert ours(x).shape == (1, 8, 2, 4)
    assert ours.way == "matrices"
    assert apart(results(ours, x), results(plain, x)) < 1e-12


@pytest.mark.parametrize(
    ("channels", "side", "dtype", "way"),
    [
        (64, 2, torch.float32, "matrices"),  # 64 channels for 4 pixels: 16 each
        (63, 2, torch.float32, "native"),
        (64, 4, torch.float32, "native"),
        (64, 4, torch.bfloat16, "matrices"),  # 4 each
        (63, 4, torch.bfloat16, "native"),
        (256, 4, torch.float64, "matrices"),
        (255, 4, torch.float64, "native"),
        (512, 1, torch.float16, "native"),  # no fast product for it on a CPU
    ],
)
def test_the_rule(channels, side, dtype, way):
    up = ConvTranspose2d(channels, 2, 4, stride=2, padding=1).to(dtype)
    down = Conv2d(2, channels, 4, stride=2, padding=1).to(dtype)
    with torch.no_grad():
        up(torch.randn(1, channels, side, side, dtype=dtype))
        down(torch.randn(1, 2, 2 * side, 2 * side, dtype=dtype))
    assert (up.way, down.way) == (way, way)


def test_the_rule_counts_the_images_of_a_batch():
    layer = Conv2d(2, 64, 4, stride=2, padding=1)
    layer(torch.randn(1, 2, 4, 4))
    assert layer.way == "matrices"
    layer(torch.randn(2, 2, 4, 4))
    assert layer.way == "native"


@pytest.mark.parametrize(
    ("kind", "settings", "shape"),
    [
        (Conv2d, {"groups": 2}, (1, 64, 3, 3)),
        (Conv2d, {"padding": "same"}, (1, 64, 1, 1)),
        (Conv2d, {"padding": 1, "padding_mode": "reflect"}, (1, 64, 2, 2)),
        (Conv2d, {}, (64, 3, 3)),
        (Conv2d, {}, (0, 64, 3, 3)),
        (ConvTranspose2d, {"groups": 2}, (1, 64, 1, 1)),
        (ConvTranspose2d, {}, (64, 1, 1)),
    ],
)
def test_what_is_left_to_torch(kind, settings, shape):
    ours, plain = twins(kind, 64, 64, 3, **settings)
    x = torch.randn(shape, dtype=torch.float64)
    assert torch.equal(ours(x), plain(x))
    assert ours.way == "native"


def test_an_output_size_is_left_to_torch():
    ours, plain = twins(ConvTranspose2d, 64, 8, 3, stride=2)
    x = torch.randn(1, 64, 1, 1, dtype=torch.float64)
    assert torch.equal(ours(x, output_size=[4, 4]), plain(x, output_size=[4, 4]))
    assert ours.way == "native"


def test_a_map_too_small_for_the_kernel_is_refused_as_by_torch():
    ours, plain = twins(Conv2d, 4, 64, 4)
    x = torch.randn(1, 4, 2, 2, dtype=torch.float64)
    with pytest.raises(RuntimeError, match=r"[Kk]ernel size") as theirs:
        plain(x)
    with pytest.raises(RuntimeError, match=r"[Kk]ernel size") as mine:
        ours(x)
    assert str(mine.value) == str(theirs.value)


@pytest.mark.parametrize("kind", [Conv2d, ConvTranspose2d])
def test_other_channels_are_refused_as_by_torch(kind):
    said = []
    for layer in twins(kind, 512, 512, 3):
        layer(torch.zeros(1, 512, 3, 3, dtype=torch.float64))  # the control: these are taken
        with pytest.raises(RuntimeError) as caught:
            layer(torch.zeros(1, 256, 3, 3, dtype=torch.float64))
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert "512 channels" in said[0]


def test_other_devices_are_left_to_torch():
    layer = Conv2d(64, 64, 3, device="meta")
    assert layer(torch.empty(1, 64, 3, 3, device="meta")).shape == (1, 64, 1, 1)
    assert layer.way == "native"


@pytest.mark.parametrize("kind", [*TWINS])
def test_autocast_decides_the_number_format(kind):
    ours, plain = twins(kind, 64, 64, 4, stride=2, padding=1, dtype=torch.float32)
    side = 4 if kind is ConvTranspose2d else 8
    x = torch.randn(1, 64, side, side)
    ours(x)
    assert ours.way == "native"  # 4 pixels too many for float32
    with torch.autocast("cpu", torch.bfloat16):
        assert ours(x).dtype == plain(x).dtype == torch.bfloat16
        assert ours.way == "matrices"
        double = kind(64, 64, 4, stride=2, padding=1).double()
        assert double(x.double()).dtype == torch.float64
    assert ours(x).dtype == torch.float32


@pytest.mark.parametrize("kind", [*TWINS])
def test_penalties_find_second_gradients(kind):
    ours, _ = twins(kind, 16, 16, 2, stride=2)
    side = 1 if kind is ConvTranspose2d else 2
    x = torch.randn(1, 16, side, side, dtype=torch.float64, requires_grad=True)
    ours(x)
    assert ours.way == "matrices"
    assert torch.autograd.gradcheck(ours, (x,))
    assert torch.autograd.gradgradcheck(ours, (x,))


def test_weights_have_torchs_names_and_travel_with_copies():
    ours, plain = twins(ConvTranspose2d, 32, 8, 2)
    assert [*ours.state_dict()] == [*plain.state_dict()]
    twin = copy.deepcopy(ours)
    x = torch.randn(1, 32, 1, 1, dtype=torch.float64)
    assert torch.equal(twin(x), ours(x))
    assert ways(nn.Sequential(twin, nn.Conv2d(8, 8, 1))) == {"0": "matrices"}
