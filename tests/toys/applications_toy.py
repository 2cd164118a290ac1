"""A task with several applications of several networks, with options of their own.

An encoder and a decoder learn images, and a mapping learns the latents from noise.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field as Limits
from torch import nn
from torch.nn import functional as F  # noqa: N812

from ganzoo.api import NetOptions, Options, component
from ganzoo.interfaces import Application, Field, NetIO, Task

SIDE, CODE = 8, 4


class Sizes(NetOptions):
    multiple: int = 1

    def size_multiple(self):
        return self.multiple


class Truncation(Options):
    psi: Annotated[float, Limits(ge=0, le=1)] = 1.0
    """Share of the distance of a latent from the mean one, which is 0."""


class Mix(Options):
    amount: float = 0.5
    """Share of the drawn latent."""


class Wrong(Options):
    fault: str = ""
    """What the task does wrong."""


class Encoder(nn.Module):
    def __init__(self, options, io):
        super().__init__()
        self.body = nn.Conv2d(io.input.shape[0], io.output.shape[0], 3, padding=1)

    def forward(self, x):
        return self.body(x).mean((2, 3))


class Decoder(nn.Module):
    def __init__(self, options, io):
        super().__init__()
        self.shape = io.output.shape
        self.body = nn.Linear(io.input.shape[0], int(np.prod(self.shape)))

    def forward(self, w):
        return self.body(w).tanh().unflatten(1, self.shape)


class Mapping(nn.Linear):
    def __init__(self, options, io):
        super().__init__(io.vector_in(), io.vector_out())


class Auto(Task):
    roles: ClassVar = {"encoder": "network", "decoder": "generator", "mapping": "network"}
    players: ClassVar = {"all": ("encoder", "decoder", "mapping")}
    needs: ClassVar = frozenset({"image"})
    applications: ClassVar = {
        "reconstruct": Application(("image",), ("image", "latent"), ("encoder", "decoder")),
        "encode": Application(("image",), ("latent",), ("encoder",)),
        "decode": Application(("latent",), ("image",), ("decoder",)),
        "sample": Application(
            ("noise",), ("image",), ("mapping", "decoder"), Truncation, ("noise",)
        ),
        "vary": Application(
            ("image", "noise"), ("image",), ("encoder", "mapping", "decoder"), Mix, ("noise",)
        ),
    }

    @classmethod
    def io(cls, role, options, fields):
        latent, noise = {"latent": code()}, {"noise": code()}
        image = {"image": fields["image"]}
        return {
            "encoder": NetIO(image, latent),
            "decoder": NetIO(latent, image),
            "mapping": NetIO(noise, latent),
        }[role]

    def step(self, batch, optimize):
        latent = self.nets["encoder"](batch["image"])
        drawn = self.nets["mapping"](torch.randn_like(latent))
        terms = {
            "near": F.l1_loss(self.nets["decoder"](latent), batch["image"]),
            "spread": (drawn.std(0) - latent.detach().std(0)).square().mean(),
        }
        optimize("all", terms)

    def sample(self, batch, nets):
        inputs = {"image": batch["image"]}
        made = self.apply("reconstruct", self.options, None, {}, nets, inputs)
        return {"image": batch["image"], "again": made["image"]}

    @classmethod
    def apply(cls, name, options, choices, io, nets, inputs):
        if options.fault == "reads":
            return {"image": nets["decoder"](inputs["other"])}
        if name == "sample":
            return {"image": nets["decoder"](choices.psi * nets["mapping"](inputs["noise"]))}
        if name == "decode":
            return {"image": nets["decoder"](inputs["latent"])}
        latent = nets["encoder"](inputs["image"])
        if name == "encode":
            return {"latent": latent}
        if name == "vary":
            drawn = nets["mapping"](inputs["noise"])
            return {"image": nets["decoder"](torch.lerp(latent, drawn, choices.amount))}
        image = nets["decoder"](latent)
        return {
            "name": {"image": image, "code": latent},
            "count": {"image": image.repeat(2, 1, 1, 1), "latent": latent},
            "shape": {"image": image, "latent": latent[:, 1:]},
            "tuple": (image, latent),
        }.get(options.fault, {"latent": latent, "image": image})

    @classmethod
    def draw(cls, name, options, io, count, random):
        return {"noise": torch.randn(count, io["mapping"].vector_in(), generator=random)}


def code():
    return Field((CODE,), "ganzoo/points")


class Data:
    """Images of one colour each."""

    def __init__(self, options, split):
        self.first = {"train": 0, "val": 100, "test": 200}[split]
        self.fields = {"image": Field((3, SIDE, SIDE), "ganzoo/image")}

    def __len__(self):
        return 8

    def load(self, index, rng):
        colour = np.random.default_rng(self.first + index).integers(0, 256, 3, np.uint8)
        return {"image": np.broadcast_to(colour, (SIDE, SIDE, 3)).copy()}

    def name(self, index):
        return f"{self.first + index:06d}"


class Silent:
    needs_discriminator = False

    def __init__(self, options):
        pass

    def discriminator(self, inputs):
        return {}

    def generator(self, inputs):
        return {}


@component("network", Sizes)
def encoder():
    """An image to a latent."""
    return Encoder


@component("network")
def mapping():
    """Noise to a latent."""
    return Mapping


@component("generator", Sizes)
def decoder():
    """A latent to an image."""
    return Decoder


@component("task", Wrong)
def auto():
    """An autoencoder whose latents can also be drawn."""
    return Auto


@component("data")
def data():
    """Images of one colour each."""
    return Data


@component("loss")
def silent():
    """No terms: the task has its own."""
    return Silent
