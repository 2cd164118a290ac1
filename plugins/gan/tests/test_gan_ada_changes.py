"""ADA: what each transformation does to pixels, against direct formulas, and how it is drawn."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from ganzoo.interfaces import Clock
from ganzoo_gan.ada import ADA
from ganzoo_gan.ada_colour import Colours, draw_colours, recolour
from ganzoo_gan.ada_geometry import draw_geometry, rotation, scaling, translation, warp
from ganzoo_gan.ada_options import ALL, ADAOptions

START = Clock(0, 0, 0.0)
GEOMETRY, COLOUR = ALL[:7], ALL[7:]
MANY = 4000
"""Draws of a test of shares; 4 standard errors of a share are at most 0.032."""


def build(*policy, **options):
    return ADA(ADAOptions(policy=policy or ALL, **options))


def pictures(count=4, channels=3, height=8, width=8):
    draw = torch.Generator().manual_seed(0)
    return torch.rand(count, channels, height, width, generator=draw) * 2 - 1


def numbers(*values):
    return torch.tensor(values, dtype=torch.float32)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(5)


def test_what_leaves_the_image_gets_no_gradient():
    images = torch.ones(1, 1, 4, 4, requires_grad=True)
    warp(
        images, scaling(numbers(1.0), numbers(1.0)) @ translation(numbers(1), numbers(0))
    ).sum().backward()
    # Each pixel moved to the right; the last column left, and the second was reflected too.
    assert images.grad[0, 0].sum(0).tolist() == pytest.approx([4, 8, 4, 0], abs=1e-4)


# Geometry.


def test_flips_and_quarters_are_those_of_torch():
    images = pictures(3, 2, 6, 6)
    one = torch.ones(3)
    torch.testing.assert_close(warp(images, scaling(-one, one)), images.flip(3))
    for quarters in range(4):
        made = warp(images, rotation(math.pi / 2 * quarters * one))
        # In images y points downwards, so that this is clockwise.
        torch.testing.assert_close(made, torch.rot90(images, -quarters, (2, 3)), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("right", "down"), [(2, 0), (-1, 3), (0, -2)])
def test_shifts_by_whole_pixels_are_slices_of_the_reflected_image(right, down):
    images = pictures(2, 3, 6, 9)
    padded = F.pad(images, (3, 3, 3, 3), mode="reflect")
    expected = padded[:, :, 3 - down : 9 - down, 3 - right : 12 - right]
    made = warp(images, translation(numbers(right, right), numbers(down, down)))
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)


def test_fractions_of_pixels_are_bilinear():
    images = pictures(1, 1, 4, 6)
    made = warp(images, translation(numbers(0.25), numbers(0)))
    between = 0.75 * images[..., 1:] + 0.25 * images[..., :-1]
    torch.testing.assert_close(made[..., 1:], between, atol=1e-5, rtol=0)


def test_scaling_by_two_about_the_centre():
    """On a linear ramp the interpolation is exact: value = x becomes x / 2."""
    ramp = torch.arange(9.0).expand(1, 1, 5, 9) - 4
    torch.testing.assert_close(warp(ramp, scaling(numbers(2), numbers(2))), ramp / 2)
    wide = warp(ramp, scaling(numbers(2), numbers(0.5)))
    torch.testing.assert_close(wide, ramp / 2)
    # In the middle of the image, halving doubles the slope.
    half = warp(ramp, scaling(numbers(0.5), numbers(0.5)))
    torch.testing.assert_close(half[..., 2:7], 2 * ramp[..., 2:7])


def test_a_rotation_moves_a_point_as_cosines_say():
    """The plane a x + b y, rotated by an angle: its gradient turns with it."""
    down, across = torch.meshgrid(torch.arange(9.0) - 4, torch.arange(9.0) - 4, indexing="ij")
    angle = 0.4
    made = warp(across[None, None], rotation(numbers(angle)))[0, 0]
    expected = math.cos(angle) * across + math.sin(angle) * down
    torch.testing.assert_close(made[3:6, 3:6], expected[3:6, 3:6], atol=1e-5, rtol=0)


def drawn_maps(*policy, size=(64, 32), p=1.0):
    """The inverse maps' numbers, MANY each, by (row, column)."""
    inverse, changed = draw_geometry(policy, MANY, size, torch.tensor(p))
    return inverse, changed


def test_scales_are_lognormal():
    inverse, _ = drawn_maps("scale")
    assert torch.equal(inverse[:, 0, 0], inverse[:, 1, 1])
    logarithm = -inverse[:, 0, 0].log2()
    assert logarithm.mean().item() == pytest.approx(0, abs=4 * 0.2 / MANY**0.5)
    assert logarithm.std().item() == pytest.approx(0.2, rel=4 / (2 * MANY) ** 0.5)
    stretched, _ = drawn_maps("stretch")
    torch.testing.assert_close(stretched[:, 0, 0] * stretched[:, 1, 1], torch.ones(MANY))
    assert stretched[:, 0, 0].log2().std().item() == pytest.approx(0.2, rel=4 / (2 * MANY) ** 0.5)


def test_whole_shifts_are_up_to_an_eighth_of_each_side():
    inverse, _ = drawn_maps("translate_integer")
    for row, most in ((0, 4), (1, 8)):  # 32 wide and 64 high
        shifts = inverse[:, row, 2]
        assert set(shifts.tolist()) == {*range(-most, most + 1)}
        # round(2 most u) of a u in [-1/2, 1/2]: the outermost ones have half a share.
        outer = (shifts.abs() == most).float().mean().item()
        assert outer == pytest.approx(1 / (2 * most), abs=0.02)


