"""The engine's promises, each beside a control that shows the test can fail."""

import json
import math
import sys
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ganzoo.api import Scalar
from ganzoo.data.pipeline import open_data
from ganzoo.data.sampler import StreamSampler, permutation
from ganzoo.engine import checkpoint
from ganzoo.engine.accelerate_session import Resolved, resolve
from ganzoo.engine.ema import Ema
from ganzoo.engine.intervals import Limits, Ticker, parse_duration
from ganzoo.engine.loop import Loop
from ganzoo.engine.optimizers import PlayerSettings, build_optimizer
from ganzoo.engine.plan import plan_networks
from ganzoo.engine.run import run
from ganzoo.errors import (
    DivergedError,
    EnvironmentFault,
    ExitCode,
    GanzooError,
    RecipeError,
    UsageError,
)
from ganzoo.interfaces import Clock
from ganzoo.observers import Voice
from ganzoo.plugin_system.registry import activate, current
from ganzoo.recipe import load_recipe
from ganzoo.recipe.model import Optimizer, OptimizerKeys, Train
from ganzoo.testing.trial import weights_of

QUIET = Voice(quiet=True)


# --- the order of images ---------------------------------------------------------------------


def stream(*, length, batch, world, rank=0, start=0, stop):
    return [
        position
        for chunk in StreamSampler(
            length=length, batch_size=batch, rank=rank, world=world, seed=3, start=start, stop=stop
        )
        for position in chunk
    ]


@given(
    length=st.integers(1, 20),
    batch=st.integers(1, 3),
    world=st.integers(1, 4),
    steps=st.integers(1, 12),
)
def test_ranks_together_read_what_one_process_reads(length, batch, world, steps):
    stop = steps * batch * world
    whole = stream(length=length, batch=batch * world, world=1, stop=stop)
    parts = [
        stream(length=length, batch=batch, world=world, rank=r, stop=stop) for r in range(world)
    ]
    joined = [
        position
        for step in range(steps)
        for part in parts
        for position in part[step * batch : (step + 1) * batch]
    ]
    assert joined == whole


@given(length=st.integers(1, 20), batch=st.integers(1, 5), done=st.integers(0, 8))
def test_a_resume_reads_on_where_it_stopped(length, batch, done):
    stop = 12 * batch
    whole = stream(length=length, batch=batch, world=1, stop=stop)
    assert (
        stream(length=length, batch=batch, world=1, start=done * batch, stop=stop)
        == whole[done * batch :]
    )


@given(length=st.integers(2, 30), epochs=st.integers(1, 4))
def test_every_epoch_sees_every_image_once(length, epochs):
    positions = stream(length=length, batch=1, world=1, stop=length * epochs)
    for epoch in range(epochs):
        seen = [index for its_epoch, index in positions if its_epoch == epoch]
        assert sorted(seen) == list(range(length))


def test_epochs_and_seeds_have_orders_of_their_own():
    assert permutation(0, 0, 50).tolist() != permutation(0, 1, 50).tolist()
    assert permutation(0, 0, 50).tolist() != permutation(1, 0, 50).tolist()
    assert permutation(0, 0, 50).tolist() == permutation(0, 0, 50).tolist()


# --- clocks and schedules -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        ("2 steps", [2, 4, 6]),
        ("7 images", [3, 5]),  # 3 images a step: 9 and 15 are the first counts past 7 and 14
        (
            "1 epoch",
            [2, 3, 4, 6],
        ),  # 4 images an epoch: 6, 9, 12 and 18 are past 4, 8, at 12, past 16
        ("never", []),
    ],
)
def test_clocks_tick_when_an_interval_ends(every, expected):
    ticker = Ticker(every, length=4)
    assert [n for n in range(1, 7) if ticker.due(n, 3 * (n - 1), 3 * n)] == expected


def test_a_clock_of_minutes_ticks_by_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("ganzoo.engine.intervals.time.monotonic", lambda: now[0])
    ticker = Ticker("10 minutes", length=4)
    due = []
    for step in range(1, 7):
        now[0] += 300
        due.append(ticker.due(step, step, step + 1))
    assert due == [False, True] * 3


