"""The metric of generated tones: is the strongest frequency that of the class?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from ganzoo.interfaces import Score
from ganzoo_waves.options import PitchOptions
from ganzoo_waves.sound import RATE


class Pitch:
    """Share of sounds whose strongest frequency is within the tolerance of that of their class."""

    needs: ClassVar[frozenset[str]] = frozenset({"label"})
    better: ClassVar[Mapping[str, str]] = {"pitch": "higher"}

    def __init__(self, options: PitchOptions) -> None:
        self.options = options
        self.samples = options.samples
        self.protocol = (
            f"share of sounds whose strongest frequency is at most {options.tolerance:.0%} "
            "from that of their class (0 to 1, higher is better)"
        )
        self.values: list[float] = []

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:
        """Take in sounds N x C x L in [-1, 1]; the first channel is judged."""
        expected = torch.tensor(self.options.pitches)[batch["label"]]
        off = (strongest_frequency(generated[:, 0]) / expected - 1).abs()
        self.values += (off <= self.options.tolerance).double().tolist()

    def compute(self) -> Mapping[str, Score]:
        """The share, and 0 or 1 for each sound; nothing when nothing was taken in."""
        if not self.values:
            return {}
        return {"pitch": Score(sum(self.values) / len(self.values), tuple(self.values))}

    def headline(self, scores: Mapping[str, Score]) -> str:
        """Return the figure in a sentence."""
        return f"{scores['pitch'].mean:.0%} of the sounds have the pitch of their class"


def strongest_frequency(sounds: Tensor) -> Tensor:
    """Return the frequency with the largest amplitude of each sound N x L, in steps of 1 Hz."""
    window = torch.hann_window(sounds.shape[1], dtype=sounds.dtype)
    frequencies: Tensor = torch.fft.rfft(sounds * window, RATE).abs().argmax(1)
    return frequencies.to(sounds.dtype)
