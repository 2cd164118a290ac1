"""Read image files into arrays with the file's own bit depth, or raise an error with the reason.

Pillow reads all files that it can read without loss. It reduces 16-bit colour to 8 bits, so OpenCV
reads those files, after Pillow has checked that they are complete. Colour profiles are not applied;
CMYK is converted as Pillow does. Where one or three channels are requested, transparent images are
drawn on a white background, as most programs show them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from ganzoo.errors import DataError, error_text
from ganzoo.process.memory import shortage

Channels = Literal["rgb", "gray", "rgba", "any"]
"""The channels that a reader of images asks for. `any` means the channels of the file."""

IMAGE_SUFFIXES = frozenset(
    (".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)
"""The suffixes, in lower case, of the files that are read as images."""

MAX_PIXELS = 178_956_970
"""The largest number of pixels of an image that is read. It is Pillow's own limit, which protects
against decompression bombs."""

_TOO_LARGE = f"it has more than {MAX_PIXELS:,} pixels, perhaps a decompression bomb"
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
# Some formats are left out (JPEG 2000, AVIF, SGI): Pillow may reduce their images to 8 bits, and
# its mode doesn't show that. An error is better than a loss of depth.
_GRAY_16 = frozenset(("I;16", "I;16L", "I;16B", "I;16N"))
_ALPHA = frozenset(("LA", "La", "PA", "RGBA", "RGBa"))
_READABLE = frozenset(("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "I")) | _GRAY_16 | _ALPHA
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class ImageInfo:
    """The content of a file's header; no pixels are read for it.

    Args:
        height, width: the size in pixels, after the EXIF rotation.
        channels: 1, 3 or 4, as in the result of `decode_image(path, "any")`.
        bits: 8 or 16 bits per channel.
        format: Pillow's name of the file format.
    """

    height: int
    width: int
    channels: int
    bits: int
    format: str


def image_info(path: Path | str) -> ImageInfo:
    """Read a file's header.

    Raises:
        DataError: when the file can't be read as one picture; the error names it.
    """
    path = Path(path)
    with opened(path) as image:
        bits = _bits(image, path)
        stored = image.size
        if image.format == "TIFF":  # image.size is after the rotation only in newer Pillow versions
            tags: Any = image.tag_v2  # type: ignore[attr-defined]
            stored = tags[256], tags[257]  # ImageWidth, ImageLength
        turned = _orientation(image, path) >= 5
        alpha = _has_alpha(image)
        gray = image.mode in _GRAY_16 | {"1", "L", "I"}
        width, height = stored[::-1] if turned else stored
        channels = 4 if alpha else 1 if gray else 3
        return ImageInfo(height, width, channels, bits, str(image.format))


def image_size(path: Path | str) -> tuple[int, int]:
    """Return (height, width) in pixels, after the EXIF rotation; only the header is read.

    Raises:
        DataError: when the file can't be read as one picture; the error names it.
    """
    info = image_info(path)
    return info.height, info.width


def decode_image(path: Path | str, channels: Channels = "rgb") -> np.ndarray:
    """Decode an image file to pixels.

    Args:
        path: the file.
        channels: `rgb` (gray is repeated, transparent images are drawn on white), `gray` (colour
            becomes ITU-R 601 luma, as Pillow's "L"; transparent images are drawn on white), `rgba`
            (opaque where the file has no transparency), or `any` (1, 3 or 4 channels, as in the
            file).

    Returns:
        H x W x C, uint8, or uint16 when the file has 16 bits per channel. The image is rotated
        according to its EXIF orientation. The pixels of 8-bit files are those of Pillow.

    Raises:
        DataError: when the file is missing, empty, truncated, too large, animated, has several
            pages, or has a format or depth that can't be read without loss. The error names the
            file and the reason.
    """
    path = Path(path)
    with opened(path) as image:
        bits = _bits(image, path)
        image.load()
        pixels = _sixteen_bits(image, path) if bits == 16 else _eight_bits(image, path)
        if image.format != "TIFF":  # both readers rotate a TIFF themselves
            pixels = upright(pixels, _orientation(image, path))
    return with_channels(pixels, channels)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open one picture, and replace its errors by a DataError that names the file."""
    try:
        _check_not_empty(path)
        with warnings.catch_warnings():
            # The limit is checked below, so Pillow's warning at half of the limit isn't needed.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=_FORMATS)
        with image:
            _check_is_one_picture(image, path)
            yield image
    except FileNotFoundError as error:
        raise _refusal(path, "there is no such file") from error
    except IsADirectoryError as error:
        raise _refusal(path, "it is a folder") from error
    except UnidentifiedImageError as error:
        reason = "it isn't an image of a known format, or its header is damaged"
        hint = f"Known: {' '.join(sorted(IMAGE_SUFFIXES))}."
        ending = path.suffix.lower()
        if ending and ending not in IMAGE_SUFFIXES:
            hint += f" Convert {ending} files to PNG first."
        raise _refusal(path, reason, hint) from error
    except Image.DecompressionBombError as error:
        raise _refusal(path, _TOO_LARGE) from error
    except DataError:
        raise
    # A decoder may raise any error for a damaged file, including TypeError and KeyError.
    except Exception as error:
        if shortage(error):
            raise
        raise _refusal(path, error_text(error, kind=False)) from error


def _refusal(path: Path, reason: str, hint: str = "") -> DataError:
    return DataError(f"can't read this image: {reason}", where=str(path), hint=hint)


def _check_not_empty(path: Path) -> None:
    if path.stat().st_size == 0:
        raise _refusal(path, "the file is empty (0 bytes)")


def _check_is_one_picture(image: Image.Image, path: Path) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _refusal(path, _TOO_LARGE)
    # The other frames of an MPO, a format of phones, are previews of the first one.
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        reason = f"it has {frames} frames or pages, and it isn't clear which one to use"
        raise _refusal(path, reason, "Save the one to use as a separate file.")
    if image.mode not in _READABLE:
        reason = (
            f"its pixels are of the kind {image.mode!r}, which doesn't define the values of "
            "black and white"
        )
        raise _refusal(path, reason, "Save it as 8- or 16-bit gray or RGB.")


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in _ALPHA or "transparency" in image.info


def _bits(image: Image.Image, path: Path) -> int:
    """Return the bits per channel: 8 if the file has 1 to 8, or 16.

    Raises:
        DataError: for a depth whose values can't be converted without loss or are ambiguous.
    """
    declared = _declared_bits(image, path)
    if len(declared) > 1 or min(declared) < 1 or not (max(declared) <= 8 or max(declared) == 16):
        depth = " and ".join(map(str, sorted(declared)))
        reason = f"it has {depth} bits per channel"
        raise _refusal(path, reason, "Save it with 8 or 16 unsigned bits per channel, as PNG.")
    return 16 if max(declared) == 16 else 8


def _declared_bits(image: Image.Image, path: Path) -> set[int]:
    if image.format == "PNG":
        return {png_bits(path)}
    if image.format == "TIFF":
        tags: Any = image.tag_v2  # type: ignore[attr-defined]
        unsigned = set(tags.get(339, (1,))) <= {1, 4}  # SampleFormat: unsigned or unknown
        return set(tags.get(258, (1,))) if unsigned else {0}  # BitsPerSample
    if image.format == "PPM":
        # The header is magic, width, height, largest value; Pillow rescales values to 8 bits.
        with path.open("rb") as file:
            head = file.read(4096)
        words = [word for line in head.split(b"\n") for word in line.split(b"#")[0].split()]
        bitmap = words[0] in (b"P1", b"P4")
        return {8} if bitmap or int(words[3]) <= 255 else {int(words[3]).bit_length(), 0}
    return {8}


def png_bits(path: Path) -> int:
    """Return the bits per channel that the header of a PNG file states."""
    with path.open("rb") as file:
        return file.read(25)[24]  # signature 8, length and type 8, width and height 8, depth


def _eight_bits(image: Image.Image, path: Path) -> np.ndarray:
    if _has_alpha(image):
        if image.format == "PNG" and image.mode == "L" and "transparency" in image.info:
            # The transparent gray value of a PNG has the file's depth, and Pillow's pixels 8 bits.
            largest = 2 ** next(iter(_declared_bits(image, path))) - 1
            image.info["transparency"] = image.info["transparency"] * 255 // largest
        return np.array(image.convert("RGBA"))
    if image.mode in ("1", "L"):
        return np.array(image.convert("L"))[:, :, None]
    return np.array(image.convert("RGB"))


def _sixteen_bits(image: Image.Image, path: Path) -> np.ndarray:
    if image.mode in _GRAY_16 | {"I"}:
        pixels = np.array(image).astype(np.uint16)[:, :, None]
        if image.format == "TIFF" and image.tag_v2.get(262) == 0:  # type: ignore[attr-defined]
            pixels = np.uint16(65535) - pixels  # the PhotometricInterpretation is WhiteIsZero
        key = image.info.get("transparency")
    else:
        pixels = _sixteen_bit_colour(image, path)
        key = image.info.get("transparency") if pixels.shape[2] == 3 else None
    if key is None:
        return pixels
    opaque = np.any(pixels != np.asarray(key, np.uint16), axis=2, keepdims=True)
    colour = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    return np.concatenate((colour, np.where(opaque, 65535, 0).astype(np.uint16)), axis=2)


def _sixteen_bit_colour(image: Image.Image, path: Path) -> np.ndarray:
    """Decode a file to H x W x 3 or 4 with OpenCV, whose order is blue, green, red."""
    import cv2

    decoded: Any = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    usable = decoded is not None and decoded.ndim == 3 and decoded.dtype == np.uint16
    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(decoded.shape[2]) if usable else None
    if order is None:
        reason = f"16 bits per channel as {image.format} {image.mode}"
        raise _refusal(path, reason, "Save it as 16-bit gray, RGB or RGBA PNG.")
    pixels: np.ndarray = decoded[:, :, order]
    return pixels


def _orientation(image: Image.Image, path: Path) -> int:
    """Return the EXIF orientation, 1 (upright) to 8."""
    if image.format == "PNG" and "exif" not in image.info and not _late_exif(path):
        # To find a chunk after the pixels, Pillow would decode all of them.
        known = {"Raw profile type exif", "XML:com.adobe.xmp"} & image.info.keys()
        if not known:
            return 1
    value = image.getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _late_exif(path: Path) -> bool:
    """Return whether a PNG has an eXIf chunk, without reading the content of its chunks."""
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            if head[4:] == b"eXIf":
                return True
            file.seek(int.from_bytes(head[:4], "big") + 4, 1)
    return False


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Rotate and mirror an image so that it is upright.

    Args:
        pixels: the stored image, H x W x C.
        orientation: the EXIF orientation, 1 (upright) to 8; 2 to 4 mirror the image or rotate it by
            180 degrees, 5 to 8 also swap the axes.
    """
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    # These are the axes that are reversed in the stored image, after the swap.
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}.get(orientation, ())
    return np.ascontiguousarray(np.flip(pixels, flips) if flips else pixels)


def with_channels(pixels: np.ndarray, channels: Channels) -> np.ndarray:
    """Convert an image, H x W x 1, 3 or 4 of uint8 or uint16, to the requested channels.

    For `rgb` and `gray`, transparent images are drawn on white. Gray is repeated to make colour,
    and colour becomes luma to make gray.
    """
    if channels == "any":
        return pixels
    count, largest = pixels.shape[2], np.iinfo(pixels.dtype).max
    if channels == "rgba":
        if count == 4:
            return pixels
        opaque = np.full((*pixels.shape[:2], 1), largest, pixels.dtype)
        colour = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
        return np.concatenate((colour, opaque), axis=2)
    if count == 4:
        pixels = _over_white(pixels, largest)
    if channels == "rgb":
        wide = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
        return np.ascontiguousarray(wide)
    return pixels if pixels.shape[2] == 1 else _luma(pixels)


def _over_white(pixels: np.ndarray, largest: int) -> np.ndarray:
    """Return colour * alpha + white * (1 - alpha), rounded; 65535 squared fits in 32 bits."""
    wide = pixels.astype(np.uint32)
    colour, alpha = wide[:, :, :3], wide[:, :, 3:]
    mixed = (colour * alpha + largest * (largest - alpha) + largest // 2) // largest
    return mixed.astype(pixels.dtype)


def _luma(pixels: np.ndarray) -> np.ndarray:
    """Return ITU-R 601 luma, 0.299 R + 0.587 G + 0.114 B, in Pillow's 16-bit fixed point."""
    weights = np.array((19595, 38470, 7471), np.uint64)
    total = (pixels.astype(np.uint64) * weights).sum(axis=2, keepdims=True)
    luma: np.ndarray = ((total + 0x8000) >> np.uint64(16)).astype(pixels.dtype)
    return luma
