"""What is demanded of losses: finite terms of the right sign, with gradients, and known values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.errors import GanzooError
from ganzoo.interfaces import KnownValue, Loss
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.losses import (
    RISES,
    TURNS,
    at_its_step,
    gradients_of,
    is_penalty,
    loss_and_probe,
    needs_discriminator,
    sum_of,
    terms_of,
    total_at,
    values_of,
)
from ganzoo.testing.probe import Probe, Turn
from ganzoo.testing.subject import Subject

_EXAMPLE = """
state where its value can be worked out by hand, as an attribute of the loss:
    # One logit of 0 for every image: -log s(0) = log 2.
    known_values = (
        KnownValue(discriminator={"real": log(2), "fake": log(2)}, generator={"gan": log(2)}),
    )
"""


@check("loss")
def check_loss_terms(subject: Subject) -> None:
    """Both turns give finite, named terms: of one scale, of several, and with features."""
    loss, base = loss_and_probe(subject)
    refused: dict[str, Exception] = {}
    for name, probe in {
        "one scale": base,
        "three scales": base.but(scales=3),
        "features": base.but(features=True),
        "three scales with features": base.but(scales=3, features=True),
    }.items():
        try:
            for turn in TURNS:
                values_of(loss, turn, probe)
        except (GanzooError, RuntimeError) as error:
            refused[name] = error
    # A loss of features may refuse to work without them, in words.
    plain = {name for name in refused if "features" not in name}
    if refused and not (plain == set(refused) == {"one scale", "three scales"}):
        name, why = next(iter(refused.items()))
        message = f"with {name} it raises {why!r}"
        raise CheckFailed(message) from why


@check("loss")
def check_loss_sign(subject: Subject) -> None:
    """A loss falls as its player does better: D by its logits, G by fooling D or by likeness."""
    loss, probe = loss_and_probe(subject)
    if is_penalty(loss, probe):
        message = "it gives the generator no terms: what a penalty must do, check_loss_penalty says"
        raise NotApplicable(message)
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
    judged = any(moved.values())
    judged |= _nearer_is_lower(loss, probe)
    if not judged:
        raise NotApplicable("its terms depend neither on logits nor on how near images are")


def _nearer_is_lower(loss: Loss, probe: Probe) -> bool:
    """Whether the loss compares real with fake; then it must be lowest where they are equal."""

    def total(real: Tensor, fake: Tensor) -> float:
        return total_at(loss, "generator", probe.but(real=real, fake=fake))

    image = probe.real * 0.4
    near, below, above = (total(image, image + shift) for shift in (0.0, -0.5, 0.5))
    if total(image + 0.3, image) == near:
        return False
    require(
        2 * near < below + above,
        f"the generator's loss is {near:.4g} where fake equals real, and {below:.4g} and "
        f"{above:.4g} where it is darker and lighter: it must be lowest where they are equal",
    )
    return True


@check("loss")
def check_loss_gradients(subject: Subject) -> None:
    """Each turn's terms have gradients: D's to its logits, of all scales; G's to what it made."""
    loss, probe = loss_and_probe(subject)
    silent = []
    for turn in TURNS:
        at = probe.but(track=True, scales=3)
        total, inputs = sum_of(loss, turn, at)
        if total is None:
            silent.append(turn)  # a penalty, or features: another loss has the rest
            continue
        of_fake = [] if inputs.fake_output is None else [*inputs.fake_output.logits]
        of_real: list[Tensor] = []
        if turn == "discriminator" and inputs.real_output is not None:
            of_real += inputs.real_output.logits
        wanted = [*of_fake, *of_real, inputs.fake if turn == "generator" else at.slope]
        gradients = list(gradients_of(total, wanted))
        reached = [gradient is not None and bool(gradient.any()) for gradient in gradients]
        require(
            any(reached),
            f"no gradient of the {turn}'s terms reaches "
            + ("the discriminator" if turn == "discriminator" else "the fake or its logits")
            + ": something is detached",
        )
        fakes, reals = reached[: len(of_fake)], reached[len(of_fake) : -1]
        # A penalty may look at one of both.
        together = [fakes, reals] if is_penalty(loss, probe) else [fakes + reals]
        require(
            all(all(scales) or not any(scales) for scales in together),
            f"of a discriminator with {at.scales} scales, only some reach the {turn}'s terms: "
            "take the mean over all",
        )
    require(len(silent) < len(TURNS), "it gives no terms in any turn")


@check("loss")
def check_loss_extremes(subject: Subject) -> None:
    """Terms and gradients stay finite at logits of +50 and -50."""
    loss, probe = loss_and_probe(subject)
    for turn in TURNS:
        for real, fake in ((50.0, 50.0), (50.0, -50.0), (-50.0, 50.0), (-50.0, -50.0)):
            at = probe.but(real_logit=real, fake_logit=fake, track=True)
            where = f"in the {turn}'s turn, with real logits of {real:g} and fake ones of {fake:g}"
            try:
                total, inputs = sum_of(loss, turn, at)
            except CheckFailed as error:
                message = f"{where}: {error}"
                raise CheckFailed(message) from error
            if total is None:
                continue
            outputs = (inputs.real_output, inputs.fake_output)
            logits = [one for output in outputs if output is not None for one in output.logits]
            for gradient in gradients_of(total, [*logits, inputs.real, inputs.fake]):
                require(
                    gradient is None or bool(torch.isfinite(gradient).all()),
                    f"{where}, a gradient isn't finite: take logits as they are (softplus, "
                    "binary_cross_entropy_with_logits), not the logarithm of a sigmoid",
                )


