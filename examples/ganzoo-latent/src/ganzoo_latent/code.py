"""The format of codes: maps of numbers that have no limits and no unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from ganzoo.data import read_array, write_array
from ganzoo.errors import DataError, DivergedError
from ganzoo.interfaces import Field, Format
from torch import Tensor


class Code(Format):
    """C x H x W float32 for networks, and H x W x C of the same numbers in `.npy` files."""

    suffixes: ClassVar[tuple[str, ...]] = (".npy",)
    examples: ClassVar[tuple[Field, ...]] = (
        Field((4, 8, 8), "latent/code"),
        Field((1, 3, 5), "latent/code"),
    )

    def check(self, field: Field) -> None:
        """Refuse everything but three axes of float32.

        Raises:
            ValueError: the field can't be a code; the message begins with the faulty part.
        """
        if len(field.shape) != 3:
            raise ValueError(f"shape of a code must be (C, H, W), not {field.shape}")
        if field.dtype not in {"", "float32"}:
            raise ValueError(f"dtype of a code must be float32, not {field.dtype}")
        if field.range is not None:
            raise ValueError("range doesn't exist for a code: its numbers have no limits")
        if field.mask or field.nodata is not None:
            raise ValueError("mask doesn't exist for a code: it has numbers everywhere")

    def dtype(self, field: Field) -> str:
        """Return `float32`."""
        del field
        return "float32"

    def tensor_shape(self, shape: tuple[int, ...], field: Field) -> tuple[int, ...]:
        """Return (C, H, W) of (H, W, C).

        Raises:
            DataError: there are other axes.
        """
        del field
        if len(shape) != 3:
            raise DataError(f"a code must be H x W x C, but this is {shape}")
        height, width, channels = shape
        return channels, height, width

    def to_tensors(self, arrays: np.ndarray | Sequence[np.ndarray], field: Field) -> Tensor:
        """Convert N arrays H x W x C to N x C x H x W.

        Raises:
            DataError: the arrays have other axes, or aren't finite numbers.
        """
        stacked = np.stack(list(arrays))
        self.tensor_shape(stacked.shape[1:], field)
        if stacked.dtype.kind not in "iuf":
            raise DataError(f"a code must have numbers, but this has {stacked.dtype}")
        values = torch.from_numpy(stacked.astype(np.float32)).movedim(3, 1).contiguous()
        if not bool(torch.isfinite(values).all()):
            raise DataError("a code has values that are not finite")
        return values

    def to_array(self, tensor: Tensor, field: Field) -> np.ndarray:
        """Convert C x H x W to an array H x W x C.

        Raises:
            DivergedError: a value isn't finite.
        """
        del field
        if not bool(torch.isfinite(tensor).all()):
            raise DivergedError("a code has values that are not finite")
        array: np.ndarray = tensor.detach().cpu().float().movedim(0, 2).contiguous().numpy()
        return array

    def read(self, path: Path, field: Field) -> np.ndarray:
        """Read H x W x C.

        Raises:
            DataError: naming the file, when it can't be read or isn't a code.
        """
        array = read_array(path)
        channels = field.shape[0]
        if array.ndim != 3 or array.shape[2] != channels:
            raise DataError(
                f"a code must be H x W x {channels}, but this is {array.shape}", where=str(path)
            )
        return array

    def write(
        self, array: np.ndarray, path: Path, field: Field, note: Mapping[str, Any] | None = None
    ) -> None:
        """Write H x W x C; a `.npy` file has no place for a note."""
        del field, note
        write_array(array, path)

    def picture(
        self, array: np.ndarray, field: Field, mask: np.ndarray | None = None
    ) -> np.ndarray:
        """Draw the first three channels as red, green and blue; -3 is black, 3 is full colour."""
        del field, mask
        shown = np.zeros((*array.shape[:2], 3), np.float32)
        shown[..., : array.shape[2]] = array[..., :3]
        return ((shown.clip(-3, 3) + 3) / 6 * 255).round().astype(np.uint8)
