"""Walks from one latent to another: what does the space between two samples hold?"""

from __future__ import annotations

import torch
from torch import Tensor

from ganzoo.errors import UsageError
from ganzoo.inference.from_noise import Sampler

STEPS = 8
"""Samples of a walk from one latent to another, both ends included."""


def walk(sampler: Sampler, count: int, seed: int) -> dict[str, Tensor]:
    """Rows from one latent to another: inputs of `count` samples.

    Noise of a bounded range (uniform) is walked in a straight line, which stays in it; normal noise
    along a great circle, since a line would leave the shell that nearly all of it lies on (White
    2016, arXiv 1609.04468). Integers stay those of the row's beginning.

    Raises:
        UsageError: the count isn't a whole number of rows.
    """
    if count % STEPS:
        rows = max(1, round(count / STEPS))
        raise UsageError(
            f"--interpolate makes rows of {STEPS} samples, and {count} is no multiple",
            hint=f"Take -n {rows * STEPS}.",
        )
    rows = count // STEPS
    ends = sampler.draw(2 * rows, seed)
    shares = torch.linspace(0, 1, STEPS)
    walked = {}
    for name, value in ends.items():
        first, last = value[:rows], value[rows:]
        if value.is_floating_point():
            bounded = float(sampler.draw(1000, seed)[name].abs().max()) <= 1
            between = torch.lerp if bounded else slerp
            steps = [between(first, last, share) for share in shares]
        else:
            steps = [first] * STEPS
        walked[name] = torch.stack(steps, 1).flatten(0, 1)
    return walked


def slerp(a: Tensor, b: Tensor, share: Tensor | float) -> Tensor:
    """Points on the great circle from a to b (Shoemake 1985), sample by sample.

    Where both have one direction, or opposite ones, there is no such circle, and it is the line.

    Args:
        a: N x ...; each sample is a vector.
        b: the same.
        share: of the way, 0 to 1.
    """
    x, y = a.flatten(1).double(), b.flatten(1).double()
    cosine = torch.nn.functional.cosine_similarity(x, y).clamp(-1, 1)[:, None]
    angle = cosine.arccos()
    sine = angle.sin()
    flat = sine < 1e-6
    safe = torch.where(flat, torch.ones_like(sine), sine)
    left = torch.where(flat, torch.ones_like(sine) - share, ((1 - share) * angle).sin() / safe)
    right = torch.where(flat, torch.zeros_like(sine) + share, (share * angle).sin() / safe)
    return (left * x + right * y).to(a.dtype).reshape(a.shape)
