"""Every transform of albumentations 2.0.8 that can run from plain arguments, as an augmentation.

The transforms' names and arguments come from `schemas.json`, so that neither albumentations nor
OpenCV nor numpy is imported here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from ganzoo.api import Component, Target, hookimpl
from ganzoo_albumentations.read_schemas import schemas

_SUMMARIES = {
    "spatial": "{} of albumentations {}; the same for all images and label maps of a sample",
    "pixel": "{} of albumentations {}; changes the values of the images in `fields`",
}

# For the conformance kit: arguments for transforms whose defaults don't suit small images.
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


def _transform() -> Target:
    from ganzoo_albumentations.augment import Transform

    return Transform


def _options(name: str) -> Any:
    from ganzoo_albumentations import options

    return getattr(options, name)


@hookimpl
def ganzoo_components() -> Iterable[Component]:
    """Return one augment for each transform of `schemas.json`."""
    return [
        Component(
            kind="augment",
            name=name,
            target=_transform,
            options=partial(_options, entry["class"]),
            summary=_SUMMARIES[entry["kind"]].format(entry["class"], schemas()["albumentations"]),
            presets={"tiny": _TINY[name]} if name in _TINY else {},
        )
        for name, entry in schemas()["transforms"].items()
    ]
