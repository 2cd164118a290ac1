"""Networks with several named inputs and outputs, and a task that trains them.

An encoder makes a mean and a spread of an image, a generator with three inputs (image, class, code)
makes an image and the latent behind it, and a discriminator is shown the label map beside an image.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from ganzoo.api import Options, component
from ganzoo.interfaces import Application, Field, NetIO, Task

SIDE, CODE, CLASSES, MAPS = 8, 4, 3, 5


class NamedOptions(Options):
    fault: str = ""
    """What the generator or the task does wrong; a task that is "still" draws no noise."""


class Generator(nn.Module):
    def __init__(self, options, io):
        super().__init__()
        image, kind, code = io.inputs.values()
        self.fault = options.fault
        self.embed = nn.Embedding(kind.classes, code.shape[0])
        self.mapping = nn.Linear(code.shape[0], io.outputs["latent"].shape[0])
        self.first = nn.Conv2d(image.shape[0] + io.outputs["latent"].shape[0], 8, 3, padding=1)
        self.last = nn.Conv2d(8, io.outputs["image"].shape[0], 3, padding=1)

    def forward(self, x, kind, code):
        latent = self.mapping(code + self.embed(kind))
        beside = latent[:, :, None, None].expand(-1, -1, *x.shape[2:])
        image = self.last(F.relu(self.first(torch.cat([x, beside], 1)))).tanh()
        return {
            "names": {"picture": image, "latent": latent},
            "shape": {"image": image, "latent": latent[:, 1:]},
            "tuple": (image, latent),
            "none": {"image": image, "latent": None},
        }.get(self.fault, {"latent": latent, "image": image})


class Encoder(nn.Module):
    def __init__(self, options, io):
        super().__init__()
        self.names = list(io.outputs)
        self.body = nn.Linear(int(np.prod(io.input.shape)), len(self.names) * CODE)

    def forward(self, x):
        return dict(zip(self.names, self.body(x.flatten(1)).chunk(2, 1), strict=True))


class Discriminator(nn.Module):
    """Of an image and of the label map beside it."""

    def __init__(self, options, io):
        super().__init__()
        image, labels = io.inputs.values()
        self.classes = labels.classes
        self.body = nn.Conv2d(image.shape[0] + labels.classes, 8, 4, 2, 1)
        self.head = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x, labels):
        hot = F.one_hot(labels, self.classes).movedim(3, 1).to(x.dtype)
        return self.head(F.leaky_relu(self.body(torch.cat([x, hot], 1)), 0.2))


class Named(Task):
    roles: ClassVar = {
        "generator": "generator",
        "encoder": "network",
        "discriminator": "discriminator",
    }
    players: ClassVar = {
        "generator": ("generator", "encoder"),
        "discriminator": ("discriminator",),
    }
    needs: ClassVar = frozenset({"image", "labels", "kind"})
    applications: ClassVar = {
        "paint": Application(
            takes=("code",), gives=("image",), roles=("generator",), draws=("code",)
        )
    }

    @classmethod
    def io(cls, role, options, fields):
        image, code = fields["image"], Field((CODE,), "ganzoo/points")
        outputs = {"mean": code, "spread": code}
        if options.fault == "hot" and role == "discriminator":
            hot = Field((MAPS, SIDE, SIDE), "ganzoo/image")
            return NetIO({"image": image, "labels": hot})
        if options.fault == "judge":
            return NetIO({"image": image}, {"logits": image} if role == "discriminator" else {})
        return {
            "generator": NetIO(
                {"image": image, "kind": fields["kind"], "code": code},
                {"image": image, "latent": replace(code, shape=(2 * CODE,))},
            ),
            "encoder": NetIO({"image": image}, outputs),
            "discriminator": NetIO({"image": image, "labels": fields["labels"]}),
        }[role]

    def make(self, batch):
        encoded = self.nets["encoder"](batch["image"])
        noise = torch.randn_like(encoded["mean"])
        if self.options.fault == "still":
            noise = torch.ones_like(noise)
        code = encoded["mean"] + encoded["spread"] * noise
        given = (torch.zeros_like(batch["image"]), batch["kind"], code)
        if self.options.fault == "count":
            given = given[:2]
        if self.options.fault == "order":
            given = (given[0], given[2], given[1])
        return self.nets["generator"](*given)

    def step(self, batch, optimize):
        real, judge = batch["image"], self.nets["discriminator"]
        made = self.make(batch)
        beside = [batch["labels"]]
        seen = self.look("discriminator", judge, real, made["image"].detach(), beside=beside)
        optimize("discriminator", self.loss.discriminator(seen))
        with judge.frozen() as frozen:
            seen = self.look("generator", frozen, real, made["image"], beside=beside)
            near = F.l1_loss(made["image"], real) + 0.1 * made["latent"].square().mean()
            optimize("generator", {**self.loss.generator(seen), "near": near})

    def sample(self, batch, nets):
        drawn = self.draw("paint", self.options, {}, len(batch["kind"]), torch.Generator())
        return {"made": self.apply("paint", self.options, None, {}, nets, drawn)["image"]}

    @classmethod
    def apply(cls, name, options, choices, io, nets, inputs):
        made = nets["generator"](inputs["start"], inputs["label"], inputs["code"])
        return {"image": made["image"]}

    @classmethod
    def draw(cls, name, options, io, count, random):
        return {
            "code": torch.randn(count, CODE, generator=random),
            "label": torch.arange(count) % CLASSES,
            "start": torch.zeros(count, 3, SIDE, SIDE),
        }


class Data:
    """Images whose quarters have the colours of classes."""

    def __init__(self, options, split):
        self.first = {"train": 0, "val": 100, "test": 200}[split]
        self.fields = {
            "image": Field((3, SIDE, SIDE), "ganzoo/image"),
            "labels": Field((SIDE, SIDE), "ganzoo/labels", classes=MAPS),
            "kind": Field((), "ganzoo/class", classes=CLASSES),
        }

    def __len__(self):
        return 12

    def load(self, index, rng):
        own = np.random.default_rng(self.first + index)
        labels = own.integers(0, MAPS, (2, 2)).repeat(SIDE // 2, 0).repeat(SIDE // 2, 1)
        image = (labels[..., None] * np.array([50, 30, 10])).astype(np.uint8)
        return {"image": image, "labels": labels, "kind": np.array(index % CLASSES)}

    def name(self, index):
        return f"{self.first + index:06d}"


@component("generator", NamedOptions)
def generator():
    return Generator


@component("network")
def encoder():
    return Encoder


@component("discriminator")
def judge():
    return Discriminator


@component("task", NamedOptions)
def named():
    return Named


@component("data")
def data():
    return Data
