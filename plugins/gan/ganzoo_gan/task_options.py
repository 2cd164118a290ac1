"""Options of the task. Imports no torch, so recipes are checked quickly."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ganzoo.api import Options


class FromNoiseOptions(Options):
    """The generator's inputs, and how often the generator is trained."""

    latent_size: int = Field(default=128, ge=1)
    """Count of random numbers from which one sample is generated."""
    latent: Literal["normal", "uniform"] = "normal"
    """Distribution of each of them: standard normal, or uniform in [-1, 1] (DCGAN's paper)."""
    conditional: bool = False
    """Both networks receive the class of each sample; the data must have the field `label`."""
    critic_steps: int = Field(default=1, ge=1)
    """The generator is optimised once in this number of steps, the discriminator in each step, on a
    new batch (WGAN-GP: 5). Steps, epochs, schedules and averages count the discriminator's
    steps."""
