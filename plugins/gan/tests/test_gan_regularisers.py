"""Penalties against closed forms: their values, and their gradients to the weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganzoo.errors import RecipeError
from ganzoo.interfaces import Clock, Loss, LossInputs, as_output
from ganzoo_gan.loss_options import GPOptions, R1Options, R2Options
from ganzoo_gan.regularisers import R1, R2, GradientPenalty, score

PENALTIES = {
    "gp": (GradientPenalty, GPOptions),
    "r1": (R1, R1Options),
    "r2": (R2, R2Options),
}


def build(name, **options):
    made, options_class = PENALTIES[name]
    return made(options_class.model_validate(options))


def seen(net, real, fake, *, step=0, progress=0.0):
    def discriminate(x, *, precise=False):
        assert precise
        return as_output(net(x))

    clock = Clock(step, 0, progress)
    return LossInputs(real, fake, clock, None, None, discriminate)


def points(count=5, size=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(count, size, generator=draw, dtype=torch.float64)


REAL, FAKE = points(seed=1), 2 * points(seed=2)


@pytest.fixture
def linear():
    """Slope (0.6, 0, -1.1) everywhere; squared length 0.36 + 1.21 = 1.57."""
    net = nn.Linear(3, 1, dtype=torch.float64)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[0.6, 0.0, -1.1]], dtype=torch.float64))
    return net


@pytest.mark.parametrize(
    ("name", "options", "value", "slope"),
    [
        # gamma / 2 * |w|^2, whose gradient is gamma * w
        ("r1", {"gamma": 3}, 1.5 * 1.57, 3.0),
        ("r2", {"gamma": 3}, 1.5 * 1.57, 3.0),
        ("r1", {}, 5 * 1.57, 10.0),
        # weight * (|w| - target)^2, whose gradient is 2 * weight * (|w| - target) * w / |w|
        ("gp", {}, 10 * (1.57**0.5 - 1) ** 2, 20 * (1 - 1.57**-0.5)),
        ("gp", {"weight": 2, "target": 3}, 2 * (1.57**0.5 - 3) ** 2, 4 * (1 - 3 * 1.57**-0.5)),
        ("gp", {"weight": 5, "target": 0}, 5 * 1.57, 10.0),
    ],
)
def test_of_a_linear_discriminator(linear, name, options, value, slope):
    loss = build(name, **options)
    terms = loss.discriminator(seen(linear, REAL, FAKE))
    assert terms.keys() == {"penalty"}
    assert terms["penalty"].item() == pytest.approx(value, rel=1e-12)
    terms["penalty"].backward()
    torch.testing.assert_close(linear.weight.grad, slope * linear.weight.detach())
    assert linear.bias.grad is None  # it has no part in the slope
    # The control: another weight gives another value, by the formula.
    with torch.no_grad():
        linear.weight.mul_(2)
    other = loss.discriminator(seen(linear, REAL, FAKE))["penalty"].item()
    assert other != pytest.approx(value, rel=1e-2)


class Quadratic(nn.Module):
    """x A x / 2 + b: its slope at x is (A + A') / 2 * x."""

    def __init__(self):
        super().__init__()
        matrix = torch.tensor([[1.0, 0.3, 0.0], [-0.2, 0.5, 0.8], [0.1, 0.0, -2.0]])
        self.matrix = nn.Parameter(matrix.double())

    def forward(self, x):
        return (x @ self.matrix * x).sum(1, keepdim=True) / 2 + 7


@pytest.mark.parametrize("name", ["r1", "r2"])
def test_of_a_quadratic_discriminator(name):
    net, gamma = Quadratic(), 4.0
    term = build(name, gamma=gamma).discriminator(seen(net, REAL, FAKE))["penalty"]
    half = (net.matrix.detach() + net.matrix.detach().T) / 2

    def value(x):
        return gamma / 2 * (x @ half).square().sum(1).mean().item()

    here, elsewhere = (REAL, FAKE) if name == "r1" else (FAKE, REAL)
    assert term.item() == pytest.approx(value(here), rel=1e-12)
    assert term.item() != pytest.approx(value(elsewhere), rel=0.1)
    term.backward()
    # With S = (A + A') / 2: d/dS is gamma * mean of S x x', and d/dA is its symmetric part.
    slope = gamma * half @ (here.T @ here / len(here))
    torch.testing.assert_close(net.matrix.grad, (slope + slope.T) / 2)


class Bowl(nn.Module):
    """scale * |x|^2 / 2: its slope at x is scale * x."""

    def __init__(self, scale=1.5):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale, dtype=torch.float64))

    def forward(self, x):
        return self.scale * x.flatten(1).square().sum(1, keepdim=True) / 2


