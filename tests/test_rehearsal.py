"""`ganzoo check` refuses what wouldn't make a step, and nothing else."""

import copy
from pathlib import Path

import pytest
import torch

from ganzoo.data.pipeline import open_data
from ganzoo.engine.accelerate_session import Session, resolve
from ganzoo.engine.check import inspect_recipe
from ganzoo.engine.dry_run import rehearse
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import ExitCode, PluginError, RecipeError
from ganzoo.interfaces import NetIO
from ganzoo.plugin_system import registry
from ganzoo.recipe import load_recipe

TOYS = Path(__file__).parent / "toys"


@pytest.fixture(autouse=True)
def _toys():
    before = registry.current()
    registry.activate(files=[TOYS / "fitting_toy.py", TOYS / "broken_toy.py"])
    yield
    registry.activate(records=before.records)


def steps(recipe):
    """What two real steps come to: the error, or None."""
    session = Session(resolve(recipe.train), accumulate=1)
    try:
        trainer = Trainer(recipe, open_data(recipe, "train"), session)
        for _ in range(2):
            trainer.step()
        trainer.check_finite()
    except Exception as error:  # noqa: BLE001  # a plugin's own, too
        return error
    finally:
        session.close()
    return None


@pytest.mark.parametrize(
    "sets",
    [
        (),
        ("discriminator=fitting_toy/critic", "loss=fitting_toy/features"),
        ("discriminator=fitting_toy/narrow", "task.conditional=false"),
        ("generator=fitting_toy/looking",),
        ("discriminator=none", "loss.gan_weight=0"),
        ("loss=broken_toy/counting",),
        ("train.batch_size=3",),
        ("discriminator=fitting_toy/pairs", "train.batch_size=4"),
    ],
)
def test_what_makes_steps_is_legal(tiny, sets):
    recipe = load_recipe(tiny, sets)
    assert inspect_recipe(recipe)["problems"] == []
    assert steps(recipe) is None


@pytest.mark.parametrize(
    ("sets", "said", "where"),
    [
        (
            ("loss=fitting_toy/features",),
            (
                "pix2pix/paired can't make a step with pix2pix/unet, pix2pix/patchgan, "
                "fitting_toy/features: IndexError: tuple index out of range"
            ),
            "fitting_toy, line 23",
        ),
        (
            ("discriminator=fitting_toy/narrow",),
            "fitting_toy/narrow can't take 6 x 32 x 32: RuntimeError: Given groups=1",
            "discriminator",
        ),
        (("loss=broken_toy/vector",), "is no single number", ""),
        (("loss=broken_toy/detached",), "don't depend on its weights", ""),
        (("generator=broken_toy/identity",), "has no weights to train", ""),
        (("discriminator=none",), "needs a discriminator, and the recipe has none", "loss"),
    ],
)
def test_what_makes_no_step_is_refused_with_the_reason(tiny, sets, said, where):
    recipe = load_recipe(tiny, sets)
    (problem,) = inspect_recipe(recipe)["problems"]
    assert said in problem["message"]
    assert problem["where"] == where
    assert problem["exit_code"] in {ExitCode.RECIPE, ExitCode.PLUGIN}
    assert steps(recipe) is not None  # the control: it really doesn't


def test_a_rehearsal_draws_no_random_numbers_of_the_process(tiny):
    recipe = load_recipe(tiny, ("generator=fitting_toy/looking",))
    before = torch.get_rng_state()
    inspect_recipe(recipe)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_command_tells_the_reason(tiny, capsys):
    from ganzoo.cli.main import main

    plugin = ["--plugin", str(TOYS / "fitting_toy.py")]
    arguments = [*plugin, "check", str(tiny), "--set"]
    assert main([*arguments, "loss=fitting_toy/features"]) == ExitCode.RECIPE
    assert "IndexError: tuple index out of range" in capsys.readouterr().err
    assert main([*arguments, "discriminator=fitting_toy/critic"]) == ExitCode.DONE


def test_a_run_refuses_what_a_rehearsal_refuses_and_leaves_no_directory(tiny, tmp_path):
    refused = load_recipe(tiny, ("loss=broken_toy/detached",))
    with pytest.raises(PluginError, match="don't depend on its weights"):
        run(refused, out=tmp_path / "refused", limits=Limits(1))
    assert not (tmp_path / "refused").exists()
    legal = load_recipe(tiny, ("loss=broken_toy/counting",))  # the control: a directory is made
    assert run(legal, out=tmp_path / "legal", limits=Limits(1)).exit_code == ExitCode.DONE
    assert (tmp_path / "legal" / "status.json").is_file()


def test_a_run_on_the_cpu_plays_with_its_whole_batch_and_copies_of_its_networks(tiny, tmp_path):
    """The network of pairs takes no odd batch: neither may the rehearsal take another one."""
    pairs = "discriminator=fitting_toy/pairs"
    odd = load_recipe(tiny, (pairs, "train.batch_size=3"))
    with pytest.raises(RecipeError, match="can't make a step with"):
        run(odd, out=tmp_path / "odd", limits=Limits(1))
    assert not (tmp_path / "odd").exists()
    even = load_recipe(tiny, (pairs, "train.batch_size=4", "train.precision=fp64"))
    assert run(even, out=tmp_path / "even", limits=Limits(1)).exit_code == ExitCode.DONE


def test_a_network_that_cannot_be_copied_runs_all_the_same(tiny, tmp_path):
    recipe = load_recipe(tiny, ("discriminator=fitting_toy/normed",))
    assert run(recipe, out=tmp_path / "run", limits=Limits(1)).exit_code == ExitCode.DONE
    chosen = recipe.networks["discriminator"]
    network = chosen.build(NetIO((6, 8, 8), (1,)))
    with pytest.raises(RuntimeError, match="deepcopy"):  # the control: it can't
        copy.deepcopy(network)
    refused = load_recipe(tiny, ("discriminator=fitting_toy/normed", "loss=broken_toy/detached"))
    with pytest.raises(PluginError, match="don't depend on its weights"):  # still played
        run(refused, out=tmp_path / "refused", limits=Limits(1))


def test_copies_play_and_the_networks_stay(tiny):
    recipe = load_recipe(tiny)
    session = Session(resolve(recipe.train), accumulate=1)
    try:
        trainer = Trainer(recipe, open_data(recipe, "train"), session)
        stored = {
            role: {name: value.clone() for name, value in net.state_dict().items()}
            for role, net in trainer.nets.items()
        }
        rehearse(recipe, trainer.plan, trainer.nets)
        for role, net in trainer.nets.items():
            for name, value in net.state_dict().items():
                assert torch.equal(value, stored[role][name]), f"{role}, {name}"
        trainer.step()  # the control: a step changes weights and statistics
        changed = [
            name
            for role, net in trainer.nets.items()
            for name, value in net.state_dict().items()
            if not torch.equal(value, stored[role][name])
        ]
        assert any("running_mean" in name for name in changed)
    finally:
        session.close()
