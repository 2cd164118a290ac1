"""What the image networks share: legal sizes and spectral norm."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import parametrizations

from ganzoo.interfaces import Shape, image_shape

BOTTOM = 4
"""Side of the smallest map, in cells: where generators begin and discriminators end."""


def noise_size(shape: Shape) -> int:
    """Length of a generator's noise vector.

    Raises:
        ValueError: the input is no vector.
    """
    if len(shape) != 1:
        message = f"takes a vector of noise, not {shape}"
        raise ValueError(message)
    return shape[0]


def image_of(shape: Shape, what: str) -> tuple[int, int]:
    """Channels of a square image, and how many doublings lead from 4x4 to its size.

    Args:
        shape: (C, S, S) with S = 8, 16, 32, ...
        what: the message's verb: `takes` or `makes`.

    Raises:
        ValueError: another shape, with the nearest legal sizes.
    """
    channels, height, width = image_shape(shape, what)
    doublings = max(1, (height // BOTTOM).bit_length() - 1)
    below = BOTTOM << doublings
    if (height, width) != (below, below):
        nearest = f"{below} or {2 * below}" if height > below else f"{below}"
        message = (
            f"{what} square images with a side of 8, 16, 32, 64, ... pixels, not {height} x "
            f"{width}; nearest to {height}: {nearest}"
        )
        raise ValueError(message)
    return channels, doublings


def limit_spectrum(network: nn.Module) -> None:
    """Put every convolution, linear layer and embedding under spectral norm, in place.

    Each weight, as a matrix of (first axis) x (all others), is divided by an estimate of its
    largest singular value; one step of power iteration a training call keeps that up to date
    (arXiv 1802.05957, algorithm 1). Call it last: the vectors of the iteration start from the
    initial weights, and from torch's global generator. They are buffers, so that weights
    files and checkpoints hold them, and follow from weights and number of calls alone, so that they
    are the same in every process.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
            parametrizations.spectral_norm(module)
