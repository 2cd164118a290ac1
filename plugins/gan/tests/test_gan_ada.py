"""ADA: how its probability follows signs, and what holds for every policy."""

from __future__ import annotations

import pytest
import torch

from ganzoo.interfaces import Clock, DiscriminatorOutput
from ganzoo_gan.ada import ADA
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
