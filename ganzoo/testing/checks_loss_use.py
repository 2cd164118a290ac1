"""What is demanded of losses in use: batches of any size, annealed weights, other devices."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ganzoo.interfaces import Loss
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.testing.annealing import refuse_unread, schedules
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.losses import (
    TURNS,
    is_penalty,
    loss_and_probe,
    terms_of,
    total_at,
    values_of,
)
from ganzoo.testing.networks import ELSEWHERE
from ganzoo.testing.probe import Probe, Turn
from ganzoo.testing.subject import Subject

_NEAR = 1e-3


_LOGITS = (0.0, 1.0, -1.0, 10.0, -10.0, 50.0, -50.0)
_SLOPES = (0.0, 1.0, 10.0, 100.0, 1e3, 1e4)
"""Of D's logit by the mean of a sample; by its single values it is 1/3072, so that the gradient of
the largest has the length 180. Both end with what is furthest out."""


@check("loss")
def check_loss_penalty(subject: Subject) -> None:
    """A loss that gives the generator nothing is a penalty: never below 0, and largest far out."""
    loss, probe = loss_and_probe(subject)
    if not is_penalty(loss, probe):
        raise NotApplicable("it gives the generator terms, or tells real from fake")
    judged = False
    for what, ends, points in (
        ("real_logit", 2, _LOGITS),
        ("fake_logit", 2, _LOGITS),
        ("slope", 1, _SLOPES),
    ):
        values = [total_at(loss, "discriminator", _where(probe, what, point)) for point in points]
        if max(values) == min(values):
            continue
        judged = True
        lowest = points[values.index(min(values))]
        require(
            min(values) >= 0,
            f"with {what} = {lowest:g} the penalty is {min(values):.4g}: below 0 it is a reward",
        )
        largest = points[values.index(max(values))]
        require(
            max(values[-ends:]) >= max(values) * (1 - _NEAR),
            f"the penalty is larger with {what} = {largest:g} ({max(values):.4g}) than with "
            f"{points[-1]:g} ({values[-1]:.4g}): it must be largest where the discriminator is "
            "furthest from what it should be",
        )
    if not judged:
        raise NotApplicable("it depends neither on logits nor on slopes")


def _where(probe: Probe, what: str, value: float) -> Probe:
    return probe.but(line=(value, 0.0)) if what == "slope" else probe.but(**{what: value})


@check("loss")
def check_loss_of_a_batch_is_a_mean(subject: Subject) -> None:
    """Twice the same samples in a batch don't make terms twice as large."""
    loss, probe = loss_and_probe(subject)
    double = probe.but(
        real=torch.cat((probe.real, probe.real)), fake=torch.cat((probe.fake, probe.fake))
    )
    for turn in TURNS:
        once, twice = values_of(loss, turn, probe), values_of(loss, turn, double)
        for name in once.keys() & twice.keys():
            require(
                not once[name] or abs(twice[name] / once[name] - 2) > _NEAR,
                f"with every sample twice in the batch, {turn}/{name} goes from {once[name]:.4g} "
                f"to {twice[name]:.4g}: take the mean over samples, not the sum, or a recipe's "
                "learning rate depends on its batch size",
            )


@check("loss")
def check_loss_anneals(subject: Subject) -> None:
    """An option that may change with training (`Scalar`) is read by the clock, in every step."""
    _, probe = loss_and_probe(subject)
    judged = False
    without_effect = []
    for name, start, end in schedules(subject):
        try:
            annealed: Loss = subject.choose(**{name: {"from": start, "to": end}}).build()
            first, last = (subject.choose(**{name: value}).build() for value in (start, end))
        except ChoiceError:
            continue  # a limit of its own
        wanted = {turn: (_at(first, turn, probe, 0), _at(last, turn, probe, 1)) for turn in TURNS}
        if all(at_first == at_last for at_first, at_last in wanted.values()):
            without_effect.append(name)
            continue  # it makes no difference here
        judged = True
        for turn in TURNS:
            got = tuple(_at(annealed, turn, probe, progress) for progress in (0, 1))
            require(
                all(map(_alike, got, wanted[turn])),
                f"with {name} from {start:g} to {end:g} the {turn}'s terms are {_told(got)} at the "
                f"beginning and the end, and should be {_told(wanted[turn])}: read it "
                f"in each turn, as `options.{name}.at(inputs.clock)`",
            )
    if not judged:
        refuse_unread(without_effect, "inputs.clock")


def _at(loss: Loss, turn: Turn, probe: Probe, progress: float) -> dict[str, float]:
    return values_of(loss, turn, probe.but(progress=progress))


def _told(values: tuple[dict[str, float], ...]) -> str:
    return " and ".join(str({name: round(one, 6) for name, one in part.items()}) for part in values)


def _alike(one: dict[str, float], other: dict[str, float]) -> bool:
    return one.keys() == other.keys() and all(
        abs(one[name] - other[name]) <= _NEAR * abs(other[name]) for name in one
    )


@check("loss")
def check_loss_follows_its_device(subject: Subject) -> None:
    """Given tensors of another device (torch's `meta`), it makes none on the CPU."""
    _, probe = loss_and_probe(subject)
    loss: Any = subject.choose().build()
    if isinstance(loss, nn.Module):
        loss.to("meta")
    for turn in TURNS:
        try:
            terms_of(loss, turn, probe.but(device="meta"))
        except Exception as error:
            if ELSEWHERE in str(error):
                message = (
                    f"on another device than the CPU the {turn}'s turn would fail: {error}\n"
                    "make tensors where the inputs are (`device=inputs.real.device`), and keep "
                    "constants as buffers of an nn.Module"
                )
                raise CheckFailed(message) from error
            message = f"its steps depend on values, which the device `meta` doesn't have: {error}"
            raise NotApplicable(message) from error
