"""Functions that the image networks share: legal sizes and spectral norm."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import parametrizations

BOTTOM = 4
"""The side of the smallest map, in cells. Generators begin and discriminators end with this map."""


def square(shape: tuple[int, int, int], what: str) -> tuple[int, int]:
    """Return the channels of a square image, and how many doublings lead from 4x4 to its size.

    Args:
        shape: (C, S, S) with S = 8, 16, 32, ...
        what: the verb of the error message: `takes` or `makes`.

    Raises:
        ValueError: when the shape is another one; the message names the nearest legal sizes.
    """
    channels, height, width = shape
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
    """Apply spectral norm to every convolution, linear layer and embedding, in place.

    Each weight is taken as a matrix of (first axis) x (all others) and divided by an estimate of
    its largest singular value. One step of power iteration in each training call updates the
    estimate (arXiv 1802.05957, algorithm 1). Call this function last: the vectors of the iteration
    start from the initial weights and from torch's global generator. The vectors are buffers, so
    weights files and checkpoints contain them. They depend only on the weights and the number of
    calls, so they are the same in every process.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
            parametrizations.spectral_norm(module)
