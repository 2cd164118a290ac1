"""What is demanded of losses: terms of the right sign, with gradients, and with known values."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from ganzoo.interfaces import Loss
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.testing.annealing import refuse_unread, schedules
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.losses import (
    RISES,
    TURNS,
    Probe,
    Turn,
    differ,
    difference,
    gradients_of,
    is_penalty,
    known_probe,
    loss_and_probe,
    terms_of,
    to,
    total_at,
    values_of,
    with_other_numbers,
)
from ganzoo.testing.networks import ELSEWHERE
from ganzoo.testing.subject import Subject

_NEAR = 1e-3
_LOGITS = (0.0, 1.0, -1.0, 10.0, -10.0, 50.0, -50.0)
_SLOPES = (0.0, 1.0, 10.0, 100.0, 1e3, 1e4)
"""Of D's logit by the mean of a sample; by its single values it is 1/3072, so that the gradient of
the largest has the length 180. Both end with what is furthest out."""
_AT = ((0.3, -0.2), *itertools.product((50.0, -50.0), repeat=2))
"""Logits of real and fake samples at which there must be gradients."""
_EXAMPLE = """state its terms where you can work them out by hand. A cross-entropy at logits of 0:
    known_values = (KnownValue({"real": log(2), "fake": log(2)}, {"gan": log(2)}),)"""


@check("loss")
def check_loss_terms(subject: Subject) -> None:
    """Both turns give finite, named terms: of one scale, of several, and with features."""
    loss, base = loss_and_probe(subject)
    # Only a loss that refuses to work without features has a probe with features.
    for changes in ({"scales": 3}, {"features": True}, {"scales": 3, "features": True}):
        try:
            for turn in TURNS:
                values_of(loss, turn, base.but(**changes))
        except Exception as error:
            message = f"where the discriminator has {changes}, the {turn}'s turn fails: {error}"
            raise CheckFailed(message) from error


@check("loss")
def check_loss_sign(subject: Subject) -> None:
    """A loss falls as its player does better; a penalty is never below 0, and largest far out."""
    loss, probe = loss_and_probe(subject)
    if is_penalty(loss, probe):
        judged = _grows(loss, probe)
    else:
        judged = _falls(loss, probe) | _nearer_is_lower(loss, probe)
    if not judged:
        message = "its terms depend neither on logits or slopes nor on how near images are"
        raise NotApplicable(message)


def _falls(loss: Loss, probe: Probe) -> bool:
    """Whether it depends on logits; then it must fall as the player's logits improve."""
    moved: dict[Turn, list[str]] = {"discriminator": [], "generator": []}
    for rise in RISES:
        with_worse, with_better = rise.of(loss, probe)
        if with_worse == with_better:
            continue  # a loss of images or of features, or one with a penalty
        moved[rise.turn].append(rise.what)
        require(
            with_better < with_worse,
            f"the {rise.turn}'s loss goes from {with_worse:.4g} to {with_better:.4g} as "
            f"{rise.what} goes from {rise.worse:g} to {rise.better:g}, which is what this player "
            "wants: it must fall",
        )
    require(
        len(moved["discriminator"]) != 1,
        f"the discriminator's loss depends on {moved['discriminator']} alone: it must tell real "
        "from fake",
    )
    return any(moved.values())


def _nearer_is_lower(loss: Loss, probe: Probe) -> bool:
    """Whether the loss compares real with fake; then it must be lowest where they are equal."""
    image = probe.real * 0.4

    def total(shift: float) -> float:
        return total_at(loss, "generator", probe.but(real=image, fake=image + shift))

    near, below, above = (total(shift) for shift in (0.0, -0.5, 0.5))
    if near == total(-0.3):
        return False
    require(
        2 * near < below + above,
        f"the generator's loss is {near:.4g} where fake equals real, and {below:.4g} and "
        f"{above:.4g} where it is darker and lighter: it must be lowest where they are equal",
    )
    return True


def _grows(loss: Loss, probe: Probe) -> bool:
    """Whether a penalty depends on logits or on slopes; then it must grow with them."""
    judged = False
    for what, ends, points in (
        ("real_logit", 2, _LOGITS),
        ("fake_logit", 2, _LOGITS),
        ("slope", 1, _SLOPES),
    ):
        change = [{"line": (at, 0.0)} if what == "slope" else {what: at} for at in points]
        values = [total_at(loss, "discriminator", probe.but(**one)) for one in change]
        lowest, largest = min(values), max(values)
        judged |= lowest < largest
        require(
            lowest == largest or lowest >= 0,
            f"with {what} = {points[values.index(lowest)]:g} the penalty is {lowest:.4g}: below 0 "
            "it is a reward",
        )
        require(
            lowest == largest or max(values[-ends:]) >= largest * (1 - _NEAR),
            f"the penalty is larger with {what} = {points[values.index(largest)]:g} "
            f"({largest:.4g}) than with {points[-1]:g} ({values[-1]:.4g}): it must be largest "
            "where the discriminator is furthest from what it should be",
        )
    return judged


