"""How many of the modes of stacked digits a generator makes, and how evenly.

Metz et al. (arXiv 1611.02163, section 3.3.1): each channel of each sample is classified, which
gives one of 1,000 modes; those with at least one sample are counted, and the generated share of
each is compared with the data's by KL(generated || data). PacGAN (1712.04086) does the same.
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
"""Pictures of noise that the floor's stacks are drawn from."""


class DigitModes:
    """Modes captured, and KL(generated || data) over modes in nats.

    A sample of C channels is one of 10^C modes: 1,000 of stacked digits, 10 of single ones. The
    data's distribution is the one that stacked digits are drawn from: the product of the shares of
    the source's training digits (uniform for `mnist`). Ceilings are the same figures of as many
    stacks of real test digits, read by the same net; floors those of stacks of noise: the net names
    a digit in anything, so that pictures of nothing have hundreds of modes, and a figure below the
    floor says that no digits are made.

    Even perfect samples have a divergence: about (modes - 1) / (2 samples), 0.0195 of 25,600.
    """

    better: ClassVar[Mapping[str, str]] = {"modes": "higher", "kl": "lower"}
    needs = frozenset({"real"})  # not to read it: what is generated must be like it
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
        """Classify a batch, channel by channel.

        Args:
            batch: not looked at: nothing of a sample of the data belongs to what was generated.
            generated: N x C x S x S in [-1, 1], C of 1 to 3.

        Raises:
            DataError: these are no digits of a size that the source has.
        """
        self._size = check_digits(generated, self._options, channels=(1, 2, 3))
        if self._net is None:
            self._net = trained(self._options, self._size)
        found = classify(self._net, generated.flatten(0, 1)[:, None])
        self._found.append(found.view(generated.shape[:2]))

    def compute(self) -> dict[str, Score]:
        """`modes` and `kl`, each with its ceiling and its floor."""
        digits = torch.cat(self._found).numpy()
        count, channels = digits.shape
        assert self._net is not None  # what was found, it found
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
        """One sentence: modes of how many, divergence, and the same of real digits and of noise."""
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
    """Modes with at least one sample, and KL(samples || data) in nats.

    Args:
        digits: N x C, what each channel was read as.
        shares: of the ten digits in the data, all above 0; channels are independent.
    """
    powers = CLASSES ** np.arange(digits.shape[1])
    counts = np.bincount(digits @ powers)
    present = np.flatnonzero(counts)
    share = counts[present] / len(digits)
    expected = shares[present[:, None] // powers % CLASSES].prod(1)
    # 0 log 0 = 0: modes without a sample add nothing.
    return len(present), math.fsum(share * np.log(share / expected))
