"""What the checks of losses ask of one: its terms, their sum and gradients, at a probe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ganzoo.data.rng import isolated
from ganzoo.interfaces import Loss
from ganzoo.testing.kit import CheckFailed, require
from ganzoo.testing.probe import Probe, Turn
from ganzoo.testing.subject import Subject
from ganzoo.testing.trial import number

TURNS: tuple[Turn, ...] = ("discriminator", "generator")
_SHAPES = ((3, 32, 32), (2,))
"""Images, and points, for losses that take no images."""
_LAZIEST = 64
"""Steps within which a loss must say something."""


class Rise(NamedTuple):
    """A change of a logit that a player wants.

    Args:
        turn: whose.
        what: changes.
        worse, better: its values.
        other: the other logit meanwhile.
    """

    turn: Turn
    what: str
    worse: float
    better: float
    other: Mapping[str, float]

    def of(self, loss: Loss, probe: Probe) -> tuple[float, float]:
        """What the player minimises at the worse value and at the better one."""
        worse, better = (
            total_at(loss, self.turn, probe.but(**{self.what: value}, **self.other))
            for value in (self.worse, self.better)
        )
        return worse, better


RISES = (
    Rise("discriminator", "real_logit", 0.0, 1.0, {"fake_logit": 0.0}),
    Rise("discriminator", "fake_logit", 1.0, 0.0, {"real_logit": 1.0}),
    Rise("generator", "fake_logit", 0.0, 1.0, {"real_logit": 0.0}),
)


def loss_and_probe(subject: Subject) -> tuple[Loss, Probe]:
    """The loss, and inputs of the first shape that it takes."""
    loss: Any = subject.choose().build()
    require(isinstance(loss, Loss), f"{subject.id} has no methods `discriminator` and `generator`")
    first: Exception | None = None
    for shape in _SHAPES:
        probe = Probe(shape=shape)
        for tried in (probe, probe.but(features=True)):
            try:
                for turn in TURNS:
                    sum_of(loss, turn, tried)
            except CheckFailed:
                return loss, tried  # its terms are wrong; that it takes
            except Exception as error:  # noqa: BLE001  # a plugin's loss may raise any exception
                first = first or error
            else:
                return loss, at_its_step(loss, tried)
    message = (
        f"it can't be computed: {first!r}\n"
        "Inputs were images (N x 3 x 32 x 32), then points (N x 2); in the generator's turn "
        "`real_output` is None unless the loss has `real_in_generator_turn = True`; `condition` is "
        "empty."
    )
    raise CheckFailed(message) from first


def at_its_step(loss: Loss, probe: Probe) -> Probe:
    """The same at the first step at which the loss says anything: lazy ones leave most out."""
    for step in range(_LAZIEST):
        at = probe.but(step=step)
        if any(terms_of(loss, turn, at)[0] for turn in TURNS):
            return at
    return probe


def needs_discriminator(loss: Loss) -> bool:
    """Whether recipes must give it one."""
    return bool(getattr(loss, "needs_discriminator", True))


def terms_of(loss: Loss, turn: Turn, probe: Probe) -> tuple[dict[str, Tensor], Any]:
    """A turn's terms as the loss gives them, and what it was given."""
    inputs = probe.inputs(loss, turn)
    with isolated(0):  # points between real and fake, drawn at random
        terms: Any = getattr(loss, turn)(inputs)
    require(
        isinstance(terms, dict) and all(isinstance(name, str) and name for name in terms),
        f"the {turn}'s turn gives {type(terms).__name__}: give a dict of named terms",
    )
    return terms, inputs


def values_of(loss: Loss, turn: Turn, probe: Probe) -> dict[str, float]:
    """A turn's terms as numbers, each known to be finite."""
    terms, _ = terms_of(loss, turn, probe)
    return {name: number(f"{turn}/{name}", term) for name, term in terms.items()}


def total_at(loss: Loss, turn: Turn, probe: Probe) -> float:
    """What a turn minimises."""
    return sum(values_of(loss, turn, probe).values())


def sum_of(loss: Loss, turn: Turn, probe: Probe) -> tuple[Tensor | None, Any]:
    """The sum that is minimised, None if there are no terms, and what the loss was given."""
    terms, inputs = terms_of(loss, turn, probe)
    for name, term in terms.items():
        number(f"{turn}/{name}", term)
    parts = [term.reshape(()) for term in terms.values()]
    return (torch.stack(parts).sum() if parts else None), inputs


def gradients_of(total: Tensor, wanted: list[Tensor]) -> Iterator[Tensor | None]:
    """With respect to those that want any, in their order; none if nothing does."""
    tracked = [tensor for tensor in wanted if tensor.requires_grad]
    if total.requires_grad and tracked:
        yield from torch.autograd.grad(total, tracked, allow_unused=True)


def is_penalty(loss: Loss, probe: Probe) -> bool:
    """Whether it has no part in the game: nothing for G, and not what D plays by either."""
    if values_of(loss, "generator", probe):
        return False
    of_d = (one.of(loss, probe) for one in RISES if one.turn == "discriminator")
    return not all(better < worse for worse, better in of_d)
