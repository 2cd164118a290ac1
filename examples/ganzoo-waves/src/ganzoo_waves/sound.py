"""The format of sound: 16-bit samples at 8 kHz, in WAV files."""

from __future__ import annotations

import wave
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ganzoo.data import replacing
from ganzoo.errors import DataError, DivergedError, EnvironmentFault
from ganzoo.interfaces import Field, Format

RATE = 8000
FULL_SCALE = 32767  # the 16-bit number that networks see as 1


class Sound(Format):
    """C x L in [-1, 1] for networks, L x C int16 in WAV files, and a picture with a spectrogram."""

    suffixes: ClassVar[tuple[str, ...]] = (".wav",)
    examples: ClassVar[tuple[Field, ...]] = (
        Field((1, 512), "waves/sound"),
        Field((2, 300), "waves/sound"),
    )

    def check(self, field: Field) -> None:
        """Accept sounds of the whole range of 16 bits, without places where data are missing.

        Raises:
            ValueError: the field has something else.
        """
        if len(field.shape) != 2 or min(field.shape) < 1:
            raise ValueError(f"shape of a sound must be (channels, length), not {field.shape}")
        if field.dtype not in {"", "int16"}:
            raise ValueError(f"dtype of a sound must be int16, not {field.dtype}")
        if field.range is not None or field.mask or field.nodata is not None:
            raise ValueError("range, mask and nodata have no meaning for a sound")

    def dtype(self, field: Field) -> str:  # noqa: ARG002
        """Samples have 16 bits."""
        return "int16"

    def tensor_shape(self, shape: tuple[int, ...], field: Field) -> tuple[int, ...]:
        """L x C becomes C x L.

        Raises:
            DataError: an array has other axes.
        """
        if len(shape) != 2 or shape[1] != field.shape[0]:
            raise DataError(f"a sound must be an array L x {field.shape[0]}, but this is {shape}")
        return shape[1], shape[0]

    def to_tensors(self, arrays: np.ndarray | Sequence[np.ndarray], field: Field) -> Tensor:
        """Divide by the full scale.

        Raises:
            DataError: an array isn't L x C of int16.
        """
        stacked = np.stack(list(arrays))
        self.tensor_shape(stacked.shape[1:], field)
        if stacked.dtype != np.int16:
            raise DataError(f"a sound must be of int16, but this is {stacked.dtype}")
        return torch.from_numpy(stacked).movedim(2, 1).contiguous().float() / FULL_SCALE

    def to_array(self, tensor: Tensor, field: Field) -> np.ndarray:  # noqa: ARG002
        """Multiply by the full scale, and round.

        Raises:
            DivergedError: a value is not finite.
        """
        if not bool(torch.isfinite(tensor).all()):
            raise DivergedError("a sound has values that are not finite")
        samples = tensor.detach().cpu().double().movedim(0, 1) * FULL_SCALE
        return samples.round().clamp(-FULL_SCALE - 1, FULL_SCALE).numpy().astype(np.int16)

    def read(self, path: Path, field: Field) -> np.ndarray:
        """Read a WAV file of 16 bits and 8 kHz.

        Raises:
            DataError: it can't be read, or is of another kind.
        """
        try:
            with wave.open(str(path), "rb") as file:
                count, parameters = file.getnframes(), file.getparams()
                data = file.readframes(count)
        except (OSError, EOFError, wave.Error) as error:
            raise DataError(f"can't be read as a WAV file: {error}", where=str(path)) from error
        expected = (field.shape[0], 2, RATE)
        if parameters[:3] != expected:
            raise DataError(
                "has (channels, bytes of a sample, samples of a second) = "
                f"{tuple(parameters[:3])}, not {expected}",
                where=str(path),
            )
        if len(data) != count * expected[0] * expected[1] or not data:
            raise DataError("the file is empty or was cut short", where=str(path))
        return np.frombuffer(data, "<i2").reshape(count, -1).astype(np.int16)

    def write(
        self,
        array: np.ndarray,
        path: Path,
        field: Field,  # noqa: ARG002
        note: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> None:
        """Write a WAV file, which has no place for a note.

        Raises:
            EnvironmentFault: it can't be written.
        """
        try:
            with replacing(path) as temporary, wave.open(str(temporary), "wb") as file:
                file.setnchannels(array.shape[1])
                file.setsampwidth(2)
                file.setframerate(RATE)
                file.writeframes(array.astype("<i2").tobytes())
        except OSError as error:
            raise EnvironmentFault(f"can't be written: {error}", where=str(path)) from error

    def picture(
        self,
        array: np.ndarray,
        field: Field,  # noqa: ARG002
        mask: np.ndarray | None = None,  # noqa: ARG002
    ) -> np.ndarray:
        """Draw the first channel: its waveform above its spectrogram of 0 to 4 kHz, 128 x 128."""
        samples = array[:, 0] / FULL_SCALE
        return np.concatenate([waveform(samples), spectrogram(samples)])


def waveform(samples: np.ndarray, height: int = 64, width: int = 128) -> np.ndarray:
    """Draw a column for each part of a sound, from its least to its largest sample."""
    picture = np.full((height, width, 3), 255, np.uint8)
    rows = ((1 - samples.clip(-1, 1)) / 2 * (height - 1)).round().astype(int)
    edges = np.linspace(0, len(rows), width + 1).astype(int)
    for column, (begin, end) in enumerate(pairwise(edges)):
        part = rows[begin : max(end, begin + 1)]
        picture[part.min() : part.max() + 1, column] = (0, 90, 160)
    return picture


def spectrogram(samples: np.ndarray, height: int = 64, width: int = 128) -> np.ndarray:
    """Draw the amplitudes of 64 frequencies over time, from -60 dB (white) to 0 dB (black)."""
    window = 2 * height
    padded = np.pad(samples, window // 2)
    starts = np.linspace(0, len(samples), width).astype(int)
    frames = np.stack([padded[start : start + window] for start in starts])
    amplitudes = np.abs(np.fft.rfft(frames * np.hanning(window)))[:, :height] * 4 / window
    decibels = 20 * np.log10(np.maximum(amplitudes, 1e-3))
    grey = (-decibels / 60 * 255).clip(0, 255).round().astype(np.uint8)
    return np.repeat(grey.T[::-1, :, None], 3, 2)
