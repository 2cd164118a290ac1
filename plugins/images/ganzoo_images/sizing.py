"""The recipes that `ganzoo init` proposes for folders of images, at the size that a machine allows.

Each function gives the tables that are laid over the recipe: sizes of images and networks, no more.
"""

from __future__ import annotations

from typing import Any

from ganzoo.data import Scale, Sizing

PAIRED_RECIPE = "pix2pix_facades.toml"
"""The general recipe for pairs of images."""
UNPAIRED_RECIPE = "cyclegan_catdog.toml"
"""The one for images of two kinds, without pairs."""
FOLDER_RECIPE = "gan_folder.toml"
"""The one for images of one kind."""

_JITTER = 286 / 256
"""How much larger images are made before a part of them is cut out (arXiv 1611.07004, 6.2)."""
_BOTTLENECK = 8
"""Side of the smallest map of a U-Net, in pixels, above which it sees too little at once."""


def _jitter(size: int) -> list[dict[str, Any]]:
    crop = {"use": "albumentations/random_crop", "height": size, "width": size}
    return [
        {"use": "images/resize", "size": round(size * _JITTER)},
        crop,
        {"use": "albumentations/horizontal_flip", "p": 0.5},
        {"use": "images/resize", "size": size, "on": "evaluation"},
    ]


def _patch(size: int) -> int:
    """The receptive field of a discriminator that sees a part of the image: 70 of 256."""
    return 70 if size >= 96 else 34 if size >= 48 else 16


def _depth(size: int) -> int:
    """Halvings down to a map of few pixels; of sizes that can't be halved so far, too many."""
    exact = (size & -size).bit_length() - 1
    return exact if size >> exact <= _BOTTLENECK else size.bit_length() - 1


_BY_STEP = {"schedule": {"every": "step"}}
"""A short training has too few epochs for a rate that changes with each."""


_RATE = 2e-4
"""The published learning rate (arXiv 1611.07004, 3.3), of networks of width 64."""


def paired(scale: Scale) -> dict[str, Any]:
    """Tables over `pix2pix_facades.toml`.

    Narrower networks take a higher rate: at 64 x 64 and width 16, four times the published one drew
    doors, windows and cornices after 200 steps where that one drew a grey veil after 250.
    """
    rate = {"lr": _RATE * 64 / max(16, scale.width)} if scale.width < 64 else {}
    return {
        "augment": _jitter(scale.size),
        "generator": {"depth": _depth(scale.size), "width": scale.width},
        "discriminator": {"receptive_field": _patch(scale.size), "width": scale.width},
        "optimizer": {**rate, **_BY_STEP},
    }


def unpaired(scale: Scale) -> dict[str, Any]:
    """Tables over `cyclegan_catdog.toml`."""
    blocks = 9 if scale.size >= 256 else 6 if scale.size >= 128 else 3
    return {
        "augment": _jitter(scale.size),
        "generator": {"blocks": blocks, "width": scale.width},
        "discriminator": {"receptive_field": _patch(scale.size), "width": scale.width},
        "optimizer": _BY_STEP,
    }


def folder(scale: Scale) -> dict[str, Any]:
    """Tables over `gan_folder.toml`."""
    return {
        "augment": _square(scale.size),
        "generator": {"width": scale.width},
        "discriminator": {"width": scale.width},
    }


def _square(size: int) -> list[dict[str, Any]]:
    """The middle square, always."""
    shorter = {"use": "albumentations/smallest_max_size", "max_size": size}
    crop = {"use": "albumentations/center_crop", "height": size, "width": size}
    return [{**shorter, "interpolation": "area", "on": "always"}, {**crop, "on": "always"}]


_SCALES = (Scale(256, 64), Scale(128, 64), Scale(128, 32), Scale(64, 32), Scale(64, 16))
_AS_PUBLISHED = Scale(256, 64)

PAIRED_SIZING = Sizing(
    scales=_SCALES,
    tables=paired,
    paper=_AS_PUBLISHED,
    paper_tables={**paired(_AS_PUBLISHED), "train": {"epochs": 200, "batch_size": 1}},
    paper_name="pix2pix, arXiv 1611.07004",
)

UNPAIRED_SIZING = Sizing(
    scales=_SCALES,
    tables=unpaired,
    paper=_AS_PUBLISHED,
    paper_tables={**unpaired(_AS_PUBLISHED), "train": {"epochs": 200, "batch_size": 1}},
    paper_name="CycleGAN, arXiv 1703.10593",
)

_DCGAN = Scale(64, 128)

FOLDER_SIZING = Sizing(
    scales=(Scale(64, 64), Scale(64, 32), Scale(64, 16), Scale(32, 32), Scale(32, 16)),
    tables=folder,
    paper=_DCGAN,
    # Its five epochs are of three million images, which is 117,000 steps: a folder needs more.
    paper_tables={
        **folder(_DCGAN),
        "discriminator": {"width": _DCGAN.width, "norm": "batch"},
        "task": {"latent": "uniform"},
        "loss": [{"use": "gan/vanilla"}],
        "diffaugment": [{"use": "gan/diffaugment", "p": 0}],  # none
        "train": {"epochs": 1000, "batch_size": 128},
        "optimizer": {"betas": [0.5, 0.999]},
        "ema": {"enabled": False},
    },
    paper_name="DCGAN, arXiv 1511.06434, with more epochs for fewer images",
)