def test_a_tick_between_two_agreements_isnt_lost(monkeypatch):
    """Several processes on an accelerator agree every tenth step alone."""
    now = [0.0]
    monkeypatch.setattr("ganzoo.engine.intervals.time.monotonic", lambda: now[0])
    minutes, steps = Ticker("10 minutes", length=4), Ticker("1 step", length=4)
    loop = SimpleNamespace(_clocks=lambda: [minutes, steps])
    now[0] = 601
    assert Loop._due(loop, 9, 8, 9, agree=False) == {minutes: False, steps: True}
    assert Loop._due(loop, 10, 9, 10, agree=True) == {minutes: True, steps: True}
    assert Loop._due(loop, 11, 10, 11, agree=True) == {minutes: False, steps: True}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("0.5m", 30)]
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["soon", "", "nan", "inf", "-5", "3", "0m"])
def test_no_duration_is_explained(text):
    with pytest.raises(UsageError, match=f"'{text}' is not a duration"):
        parse_duration(text)


def optimizer(name: str, schedule: str = "constant", lr=2e-4, betas=None, **shape) -> Optimizer:
    """One of the core's optimizers with one of its schedules."""
    options = {"use": f"ganzoo/{name}", "lr": lr}
    if betas is not None and name.startswith("adam"):
        options["betas"] = betas
    elif betas is not None:
        options |= dict(
            zip(("momentum", "alpha"), betas if name == "rmsprop" else betas[:1], strict=False)
        )
    keys = current().choose("schedule", {"use": f"ganzoo/{schedule}", **shape})
    return Optimizer(current().choose("optimizer", options), OptimizerKeys(schedule=keys))


@pytest.mark.parametrize(
    ("epoch", "rate"),
    # REFERENCE: epoch e (from 1) has lr * (1 - max(0, e - 100) / 101)
    [(1, 2e-4), (100, 2e-4), (101, 2e-4 * 100 / 101), (200, 2e-4 * 1 / 101)],
)
def test_the_reference_schedule(epoch, rate):
    options = optimizer("adam", "linear", lr=2e-4, hold=0.5, every="epoch")
    images = (epoch - 1) * 400
    clock = Clock(step=images, images=images, progress=images / 80_000, epoch=epoch - 1)
    assert PlayerSettings(options, 200).rate(clock) == pytest.approx(rate, rel=1e-12)
    last = Clock(
        step=images + 399, images=images + 399, progress=(images + 399) / 80_000, epoch=epoch - 1
    )
    assert PlayerSettings(options, 200).rate(last) == PlayerSettings(options, 200).rate(clock)


def test_the_published_rates_of_the_reference():
    options = optimizer("adam", "linear", lr=2e-4, hold=0.5, every="epoch")
    rates = [PlayerSettings(options, 200).rate(Clock(0, 0, 0.0, epoch=e - 1)) for e in (101, 200)]
    assert [f"{rate:.4e}" for rate in rates] == ["1.9802e-04", "1.9802e-06"]


def test_smooth_schedules_end_at_nothing():
    for shape in ("linear", "cosine"):
        options = optimizer("adam", shape, lr=1.0, hold=0.5)
        rate = [PlayerSettings(options, 10).rate(Clock(0, 0, p)) for p in (0, 0.5, 0.75, 1)]
        assert rate == pytest.approx([1, 1, 0.5, 0], abs=1e-12)
    warm = optimizer("adam", "constant", lr=1.0, warmup=0.1)
    assert PlayerSettings(warm, 10).rate(Clock(0, 0, 0.05)) == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop"])
def test_each_optimizer_is_the_one_named_and_moves(name):
    weight = nn.Parameter(torch.ones(3))
    made = build_optimizer(optimizer(name, lr=0.1), [weight], 1)
    assert type(made).__name__.lower() == name
    weight.sum().backward()
    made.step()
    assert (weight < 1).all()


# --- weights, players, gradients --------------------------------------------------------------


