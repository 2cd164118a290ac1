"""Differentiable augmentation of all images that a discriminator gets (arXiv 2006.10738, 3.2).

The ranges are those of the paper's code: brightness is changed by up to 0.5, saturation is
multiplied by 0 to 2 and contrast by 0.5 to 1.5. Images are shifted by up to 1/8 of height and
width, and a hole covers half of each. Images are in [-1, 1]. Pixels that a shift uncovers or a hole
covers are 0, a middle grey. As in the paper's code, colours aren't clipped to the range.

If the number of channels is a multiple of three, each group of three channels is treated as one RGB
image. So a discriminator that gets a source beside an image gets both changed in the same way, each
relative to its own grey. Otherwise (one channel; an image beside a label map) all channels are one
image, and its saturation doesn't change.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from ganzoo.interfaces import Clock
from ganzoo_gan.loss_options import DiffAugmentOptions

RGB = 3
BRIGHTNESS, SATURATION, CONTRAST = (-0.5, 0.5), (0.0, 2.0), (0.5, 1.5)
SHIFT, HOLE = 1 / 8, 1 / 2
"""The largest shift and the side of the hole, as shares of the image's side."""


class DiffAugment:
    """The changes of a policy, each with probability `p` for each image.

    All random numbers are drawn from torch's global generator on the images' device.
    """

    def __init__(self, options: DiffAugmentOptions) -> None:
        self.options = options

    def __call__(self, images: Tensor, clock: Clock) -> Tensor:
        """Return changed images of the same shape and dtype.

        Args:
            images: N x C x H x W in [-1, 1].
            clock: needed for a `p` that changes during training.

        Raises:
            ValueError: when the input isn't a batch of images.
        """
        if images.ndim != 4:
            message = f"gan/diffaugment changes images (N x C x H x W), not {tuple(images.shape)}"
            raise ValueError(message)
        p = self.options.p.at(clock)
        if p == 0:
            return images
        for change in self.options.policy:
            # Drawn in fp32: rounded to a lower precision, some draws would be 1, and then even
            # p = 1 would leave some images unchanged.
            chosen = torch.rand(_one_each(images), device=images.device) < p
            images = torch.where(chosen, CHANGES[change](images), images)
        return images


def colour(images: Tensor) -> Tensor:
    """Change brightness, then saturation, then contrast, with one draw of each for an image."""
    count, channels = images.shape[:2]
    apart = channels % RGB == 0
    # N x images in one x their channels x H x W
    x = images.reshape(count, -1, RGB if apart else channels, *images.shape[2:])
    draws = [_uniform(images, *limits)[:, None] for limits in (BRIGHTNESS, SATURATION, CONTRAST)]
    brightness, saturation, contrast = draws
    x = x + brightness
    if apart:
        grey = x.mean(2, keepdim=True)
        x = grey + saturation * (x - grey)
    mean = x.mean((2, 3, 4), keepdim=True)
    x = mean + contrast * (x - mean)
    return x.reshape(count, channels, *images.shape[2:])


def translation(images: Tensor) -> Tensor:
    """Shift by whole pixels; every shift up to 1/8 of the side is equally likely.

    Pixels that come into view are 0.
    """
    padded = F.pad(images, (1, 1, 1, 1))
    # Row i of the result is row i - shift of the image. Rows outside the image come from the
    # padding, at 0 and side + 1.
    sources = []
    for side in images.shape[2:]:
        most = _share(side, SHIFT)
        shift = torch.randint(-most, most + 1, (len(images), 1), device=images.device)
        at = torch.arange(1, side + 1, device=images.device) - shift
        sources.append(at.clamp(0, side + 1))
    rows, columns = sources
    which = torch.arange(len(images), device=images.device)[:, None, None]
    shifted: Tensor = padded.movedim(1, 3)[which, rows[:, :, None], columns[:, None, :]]
    return shifted.movedim(3, 1)


def cutout(images: Tensor) -> Tensor:
    """Set a hole to 0; its centre is anywhere in the image, so it may lie half outside."""
    inside = []
    for side in images.shape[2:]:
        size = _share(side, HOLE)
        # A hole of even size has its centre on a line between pixels. There is one more such line
        # than there are pixels.
        centres = side + 1 - size % 2
        centre = torch.randint(centres, (len(images), 1), device=images.device)
        first = centre - size // 2
        at = torch.arange(side, device=images.device)
        inside.append((at >= first) & (at < first + size))
    rows, columns = inside
    hole = rows[:, None, :, None] & columns[:, None, None, :]
    return torch.where(hole, torch.zeros_like(images), images)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "colour": colour,
    "translation": translation,
    "cutout": cutout,
}


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    """Draw one number for each image, N x 1 x 1 x 1, the same in every precision."""
    drawn = torch.rand(_one_each(images), device=images.device)
    return (low + (high - low) * drawn).to(images.dtype)


def _one_each(images: Tensor) -> tuple[int, int, int, int]:
    return (len(images), 1, 1, 1)


def _share(side: int, share: float) -> int:
    """Return a share of the side in whole pixels, with halves rounded up."""
    return int(side * share + 0.5)
