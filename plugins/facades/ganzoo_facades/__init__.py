"""Procedural facades with exactly known labels, and the metric that recovers labels from images.

`ganzoo list` imports this module, so it imports neither torch nor numpy nor Pillow.
"""

from __future__ import annotations

from typing import Any

from ganzoo.api import Target, component


def _options() -> Any:
    """Import options, and pydantic with them, when somebody asks for a component's."""
    from ganzoo_facades import options

    return options


@component(
    "data",
    lambda: _options().ProceduralFacadesOptions,
    presets={"tiny": {"size": 32, "train": 8, "val": 4, "test": 4}},
)
def procedural() -> Target:
    """Synthetic facades with exactly known labels; needs no files."""
    from ganzoo_facades.procedural import ProceduralFacades

    return ProceduralFacades


@component(
    "metric",
    lambda: _options().LabelRecoveryOptions,
    paper="1611.07004",
    presets={"tiny": {"images": 8, "steps": 8, "width": 4, "use_cache": False}},
)
def label_recovery() -> Target:
    """How well labels are recovered from generated photographs (FCN-score idea)."""
    from ganzoo_facades.label_recovery import LabelRecovery

    return LabelRecovery
