"""Metrics that compare a generated image with its target, on 8-bit values.

Every metric's `mean` is the mean of its `per_image` values. Where a metric is a ratio of two means
over the set, each image's value is divided by the set's mean, so that the rule is true here too. No
value is infinite or NaN, so that all values can be written as JSON.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ganzoo.api import Options
from ganzoo.errors import DataError
from ganzoo.interfaces import Score

if TYPE_CHECKING:
    from torch import Tensor

OTHERS = (1, 7, 23)
"""The offsets from an image's own target to the other targets that `OwnOther` compares it with.
After the last target of the set comes the first one."""

SSIM_WINDOW = 7
"""The side length in pixels of SSIM's uniform window. It is scikit-image's default."""


def _eight_bit(images: Tensor) -> np.ndarray:
    """Convert N x C x H x W, on the 8-bit grid of [-1, 1], to N x H x W x C uint8."""
    values = ((images.detach().cpu().double() + 1) * 127.5).round().clamp(0, 255)
    array: np.ndarray = values.permute(0, 2, 3, 1).numpy().astype(np.uint8)
    return array


def _score(values: list[float]) -> Score:
    return Score(sum(values) / len(values), tuple(values))


def l1(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean of |a - b| / 127.5: the mean absolute error in units of [-1, 1], 0 to 2."""
    return float(np.abs(a.astype(np.int16) - b).mean() / 127.5)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio in dB, from scikit-image with data_range 255.

    It would be infinite for equal images. These get the largest value that different images of
    their size can have, which is that of a single value that differs by one: 101.1 dB for
    256 x 256 x 3.
    """
    from skimage.metrics import peak_signal_noise_ratio

    if np.array_equal(a, b):
        return float(10 * np.log10(255**2 * a.size))
    return float(peak_signal_noise_ratio(b, a, data_range=255))  # type: ignore[no-untyped-call]


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Return the structural similarity (Wang et al. 2004), from scikit-image.

    It uses a uniform window of 7 x 7 pixels, and the mean over channels.

    Raises:
        DataError: when an image is smaller than the window.
    """
    from skimage.metrics import structural_similarity

    if min(a.shape[:2]) < SSIM_WINDOW:
        raise DataError(
            f"SSIM needs images of {SSIM_WINDOW} x {SSIM_WINDOW} pixels or more,"
            f" these are {a.shape[1]} x {a.shape[0]}",
            hint="Choose other metrics with [[metric]].",
        )
    value = structural_similarity(a, b, channel_axis=2, data_range=255)  # type: ignore[no-untyped-call]
    return float(value)


def gradient_energy(image: np.ndarray) -> float:
    """Return the mean |dx| + mean |dy| of neighbouring pixels, in 8-bit grey levels."""
    values = image.astype(np.int16)
    energy = 0.0
    for axis in (0, 1):
        if image.shape[axis] > 1:
            energy += float(np.abs(np.diff(values, axis=axis)).mean())
    return energy


class _Pairwise(ABC):
    """The base class of metrics with one value for a generated image and its target."""

    needs = frozenset({"target"})
    name: str

    def __init__(self, options: Options) -> None:
        self.options = options
        self.values: list[float] = []

    @abstractmethod
    def of(self, generated: np.ndarray, target: np.ndarray) -> float:
        """Return the value of one pair, both H x W x C uint8."""

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:
        """Add N x C x H x W images on the 8-bit grid of [-1, 1]."""
        pairs = zip(_eight_bit(generated), _eight_bit(batch["target"]), strict=True)
        self.values.extend(self.of(image, target) for image, target in pairs)

    def compute(self) -> dict[str, Score]:
        """Return the mean and each image's value; empty when there were no images."""
        return {self.name: _score(self.values)} if self.values else {}


class L1(_Pairwise):
    """Mean absolute error to the target."""

    name = "l1"
    better: ClassVar[Mapping[str, str]] = {"l1": "lower"}
    protocol = "mean |generated - target| / 127.5 on 8-bit values (0 to 2, lower is nearer)"

    def of(self, generated: np.ndarray, target: np.ndarray) -> float:
        """See `l1`."""
        return l1(generated, target)


class PSNR(_Pairwise):
    """Peak signal-to-noise ratio."""

    name = "psnr"
    better: ClassVar[Mapping[str, str]] = {"psnr": "higher"}
    protocol = "scikit-image peak_signal_noise_ratio, data_range 255, in dB (higher is nearer)"

    def of(self, generated: np.ndarray, target: np.ndarray) -> float:
        """See `psnr`."""
        return psnr(generated, target)


class SSIM(_Pairwise):
    """Structural similarity."""

    name = "ssim"
    better: ClassVar[Mapping[str, str]] = {"ssim": "higher"}
    protocol = (
        "scikit-image structural_similarity, channel_axis 2, data_range 255, 7x7 uniform window"
        " (1 is equal)"
    )

    def of(self, generated: np.ndarray, target: np.ndarray) -> float:
        """See `ssim`."""
        return ssim(generated, target)


class GradientEnergy:
    """Compare the gradient energy of images with that of their targets.

    The value is below 1 for blurred images.
    """

    needs = frozenset({"target"})
    better: ClassVar[Mapping[str, str]] = {"gradient_energy": "near 1"}
    protocol = (
        "mean |dx| + mean |dy| on 8-bit values: each generated image's, divided by the mean of the"
        " targets' (1 is as sharp as the real ones)"
    )

    def __init__(self, options: Options) -> None:
        self.options = options
        self.generated: list[float] = []
        self.real: list[float] = []

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:
        """Add N x C x H x W images on the 8-bit grid of [-1, 1]."""
        self.generated.extend(map(gradient_energy, _eight_bit(generated)))
        self.real.extend(map(gradient_energy, _eight_bit(batch["target"])))

    def compute(self) -> dict[str, Score]:
        """Return the ratio; empty when all targets have a single colour, so that there is none."""
        real = sum(self.real) / max(len(self.real), 1)
        return {"gradient_energy": _score([g / real for g in self.generated])} if real else {}


class OwnOther:
    """Measure whether an image is nearer to its own target than to other images' targets.

    A value of 1 means that the generator ignores its input.
    """

    needs = frozenset({"target"})
    better: ClassVar[Mapping[str, str]] = {"own_other": "lower"}
    protocol = (
        "L1 to the own target, divided by the set's mean L1 to the targets of images i+1, i+7 and"
        " i+23 of the set, counted round its end (1: the input is ignored; lower follows it)"
    )

    def __init__(self, options: Options) -> None:
        self.options = options
        self.generated: list[np.ndarray] = []
        self.targets: list[np.ndarray] = []

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:
        """Add N x C x H x W images on the 8-bit grid of [-1, 1]; all are kept in memory."""
        self.generated.extend(_eight_bit(generated))
        self.targets.extend(_eight_bit(batch["target"]))

    def compute(self) -> dict[str, Score]:
        """Return the ratio; empty for a set without two different targets of the same size."""
        count = len(self.generated)
        own, other = [], []
        for index, image in enumerate(self.generated):
            own.append(l1(image, self.targets[index]))
            for offset in OTHERS:
                target = self.targets[(index + offset) % count]
                if offset % count and target.shape == image.shape:
                    other.append(l1(image, target))
        mean = sum(other) / max(len(other), 1)
        return {"own_other": _score([value / mean for value in own])} if mean else {}
