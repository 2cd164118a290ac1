"""pix2pix's objective: which terms, how heavy, and when."""

from __future__ import annotations

from math import log

import pytest
import torch
from pydantic import ValidationError

from ganzoo.interfaces import Clock, DiscriminatorOutput, Loss, LossInputs
from ganzoo.plugin_system import registry
from ganzoo_pix2pix.loss import CGANL1
from ganzoo_pix2pix.options import CGANL1Options


@pytest.fixture(autouse=True)
def _registry():
    registry.activate()


def seen(fake_logit: float | None = 0.0, real_logit: float | None = None, progress: float = 0.0):
    """Images that differ by 0.25 on average: half of the pixels by 0.5."""

    def output(logit: float | None) -> DiscriminatorOutput | None:
        return None if logit is None else DiscriminatorOutput((torch.full((1, 1, 2, 2), logit),))

    real = torch.zeros(1, 3, 4, 4)
    fake = torch.zeros(1, 3, 4, 4)
    fake[..., :2] = -0.5
    clock = Clock(0, 0, progress)
    return LossInputs(real, fake, clock, output(real_logit), output(fake_logit), lambda x: x)


def values(terms) -> dict[str, float]:
    return {name: term.item() for name, term in terms.items()}


def test_the_papers_objective():
    loss = CGANL1(CGANL1Options())
    assert isinstance(loss, Loss)
    # D: 0.5 * (ln 2 + ln 2) at logits 0. G: ln 2 + 100 * 0.25.
    terms = values(loss.discriminator(seen(0.0, 0.0)))
    assert terms == pytest.approx({"real": log(2) / 2, "fake": log(2) / 2})
    assert values(loss.generator(seen(0.0))) == pytest.approx({"gan": log(2), "l1": 25.0})


def test_weights_weigh_their_own_part():
    loss = CGANL1(CGANL1Options(gan_weight=3, l1=10, discriminator_weight=1))
    assert values(loss.discriminator(seen(0.0, 0.0))) == pytest.approx(
        {"real": log(2), "fake": log(2)}
    )
    assert values(loss.generator(seen(0.0))) == pytest.approx({"gan": 3 * log(2), "l1": 2.5})


def test_any_adversarial_loss_by_name():
    loss = CGANL1(CGANL1Options(gan="gan/lsgan"))
    # 0.5 * (2 - 1)^2 and 0.5 * (-3)^2; (-3 - 1)^2
    assert values(loss.discriminator(seen(-3.0, 2.0))) == {"real": 0.5, "fake": 4.5}
    assert values(loss.generator(seen(-3.0)))["gan"] == 16
    hinge = CGANL1(CGANL1Options(gan={"use": "gan/hinge"}))
    assert values(hinge.generator(seen(-3.0)))["gan"] == 3
    assert not hinge.real_in_generator_turn


def test_a_part_of_weight_zero_is_neither_computed_nor_logged():
    loss = CGANL1(CGANL1Options(gan_weight=0))
    assert loss.needs_discriminator is False
    assert values(loss.generator(seen(fake_logit=None))) == {"l1": 25.0}
    loss = CGANL1(CGANL1Options(l1=0))
    assert loss.needs_discriminator is True
    assert values(loss.generator(seen(0.0))).keys() == {"gan"}


def test_a_weight_that_only_begins_or_ends_at_zero_is_a_part_all_the_same():
    fading = {"from": 1.0, "to": 0.0, "until": 0.5}
    loss = CGANL1(CGANL1Options(gan_weight=fading, l1={"from": 0, "to": 100}))
    assert loss.needs_discriminator is True
    for progress, gan, l1 in ((0.0, 1.0, 0.0), (0.25, 0.5, 6.25), (1.0, 0.0, 25.0)):
        terms = values(loss.generator(seen(0.0, progress=progress)))
        assert terms == pytest.approx({"gan": gan * log(2), "l1": l1})


def test_a_relativistic_loss_makes_its_wish_known():
    loss = CGANL1(CGANL1Options())
    assert loss.real_in_generator_turn is False

    class Relativistic:
        real_in_generator_turn = True

    # Whoever names such a loss hands its wish on; with weight 0 nobody looks.
    options = CGANL1Options()
    object.__setattr__(options, "gan", type("Choice", (), {"build": lambda _: Relativistic()})())
    assert CGANL1(options).real_in_generator_turn is True
    object.__setattr__(options, "gan_weight", CGANL1Options(gan_weight=0).gan_weight)
    assert CGANL1(options).real_in_generator_turn is False


def test_gradient_of_l1_is_the_sign_of_the_error_over_the_pixels():
    inputs = seen(None)
    inputs.fake.requires_grad_()
    CGANL1(CGANL1Options(gan_weight=0)).generator(inputs)["l1"].backward()
    expected = 100 / 48 * torch.sign(inputs.fake.detach() - inputs.real)
    torch.testing.assert_close(inputs.fake.grad, expected)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"l1": -1}, "greater than or equal to 0"),
        ({"gan_weight": {"from": 1, "to": -1}}, "greater than or equal to 0"),
        ({"gan_weight": 0, "l1": 0}, "nothing to minimise"),
        ({"discriminator_weight": 0}, "greater than 0"),
        ({"lambda": 100}, "Extra inputs"),
    ],
)
def test_wrong_weights_are_refused(wrong, reason):
    with pytest.raises(ValidationError, match=reason):
        CGANL1Options(**wrong)


def test_options_are_written_as_a_recipe_reads_them():
    options = CGANL1Options(gan="gan/hinge", gan_weight=0)
    table = options.model_dump(mode="json", by_alias=True)
    assert table["gan"] == {"use": "gan/hinge"}
    assert CGANL1Options(**table) == options