def test_gp_is_taken_between_real_and_fake_with_one_number_a_sample():
    net = Bowl()
    torch.manual_seed(3)
    term = build("gp").discriminator(seen(net, REAL, FAKE))["penalty"]
    torch.manual_seed(3)
    share = torch.rand(5, 1).double()  # one for all values of a sample
    between = share * REAL + (1 - share) * FAKE
    length = between.norm(dim=1)
    by_hand = 10 * (1.5 * length - 1).square().mean()
    assert term.item() == pytest.approx(by_hand.item(), rel=1e-12)
    term.backward()
    by_hand = 10 * (2 * (1.5 * length - 1) * length).mean()
    assert net.scale.grad.item() == pytest.approx(by_hand.item(), rel=1e-12)
    # The control: at the ends, or with a number for each value, it is something else.
    for where in (REAL, FAKE, torch.lerp(FAKE, REAL, torch.rand(5, 3).double())):
        other = 10 * (1.5 * where.norm(dim=1) - 1).square().mean()
        assert term.item() != pytest.approx(other.item(), rel=1e-2)


def test_gp_draws_anew_for_each_step():
    net, loss = Bowl(), build("gp")
    one, other = (loss.discriminator(seen(net, REAL, FAKE))["penalty"].item() for _ in range(2))
    assert one != other


def test_gp_shares_are_uniform_from_fake_to_real():
    """|x_t| is t where real is 1 and fake 0: the mean of t is 1/2, of t^2 1/3 (4 standard errors
    of 40,000 draws: 0.006)."""
    loss = build("gp", weight=1, target=0)
    torch.manual_seed(0)
    ones = torch.ones(40_000, 1)
    term = loss.discriminator(seen(Bowl(1.0), ones, torch.zeros_like(ones)))["penalty"]
    assert term.item() == pytest.approx(1 / 3, abs=0.006)


class TwoScales(nn.Module):
    """Maps of 4 x 4 and 2 x 2 cells, linear in the image's own mean: slopes a and b."""

    def __init__(self, a, b):
        super().__init__()
        self.slopes = nn.Parameter(torch.tensor([a, b], dtype=torch.float64))

    def forward(self, x):
        mean = nn.functional.adaptive_avg_pool2d
        a, b = self.slopes
        return [a * mean(x, 4).mean(1, keepdim=True), b * mean(x, 2).mean(1, keepdim=True)]


def test_cells_are_averaged_then_scales():
    """The score is (a + b) / 2 times the mean of 3 * 8 * 8 values: |slope|^2 = 3.5^2 / 192."""
    net = TwoScales(5.0, 2.0)
    image = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    term = build("r1", gamma=2).discriminator(seen(net, image, image))["penalty"]
    assert term.item() == pytest.approx(3.5**2 / 192, rel=1e-12)
    term.backward()
    assert net.slopes.grad.tolist() == pytest.approx([3.5 / 192] * 2)
    # The control: all 20 cells in one pot would let the fine scale drown the coarse one.
    assert term.item() != pytest.approx(((16 * 5 + 4 * 2) / 20) ** 2 / 192, rel=1e-2)
    assert score(as_output(net(image))).shape == (2,)


def test_the_gradient_is_that_of_the_image_alone():
    source = torch.rand(2, 1, 4, 4, dtype=torch.float64)
    image = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    net = nn.Conv2d(4, 1, 4, dtype=torch.float64)
    of_source, of_image = net.weight[:, :1], net.weight[:, 1:]
    inputs = seen(lambda x: net(torch.cat([source, x], 1)), image, image)
    for name in ("r1", "r2"):
        term = build(name, gamma=2).discriminator(inputs)["penalty"].item()
        assert term == pytest.approx(of_image.square().sum().item())
        both = of_image.square().sum() + of_source.square().sum()
        assert term != pytest.approx(both.item(), rel=1e-2)


