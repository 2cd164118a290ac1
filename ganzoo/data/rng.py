"""Random numbers: seeds from names, and blocks that leave every random generator as it was."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_for(*parts: int | str) -> int:
    """A 63-bit seed from numbers and names, well mixed and the same on every platform.

    A name may be a file's that isn't UTF-8, whose bytes Python keeps as surrogates.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    data = text.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big") >> 1


def generator_for(*parts: int | str) -> np.random.Generator:
    """A numpy generator seeded by `seed_for(*parts)`."""
    return np.random.Generator(np.random.PCG64(seed_for(*parts)))


def drawn(rng: np.random.Generator) -> tuple[Any, int]:
    """Something that differs once a number was drawn from a generator, or another made from it."""
    bits = rng.bit_generator
    return bits.state, bits.seed_seq.n_children_spawned  # type: ignore[attr-defined]


def seed_all(seed: int) -> None:
    """Seed python's, numpy's and torch's generators (of every device)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  # plugins may use the global generator
    torch.manual_seed(seed)


def get_state() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """State of all generators for a checkpoint: tensors, and plain data for JSON."""
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
    """Run a block, seeded or not, and give every global random generator back as it was.

    These are python's, numpy's and torch's, as in `isolated_torch`.
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
    """Do what `isolated` does, for torch alone: of the CPU, and of each device that is in use.

    It takes 10 microseconds, and numpy's generator 400, which is much for a single image.
    """
    generators = _of_torch()
    states = [generator.get_state() for generator in generators]
    try:
        if seed is not None:
            # Not torch.manual_seed: a device that isn't in use yet would be seeded when it is.
            for generator in generators:
                generator.manual_seed(seed)
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


def _of_torch() -> list[torch.Generator]:
    """Return torch's global generators that exist by now; asking makes no others."""
    generators = [torch.default_generator]
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        generators += torch.cuda.default_generators
    if torch.backends.mps.is_available():
        # torch has no public name for it.
        generators.append(torch.mps._get_default_mps_generator())  # noqa: SLF001
    return generators
