"""Image files to arrays: what a person sees, at the file's own depth, or a refusal that says why.

Pillow reads everything that it reads whole. It cuts 16-bit colour down to 8 bits, so those files
are read by OpenCV after Pillow has checked that they are complete. Colour profiles are not
applied; CMYK is converted as Pillow does. Transparency is laid over white, the page that most
people see it on, where three channels or one are asked for.
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
"""Channels that a reader of images asks for; `any` is what the file has."""

IMAGE_SUFFIXES = frozenset(
    (".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)
"""Lower-case endings of the files that are taken for images."""

MAX_PIXELS = 178_956_970
"""More pixels than this are refused; Pillow's own limit against decompression bombs."""

_TOO_LARGE = f"it has more than {MAX_PIXELS:,} pixels, perhaps a decompression bomb"
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
# Formats whose pictures may be cut to 8 bits by Pillow in ways that can't be seen from its mode
# (JPEG 2000, AVIF, SGI) are left out: better a refusal than a loss of depth.
_GRAY_16 = frozenset(("I;16", "I;16L", "I;16B", "I;16N"))
_ALPHA = frozenset(("LA", "La", "PA", "RGBA", "RGBa"))
_READABLE = frozenset(("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "I")) | _GRAY_16 | _ALPHA
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class ImageInfo:
    """What a file's header says; nothing of the pixels was read.

    Args:
        height, width: in pixels, after the EXIF rotation.
        channels: 1, 3 or 4, as `decode_image(path, "any")` gives.
        bits: 8 or 16 per channel.
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
        DataError: naming the file, when it can't be read as one picture.
    """
    path = Path(path)
    with _opened(path) as image:
        bits = _bits(image, path)
        stored = image.size
        if image.format == "TIFF":  # newer Pillows have swapped image.size already, older not yet
            tags: Any = image.tag_v2  # type: ignore[attr-defined]
            stored = tags[256], tags[257]  # ImageWidth, ImageLength
        turned = _orientation(image, path) >= 5
        alpha = _has_alpha(image)
        gray = image.mode in _GRAY_16 | {"1", "L", "I"}
        width, height = stored[::-1] if turned else stored
        channels = 4 if alpha else 1 if gray else 3
        return ImageInfo(height, width, channels, bits, str(image.format))


def image_size(path: Path | str) -> tuple[int, int]:
    """(height, width) in pixels, after the EXIF rotation, from the header alone.

    Raises:
        DataError: naming the file, when it can't be read as one picture.
    """
    info = image_info(path)
    return info.height, info.width


def decode_image(path: Path | str, channels: Channels = "rgb") -> np.ndarray:
    """Decode a file to what a person sees.

    Args:
        path: the file.
        channels: `rgb` (gray is repeated, transparency is laid over white), `gray` (colour becomes
            ITU-R 601 luma, as Pillow's "L"), `rgba` (opaque where the file has no transparency), or
            `any`: 1, 3 or 4 channels, as the file has.

    Returns:
        H x W x C, uint8, or uint16 when the file holds 16 bits per channel; rotated as its EXIF
        orientation says. 8-bit files equal what Pillow decodes.

    Raises:
        DataError: naming the file and the reason, when it is missing, empty, truncated, too large,
            animated or multi-page, or of a format or depth that can't be shown without loss.
    """
    path = Path(path)
    with _opened(path) as image:
        bits = _bits(image, path)
        image.load()
        pixels = _sixteen_bits(image, path) if bits == 16 else _eight_bits(image, path)
        if image.format != "TIFF":  # both readers turn a TIFF upright themselves
            pixels = upright(pixels, _orientation(image, path))
    return with_channels(pixels, channels)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open one picture, and turn whatever goes wrong with it into a DataError with its name."""
    try:
        _check_not_empty(path)
        with warnings.catch_warnings():
            # The limit below is ours; Pillow's warning at half of it would only repeat itself.
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
    # What a decoder raises for a damaged file may be anything, TypeError and KeyError included.
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
    # A phone's MPO holds previews of the one picture that is shown: its first.
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        reason = f"it holds {frames} frames or pages, and which one is meant is unclear"
        raise _refusal(path, reason, "Save the one that is meant as a file of its own.")
    if image.mode not in _READABLE:
        reason = f"its pixels are of the kind {image.mode!r}, which has no agreed black and white"
        raise _refusal(path, reason, "Save it as 8- or 16-bit gray or RGB.")


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in _ALPHA or "transparency" in image.info


def _bits(image: Image.Image, path: Path) -> int:
    """Bits per channel of the file: 8 (1 to 8 in the file) or 16.

    Raises:
        DataError: for depths that can't be shown without guessing or loss.
    """
    declared = _declared_bits(image, path)
    if len(declared) > 1 or min(declared) < 1 or not (max(declared) <= 8 or max(declared) == 16):
        depth = " and ".join(map(str, sorted(declared)))
        reason = f"it has {depth} bits per channel"
        raise _refusal(path, reason, "Save it with 8 or 16 unsigned bits per channel, as PNG.")
    return 16 if max(declared) == 16 else 8


def _declared_bits(image: Image.Image, path: Path) -> set[int]:
    if image.format == "PNG":
        with path.open("rb") as file:
            return {file.read(25)[24]}  # signature 8, length and type 8, width and height 8, depth
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


def _eight_bits(image: Image.Image, path: Path) -> np.ndarray:
    if _has_alpha(image):
        if image.format == "PNG" and image.mode == "L" and "transparency" in image.info:
            # PNG counts its transparent gray in the file's depth, Pillow's pixels are 8-bit.
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
            pixels = np.uint16(65535) - pixels  # PhotometricInterpretation: white is zero
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
    """H x W x 3 or 4, by OpenCV, whose order is blue, green, red."""
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
    """EXIF orientation, 1 (upright) to 8."""
    if image.format == "PNG" and "exif" not in image.info and not _late_exif(path):
        # Pillow would decode all pixels in search of a chunk behind them.
        known = {"Raw profile type exif", "XML:com.adobe.xmp"} & image.info.keys()
        if not known:
            return 1
    value = image.getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _late_exif(path: Path) -> bool:
    """Whether a PNG has an eXIf chunk; hops over the chunks without reading them."""
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            if head[4:] == b"eXIf":
                return True
            file.seek(int.from_bytes(head[:4], "big") + 4, 1)
    return False


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo a camera's rotation.

    Args:
        pixels: H x W x C as stored.
        orientation: EXIF's 1 (upright) to 8; 2 to 4 mirror or turn by half, 5 to 8 swap the axes.
    """
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    # After the swap: which axes of the upright picture run backwards in the stored one.
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}.get(orientation, ())
    return np.ascontiguousarray(np.flip(pixels, flips) if flips else pixels)


def with_channels(pixels: np.ndarray, channels: Channels) -> np.ndarray:
    """Convert H x W x 1, 3 or 4 of uint8 or uint16 to the channels asked for.

    Transparency is laid over white for `rgb` and `gray`; gray is repeated; colour becomes luma.
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
    """Mix colour * alpha + white * (1 - alpha), rounded; 65535 squared still fits in 32 bits."""
    wide = pixels.astype(np.uint32)
    colour, alpha = wide[:, :, :3], wide[:, :, 3:]
    mixed = (colour * alpha + largest * (largest - alpha) + largest // 2) // largest
    return mixed.astype(pixels.dtype)


def _luma(pixels: np.ndarray) -> np.ndarray:
    """ITU-R 601 luma, 0.299 R + 0.587 G + 0.114 B, in Pillow's 16-bit fixed point."""
    weights = np.array((19595, 38470, 7471), np.uint64)
    total = (pixels.astype(np.uint64) * weights).sum(axis=2, keepdims=True)
    luma: np.ndarray = ((total + 0x8000) >> np.uint64(16)).astype(pixels.dtype)
    return luma
