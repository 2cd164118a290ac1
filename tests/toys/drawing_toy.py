"""A plugin of the smallest parts that draw: for the tests of evaluation, samples and their grids.

Points: two clusters, of which class 0 is on the left. Images: 8 x 8, dark in class 0 and light in
class 1. A task with two applications turns source and target into each other.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import nn

from ganzoo.api import Component, Options, hookimpl
from ganzoo.interfaces import Application, Field, NetIO, Score, Task


class NetSettings(Options):
    norm: bool = False
    spoilt: bool = False


class Net(nn.Module):
    """Noise, and a class where there are any, to points or an image; the class sets the level."""

    def __init__(self, options, io):
        super().__init__()
        self.shape = io.output.shape
        self.spoilt = options.spoilt
        size = int(np.prod(self.shape))
        self.body = nn.Linear(io.vector_in(), size)
        self.norm = nn.BatchNorm1d(size) if options.norm else nn.Identity()

    def forward(self, z, y=None):
        x = self.norm(self.body(z.flatten(1))).tanh() * 0.2
        if y is not None:
            x = x + (2 * y.to(x.dtype)[:, None] - 1) * 0.5
        if self.spoilt:
            x = x / 0
        return x.unflatten(1, self.shape)


class DrawOptions(Options):
    conditional: bool = True
    latent: int = 3
    uniform: bool = False


class Draws(Task):
    roles: ClassVar = {"generator": "generator"}
    players: ClassVar = {"generator": ("generator",)}
    needs: ClassVar = frozenset({"real"})
    applications: ClassVar = {
        "sample": Application(
            takes=("noise",), gives=("real",), roles=("generator",), draws=("noise",)
        )
    }

    @classmethod
    def io(cls, role, options, fields):
        label = {"label": fields["label"]} if options.conditional else {}
        noise = Field((options.latent,), "ganzoo/points")
        return NetIO({"noise": noise, **label}, {"real": fields["real"]})

    def step(self, batch, optimize):
        made = self.call(self.nets["generator"], self.noise(batch), batch)
        optimize("generator", {"l1": (made - batch["real"]).abs().mean()})

    def noise(self, batch):
        return torch.randn(len(batch["real"]), self.options.latent)

    def call(self, net, noise, batch):
        return net(noise, batch["label"]) if self.options.conditional else net(noise)

    def sample(self, batch, nets):
        made = self.call(nets["generator"], self.noise(batch), batch)
        return {"generated": made, "real": batch["real"]}

    @classmethod
    def apply(cls, name, options, choices, io, nets, inputs):
        given = (inputs["noise"], inputs["label"]) if options.conditional else (inputs["noise"],)
        return {"real": nets["generator"](*given)}

    @classmethod
    def draw(cls, name, options, io, count, random):
        fill, its = torch.rand if options.uniform else torch.randn, io["generator"]
        drawn = {"noise": fill((count, its.vector_in()), generator=random)}
        if its.classes:
            drawn["label"] = torch.arange(count) % its.classes
        return drawn


class Both(Task):
    """Turns source into target and back."""

    roles: ClassVar = {"forth": "generator", "back": "generator"}
    players: ClassVar = {"generator": ("forth", "back")}
    needs: ClassVar = frozenset({"source", "target"})
    applications: ClassVar = {
        "there": Application(takes=("source",), gives=("target",), roles=("forth",)),
        "again": Application(takes=("target",), gives=("source",), roles=("back",)),
    }

    @classmethod
    def io(cls, role, options, fields):
        goes_in, comes_out = ("source", "target") if role == "forth" else ("target", "source")
        return NetIO({goes_in: fields[goes_in]}, {comes_out: fields[comes_out]})

    def step(self, batch, optimize):
        there = (self.nets["forth"](batch["source"]) - batch["target"]).abs().mean()
        again = (self.nets["back"](batch["target"]) - batch["source"]).abs().mean()
        optimize("generator", {"forth": there, "back": again})

    def sample(self, batch, nets):
        return {"source": batch["source"], "generated": nets["forth"](batch["source"])}

    @classmethod
    def apply(cls, name, options, choices, io, nets, inputs):
        if name == "there":
            return {"target": nets["forth"](inputs["source"])}
        return {"source": nets["back"](inputs["target"])}


class Shift(nn.Conv2d):
    """Adds one trained number to a channel: its output is its input until it has learned."""

    def __init__(self, options, io):
        super().__init__(io.input.shape[0], io.output.shape[0], 1)
        nn.init.eye_(self.weight.data[:, :, 0, 0])
        nn.init.constant_(self.bias, 0.1)


class Loss:
    needs_discriminator = False

    def __init__(self, options):
        pass

    def discriminator(self, inputs):
        return {}

    def generator(self, inputs):
        return {}


class DataOptions(Options):
    kind: Literal["points", "image"] = "points"
    train: int = 30
    metrics: tuple[str, ...] = ("drawing_toy/level",)


class Data:
    """Two classes in turn: points near (-0.5, -0.5) and (0.5, 0.5), or images of such levels."""

    def __init__(self, options, split):
        self.options = options
        self.metrics = options.metrics
        self.first = {"train": 0, "val": 1000, "test": 2000}[split]
        shape = (2,) if options.kind == "points" else (1, 8, 8)
        self.fields = {
            "real": Field(shape, f"ganzoo/{options.kind}"),
            "label": Field((), "ganzoo/class", classes=2),
        }

    def __len__(self):
        return self.options.train if self.first == 0 else 10

    def load(self, index, rng):
        if not 0 <= index < len(self):
            raise IndexError(index)
        own = np.random.default_rng(self.first + index)
        label = index % 2
        shape = (2,) if self.options.kind == "points" else (8, 8, 1)
        real = (label - 0.5 + own.uniform(-0.2, 0.2, shape)).astype(np.float32)
        return {"real": real, "label": np.array(label)}

    def name(self, index):
        return f"{self.first + index:06d}"


class PairOptions(Options):
    hidden: Literal["never", "train", "always"] = "never"


class Pairs:
    """A target is its source, half as bright."""

    def __init__(self, options, split):
        self.first = {"train": 0, "val": 1000, "test": 2000}[split]
        aligned = options.hidden == "never" or (options.hidden == "train" and split != "train")
        self.fields = {
            name: Field((3, 8, 8), "ganzoo/image", aligned=aligned) for name in ("source", "target")
        }

    def __len__(self):
        return 6

    def load(self, index, rng):
        source = np.random.default_rng(self.first + index).integers(0, 256, (8, 8, 3), np.uint8)
        return {"source": source, "target": source // 2}

    def name(self, index):
        return f"{self.first + index:06d}"


class Level:
    """Share of samples on their class's side of zero; wants 150 of a network that draws."""

    needs = frozenset({"label"})
    samples = 150
    protocol = "a toy"

    def __init__(self, options):
        self.right = []

    def update(self, batch, generated):
        assert len(batch["label"]) == len(generated)
        side = generated.flatten(1).mean(1) > 0
        self.right += (side == (batch["label"] == 1)).tolist()

    def compute(self):
        return {"level": Score(sum(self.right) / len(self.right)), "judged": Score(len(self.right))}

    @staticmethod
    def headline(values):
        return f"{values['level'].mean:.0%} on their side"


