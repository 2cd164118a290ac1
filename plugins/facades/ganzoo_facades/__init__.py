"""Procedural facades with exactly known labels, and the metric that recovers labels from images.

`ganzoo list` imports this module, so it imports neither torch nor numpy nor Pillow.
"""

from __future__ import annotations

from collections.abc import Iterable

from ganzoo.api import Component, hookimpl

_OPTIONS = "ganzoo_facades.options:"


@hookimpl
def ganzoo_components() -> Iterable[Component]:
    """Return the components that recipes may name under `facades/`."""
    return (
        Component(
            kind="data",
            name="procedural",
            target="ganzoo_facades.procedural:ProceduralFacades",
            options=_OPTIONS + "ProceduralFacadesOptions",
            summary="Synthetic facades with exactly known labels; needs no files.",
            presets={"tiny": {"size": 32, "train": 8, "val": 4, "test": 4}},
        ),
        Component(
            kind="metric",
            name="label_recovery",
            target="ganzoo_facades.label_recovery:LabelRecovery",
            options=_OPTIONS + "LabelRecoveryOptions",
            summary="How well labels are recovered from generated photographs (FCN-score idea).",
            paper="1611.07004",
            presets={"tiny": {"images": 8, "steps": 8, "width": 4, "use_cache": False}},
        ),
    )
