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
    )
