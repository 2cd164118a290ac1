"""ganzoo-latent, a plugin of ganzoo: images to small codes, and codes to images.

This module only names things: ganzoo imports it to list them. So what each of them is, and torch
with it, is imported inside the functions.
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
    from ganzoo_latent import options

    return options


@component(
    "network",
    lambda: _options().EncoderOptions,
    paper="2112.10752",
    presets={"tiny": {"width": 4}},
)
def encoder() -> Target:
    """An image to mean and log-variance of its code, at a quarter of the size."""
    from ganzoo_latent.networks import Encoder

    return Encoder


@component(
    "generator",
    lambda: _options().DecoderOptions,
    paper="2112.10752",
    presets={"tiny": {"width": 4}},
)
def decoder() -> Target:
    """A code to an image of four times its size."""
    from ganzoo_latent.networks import Decoder

    return Decoder


@component(
    "loss",
    lambda: _options().PerceptualOptions,
    tags=("no_known_values",),
    presets={"tiny": {"width": 4, "layers": 2}},
)
def perceptual() -> Target:
    """Any adversarial loss, plus the error of pixels and of a random network's features."""
    from ganzoo_latent.loss import Perceptual

    return Perceptual


@component(
    "task",
    lambda: _options().AutoencoderOptions,
    paper="2112.10752",
    presets={"tiny": {"channels": 2}},
)
def autoencoder() -> Target:
    """Variational autoencoder whose images a discriminator judges; it encodes and decodes."""
    from ganzoo_latent.task import Autoencoder

    return Autoencoder


@component(
    "data",
    lambda: _options().ShapesOptions,
    presets={"tiny": {"size": 16, "train": 8, "val": 4, "test": 4}},
)
def shapes() -> Target:
    """Drawn discs and squares on a coloured ground; needs no files."""
    from ganzoo_latent.data import Shapes

    return Shapes


@component("format")
def code() -> Target:
    """Codes: maps of float32 without limits, in `.npy` files of H x W x C."""
    from ganzoo_latent.code import Code

    return Code


@hookimpl
def ganzoo_recipes() -> Iterable[Traversable]:
    """Return the recipes of this package: `recipes/shapes.toml` is `latent/shapes`."""
    return [one for one in (files(__name__) / "recipes").iterdir() if one.name.endswith(".toml")]
