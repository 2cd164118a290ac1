"""Differentiable augments as their checks use them: samples that they take, and what they make."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.data.rng import isolated
from ganzoo.errors import error_text
from ganzoo.interfaces import Clock, DiffAugment, DiscriminatorOutput, Shape
from ganzoo.testing.compare import same
from ganzoo.testing.kit import Unusable, require
from ganzoo.testing.subject import Subject

SORTS: tuple[tuple[Shape, ...], ...] = (
    ((3, 16, 16), (1, 8, 8), (3, 64, 64), (6, 16, 24)),
    ((2, 64), (1, 32)),
    ((1, 8, 8, 8), (2, 4, 4, 4)),
)
"""Shapes of images (grey, colour, a source beside its target), sound and volumes: an augment takes
all shapes of one sort, and refuses a sort that it wasn't made for."""
LOGITS: tuple[tuple[Shape, ...], ...] = (((8,),), ((8, 1),), ((8, 1, 4, 4), (8, 1, 2, 2)))
"""Shapes of logits: one of a sample, with an axis for it, and patches at two scales."""


def built(subject: Subject, **changes: Any) -> Any:
    """The augment with these changes of its options."""
    with isolated(0):
        return subject.choose(**changes).build()


def samples(count: int, shape: Shape, seed: int = 0) -> Tensor:
    """Samples evenly spread over [-1, 1]."""
    draw = torch.Generator().manual_seed(seed)
    return torch.rand((count, *shape), generator=draw) * 2 - 1


def at(progress: float) -> Clock:
    """How far training is, for a progress from 0 to 1."""
    return Clock(step=int(1000 * progress), images=int(64_000 * progress), progress=progress)


def buffers(augment: DiffAugment) -> dict[str, Tensor]:
    """Its buffers by name, none if it is no `nn.Module`."""
    return dict(augment.named_buffers()) if isinstance(augment, nn.Module) else {}


def sort(subject: Subject) -> tuple[Shape, ...]:
    """The shapes of the first sort of samples that it takes.

    Raises:
        Unusable: it takes none.
    """
    said = []
    for one in SORTS:
        try:
            with isolated(0):
                built(subject)(samples(2, one[0]), at(0))
        except Exception as error:  # noqa: BLE001  # a plugin's code may raise anything
            said.append(f"  {(2, *one[0])}: {error_text(error)}")
        else:
            return one
    message = "\n".join(["it takes neither images nor sound nor volumes:", *said])
    raise Unusable(message, reported_by="check_diffaugment_keeps_shapes")


def drawn(augment: DiffAugment, given: Tensor, seed: int, progress: float = 1.0) -> Tensor:
    """What it makes under a seed, with the buffers that it has; a call may change these.

    Raises:
        CheckFailed: it makes something else than samples of the same shape and type.
    """
    before = {name: buffer.clone() for name, buffer in buffers(augment).items()}
    with isolated(seed):
        made: Any = augment(given, at(progress))
    for name, buffer in buffers(augment).items():
        if name in before:
            buffer.copy_(before[name])
    require(isinstance(made, Tensor), f"gives a {type(made).__name__}, not a tensor")
    result: Tensor = made
    require(
        result.shape == given.shape and result.dtype == given.dtype,
        f"of {tuple(given.shape)} in {given.dtype} it makes {tuple(result.shape)} in "
        f"{result.dtype}: shape and type stay as they are",
    )
    return result


def hear(
    augment: Any, calls: int = 6, logits: tuple[Shape, ...] = LOGITS[1], *, flip: bool = False
) -> Any:
    """Let it observe batches of a discriminator that is sure of real samples; its last answer.

    Args:
        augment: with `observe`.
        calls: number of batches.
        logits: their shapes.
        flip: whether the samples of each batch come in the other order.

    Raises:
        CheckFailed: it changes what it is given.
    """
    logged: Any = {}
    for call in range(calls):
        draw = torch.Generator().manual_seed(call)
        real = [torch.randn(shape, generator=draw) + 1 for shape in logits]
        kept = [one.flip(0) if flip else one for one in real]
        given = DiscriminatorOutput(tuple(one.clone() for one in kept))
        fake = DiscriminatorOutput(tuple(one - 2 for one in kept))
        with torch.no_grad():
            logged = augment.observe(given, fake, at(0.1))
        require(same(given.logits, tuple(kept)), "`observe` changes the logits given to it")
    return logged
