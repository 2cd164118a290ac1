"""A plugin of the smallest parts that can be trained weights: for the tests of inference."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import nn

from ganzoo.api import NetOptions, Options, TaskOptions, component
from ganzoo.errors import DataMissing
from ganzoo.interfaces import Application, Field, NetIO, Score, Task
from ganzoo.nn.norm import BatchNorm2d

PALETTE = ((0, 0, 222), (255, 0, 0), (255, 239, 0))


class ToyNetOptions(NetOptions):
    def size_multiple(self):
        return 4


class PairedOptions(TaskOptions):
    default_mode = "paper"


class ToyDataOptions(Options):
    channels: int = 3
    missing: tuple[str, ...] = ()


class Net(nn.Sequential):
    """Two downs and two ups, with batch norm and dropout; input and output of any channels."""

    def __init__(self, options, io):
        super().__init__(
            nn.Conv2d(io.input.shape[0], 8, 4, 2, 1),
            BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Conv2d(8, 8, 4, 2, 1),
            BatchNorm2d(8),
            nn.Upsample(scale_factor=4),
            nn.Conv2d(8, io.output.shape[0], 3, 1, 1),
            nn.Tanh(),
        )


class Paired(Task):
    roles: ClassVar = {"generator": "generator"}
    players: ClassVar = {"generator": ("generator",)}
    needs: ClassVar = frozenset({"source", "target"})
    applications: ClassVar = {
        "translate": Application(takes=("source",), gives=("target",), roles=("generator",))
    }

    @classmethod
    def io(cls, role, options, fields):
        return NetIO({"source": fields["source"]}, {"target": fields["target"]})

    def step(self, batch, optimize):
        optimize("generator", {"l1": (self.nets["generator"](batch["source"])).abs().mean()})

    def sample(self, batch, nets):
        return {"source": batch["source"]}

    @classmethod
    def apply(cls, name, options, choices, io, nets, inputs):
        return {"target": nets["generator"](inputs["source"])}


class Loss:
    def __init__(self, options):
        pass

    def discriminator(self, inputs):
        return {}

    def generator(self, inputs):
        return {}


def sample_of(index):
    """A label map of columns, and a photograph whose colours follow it with noise of its own."""
    rng = np.random.default_rng(index)
    labels = np.repeat(rng.integers(0, 3, (3, 4)), 4, 0).repeat(5, 1)  # 12 x 20
    colours = np.array(((40, 60, 90), (150, 140, 130), (220, 210, 180)))
    photo = colours[labels] + rng.integers(-20, 21, (12, 20, 3))
    return np.array(PALETTE, np.uint8)[labels], photo.astype(np.uint8), labels


class Data:
    metrics = ("inference_toy/recovery",)

    def __init__(self, options, split):
        if split in options.missing:
            raise DataMissing(f"the {split} split isn't there")
        self.options = options
        self.first = {"train": 0, "val": 1000, "test": 2000}[split]
        self.fields = {
            "source": Field((options.channels, 12, 20), "ganzoo/image", palette=PALETTE),
            "target": Field((3, 12, 20), "ganzoo/image"),
            "labels": Field((12, 20), "ganzoo/labels"),
        }

    def __len__(self):
        return 30 if self.first == 0 else 5

    def load(self, index, rng):
        source, target, labels = sample_of(self.first + index)
        return {"source": source[..., : self.options.channels], "target": target, "labels": labels}

    def name(self, index):
        return f"{self.first + index:06d}"


class Recovery:
    """A metric with a ceiling, a floor and a headline, which draws from the global generator."""

    needs = frozenset({"labels"})
    protocol = "a toy"

    def __init__(self, options):
        torch.rand(1)
        self.count = 0

    def update(self, batch, generated):
        assert batch["labels"].dtype == torch.int64
        self.count += 1

    def compute(self):
        return {
            "recovered": Score(0.5, (0.5,) * self.count),
            "ceiling_recovered": Score(0.9),
            "floor_recovered": Score(0.1),
        }

    @staticmethod
    def headline(values):
        return f"half of the way to {values['ceiling_recovered'].mean}"


class Unfit(Recovery):
    needs = frozenset({"depth"})


@component("generator", ToyNetOptions)
def net():
    return Net


@component("task", PairedOptions)
def task():
    return Paired


@component("loss")
def loss():
    return Loss


@component("data", ToyDataOptions)
def data():
    return Data


@component("data", ToyDataOptions)
def stand_in():
    return Data


@component("metric")
def recovery():
    return Recovery


@component("metric")
def unfit():
    return Unfit
