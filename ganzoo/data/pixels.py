"""Arithmetic on decoded pixels: rotation, channels, transparency; exact in integers."""

from __future__ import annotations

from typing import Literal

import numpy as np

Channels = Literal["rgb", "gray", "rgba", "any"]


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
