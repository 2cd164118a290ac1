"""A plugin whose parts do, when asked, what no plugin should: to see who is blamed, and when."""

from __future__ import annotations

import sys
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from ganzoo.api import Component, Options, hookimpl
from ganzoo.errors import DataError
from ganzoo.interfaces import Application, Field, NetIO, Score, Task

NOTHING = {"none": None, "list": [], "text": "text"}

DECLARES = {
    "no inputs": ({}, {"target": Field((3, 4, 4), "ganzoo/image")}),
    "no outputs": ({"source": Field((3, 4, 4), "ganzoo/image")}, {}),
    "shapes": ((3, 4, 4), (3, 4, 4)),
    "names": ({"the source": Field((3, 4, 4), "ganzoo/image")}, {}),
    "countless": ({"label": Field((), "ganzoo/class")}, {}),
    "untupled": ({"code": Field([4], "ganzoo/points")}, {}),
    "axes": ({"code": Field((4, 4, 4), "ganzoo/points")}, {}),
}
"""What a task may declare by mistake."""


class Faulty(Options):
    fault: str = ""
    at: int = 0


class Wide(Options):
    """Options of the data: how many samples, and which is broken."""

    count: int = 24
    broken: int = -1
    val: int = 2
    test: int = 2
    fault: str = ""
    ranged: bool = False


class Net(nn.Conv2d):
    def __init__(self, options, io):
        super().__init__(io.input.shape[0], io.output.shape[0], 1)


class Mixing(nn.Module):
    """A sound network of three inputs."""

    def __init__(self, options, io):
        super().__init__()
        if len(io.inputs) != 3:
            raise ValueError(f"mixes three inputs, not {len(io.inputs)}")
        x, _, _ = io.inputs.values()
        self.body = nn.Conv2d(x.shape[0], io.output.shape[0], 1)

    def forward(self, x, y, z):
        return self.body(x + y * z)


class FromConstant(nn.Module):
    """A sound network that begins with an expanded constant, which torch's counter can't take."""

    def __init__(self, options, io):
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(1, *io.input.shape))
        self.body = nn.Conv2d(io.input.shape[0], io.output.shape[0], 1)

    def forward(self, x):
        return self.body(self.constant.expand(len(x), *self.constant.shape[1:])) + x


class Shy(Net):
    """A sound network that fails where all numbers are 0, which no data are."""

    def forward(self, x):
        if not x.any():
            raise RuntimeError("dark")
        return super().forward(x)


class Paired(Task):
    roles: ClassVar = {"generator": "generator"}
    players: ClassVar = {"generator": ("generator",)}
    needs: ClassVar = frozenset({"source", "target"})
    applications: ClassVar = {
        "translate": Application(takes=("source",), gives=("target",), roles=("generator",))
    }

    @classmethod
    def io(cls, role, options, fields):
        if options.fault in NOTHING:
            return NOTHING[options.fault]
        if options.fault in DECLARES:
            return NetIO(*DECLARES[options.fault])
        return NetIO({"source": fields["source"]}, {"target": fields["target"]})

    def _make(self, net, source):
        return net(source)

    def step(self, batch, optimize):
        fault = self.options.fault if self.clock.step >= self.options.at else ""
        if fault == "exit":
            sys.exit()
        if fault == "fail":
            raise ValueError("no step today")
        fake = self._make(self.nets["generator"], batch["source"])
        if fault == "idle":
            return
        terms = self.loss.generator(self.look("generator", None, batch["target"], fake))
        if fault == "late":
            optimize("generator", terms)
            raise ValueError("too late")
        optimize("generator", terms)

    def sample(self, batch, nets):
        if self.options.fault == "sample":
            raise ValueError("no picture today")
        if self.options.fault == "sample none":
            return None
        if self.options.fault == "sample array":
            return {"made": np.zeros(3)}
        return {"made": self._make(nets["generator"], batch["source"])}

    def state_dict(self):
        return None if self.options.fault == "state" else {}

    @classmethod
    def apply(cls, name, options, choices, io, nets, inputs):
        if options.fault == "predict":
            return None
        return {"target": nets["generator"](inputs["source"])}


class Threefold(Paired):
    """Gives its network three inputs."""

    def _make(self, net, source):
        return net(source, source, source)

    @classmethod
    def io(cls, role, options, fields):
        three = dict.fromkeys("xyz", fields["source"])
        return NetIO(three, {"target": fields["target"]})


