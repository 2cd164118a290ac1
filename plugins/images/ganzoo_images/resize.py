"""`images/resize`: resize exactly as Pillow does.

The jitter of the pix2pix paper begins with Pillow's bicubic resize to 286 pixels. Pillow widens its
filters when it shrinks an image, which avoids aliasing, and its bicubic filter has a = -0.5.
OpenCV, which albumentations uses, does neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ganzoo.errors import DataError

if TYPE_CHECKING:
    from ganzoo_images.options import ResizeOptions

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class Resize:
    """Resize every image and label map of a sample to one size; nothing is drawn from `rng`.

    8-bit images equal the result of `PIL.Image.resize`. This holds for images with transparency
    too: the colours of invisible pixels don't affect their neighbours. 16-bit and float images are
    resized channel by channel in Pillow's 32-bit float mode. Whole numbers are then rounded. Values
    that a filter overshoots are clipped: to the type's range in 16-bit images, and to the image's
    own range in float images. Label maps take the nearest pixel.

    Raises:
        DataError: when `filters` names a label map, or a field that the sample doesn't have.
    """

    def __init__(self, options: ResizeOptions) -> None:
        size = options.size
        self.height, self.width = (size, size) if isinstance(size, int) else size
        self.options = options

    def __call__(
        self,
        sample: Mapping[str, np.ndarray],
        rng: np.random.Generator,  # noqa: ARG002
    ) -> dict[str, np.ndarray]:
        images = {name for name, array in sample.items() if array.ndim == 3}
        for name in self.options.filters:
            if name not in images:
                raise DataError(
                    f"images/resize has a filter for {name!r}, which is not an image of this "
                    "sample",
                    hint=f"Images: {', '.join(sorted(images))}. Label maps always take nearest.",
                )
        return {name: self._resized(name, array) for name, array in sample.items()}

    def _resized(self, name: str, array: np.ndarray) -> np.ndarray:
        if array.ndim == 2:
            return self._plane(array.astype(np.int32), "nearest").astype(array.dtype)
        if array.ndim != 3:
            return array  # points and classes have no size
        filter_name = self.options.filters.get(name, self.options.filter)
        if array.dtype == np.uint8 and array.shape[2] in (3, 4):
            return self._plane(array, filter_name)
        if array.dtype == np.uint8:
            return np.stack([self._plane(p, filter_name) for p in np.moveaxis(array, 2, 0)], 2)
        planes = np.moveaxis(array, 2, 0).astype(np.float32)
        resized = np.stack([self._plane(plane, filter_name) for plane in planes], 2)
        if array.dtype.kind in "iu":
            limits = np.iinfo(array.dtype)
            return resized.round().clip(limits.min, limits.max).astype(array.dtype)
        return resized.clip(array.min(), array.max()).astype(array.dtype)

    def _plane(self, pixels: np.ndarray, filter_name: str) -> np.ndarray:
        image = Image.fromarray(np.ascontiguousarray(pixels))
        return np.array(image.resize((self.width, self.height), _FILTERS[filter_name]))
