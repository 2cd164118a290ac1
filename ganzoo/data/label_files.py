"""Read and write label maps as PNG files: class numbers with a palette, or as gray values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganzoo.data.read_image import opened, png_bits
from ganzoo.data.write_image import save_png
from ganzoo.errors import DataError

Palette = Sequence[tuple[int, int, int]]
"""RGB colours (0 to 255) of the classes, in their order."""


def read_labels(path: Path, palette: Palette = (), classes: int = 0) -> np.ndarray:
    """Read a label map.

    Colours, also those of a file with a palette, are looked up in `palette`. Without one, the
    numbers in a file with a palette, or the gray values, are the classes.

    Args:
        path: a PNG file.
        palette: colours of the classes.
        classes: how many there are; 0 if that isn't known.

    Returns:
        H x W, uint8 or uint16.

    Raises:
        DataError: naming the file, when it can't be read, has a colour that no class has, or a
            class that there isn't.
    """
    with opened(path) as image:
        image.load()
        coloured = image.mode in ("RGB", "RGBA") or (image.mode == "P" and bool(palette))
        if coloured:
            if not palette:
                raise DataError(
                    "holds colours, and the field has no palette that says their classes",
                    where=str(path),
                )
            labels = _by_colour(np.array(image.convert("RGB")), palette, path)
        elif image.mode in ("P", "L", "1"):
            labels = np.array(image.convert("L") if image.mode == "1" else image)
            if image.mode == "1":
                labels //= 255
            elif image.mode == "L" and image.format == "PNG":
                labels //= 255 // (2 ** png_bits(path) - 1)  # Pillow spreads them over 0 to 255
        elif image.mode.startswith("I"):
            labels = np.array(image).astype(np.uint16)
        else:
            raise DataError(f"its pixels are {image.mode}, not class numbers", where=str(path))
    if classes and labels.max() >= classes:
        raise DataError(
            f"has the class {labels.max()}, but there are only {classes} (0 to {classes - 1})",
            where=str(path),
        )
    return labels


def _by_colour(pixels: np.ndarray, palette: Palette, path: Path) -> np.ndarray:
    """The number of each pixel's colour in the palette."""
    weights = np.array((65536, 256, 1))
    codes = pixels.astype(np.int64) @ weights
    known = np.array(palette, np.int64) @ weights
    order = known.argsort(kind="stable")
    places = np.searchsorted(known[order], codes).clip(0, len(known) - 1)
    labels: np.ndarray = order[places].astype(np.uint16 if len(known) > 256 else np.uint8)
    if (strange := known[labels] != codes).any():
        colour = tuple(map(int, pixels[strange][0]))
        raise DataError(f"has the colour {colour}, which no class has", where=str(path))
    return labels


def save_labels(
    labels: np.ndarray, path: Path, palette: Palette = (), note: Mapping[str, Any] | None = None
) -> None:
    """Write a label map as a PNG file of class numbers, which is complete or absent.

    Args:
        labels: H x W, 0 to 255.
        path: a path that ends in `.png`.
        palette: colours, by which programs show the classes.
        note: how it was made; it is stored as JSON in the PNG's text chunk `ganzoo`.

    Raises:
        EnvironmentFault: the file can't be written.
    """
    image = Image.fromarray(np.ascontiguousarray(labels, np.uint8))
    if palette:
        image = image.convert("P") if image.mode != "P" else image
        image.putpalette([level for colour in palette for level in colour])
    save_png(image, path, note=note)
