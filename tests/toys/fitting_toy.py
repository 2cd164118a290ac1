"""Parts that fit only some others, to see that `ganzoo check` says so before anything runs."""

from __future__ import annotations

import warnings

from torch import nn

from ganzoo.api import Component, hookimpl


class Features:
    """A loss of features, which most discriminators don't give."""

    def __init__(self, options):
        self.options = options

    def discriminator(self, inputs):
        real, fake = inputs.real_output.logits[0], inputs.fake_output.logits[0]
        return {"gan": (fake - real).mean()}

    def generator(self, inputs):
        return {"features": inputs.fake_output.features[0][0].square().mean()}


class Critic(nn.Module):
    """A discriminator that takes any channels and gives features."""

    def __init__(self, options, io):
        super().__init__()
        self.body = nn.Conv2d(io.input.shape[0], 4, 4, 2, 1)
        self.head = nn.Conv2d(4, 1, 3, 1, 1)

    def forward(self, x):
        features = self.body(x)
        return {"logits": [self.head(features)], "features": [[features]]}


class Narrow(nn.Conv2d):
    """A discriminator that can judge three channels only, whatever it is asked to take."""

    def __init__(self, options, io):
        super().__init__(3, 1, 3, 1, 1)


class Looking(nn.Module):
    """A sound generator that looks at its numbers, which a network without any hasn't."""

    def __init__(self, options, io):
        super().__init__()
        self.body = nn.Conv2d(io.input.shape[0], io.output.shape[0], 3, 1, 1)

    def forward(self, x):
        return self.body(x / max(1.0, x.abs().max().item())).tanh()


class Pairs(nn.Conv2d):
    """A discriminator that judges two pairs of images at once, so that it needs batches of four."""

    def __init__(self, options, io):
        self.channels = io.input.shape[0]
        super().__init__(4 * self.channels, 1, 3, 1, 1)

    def forward(self, x):
        return super().forward(x.reshape(-1, 4 * self.channels, *x.shape[2:]))


class Normed(nn.Module):
    """A sound discriminator whose weight a hook computes: torch's first weight norm."""

    def __init__(self, options, io):
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch would have its second one used
            self.body = nn.utils.weight_norm(nn.Conv2d(io.input.shape[0], 1, 3, 1, 1))

    def forward(self, x):
        return self.body(x)


class Remembering(nn.Conv2d):
    """A discriminator that makes tensors and scales its weights at its first call."""

    def __init__(self, options, io):
        super().__init__(io.input.shape[0], 1, 3, 1, 1)
        self.register_buffer("mean", None)
        self.grid = None

    def forward(self, x):
        if self.grid is None:
            self.grid = x.new_ones(x.shape[-1])
            self.mean = x.detach().mean()
            self.weight.data.mul_(0.5)
        return super().forward((x - self.mean) * self.grid)


def _one(kind, name, target):
    return Component(kind=kind, name=name, target=lambda: target)


@hookimpl
def ganzoo_components():
    return [
        _one("loss", "features", Features),
        _one("discriminator", "critic", Critic),
        _one("discriminator", "narrow", Narrow),
        _one("discriminator", "pairs", Pairs),
        _one("discriminator", "normed", Normed),
        _one("discriminator", "remembering", Remembering),
        _one("generator", "looking", Looking),
    ]
