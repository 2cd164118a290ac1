"""Bit-for-bit comparisons, and the state that components share: random generators, settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.data.rng import get_state


def unequal(one: Mapping[str, Tensor | None], other: Mapping[str, Tensor | None]) -> list[str]:
    """Names of tensors that aren't the same bit for bit (a NaN is like itself), sorted."""
    names = sorted({**one, **other})
    return [name for name in names if _bits(one.get(name)) != _bits(other.get(name))]


def _bits(tensor: Tensor | None) -> Any:
    if tensor is None:
        return None
    bits = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
    return tensor.shape, tensor.dtype, bits.numpy().tobytes()


def same(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> bool:
    """Whether two outputs are equal bit for bit."""
    return not unequal(*({str(i): t for i, t in enumerate(many)} for many in (one, other)))


def generators() -> dict[str, Any]:
    """State of every global random generator, by library."""
    tensors, plain = get_state()
    return plain | {name: tensor.tolist() for name, tensor in tensors.items()}


def tensors(net: nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters and buffers, those that aren't saved too."""
    named = [*net.named_parameters(), *net.named_buffers()]
    return {name: tensor.detach().clone() for name, tensor in named}


def _benchmark(on: bool) -> None:  # noqa: FBT001  # called as torch's own setters are
    torch.backends.cudnn.benchmark = on


_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "the default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "the default device": (torch.get_default_device, torch.set_default_device),
    "whether gradients are computed": (torch.is_grad_enabled, torch.set_grad_enabled),
    "the number of threads": (torch.get_num_threads, torch.set_num_threads),
    "deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    "cudnn.benchmark": (lambda: torch.backends.cudnn.benchmark, _benchmark),
    "the precision of matrix products": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
}
"""Torch's settings for the whole process: how to read and how to write each."""


def settings() -> dict[str, Any]:
    """Torch's settings for the whole process, by a name for messages."""
    return {name: read() for name, (read, _) in _SETTINGS.items()}


@contextmanager
def settings_kept() -> Iterator[None]:
    """Bring torch's settings back afterwards, so that one check finds what another one changed."""
    before = settings()
    try:
        yield
    finally:
        for name, (read, write) in _SETTINGS.items():
            if read() != before[name]:
                write(before[name])
