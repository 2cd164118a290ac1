"""Every loss beside every penalty in a task that knows of none of them (pix2pix, tiny)."""

from __future__ import annotations

import json
from contextlib import contextmanager
from math import isfinite

import pytest
import torch

from ganzoo.cli.main import main
from ganzoo.recipe import load_recipe
from ganzoo.testing.trial import training, weights_of

LOSSES = ("vanilla", "lsgan", "hinge", "wgan", "rpgan")
PENALTIES = ("none", "r1", "gp")
PLAIN = ("discriminator.norm=none", "generator.norm=instance", "generator.dropout=0")
"""Nothing that makes a sample's output depend on the others of its batch, or is drawn."""


def recipe_file(tiny, loss, *penalties):
    lines = [f'extends = "{tiny.name}"', 'name = "mine"']
    lines += ["[[loss]]", 'use = "pix2pix/cgan_l1"', f'gan = "gan/{loss}"']
    for penalty in penalties:
        use, _, options = penalty.partition(" ")
        lines += ["[[loss]]", f'use = "gan/{use}"', options]
    file = tiny.parent / "mine.toml"
    file.write_text("\n".join(lines))
    return file


@contextmanager
def trainer_of(tiny, loss, *penalties, sets=()):
    with training(load_recipe(recipe_file(tiny, loss, *penalties), list(sets))) as trainer:
        yield trainer


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", LOSSES)
def test_two_steps(tiny, loss, penalty):
    penalties = () if penalty == "none" else (penalty,)
    with trainer_of(tiny, loss, *penalties) as trainer:
        before = weights_of(trainer.nets)
        trainer.step()
        trainer.step()
        logs, after = trainer.stepper.logs(), weights_of(trainer.nets)
    prefix = "cgan_l1/" if penalties else ""
    of_d = ["gan"] if loss == "rpgan" else ["real", "fake"]
    wanted = {f"discriminator/{prefix}{term}" for term in of_d}
    wanted |= {f"generator/{prefix}{term}" for term in ("gan", "l1")}
    wanted |= {f"discriminator/{name}/penalty" for name in penalties}
    assert set(logs) == wanted
    assert all(isfinite(value) for value in logs.values())
    assert all(logs[f"discriminator/{name}/penalty"] > 0 for name in penalties)
    for role in ("generator", "discriminator"):
        assert any(
            name.startswith(role) and not torch.equal(before[name], after[name]) for name in before
        )


def test_each_loss_and_penalty_moves_the_discriminator_elsewhere(tiny):
    """From the same start: no two of the combinations are one under two names.

    `hinge` is left out: within its margins, where D begins, its gradient is that of `wgan`.
    """
    ends = {}
    for loss in ("vanilla", "lsgan", "wgan", "rpgan"):
        for penalty in ((), ("r1",), ("r2",), ("gp",)):
            with trainer_of(tiny, loss, *penalty) as trainer:
                trainer.step()
                first = next(iter(d_moments(trainer).values()))
                ends[loss, penalty] = tuple(first.flatten().tolist())
    assert len(set(ends.values())) == len(ends) == 16


def d_moments(trainer):
    """The discriminator's gradients of the first step, halved by Adam's beta1 = 0.5."""
    state = trainer.stepper.state()[0]
    return {
        name: value.clone()
        for name, value in state.items()
        if name.startswith("optimizer/discriminator") and name.endswith("exp_avg")
    }


def worst(one, other):
    assert one.keys() == other.keys() != set()
    return max((one[name] - other[name]).abs().max().item() for name in one)


def test_accumulated_batches_are_one_batch(tiny):
    """Two batches of one, accumulated, give the gradient of one of two."""

    def gradients(batch, accumulate, *penalties):
        train = (f"train.batch_size={batch}", f"train.accumulate={accumulate}")
        sets = (*PLAIN, "train.precision=fp64", *train)
        with trainer_of(tiny, "rpgan", *penalties, sets=sets) as trainer:
            trainer.step()
            logs = trainer.stepper.logs()
            # The generator's differ: the first of two batches meets D before its step.
            return d_moments(trainer), {k: v for k, v in logs.items() if k.startswith("disc")}

    one, logs = gradients(2, 1, "r1", "r2 interval = 3")
    two, again = gradients(1, 2, "r1", "r2 interval = 3")
    assert worst(one, two) < 1e-12
    assert logs == pytest.approx(again, rel=1e-6)
    # The control: one batch of one, or no penalty, gives another.
    assert worst(one, gradients(1, 1, "r1", "r2 interval = 3")[0]) > 1e-6
    assert worst(one, gradients(2, 1, "r1")[0]) > 1e-6


