"""What is demanded of losses: terms of the right sign, with gradients, and with known values."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from ganzoo.data.rng import isolated
from ganzoo.interfaces import Loss
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.losses import (
    RISES,
    TURNS,
    Probe,
    Turn,
    difference,
    gradients_of,
    is_penalty,
    loss_and_probe,
    terms_of,
    to,
    total_at,
    values_of,
)
from ganzoo.testing.networks import depends_on_values
from ganzoo.testing.subject import Subject

_NEAR = 1e-3
_LOGITS = (0.0, 1.0, -1.0, 10.0, -10.0, 50.0, -50.0)
_SLOPES = (0.0, 1.0, 10.0, 100.0, 1e3, 1e4)
"""Of D's logit by the mean of a sample; by its single values it is 1/3072, so that the gradient of
the largest has the length 180. Both end with what is furthest out."""
_AT = ((0.3, -0.2), *itertools.product((50.0, -50.0), repeat=2))
"""Logits of real and fake samples at which there must be gradients."""


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
            f"with {what} = {points[values.index(lowest)]:g} the penalty is {lowest:.4g}: it "
            "must not be below 0",
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
                "something is detached, so this term has no effect",
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
    """In fp64 its terms are those of fp32; on another device (`meta`) it makes none on the CPU."""
    _, probe = loss_and_probe(subject)

    def built(where: torch.dtype | str) -> Loss:
        with isolated(0):
            return to(subject.choose().build(), where)  # type: ignore[no-any-return]

    loss, exact, moved = (built(where) for where in (torch.float32, torch.float64, "meta"))
    for turn in TURNS:
        try:
            got = values_of(exact, turn, probe.but(dtype=torch.float64))
        except RuntimeError as error:
            message = f"the {turn}'s turn fails in fp64: {error}"
            raise CheckFailed(message) from error
        single, other = (values_of(loss, turn, probe, seed) for seed in (0, 1))
        # Noise of fp64 is other noise, so terms that depend on it can't be compared.
        right = {name: value for name, value in single.items() if value == other.get(name)}
        fault = difference({name: got[name] for name in got if name in right}, right, _NEAR)
        require(not fault, f"in fp64 the {turn}'s terms aren't those of fp32: {fault}")
    for turn in TURNS:
        try:
            terms_of(moved, turn, probe.but(device="meta"))
        except Exception as error:
            if depends_on_values(error):
                continue  # and so this turn can't be tried there
            message = (
                f"on another device than the CPU the {turn}'s turn would fail: {error}\n"
                "make tensors where the inputs are (`device=inputs.real.device`), and keep "
                "constants as buffers of an nn.Module"
            )
            raise CheckFailed(message) from error


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
