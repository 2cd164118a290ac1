"""The paper's five schedules: what optimizers, penalties, averages and augmentation really use.

All of it is measured in steps of ganzoo's trainer on the recipe of the paper, with small networks
and scikit-learn's digits; nothing is read from the options.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from ganzoo.recipe import load_recipe
from ganzoo.testing import CheckFailed, trial
from ganzoo.testing.trial import batch_of, training, weights_of

RECIPE = Path(__file__).parents[3] / "recipes/paper/r3gan_cifar10.toml"
BATCH = 64
Found = TypeVar("Found")
NETWORK = "{use='r3gan/resnet', widths=[8, 8], blocks=[1, 1], cardinalities=[2, 2]}"
SMALL = (
    "data={use='gan/digits', size=8}",
    "augment=[]",
    f"generator={NETWORK}",
    f"discriminator={NETWORK}",
    "train={epochs=50, precision='fp64', device='cpu', workers=0, threads=1}",
    f"train.batch_size={BATCH}",
)
CONSTANT = (
    "optimizer={lr=2e-4, betas=[0.0, 0.9]}",
    "loss=[{use='gan/rpgan'}, {use='gan/r1', gamma=0.05}, {use='gan/r2', gamma=0.05}]",
    "diffaugment=[{use='gan/diffaugment', p=0.3}]",
    "ema={enabled=true, half_life=1000}",
)
BURNT_IN = 0.08  # share of the planned images after which nothing changes any more
CLOCKS = (0.0, BURNT_IN / 2, BURNT_IN, 1.0)


def half_cosine(first: float, last: float) -> list[float]:
    """Values at `CLOCKS`: the middle of the way is the mean of both ends."""
    return [first, (first + last) / 2, last, last]


class Scene:
    """One trainer, put back to its first weights and random state before each measured step."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.first = weights_of(trainer.nets)
        self.random = torch.get_rng_state()
        self.terms: dict[str, float] = {}
        self.shown: list[Tensor] = []
        self.given: list[Tensor] = []
        inner = trainer.stepper

        def noted(player: str, terms: dict[str, Tensor]) -> None:
            # "discriminator/r1": each penalty has one term, under the loss's name
            self.terms |= {f"{player}/{n.split('/')[0]}": t.item() for n, t in terms.items()}
            inner(player, terms)

        self.noted = noted
        raw = trainer.nets["discriminator"]
        raw.register_forward_pre_hook(lambda _, args: self.shown.append(args[0].detach()))
        shell = trainer.prepared["discriminator"]._shell  # before it augments
        shell.register_forward_pre_hook(lambda _, args: self.given.append(args[0].detach()))

    def step_at(self, progress: float) -> None:
        """One step as it is at a clock, from the first weights, on the first batch."""
        trainer = self.trainer
        for role, net in trainer.nets.items():
            kept = {name.removeprefix(f"{role}."): t for name, t in self.first.items()}
            net.load_state_dict({name: kept[name] for name in net.state_dict()})
        torch.set_rng_state(self.random)
        self.shown.clear()
        self.given.clear()
        trainer.images = int(progress * trainer.planned_images)
        stepper, task = trainer.stepper, trainer.task
        clock = trainer.clock
        stepper.clock = task.clock = clock
        for net in trainer.prepared.values():
            net.begin_step(clock)
        task.step(batch_of(trainer, *range(BATCH)), self.noted)


def of_scene(measure: Callable[[Scene], Found], *sets: str) -> Found:
    """What is measured in the small recipe, changed by `--set`."""
    with training(load_recipe(RECIPE, (*SMALL, *sets))) as trainer:
        return measure(Scene(trainer))


def rates(scene: Scene) -> list[dict[str, tuple[float, float]]]:
    found = []
    for progress in CLOCKS:
        scene.step_at(progress)
        optimizers = scene.trainer.stepper.optimizers
        groups = {player: one.param_groups[0] for player, one in optimizers.items()}
        found.append({player: (g["lr"], g["betas"][1]) for player, g in groups.items()})
    return found


def test_rate_and_second_beta_of_both_players():
    found = of_scene(rates)
    for player in ("generator", "discriminator"):
        assert [one[player][0] for one in found] == pytest.approx(half_cosine(2e-4, 5e-5), rel=1e-3)
        assert [one[player][1] for one in found] == pytest.approx(half_cosine(0.9, 0.99), rel=1e-3)
    constant = of_scene(rates, *CONSTANT)
    assert all(one["generator"] == one["discriminator"] == (2e-4, 0.9) for one in constant)


def penalties(scene: Scene) -> dict[str, list[float]]:
    """R1 and R2 of the same weights, batch and noise at each clock, relative to the first."""
    found: dict[str, list[float]] = {"r1": [], "r2": []}
    for progress in CLOCKS:
        scene.step_at(progress)
        for name, values in found.items():
            values.append(scene.terms[f"discriminator/{name}"])
    return {name: [value / values[0] for value in values] for name, values in found.items()}