class Gap:
    """Difference of means between what was made and the data: reads both."""

    needs = frozenset({"real"})
    protocol = "a toy"

    def __init__(self, options):
        self.made, self.real = [], []

    def update(self, batch, generated):
        assert batch["real"].shape == generated.shape
        self.made.append(generated)
        self.real.append(batch["real"])

    def compute(self):
        made, real = torch.cat(self.made), torch.cat(self.real)
        return {"gap": Score(abs(float(made.mean() - real.mean()))), "taken": Score(len(made))}


class Seen:
    """The mean level of what metrics are told is source and target."""

    needs = frozenset({"source"})
    protocol = "a toy"

    def __init__(self, options):
        self.levels = []

    def update(self, batch, generated):
        self.levels.append([float(batch[name].mean()) for name in ("source", "target")])

    def compute(self):
        source, target = np.mean(self.levels, 0)
        return {"source_level": Score(float(source)), "target_level": Score(float(target))}


@hookimpl
def ganzoo_components():
    def one(kind, name, target, options=Options):
        return Component(kind=kind, name=name, target=partial(_as_it_is, target), options=options)

    return (
        one("generator", "net", Net, NetSettings),
        one("generator", "shift", Shift),
        one("task", "draws", Draws, DrawOptions),
        one("task", "both", Both),
        one("loss", "loss", Loss),
        one("data", "data", Data, DataOptions),
        one("data", "pairs", Pairs, PairOptions),
        one("metric", "level", Level),
        one("metric", "gap", Gap),
        one("metric", "seen", Seen),
    )


def _as_it_is(target):
    return target
