"""Every albumentations 2.0.8 transform that runs from plain arguments, as an augment.

Names come from a committed table: neither albumentations nor OpenCV nor numpy is imported here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ganzoo.api import Component, hookimpl
from ganzoo_albumentations import table

_SUMMARIES = {
    "spatial": "{} of albumentations {}; the same for all images and label maps of a sample",
    "pixel": "{} of albumentations {}; changes the values of the images in `fields`",
}

# For the conformance kit: of transforms whose defaults don't do for small images.
_TINY: Mapping[str, Mapping[str, Any]] = {
    "crop": {"x_max": 32, "y_max": 32},
    "center_crop": {"height": 32, "width": 32},
    "crop_and_pad": {"px": 4},
    "grid_elastic_deform": {"num_grid_xy": [4, 4], "magnitude": 4},
    "longest_max_size": {"max_size": 32},
    "random_crop": {"height": 32, "width": 32},
    "random_resized_crop": {"size": [32, 32]},
    "random_sized_crop": {"min_max_height": [24, 48], "size": [32, 32]},
    "resize": {"height": 32, "width": 32},
    "smallest_max_size": {"max_size": 32},
}


@hookimpl
def ganzoo_components() -> Iterable[Component]:
    """One augment for each transform of the table."""
    content = table.read()
    return [
        Component(
            kind="augment",
            name=name,
            target="ganzoo_albumentations.augment:Transform",
            options=f"ganzoo_albumentations.options:{entry['class']}",
            summary=_SUMMARIES[entry["kind"]].format(entry["class"], content["albumentations"]),
            presets={"tiny": _TINY[name]} if name in _TINY else {},
        )
        for name, entry in content["transforms"].items()
    ]
