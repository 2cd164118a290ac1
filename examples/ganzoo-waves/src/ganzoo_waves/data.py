"""Tones that are drawn by code: each has a fundamental, two overtones, and decays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ganzoo.interfaces import Field, Split
from ganzoo_waves.options import TonesOptions
from ganzoo_waves.sound import FULL_SCALE, RATE

SPLITS: tuple[Split, ...] = ("train", "val", "test")


class Tones:
    """Sounds `real` with the class `label`; sample i is of class i modulo their number.

    Phase, overtones, decay and loudness of a tone are random, and its frequency is up to 1 % off.

    Args:
        options: pitches, length and counts.
        split: train, val or test; no two splits share a tone.
    """

    def __init__(self, options: TonesOptions, split: Split) -> None:
        self.options = options
        self.split = split
        self.count = {"train": options.train, "val": options.val, "test": options.test}[split]
        self.metrics = ({"use": "waves/pitch", "pitches": list(options.pitches)},)

    @property
    def fields(self) -> Mapping[str, Field]:
        """A sound of one channel and its class."""
        return {
            "real": Field((1, self.options.length), "waves/sound"),
            "label": Field((), "ganzoo/class", classes=len(self.options.pitches)),
        }

    def __len__(self) -> int:
        return self.count

    def load(self, index: int, rng: np.random.Generator | None = None) -> dict[str, Any]:  # noqa: ARG002
        """Return sound (L x 1 int16) and class; chance comes from split and index alone.

        Raises:
            IndexError: there is no such sample.
        """
        if not 0 <= index < self.count:
            raise IndexError(f"{self.split} has {self.count} samples, there is no index {index}")
        chance = np.random.default_rng((SPLITS.index(self.split), index))
        pitch = index % len(self.options.pitches)
        seconds = np.arange(self.options.length) / RATE
        frequency = self.options.pitches[pitch] * chance.uniform(0.99, 1.01)
        angle = 2 * np.pi * (frequency * seconds + chance.uniform())
        wave = np.sin(angle)
        for overtone in (2, 3):
            if overtone * frequency < RATE / 2:
                wave += chance.uniform(0, 0.3) * np.sin(overtone * angle)
        wave *= np.exp(-chance.uniform(5, 15) * seconds)
        wave *= chance.uniform(0.5, 0.9) / np.abs(wave).max()
        label = chance.integers(len(self.options.pitches)) if self.options.shuffled else pitch
        return {
            "real": (wave[:, None] * FULL_SCALE).round().astype(np.int16),
            "label": np.int64(label),
        }

    def name(self, index: int) -> str:
        """`000012`: what a sample is called in reports."""
        return f"{index:06d}"
