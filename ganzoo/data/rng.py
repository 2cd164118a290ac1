"""Compute seeds from names, and save and restore the states of random generators."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_for(*parts: int | str) -> int:
    """Return a 63-bit seed for numbers and names, which is the same on every platform.

    The seed is part of a sha256. The name of a file may contain bytes that aren't UTF-8, which
    Python represents as surrogates.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    data = text.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big") >> 1


def generator_for(*parts: int | str) -> np.random.Generator:
    """Return a NumPy generator seeded with `seed_for(*parts)`."""
    return np.random.Generator(np.random.PCG64(seed_for(*parts)))


def drawn(rng: np.random.Generator) -> tuple[Any, int]:
    """Return a value that changes when a generator draws a number or spawns another generator."""
    bits = rng.bit_generator
    return bits.state, bits.seed_seq.n_children_spawned  # type: ignore[attr-defined]


def seed_all(seed: int) -> None:
    """Seed the generators of Python, NumPy and torch (on every device)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  # plugins may use the global generator
    torch.manual_seed(seed)


def get_state() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the states of all generators for a checkpoint, as tensors and data for JSON."""
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
    """Restore the states that `get_state` returned."""
    torch.set_rng_state(tensors["torch"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
    name, keys, position, has_gauss, cached = plain["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), position, has_gauss, cached))  # noqa: NPY002
    version, internal, gauss = plain["python"]
    random.setstate((version, tuple(internal), gauss))


@contextmanager
def isolated(seed: int | None = None) -> Iterator[None]:
    """Run a block, and restore the state of every global random generator afterwards.

    These are the generators of Python, NumPy and torch (those of `isolated_torch`).

    Args:
        seed: the seed of the generators in the block; None: they continue from their states.
    """
    numpy_state = np.random.get_state()  # noqa: NPY002  # as in `seed_all`
    python_state = random.getstate()
    try:
        if seed is not None:
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002
        with isolated_torch(seed):
            yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


@contextmanager
def isolated_torch(seed: int | None = None) -> Iterator[None]:
    """Do the same as `isolated` for torch's generators only: the CPU's and those of used devices.

    This takes 10 microseconds. NumPy's generator would take 400, which is much for one image.
    """
    generators = _of_torch()
    states = [generator.get_state() for generator in generators]
    try:
        if seed is not None:
            # torch.manual_seed isn't used, because it would also seed a device that isn't in use
            # yet, as soon as that is used.
            for generator in generators:
                generator.manual_seed(seed)
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


def _of_torch() -> list[torch.Generator]:
    """Return torch's global generators that exist already, without creating others."""
    generators = [torch.default_generator]
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        generators += torch.cuda.default_generators
    if torch.backends.mps.is_available():
        # Torch has no public name for this generator.
        generators.append(torch.mps._get_default_mps_generator())  # noqa: SLF001
    return generators
