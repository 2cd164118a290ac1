"""The recipes that `ganzoo init` proposes for folders of images, in the size a machine allows.

Each public function returns tables that replace values of the recipe: only the sizes of images and
networks, and what depends on them.
"""

from __future__ import annotations

from typing import Any

from ganzoo.data import Scale, Sizing

PAIRED_RECIPE = "pix2pix_facades.toml"
"""The general recipe for pairs of images."""
UNPAIRED_RECIPE = "cyclegan_catdog.toml"
"""The general recipe for images of two kinds, without pairs."""
FOLDER_RECIPE = "gan_folder.toml"
"""The general recipe for images of one kind."""

_JITTER = 286 / 256
"""The factor by which images are enlarged before a part of them is cut out (arXiv 1611.07004,
6.2)."""
_BOTTLENECK = 8
"""The largest side of a U-Net's smallest map, in pixels. With a larger map, the receptive field of
the U-Net covers too little of an image."""


def _jitter(size: int) -> list[dict[str, Any]]:
    crop = {"use": "albumentations/random_crop", "height": size, "width": size}
    return [
        {"use": "images/resize", "size": round(size * _JITTER)},
        crop,
        {"use": "albumentations/horizontal_flip", "p": 0.5},
        {"use": "images/resize", "size": size, "on": "evaluation"},
    ]


def _patch(size: int) -> int:
    """Return the discriminator's receptive field for an image size: 70 for 256 pixels."""
    return 70 if size >= 96 else 34 if size >= 48 else 16


def _depth(size: int) -> int:
    """Return how many halvings lead to a feature map of few pixels.

    A size that can't be halved exactly down to `_BOTTLENECK` gets more halvings than it allows.
    """
    exact = (size & -size).bit_length() - 1
    return exact if size >> exact <= _BOTTLENECK else size.bit_length() - 1


_BY_STEP = {"schedule": {"every": "step"}}
"""The learning rate changes with each step. A short training has too few epochs for a rate that
changes with each epoch."""


_RATE = 2e-4
"""The published learning rate (arXiv 1611.07004, 3.3). It belongs to networks of width 64."""


def paired(scale: Scale) -> dict[str, Any]:
    """Return the tables that replace values of `pix2pix_facades.toml`.

    Narrower networks get a higher learning rate. At 64 x 64 pixels and width 16, four times the
    published rate produced doors, windows and cornices after 200 steps. The published rate produced
    only a grey haze after 250 steps.
    """
    rate = {"lr": _RATE * 64 / max(16, scale.width)} if scale.width < 64 else {}
    return {
        "augment": _jitter(scale.size),
        "generator": {"depth": _depth(scale.size), "width": scale.width},
        "discriminator": {"receptive_field": _patch(scale.size), "width": scale.width},
        "optimizer": {**rate, **_BY_STEP},
    }


def unpaired(scale: Scale) -> dict[str, Any]:
    """Return the tables that replace values of `cyclegan_catdog.toml`."""
    blocks = 9 if scale.size >= 256 else 6 if scale.size >= 128 else 3
    return {
        "augment": _jitter(scale.size),
        "generator": {"blocks": blocks, "width": scale.width},
        "discriminator": {"receptive_field": _patch(scale.size), "width": scale.width},
        "optimizer": _BY_STEP,
    }


def folder(scale: Scale) -> dict[str, Any]:
    """Return the tables that replace values of `gan_folder.toml`."""
    return {
        "augment": _square(scale.size),
        "generator": {"width": scale.width},
        "discriminator": {"width": scale.width},
    }


def _square(size: int) -> list[dict[str, Any]]:
    """Return augmentations that take the middle square of each image, in every split."""
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
    # The paper trains for five epochs of three million images, which is 117,000 steps. A folder has
    # fewer images and needs more epochs.
    paper_tables={
        **folder(_DCGAN),
        "discriminator": {"width": _DCGAN.width, "norm": "batch"},
        "task": {"latent": "uniform"},
        "loss": [{"use": "gan/vanilla"}],
        "diffaugment": [{"use": "gan/diffaugment", "p": 0}],  # no augmentation
        "train": {"epochs": 1000, "batch_size": 128},
        "optimizer": {"betas": [0.5, 0.999]},
        "ema": {"enabled": False},
    },
    paper_name="DCGAN, arXiv 1511.06434, with more epochs for fewer images",
)
