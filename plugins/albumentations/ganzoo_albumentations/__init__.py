"""Every albumentations 2.0.8 transform that runs from plain arguments, as an augment.

Names come from a committed table: neither albumentations nor OpenCV nor numpy is imported here.
"""

from __future__ import annotations

from collections.abc import Iterable

from ganzoo.api import Component, hookimpl
from ganzoo_albumentations import table

_SUMMARIES = {
    "spatial": "{} of albumentations {}; the same for all images and label maps of a sample",
    "pixel": "{} of albumentations {}; changes the values of the images in `fields`",
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
        )
        for name, entry in content["transforms"].items()
    ]
