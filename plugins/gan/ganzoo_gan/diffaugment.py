"""Differentiable augmentation of all that a discriminator sees (arXiv 2006.10738, section 3.2).

The ranges are those of the paper's code: brightness by up to 0.5, saturation by 0 to 2, contrast by
0.5 to 1.5, a shift by up to 1/8 of height and width, a hole of half of each. Images are in [-1, 1];
what comes into view or is cut out is 0, a middle grey, and colours may leave the range, as there.

Channels are taken three by three as images of red, green and blue where their number allows: a
discriminator that sees a source beside an image sees both changed alike, each around its own grey.
Otherwise (one channel; an image beside a label map) all channels are one image, whose saturation
is left alone.
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
"""Shares of the side."""


class DiffAugment:
    """The changes of a policy, each with probability `p` for each image.

    Every number is drawn from torch's global generator, on the images' device.
    """

    def __init__(self, options: DiffAugmentOptions) -> None:
        self.options = options

    def __call__(self, images: Tensor, clock: Clock) -> Tensor:
        """Return images of the same shape and dtype.

        Args:
            images: N x C x H x W in [-1, 1].
            clock: for a `p` that anneals.

        Raises:
            ValueError: the input is no batch of images.
        """
        if images.ndim != 4:
            message = f"gan/diffaugment changes images (N x C x H x W), not {tuple(images.shape)}"
            raise ValueError(message)
        p = self.options.p.at(clock)
        if p == 0:
            return images
        for change in self.options.policy:
            # Not rounded to the images' precision, which would make some of p = 1 stay out.
            chosen = torch.rand(_one_each(images), device=images.device) < p
            images = torch.where(chosen, CHANGES[change](images), images)
        return images


def colour(images: Tensor) -> Tensor:
    """Brightness, then saturation, then contrast; one draw of each an image."""
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
    """Shift by whole pixels, each of -1/8 to +1/8 of the side equally probable, over zeros."""
    padded = F.pad(images, (1, 1, 1, 1))
    # Row i shows row i - shift; rows from beyond are the padding's, at 0 and side + 1.
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
    """Set a hole to 0; its centre is anywhere in the image, so that it may lie half outside."""
    inside = []
    for side in images.shape[2:]:
        size = _share(side, HOLE)
        # The lines between pixels too for an even size, which has its centre on one of them.
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
    """One number an image, N x 1 x 1 x 1, the same in every precision."""
    drawn = torch.rand(_one_each(images), device=images.device)
    return (low + (high - low) * drawn).to(images.dtype)


def _one_each(images: Tensor) -> tuple[int, int, int, int]:
    return (len(images), 1, 1, 1)


def _share(side: int, share: float) -> int:
    """A share of the side in whole pixels, halves rounded up."""
    return int(side * share + 0.5)
