"""Options of the components: what a recipe may set. Imports no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ganzoo.api import NetOptions, Options, TaskOptions

Hertz = Annotated[float, Field(gt=0, lt=4000)]

PITCHES = (400.0, 600.0, 900.0, 1350.0)


class GeneratorOptions(NetOptions):
    """How large the generator is."""

    width: int = Field(default=32, ge=1)
    """Values of a frame; four times as many stand for the whole sound."""
    hop: int = Field(default=32, ge=2, multiple_of=2)
    """Samples of a frame. The length of the sounds is a multiple of it."""


class DiscriminatorOptions(NetOptions):
    """How large the discriminator is."""

    width: int = Field(default=32, ge=1)
    """Channels of its layers."""
    window: int = Field(default=128, ge=8, multiple_of=2)
    """Samples of a window; neighbouring windows overlap by half of it."""


class FromNoiseOptions(TaskOptions):
    """What the generator starts from."""

    latent_size: int = Field(default=16, ge=1)
    """Number of random numbers from which one sound is generated."""


class TonesOptions(Options):
    """Which tones are drawn, and how many."""

    pitches: tuple[Hertz, ...] = Field(default=PITCHES, min_length=2)
    """Fundamental frequency of each class, in Hz."""
    length: int = Field(default=1024, ge=16)
    """Samples of a sound; 8,000 are a second."""
    shuffled: bool = False
    """Give each sound a random class: a control, from which no class's pitch can be learned."""
    train: int = Field(default=1024, ge=1)
    """Number of sounds for training."""
    val: int = Field(default=64, ge=1)
    """Number of sounds for validation."""
    test: int = Field(default=256, ge=1)
    """Number of sounds for tests."""


class PitchOptions(Options):
    """Which frequencies are expected, and how exactly."""

    pitches: tuple[Hertz, ...] = Field(default=PITCHES, min_length=2)
    """Frequency of each class, in Hz; data that propose this metric set their own."""
    tolerance: float = Field(default=0.05, gt=0, lt=1)
    """Largest relative error of a frequency that counts as right; a semitone is 0.06."""
    samples: int = Field(default=256, ge=1)
    """Number of generated sounds, evenly distributed over the classes."""
