"""A plugin that keeps the contract: each kind of network that the kit knows, as small as can be."""

from __future__ import annotations

from functools import partial

import torch
from pydantic import Field
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo.api import Component, NetOptions, Options, hookimpl
from ganzoo.interfaces import refuse_classes


class Edges(Options):
    reach: int = Field(default=1, ge=0, le=3)
    """Pixels that the first layer looks to each side."""


class PainterOptions(NetOptions):
    width: int = Field(default=64, ge=1)
    """Channels of the middle layers."""
    edges: Edges = Edges()
    """The first layer's shape."""

    def size_multiple(self) -> int:
        return 2


class CriticOptions(NetOptions):
    width: int = Field(default=4, ge=1)
    """Channels of the middle layer."""

    def receptive_field(self) -> int:
        return 10


class DreamerOptions(NetOptions):
    width: int
    """Units of the hidden layer."""


class Painter(nn.Module):
    """Image to image, at any size; dropout is its noise."""

    def __init__(self, options, io):
        super().__init__()
        refuse_classes(io)
        (channels, *_), (made, *_) = io.images_in(), io.images_out()
        reach, width = options.edges.reach, options.width
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 2 * reach + 1, padding=reach),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 4, 2, 1),
            nn.Dropout(0.1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(width, made, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, x):
        return self.layers(x)


class Sketcher(Painter):
    """Draws noise in each call, other noise for each sample."""

    def forward(self, x):
        return self.layers(x + 0.1 * torch.randn_like(x))


class Dreamer(nn.Module):
    """Noise or points, perhaps of a class, to points or images of one size."""

    def __init__(self, options, io):
        super().__init__()
        length = io.vector_in()
        self.outputs = io.output.shape
        self.classes = nn.Embedding(io.classes, length) if io.classes else None
        size = torch.Size(self.outputs).numel()
        self.layers = nn.Sequential(
            nn.Linear(length, options.width), nn.ReLU(), nn.Linear(options.width, size), nn.Tanh()
        )

    def forward(self, x, y=None):
        if self.classes is not None:
            x = x + self.classes(y)
        return self.layers(x).view(len(x), *self.outputs)


class Features(nn.Sequential):
    """A frozen layer with statistics, such as pretrained networks have."""

    def __init__(self, channels, width):
        super().__init__(nn.Conv2d(channels, width, 4, 2, 1), nn.BatchNorm2d(width))
        self.requires_grad_(False).eval()

    def train(self, mode=True):
        return super().train(False)


class Critic(nn.Module):
    """Two maps of logits of an image, on frozen features."""

    def __init__(self, options, io):
        super().__init__()
        refuse_classes(io)
        channels, *_ = io.images_in()
        self.features = Features(channels, options.width)
        self.fine = nn.Conv2d(options.width, 1, 4, 2, 1)
        self.coarse = nn.Conv2d(options.width, 1, 1)

    def forward(self, x):
        maps = nn.functional.leaky_relu(self.features(x), 0.2)
        return {"logits": [self.fine(maps), self.coarse(maps)], "features": [[maps], []]}


class Lipschitz(nn.Module):
    """One logit of a point, with a slope of 1 at most."""

    def __init__(self, options, io):
        super().__init__()
        refuse_classes(io)
        first, last = nn.Linear(io.vector_in(), 16), nn.Linear(16, 1)
        self.layers = nn.Sequential(spectral_norm(first), nn.LeakyReLU(0.2), spectral_norm(last))

    def forward(self, x):
        return self.layers(x)


class Judge(nn.Module):
    """One logit of a point, by its class where it has one."""

    def __init__(self, options, io):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(io.vector_in(), 16), nn.ReLU())
        self.heads = nn.Linear(16, io.classes or 1)

    def forward(self, x, y=None):
        logits = self.heads(self.layers(x))
        return logits if y is None else logits.gather(1, y[:, None])


class Coder(nn.Module):
    """A vector of an image of any size."""

    def __init__(self, options, io):
        super().__init__()
        refuse_classes(io)
        channels, *_ = io.images_in()
        self.first = nn.Conv2d(channels, 8, 3, 2, 1)
        self.last = nn.Linear(8, io.vector_out())

    def forward(self, x):
        return self.last(nn.functional.relu(self.first(x)).mean((2, 3)))


def given(target):
    return target


@hookimpl
def ganzoo_components():
    def component(kind, name, target, options=NetOptions, **presets):
        return Component(
            kind=kind,
            name=name,
            target=partial(given, target),
            options=options,
            summary=f"a small {name}",
            presets=presets,
        )

    return (
        component("generator", "painter", Painter, PainterOptions, tiny={"width": 4}),
        component("generator", "sketcher", Sketcher, PainterOptions, tiny={"width": 8}),
        component("generator", "dreamer", Dreamer, DreamerOptions, tiny={"width": 16}),
        component("discriminator", "critic", Critic, CriticOptions),
        component("discriminator", "judge", Judge),
        component("discriminator", "lipschitz", Lipschitz),
        component("network", "coder", Coder),
        Component(kind="generator", name="painting", renamed_to="conformance_good/painter"),
    )