@check("loss")
def check_loss_alone_and_exact(subject: Subject) -> None:
    """It works on a single sample and in fp64, where its terms are those of fp32."""
    loss, probe = loss_and_probe(subject)
    for turn in TURNS:
        try:
            values_of(loss, turn, probe.but(rows=1))
        except (GanzooError, RuntimeError, ValueError, IndexError) as error:
            message = f"the {turn}'s turn fails on a batch of one sample: {error!r}"
            raise CheckFailed(message) from error
    single = {turn: values_of(loss, turn, probe) for turn in TURNS}
    exact: Any = subject.choose().build()
    if isinstance(exact, nn.Module):
        exact.to(torch.float64)
    for turn, values in single.items():
        try:
            doubled = values_of(exact, turn, probe.but(dtype=torch.float64))
        except RuntimeError as error:
            message = f"the {turn}'s turn fails in fp64: {error}"
            raise CheckFailed(message) from error
        _compare(f"the {turn}'s terms in fp64", doubled, values, 1e-4)


@check("loss")
def check_loss_without_discriminator(subject: Subject) -> None:
    """Without a discriminator it leaves out the terms that need one, or raises RuntimeError."""
    loss, probe = loss_and_probe(subject)
    alone = probe.but(discriminator=False)
    needs = needs_discriminator(loss)
    terms = values_of(loss, "generator", probe)
    if needs and not terms:
        raise NotApplicable("it says nothing in the generator's turn")
    try:
        left = values_of(loss, "generator", alone)
    except RuntimeError as error:
        message = f"it says that it needs no discriminator, and without one it raises {error!r}"
        require(needs, message)
    except CheckFailed:
        raise
    except Exception as error:
        message = (
            f"where there is no discriminator it raises {error!r}: look whether `fake_output` is "
            "None, and leave out the terms that need it, or raise a RuntimeError that says so"
        )
        raise CheckFailed(message) from error
    else:
        require(
            not needs or left.keys() < terms.keys(),
            "it works without a discriminator: set `needs_discriminator = False`, so that recipes "
            "may do without one",
        )


@check("loss")
def check_loss_at_chance(subject: Subject) -> None:
    """Where the discriminator can't decide, the terms are those that it states (`at_chance`)."""
    loss, probe = loss_and_probe(subject)
    decides: Any = getattr(loss, "decides", None)
    stated: Any = getattr(loss, "at_chance", {})
    if decides is None or not stated:
        raise NotApplicable("it doesn't state `decides` and `at_chance`")
    border = 0.0 if decides == "pairs" else decides
    at = probe.but(real_logit=border, fake_logit=border)
    found = {name: value for turn in TURNS for name, value in values_of(loss, turn, at).items()}
    require(
        stated.keys() <= found.keys(), f"it has no terms {sorted(stated.keys() - found.keys())}"
    )
    wrong = {n: v for n, v in found.items() if n in stated and abs(v - stated[n]) > 1e-5}
    require(
        not wrong,
        f"with every logit at {border:g}, where it says that the discriminator decides, its terms "
        f"are {wrong}, and `at_chance` states {dict(stated)}",
    )


@check("loss")
def check_loss_real_in_generator_turn(subject: Subject) -> None:
    """In the generator's turn it reads `real_output` only if `real_in_generator_turn` says so."""
    loss, probe = loss_and_probe(subject)
    if getattr(loss, "real_in_generator_turn", False):
        values_of(loss, "generator", probe)
        return
    hint = "set `real_in_generator_turn = True`, or take its logits from `discriminate`"
    shown = probe.but(show_real=True, real_logit=2.0, features=True)
    given = values_of(loss, "generator", shown)
    other = values_of(loss, "generator", shown.but(real_logit=-2.0))
    require(given == other, f"the generator's terms depend on `real_output`: {hint}")


@check("loss")
def check_loss_known_values(subject: Subject) -> None:
    """It states `known_values`, worked out by hand, and keeps to them."""
    loss: Any = subject.choose().build()
    if isinstance(loss, nn.Module):
        loss.to(torch.float64)
    known = getattr(loss, "known_values", ())
    require(known, f"it has no `known_values`: {_EXAMPLE.strip()}")
    for value in known:
        require(
            isinstance(value, KnownValue),
            f"`known_values` has a {type(value).__name__}, not a ganzoo.interfaces.KnownValue",
        )
        probe = _known_probe(loss, value)
        stated: dict[Turn, Mapping[str, float]] = {}
        if needs_discriminator(loss) or value.discriminator:
            stated["discriminator"] = value.discriminator
        stated["generator"] = value.generator
        for turn, terms in stated.items():
            what = (
                f"the {turn}'s terms at logits of {value.real_logit:g} (real) and "
                f"{value.fake_logit:g} (fake), images of {value.real:g} and {value.fake:g}"
            )
            _compare(what, values_of(loss, turn, probe), terms, 1e-6)


def _known_probe(loss: Loss, value: KnownValue) -> Probe:
    """What the value describes; with features, for losses that refuse to work without."""
    probe = Probe.of_known_value(value)
    try:
        terms_of(loss, "generator", probe)
    except (GanzooError, RuntimeError):
        probe = probe.but(features=True)
    return at_its_step(loss, probe)


def _compare(what: str, got: Mapping[str, float], stated: Mapping[str, float], near: float) -> None:
    require(set(got) == set(stated), f"{what} are called {sorted(got)}, and not {sorted(stated)}")
    for name, value in stated.items():
        require(
            abs(got[name] - value) <= near * max(1.0, abs(value)),
            f"{what}: {name!r} is {got[name]:.8g}, and should be {value:.8g}",
        )
