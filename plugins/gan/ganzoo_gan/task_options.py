"""Options of the task. Imports no torch, so recipes are checked quickly."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ganzoo.api import Options


class FromNoiseOptions(Options):
    """The generator's inputs, and how often the generator is trained."""

    latent_size: int = Field(default=128, ge=1)
    """Numbers of noise that one sample is made of."""
    latent: Literal["normal", "uniform"] = "normal"
    """Distribution of each of them: standard normal, or uniform in [-1, 1] (DCGAN's paper)."""
    conditional: bool = False
    """Both networks are told the class of each sample; the data must have the field `label`."""
    critic_steps: int = Field(default=1, ge=1)
    """The generator moves in every so many-th step, the discriminator in each one, on a fresh batch
    (WGAN-GP: 5). Steps, epochs, schedules and averages count the discriminator's."""
