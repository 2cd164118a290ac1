"""The order of play, with small stand-ins for the engine's networks and optimizers."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from torch import nn

from ganzoo.errors import DataError
from ganzoo.interfaces import Clock, Field, NetIO
from ganzoo.plugin_system import registry
from ganzoo_pix2pix.loss import CGANL1
from ganzoo_pix2pix.options import CGANL1Options, PairedOptions
from ganzoo_pix2pix.task import Paired

BATCH = {
    "source": torch.linspace(-1, 1, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4),
    "target": torch.linspace(1, -0.5, 2 * 2 * 4 * 4).reshape(2, 2, 4, 4),
}


class FakeNet:
    """A raw network, called directly; notes each call."""

    def __init__(self, module: nn.Module, name: str, story: list[str]) -> None:
        self.module, self.name, self.story = module, name, story
        self.seen: list[torch.Tensor] = []

    def __call__(self, x, *, precise=False):
        self.story.append(f"{self.name} forward")
        self.seen.append(x.detach())
        return self.module(x)

    @contextmanager
    def frozen(self):
        def call(x, *, precise=False):
            self.story.append(f"{self.name} frozen forward")
            self.seen.append(x.detach())
            return self.module(x)

        self.module.requires_grad_(False)
        try:
            yield call
        finally:
            self.module.requires_grad_(True)


class FakeOptimize:
    """Plain gradient descent; notes terms, and whose weights a turn gave gradients to."""

    clock = Clock(0, 0, 0.0)

    def __init__(self, nets: dict[str, FakeNet], story: list[str]) -> None:
        self.nets, self.story = nets, story
        self.terms: dict[str, dict[str, float]] = {}
        self.moved: dict[str, set[str]] = {}

    def __call__(self, player, terms):
        self.story.append(f"{player} step")
        self.terms[player] = {name: term.item() for name, term in terms.items()}
        for net in self.nets.values():
            net.module.zero_grad(set_to_none=True)
        sum(terms.values()).backward()
        self.moved[player] = {
            name
            for name, net in self.nets.items()
            if any(p.grad is not None for p in net.module.parameters())
        }
        with torch.no_grad():
            for parameter in self.nets[player].module.parameters():
                parameter.sub_(parameter.grad, alpha=0.5)


def table(*, conditional=True, update="alternate", discriminator=True, **weights):
    registry.activate()
    torch.manual_seed(0)
    story: list[str] = []
    nets = {"generator": FakeNet(nn.Conv2d(3, 2, 1), "G", story)}
    if discriminator:
        channels = 5 if conditional else 2
        nets["discriminator"] = FakeNet(nn.Conv2d(channels, 1, 2), "D", story)
    options = PairedOptions(conditional=conditional, update=update)
    task = Paired(options, nets, CGANL1(CGANL1Options(**weights)))
    task.clock = Clock(0, 0, 0.0)
    return task, FakeOptimize(nets, story), story


def gan_term(discriminator: nn.Module, source, fake) -> float:
    logits = discriminator(torch.cat([source, fake], 1))
    target = torch.ones_like(logits)
    return nn.functional.binary_cross_entropy_with_logits(logits, target).item()


def test_order_of_play():
    task, optimize, story = table()
    task.step(BATCH, optimize)
    assert story == [
        "G forward",
        "D forward",  # real
        "D forward",  # generated, detached
        "discriminator step",
        "D frozen forward",  # generated again, by the discriminator just improved
        "generator step",
    ]


def test_simultaneous_play_computes_both_turns_first():
    task, optimize, story = table(update="simultaneous")
    task.step(BATCH, optimize)
    assert story == [
        "G forward",
        "D forward",
        "D forward",
        "D frozen forward",
        "generator step",
        "discriminator step",
    ]


@pytest.mark.parametrize("update", ["alternate", "simultaneous"])
def test_the_generator_meets_the_discriminator_as_the_order_says(update):
    task, optimize, _ = table(update=update)
    generator, discriminator = (task.nets[role].module for role in ("generator", "discriminator"))
    fake = generator(BATCH["source"]).detach()
    before = gan_term(discriminator, BATCH["source"], fake)
    task.step(BATCH, optimize)
    after = gan_term(discriminator, BATCH["source"], fake)
    assert abs(after - before) > 1e-3  # the step moved something that this can see
    expected = {"alternate": after, "simultaneous": before}[update]
    assert optimize.terms["generator"]["gan"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("update", ["alternate", "simultaneous"])
def test_each_turn_gives_gradients_to_its_own_player_alone(update):
    task, optimize, _ = table(update=update)
    task.step(BATCH, optimize)
    assert optimize.moved == {"discriminator": {"discriminator"}, "generator": {"generator"}}
    assert all(p.requires_grad for p in task.nets["discriminator"].module.parameters())


def test_without_freezing_the_discriminator_would_get_the_generators_gradients():
    task, optimize, _ = table()
    judge = task.nets["discriminator"]
    judge.frozen = lambda: _unfrozen(judge)
    task.step(BATCH, optimize)
    assert optimize.moved["generator"] == {"generator", "discriminator"}


@contextmanager
def _unfrozen(net):
    yield net


def test_the_other_order_of_simultaneous_steps_is_an_error_of_autograd():
    # Why the generator goes first: its gradient reads weights that D's step would have changed.
    task, optimize, _ = table(update="simultaneous")
    source, target = BATCH["source"], BATCH["target"]
    fake = task.nets["generator"](source)

    def see(image):
        return torch.cat([source, image], 1)

    judge = task.nets["discriminator"]
    terms = task.loss.discriminator(task.look("discriminator", judge, target, fake.detach(), see))
    with judge.frozen() as frozen:
        late = task.loss.generator(task.look("generator", frozen, target, fake, see))
    optimize("discriminator", terms)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        optimize("generator", late)


@pytest.mark.parametrize("conditional", [True, False])
def test_what_the_discriminator_sees(conditional):
    task, optimize, _ = table(conditional=conditional)
    fake = task.nets["generator"].module(BATCH["source"]).detach()
    task.step(BATCH, optimize)
    shown = task.nets["discriminator"].seen
    for image, seen in zip((BATCH["target"], fake, fake), shown, strict=True):
        expected = torch.cat([BATCH["source"], image], 1) if conditional else image
        torch.testing.assert_close(seen, expected)


def test_logged_terms():
    task, optimize, _ = table()
    task.step(BATCH, optimize)
    assert {player: set(terms) for player, terms in optimize.terms.items()} == {
        "discriminator": {"real", "fake"},
        "generator": {"gan", "l1"},
    }


def test_without_a_discriminator_the_generator_plays_alone():
    task, optimize, story = table(discriminator=False, gan_weight=0)
    before = task.nets["generator"].module.weight.clone()
    task.step(BATCH, optimize)
    assert story == ["G forward", "generator step"]
    assert optimize.terms["generator"].keys() == {"l1"}
    assert not torch.equal(task.nets["generator"].module.weight, before)


def test_without_a_discriminator_the_adversarial_term_is_left_out():
    """So it is before the discriminator begins; a recipe without one is refused by the engine."""
    task, optimize, _ = table(discriminator=False)
    assert task.loss.needs_discriminator
    task.step(BATCH, optimize)
    assert optimize.terms["generator"].keys() == {"l1"}


def image(channels: int, height: int, width: int) -> Field:
    return Field((channels, height, width), "ganzoo/image")


def test_shapes_come_from_the_data():
    fields = {"source": image(1, 64, 96), "target": image(3, 64, 96)}
    conditional, blind = PairedOptions(), PairedOptions(conditional=False)
    for options in (conditional, blind):
        source, target = ({name: field} for name, field in fields.items())
        assert Paired.io("generator", options, fields) == NetIO(source, target)
    judged = Paired.io("discriminator", conditional, fields)
    assert judged == NetIO({"source_and_target": image(4, 64, 96)})
    assert Paired.io("discriminator", blind, fields) == NetIO(target)


def test_images_of_two_sizes_are_refused():
    fields = {"source": image(3, 64, 96), "target": image(3, 64, 64)}
    with pytest.raises(DataError, match="source is 96 x 64 and target 64 x 64") as caught:
        Paired.io("generator", PairedOptions(), fields)
    assert "task.conditional = false" in caught.value.hint
    source, target = ({name: field} for name, field in fields.items())
    apart = PairedOptions(conditional=False)
    assert Paired.io("generator", apart, fields) == NetIO(source, target)
    assert Paired.io("discriminator", apart, fields) == NetIO(target)


def test_what_is_no_image_is_refused_by_name():
    fields = {"source": Field((64, 64), "ganzoo/labels"), "target": image(3, 64, 64)}
    with pytest.raises(DataError, match="format ganzoo/labels") as caught:
        Paired.io("generator", PairedOptions(), fields)
    assert caught.value.where == "source"


def test_samples_and_predictions_are_the_generators():
    task, _, _ = table()
    net = task.nets["generator"].module
    shown = task.sample(BATCH, {"generator": net})
    assert list(shown) == ["source", "generated", "target"]
    assert shown["source"] is BATCH["source"]
    assert shown["target"] is BATCH["target"]
    assert torch.equal(shown["generated"], net(BATCH["source"]))
    inputs = {"source": BATCH["source"]}
    predicted = Paired.apply("translate", task.options, None, {}, {"generator": net}, inputs)[
        "target"
    ]
    assert torch.equal(predicted, shown["generated"])


def test_contract():
    assert Paired.needs == {"source", "target"}
    assert list(Paired.applications) == ["translate"]
    assert Paired.applications["translate"].roles == ("generator",)
    assert Paired.optional == {"discriminator"}
    assert Paired.roles.keys() == Paired.players.keys() == {"generator", "discriminator"}
    task, _, _ = table()
    assert task.state_dict() == {}
