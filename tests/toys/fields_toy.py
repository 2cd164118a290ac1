"""Fields that aren't 8-bit pictures: HU with a mask, and label maps that go in.

One task for all of them: a network without anything else learns a target by its absolute error,
where there are data.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from torch import nn

from ganzoo.api import Options, component
from ganzoo.errors import DataError
from ganzoo.interfaces import Application, Field, NetIO, Score, Task
from ganzoo.nn import fill_no_data, one_hot

NODATA = -2000
HU = (-1000, 2000)
PALETTE = ((0, 0, 0), (255, 0, 0), (0, 0, 255))
GRAYS = np.array([10, 120, 240], np.uint8)


class Net(nn.Module):
    """A convolution over what goes in, or over channels of its classes."""

    def __init__(self, options, io):
        super().__init__()
        field = io.input
        self.classes = field.classes if field.format == "ganzoo/labels" else 0
        convolution = nn.Conv1d if len(field.shape) == 2 and not self.classes else nn.Conv2d
        self.body = convolution(self.classes or field.shape[0], io.output.shape[0], 1)

    def forward(self, x):
        if self.classes:
            x = one_hot(x, self.classes, self.body.weight.dtype)
        return self.body(x)


class Learns(Task):
    """The absolute error, where there are data."""

    roles: ClassVar = {"generator": "generator"}
    players: ClassVar = {"generator": ("generator",)}
    needs: ClassVar = frozenset({"source", "target"})
    applications: ClassVar = {
        "translate": Application(takes=("source",), gives=("target",), roles=("generator",))
    }
    needs_aligned: ClassVar = True
    honours_masks: ClassVar = True

    @classmethod
    def io(cls, role, options, fields):
        return NetIO({"source": fields["source"]}, {"target": fields["target"]})

    def step(self, batch, optimize):
        made, real = self.nets["generator"](batch["source"]), batch["target"]
        if mask := self.fields["target"].mask:
            made, real = (fill_no_data(one, batch[mask]) for one in (made, real))
        optimize("generator", {"l1": (made - real).abs().mean()})

    def sample(self, batch, nets):
        made = nets["generator"](batch["source"])
        return {"source": batch["source"], "generated": made, "target": batch["target"]}

    @classmethod
    def apply(cls, name, options, choices, io, nets, inputs):
        return {"target": nets["generator"](inputs["source"])}


class Careless(Learns):
    """The same, but it doesn't know of masks."""

    honours_masks: ClassVar = False


class Loss:
    needs_discriminator = False

    def __init__(self, options):
        pass

    def discriminator(self, inputs):
        return {}

    def generator(self, inputs):
        return {}


class ScanOptions(Options):
    stored: Literal["int16", "float32"] = "int16"
    mask: Literal["given", "made", "none"] = "made"
    empty: bool = False
    wrong: Literal["", "range", "unit", "mask", "nodata", "shape", "dtype", "format"] = ""


class Scans:
    """16 x 16 values in HU; the target is the source, half as far from 0. A frame has no data.

    With `empty`, sample 2 has no data anywhere.
    """

    def __init__(self, options, split):
        self.options = options
        self.first = {"train": 0, "val": 100, "test": 200}[split]

    @property
    def fields(self):
        options = self.options
        keys = {"range": HU, "unit": "HU", "dtype": options.stored}
        if options.mask != "none":
            keys |= {"nodata": NODATA, "mask": "inside"}
        keys |= {
            "range": {"range": (5, 5)},
            "unit": {"range": None},
            "mask": {"mask": "nowhere", "nodata": None},
            "nodata": {"mask": ""},
            "dtype": {"dtype": "int8"},
        }.get(options.wrong, {})
        shape = (16, 16) if options.wrong == "shape" else (1, 16, 16)
        name = "nobody/image" if options.wrong == "format" else "ganzoo/image"
        fields = dict.fromkeys(("source", "target"), Field(shape, name, **keys))
        if options.mask == "given":
            fields["inside"] = Field((16, 16), "ganzoo/labels", classes=2)
        return fields

    def __len__(self):
        return 6

    def load(self, index, rng):
        own = np.random.default_rng(self.first + index)
        source = own.integers(-1000, 2001, (16, 16, 1)).astype(self.options.stored)
        target = (source // 2).astype(self.options.stored)
        sample = {"source": source, "target": target}
        if self.options.mask != "none":
            inside = np.zeros((16, 16), np.uint8)
            if not (self.options.empty and index == 2):
                inside[2:-2, 1 + index : -2] = 1
            source[inside == 0] = target[inside == 0] = NODATA
            if self.options.mask == "given":
                sample["inside"] = inside
        return sample

    def name(self, index):
        return f"{self.first + index:06d}"


class Maps:
    """Label maps of 3 classes, and pictures in which each class has its gray."""

    def __init__(self, options, split):
        self.first = {"train": 0, "val": 100, "test": 200}[split]
        self.fields = {
            "source": Field((8, 8), "ganzoo/labels", classes=3, palette=PALETTE),
            "target": Field((1, 8, 8), "ganzoo/image"),
        }

    def __len__(self):
        return 6

    def load(self, index, rng):
        labels = np.random.default_rng(self.first + index).integers(0, 3, (8, 8))
        return {"source": labels, "target": GRAYS[labels][:, :, None]}

    def name(self, index):
        return f"{self.first + index:06d}"


class Distance:
    """The mean absolute error in the field's unit, over all places with data."""

    needs = frozenset({"target"})
    protocol = "not known yet"

    def __init__(self, options):
        self.total, self.count = 0.0, 0

    def prepare(self, fields, made):
        if made.range is None:
            raise DataError("it wants a range")
        assert fields["target"] == made
        self.half, self.mask = (made.range[1] - made.range[0]) / 2, made.mask
        self.protocol = f"mean absolute error in {made.unit}, of all places with data"

    def update(self, batch, generated):
        there = torch.ones_like(generated)
        if self.mask:
            there = (batch[self.mask] != 0)[:, None].double()
        error = (generated.double() - batch["target"].double()).abs() * self.half * there
        self.total, self.count = self.total + float(error.sum()), self.count + float(there.sum())

    def compute(self):
        return {"mae": Score(self.total / self.count)}


class Blind(Distance):
    """It can't be told what it judges."""

    prepare = None


@component("generator")
def net():
    return Net


@component("task")
def learns():
    return Learns


@component("task")
def careless():
    return Careless


@component("loss")
def none():
    return Loss


@component("data", ScanOptions)
def scans():
    return Scans


@component("data")
def maps():
    return Maps


@component("metric")
def mean_error():
    return Distance


@component("metric")
def blind():
    return Blind
