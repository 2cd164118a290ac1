"""DiffAugment: what each change does to pixels, whom it reaches, and what passes through it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from ganzoo.interfaces import Clock
from ganzoo_gan.diffaugment import DiffAugment, colour, cutout, translation
from ganzoo_gan.loss_options import DiffAugmentOptions

START = Clock(0, 0, 0.0)
ALL = ("colour", "translation", "cutout")


def build(*policy, **options):
    return DiffAugment(DiffAugmentOptions(policy=policy or ALL, **options))


def pictures(count=6, channels=3, height=16, width=16, dtype=torch.float32):
    draw = torch.Generator().manual_seed(0)
    return (torch.rand(count, channels, height, width, generator=draw) * 2 - 1).to(dtype)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(5)


# Whatever the policy.


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_shape_and_dtype_stay(channels, dtype):
    images = pictures(3, channels, 12, 20, dtype)
    made = build()(images, START)
    assert (made.shape, made.dtype) == (images.shape, images.dtype)
    assert made.isfinite().all()
    assert not torch.equal(made, images)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 5)])
def test_the_smallest_images(size):
    assert build()(pictures(2, 3, *size), START).shape == (2, 3, *size)


def test_on_a_device_without_numbers():
    made = build(p=0.5)(pictures().to("meta"), START)
    assert (made.device.type, made.shape) == ("meta", (6, 3, 16, 16))


def test_points_are_refused():
    with pytest.raises(ValueError, match=r"images .*, not \(4, 2\)"):
        build()(torch.zeros(4, 2), START)


@pytest.mark.parametrize("policy", [(one,) for one in ALL] + [ALL])
def test_nothing_at_p_0(policy):
    images = pictures()
    assert torch.equal(build(*policy, p=0)(images, START), images)
    assert not torch.equal(build(*policy, p=1)(images, START), images)


@pytest.mark.parametrize("name", ALL)
def test_p_is_the_share_of_images_changed(name):
    """4 standard errors of 2,000 coins at 0.3: 0.041. A shift by (0, 0) has the probability 1/9."""
    images = pictures(2000, 3, 8, 8)
    made = build(name, p=0.3)(images, START)
    share = (made != images).flatten(1).any(1).float().mean().item()
    moved = 0.3 * (8 / 9 if name == "translation" else 1)
    assert share == pytest.approx(moved, abs=0.041)
    # In whole: those not chosen are untouched bit for bit, and at p = 1 none is spared.
    assert (build("colour", p=1)(images, START) != images).flatten(1).any(1).all()
    # Nor in bf16, where 1 in 512 numbers below 1 would round to 1. The hole is one pixel of four.
    few = images[:, :, :2, :2].to(torch.bfloat16)
    assert (build("cutout", p=1)(few, START) != few).flatten(1).any(1).all()


def test_p_anneals():
    augment = build("colour", p={"from": 0, "to": 1, "until": 0.5})
    images = pictures(400, 3, 4, 4)

    def share(progress):
        made = augment(images, replace(START, progress=progress))
        return (made != images).flatten(1).any(1).float().mean().item()

    assert share(0) == 0
    assert share(0.25) == pytest.approx(0.5, abs=0.1)  # 4 standard errors
    assert share(0.5) == share(1) == 1


def test_draws_come_from_the_global_generator_anew_for_each_image_and_call():
    images = pictures(1).expand(8, -1, -1, -1)
    first = build()(images, START)
    assert len({tuple(one.flatten().tolist()) for one in first}) == 8
    assert not torch.equal(build()(images, START), first)
    torch.manual_seed(5)
    assert torch.equal(build()(images, START), first)


def test_precision_changes_nothing_but_rounding():
    images = pictures()
    made = build(p=0.5)(images, START)
    for dtype, near in ((torch.float64, 1e-6), (torch.bfloat16, 0.05)):
        torch.manual_seed(5)
        other = build(p=0.5)(images.to(dtype), START).float()
        torch.testing.assert_close(other, made, atol=near, rtol=0)


@pytest.mark.parametrize("policy", [(one,) for one in ALL] + [ALL])
@pytest.mark.parametrize("channels", [1, 3])
def test_differentiable_once_and_twice(policy, channels):
    images = pictures(2, channels, 4, 5, torch.float64).requires_grad_()

    def of(x):
        torch.manual_seed(1)  # the same draws for every difference quotient
        return build(*policy, p=0.7)(x, START).pow(3)  # so that there is something at twice

    assert torch.autograd.gradcheck(of, images)
    assert torch.autograd.gradgradcheck(of, images)


# Colour.


def test_colour_of_an_image_is_linear_in_it():
    """Brightness b, saturation s, contrast c of one picture, found from what came out."""
    image = pictures(1, 3, 4, 4, torch.float64)
    made = colour(image)
    grey, new_grey = image.mean(1, keepdim=True), made.mean(1, keepdim=True)
    mean, new_mean = image.mean(), made.mean()
    brightness = new_mean - mean  # neither of the others moves the mean
    contrast = (new_grey - new_mean) / (grey - mean)
    saturation = (made - new_grey) / (image - grey) / contrast
    for found, low, high in ((contrast, 0.5, 1.5), (saturation, 0, 2), (brightness, -0.5, 0.5)):
        assert found.std(unbiased=False) < 1e-9  # one number for the whole image
        assert low <= found.mean() <= high
    # The control: no pixel is what it was, and a gamma curve (say) has no such numbers.
    curve = (image.sign() * image.abs().sqrt()).mean(1, keepdim=True)
    assert ((curve - curve.mean()) / (grey - mean)).std() > 0.1


def test_colours_use_their_whole_range():
    """Of 400 uniform numbers the ends lie within 5 % of the range but for 1 case in 10^8."""
    image = pictures(1, 3, 4, 4, torch.float64)
    made = colour(image.expand(400, -1, -1, -1))
    grey, new_grey = image.mean(1, keepdim=True), made.mean(1, keepdim=True)
    new_mean = made.mean((1, 2, 3), keepdim=True)
    contrast = ((new_grey - new_mean) / (grey - image.mean())).mean((1, 2, 3))
    saturation = ((made - new_grey) / (image - grey)).mean((1, 2, 3)) / contrast
    brightness = new_mean.flatten() - image.mean()
    for found, low, high in ((contrast, 0.5, 1.5), (saturation, 0, 2), (brightness, -0.5, 0.5)):
        near = 0.05 * (high - low)
        assert found.min().item() == pytest.approx(low, abs=near)
        assert found.max().item() == pytest.approx(high, abs=near)


def test_colour_keeps_means_over_many_images():
    """E brightness = 0, E saturation = E contrast = 1; 4 standard errors of 4,000 draws."""
    image = pictures(1, 3, 4, 4)
    made = colour(image.expand(4000, -1, -1, -1))
    shift = (made - image).mean(0)
    assert shift.abs().max() < 4 * 0.75 / 4000**0.5  # deviations: 0.29, 0.58 and 0.29 times < 1.2
    spread = made.mean((1, 2, 3))
    assert spread.std().item() == pytest.approx(12**-0.5, abs=0.01)  # uniform over a length of 1


def test_one_channel_has_no_saturation():
    """Grey stays what it is under brightness and contrast alone: values keep their order."""
    image = pictures(1, 1, 4, 4, torch.float64)
    made = colour(image)
    rise = (made - made.mean()) / (image - image.mean())
    assert rise.std() < 1e-9
    coloured = colour(pictures(1, 3, 4, 4, torch.float64))  # the control
    rise = (coloured - coloured.mean()) / (pictures(1, 3, 4, 4) - pictures(1, 3, 4, 4).mean())
    assert rise.std() > 1e-3


def test_four_channels_are_one_image_and_six_are_two():
    four = pictures(1, 4, 4, 4, torch.float64)
    made = colour(four)
    rise = (made - made.mean()) / (four - four.mean())
    assert rise.std() < 1e-9
    one, other = pictures(1, 3, 4, 4, torch.float64), pictures(2, 3, 4, 4, torch.float64)[1:] / 3
    torch.manual_seed(5)
    alone = [colour(one)]
    torch.manual_seed(5)
    alone.append(colour(other))
    torch.manual_seed(5)
    torch.testing.assert_close(colour(torch.cat([one, other], 1)), torch.cat(alone, 1))


# Translation.


@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 40), (12, 9)])
def test_translation_shifts_by_at_most_an_eighth(height, width):
    """Each picture is found again in its shifted form, over zeros; every shift occurs."""
    images = pictures(600, 2, height, width)
    most = [int(side / 8 + 0.5) for side in (height, width)]
    padded = F.pad(images, (most[1], most[1], most[0], most[0]))
    shifts = [
        (down, right)
        for down in range(-most[0], most[0] + 1)
        for right in range(-most[1], most[1] + 1)
    ]
    found = {}
    for index, made in enumerate(translation(images)):
        for down, right in shifts:
            rows = slice(most[0] - down, most[0] - down + height)
            columns = slice(most[1] - right, most[1] - right + width)
            if torch.equal(made, padded[index, :, rows, columns]):
                found[index] = (down, right)
    assert len(found) == 600
    assert set(found.values()) == set(shifts)


def test_shifted_images_lose_what_leaves_and_gain_zeros():
    images = torch.ones(500, 1, 16, 16)
    made = translation(images)
    # Shifts of 0, 1 and 2 lose 0, 16 and 32 of 256 values: each axis keeps 1 - (6/5) / 16.
    assert made.mean().item() == pytest.approx((1 - 1.2 / 16) ** 2, abs=0.01)
    assert set(made.unique().tolist()) == {0.0, 1.0}


# Cutout.


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 9), (7, 5)])
def test_cutout_zeroes_its_share(height, width):
    """A hole of half of each side, less what of it lies outside."""
    images = torch.ones(3000, 2, height, width)
    made = cutout(images)
    assert torch.equal(made[:, 0], made[:, 1])
    assert set(made.unique().tolist()) == {0.0, 1.0}
    share = 1.0
    for side, axis in ((height, 2), (width, 1)):
        size = int(side / 2 + 0.5)
        centres = range(side + 1 - size % 2)
        kept = [
            sum(0 <= row < side for row in range(c - size // 2, c - size // 2 + size))
            for c in centres
        ]
        share *= sum(kept) / len(kept) / side
        lengths = (made[:, 0] == 0).any(axis).sum(1)
        assert set(lengths.tolist()) == set(kept)
    zeroed = (made == 0).float().mean().item()
    assert zeroed == pytest.approx(share, rel=0.05)
    # The control: a quarter would be zeroed if no hole were ever half outside.
    assert zeroed < 0.97 * (int(height / 2 + 0.5) / height) * (int(width / 2 + 0.5) / width)


def test_what_is_outside_the_hole_is_untouched():
    images = pictures(50)
    made = cutout(images)
    assert torch.equal(made[made != 0], images[made != 0])
    holes = (made == 0).all(1)
    for hole in holes:
        rows, columns = hole.any(1), hole.any(0)
        assert torch.equal(hole, rows[:, None] & columns[None, :])  # a rectangle


# In training.


# As a user meets it.