def test_bf16_leaves_the_penalty_in_full_precision(tiny):
    """At the first step networks and real images are the same; logits are rounded, slopes not."""
    terms = []
    for precision in ("fp32", "bf16"):
        sets = (*PLAIN, f"train.precision={precision}")
        with trainer_of(tiny, "lsgan", "r1", sets=sets) as trainer:
            trainer.step()
            assert all(p.dtype == torch.float32 for p in trainer.nets["discriminator"].parameters())
            terms.append(trainer.stepper.logs())
    exact, rounded = terms
    name = "discriminator/r1/penalty"
    assert rounded[name] == pytest.approx(exact[name], rel=1e-6)
    control = "discriminator/cgan_l1/real"
    assert rounded[control] != pytest.approx(exact[control], rel=1e-6)


def test_the_slope_is_that_of_the_target_beside_its_source(tiny):
    """r1 in the log is 5 * mean |d score / d target|^2, not that of source and target."""
    with trainer_of(tiny, "vanilla", "r1", sets=PLAIN) as trainer:
        batch = trainer.session.move(next(trainer._open_stream()))
        shown = torch.cat([batch["source"], batch["target"]], 1).requires_grad_()
        score = trainer.nets["discriminator"](shown).flatten(1).mean(1)
        (slope,) = torch.autograd.grad(score.sum(), shown)
        trainer.step()
        logged = trainer.stepper.logs()["discriminator/r1/penalty"]
    squares = slope.square().sum((2, 3)).mean(0)
    assert logged == pytest.approx(5 * squares[3:].sum().item(), rel=1e-5)
    assert logged != pytest.approx(5 * squares.sum().item(), rel=1e-2)


def test_lazily_it_is_logged_at_its_steps(tiny):
    with trainer_of(tiny, "rpgan", "r1 interval = 2") as trainer:
        there = []
        for _ in range(4):
            trainer.step()
            there.append("discriminator/r1/penalty" in trainer.stepper.logs())
    assert there == [True, False, True, False]


@pytest.fixture
def ganzoo(capsys):
    def go(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        return code, capsys.readouterr().err

    return go


def test_both_players_are_in_the_log_of_a_run(tiny, ganzoo):
    file = recipe_file(tiny, "rpgan", "r1 gamma = { from = 10, to = 1 }", "r2 interval = 2")
    out = tiny.parent / "run"
    code, said = ganzoo("run", file, "--max-steps", 2, "--out", out, "--set", "watch.log=1 step")
    assert code == 0, said
    first, second = (
        set(json.loads(line)["losses"])
        for line in (out / "metrics.jsonl").read_text().splitlines()[:2]
    )
    always = {
        "discriminator/cgan_l1/gan",
        "discriminator/r1/penalty",
        "generator/cgan_l1/gan",
        "generator/cgan_l1/l1",
    }
    assert first == {*always, "discriminator/r2/penalty"}
    assert second == always


@pytest.mark.parametrize("penalty", ["r1", "r2", "gp"])
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_penalty_alone_is_a_recipes_mistake(tiny, ganzoo, command, penalty):
    code, said = ganzoo(command, tiny, "--set", f"loss=gan/{penalty}")
    assert code == 3
    assert "gives no term for generator" in said
    assert "needs another [[loss]] beside it" in said
    assert "Traceback" not in said


def test_a_penalty_without_a_discriminator_is_a_recipes_mistake(tiny, ganzoo):
    sets = ("--set", "discriminator=none", "--set", "loss=gan/r1")
    code, said = ganzoo("check", tiny, *sets)
    assert code == 3
    assert "gan/r1 needs a discriminator" in said
