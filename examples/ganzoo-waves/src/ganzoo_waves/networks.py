"""Generator and discriminator of sound: convolutions over frames of a sound."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.interfaces import Field, NetIO
from ganzoo.nn import class_indices, project_classes
from ganzoo_waves.options import DiscriminatorOptions, GeneratorOptions


def sound_shape(field: Field) -> tuple[int, int]:
    """Return the number of channels and the length of a sound.

    Raises:
        ValueError: the field isn't sound.
    """
    if len(field.shape) != 2:
        raise ValueError(f"sound has the shape (channels, length), not {field.shape}")
    channels, length = field.shape
    return channels, length


class Generator(nn.Module):
    """Linear layers to all frames, one convolution over frames, and a sum of learned filters.

    Args:
        options: width, and length of a frame.
        io: from noise, and a class index if wanted, to a sound.

    Raises:
        ValueError: something else goes in or out, or the length of the sound doesn't fit.
    """

    def __init__(self, options: GeneratorOptions, io: NetIO) -> None:
        super().__init__()
        channels, length = sound_shape(io.output)
        width, hop = options.width, options.hop
        if length % hop:
            raise ValueError(f"hop = {hop} must divide the length of the sounds, {length} samples")
        self.noise = nn.Linear(io.vector_in(), 4 * width)
        self.classes = nn.Embedding(io.classes, 4 * width) if io.classes else None
        self.frames = nn.Linear(4 * width, width * length // hop)
        self.layers = nn.Sequential(
            nn.Unflatten(1, (width, length // hop)),
            nn.LeakyReLU(0.2),
            nn.Conv1d(width, width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose1d(width, channels, 2 * hop, hop, hop // 2),
            nn.Tanh(),
        )

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map noise N x D, and class indices N if there are classes, to N x C x L in [-1, 1]."""
        hidden = self.noise(z)
        if self.classes is not None:
            hidden = hidden * self.classes(class_indices(y, self.classes.num_embeddings))
        sound: Tensor = self.layers(self.frames(functional.leaky_relu(hidden, 0.2)))
        return sound


class Discriminator(nn.Module):
    """Amplitudes of frequencies in windows, convolutions over windows, and one logit a sound.

    The amplitudes are those of a short-time Fourier transform, computed as a convolution with
    fixed filters. They don't depend on the phase, which makes pitches easy to learn.

    Args:
        options: width, and length of a window.
        io: a sound, and its class index if wanted.

    Raises:
        ValueError: something else goes in, or the sound is shorter than a window.
    """

    filters: Tensor

    def __init__(self, options: DiscriminatorOptions, io: NetIO) -> None:
        super().__init__()
        channels, length = sound_shape(io.input)
        width, window = options.width, options.window
        if length < window:
            raise ValueError(f"window = {window} is longer than the sounds, {length} samples")
        self.channels, self.hop = channels, window // 2
        frequencies = window // 2 - 1  # neither 0 nor the highest, which have no phase
        angle = 2 * math.pi * torch.arange(1, frequencies + 1)[:, None] * torch.arange(window)
        waves = torch.cat([torch.cos(angle / window), torch.sin(angle / window)])
        filters = waves * torch.hann_window(window) * 4 / window  # 1 for a sine of full scale
        self.register_buffer("filters", filters[:, None].repeat(channels, 1, 1))
        self.layers = nn.Sequential(
            nn.Conv1d(channels * frequencies, width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv1d(width, width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
        )
        features = width * ((length - window) // self.hop + 1)
        self.logit = nn.Linear(features, 1)
        self.classes = nn.Embedding(io.classes, features) if io.classes else None

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Map sounds N x C x L, and class indices N if there are classes, to logits N x 1."""
        parts = functional.conv1d(x, self.filters, stride=self.hop, groups=self.channels)
        cosine, sine = parts.reshape(len(x), self.channels, 2, -1, parts.shape[2]).unbind(2)
        amplitude = (cosine.square() + sine.square() + 1e-4).sqrt().flatten(1, 2)
        features = self.layers(4 * amplitude)  # overtones are weak
        logits: Tensor = self.logit(features)
        if self.classes is not None:
            logits = project_classes(logits, features, self.classes, y)
        return logits
