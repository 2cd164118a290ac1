"""What any honest figure must beat: images made without a network, from training means alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ganzoo.data.convert import to_uint8
from ganzoo.data.formats import is_8_bit_image
from ganzoo.data.pipeline import PreparedData

MOST_IMAGES = 1000
"""Training images that the means are taken over at most, evenly spaced in the set."""

PROTOCOL = {
    "mean_photo": "the mean of the training targets, the same for every input",
    "class_mean_colours": "each pixel gets the mean training colour of its label's class, the class"
    " being the palette's colour nearest to the input's (Euclidean distance in RGB)",
    "identity": "the input itself, unchanged; shown of networks that learned without pairs",
    "real_data": "the split's own samples in the place of generated ones (no more than it has)",
}


@dataclass(frozen=True)
class Controls:
    """Controls fitted on training images; all images are H x W x C uint8.

    Args:
        source, target: names of the fields that go in and come out.
        mean: the mean target.
        palette: colours of the source's classes, K x 3; empty when the source isn't a label map.
        colours: mean target colour of each class, K x C.
        identity: whether the input itself is a control.
    """

    source: str
    target: str
    mean: np.ndarray
    palette: np.ndarray
    colours: np.ndarray
    identity: bool = False

    def images(self, sample: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """What each control answers to a sample (tensors without a batch axis)."""
        answers = {"mean_photo": resized(self.mean, sample[self.target].shape)}
        if len(self.palette):
            answers["class_mean_colours"] = self.colours[
                nearest_class(to_uint8(sample[self.source]), self.palette)
            ]
        if self.identity and sample[self.source].shape == sample[self.target].shape:
            answers["identity"] = to_uint8(sample[self.source])
        return answers


def nearest_class(image: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Index of the nearest colour, by Euclidean distance, the first of equals: H x W.

    Args:
        image: H x W x 3 uint8.
        palette: K x 3, 0 to 255.
    """
    colours = palette.astype(np.float32)
    # |x - p|^2 = |x|^2 - 2 x.p + |p|^2, and |x|^2 is the same for all; whole numbers below 2^24,
    # so float32 is exact
    distance = (colours**2).sum(1) - image.astype(np.float32) @ (2 * colours.T)
    nearest: np.ndarray = distance.argmin(-1)
    return nearest


def fit_controls(train: PreparedData, source: str, target: str) -> Controls:
    """Take the means over the training split in its form for evaluation.

    Where its fields aren't aligned, no colours can be learned by class; the input itself is a
    control then, since to leave it alone is what such networks fall back on.

    Raises:
        DataError: when a training image can't be read.
    """
    channels = train.fields[target].shape[0]
    paired = train.fields[source].aligned and train.fields[target].aligned
    pictures = is_8_bit_image(train.fields[source], train.formats[source])
    coded = paired and pictures and train.fields[source].shape[0] == 3
    palette = np.array(train.fields[source].palette if coded else (), np.uint8).reshape(-1, 3)
    total = np.zeros(_height_width_channels(train.fields[target].shape))
    sums, counts = np.zeros((len(palette), channels)), np.zeros(len(palette))
    indices = np.linspace(0, len(train) - 1, min(len(train), MOST_IMAGES)).astype(int)
    for index in indices:
        sample = train.sample(int(index))
        answer = to_uint8(sample[target])
        total += resized(answer, train.fields[target].shape)
        if not len(palette):
            continue
        classes = nearest_class(to_uint8(sample[source]), palette).ravel()
        counts += np.bincount(classes, minlength=len(palette))
        for channel in range(channels):
            values = answer[..., channel].ravel()
            sums[:, channel] += np.bincount(classes, values, len(palette))
    mean = total / len(indices)
    # a class that no training pixel has gets the mean colour of all
    overall = mean.mean((0, 1))
    colours = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], overall)
    return Controls(
        source=source,
        target=target,
        mean=np.rint(mean).astype(np.uint8),
        palette=palette,
        colours=np.rint(colours).astype(np.uint8),
        identity=not paired and pictures,
    )


def _height_width_channels(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[1:], shape[0])


def resized(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The image at the height and width of a C x H x W shape, bilinear where they differ."""
    size = tuple(shape[-2:])
    if image.shape[:2] == size:
        return image
    planes = torch.from_numpy(image).movedim(2, 0)[None].float()
    scaled = functional.interpolate(planes, size, mode="bilinear", antialias=True)
    resized: np.ndarray = scaled[0].movedim(0, 2).round().byte().numpy()
    return resized
