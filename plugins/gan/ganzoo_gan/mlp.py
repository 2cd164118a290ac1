"""Multilayer perceptrons for points: generator and discriminator of the 2-D experiments."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from ganzoo.interfaces import NetIO
from ganzoo_gan.mlp_options import MLPDiscriminatorOptions, MLPOptions


class MLP(nn.Module):
    """Linear layers with leaky ReLUs between them, with torch's default initialisation.

    A class is appended to the input as a one-hot vector (arXiv 1411.1784, section 3.2, without its
    separate hidden layers).

    Args:
        options: see `MLPOptions`.
        io: from a vector to a vector; a class may follow the input.

    Raises:
        ValueError: when inputs or outputs aren't vectors.
    """

    def __init__(self, options: MLPOptions, io: NetIO) -> None:
        super().__init__()
        self.classes = io.classes
        widths = [io.vector_in() + io.classes] + [options.width] * options.depth
        self.layers = nn.Sequential()
        for before, after in itertools.pairwise(widths):
            self.layers.append(nn.Linear(before, after))
            self.layers.append(nn.LeakyReLU(options.negative_slope, inplace=True))
        made = io.vector_out() if io.outputs else 1  # a discriminator makes one logit
        self.layers.append(nn.Linear(widths[-1], made))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Map N x D to N x outputs.

        Args:
            x: points or noise.
            y: class indices, N; needed if and only if the network was built for classes.

        Raises:
            ValueError: when class indices are missing.
        """
        if self.classes:
            if y is None:
                message = f"built for {self.classes} classes, but called without any"
                raise ValueError(message)
            x = torch.cat([x, functional.one_hot(y, self.classes).to(x.dtype)], 1)
        result: Tensor = self.layers(x)
        return result


class MLPDiscriminator(MLP):
    """The same network as a discriminator: one logit a sample, N x 1, with optional spectral norm.

    Args:
        options: see `MLPDiscriminatorOptions`.
        io: from a vector; a class may follow it.

    Raises:
        ValueError: when the inputs aren't vectors.
    """

    def __init__(self, options: MLPDiscriminatorOptions, io: NetIO) -> None:
        super().__init__(options, io)
        if options.spectral_norm:
            for layer in self.layers:
                if isinstance(layer, nn.Linear):
                    parametrizations.spectral_norm(layer)