def test_gamma_of_both_penalties():
    plain = "diffaugment=[]"  # or the same slope wouldn't be measured twice
    expected = [value / 0.05 for value in half_cosine(0.05, 0.005)]
    found = of_scene(penalties, plain)
    assert found["r1"] == pytest.approx(expected, rel=1e-3)
    assert found["r2"] == pytest.approx(expected, rel=1e-3)
    constant = of_scene(penalties, *CONSTANT[:2], plain)
    assert constant["r1"] == pytest.approx([1, 1, 1, 1])


def half_lives(scene: Scene) -> list[float]:
    """What a step in which the weights went from 0 to 1 makes of their average, in images."""
    trainer, found = scene.trainer, []
    ema = trainer.ema["generator"]
    for progress in CLOCKS:
        for average in ema.module.parameters():
            average.data.zero_()
        trainer.images = int(progress * trainer.planned_images)
        net = trainer.nets["generator"]
        for weight in net.parameters():
            weight.data.fill_(1.0)
        ema.update(net, trainer.images_per_step, trainer.clock)
        kept = 1 - next(ema.module.parameters()).flatten()[0].item()
        found.append(-trainer.images_per_step / math.log2(kept) if kept else 0.0)
    return found


def test_half_life_of_the_average():
    # 64 images at a half-life of 1 leave 2^-64, which is nothing in double precision.
    expected = half_cosine(0.0, 5e6)
    assert of_scene(half_lives) == pytest.approx(expected, rel=1e-2)
    assert of_scene(half_lives, *CONSTANT) == pytest.approx([1000] * 4, rel=1e-3)


def shares_changed(scene: Scene) -> list[float]:
    """Share of the images that the discriminator was shown otherwise than they were given."""
    found = []
    for progress in CLOCKS:
        scene.step_at(progress)
        assert len(scene.given) == len(scene.shown) == 6  # real, fake, two penalties; real, fake
        changed = [
            (given != shown).flatten(1).any(1)
            for given, shown in zip(scene.given, scene.shown, strict=True)
        ]
        found.append(torch.cat(changed).float().mean().item())
    return found


def test_probability_of_augmentation():
    one_change = "diffaugment=[{use='gan/diffaugment', policy=['cutout'], p=%s}]"
    annealed = one_change % "{from=0.0, to=0.55, until=0.08, shape='cosine'}"
    found = of_scene(shares_changed, annealed)
    assert found[0] == 0
    # 384 draws: standard error at most 0.026. A cut may fall on what was 0 already: not here.
    assert found[1:] == pytest.approx([0.275, 0.55, 0.55], abs=0.1)
    constant = of_scene(shares_changed, one_change % "0.3")
    assert constant == pytest.approx([0.3] * 4, abs=0.1)
    # The recipe's own three changes, each of which leaves an image alone with probability 1 - p.
    assert of_scene(shares_changed)[3] == pytest.approx(1 - 0.45**3, abs=0.1)


# Everything above at once, resumed in the middle of it. Few images are planned, so that each step
# is another place on every schedule.
GAMMA = "gamma={from=0.05, to=0.005, shape='cosine'}"
QUICK = (
    "data={use='gan/stacked_digits', source='digits', size=8, train=64}",
    "task.conditional=false",
    "train.epochs=1",
    "train.batch_size=4",
    f"loss=[{{use='gan/rpgan'}}, {{use='gan/r1', {GAMMA}}}, {{use='gan/r2', {GAMMA}}}]",
    "diffaugment=[{use='gan/diffaugment', p={from=0.0, to=0.55, shape='cosine'}}]",
    "optimizer.lr={from=2e-4, to=5e-5, shape='cosine'}",
    "optimizer.betas=[0.0, {from=0.9, to=0.99, shape='cosine'}]",
    "ema={enabled=true, half_life={from=1, to=50, shape='cosine'}}",
)


def test_a_resume_in_the_middle_of_all_schedules_is_exact(tmp_path):
    recipe = load_recipe(RECIPE, (*SMALL, *QUICK))
    trial.same_after_a_resume(recipe, tmp_path)


def test_a_resume_at_another_place_of_the_schedules_is_noticed(tmp_path, monkeypatch):
    """Control: the same weights, batches and random numbers; only the clock is another."""
    restore = trial.restore

    def late(trainer: Any, state: Any) -> None:
        restore(trainer, state)
        trainer.planned_images *= 2

    monkeypatch.setattr(trial, "restore", late)
    recipe = load_recipe(RECIPE, (*SMALL, *QUICK))
    with pytest.raises(CheckFailed, match="after a resume"):
        trial.same_after_a_resume(recipe, tmp_path)