def test_swapping_the_generator_leaves_the_discriminator_and_the_batches(tiny, trainer_of):
    one = trainer_of(tiny)
    batch = next(one._open_stream())
    first = {k: v.clone() for k, v in one.nets["discriminator"].state_dict().items()}
    generator = [p.shape for p in one.nets["generator"].parameters()]
    two = trainer_of(
        tiny, "generator=pix2pix/encoder_decoder", "generator.depth=5", "generator.width=4"
    )
    assert [p.shape for p in two.nets["generator"].parameters()] != generator
    second = two.nets["discriminator"].state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = next(two._open_stream())
    assert all(torch.equal(batch[name], other[name]) for name in batch)
    third = trainer_of(tiny, "train.seed=1").nets["discriminator"].state_dict()
    assert not all(torch.equal(first[name], third[name]) for name in first)


def test_accumulated_batches_equal_the_joined_batch(tiny, trainer_of):
    exact = (
        "train.precision=fp64",
        "generator.norm=instance",
        "discriminator.norm=instance",
        "generator.dropout=0",
        # Alternating play isn't equal: all but the last of the accumulated batches show the
        # generator a discriminator that hasn't moved yet.
        "task.update=simultaneous",
    )
    joined = trainer_of(tiny, *exact, "train.batch_size=4")
    for _ in range(3):
        joined.step()
    expected = weights_of(joined.nets)
    parts = trainer_of(tiny, *exact, "train.batch_size=2", "train.accumulate=2")
    for _ in range(3):
        parts.step()
    assert parts.images == joined.images == 12
    got = weights_of(parts.nets)
    # Not to the bit: the same numbers are added in another order.
    worst = max((got[name] - expected[name]).abs().max().item() for name in got)
    assert worst < 1e-8
    control = trainer_of(tiny, *exact, "train.batch_size=2")
    for _ in range(3):
        control.step()
    worst = max(
        (tensor - expected[name]).abs().max().item()
        for name, tensor in weights_of(control.nets).items()
    )
    assert worst > 1e-6


def test_clipping_bounds_each_players_own_gradient(tiny, trainer_of, monkeypatch):
    seen = []
    clip = nn.utils.clip_grad_norm_

    def watch(parameters, limit):
        parameters = list(parameters)
        before = clip(parameters, limit)
        after = torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in parameters]))
        seen.append((limit, before.item(), after.item()))
        return before

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", watch)
    trainer = trainer_of(tiny, "players.generator.clip=0.5")
    trainer.step()
    assert [limit for limit, _, _ in seen] == [0.5]  # the discriminator's isn't clipped
    _, before, after = seen[0]
    assert before > 0.5
    assert after == pytest.approx(0.5, rel=1e-4)


def test_the_frozen_player_gets_no_gradient(tiny, trainer_of):
    trainer = trainer_of(tiny)
    net = trainer.prepared["discriminator"]
    x = torch.randn(2, 6, 32, 32, requires_grad=True)
    with net.frozen() as frozen:
        frozen(x).sum().backward()
    assert x.grad is not None
    assert all(p.grad is None and p.requires_grad for p in net.module.parameters())
    net(x).sum().backward()  # the control
    assert all(p.grad is not None for p in net.module.parameters())


def test_precise_switches_autocast_off(tiny, trainer_of):
    trainer = trainer_of(tiny, "train.precision=bf16")
    net = trainer.prepared["discriminator"]
    x = torch.randn(2, 6, 32, 32)
    net.module.eval()
    exact = net.module(x)
    assert torch.equal(net(x, precise=True), exact)
    assert not torch.equal(net(x), exact)  # the control: bf16 rounds
    assert net(x).dtype == torch.float32


def test_ema_halves_the_old_value_after_its_half_life():
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 1.0)
    ema = Ema(net, Scalar(10))
    nn.init.constant_(net.weight, 0.0)
    for _ in range(5):
        ema.update(net, 2, Clock(0, 0, 0.0))
    assert ema.module.weight.item() == pytest.approx(0.5, rel=1e-6)


# --- what anneals -------------------------------------------------------------------------------


