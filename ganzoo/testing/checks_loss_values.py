"""Checks of the values of losses: those that were worked out by hand, and those that change."""

from __future__ import annotations

import torch

from ganzoo.interfaces import KnownValue, Loss
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.testing.annealing import refuse_unread, schedules
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.losses import (
    TURNS,
    Probe,
    Turn,
    differ,
    difference,
    known_probe,
    loss_and_probe,
    to,
    values_of,
    with_other_numbers,
)
from ganzoo.testing.subject import Subject

_NEAR = 1e-3
_EXAMPLE = """state its terms where you can work them out by hand. A cross-entropy at logits of 0:
    known_values = (KnownValue({"real": log(2), "fake": log(2)}, {"gan": log(2)}),)"""


@check("loss", advisory=True)
def check_loss_known_values(subject: Subject) -> None:
    """It keeps to `known_values`, worked out by hand, and these depend on each of its weights."""
    _, probe = loss_and_probe(subject)
    loss, probe = to(subject.choose().build(), torch.float64), probe.but(dtype=torch.float64)
    partly = "no_known_values" in subject.component.component.tags
    known = getattr(loss, "known_values", ())
    if partly and not known:
        raise NotApplicable("it has the tag no_known_values, and states none of its terms")
    require(known, f"it has no `known_values`: {_EXAMPLE}")
    strange = [one for one in known if not isinstance(one, KnownValue)]
    require(not strange, f"`known_values` has {strange[:1]}, which is no KnownValue: {_EXAMPLE}")
    _keeps_to_its_values(loss, probe, partly=partly)
    names = {name for one in known for turn in TURNS for name in getattr(one, turn)}
    for option, other in with_other_numbers(subject):
        try:
            if list(getattr(other, "known_values", ())) != list(known):
                _keeps_to_its_values(other, probe, partly=partly, where=f"with another {option}, ")
            if not differ(loss, other, probe, names):
                continue
        except CheckFailed:
            raise
        except Exception:  # noqa: BLE001, S112  # a loss may not work with every value of an option
            continue
        require(
            any(differ(loss, other, known_probe(loss, one, probe), names) for one in known),
            f"the option {option} changes its terms, but not at its `known_values`, so a wrong "
            "weight isn't noticed: state one more where it counts (samples that differ, logits "
            "other than 0); leave out a term that can't be worked out by hand there, and give the "
            "component the tag no_known_values",
        )


def _keeps_to_its_values(loss: Loss, probe: Probe, *, partly: bool, where: str = "") -> None:
    needs = getattr(loss, "needs_discriminator", True)
    for value in getattr(loss, "known_values", ()):
        at = known_probe(loss, value, probe)
        for turn in TURNS:
            stated, got = getattr(value, turn), values_of(loss, turn, at)
            if partly:
                got = {name: one for name, one in got.items() if name in stated}
            fault = difference(got, stated, 1e-6)
            require(
                not fault or not (stated or needs or turn == "generator"),
                f"{where}the {turn}'s terms at logits of {value.real_logit:g} (real) and "
                f"{value.fake_logit:g} (fake), samples of {value.real:g} and {value.fake:g}: "
                f"{fault}",
            )


@check("loss")
def check_loss_anneals(subject: Subject) -> None:
    """An option that may change with training (`Scalar`) is read by the clock, in every step."""
    _, probe = loss_and_probe(subject)

    def told(loss: Loss, turn: Turn, *times: int) -> list[dict[str, float]]:
        return [values_of(loss, turn, probe.but(progress=time)) for time in times]

    without_effect, judged = [], False
    for name, start, end in schedules(subject):
        try:
            annealed: Loss = subject.choose(**{name: {"from": start, "to": end}}).build()
            first, last = (subject.choose(**{name: value}).build() for value in (start, end))
        except ChoiceError:
            continue  # a limit of its own
        wanted = {turn: told(first, turn, 0) + told(last, turn, 1) for turn in TURNS}
        if all(at_first == at_last for at_first, at_last in wanted.values()):
            without_effect.append(name)
            continue  # it makes no difference here
        judged = True
        for turn, right in wanted.items():
            got = told(annealed, turn, 0, 1)
            require(
                not any(difference(*pair, _NEAR, floor=0) for pair in zip(got, right, strict=True)),
                f"with {name} from {start:g} to {end:g} the {turn}'s terms are {got} at the "
                f"beginning and the end, and should be {right}: read it in each turn, as "
                f"`options.{name}.at(inputs.clock)`",
            )
    if not judged:
        refuse_unread(without_effect, "inputs.clock")
