"""The augmentation that runs any transform of `schemas.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from pydantic import ValidationError

from ganzoo.errors import DataError, RecipeError
from ganzoo_albumentations.options import INTERPOLATIONS, TransformOptions

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else its import looks for a newer version online

import albumentations

Array = np.ndarray[Any, np.dtype[Any]]

EIGHT_BIT = {
    *("auto_contrast", "chromatic_aberration", "clahe", "downscale", "equalize"),
    *("hue_saturation_value", "image_compression", "median_blur", "posterize", "random_fog"),
    *("random_gravel", "random_rain", "random_shadow", "random_snow", "random_sun_flare"),
    *("random_tone_curve", "superpixels"),
}
"""The transforms that round images of more bits to 8 bits without a warning."""

OF_ANY_SIZE = {
    "d4",
    "horizontal_flip",
    "random_rotate90",
    "square_symmetry",
    "transpose",
    "vertical_flip",
}
"""The flips and quarter turns. What they draw doesn't depend on the size of an image, so that one
draw is the same geometry for images of several sizes, as in super-resolution."""


class Transform:
    """Augmentation: one albumentations transform on the images and label maps of a sample.

    Args:
        options: of a class made by `ganzoo_albumentations.options`.

    Spatial transforms apply the same geometry to all images (arrays with three axes) and label maps
    (two axes), and take the nearest neighbour for label maps. Pixel transforms change the images in
    `options.fields`, by default all of them, with the same random draw. Other arrays aren't
    changed. The images of a sample may differ in size for pixel transforms, and for flips and
    quarter turns (`OF_ANY_SIZE`).

    uint8 images are given to albumentations unchanged. uint16 images and float32 images (in
    [-1, 1]) are converted to float32 in [0, 1], and the results are converted back to their own
    type.

    The result depends on the sample and on `rng` alone. One integer is drawn from `rng` in every
    call, because albumentations' own random stream would repeat in every worker and every epoch.

    Raises:
        RecipeError: when albumentations refuses the arguments.
        DataError: from a call, when a sample's images don't fit the transform.
    """

    def __init__(self, options: TransformOptions) -> None:
        self.options = options
        self.entry = options.entry()
        self.id = f"albumentations/{options.name}"
        self.interpolation_of: Mapping[str, str] = getattr(options, "interpolation_of", {})
        self._plain = self._make(None)
        self._special = {name: self._make(name) for name in set(self.interpolation_of.values())}

    def __reduce__(self) -> tuple[type[Transform], tuple[TransformOptions]]:
        return Transform, (self.options,)

    def _make(self, interpolation: str | None) -> Any:
        cls = getattr(albumentations, self.entry["class"])
        arguments = self.options.arguments()
        if interpolation is not None:
            arguments["interpolation"] = INTERPOLATIONS[interpolation]
        if "mask_interpolation" in cls.InitSchema.model_fields:
            arguments["mask_interpolation"] = INTERPOLATIONS["nearest"]
        # Without `strict`, albumentations turns some errors into a warning and takes all defaults.
        # Only classes with a schema beside their own constructor have this argument.
        owner = next(base for base in cls.__mro__ if "__init__" in vars(base))
        if "InitSchema" in vars(owner):
            arguments["strict"] = True
        try:
            return cls(**arguments)
        except (ValueError, TypeError) as error:
            raise RecipeError(
                f"albumentations refuses {self._refused(error)}",
                hint=f"`python -m pydoc albumentations.{cls.__name__}` explains its arguments.",
                where=self.id,
            ) from error

    def _refused(self, error: Exception) -> str:
        """Return the refused arguments, as a recipe writes them, and the reasons."""
        if not isinstance(error.__cause__, ValidationError):
            return f"the arguments: {_reason(error)}"
        found = []
        for one in error.__cause__.errors(include_url=False):
            name = ".".join(map(str, one["loc"]))
            option = name.partition(".")[0]
            if option in type(self.options).model_fields:
                name = f"{option} = {json.dumps(getattr(self.options, option))}"
            else:  # a value that albumentations computes from several arguments
                name = f"the arguments: {name}".removesuffix(": ")
            found.append(f"{name}: {one['msg'].removeprefix('Value error, ')}")
        return "; ".join(dict.fromkeys(found))

    def __call__(self, sample: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
        """Return the changed sample; it may share arrays with the given one."""
        seed = int(rng.integers(2**63))
        images = {name: array for name, array in sample.items() if array.ndim == 3}
        labels = {name: array for name, array in sample.items() if array.ndim == 2}
        self._check_names(images)
        result = dict(sample)
        if self.entry["kind"] == "pixel":
            for name in getattr(self.options, "fields", None) or images:
                result.update(self._run(self._plain, {name: images[name]}, {}, seed))
            return result
        sizes = {array.shape[:2] for array in (*images.values(), *labels.values())}
        if len(sizes) > 1 and self.options.name not in OF_ANY_SIZE:
            self._refuse_sizes({**images, **labels})
        groups: dict[tuple[Any, ...], tuple[dict[str, Array], dict[str, Array]]] = {}
        for name, one in images.items():
            key = (self.interpolation_of.get(name), one.shape[:2])
            groups.setdefault(key, ({}, {}))[0][name] = one
        for name, one in labels.items():
            groups.setdefault((None, one.shape), ({}, {}))[1][name] = one
        for (interpolation, _), (group, maps) in groups.items():
            transform = self._special[interpolation] if interpolation else self._plain
            # The same seed gives each group the same geometry.
            result.update(self._run(transform, group, maps, seed))
        return result

    def _check_names(self, images: Mapping[str, Array]) -> None:
        wanted = [*(getattr(self.options, "fields", None) or ()), *self.interpolation_of]
        missing = sorted(set(wanted) - set(images))
        if missing:
            raise DataError(
                f"the sample has no image {_quote(missing)}",
                hint=f"Its images are {_quote(images)}; change `fields` or `interpolation_of`.",
                where=self.id,
            )

    def _refuse_sizes(self, arrays: Mapping[str, Array]) -> NoReturn:
        sizes = {name: array.shape[:2] for name, array in arrays.items()}
        listed = ", ".join(f"{name} {h} x {w}" for name, (h, w) in sizes.items())
        raise DataError(
            f"one geometry can't be shared by fields of different sizes (H x W): {listed}",
            hint="Bring them to one size first, in the data or by a resize before this. Flips and "
            f"quarter turns take several sizes: {', '.join(sorted(OF_ANY_SIZE))}.",
            where=self.id,
        )

    def _run(
        self, transform: Any, images: Mapping[str, Array], labels: Mapping[str, Array], seed: int
    ) -> dict[str, Array]:
        """Call albumentations once, so that all arrays share what it draws from the seed."""
        sent = {name: self._encode(name, image) for name, image in images.items()}
        sent.update({name: self._encode_labels(name, array) for name, array in labels.items()})
        # albumentations needs one image called "image", whose shape determines the geometry.
        first = next(iter(images), None)
        height, width = next(iter(sent.values())).shape[:2]
        lead = np.zeros((height, width, 1), np.uint8) if first is None else sent[first]
        # The prefix avoids names such as "masks" or "bboxes", which have a meaning in
        # albumentations.
        keys = {f"ganzoo_{name}": name for name in sent if name != first}
        transform.add_targets(
            {key: "image" if name in images else "mask" for key, name in keys.items()}
        )
        transform.set_random_seed(seed)
        try:
            after = transform(image=lead, **{key: sent[name] for key, name in keys.items()})
        except Exception as error:
            shapes = ", ".join(f"{name} {a.shape} {a.dtype}" for name, a in sent.items())
            raise DataError(
                f"albumentations can't change this sample ({shapes}): {_reason(error)}",
                hint="Check the arguments against the size and channels of the images"
                + (", or set `fields`." if self.entry["kind"] == "pixel" else "."),
                where=self.id,
            ) from error
        found = {name: after[key] for key, name in keys.items()}
        if first is not None:
            found[first] = after["image"]
        given = {**images, **labels}
        return {
            name: given[name] if array is sent[name] else _decode(array, given[name])
            for name, array in found.items()
        }

    def _encode(self, name: str, image: Array) -> Array:
        if image.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32)}:
            raise DataError(
                f"takes uint8, uint16 and float32 images, but {name} is {image.dtype}",
                hint="Leave it out for this data, or convert the images to 8 bits first.",
                where=self.id,
            )
        if image.dtype == np.uint8:
            return image
        if self.options.name in EIGHT_BIT:
            raise DataError(
                f"works on 8-bit images only, but {name} is {image.dtype}",
                hint="Leave it out for this data, or convert the images to 8 bits first.",
                where=self.id,
            )
        if image.dtype == np.uint16:
            return image.astype(np.float32) / np.float32(65535)
        if image.size and not (image.min() >= -1 and image.max() <= 1):
            raise DataError(
                f"{name} has values outside [-1, 1] or that aren't numbers",
                hint="float32 images must be in [-1, 1] before they are augmented.",
                where=self.id,
            )
        unit = image + np.float32(1)
        unit *= 0.5
        return unit

    def _encode_labels(self, name: str, labels: Array) -> Array:
        """Convert labels to the smallest type that holds them.

        OpenCV can't resample 64-bit integers.
        """
        low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
        for kind in (np.uint8, np.int16, np.uint16):
            if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                return labels.astype(kind)
        raise DataError(
            f"label map {name} has classes from {low} to {high}",
            hint="Classes must be within -32768 to 32767, or 0 to 65535.",
            where=self.id,
        )


def _decode(array: Array, given: Array) -> Array:
    """Convert an array back to the type, range and axes of the array it was made from."""
    if given.ndim == 2:
        return array.astype(given.dtype)
    if array.ndim == 2:  # OpenCV drops a single channel
        array = array[..., None]
    if given.dtype == np.uint8:
        return array
    unit: Array = np.clip(array, 0, 1, dtype=np.float32)
    if given.dtype == np.uint16:
        unit *= 65535
        return np.rint(unit, out=unit).astype(np.uint16)
    unit *= 2
    unit -= 1
    return unit


def _reason(error: Exception) -> str:
    """Return a library's error message on one line, without pydantic's links."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if "errors.pydantic.dev" not in line]
    return "; ".join(kept) or type(error).__name__


def _quote(names: Any) -> str:
    return ", ".join(f'"{name}"' for name in names) or "none"
