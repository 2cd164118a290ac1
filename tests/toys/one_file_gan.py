"""A whole algorithm in one file, for `--plugin`: two small networks and the order of their play."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from ganzoo.api import NetOptions, component
from ganzoo.interfaces import Application, NetIO, Task


class WidthOptions(NetOptions):
    width: int = 4


class Painter(nn.Sequential):
    def __init__(self, options, io):
        super().__init__(
            nn.Conv2d(io.input.shape[0], options.width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(options.width, io.output.shape[0], 3, padding=1),
            nn.Tanh(),
        )


class Critic(nn.Sequential):
    def __init__(self, options, io):
        super().__init__(
            nn.Conv2d(io.input.shape[0], options.width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(options.width, 1, 4, 2, 1),
        )


class Duel(Task):
    roles: ClassVar = {"generator": "generator", "discriminator": "discriminator"}
    players: ClassVar = {"generator": ("generator",), "discriminator": ("discriminator",)}
    needs: ClassVar = frozenset({"source", "target"})
    applications: ClassVar = {
        "translate": Application(takes=("source",), gives=("target",), roles=("generator",))
    }

    @classmethod
    def io(cls, role, options, fields):
        target = {"target": fields["target"]}
        return NetIO({"source": fields["source"]}, target) if role == "generator" else NetIO(target)

    def step(self, batch, optimize):
        critic, real = self.nets["discriminator"], batch["target"]
        fake = self.nets["generator"](batch["source"])
        seen = self.look("discriminator", critic, real, fake.detach())
        optimize("discriminator", self.loss.discriminator(seen))
        with critic.frozen() as judge:
            seen = self.look("generator", judge, real, fake)
            optimize("generator", self.loss.generator(seen))

    def sample(self, batch, nets):
        return {"source": batch["source"], "generated": nets["generator"](batch["source"])}

    @classmethod
    def apply(cls, name, options, choices, io, nets, inputs):
        return {"target": nets["generator"](inputs["source"])}


@component("generator", WidthOptions)
def painter():
    """Two convolutions."""
    return Painter


@component("discriminator", WidthOptions)
def critic():
    """Three convolutions; each cell judges a patch."""
    return Critic


@component("task")
def duel():
    """Any image from any image of its size."""
    return Duel