@check("loss")
def check_loss_gradients(subject: Subject) -> None:
    """Each term has a finite gradient to what its turn moves, from all scales, at any logits."""
    loss, base = loss_and_probe(subject)
    for turn, (real, fake) in itertools.product(TURNS, _AT):
        where = f"in the {turn}'s turn, with real logits of {real:g} and fake ones of {fake:g}"
        probe = base.but(real_logit=real, fake_logit=fake, track=True, scales=3, features=True)
        terms, inputs = terms_of(loss, turn, probe)
        of_fake, of_real = (
            one.logits if one else () for one in (inputs.fake_output, inputs.real_output)
        )
        if turn == "generator":
            moved, of_real, end = "the fake or its logits", (), inputs.fake
        else:
            moved, end = "the discriminator or its logits", probe.slope
        wanted, reached = [*of_fake, *of_real, end], set()
        for name, term in terms.items():
            gradients = gradients_of(term.sum(), wanted)
            # A gradient of 0 is good, since a term may be saturated; without a graph there is none.
            found = [i for i, gradient in enumerate(gradients) if gradient is not None]
            require(
                found,
                f"no gradient of the term {turn}/{name} reaches {moved}, which this turn moves: "
                "something is detached, so this term teaches nothing",
            )
            reached.update(found)
            require(
                all(torch.isfinite(one).all() for one in (term, *gradients) if one is not None),
                f"{where}, the term {name} or its gradient isn't finite: take logits as they are "
                "(softplus, binary_cross_entropy_with_logits), not the logarithm of a sigmoid",
            )
        for group in (range(len(of_fake)), range(len(of_fake), len(wanted) - 1)):
            require(
                len({i in reached for i in group}) < 2,
                f"of a discriminator with {probe.scales} scales, only some reach the {turn}'s "
                "terms: take the mean over all",
            )


@check("loss", unless="reads_the_batch")
def check_loss_batches(subject: Subject) -> None:
    """It works on a single sample, and terms are means over the batch, not sums."""
    loss, probe = loss_and_probe(subject)
    double = probe.but(real=torch.cat([probe.real] * 2), fake=torch.cat([probe.fake] * 2))
    for turn in TURNS:
        try:
            values_of(loss, turn, probe.but(rows=1))
        except Exception as error:
            message = f"the {turn}'s turn fails on a batch of one sample: {error}"
            raise CheckFailed(message) from error
        once, twice = values_of(loss, turn, probe), values_of(loss, turn, double)
        for name in once.keys() & twice.keys():
            require(
                not once[name] or abs(twice[name] / once[name] - 2) > _NEAR,
                f"with every sample twice in the batch, {turn}/{name} goes from {once[name]:.4g} "
                f"to {twice[name]:.4g}: take the mean over samples, not the sum, or a recipe's "
                "learning rate depends on its batch size",
            )


@check("loss")
def check_loss_elsewhere(subject: Subject) -> None:
    """It works in fp64, and makes no tensors on the CPU for those of another device (`meta`)."""
    _, probe = loss_and_probe(subject)
    exact, moved = (to(subject.choose().build(), where) for where in (torch.float64, "meta"))
    for turn in TURNS:
        try:
            values_of(exact, turn, probe.but(dtype=torch.float64))
        except RuntimeError as error:
            message = f"the {turn}'s turn fails in fp64: {error}"
            raise CheckFailed(message) from error
    for turn in TURNS:
        try:
            terms_of(moved, turn, probe.but(device="meta"))
        except Exception as error:
            message = (
                f"on another device than the CPU the {turn}'s turn would fail: {error}\n"
                "make tensors where the inputs are (`device=inputs.real.device`), and keep "
                "constants as buffers of an nn.Module"
            )
            if ELSEWHERE in str(error):
                raise CheckFailed(message) from error
            message = f"its steps depend on values, which the device `meta` doesn't have: {error}"
            raise NotApplicable(message) from error


@check("loss")
def check_loss_attributes(subject: Subject) -> None:
    """`needs_discriminator`, `real_in_generator_turn`, `decides` and `at_chance` are true."""
    loss, probe = loss_and_probe(subject)
    _without_discriminator(loss, probe)
    if not getattr(loss, "real_in_generator_turn", False):
        shown = probe.but(show_real=True, real_logit=2.0, features=True)
        require(
            values_of(loss, "generator", shown)
            == values_of(loss, "generator", shown.but(real_logit=-2.0)),
            "the generator's terms depend on `real_output`: set `real_in_generator_turn = True`, "
            "or take its logits from `discriminate`",
        )
    decides: Any = getattr(loss, "decides", None)
    stated: Any = getattr(loss, "at_chance", {})
    if decides is None or not stated:
        return
    border = 0.0 if decides == "pairs" else decides
    at = probe.but(real_logit=border, fake_logit=border)
    found = {name: value for turn in TURNS for name, value in values_of(loss, turn, at).items()}
    fault = difference({n: v for n, v in found.items() if n in stated}, stated, 1e-5)
    require(
        not fault,
        f"with every logit at {border:g}, where it says that the discriminator decides, its terms "
        f"aren't those of `at_chance`: {fault}",
    )


def _without_discriminator(loss: Loss, probe: Probe) -> None:
    needs = getattr(loss, "needs_discriminator", True)
    try:
        left = values_of(loss, "generator", probe.but(discriminator=False))
    except RuntimeError as error:
        require(needs, f"it says that it needs no discriminator, and without one raises {error!r}")
    except Exception as error:
        message = (
            f"where there is no discriminator it raises {error!r}: look whether `fake_output` is "
            "None, and leave out the terms that need it, or raise a RuntimeError that says so"
        )
        raise CheckFailed(message) from error
    else:
        terms = values_of(loss, "generator", probe)
        require(
            not needs or not terms or left.keys() < terms.keys(),
            "it works without a discriminator: set `needs_discriminator = False`, so that recipes "
            "may do without one",
        )


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