@pytest.mark.parametrize("name", PENALTIES)
def test_neither_samples_nor_their_makers_get_a_gradient(name, linear):
    # Detached: a penalty that made the shared samples need a gradient would hide here.
    real, fake = (x.detach().clone().requires_grad_() for x in (REAL, FAKE))
    build(name).discriminator(seen(nn.Sequential(linear, nn.Softplus()), real, fake))[
        "penalty"
    ].backward()
    assert linear.weight.grad.any()
    assert real.grad is None
    assert fake.grad is None


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("interval", [1, 4, 16])
def test_lazily_the_mean_over_the_steps_stays(name, interval, linear):
    eager = build(name).discriminator(seen(linear, REAL, FAKE, step=3))["penalty"].item()
    lazy = build(name, interval=interval)
    terms = [lazy.discriminator(seen(linear, REAL, FAKE, step=step)) for step in range(32)]
    there = [step for step, term in enumerate(terms) if term]
    assert there == list(range(0, 32, interval))
    total = sum(term["penalty"].item() for term in terms if term)
    assert total / 32 == pytest.approx(eager, rel=1e-12)


@pytest.mark.parametrize(("name", "weight"), [("gp", "weight"), ("r1", "gamma"), ("r2", "gamma")])
def test_weights_anneal(name, weight, linear):
    at_one = build(name, **{weight: 1}).discriminator(seen(linear, REAL, FAKE))["penalty"].item()
    loss = build(name, **{weight: {"from": 10, "to": 2, "until": 0.5}})
    for progress, factor in ((0, 10), (0.25, 6), (0.5, 2), (1, 2)):
        term = loss.discriminator(seen(linear, REAL, FAKE, progress=progress))["penalty"].item()
        assert term == pytest.approx(factor * at_one)


@pytest.mark.parametrize("name", PENALTIES)
def test_steps_along_its_gradient_level_the_slope(name, linear):
    """To |w| = 1 for gp, to 0 for the others."""
    loss = build(name)
    optimizer = torch.optim.SGD(linear.parameters(), lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        loss.discriminator(seen(linear, REAL, FAKE))["penalty"].backward()
        optimizer.step()
    assert linear.weight.norm().item() == pytest.approx(1 if name == "gp" else 0, abs=1e-3)


def test_a_level_discriminator_has_a_finite_gradient():
    """The length of a zero vector has no derivative; 0 is the one that does no harm."""
    net = nn.Linear(3, 1, dtype=torch.float64)
    nn.init.zeros_(net.weight)
    for name, value in (("gp", 10.0), ("r1", 0.0), ("r2", 0.0)):
        net.weight.grad = None
        term = build(name).discriminator(seen(net, REAL, FAKE))["penalty"]
        term.backward()
        assert term.item() == value
        assert net.weight.grad.isfinite().all()


def test_the_size_of_a_batch_makes_no_difference():
    net = Quadratic()
    once = build("r1").discriminator(seen(net, REAL, FAKE))["penalty"]
    twice = build("r1").discriminator(seen(net, REAL.repeat(2, 1), FAKE))["penalty"]
    assert twice.item() == pytest.approx(once.item())
    # The control: of other samples.
    assert build("r1").discriminator(seen(net, REAL[:2], FAKE))["penalty"].item() != pytest.approx(
        once.item(), rel=1e-2
    )


@pytest.mark.parametrize("name", PENALTIES)
def test_contract(name, linear):
    loss = build(name)
    assert isinstance(loss, Loss)
    assert loss.real_in_generator_turn is False
    assert loss.needs_discriminator is True
    assert loss.generator(seen(linear, REAL, FAKE)) == {}


def test_gp_without_a_fake_for_each_real_is_told(linear):
    with pytest.raises(RecipeError, match=r"shows 5 x 3 real and 4 x 3 generated") as caught:
        build("gp").discriminator(seen(linear, REAL, FAKE[:4]))
    assert "gan/r1" in caught.value.hint
    assert build("r1").discriminator(seen(linear, REAL, FAKE[:4]))  # which doesn't mind
