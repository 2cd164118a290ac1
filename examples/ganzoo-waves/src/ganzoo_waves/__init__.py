"""ganzoo-waves, a plugin of ganzoo that generates sound.

This module only names the components: ganzoo imports it to list them. So each function imports
torch and its own component when it is called.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from ganzoo.api import Target, component, hookimpl

GANZOO_API_VERSION = 2


def _options() -> Any:
    """Import the options, and pydantic with them, when somebody asks for a component's."""
    from ganzoo_waves import options

    return options


@component(
    "generator",
    lambda: _options().GeneratorOptions,
    name="frames",
    presets={"tiny": {"width": 4}},
)
def generator() -> Target:
    """Noise (and class) to sound: a convolution over frames, and a sum of learned filters."""
    from ganzoo_waves.networks import Generator

    return Generator


@component(
    "discriminator",
    lambda: _options().DiscriminatorOptions,
    name="spectrum",
    presets={"tiny": {"width": 4, "window": 32}},
)
def discriminator() -> Target:
    """Sound (and class) to one logit: convolutions over the amplitudes of frequencies."""
    from ganzoo_waves.networks import Discriminator

    return Discriminator


@component(
    "data",
    lambda: _options().TonesOptions,
    presets={"tiny": {"length": 256, "train": 8, "val": 4, "test": 8}},
)
def tones() -> Target:
    """Tones with overtones that decay, of four pitches, which are the classes; needs no files."""
    from ganzoo_waves.data import Tones

    return Tones


@component("task", lambda: _options().FromNoiseOptions, presets={"tiny": {"latent_size": 4}})
def from_noise() -> Target:
    """Generates sounds of the data's field `real` from noise and a class."""
    from ganzoo_waves.task import FromNoise

    return FromNoise


@component("format")
def sound() -> Target:
    """Sound of one channel: 16-bit WAV files of 8 kHz; waveform and spectrogram as pictures."""
    from ganzoo_waves.sound import Sound

    return Sound


@component("metric", lambda: _options().PitchOptions, presets={"tiny": {"samples": 8}})
def pitch() -> Target:
    """Share of sounds whose strongest frequency is that of their class."""
    from ganzoo_waves.pitch import Pitch

    return Pitch


@hookimpl
def ganzoo_recipes() -> Iterable[Traversable]:
    """Return the recipes of this package: `recipes/tones.toml` is `waves/tones`."""
    return [one for one in (files(__name__) / "recipes").iterdir() if one.name.endswith(".toml")]
