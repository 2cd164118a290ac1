"""Augmentations that observe answers, rightly and wrongly, and a task that gives none."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from ganzoo.api import component
from ganzoo_pix2pix.options import PairedOptions
from ganzoo_pix2pix.task import Paired


class Listener(nn.Module):
    """Changes nothing, notes what it hears, and sums up logits."""

    heard: ClassVar[list] = []

    def __init__(self, options):
        super().__init__()
        self.register_buffer("total", torch.zeros((), dtype=torch.float64))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, images, clock):
        return images

    def observe(self, real, fake, clock):
        self.heard.append((real, fake, clock, torch.is_grad_enabled()))
        self.total += sum(logits.mean() for logits in real.logits)
        self.total -= sum(logits.mean() for logits in fake.logits)
        self.calls += 1
        return {"total": self.total, "calls": self.calls}


class Mute(Listener):
    def observe(self, real, fake, clock):
        return None


class Unsaved:
    """No module, so that there is no state."""

    def __init__(self, options):
        pass

    def __call__(self, images, clock):
        return images

    def observe(self, real, fake, clock):
        return {}


class Private(Paired):
    """Computes the discriminator's terms itself: its loss hears nothing of them."""

    def step(self, batch, optimize):
        source, target = batch["source"], batch["target"]
        fake, judge = self.nets["generator"](source), self.nets["discriminator"]
        shown = torch.cat([source, target], 1), torch.cat([source, fake.detach()], 1)
        real, made = (judge(one) for one in shown)
        optimize("discriminator", {"gan": (real - 1).square().mean() + made.square().mean()})
        optimize("generator", {"l1": (fake - target).abs().mean()})


@component("diffaugment")
def listener():
    """Notes what it hears."""
    return Listener


@component("diffaugment")
def mute():
    """Returns nothing."""
    return Mute


@component("diffaugment")
def unsaved():
    """Isn't a module."""
    return Unsaved


@component("task", PairedOptions)
def private():
    """Gives its loss no answers."""
    return Private