def test_a_half_life_follows_the_clock():
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 1.0)
    ema = Ema(net, Scalar.model_validate({"from": 1, "to": 10}))
    nn.init.constant_(net.weight, 0.0)
    ema.update(net, 10, Clock(5, 50, 1.0))  # at the end: one half-life
    assert ema.module.weight.item() == pytest.approx(0.5, rel=1e-6)
    ema.update(net, 10, Clock(0, 0, 0.0))  # at the beginning: ten
    assert ema.module.weight.item() == pytest.approx(0.5 * 2**-10, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("adam", {"lr": 0.02, "betas": (0.25, 0.95)}),
        ("adamw", {"lr": 0.02, "betas": (0.25, 0.95)}),
        ("sgd", {"lr": 0.02, "momentum": 0.25}),
        ("rmsprop", {"lr": 0.02, "momentum": 0.25, "alpha": 0.95}),
    ],
)
def test_groups_hold_what_the_clock_says(name, expected):
    """Halfway from 0.03 to 0.01, from 0 to 0.5, from 0.9 to 1."""
    lr, betas = {"from": 0.03, "to": 0.01}, [{"from": 0, "to": 0.5}, {"from": 0.92, "to": 0.98}]
    options = optimizer(name, lr=lr, betas=betas)
    held = PlayerSettings(options, 1).at(Clock(1, 1, 0.5))
    assert held.keys() == expected.keys()
    assert all(held[key] == pytest.approx(value) for key, value in expected.items())
    made = build_optimizer(options, [nn.Parameter(torch.zeros(2))], 1)
    known = set(made.param_groups[0])
    assert set(expected) <= known  # or torch would ignore what is written into the groups


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop"])
@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 0.5), (0.5, 0)])
def test_every_optimizer_takes_a_momentum_that_comes_or_goes(name, first, last):
    options = optimizer(name, lr=0.1, betas=[{"from": first, "to": last}, 0.9])
    weight = nn.Parameter(torch.ones(2))
    made = build_optimizer(options, [weight], 1)
    moved = []
    for progress in (0.0, 0.5, 1.0):
        held = PlayerSettings(options, 1).at(Clock(0, 0, progress))
        made.param_groups[0].update(held | {"lr": 0.1})
        weight.grad, before = torch.ones(2), weight.detach().clone()
        made.step()
        moved.append((before - weight.detach())[0].item())
    if name == "sgd":  # 1, then 1 + momentum * 1, ...
        momenta = [first, (first + last) / 2, last]
        speed = [1.0]
        for momentum in momenta[1:]:
            speed.append(1 + momentum * speed[-1])
        assert moved == pytest.approx([0.1 * one for one in speed])
    assert all(one > 0 for one in moved)


def test_annealing_reaches_the_optimizer_and_the_clipping(tiny, trainer_of, monkeypatch):
    norms, clip = [], nn.utils.clip_grad_norm_
    monkeypatch.setattr(
        torch.nn.utils, "clip_grad_norm_", lambda p, norm: (norms.append(norm), clip(p, norm))
    )
    trainer = trainer_of(
        tiny,
        "optimizer.lr={from=1e-3,to=1e-4}",
        "optimizer.betas=[{from=0,to=0.5}, 0.99]",
        "players.generator.clip={from=1,to=0.5,until=0.5}",
        "optimizer.schedule.shape=constant",
    )
    seen = []
    for _ in range(3):
        trainer.step()
        group = trainer.stepper.optimizers["generator"].param_groups[0]
        seen.append((group["lr"], group["betas"]))
    progress = [images / trainer.planned_images for images in range(3)]
    assert [lr for lr, _ in seen] == pytest.approx([1e-3 - 9e-4 * p for p in progress])
    assert [betas[0] for _, betas in seen] == pytest.approx([0.5 * p for p in progress])
    assert {betas[1] for _, betas in seen} == {0.99}
    assert norms == pytest.approx([1 - p for p in progress])


# --- values that are not finite -----------------------------------------------------------------

POISON = '''
from ganzoo.api import component

@component("loss")
def late():
    return Late

class Late:
    """Fine until the third step, then not a number, in one term of one player."""

    def __init__(self, options):
        pass

    def discriminator(self, inputs):
        return {"all": inputs.fake_output.logits[0].mean() ** 2}

    def generator(self, inputs):
        bad = float("nan") if inputs.clock.step >= 2 else 1.0
        return {"l1": (inputs.fake - inputs.real).abs().mean(), "odd": bad * inputs.fake.mean()}
'''


