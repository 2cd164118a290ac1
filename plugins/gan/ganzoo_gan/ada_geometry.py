"""The geometric transformations of arXiv 2006.06676, appendix B, lines 6 to 34 of algorithm 1.

All transformations of an image are one affine map around the image's centre, which is applied by
one bilinear interpolation. They are composed in this order, with the constants of these lines:

- `x_flip` exchanges left and right in half of the cases;
- `rotate_90` rotates the image by 0, 90, 180 or 270 degrees;
- `translate_integer` moves it by up to 0.125 of its width and height, rounded to whole pixels;
- `scale` scales it by a factor whose logarithm to base 2 is normal with standard deviation 0.2;
- `rotate` rotates it by any angle, before and after `stretch`; the probability of each rotation is
  such that at least one of them is made with probability p;
- `stretch` scales the width by a factor with the distribution of `scale`, and the height by its
  inverse;
- `translate` moves the image by shares of its width and height that are normal with standard
  deviation 0.125.

Beyond the image's borders is its reflection at the centres of the outermost pixels, as in the
paper; here the reflection continues without an end. Unlike the paper, there is no low-pass filter
before and after the interpolation (lines 36 to 49), so that interpolated images are somewhat softer
and shrunken images may have aliasing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor

INTEGER_SHIFT = 0.125
SCALE = STRETCH = 0.2
SHIFT = 0.125


def draw_geometry(
    policy: Collection[str], count: int, size: tuple[int, int], p: Tensor
) -> tuple[Tensor, Tensor]:
    """Draw the transformations of each image.

    Args:
        policy: names of transformations; others than those of this module are ignored.
        count: number of images.
        size: their height and width.
        p: the probability of each transformation, a single number on the images' device.

    Returns:
        The inverse of each image's affine map, N x 3 x 3 in fp32, in pixels from the centre, x
        first; and which images it changes, N.
    """
    height, width = size
    one = torch.ones(count, device=p.device)
    zero = torch.zeros_like(one)
    changed = zero.bool()
    inverse = scaling(one, one)

    def apply(
        chance: Tensor, neutral: Tensor, made: Callable[..., Tensor], *values: Tensor
    ) -> None:
        """Append a transformation with these parameters, for images that are chosen by chance."""
        nonlocal inverse, changed
        chosen = torch.rand_like(one) < chance
        changed = changed | (chosen & torch.stack([value != neutral for value in values]).any(0))
        kept = [torch.where(chosen, value, neutral) for value in values]
        inverse = _product(inverse, made(*kept))

    if "x_flip" in policy:
        flip = torch.randint(2, (count,), device=p.device)
        apply(p, one, lambda side: scaling(side, one), 1.0 - 2 * flip)
    if "rotate_90" in policy:
        apply(p, zero, rotation, math.pi / 2 * torch.randint(4, (count,), device=p.device))
    if "translate_integer" in policy:
        across, down = (INTEGER_SHIFT * (2 * torch.rand_like(one) - 1) for _ in range(2))
        apply(p, zero, translation, (across * width).round(), (down * height).round())
    if "scale" in policy:
        apply(p, one, lambda factor: scaling(factor, factor), _factor(one, SCALE))
    # 1 - (1 - chance)^2 = p
    chance = 1 - (1 - p).clamp(min=0).sqrt()
    if "rotate" in policy:
        apply(chance, zero, rotation, math.pi * (2 * torch.rand_like(one) - 1))
    if "stretch" in policy:
        apply(p, one, lambda factor: scaling(factor, 1 / factor), _factor(one, STRETCH))
    if "rotate" in policy:
        apply(chance, zero, rotation, math.pi * (2 * torch.rand_like(one) - 1))
    if "translate" in policy:
        across, down = (SHIFT * torch.randn_like(one) for _ in range(2))
        apply(p, zero, translation, across * width, down * height)
    return inverse, changed


def _factor(like: Tensor, deviation: float) -> Tensor:
    return torch.exp2(deviation * torch.randn_like(like))


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """Return the inverse of scaling by factors, N each, as matrices N x 3 x 3."""
    return _matrices((1 / x, 0, 0), (0, 1 / y, 0), like=x)


def rotation(angle: Tensor) -> Tensor:
    """Return the inverse of a rotation by an angle in radians, N, from the x to the y axis."""
    cos, sin = angle.cos(), angle.sin()
    return _matrices((cos, sin, 0), (-sin, cos, 0), like=angle)


def translation(x: Tensor, y: Tensor) -> Tensor:
    """Return the inverse of a translation by pixels, N each."""
    return _matrices((1, 0, -x), (0, 1, -y), like=x)


def _matrices(*rows: tuple[Any, Any, Any], like: Tensor) -> Tensor:
    """Return N x 3 x 3 of two rows of numbers or tensors N; the third row is 0, 0, 1."""
    parts = [
        value if isinstance(value, Tensor) else torch.full_like(like, value)
        for row in (*rows, (0, 0, 1))
        for value in row
    ]
    return torch.stack(parts, 1).reshape(-1, 3, 3)


def _product(one: Tensor, other: Tensor) -> Tensor:
    """Multiply matrices, N x 3 x 3, by operations that autocast doesn't compute in bf16."""
    return (one[:, :, :, None] * other[:, None, :, :]).sum(2)


def warp(images: Tensor, inverse: Tensor) -> Tensor:
    """Apply affine maps to images by bilinear interpolation.

    Args:
        images: N x C x H x W.
        inverse: N x 3 x 3, as `draw_geometry` returns them.
    """
    height, width = images.shape[2:]
    inverse = inverse.to(images.dtype)
    down, across = (
        torch.arange(side, device=images.device, dtype=images.dtype) - (side - 1) / 2
        for side in (height, width)
    )
    sources = [
        row[:, 0, None, None] * across
        + row[:, 1, None, None] * down[:, None]
        + row[:, 2, None, None]
        for row in (inverse[:, 0], inverse[:, 1])
    ]
    # Pixels are at integers, from -1 at the first pixel's centre to 1 at the last one's.
    grid = torch.stack(
        [
            source / (max(side - 1, 1) / 2)
            for source, side in zip(sources, (width, height), strict=True)
        ],
        -1,
    )
    made: Tensor = _Sampled.apply(images, grid)
    return made


_BILINEAR, _REFLECTION = 0, 2
"""Modes of torch's function, whose reflection is at the centres of the outermost pixels."""


class _Sampled(torch.autograd.Function):
    """Interpolation of images at given points, which can be differentiated twice.

    Torch's own function can't, and penalties need it. For a fixed grid the interpolation is linear
    in the images. So its gradient is a linear function of the incoming gradient, and the gradient
    of that is the interpolation again. There is no gradient for the grid.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = images.shape
        return torch.grid_sampler_2d(images, grid, _BILINEAR, _REFLECTION, align_corners=True)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (grid,) = ctx.saved_tensors
        return _Spread.apply(gradient, grid, ctx.shape), None


class _Spread(torch.autograd.Function):
    """The gradient of `_Sampled`: each value is added to the pixels that it was made of."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        spread: Tensor
        spread, _ = torch.ops.aten.grid_sampler_2d_backward(
            values, values.new_empty(shape), grid, _BILINEAR, _REFLECTION, True, [True, False]
        )
        return spread

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (grid,) = ctx.saved_tensors
        return _Sampled.apply(gradient, grid), None, None
