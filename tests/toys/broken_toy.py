"""A plugin with one fault in each component, to see who gets the blame."""

from __future__ import annotations

import torch
from torch import nn

from ganzoo.api import Component, hookimpl


class Half(nn.Conv2d):
    """A generator whose images are half as large as they should be."""

    def __init__(self, options, io):
        super().__init__(3, 3, 3, 2, 1)


class Identity(nn.Identity):
    """A generator without weights."""

    def __init__(self, options, io):
        super().__init__()


class Counting(nn.Module):
    """A sound loss that remembers: its weight is the number of turns so far."""

    def __init__(self, options):
        super().__init__()
        self.register_buffer("turns", torch.zeros(()))

    def discriminator(self, inputs):
        self.turns += 1
        return {"d": inputs.fake_output.logits[0].square().mean()}

    def generator(self, inputs):
        return {"g": (inputs.fake - inputs.real).abs().mean() * self.turns}


class Vector:
    """A loss that forgets its mean."""

    def __init__(self, options):
        self.options = options

    def discriminator(self, inputs):
        return {"d": inputs.fake_output.logits[0]}

    def generator(self, inputs):
        return {"g": inputs.fake.mean()}


class Number(Vector):
    """A loss that gives Python's numbers."""

    def discriminator(self, inputs):
        return {"d": 1.0}


class Detached(Vector):
    """A loss that hangs on nothing."""

    def discriminator(self, inputs):
        return {"d": inputs.fake_output.logits[0].mean().detach()}


class Misspelt:
    """A callback of a hook that isn't."""

    def __init__(self, options):
        self.options = options

    @hookimpl
    def ganzoo_step_dun(self, run):
        """Never called."""


def _missing():
    return NotThere  # noqa: F821


def _one(kind, name, target):
    return Component(kind=kind, name=name, target=lambda: target)


@hookimpl
def ganzoo_components():
    missing = [
        Component(kind=kind, name="missing", target=_missing)
        for kind in ("generator", "loss", "task", "data", "augment", "metric", "callback")
    ]
    return [
        *missing,
        _one("generator", "half", Half),
        _one("generator", "identity", Identity),
        _one("loss", "counting", Counting),
        _one("loss", "vector", Vector),
        _one("loss", "number", Number),
        _one("loss", "detached", Detached),
        _one("callback", "misspelt", Misspelt),
    ]