@pytest.fixture
def _poison(tmp_path):
    """A plugin file with a loss that goes wrong, known for one test."""
    before = activate()
    file = tmp_path / "poison.py"
    file.write_text(POISON)
    activate(files=[file])
    yield
    activate(records=before.records)
    sys.modules.pop("poison", None)
    sys.path.remove(str(tmp_path))


@pytest.mark.usefixtures("_poison")
def test_a_term_that_is_not_finite_is_named_and_never_saved(tiny, tmp_path):
    recipe = load_recipe(
        tiny, ("loss=poison/late", "checkpoints.every=1 steps", "watch.log=100 steps")
    )
    result = run(recipe, out=tmp_path / "run", voice=QUIET)
    assert result.exit_code == ExitCode.DIVERGED
    assert result.outcome == "diverged"
    assert "'odd'" in result.error.message
    assert "'generator'" in result.error.message
    assert "step 3" in result.error.message
    assert "step_2" in result.error.hint
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [2, 1]
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["state"] == "diverged"


def test_poisoned_weights_are_never_saved(tiny, trainer_of):
    trainer = trainer_of(tiny)
    trainer.step()
    trainer.check_finite()
    with torch.no_grad():
        next(trainer.nets["generator"].parameters()).view(-1)[0] = math.inf
    with pytest.raises(DivergedError, match="weights of generator"):
        trainer.check_finite()


# --- precision and device -----------------------------------------------------------------------


def test_fp16_on_a_cpu_is_refused():
    with pytest.raises(EnvironmentFault, match="fp16 needs CUDA") as caught:
        resolve(Train.model_validate({"precision": "fp16", "device": "cpu"}))
    assert caught.value.exit_code == ExitCode.ENVIRONMENT


