"""ADA: what each transformation does to pixels, how often, and how p follows signs."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from ganzoo.interfaces import Clock, DiscriminatorOutput
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


def pictures(count=4, channels=3, height=8, width=8, dtype=torch.float32):
    draw = torch.Generator().manual_seed(0)
    return (torch.rand(count, channels, height, width, generator=draw) * 2 - 1).to(dtype)


def numbers(*values):
    return torch.tensor(values, dtype=torch.float32)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(5)


# The probability.


def hear(augment, *batches, shape=(8, 1)):
    """Let it observe batches of which these shares are positive logits; return p after each."""
    found = []
    for share in batches:
        logits = -torch.ones(shape)
        logits.view(-1)[: round(share * logits.numel())] = 1
        # What generated images are answered makes no difference.
        augment.observe(DiscriminatorOutput((logits,)), DiscriminatorOutput((-logits,)), START)
        found.append(augment.p.item())
    return found


def test_p_by_hand():
    """8 images a batch, 4 batches an interval, speed 1,000: p moves by 0.032 or not at all."""
    augment = build(speed=1000)
    # All signs 1: r = 1 > 0.6.
    assert hear(augment, 1, 1, 1, 1, 1) == pytest.approx([0, 0, 0, 0.032, 0.032])
    assert hear(augment, 1, 1, 1) == pytest.approx([0.032, 0.032, 0.064])
    # Shares of 1, 1, 1/2, 1/2: signs have means 1, 1, 0, 0, so that r = 0.5 < 0.6.
    assert hear(augment, 1, 1, 0.5, 0.5)[-1] == pytest.approx(0.032)
    # The mean over the interval counts, and not that of its last batch: r = (3 + 0) / 4 > 0.6.
    assert hear(augment, 1, 1, 1, 0.5)[-1] == pytest.approx(0.064)
    # It is never below 0.
    assert hear(augment, *[0] * 16)[-1] == 0


def test_p_goes_from_0_to_1_in_500_000_images_and_no_further():
    """5,000 images a batch: 25 changes of 4 batches."""
    augment = build()
    found = hear(augment, *[1] * 104, shape=(5000, 1))
    assert found[98] == pytest.approx(0.96)
    assert found[99] == pytest.approx(1)
    assert found[103] == 1
    capped = build(p_max=0.3)
    assert hear(capped, *[1] * 100, shape=(5000, 1))[-1] == pytest.approx(0.3)


def test_patches_of_an_image_are_no_images():
    """2 images of 16 patches: p moves by 2 / 100, and not by 32 / 100."""
    augment = build(speed=100, interval=1)
    assert hear(augment, 1, shape=(2, 1, 4, 4)) == pytest.approx([0.02])


def test_scales_have_the_same_weight_whatever_their_patches():
    """A mean of -1 over 4 patches and of 1 over 16: 0 is above a target of -0.1, 12/20 isn't."""
    augment = build(speed=100, interval=1, target=-0.1)
    low, high = -torch.ones(1, 1, 2, 2), torch.ones(1, 1, 4, 4)
    logged = augment.observe(DiscriminatorOutput((low, high)), DiscriminatorOutput((low,)), START)
    assert logged["r"] == 0
    assert logged["p"].item() == pytest.approx(0.01)


def test_the_boundary_of_least_squares():
    """Logits of 0.4 and 0.6, between 0 and 1: positive, but not all above 0.5."""
    half = DiscriminatorOutput((numbers(0.4, 0.6),))
    zero, middle = build(interval=1), build(interval=1, boundary=0.5)
    assert zero.observe(half, half, START)["r"] == 1
    assert middle.observe(half, half, START)["r"] == 0


def test_p_is_counted_the_same_in_batches_of_any_size():
    ends = []
    for batch, interval in ((1, 8), (4, 2), (8, 1)):
        augment = build(speed=100, interval=interval)
        ends.append(hear(augment, *[1] * (24 // batch), shape=(batch, 1))[-1])
    assert ends == pytest.approx([0.24] * 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"policy": ()}, "at least one"),
        ({"policy": ("hue", "hue")}, "once"),
        ({"p": 0.6, "p_max": 0.5}, "at most p_max"),
        ({"speed": 0}, "greater than or equal to 1"),
        ({"interval": 0}, "greater than or equal to 1"),
    ],
)
def test_options_that_fit_nothing(options, said):
    with pytest.raises(ValueError, match=said):
        ADAOptions(**options)


