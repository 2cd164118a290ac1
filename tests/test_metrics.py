"""Image metrics: golden values with their derivation, and the formulas of the reference score."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganzoo.api import Options
from ganzoo.errors import DataError
from ganzoo.formats.image import ImageFormat
from ganzoo.inference.scores import built
from ganzoo.interfaces import Field
from ganzoo.metrics.image import L1, PSNR, SSIM, GradientEnergy, OwnOther
from ganzoo.plugin_system import registry

ALL = (L1, PSNR, SSIM, GradientEnergy, OwnOther)


def tensor(*images: np.ndarray) -> torch.Tensor:
    """H x W x C uint8 images as networks see them."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def run(metric, generated, targets):
    judge = metric(Options())
    for image, target in zip(generated, targets, strict=True):
        judge.update({"target": tensor(target)}, tensor(image))
    return judge.compute()


def noise(count, seed=0, side=12, channels=3):
    rng = np.random.default_rng(seed)
    return list(rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8))


def flat(value, side=12):
    return np.full((side, side, 3), value, dtype=np.uint8)


def test_l1_golden():
    # |10 - 61| / 127.5 = 0.4 and |0 - 255| / 127.5 = 2, the largest there is
    score = run(L1, [flat(10), flat(0)], [flat(61), flat(255)])["l1"]
    assert score.per_image == pytest.approx((0.4, 2.0))
    assert score.mean == pytest.approx(1.2)


def test_psnr_golden_and_finite_for_equal_images():
    # a difference of 5 everywhere: 10 log10(255^2 / 25) = 34.15 dB
    score = run(PSNR, [flat(10), flat(7)], [flat(15), flat(7)])["psnr"]
    assert score.per_image[0] == pytest.approx(10 * math.log10(255**2 / 25))
    one_off = flat(7)
    one_off[3, 4, 1] = 8
    largest = run(PSNR, [one_off], [flat(7)])["psnr"].mean
    assert score.per_image[1] == pytest.approx(largest)
    assert math.isfinite(score.mean)


def test_the_format_says_what_is_compared_in_eight_bits(monkeypatch):
    field = Field((1, 8, 8), "ganzoo/image")

    def protocol():
        (metric,) = built([registry.current().choose("metric", "ganzoo/l1")], {}, field)
        return metric.protocol

    assert "8-bit" in protocol()
    monkeypatch.setattr(ImageFormat, "dtype", lambda *_: "uint16")
    assert "8-bit" not in protocol()
    monkeypatch.setattr(ImageFormat, "pixels", False)
    with pytest.raises(DataError, match="it compares images"):
        protocol()


def test_ssim_is_the_uniform_window_of_seven():
    # two flat images: SSIM = (2ab + C1) / (a^2 + b^2 + C1) with C1 = (0.01 * 255)^2
    a, b, c1 = 100.0, 120.0, 2.55**2
    score = run(SSIM, [flat(100)], [flat(120)])["ssim"]
    assert score.mean == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1))

    # by hand on one 7 x 7 channel: sample (co)variances, n / (n - 1)
    x, y = (image[..., :1] for image in noise(2, side=7))
    fx, fy = x.astype(float).ravel(), y.astype(float).ravel()
    covariance = np.cov(fx, fy)
    c2 = (0.03 * 255) ** 2
    by_hand = ((2 * fx.mean() * fy.mean() + c1) * (2 * covariance[0, 1] + c2)) / (
        (fx.mean() ** 2 + fy.mean() ** 2 + c1) * (covariance[0, 0] + covariance[1, 1] + c2)
    )
    assert run(SSIM, [x], [y])["ssim"].mean == pytest.approx(by_hand)
    with pytest.raises(DataError, match="7 x 7"):
        run(SSIM, [flat(1, side=6)], [flat(1, side=6)])


def test_gradient_energy_is_a_ratio_of_set_means():
    stripes = flat(0)
    stripes[:, ::2] = 90  # |dx| = 90 everywhere, |dy| = 0
    ramp = np.repeat(np.arange(12, dtype=np.uint8)[:, None, None] * 10, 12, 1).repeat(3, 2)
    score = run(GradientEnergy, [ramp, flat(3)], [stripes, ramp])["gradient_energy"]
    assert score.per_image == pytest.approx((10 / 50, 0.0))  # mean of the real: (90 + 10) / 2
    assert score.mean == pytest.approx(0.1)
    assert run(GradientEnergy, [ramp], [flat(9)]) == {}


def test_own_other_golden():
    # generated value g of image i, target t: with 3 images i+1, i+7, i+23 are i+1, i+1, i+2
    generated, targets = [flat(10), flat(110), flat(210)], [flat(0), flat(100), flat(200)]
    own = 10.0
    other = np.mean([90, 90, 190, 90, 90, 110, 210, 210, 110])
    score = run(OwnOther, generated, targets)["own_other"]
    assert score.mean == pytest.approx(own / other)
    assert run(OwnOther, generated[:1], targets[:1]) == {}


def test_own_other_is_one_for_an_image_that_ignores_its_input():
    targets = noise(60)
    constant = run(OwnOther, [flat(128)] * 60, targets)["own_other"].mean
    following = run(OwnOther, [t // 2 for t in targets], targets)["own_other"].mean
    assert constant == pytest.approx(1, abs=1e-3)
    assert following < 0.8


@pytest.mark.parametrize("metric", ALL)
def test_mean_is_the_mean_of_the_values_whatever_the_batches(metric):
    generated, targets = noise(30, 1), noise(30, 2)
    one_by_one = run(metric, generated, targets)
    together = metric(Options())
    together.update({"target": tensor(*targets)}, tensor(*generated))
    assert together.compute() == one_by_one
    for score in one_by_one.values():
        assert len(score.per_image) == 30
        assert score.mean == pytest.approx(np.mean(score.per_image))
    assert metric(Options()).compute() == {}
    assert metric.needs == {"target"}
    assert metric.protocol


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_values_are_bounded_and_extreme_for_equal_images(seed, channels):
    a, b = noise(2, seed, side=8, channels=channels)
    assert run(L1, [a], [a])["l1"].mean == 0
    assert run(SSIM, [a], [a])["ssim"].mean == pytest.approx(1)
    assert run(GradientEnergy, [a], [a])["gradient_energy"].mean == pytest.approx(1)
    assert 0 < run(L1, [a], [b])["l1"].mean <= 2
    assert run(PSNR, [a], [b])["psnr"].mean < run(PSNR, [a], [a])["psnr"].mean
    assert run(L1, [a], [b]) == run(L1, [b], [a])
