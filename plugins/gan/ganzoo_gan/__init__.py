"""Adversarial losses that any task may name. Light module: it imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ganzoo.api import Component, hookimpl


@hookimpl
def ganzoo_components() -> Iterable[Component]:
    """Return the losses of this plugin."""
    return (
        Component(
            kind="loss",
            name="vanilla",
            target="ganzoo_gan.losses:Vanilla",
            summary="Cross-entropy on logits; the generator maximises log D (non-saturating).",
            paper="1406.2661",
        ),
        Component(
            kind="loss",
            name="lsgan",
            target="ganzoo_gan.losses:LSGAN",
            summary="Least squares to 1 (real) and 0 (fake).",
            paper="1611.04076",
        ),
        Component(
            kind="loss",
            name="hinge",
            target="ganzoo_gan.losses:Hinge",
            summary="Margins at +1 and -1 for the discriminator, the bare logit for the generator.",
            paper="1705.02894",
        ),
        Component(
            kind="task",
            name="from_noise",
            target="ganzoo_gan.task:FromNoise",
            options="ganzoo_gan.task_options:FromNoiseOptions",
            summary="Noise, and a class if wanted, to samples of the data's `real`.",
            paper="1406.2661",
            presets={"tiny": {"latent_size": 4}},
        ),
        Component(
            kind="generator",
            name="mlp",
            target="ganzoo_gan.mlp:MLP",
            options="ganzoo_gan.mlp_options:MLPOptions",
            summary="Noise to points: linear layers and leaky ReLUs.",
            presets={"tiny": {"width": 16, "depth": 2}},
        ),
        Component(
            kind="discriminator",
            name="mlp",
            target="ganzoo_gan.mlp:MLPDiscriminator",
            options="ganzoo_gan.mlp_options:MLPDiscriminatorOptions",
            summary="Points to one logit: linear layers and leaky ReLUs, with spectral norm or not.",
            presets={"tiny": {"width": 16, "depth": 2}},
        ),
    )