# Whatever the policy.


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_shape_and_dtype_stay(channels, dtype):
    images = pictures(3, channels, 12, 20, dtype)
    made = build(p=1)(images, START)
    assert (made.shape, made.dtype) == (images.shape, images.dtype)
    assert made.isfinite().all()
    assert not torch.equal(made, images)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 5)])
def test_the_smallest_images(size):
    made = build(p=1)(pictures(2, 3, *size), START)
    assert made.shape == (2, 3, *size)
    assert made.isfinite().all()


def test_points_are_refused():
    with pytest.raises(ValueError, match=r"images .*, not \(4, 2\)"):
        build()(torch.zeros(4, 2), START)


@pytest.mark.parametrize("policy", [(one,) for one in ALL] + [ALL])
def test_nothing_at_p_0_bit_for_bit(policy):
    for dtype in (torch.float32, torch.bfloat16):
        images = pictures(64, 3, dtype=dtype)
        assert torch.equal(build(*policy)(images, START), images)
        assert not torch.equal(build(*policy, p=1)(images, START), images)


SHARES = {"x_flip": 1 / 2, "rotate_90": 3 / 4, "luma_flip": 1 / 2}
"""The share of images that a transformation changes if it is done; 1 but for these and shifts by
whole pixels, of which (0, 0) is one."""


@pytest.mark.parametrize("name", ALL)
def test_p_is_the_share_of_images_changed(name):
    images = pictures(1).expand(MANY, -1, -1, -1)
    for p in (0.3, 1.0):
        made = build(name, p=p)(images, START)
        share = (made != images).flatten(1).any(1).float().mean().item()
        # Shifts of 8 pixels by up to 1: round(2 u - 1) is 0 in half of the cases, in both axes.
        whole = 3 / 4 if name == "translate_integer" else SHARES.get(name, 1)
        assert share == pytest.approx(p * whole, abs=0.032)


def test_transformations_are_chosen_apart_from_each_other():
    images = pictures(1).expand(MANY, -1, -1, -1)
    made = build("brightness", "translate", p=0.5)(images, START)
    share = (made != images).flatten(1).any(1).float().mean().item()
    assert share == pytest.approx(1 - 0.5**2, abs=0.032)


def test_draws_come_from_the_global_generator_anew_for_each_image_and_call():
    images = pictures(1).expand(8, -1, -1, -1)
    first = build(p=1)(images, START)
    assert len({tuple(one.flatten().tolist()) for one in first}) == 8
    assert not torch.equal(build(p=1)(images, START), first)
    torch.manual_seed(5)
    assert torch.equal(build(p=1)(images, START), first)


def test_precision_changes_nothing_but_rounding():
    images = pictures()
    made = build(p=0.5)(images, START)
    for dtype, near in ((torch.float64, 1e-4), (torch.bfloat16, 0.1)):
        torch.manual_seed(5)
        other = build(p=0.5)(images.to(dtype), START).float()
        torch.testing.assert_close(other, made, atol=near, rtol=0)


def test_autocast_changes_nothing():
    images, augment = pictures(), build(p=0.5)
    made = augment(images, START)
    torch.manual_seed(5)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(augment(images, START), made)


@pytest.mark.parametrize("policy", [GEOMETRY, COLOUR])
@pytest.mark.parametrize("channels", [1, 3])
def test_differentiable_once_and_twice(policy, channels):
    images = pictures(2, channels, 2, 3, torch.float64).requires_grad_()

    def of(x):
        torch.manual_seed(1)  # the same draws for every difference quotient
        return build(*policy, p=0.7)(x, START).pow(3)  # so that there is something at twice

    assert torch.autograd.gradcheck(of, images, fast_mode=True)
    assert torch.autograd.gradgradcheck(of, images, fast_mode=True)


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