def test_fractional_shifts_are_normal_shares_of_each_side():
    inverse, _ = drawn_maps("translate")
    for row, side in ((0, 32), (1, 64)):
        deviation = inverse[:, row, 2].std().item()
        assert deviation == pytest.approx(0.125 * side, rel=4 / (2 * MANY) ** 0.5)


def test_angles_are_uniform_and_one_of_two_rotations_has_probability_p():
    inverse, changed = drawn_maps("rotate", p=0.36)
    assert changed.float().mean().item() == pytest.approx(0.36, abs=0.032)  # 1 - 0.8^2
    angles = torch.atan2(inverse[changed][:, 0, 1], inverse[changed][:, 0, 0])
    quarters = torch.histc(angles, 4, -math.pi, math.pi) / len(angles)
    assert quarters.tolist() == pytest.approx([0.25] * 4, abs=4 * (0.1875 / len(angles)) ** 0.5)
    _, always = drawn_maps("rotate", p=1.0)
    assert always.all()


def test_the_order_of_the_policy_makes_no_difference():
    images = pictures()
    made = build(*ALL, p=0.7)(images, START)
    torch.manual_seed(5)
    assert torch.equal(build(*reversed(ALL), p=0.7)(images, START), made)


# Colour.


def colours(brightness=0.0, luma=1.0, colour=1.0, hue=0.0):
    return Colours(*(numbers(value) for value in (brightness, luma, colour, hue)))


def test_brightness_is_added_and_contrast_multiplies():
    image = pictures(1)
    torch.testing.assert_close(recolour(image, colours(brightness=0.3)), image + 0.3)
    # Contrast multiplies luma and colour; what was added before is multiplied too.
    made = recolour(image, colours(brightness=0.3, luma=2, colour=2))
    torch.testing.assert_close(made, 2 * (image + 0.3))


def test_luma_flip_is_a_reflection_along_the_grey_axis():
    image = pictures(1)
    axis = torch.ones(3) / math.sqrt(3)
    reflection = torch.eye(3) - 2 * torch.outer(axis, axis)
    expected = torch.einsum("ij,njhw->nihw", reflection, image)
    torch.testing.assert_close(recolour(image, colours(luma=-1)), expected)


def test_hue_is_a_rotation_around_the_grey_axis():
    image = pictures(1)
    # By a third of a turn, red becomes green, green blue, and blue red.
    third = recolour(image, colours(hue=2 * math.pi / 3))
    torch.testing.assert_close(third, image.roll(1, 1), atol=1e-6, rtol=0)
    # By half a turn, colours become their complement.
    grey = image.mean(1, keepdim=True)
    half = recolour(image, colours(hue=math.pi))
    torch.testing.assert_close(half, 2 * grey - image, atol=1e-6, rtol=0)
    some = recolour(image, colours(hue=1.0))
    torch.testing.assert_close(some.mean(1), image.mean(1))
    torch.testing.assert_close(some.square().sum(1), image.square().sum(1))


def test_saturation_multiplies_the_distance_to_grey():
    image = pictures(1)
    grey = image.mean(1, keepdim=True)
    made = recolour(image, colours(colour=0.25))
    torch.testing.assert_close(made, grey + 0.25 * (image - grey))


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_channels_that_are_no_rgb_image_are_grey(channels):
    images = pictures(64, channels)
    for name in ("hue", "saturation"):
        assert torch.equal(build(name, p=1)(images, START), images)
    made = recolour(images[:1], colours(brightness=0.1, luma=-2, colour=3, hue=1))
    torch.testing.assert_close(made, -2 * (images[:1] + 0.1))
    assert not torch.equal(build("hue", p=1)(pictures(64, 3), START), pictures(64, 3))  # control


def test_six_channels_are_two_images_changed_in_the_same_way():
    images = pictures(2, 6)
    both = Colours(
        *(torch.tensor(pair) for pair in ([0.1, 0.2], [2.0, -1.0], [0.5, 3.0], [1, 2.0]))
    )
    made = recolour(images, both)
    for part in (slice(0, 3), slice(3, 6)):
        torch.testing.assert_close(made[:, part], recolour(images[:, part], both))


def test_colours_have_the_papers_distributions():
    def drawn(name):
        return draw_colours([name], MANY, torch.tensor(1.0))[0]

    near = 4 / (2 * MANY) ** 0.5
    assert drawn("brightness").brightness.std().item() == pytest.approx(0.2, rel=near)
    contrast = drawn("contrast")
    assert torch.equal(contrast.luma, contrast.colour)
    assert contrast.luma.log2().std().item() == pytest.approx(0.5, rel=near)
    saturation = drawn("saturation")
    assert saturation.colour.log2().std().item() == pytest.approx(1, rel=near)
    assert (saturation.luma == 1).all()
    hue = drawn("hue").hue
    assert hue.std().item() == pytest.approx(math.pi / math.sqrt(3), rel=near)
    assert -math.pi <= hue.min() < -3 < 3 < hue.max() <= math.pi
    flip = drawn("luma_flip")
    assert (flip.luma < 0).float().mean().item() == pytest.approx(0.5, abs=0.032)
    assert set(flip.luma.tolist()) == {1, -1}


def test_nothing_but_the_policy_is_done():
    for geometry, colour in product((GEOMETRY, ()), (COLOUR, ())):
        _, moved = draw_geometry(colour, 100, (8, 8), torch.tensor(1.0))
        _, changed = draw_colours(geometry, 100, torch.tensor(1.0))
        assert not moved.any()
        assert not changed.any()
