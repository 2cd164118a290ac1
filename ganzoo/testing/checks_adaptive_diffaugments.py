"""What is demanded of differentiable augments that adapt to what discriminators answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.data.rng import isolated
from ganzoo.interfaces import AdaptiveDiffAugment, Clock, DiscriminatorOutput
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.networks import generators, same, seeded
from ganzoo.testing.subject import Subject

_SCALES = (((8,),), ((8, 1),), ((8, 1, 4, 4), (8, 1, 2, 2)))
"""Shapes of logits: one of an image, with an axis for it, and patches at two scales."""
_CALLS = 6
"""Batches after which something must have been learned; ADA adapts after every fourth."""
_NEAR = 1e-5
"""How far a number may move when samples come in another order: sums in another order."""
_CLOCK = Clock(step=10, images=80, progress=0.1)


def _built(subject: Subject) -> AdaptiveDiffAugment:
    """The augment.

    Raises:
        NotApplicable: it has no `observe`.
        CheckFailed: it has, and isn't an `nn.Module`.
    """
    with isolated(0):
        augment: Any = subject.choose().build()
    if not isinstance(augment, AdaptiveDiffAugment):
        message = "it doesn't adapt to answers: it has no `observe`"
        raise NotApplicable(message)
    require(
        isinstance(augment, nn.Module),
        "it has `observe` and isn't an `nn.Module`: what it learns belongs in buffers, which "
        "checkpoints hold",
    )
    return augment


def _output(shapes: tuple[tuple[int, ...], ...], shift: float, seed: int) -> DiscriminatorOutput:
    draw = torch.Generator().manual_seed(seed)
    return DiscriminatorOutput(
        tuple(torch.randn(shape, generator=draw) + shift for shape in shapes)
    )


def _buffers(augment: Any) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in augment.named_buffers()}


def _hear(
    augment: AdaptiveDiffAugment,
    shapes: tuple[tuple[int, ...], ...],
    order: Tensor | None = None,
    calls: int = _CALLS,
) -> Mapping[str, Tensor]:
    """Let it observe batches of a discriminator that is sure of real images; its last answer."""
    logged: Any = {}
    for call in range(calls):
        real, fake = _output(shapes, 1, call), _output(shapes, -1, 100 + call)
        if order is not None:
            real, fake = (
                DiscriminatorOutput(tuple(one[order] for one in side.logits))
                for side in (real, fake)
            )
        with torch.no_grad():
            logged = augment.observe(real, fake, _CLOCK)
        require(
            isinstance(logged, Mapping),
            f"`observe` returns a {type(logged).__name__}: return what to log, `{{}}` for nothing",
        )
    numbers: Mapping[str, Tensor] = logged
    return numbers


@check("diffaugment")
@seeded
def check_diffaugment_observes_answers(subject: Subject) -> None:
    """`observe` takes logits of any shape and in any order, draws nothing, and logs numbers."""
    for shapes in _SCALES:
        augment = _built(subject)
        before = generators()
        logged = _hear(augment, shapes)
        drawn = [name for name, state in generators().items() if state != before[name]]
        require(
            not drawn,
            f"`observe` draws from the global generator of {', '.join(drawn)}: processes would "
            "learn something else each",
        )
        for name, value in logged.items():
            require(
                isinstance(value, Tensor) and value.numel() == 1 and torch.isfinite(value).all(),
                f"it logs {name!r}, which isn't a tensor of one finite number",
            )
        given = _output(shapes, 1, 0)
        kept = tuple(one.clone() for one in given.logits)
        with torch.no_grad():
            augment.observe(given, given, _CLOCK)
        require(same(given.logits, kept), "`observe` changes the logits given to it")
        one, other = _built(subject), _built(subject)
        _hear(one, shapes)
        _hear(other, shapes, order=torch.arange(7, -1, -1))
        theirs = _buffers(other)
        for name, mine in _buffers(one).items():
            require(
                torch.allclose(mine.double(), theirs[name].double(), atol=_NEAR, rtol=_NEAR),
                f"in another order of the samples it learns something else ({name}): samples come "
                "in an order of their own for each number of processes",
            )


@check("diffaugment")
@seeded
def check_diffaugment_learns_in_buffers(subject: Subject) -> None:
    """What `observe` learns is in buffers: a new instance with the same buffers goes on alike."""
    shapes = _SCALES[1]
    used = _built(subject)
    first = _buffers(used)
    _hear(used, shapes)
    learned = _buffers(used)
    require(
        any(not torch.equal(first[name], learned[name]) for name in first),
        f"after {_CALLS} batches of answers its buffers are those of the beginning: it learns "
        "nothing, or keeps it elsewhere",
    )
    fresh = _built(subject)
    for name, buffer in fresh.named_buffers():  # type: ignore[attr-defined]
        buffer.copy_(learned[name])
    _hear(used, shapes, calls=1)
    _hear(fresh, shapes, calls=1)
    mine, theirs = _buffers(used), _buffers(fresh)
    other = [name for name in mine if not torch.equal(mine[name], theirs[name])]
    require(
        not other,
        f"a new instance with the same buffers learns something else ({', '.join(other)}): it "
        "keeps what no checkpoint holds",
    )


@check("diffaugment")
@seeded
def check_diffaugment_observes_without_waiting(subject: Subject) -> None:
    """`observe` reads no tensor's value, which would make each step wait for the device."""
    augment: Any = _built(subject)
    augment.to("meta")
    given = DiscriminatorOutput(tuple(torch.zeros(shape, device="meta") for shape in _SCALES[1]))
    try:
        with torch.no_grad():
            augment.observe(given, given, _CLOCK)
    except Exception as error:
        message = (
            f"`observe` reads a tensor's value, or makes a tensor on another device: {error}\n"
            "choose with `torch.where`, and keep what it learns in tensors"
        )
        raise CheckFailed(message) from error
