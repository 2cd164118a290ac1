"""Write `schemas.json` from the installed albumentations.

Run it with `python -m ganzoo_albumentations.write_schemas`. The file is needed because importing
albumentations also imports torch, and the commands that list and check recipes must import neither.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import warnings
from importlib.metadata import version
from typing import Any

from ganzoo_albumentations.read_schemas import SCHEMAS

LEFT_OUT = {
    # They are the bases of the others.
    *("BasicTransform", "DualTransform", "ImageOnlyTransform", "Transform3D"),
    # They need bounding boxes.
    *("AtLeastOneBBoxRandomCrop", "BBoxSafeRandomCrop", "RandomCropNearBBox"),
    "RandomSizedBBoxSafeCrop",
    # They need a mask or other metadata that steers them, reference images, or a function.
    *("ConstrainedCoarseDropout", "CropNonEmptyMaskIfExists", "MaskDropout", "Mosaic"),
    *("OverlayElements", "TextImage", "FDA", "HistogramMatching", "PixelDistributionAdaptation"),
    "Lambda",
    # They change the depth, range or type of images, which ganzoo does itself.
    *("FromFloat", "ToFloat", "ToTensorV2", "Normalize"),
    # They work on volumes.
    *("CenterCrop3D", "CoarseDropout3D", "CubicSymmetry", "Pad3D", "PadIfNeeded3D"),
    *("RandomCrop3D", "ToTensor3D"),
}
"""The classes that can't be created from plain arguments and then applied to a sample of images."""


def snake_case(name: str) -> str:
    """Return the id of a class: `rgb_shift` for `RGBShift`."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def generate() -> str:
    """Return the text of `schemas.json`, with one transform on each line."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # albumentations would look for a newer version
    import albumentations as library

    lines = []
    cls: Any
    for name, cls in inspect.getmembers(library, inspect.isclass):
        if not issubclass(cls, library.BasicTransform) or name in LEFT_OUT:
            continue
        arguments = list(inspect.signature(cls).parameters.values())
        entry: dict[str, Any] = {
            "class": name,
            "kind": "spatial" if issubclass(cls, library.DualTransform) else "pixel",
            "schema": cls.InitSchema.model_json_schema(),
            "required": [one.name for one in arguments if one.default is one.empty],
            "defaults": {
                one.name: one.default for one in arguments if one.default is not one.empty
            },
        }
        lines.append(f"  {json.dumps(snake_case(name))}: {json.dumps(entry)}")
    head = f'{{\n "albumentations": "{version("albumentations")}",\n "transforms": {{\n'
    return head + ",\n".join(lines) + "\n }\n}\n"


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some transforms advise against themselves
        SCHEMAS.write_text(generate())
