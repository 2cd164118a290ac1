"""gan/from_noise: who plays when, what each network is told, and how inputs are drawn."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

from ganzoo.api import Options
from ganzoo.engine.check import inspect_recipe
from ganzoo.errors import DataError
from ganzoo.interfaces import Clock, Field, NetIO
from ganzoo.plugin_system import registry
from ganzoo.recipe import load_recipe
from ganzoo.testing.networks import io_of
from ganzoo_gan.losses import Vanilla
from ganzoo_gan.task import FromNoise
from ganzoo_gan.task_options import FromNoiseOptions

POINTS = Field((2,), "ganzoo/points")
IMAGES = Field((1, 8, 8), "ganzoo/image")
LABEL = Field((), "ganzoo/class", classes=3)


class Linear(nn.Module):
    """A linear map that adds the class index to its input, so that its effect is seen."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x, y=None):
        return self.linear(x if y is None else x + y[:, None])


class Net:
    """A raw network, called directly; notes its inputs."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.calls: list[tuple[torch.Tensor, ...]] = []

    def __call__(self, *x, precise=False):
        self.calls.append(tuple(one.detach().clone() for one in x))
        return self.module(*x)

    @contextmanager
    def frozen(self):
        self.module.requires_grad_(False)
        try:
            yield self
        finally:
            self.module.requires_grad_(True)


class Optimize:
    """Notes whose turn it was, and which networks it gave gradients to."""

    def __init__(self, nets: dict[str, Net]) -> None:
        self.nets = nets
        self.turns: list[tuple[str, set[str]]] = []

    def __call__(self, player, terms):
        for net in self.nets.values():
            net.module.zero_grad(set_to_none=True)
        sum(terms.values()).backward()
        touched = {
            name
            for name, net in self.nets.items()
            if any(p.grad is not None for p in net.module.parameters())
        }
        self.turns.append((player, touched))


def game(**options):
    nets = {"generator": Net(Linear(2, 2)), "discriminator": Net(Linear(2, 1))}
    task = FromNoise(FromNoiseOptions(latent_size=2, **options), nets, Vanilla(Options()))
    task.clock = Clock(0, 0, 0.0)
    return task, nets, Optimize(nets)


BATCH = {"real": torch.arange(8.0).reshape(4, 2), "label": torch.tensor([0, 1, 2, 0])}


def test_each_turn_moves_its_player_alone_on_noise_of_its_own():
    task, nets, optimize = game()
    task.step(BATCH, optimize)
    assert optimize.turns == [
        ("discriminator", {"discriminator"}),
        ("generator", {"generator"}),
    ]
    (first,), (second,) = nets["generator"].calls
    assert first.shape == second.shape == (4, 2)
    assert not torch.equal(first, second)
    # vanilla asks nothing of the real ones in the generator's turn: real, fake, fake
    assert [len(call[0]) for call in nets["discriminator"].calls] == [4, 4, 4]
    assert torch.equal(nets["discriminator"].calls[0][0], BATCH["real"])


def test_noise_comes_from_torchs_generator_and_is_what_it_is_called():
    def noise(seed, **options):
        task, nets, optimize = game(**options)
        torch.manual_seed(seed)
        task.step({"real": torch.zeros(1000, 2)}, optimize)
        return nets["generator"].calls[0][0]

    assert torch.equal(noise(1), noise(1))
    assert not torch.equal(noise(1), noise(2))
    # variance 1 against 1/3, of 2,000 numbers: the standard errors are 0.03 and 0.007
    assert abs(noise(1).var() - 1) < 0.15
    assert abs(noise(1, latent="uniform").var() - 1 / 3) < 0.04
    assert noise(1, latent="uniform").abs().max() <= 1 < noise(1).abs().max()


def test_the_generator_moves_in_every_nth_step():
    """Five critic steps, then the generator (arXiv 1704.00028, algorithm 1)."""
    task, _, optimize = game(critic_steps=5)
    for step in range(10):
        task.clock = Clock(step, 0, 0.0)
        task.step(BATCH, optimize)
    players = [player for player, _ in optimize.turns]
    assert players == (["discriminator"] * 5 + ["generator"]) * 2
    task, _, optimize = game()  # the control
    task.step(BATCH, optimize)
    assert [player for player, _ in optimize.turns] == ["discriminator", "generator"]


def test_both_networks_are_told_the_batchs_labels_if_conditional():
    task, nets, optimize = game(conditional=True)
    task.step(BATCH, optimize)
    for net in nets.values():
        assert all(torch.equal(call[1], BATCH["label"]) for call in net.calls), net
    task, nets, optimize = game()
    task.step(BATCH, optimize)
    assert all(len(call) == 1 for net in nets.values() for call in net.calls)


def test_the_loss_is_told_the_labels():
    seen = []

    class Listening(Vanilla):
        def discriminator(self, inputs):
            seen.append(dict(inputs.condition))
            return super().discriminator(inputs)

    for conditional in (True, False):
        task, _, optimize = game(conditional=conditional)
        task.loss = Listening(Options())
        task.step(BATCH, optimize)
    assert torch.equal(seen[0]["label"], BATCH["label"])
    assert seen[1] == {}


def test_shapes_follow_the_data():
    options = FromNoiseOptions(latent_size=7)
    for real in (POINTS, IMAGES):
        fields = {"real": real, "label": LABEL}
        noise, made = {"noise": Field((7,), "ganzoo/points")}, {"real": real}
        assert FromNoise.io("generator", options, fields) == NetIO(noise, made)
        assert FromNoise.io("discriminator", options, fields) == NetIO(made)
    options, label = FromNoiseOptions(latent_size=7, conditional=True), {"label": LABEL}
    assert FromNoise.io("generator", options, fields) == NetIO(noise | label, made)
    assert FromNoise.io("discriminator", options, fields) == NetIO(made | label)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"real": Field((8, 8), "ganzoo/labels")}, "numbers that a network can make"),
        ({"real": POINTS}, "no field `label`"),
        ({"real": POINTS, "label": Field((), "ganzoo/class")}, "how many classes"),
        (
            {"real": POINTS, "label": Field((8, 8), "ganzoo/labels", classes=3)},
            "of format ganzoo/labels",
        ),
    ],
)
def test_data_that_do_not_fit_are_refused_with_advice(fields, told):
    with pytest.raises(DataError, match=told) as caught:
        FromNoise.io("generator", FromNoiseOptions(conditional=True), fields)
    assert caught.value.hint


def test_what_is_drawn_depends_on_the_seed_alone_and_deals_classes_evenly():
    options = FromNoiseOptions(latent_size=5, conditional=True)
    io = io_of((5,), (2,), 3)

    def draw(seed, io=io, **changes):
        random = torch.Generator().manual_seed(seed)
        given = options.model_copy(update=changes)
        return FromNoise.draw("sample", given, {"generator": io}, 7, random)

    torch.manual_seed(0)
    one = draw(1)
    torch.manual_seed(99)
    assert torch.equal(one["noise"], draw(1)["noise"])
    assert not torch.equal(one["noise"], draw(2)["noise"])
    assert one["noise"].shape == (7, 5)
    assert one["label"].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert set(draw(1, io_of((5,), (2,)))) == {"noise"}
    assert draw(1, latent="uniform")["noise"].abs().max() <= 1 < one["noise"].abs().max()


def test_what_is_drawn_makes_samples():
    task, nets, _ = game(conditional=True)
    io = io_of((2,), (2,), 3)
    random = torch.Generator().manual_seed(0)
    inputs = FromNoise.draw("sample", task.options, {"generator": io}, 6, random)
    net = nets["generator"].module
    nets = {"generator": net}
    made = FromNoise.apply("sample", task.options, None, {}, nets, inputs)["real"]
    assert torch.equal(made, net(inputs["noise"], inputs["label"]))
    assert not torch.equal(made, net(inputs["noise"]))  # the control: the class counts
    plain = FromNoiseOptions(latent_size=2)
    made = FromNoise.apply("sample", plain, None, {}, nets, inputs)["real"]
    assert torch.equal(made, net(inputs["noise"]))


def test_a_look_shows_generated_beside_real_of_the_same_classes():
    task, nets, _ = game(conditional=True)
    with torch.no_grad():
        shown = task.sample(BATCH, nets)
    assert list(shown) == ["generated", "real"]
    assert shown["generated"].shape == (4, 2)
    assert torch.equal(shown["real"], BATCH["real"])
    assert torch.equal(nets["generator"].calls[0][1], BATCH["label"])


RING = Path(__file__).parents[3] / "recipes" / "gan_ring.toml"


@pytest.mark.parametrize("critic_steps", [1, 5])
def test_a_check_reaches_the_generators_turn(critic_steps):
    """A penalty alone says nothing in the generator's turn, which comes with the fifth step."""
    registry.activate()
    sets = (f"task.critic_steps={critic_steps}", "train.batch_size=8")
    (problem,) = inspect_recipe(load_recipe(RING, (*sets, "loss=gan/r1")))["problems"]
    assert "no term for generator" in problem["message"]
    assert inspect_recipe(load_recipe(RING, (*sets, "loss=gan/wgan")))["problems"] == []


def test_accumulated_steps_count_once_for_the_critic(trainer_of):
    """With two batches a step and three steps a round, the generator moves in steps 3 and 6."""
    registry.activate()
    sets = ("task.critic_steps=3", "train.accumulate=2", "train.batch_size=8", "train.device=cpu")
    recipe = load_recipe(RING, (*sets, "data.train=96", "train.epochs=1", "loss=gan/wgan"))
    trainer = trainer_of(recipe)
    moved = {"generator": [], "discriminator": []}
    while not trainer.done:
        before = {role: net.layers[0].weight.clone() for role, net in trainer.nets.items()}
        trainer.step()
        for role, net in trainer.nets.items():
            if not torch.equal(before[role], net.layers[0].weight):
                moved[role].append(trainer.steps)
    assert moved == {"generator": [3, 6], "discriminator": [1, 2, 3, 4, 5, 6]}
