"""The colour error on colours whose Lab values are known."""

from __future__ import annotations

import pytest
import torch

from ganzoo.api import Options
from ganzoo.errors import DataError
from ganzoo_images.colour_error import ColourError


def flat(*colours):
    """N x 3 x 4 x 4 in [-1, 1] of colours in 0 to 255."""
    rows = [torch.tensor(colour, dtype=torch.float32) / 127.5 - 1 for colour in colours]
    return torch.stack(rows)[:, :, None, None].expand(-1, 3, 4, 4)


def error(target, generated):
    metric = ColourError(Options())
    metric.update({"target": target}, generated)
    return metric.compute()["colour_error"]


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ((0, 0, 0), (255, 255, 255), 100.0),  # L* is 0 and 100, a* and b* are 0
        ((10, 200, 30), (10, 200, 30), 0.0),
        # sRGB red is Lab (53.24, 80.09, 67.20): Lindbloom's calculator, D65; black is the origin.
        ((255, 0, 0), (0, 0, 0), (53.24**2 + 80.09**2 + 67.20**2) ** 0.5),
    ],
)
def test_known_distances(one, other, distance):
    assert error(flat(one), flat(other)).mean == pytest.approx(distance, abs=0.05)
    assert error(flat(other), flat(one)).mean == pytest.approx(distance, abs=0.05)


def test_it_is_the_mean_over_pixels_then_images():
    black, half = flat((0, 0, 0), (0, 0, 0)), flat((255, 255, 255), (0, 0, 0)).clone()
    half[1, :, :, :1] = 1.0  # a quarter of the second image is white
    score = error(black, half)
    assert score.per_image == pytest.approx((100.0, 25.0), abs=0.01)
    assert score.mean == pytest.approx(62.5, abs=0.01)


def test_images_are_compared_as_their_files_hold_them():
    grey = flat((128, 128, 128))
    assert error(grey, grey + 0.4 / 127.5).mean == 0.0
    assert error(grey, grey + 0.6 / 127.5).mean > 0.2


@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (1, 3, 4, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(DataError, match="needs RGB images"):
        error(flat((0, 0, 0)), torch.zeros(shape))