class Encoding(Paired):
    """Its network is of no kind that has averages."""

    roles: ClassVar = {"generator": "network"}


class Two(Paired):
    """Its second player never has a turn, or gets terms of the first one's network."""

    roles: ClassVar = {"generator": "generator", "helper": "network"}
    players: ClassVar = {"generator": ("generator",), "helper": ("helper",)}

    def step(self, batch, optimize):
        super().step(batch, optimize)
        if self.options.fault == "other":
            optimize("helper", {"far": self.nets["generator"](batch["source"]).mean()})


class L1:
    needs_discriminator = False

    def __init__(self, options):
        self.fault = options.fault

    def discriminator(self, inputs):
        return {}

    def generator(self, inputs):
        if self.fault in NOTHING:
            return NOTHING[self.fault]
        return {"l1": (inputs.fake - inputs.real).abs().mean()}


class Data:
    """Images of noise, 4 x 4."""

    def __init__(self, options, split):
        self.options = options
        self.split = split
        self.count = {"train": options.count, "val": options.val, "test": options.test}[split]

    @property
    def fields(self):
        if self.options.fault == "fields":
            return None
        field = Field((3, 4, 4), "ganzoo/image", range=(1, 0) if self.options.ranged else None)
        return {"source": field, "target": field}

    def __len__(self):
        return self.count

    def load(self, index, rng):
        if self.options.fault == "exit" and index:
            sys.exit("enough")
        if self.options.fault in NOTHING:
            return NOTHING[self.options.fault]
        if self.split == "train" and index == self.options.broken:
            raise DataError("is broken", where=self.name(index))
        image = np.random.default_rng(index).integers(0, 256, (4, 4, 3), np.uint8)
        if self.options.fault == "fieldless":
            return {"source": image}
        if self.options.fault == "nested":
            return {"source": image, "target": image.tolist()}
        return {"source": image, "target": 255 - image}

    def name(self, index):
        return None if self.options.fault == "nameless" else f"{index:06d}"


class Augment:
    def __init__(self, options):
        self.fault = options.fault

    def __call__(self, sample, rng):
        if self.fault in NOTHING:
            return NOTHING[self.fault]
        return {name: value for name, value in sample.items() if name != self.fault}


class Metric:
    protocol = "whatever it was told"
    needs = frozenset({"target"})

    def __init__(self, options):
        self.fault = options.fault

    def update(self, batch, generated):
        if self.fault == "exit":
            sys.exit(0)
        if self.fault == "raise":
            raise ValueError("no figure today")

    def compute(self):
        numbers = {"nan": float("nan"), "inf": float("inf")}
        if self.fault in NOTHING:
            return NOTHING[self.fault]
        if self.fault == "number":
            return {"figure": 3.0}
        if self.fault == "words":
            return {"figure": Score("three")}
        if self.fault == "tensor":
            return {"figure": Score(torch.tensor(3.0), (np.float32(3), torch.tensor(3.0)))}
        value = numbers.get(self.fault, 1.0)
        return {"figure": Score(value, (value,)), "sound": Score(2.0)}


class Callback:
    def __init__(self, options):
        self.options = options

    @hookimpl
    def ganzoo_step_done(self, run, step):
        if self.options.fault == "exit" and step == self.options.at:
            sys.exit()
        if self.options.fault == "fail" and step == self.options.at:
            raise ValueError("not this step")


def nobody(options):
    """A callback's target that returns nothing."""
    return


@hookimpl
def ganzoo_components():
    options = {
        ("task", "paired"): Paired,
        ("task", "threefold"): Threefold,
        ("task", "encoding"): Encoding,
        ("task", "two"): Two,
        ("loss", "l1"): L1,
        ("augment", "augment"): Augment,
        ("metric", "figure"): Metric,
        ("callback", "callback"): Callback,
    }
    return [
        *(
            Component(kind=kind, name=name, target=partial(_as_it_is, target), options=Faulty)
            for (kind, name), target in options.items()
        ),
        Component(kind="data", name="data", target=partial(_as_it_is, Data), options=Wide),
        Component(kind="generator", name="net", target=lambda: Net),
        Component(kind="network", name="net", target=lambda: Net),
        Component(kind="generator", name="mixing", target=lambda: Mixing),
        Component(kind="generator", name="shy", target=lambda: Shy),
        Component(kind="generator", name="constant", target=lambda: FromConstant),
        Component(kind="callback", name="nobody", target=lambda: nobody),
    ]


def _as_it_is(target):
    return target
