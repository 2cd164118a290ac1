"""The order of play, its terms and calls, the image pool, and shapes; with toy networks."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from torch import nn

from ganzoo.errors import DataError, RecipeError
from ganzoo.interfaces import Clock, Field, NetIO
from ganzoo_cyclegan.options import UnpairedOptions
from ganzoo_cyclegan.pool import ImagePool
from ganzoo_cyclegan.task import Unpaired

BATCH = {
    "source": torch.linspace(-1, 1, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4),
    "target": torch.linspace(1, -0.5, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4),
}
GENERATORS = {"generator_ab", "generator_ba"}
DISCRIMINATORS = {"discriminator_a", "discriminator_b"}


class Net:
    """A raw network that counts its calls and keeps what it was shown."""

    def __init__(self, module):
        self.module, self.seen = module, []

    def __call__(self, x, *, precise=False):
        self.seen.append(x.detach())
        return self.module(x)

    @contextmanager
    def frozen(self):
        self.module.requires_grad_(False)
        try:
            yield self
        finally:
            self.module.requires_grad_(True)


class Optimize:
    """Backward alone; notes terms and whose weights got gradients, once a player and step."""

    def __init__(self, nets):
        self.nets, self.terms, self.moved = nets, {}, {}

    def __call__(self, player, terms):
        assert player not in self.terms  # one backward a player
        self.terms[player] = {name: term.item() for name, term in terms.items()}
        for net in self.nets.values():
            net.module.zero_grad(set_to_none=True)
        sum(terms.values()).backward()
        self.moved[player] = {
            role
            for role, net in self.nets.items()
            if any(p.grad is not None for p in net.module.parameters())
        }


class Mean:
    """Terms that are easy to work out: mean logits; wants real images in every turn if told."""

    def __init__(self, *, real_in_generator_turn=False):
        self.real_in_generator_turn = real_in_generator_turn
        self.inputs = []

    def discriminator(self, inputs):
        return {"fake": inputs.fake_output.logits[0].mean()}

    def generator(self, inputs):
        self.inputs.append(inputs)
        return {"gan": -inputs.fake_output.logits[0].mean()}


def table(loss=None, **options):
    torch.manual_seed(0)
    nets = {role: Net(nn.Conv2d(3, 3, 1)) for role in sorted(GENERATORS)}
    nets |= {role: Net(nn.Conv2d(3, 1, 2)) for role in sorted(DISCRIMINATORS)}
    task = Unpaired(UnpairedOptions(**options), nets, loss or Mean())
    task.clock = Clock(0, 0, 0.0)
    return task, Optimize(nets)


def raw(task, role, x):
    with torch.no_grad():
        return task.nets[role].module(x)


def test_terms_are_the_papers():
    task, optimize = table(cycle=8, identity=0.25, pool_size=0)
    a, b = BATCH["source"], BATCH["target"]
    to_b, to_a = (lambda x, r=r: raw(task, r, x) for r in ("generator_ab", "generator_ba"))
    l1 = nn.functional.l1_loss
    expected = {
        "a/gan": -raw(task, "discriminator_a", to_a(b)).mean(),
        "b/gan": -raw(task, "discriminator_b", to_b(a)).mean(),
        "cycle_a": 8 * l1(to_a(to_b(a)), a),
        "cycle_b": 8 * l1(to_b(to_a(b)), b),
        "identity_a": 2 * l1(to_a(a), a),
        "identity_b": 2 * l1(to_b(b), b),
    }
    task.step(BATCH, optimize)
    assert optimize.terms["generators"] == pytest.approx(
        {name: value.item() for name, value in expected.items()}, abs=1e-6
    )
    half = {f"{d}/fake": -0.5 * expected[f"{d}/gan"].item() for d in "ab"}
    assert optimize.terms["discriminators"] == pytest.approx(half, abs=1e-6)
    # The control: swapped directions would be seen.
    assert abs(expected["cycle_a"] - expected["cycle_b"]) > 1e-3


def test_each_turn_gives_gradients_to_its_own_player_alone():
    task, optimize = table()
    task.step(BATCH, optimize)
    assert optimize.moved == {"generators": GENERATORS, "discriminators": DISCRIMINATORS}


@pytest.mark.parametrize(
    ("options", "calls"),
    [({}, 3), ({"identity": 0}, 2), ({"cycle": 0}, 1), ({"cycle": {"from": 1, "to": 0}}, 3)],
)
def test_what_is_switched_off_costs_no_call(options, calls):
    task, optimize = table(**options)
    task.step(BATCH, optimize)
    assert {len(task.nets[role].seen) for role in GENERATORS} == {calls}
    assert len(optimize.terms["generators"]) == 2 * calls


def test_weights_anneal():
    task, optimize = table(cycle={"from": 4, "to": 2})
    task.clock = Clock(5, 5, 0.5)
    task.step(BATCH, optimize)
    fixed, other = table(cycle=3)
    fixed.step(BATCH, other)
    assert optimize.terms["generators"] == pytest.approx(other.terms["generators"])


def test_relativistic_losses_get_real_images_in_the_generators_turn():
    task, optimize = table(Mean(real_in_generator_turn=True))
    task.step(BATCH, optimize)
    (first, second) = task.loss.inputs
    assert torch.equal(first.real, BATCH["source"])
    assert torch.equal(second.real, BATCH["target"])
    assert first.real_output is not None
    plain, optimize = table()
    plain.step(BATCH, optimize)
    assert plain.loss.inputs[0].real_output is None


def image(channels, height, width):
    return Field((channels, height, width), "ganzoo/image", aligned=False)


def test_shapes_come_from_the_data():
    fields = {"source": image(1, 8, 12), "target": image(3, 8, 12)}
    options = UnpairedOptions(identity=0)
    source, target = ({name: field} for name, field in fields.items())
    assert {role: Unpaired.io(role, options, fields) for role in Unpaired.roles} == {
        "generator_ab": NetIO(source, target),
        "generator_ba": NetIO(target, source),
        "discriminator_a": NetIO(source),
        "discriminator_b": NetIO(target),
    }


def test_identity_between_other_channels_is_refused_in_words():
    fields = {"source": image(1, 8, 8), "target": image(3, 8, 8)}
    with pytest.raises(RecipeError, match="1 channels and target 3") as caught:
        Unpaired.io("generator_ab", UnpairedOptions(), fields)
    assert "task.identity = 0" in caught.value.hint
    assert Unpaired.io("generator_ab", UnpairedOptions(cycle=0), fields).images_in() == (1, 8, 8)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (image(3, 8, 8), "source is 12 x 8 and target 8 x 8"),
        (Field((8, 12), "ganzoo/labels"), "labels"),
    ],
)
def test_unfit_data_are_refused_by_name(target, message):
    fields = {"source": image(3, 8, 12), "target": target}
    with pytest.raises(DataError, match=message):
        Unpaired.io("generator_ab", UnpairedOptions(), fields)


def test_each_generator_predicts_from_its_own_field():
    task, _ = table()
    nets = {role: net.module for role, net in task.nets.items()}
    shown = task.sample(BATCH, nets)
    for name, role, field, caption in (
        ("a_to_b", "generator_ab", "source", "source to target"),
        ("b_to_a", "generator_ba", "target", "target to source"),
    ):
        application = Unpaired.applications[name]
        assert (application.takes, application.roles) == ((field,), (role,))
        inputs = {field: BATCH[field]}
        made = Unpaired.apply(name, task.options, None, {}, {role: nets[role]}, inputs)
        assert list(made) == list(application.gives)
        assert torch.equal(made[application.gives[0]], nets[role](BATCH[field]))
        assert torch.equal(made[application.gives[0]], shown[caption])


def numbered(first, count):
    return torch.arange(first, first + count).float().reshape(-1, 1, 1, 1)


def test_a_pool_fills_then_gives_half_from_history():
    torch.manual_seed(0)
    pool = ImagePool(50)
    assert torch.equal(pool.exchange(numbered(0, 50)), numbered(0, 50))
    old = 0
    for step in range(1000):
        shown = pool.exchange(numbered(100 + step, 1))
        old += int(shown.item() != 100 + step)
        assert len(pool.images) == 50
    assert 440 < old < 560  # 1/2, four standard deviations of 16
    assert len({image.item() for image in pool.images}) == 50  # swapped, never doubled


def test_a_pool_of_none_lets_everything_through():
    pool = ImagePool(0)
    before = torch.get_rng_state()
    assert all(pool.exchange(numbered(n, 2)).equal(numbered(n, 2)) for n in range(9))
    assert torch.equal(before, torch.get_rng_state())
    assert pool.state_dict() == {}


def test_discriminators_see_the_pool_and_a_resume_goes_on_with_it():
    task, optimize = table(pool_size=3)
    for _ in range(4):
        task.step(BATCH, Optimize(task.nets))
    state = task.state_dict()
    assert state["a"]["images"].shape == (3, 3, 4, 4)
    other, _ = table(pool_size=3)
    other.load_state_dict(state)
    empty, _ = table(pool_size=3)
    seen = []
    for one in (task, other, empty):
        torch.manual_seed(1)
        optimize = Optimize(one.nets)
        one.step({name: value + 0.1 for name, value in BATCH.items()}, optimize)
        seen.append(one.nets["discriminator_b"].seen[-1])
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    smaller, _ = table(pool_size=2)
    smaller.load_state_dict(state)
    assert len(smaller.pools["a"].images) == 2
