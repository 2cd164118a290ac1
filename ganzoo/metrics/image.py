"""Metrics that compare a generated image with its target, on the values that files hold.

Images of 8 bits over their whole range are compared as such. Others are compared as float64 in
[-1, 1], in which the ends of the field's range are -1 and 1.

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
from ganzoo.data.formats import format_of
from ganzoo.errors import DataError
from ganzoo.interfaces import Field, Score

if TYPE_CHECKING:
    from torch import Tensor

OTHERS = (1, 7, 23)
"""The offsets from an image's own target to the other targets that `OwnOther` compares it with.
After the last target of the set comes the first one."""

SSIM_WINDOW = 7
"""The side length in pixels of SSIM's uniform window. It is scikit-image's default."""


def _score(values: list[float]) -> Score:
    return Score(sum(values) / len(values), tuple(values))


def _signed(values: np.ndarray) -> np.ndarray:
    """Values whose differences can be negative."""
    return values.astype(np.int16) if values.dtype == np.uint8 else values


def l1(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean absolute error in units of [-1, 1], 0 to 2: of uint8, |a - b| / 127.5."""
    scale = 127.5 if a.dtype == np.uint8 else 1.0
    return float(np.abs(_signed(a) - b).mean() / scale)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio in dB, from scikit-image.

    Its data_range is 255 for uint8, and 2 for floats in [-1, 1]. It would be infinite for equal
    images. These get the largest value that different images of their size can have, which is that
    of a single value that differs by one: 101.1 dB for 256 x 256 x 3 of uint8. For floats, it is
    that of one that differs by 2^-22 of the range, the precision to which float32 files come back.
    """
    from skimage.metrics import peak_signal_noise_ratio

    whole = a.dtype == np.uint8
    if np.array_equal(a, b):
        return float(10 * np.log10((255**2 if whole else 2.0**44) * a.size))
    data_range = 255 if whole else 2
    return float(
        peak_signal_noise_ratio(b, a, data_range=data_range)  # type: ignore[no-untyped-call]
    )


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Return the structural similarity (Wang et al. 2004), from scikit-image.

    It uses a uniform window of 7 x 7 pixels, and the mean over channels. Its data_range is 255 for
    uint8, and 2 for floats in [-1, 1].

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
    data_range = 255 if a.dtype == np.uint8 else 2
    return float(
        structural_similarity(a, b, channel_axis=2, data_range=data_range)  # type: ignore[no-untyped-call]
    )


def gradient_energy(image: np.ndarray) -> float:
    """Return the mean |dx| + mean |dy| of neighbouring pixels, in the image's own levels."""
    values = _signed(image)
    energy = 0.0
    for axis in (0, 1):
        if image.shape[axis] > 1:
            energy += float(np.abs(np.diff(values, axis=axis)).mean())
    return energy


class _OfImages:
    """The base class of metrics of images: from batches to arrays, as the made field says."""

    needs = frozenset({"target"})
    protocol: str
    protocol_of_floats: str
    """The protocol for images whose files don't have 8 bits over their whole range."""
    leaves_out = False
    """Whether it leaves places without data out."""
    field: Field | None = None

    def __init__(self, options: Options) -> None:
        self.options = options

    def prepare(self, fields: Mapping[str, Field], made: Field) -> None:  # noqa: ARG002
        """Learn what is generated.

        Raises:
            DataError: it isn't images, or has places without data that can't be left out.
        """
        if len(made.shape) != 3 or not format_of(made).pixels:
            raise DataError(f"it compares images (C, H, W), but these are {made.format}")
        if made.mask and not self.leaves_out:
            raise DataError(f"it can't leave out where {made.mask!r} says that there are no data")
        self.field = made
        if self._exact:
            self.protocol = self._of_floats(made)
        if made.mask:
            self.protocol = f"{self.protocol}; where {made.mask!r} is not 0"

    def _of_floats(self, made: Field) -> str:  # noqa: ARG002  # for metrics with a unit
        """Return the protocol for images that are compared as floats."""
        return self.protocol_of_floats

    @property
    def _exact(self) -> bool:
        """Whether images are compared as floats, since 8 bits don't hold them."""
        field = self.field
        return field is not None and (field.range is not None or field.dtype != "uint8")

    def _arrays(self, images: Tensor) -> np.ndarray:
        """Convert N x C x H x W to N x H x W x C, uint8 or float64 in [-1, 1]."""
        values = images.detach().cpu().double()
        if not self._exact:
            values = ((values + 1) * 127.5).round().clamp(0, 255)
        array: np.ndarray = values.permute(0, 2, 3, 1).numpy()
        return array if self._exact else array.astype(np.uint8)


