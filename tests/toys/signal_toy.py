"""A plugin's own format: signals, L x C numbers in files and C x L for networks.

`signal_toy/signal` is sound; the others break one rule of formats each.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from ganzoo.api import Options, component
from ganzoo.data import read_array, write_array
from ganzoo.errors import DataError, DivergedError
from ganzoo.interfaces import Field, Format

HEIGHT = 48


class Signal(Format):
    """C x L float32 for networks, in volts for files, as a waveform in pictures."""

    suffixes: ClassVar = (".npy",)
    examples: ClassVar = (
        Field((2, 40), "signal_toy/signal"),
        Field((1, 30), "signal_toy/signal", range=(0, 5), unit="V"),
    )

    def check(self, field):
        if len(field.shape) != 2:
            message = f"shape of a signal must be (C, L), but it is {field.shape}"
            raise ValueError(message)
        if field.mask or field.palette or field.classes or field.dtype not in ("", "float32"):
            message = "a signal has no mask, no classes, and is float32"
            raise ValueError(message)

    def dtype(self, field):
        return "float32"

    def tensor_shape(self, shape, field):
        if len(shape) != 2:
            raise DataError(f"a signal must be L x C, but this is {shape}")
        return shape[1], shape[0]

    def to_tensors(self, arrays, field):
        stacked = np.stack(list(arrays))
        self.tensor_shape(stacked.shape[1:], field)
        low, high = field.range or (-1, 1)
        values = (stacked.astype(np.float64) - low) / ((high - low) / 2) - 1
        return torch.from_numpy(values).movedim(2, 1).float().contiguous()

    def to_array(self, tensor, field):
        if not bool(torch.isfinite(tensor).all()):
            raise DivergedError("a signal holds values that are not finite")
        low, high = field.range or (-1, 1)
        values = tensor.detach().cpu().double().movedim(0, 1) + 1
        return (values * ((high - low) / 2) + low).numpy().astype(np.float32)

    def read(self, path, field):
        array = read_array(path)
        if array.ndim != 2 or array.shape[1] != field.shape[0]:
            raise DataError(f"must be L x {field.shape[0]}, not {array.shape}", where=str(path))
        return array

    def write(self, array, path, field, note=None):
        write_array(array, path)

    def picture(self, array, field, mask=None):
        low, high = field.range or (-1, 1)
        rows = ((high - array[:, 0]) / (high - low) * (HEIGHT - 1)).round().clip(0, HEIGHT - 1)
        picture = np.full((HEIGHT, len(array), 3), 255, np.uint8)
        picture[rows.astype(int), np.arange(len(array))] = (0, 90, 160)
        return picture


class OtherExamples(Signal):
    def __init_subclass__(cls, called):
        cls.examples = tuple(
            Field(one.shape, f"signal_toy/{called}", range=one.range, unit=one.unit)
            for one in Signal.examples
        )


class Lossy(OtherExamples, called="lossy"):
    """Keeps three digits."""

    def to_array(self, tensor, field):
        return super().to_array(tensor, field).round(3)


class Unlike(OtherExamples, called="unlike"):
    """A batch has its mean taken away."""

    def to_tensors(self, arrays, field):
        made = super().to_tensors(arrays, field)
        return made - 1e-4 * (len(arrays) - 1)


class Unpicklable(OtherExamples, called="unpicklable"):
    def __init__(self, options=None):
        super().__init__(options)
        self.kept = lambda: None


class Anything(OtherExamples, called="anything"):
    """Takes arrays of any axes, and NaN."""

    def tensor_shape(self, shape, field):
        return shape[::-1]

    def to_tensors(self, arrays, field):
        return torch.zeros(len(arrays), *field.shape)

    def check(self, field):
        pass


class Forgetful(OtherExamples, called="forgetful"):
    """Writes zeros, and reads anything."""

    def write(self, array, path, field, note=None):
        write_array(array * 0, path)


class Blank(OtherExamples, called="blank"):
    """Its picture is gray, whatever it is given."""

    def picture(self, array, field, mask=None):
        return np.full((HEIGHT, len(array), 1), 255, np.uint8)


class DataOptions(Options):
    axes: int = 2


class Waves:
    """Sine waves in volts; the target is the source upside down."""

    def __init__(self, options, split):
        self.first = {"train": 0, "val": 100, "test": 200}[split]
        shape = (1,) * (options.axes - 1) + (32,)
        field = Field(shape, "signal_toy/signal", range=(0, 5), unit="V")
        self.fields = {"source": field, "target": field}

    def __len__(self):
        return 6

    def load(self, index, rng):
        phase = np.random.default_rng(self.first + index).uniform(0, 6)
        wave = 2.5 + 2 * np.sin(np.arange(32, dtype=np.float32) / 3 + phase)[:, None]
        wave = wave.astype(np.float32)
        return {"source": wave, "target": 5 - wave}

    def name(self, index):
        return f"{self.first + index:06d}"


@component("format")
def signal():
    """Signals, L x C."""
    return Signal


@component("format")
def lossy():
    """A broken format."""
    return Lossy


@component("format")
def unlike():
    """A broken format."""
    return Unlike


@component("format")
def unpicklable():
    """A broken format."""
    return Unpicklable


@component("format")
def anything():
    """A broken format."""
    return Anything


@component("format")
def forgetful():
    """A broken format."""
    return Forgetful


@component("format")
def blank():
    """A broken format."""
    return Blank


@component("data", DataOptions)
def waves():
    return Waves
