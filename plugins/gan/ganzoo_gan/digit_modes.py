"""Count the modes of stacked digits that a generator makes, and measure how evenly.

The metric is that of Metz et al. (arXiv 1611.02163, section 3.3.1). Each channel of each sample is
classified, which gives one of 1,000 modes. The modes with at least one sample are counted. The
generated share of each mode is compared with the data's share by KL(generated || data). PacGAN
(1712.04086) uses the same metric.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganzoo.interfaces import Score
from ganzoo_gan.classifier import DigitClassifier, check_digits, classify, digits_of, trained
from ganzoo_gan.data_options import DigitModesOptions
from ganzoo_gan.digits import CLASSES

NOISE = 4_096
"""The number of images of noise from which the stacks of the floor are drawn."""


class DigitModes:
    """Metric: the number of modes captured, and KL(generated || data) over modes in nats.

    A sample of C channels is one of 10^C modes: 1,000 for stacked digits, 10 for single ones. The
    data's distribution is the one that stacked digits are drawn from: the product of the shares of
    the source's training digits (uniform for `mnist`).

    The ceilings are the same figures for as many stacks of real test digits, classified by the same
    network. The floors are those of stacks of noise. The classifier assigns a digit to any image,
    so even noise has hundreds of modes. A figure below the floor means that the generator makes no
    digits.

    Even perfect samples have a divergence of about (modes - 1) / (2 samples), which is 0.0195 for
    25,600 samples.
    """

    better: ClassVar[Mapping[str, str]] = {"modes": "higher", "kl": "lower"}
    needs = frozenset({"real"})  # not read; the samples must have its shape
    protocol = (
        "each channel is read by a small net trained on the real training digits; modes with at "
        "least one sample, and KL(generated || data) over modes in nats (arXiv 1611.02163); "
        "ceiling: as many stacks of real test digits; floor: of uniform noise"
    )

    def __init__(self, options: DigitModesOptions) -> None:
        self._options = options
        self.samples = options.samples
        self._net: DigitClassifier | None = None
        self._found: list[Tensor] = []
        self._size = 0

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:  # noqa: ARG002
        """Classify the samples of a batch, channel by channel.

        Args:
            batch: not used, since no sample of the data belongs to a generated one.
            generated: N x C x S x S in [-1, 1], C of 1 to 3.

        Raises:
            DataError: when these aren't digits of a size that the source has.
        """
        self._size = check_digits(generated, self._options, channels=(1, 2, 3))
        if self._net is None:
            self._net = trained(self._options, self._size)
        found = classify(self._net, generated.flatten(0, 1)[:, None])
        self._found.append(found.view(generated.shape[:2]))

    def compute(self) -> dict[str, Score]:
        """Return `modes` and `kl`, each with its ceiling and its floor."""
        digits = torch.cat(self._found).numpy()
        count, channels = digits.shape
        assert self._net is not None  # `update` sets it with the first samples
        real, _ = digits_of(self._options.source, self._size, "test")
        random = np.random.Generator(np.random.PCG64(self._options.seed))
        noise = random.uniform(-1, 1, (NOISE, 1, self._size, self._size))
        _, labels = digits_of(self._options.source, self._size, "train")
        shares = np.bincount(labels.numpy(), minlength=CLASSES) / len(labels)
        stacks = {"": digits}
        for prefix, images in (("ceiling_", real), ("floor_", torch.from_numpy(noise))):
            read = classify(self._net, images).numpy()
            stacks[prefix] = read[random.integers(len(read), size=(count, channels))]
        scores: dict[str, Score] = {}
        for prefix, read in stacks.items():
            modes, kl = count_modes(read, shares)
            scores |= {f"{prefix}modes": Score(modes), f"{prefix}kl": Score(kl)}
        return scores

    def headline(self, values: Mapping[str, Score]) -> str:
        """Return a sentence on modes and divergence, with those of real digits and of noise."""
        count, channels = torch.cat(self._found).shape
        (modes, kl), (best, least), (chance, far) = (
            (values[f"{prefix}modes"].mean, values[f"{prefix}kl"].mean)
            for prefix in ("", "ceiling_", "floor_")
        )
        return (
            f"modes captured: {modes:.0f} of {CLASSES**channels:,}, KL {kl:.3f} nats, "
            f"{count:,} samples (real test digits: {best:.0f}, {least:.3f}; "
            f"noise: {chance:.0f}, {far:.3f})"
        )


def count_modes(digits: np.ndarray, shares: np.ndarray) -> tuple[int, float]:
    """Return the number of modes with at least one sample, and KL(samples || data) in nats.

    Args:
        digits: N x C, the class of each channel.
        shares: shares of the ten digits in the data, all above 0; channels are independent.
    """
    powers = CLASSES ** np.arange(digits.shape[1])
    counts = np.bincount(digits @ powers)
    present = np.flatnonzero(counts)
    share = counts[present] / len(digits)
    expected = shares[present[:, None] // powers % CLASSES].prod(1)
    # Modes without a sample add nothing, because 0 log 0 = 0.
    return len(present), math.fsum(share * np.log(share / expected))