class _Pairwise(_OfImages, ABC):
    """The base class of metrics with one value for a generated image and its target."""

    name: str

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.values: list[float] = []

    @abstractmethod
    def of(self, generated: np.ndarray, target: np.ndarray) -> float:
        """Return the value of one pair: both H x W x C, or P x C of the places with data."""

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:
        """Add N x C x H x W images in [-1, 1], each of which has data somewhere."""
        pairs = zip(self._arrays(generated), self._arrays(batch["target"]), strict=True)
        if self.field is None or not self.field.mask:
            self.values.extend(self.of(image, target) for image, target in pairs)
            return
        masks = batch[self.field.mask].cpu().numpy() != 0
        self.values.extend(
            self.of(image[there], target[there])
            for (image, target), there in zip(pairs, masks, strict=True)
        )

    def compute(self) -> dict[str, Score]:
        """Return the mean and each image's value; empty when there were no images."""
        return {self.name: _score(self.values)} if self.values else {}


class L1(_Pairwise):
    """Mean absolute error to the target."""

    name = "l1"
    better: ClassVar[Mapping[str, str]] = {"l1": "lower"}
    protocol = "mean |generated - target| / 127.5 on 8-bit values (0 to 2, lower is nearer)"
    protocol_of_floats = "mean |generated - target| of values in [-1, 1] (0 to 2, lower is nearer)"
    leaves_out = True

    def _of_floats(self, made: Field) -> str:
        """Of a field with a range, the error is in its unit."""
        if made.range is None:
            return self.protocol_of_floats
        return (
            f"mean |generated - target| in {made.unit or 'the unit of the files'} (lower is nearer)"
        )

    def of(self, generated: np.ndarray, target: np.ndarray) -> float:
        """See `l1`; of a field with a range, in its unit."""
        ranged = self.field is not None and self.field.range
        return l1(generated, target) * ((ranged[1] - ranged[0]) / 2 if ranged else 1)


class PSNR(_Pairwise):
    """Peak signal-to-noise ratio."""

    name = "psnr"
    better: ClassVar[Mapping[str, str]] = {"psnr": "higher"}
    protocol = "scikit-image peak_signal_noise_ratio, data_range 255, in dB (higher is nearer)"
    protocol_of_floats = (
        "scikit-image peak_signal_noise_ratio of values in [-1, 1], data_range 2, in dB (higher is"
        " nearer)"
    )
    leaves_out = True

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
    protocol_of_floats = protocol.replace("data_range 255", "values in [-1, 1], data_range 2")

    def of(self, generated: np.ndarray, target: np.ndarray) -> float:
        """See `ssim`."""
        return ssim(generated, target)


class GradientEnergy(_OfImages):
    """Compare the gradient energy of images with that of their targets.

    The value is below 1 for blurred images. There is none where each target has a single colour.
    """

    better: ClassVar[Mapping[str, str]] = {"gradient_energy": "near 1"}
    protocol = (
        "mean |dx| + mean |dy| on 8-bit values: each generated image's, divided by the mean of the"
        " targets' (1 is as sharp as the real ones)"
    )
    protocol_of_floats = protocol.replace("8-bit values", "values in [-1, 1]")

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.generated: list[float] = []
        self.real: list[float] = []

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:
        """Add N x C x H x W images in [-1, 1]."""
        self.generated.extend(map(gradient_energy, self._arrays(generated)))
        self.real.extend(map(gradient_energy, self._arrays(batch["target"])))

    def compute(self) -> dict[str, Score]:
        """Return the ratio; empty when all targets have a single colour, so that there is none."""
        real = sum(self.real) / max(len(self.real), 1)
        return {"gradient_energy": _score([g / real for g in self.generated])} if real else {}


class OwnOther(_OfImages):
    """Measure whether an image is nearer to its own target than to other images' targets.

    A value of 1 means that the generator ignores its input. There is no value for a
    set without two different targets of the same size.
    """

    better: ClassVar[Mapping[str, str]] = {"own_other": "lower"}
    protocol = (
        "L1 to the own target, divided by the set's mean L1 to the targets of images i+1, i+7 and"
        " i+23 of the set, counted round its end (1: the input is ignored; lower follows it)"
    )
    protocol_of_floats = protocol

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.generated: list[np.ndarray] = []
        self.targets: list[np.ndarray] = []

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:
        """Add N x C x H x W images in [-1, 1]; all are kept in memory."""
        self.generated.extend(self._arrays(generated))
        self.targets.extend(self._arrays(batch["target"]))

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