@pytest.mark.parametrize(("fast", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_precision_follows_the_cpu(monkeypatch, fast, precision):
    monkeypatch.setattr("ganzoo.nn.device_and_precision.multiplies_bf16", lambda _: fast)
    assert resolve(Train.model_validate({"device": "cpu"})).precision == precision


@pytest.mark.parametrize(
    ("device", "bf16", "precision"),
    [
        *[("cuda", True, "bf16"), ("cuda", False, "fp16")],
        *[("cpu", True, "bf16"), ("cpu", False, "fp32"), ("mps", True, "fp32")],
    ],
)
def test_auto_precision_follows_the_device(monkeypatch, device, bf16, precision):
    monkeypatch.setattr("ganzoo.engine.accelerate_session.pick_device", lambda _: device)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert resolve(Train()).precision == precision


def test_a_resume_keeps_what_auto_became():
    stored = Resolved("cpu", "fp32", 3, 1, 0, channels_last=False)
    again = resolve(Train.model_validate({"device": "cpu"}), stored)
    assert (again.precision, again.threads) == ("fp32", 3)
    assert stored.differences(again) == []
    two = Resolved("cpu", "fp32", 3, 2, 0, channels_last=False)
    assert stored.differences(two) == ["ranks 1 -> 2"]


def test_the_scaler_path_steps_each_player_on_its_own(tiny, trainer_of):
    """fp16's logic, with a scaler of the CPU: an overflow in D must not change G's step.

    G's gradient would be scaled twice if the scaler were updated between its backward and its step.
    """
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    trainer = trainer_of(tiny, "players.generator.clip=1e9")
    trainer.session.accelerator.scaler = scaler
    d = next(trainer.nets["discriminator"].parameters())
    d.register_hook(lambda grad: torch.full_like(grad, math.inf))  # D overflows, every step
    before = weights_of(trainer.nets)
    trainer.step()
    after = weights_of(trainer.nets)
    stayed = [n for n, _ in trainer.nets["discriminator"].named_parameters()]
    stayed = [f"discriminator.{name}" for name in stayed]
    assert all(torch.equal(before[name], after[name]) for name in stayed)
    moved = [
        n
        for n, _ in trainer.nets["generator"].named_parameters()
        if not torch.equal(before[f"generator.{n}"], after[f"generator.{n}"])
    ]
    assert moved
    assert scaler.get_scale() == 2.0**9  # halved once, by D's overflow
    tensors, plain = trainer.stepper.state()
    assert plain["scaler"]["scale"] == 2.0**9
    trainer.stepper.load_state(tensors, json.loads(json.dumps(plain)))


# --- what a recipe may ask for --------------------------------------------------------------------


def test_sizes_a_network_cant_take_are_refused_with_the_nearest(tiny):
    recipe = load_recipe(tiny, ("data.size=48",))
    with pytest.raises(RecipeError, match="multiples of 32") as caught:
        plan_networks(recipe, open_data(recipe, "train").fields)
    assert "32 or 64" in caught.value.hint


def test_an_unknown_player_is_refused(tiny):
    recipe = load_recipe(tiny, ("players.critic.lr=1e-3",))
    with pytest.raises(RecipeError, match=r"players\.critic"):
        plan_networks(recipe, open_data(recipe, "train").fields)


def test_a_loss_that_needs_a_discriminator_says_so(tiny, tmp_path):
    recipe = load_recipe(tiny, ("discriminator=none",))
    with pytest.raises(RecipeError, match="needs a discriminator"):
        run(recipe, out=tmp_path / "run", limits=Limits(1), voice=QUIET)


def test_an_optimise_call_in_the_wrong_order_is_explained(tiny, trainer_of):
    trainer = trainer_of(tiny)
    g, d = trainer.prepared["generator"], trainer.prepared["discriminator"]
    batch = trainer.session.move(next(trainer._open_stream()))
    fake = g(batch["source"])
    see = torch.cat([batch["source"], fake], 1)
    with d.frozen() as judge:
        term = judge(see).mean()
    trainer.stepper("discriminator", {"x": d(see.detach()).mean()})
    with pytest.raises(GanzooError, match="another player has already changed"):
        trainer.stepper("generator", {"x": term})


# --- checkpoints ----------------------------------------------------------------------------------

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(plain=plain_values, numbers=st.lists(st.floats(allow_nan=False, width=32), max_size=4))
def test_task_state_survives_being_split(plain, numbers):
    tensors = {}
    state = {"pool": [torch.tensor(numbers), {"deep": torch.zeros(2)}], "plain": plain}
    rest = json.loads(json.dumps(checkpoint.split_tensors(state, "task", tensors)))
    back = checkpoint.join_tensors(rest, tensors)
    assert back["plain"] == plain
    assert torch.equal(back["pool"][0], torch.tensor(numbers))
    assert torch.equal(back["pool"][1]["deep"], torch.zeros(2))


def test_a_full_disk_leaves_the_older_checkpoint_whole(tiny, tmp_path, monkeypatch):
    path = tmp_path / "run"
    run(load_recipe(tiny), out=path, limits=Limits(2), voice=QUIET)

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    result = run(None, resume=path, limits=Limits(3), voice=QUIET)
    assert result.exit_code == ExitCode.ENVIRONMENT
    assert "No space left" in result.error.message
    folder, problems = checkpoint.newest_good(path / "checkpoints")
    assert (folder.name, problems) == ("step_2", [])


def test_old_checkpoints_go_but_the_last_and_the_kept_stay(tiny, tmp_path):
    recipe = load_recipe(tiny, ("checkpoints.every=1 steps", "checkpoints.keep=2"))
    run(recipe, out=tmp_path / "run", limits=Limits(5), voice=QUIET)
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [5, 4, 3]
    assert (tmp_path / "run" / "checkpoints" / "LATEST").read_text().strip() == "step_5"


def test_a_run_directory_in_use_is_never_overwritten(tiny, tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    (path / "mine.txt").write_text("keep me")
    with pytest.raises(UsageError, match="isn't empty"):
        run(load_recipe(tiny), out=path, limits=Limits(1), voice=QUIET)
    assert [file.name for file in path.iterdir()] == ["mine.txt"]
