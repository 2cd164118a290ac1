"""Random numbers: seeds by name, and islands that leave the training's generators alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ganzoo.data.sampler import seed_for

__all__ = ["get_state", "isolated", "seed_all", "seed_for", "set_state"]


def seed_all(seed: int) -> None:
    """Seed python's, numpy's and torch's generators (of every device)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  # plugins may use the global generator
    torch.manual_seed(seed)


def get_state() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """State of all generators: tensors, and plain data for JSON."""
    tensors = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["cuda"] = torch.cuda.get_rng_state()
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    version, internal, gauss = random.getstate()
    plain = {
        "numpy": [name, np.asarray(keys).tolist(), int(position), int(has_gauss), float(cached)],
        "python": [version, list(internal), gauss],
    }
    return tensors, plain


def set_state(tensors: dict[str, torch.Tensor], plain: dict[str, Any]) -> None:
    """Put back what `get_state` gave."""
    torch.set_rng_state(tensors["torch"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
    name, keys, position, has_gauss, cached = plain["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), position, has_gauss, cached))  # noqa: NPY002
    version, internal, gauss = plain["python"]
    random.setstate((version, tuple(internal), gauss))


@contextmanager
def isolated(seed: int | None = None) -> Iterator[None]:
    """Run a block, seeded or not, and leave every generator as it was."""
    tensors, plain = get_state()
    try:
        if seed is not None:
            seed_all(seed)
        yield
    finally:
        set_state(tensors, plain)
