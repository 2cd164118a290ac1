"""The five adversarial losses at known logits, for both players."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganzoo.api import Options
from ganzoo.errors import RecipeError
from ganzoo.interfaces import Clock, DiscriminatorOutput, Loss, LossInputs
from ganzoo_gan.losses import LSGAN, WGAN, Hinge, RpGAN, Vanilla

LOSSES = [Vanilla, LSGAN, Hinge, WGAN]


def seen(real: float | list[torch.Tensor] | None, fake: float | list[torch.Tensor] | None):
    def output(logits) -> DiscriminatorOutput | None:
        if logits is None:
            return None
        if isinstance(logits, list):
            return DiscriminatorOutput(tuple(logits))
        return DiscriminatorOutput((torch.full((2, 1, 3, 3), logits, dtype=torch.float64),))

    image = torch.zeros(2, 3, 8, 8)
    return LossInputs(image, image, Clock(0, 0, 0.0), output(real), output(fake), lambda x: x)


def minus_log_sigmoid(x: float) -> float:
    return -log(1 / (1 + exp(-x)))


CLOSED_FORMS = {
    Vanilla: (
        minus_log_sigmoid,
        lambda fake: minus_log_sigmoid(-fake),  # 1 - s(x) = s(-x)
        minus_log_sigmoid,
    ),
    LSGAN: (lambda real: (real - 1) ** 2, lambda fake: fake**2, lambda fake: (fake - 1) ** 2),
    Hinge: (lambda real: max(0, 1 - real), lambda fake: max(0, 1 + fake), lambda fake: -fake),
    WGAN: (lambda real: -real, lambda fake: fake, lambda fake: -fake),
}


@pytest.mark.parametrize("loss_class", LOSSES)
@given(real=st.floats(-6, 6), fake=st.floats(-6, 6))
def test_closed_forms(loss_class, real, fake):
    loss = loss_class(Options())
    of_real, of_fake, of_fooled = CLOSED_FORMS[loss_class]
    terms = loss.discriminator(seen(real, fake))
    assert terms.keys() == {"real", "fake"}
    assert terms["real"].item() == pytest.approx(of_real(real), abs=1e-12)
    assert terms["fake"].item() == pytest.approx(of_fake(fake), abs=1e-12)
    terms = loss.generator(seen(None, fake))
    assert terms.keys() == {"gan"}
    assert terms["gan"].item() == pytest.approx(of_fooled(fake), abs=1e-12)


def test_values_at_the_logit_that_knows_nothing():
    # At logit 0: ln 2 each; (0 - 1)^2 = 1 and 0; margins of 1, and 0 for the generator.
    expected = {
        Vanilla: (log(2), log(2), log(2)),
        LSGAN: (1, 0, 1),
        Hinge: (1, 1, 0),
        WGAN: (0, 0, 0),
    }
    for loss_class, values in expected.items():
        loss = loss_class(Options())
        terms = {**loss.discriminator(seen(0.0, 0.0)), **loss.generator(seen(None, 0.0))}
        assert [terms[name].item() for name in ("real", "fake", "gan")] == pytest.approx(values)


@pytest.mark.parametrize("loss_class", LOSSES)
def test_players_pull_in_opposite_directions(loss_class):
    real = torch.tensor(0.2, requires_grad=True)
    fake = torch.tensor(0.3, requires_grad=True)
    loss = loss_class(Options())
    terms = loss.discriminator(seen([real], [fake]))
    sum(terms.values()).backward()
    assert real.grad < 0  # minimising raises the logit of a real image
    assert fake.grad > 0  # and lowers a generated one's
    fake.grad = None
    loss.generator(seen(None, [fake]))["gan"].backward()
    assert fake.grad < 0  # the generator raises it


def test_losses_differ_from_each_other():
    values = [tuple(cls(Options()).discriminator(seen(0.5, 0.7)).values()) for cls in LOSSES]
    assert len({tuple(round(term.item(), 6) for term in terms) for terms in values}) == len(LOSSES)


@pytest.mark.parametrize("loss_class", LOSSES)
def test_scales_count_alike_whatever_their_size(loss_class):
    coarse, fine = torch.full((2, 1, 1, 1), 0.4), torch.full((2, 1, 30, 30), -0.8)
    loss = loss_class(Options())
    both = loss.discriminator(seen([coarse, fine], [fine, coarse]))
    one = loss.discriminator(seen([coarse], [fine]))
    other = loss.discriminator(seen([fine], [coarse]))
    for name, term in both.items():
        assert term.item() == pytest.approx((one[name] + other[name]).item() / 2)
        assert term.shape == ()
    # All cells in one pot would let the fine scale drown the coarse one.
    pot = loss.discriminator(seen([torch.cat([coarse.flatten(), fine.flatten()])], [fine]))
    assert both["real"].item() != pytest.approx(pot["real"].item(), rel=1e-3)


def test_vanilla_stays_finite_where_a_sigmoid_would_not():
    logits = torch.tensor([-200.0, 200.0], requires_grad=True)
    assert torch.log(1 - torch.sigmoid(logits.detach())).isinf().any()
    loss = Vanilla(Options())
    terms = loss.discriminator(seen([logits], [logits]))
    assert terms["real"].item() == pytest.approx(100)
    sum(terms.values()).backward()
    assert logits.grad.isfinite().all()


def test_hinge_leaves_alone_what_is_beyond_its_margin():
    real = torch.tensor(1.5, requires_grad=True)
    inside = torch.tensor(0.5, requires_grad=True)
    fake = torch.tensor(-1.5, requires_grad=True)
    loss = Hinge(Options())
    sum(loss.discriminator(seen([real], [fake])).values()).backward()
    loss.discriminator(seen([inside], [fake]))["real"].backward()
    assert real.grad == 0
    assert fake.grad == 0
    assert inside.grad == -1


@pytest.mark.parametrize("loss_class", LOSSES)
def test_contract(loss_class):
    loss = loss_class(Options())
    assert isinstance(loss, Loss)
    assert loss.real_in_generator_turn is False
    assert loss.needs_discriminator is True
    # Before its discriminator begins, an adversarial loss has no terms.
    assert loss.generator(seen(None, None)) == {}


# Relativistic pairing.


@given(real=st.floats(-6, 6), fake=st.floats(-6, 6))
def test_closed_form_of_pairs(real, fake):
    loss = RpGAN(Options())
    for turn, gap in ((loss.discriminator, real - fake), (loss.generator, fake - real)):
        terms = turn(seen(real, fake))
        assert terms.keys() == {"gan"}
        assert terms["gan"].item() == pytest.approx(minus_log_sigmoid(gap), abs=1e-12)


def test_pairs_are_of_the_same_place():
    """Mean of log(1 + exp(-(real_i - fake_i))), by hand; paired otherwise it is another number."""
    real = torch.tensor([[1.0, 2.0], [3.0, -1.0]], dtype=torch.float64)
    fake = torch.tensor([[0.0, 2.0], [-3.0, 1.0]], dtype=torch.float64)
    by_hand = sum(log(1 + exp(-gap)) for gap in (1, 0, 6, -2)) / 4
    loss = RpGAN(Options())
    assert loss.discriminator(seen([real], [fake]))["gan"].item() == pytest.approx(by_hand)
    for other in (fake.flip(0), fake.flip(1), fake.mean().expand(2, 2)):
        term = loss.discriminator(seen([real], [other]))["gan"].item()
        assert term != pytest.approx(by_hand, rel=1e-3)


def test_only_the_difference_of_a_pair_counts():
    loss = RpGAN(Options())
    for turn in (loss.discriminator, loss.generator):
        here, there = turn(seen(0.5, 1.5))["gan"], turn(seen(100.5, 101.5))["gan"]
        assert here.item() == pytest.approx(there.item())
    # The control: a loss of each sample alone tells them apart.
    alone = Vanilla(Options()).generator
    assert alone(seen(0.5, 1.5))["gan"].item() != pytest.approx(alone(seen(0, 101.5))["gan"].item())


def test_pairs_pull_both_ways():
    real = torch.tensor([[0.2]], requires_grad=True)
    fake = torch.tensor([[0.3]], requires_grad=True)
    loss = RpGAN(Options())
    for turn, sign in ((loss.discriminator, -1), (loss.generator, 1)):
        real.grad = fake.grad = None
        turn(seen([real], [fake]))["gan"].backward()
        assert real.grad.sign() == sign
        assert fake.grad == -real.grad


def test_scales_of_pairs_count_alike():
    coarse, fine = torch.full((2, 1, 1, 1), 0.4), torch.full((2, 1, 30, 30), -0.8)
    loss, zero = RpGAN(Options()), torch.zeros
    both = loss.discriminator(seen([coarse, fine], [zero(2, 1, 1, 1), zero(2, 1, 30, 30)]))
    by_hand = (minus_log_sigmoid(0.4) + minus_log_sigmoid(-0.8)) / 2
    assert both["gan"].item() == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("real", "fake", "said"),
    [
        ([(4, 1)], [(3, 1)], "returns 4 x 1 for the real ones and 3 x 1 for the generated"),
        ([(2, 1, 3, 3)], [(2, 1, 1, 1)], "2 x 1 x 3 x 3 for the real"),  # would broadcast
        ([(1, 1)], [(4, 1)], "1 x 1 for the real"),  # so would this
        ([(2, 1), (2, 1)], [(2, 1)], "returns 2 x 1 and 2 x 1 for the real ones and 2 x 1 for"),
    ],
)
def test_what_has_no_pair_is_told(real, fake, said):
    loss = RpGAN(Options())
    inputs = seen([torch.zeros(shape) for shape in real], [torch.zeros(shape) for shape in fake])
    for turn in (loss.discriminator, loss.generator):
        with pytest.raises(RecipeError, match=said) as caught:
            turn(inputs)
        assert "gan/vanilla" in caught.value.hint


def test_contract_of_pairs():
    loss = RpGAN(Options())
    assert isinstance(loss, Loss)
    assert loss.real_in_generator_turn is True
    assert loss.needs_discriminator is True
    assert loss.generator(seen(None, None)) == {}


def test_values_at_known_logits_differ_from_vanilla():
    """At logits of 0 vanilla and rpgan agree (log 2), which is why they are no evidence."""

    def values(cls, real, fake):
        terms = cls(Options())
        inputs = seen(real, fake)
        return (
            sum(term.item() for term in terms.discriminator(inputs).values()),
            sum(term.item() for term in terms.generator(inputs).values()),
        )

    of_vanilla = values(Vanilla, 0.5, -0.25)
    for cls in (LSGAN, Hinge, WGAN, RpGAN):
        for mine, other in zip(values(cls, 0.5, -0.25), of_vanilla, strict=True):
            assert abs(mine - other) > 0.05
    assert values(RpGAN, 0.0, 0.0)[1] == pytest.approx(values(Vanilla, 0.0, 0.0)[1])
