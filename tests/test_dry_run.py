"""`ganzoo check` refuses what wouldn't make a step, and nothing else."""

import copy
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn

from ganzoo.api import Chosen
from ganzoo.cli.main import main
from ganzoo.engine.check import inspect_recipe
from ganzoo.engine.dry_run import try_step
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.errors import ExitCode, PluginError, RecipeError
from ganzoo.recipe import load, load_recipe

pytestmark = pytest.mark.usefixtures("toy_plugin")
TOY = ("fitting_toy", "broken_toy")
FILE = Path(__file__).parent / "toys" / "fitting_toy.py"


def steps(trainer_of, recipe):
    """What two real steps come to: the error, or None."""
    try:
        trainer = trainer_of(recipe)
        for _ in range(2):
            trainer.step()
        trainer.check_finite()
    except Exception as error:  # noqa: BLE001  # a plugin's own, too
        return error
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
def test_what_makes_steps_is_legal(tiny, trainer_of, sets):
    recipe = load_recipe(tiny, sets)
    assert inspect_recipe(recipe)["problems"] == []
    assert steps(trainer_of, recipe) is None


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
        (("loss=broken_toy/vector",), "is not a single number", ""),
        (("loss=broken_toy/detached",), "don't depend on its weights", ""),
        (("generator=broken_toy/identity",), "has no weights to train", ""),
        (
            ("discriminator=none",),
            "needs a discriminator with these options, but the recipe has none",
            "loss",
        ),
    ],
)
def test_what_makes_no_step_is_refused_with_the_reason(tiny, trainer_of, sets, said, where):
    recipe = load_recipe(tiny, sets)
    (problem,) = inspect_recipe(recipe)["problems"]
    assert said in problem["message"]
    assert problem["where"] == where
    assert problem["exit_code"] in {ExitCode.RECIPE, ExitCode.PLUGIN}
    assert steps(trainer_of, recipe) is not None  # the control: it really doesn't


def test_a_dry_run_draws_no_random_numbers_of_the_process(tiny):
    recipe = load_recipe(tiny, ("generator=fitting_toy/looking",))
    before = torch.get_rng_state()
    inspect_recipe(recipe)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_command_tells_the_reason(tiny, capsys):
    plugin = ["--plugin", str(FILE)]
    arguments = [*plugin, "check", str(tiny), "--set"]
    assert main([*arguments, "loss=fitting_toy/features"]) == ExitCode.RECIPE
    assert "IndexError: tuple index out of range" in capsys.readouterr().err
    assert main([*arguments, "discriminator=fitting_toy/critic"]) == ExitCode.DONE


def test_a_run_refuses_what_a_dry_run_refuses_and_leaves_no_directory(tiny, tmp_path):
    refused = load_recipe(tiny, ("loss=broken_toy/detached",))
    with pytest.raises(PluginError, match="don't depend on its weights"):
        run(refused, out=tmp_path / "refused", limits=Limits(1))
    assert not (tmp_path / "refused").exists()
    legal = load_recipe(tiny, ("loss=broken_toy/counting",))  # the control: a directory is made
    assert run(legal, out=tmp_path / "legal", limits=Limits(1)).exit_code == ExitCode.DONE
    assert (tmp_path / "legal" / "status.json").is_file()


def test_a_run_on_the_cpu_is_tried_with_its_whole_batch(tiny, tmp_path):
    """The network of pairs takes no odd batch: neither may the dry run take another one."""
    pairs = "discriminator=fitting_toy/pairs"
    odd = load_recipe(tiny, (pairs, "train.batch_size=3"))
    with pytest.raises(RecipeError, match="can't make a step with"):
        run(odd, out=tmp_path / "odd", limits=Limits(1))
    assert not (tmp_path / "odd").exists()
    even = load_recipe(tiny, (pairs, "train.batch_size=4", "train.precision=fp64"))
    assert run(even, out=tmp_path / "even", limits=Limits(1)).exit_code == ExitCode.DONE


def test_weights_that_a_hook_computes_are_tried_too(tiny, tmp_path):
    recipe = load_recipe(tiny, ("discriminator=fitting_toy/normed",))
    assert run(recipe, out=tmp_path / "run", limits=Limits(1)).exit_code == ExitCode.DONE
    refused = load_recipe(tiny, ("discriminator=fitting_toy/normed", "loss=broken_toy/detached"))
    with pytest.raises(PluginError, match="don't depend on its weights"):
        run(refused, out=tmp_path / "refused", limits=Limits(1))


@pytest.mark.parametrize("loss", ["gan/hinge", "broken_toy/detached"])
@pytest.mark.parametrize("on_meta", [False, True])
def test_what_a_network_makes_at_its_first_call_is_of_the_first_real_one(
    tiny, trainer_of, on_meta, loss
):
    """Its tensors would stay on the meta device, or hold a random batch; after an error too."""
    trainer = trainer_of(tiny, "discriminator=fitting_toy/remembering", f"loss={loss}")
    network = trainer.built.networks["discriminator"]
    weight = network.weight.detach().clone()
    expected = pytest.raises(PluginError) if loss == "broken_toy/detached" else nullcontext()
    with expected:
        try_step(trainer.built, on_meta=on_meta)
    assert network.grid is None
    assert network.mean is None
    assert torch.equal(network.weight, weight)
    if loss == "gan/hinge":
        trainer.step()  # the control: it makes them
        assert network.grid.device == network.mean.device == weight.device
        assert not torch.equal(network.weight, weight)


@pytest.mark.parametrize("on_meta", [False, True])
def test_a_dry_run_changes_no_tensor_of_a_run(tiny, trainer_of, on_meta):
    trainer = trainer_of(tiny, "loss=broken_toy/counting")
    parts = {**trainer.nets, "loss": trainer.loss}
    tensors = {id(tensor) for part in parts.values() for tensor in part.buffers()}
    stored = {
        (role, name): value.clone()
        for role, part in parts.items()
        for name, value in part.state_dict().items()
    }

    def changed():
        return [
            name
            for (role, name), before in stored.items()
            if not torch.equal(parts[role].state_dict()[name], before)
        ]

    try_step(trainer.built, on_meta=on_meta)
    assert not changed()
    assert tensors == {id(tensor) for part in parts.values() for tensor in part.buffers()}
    assert all(w.grad is None for part in parts.values() for w in part.parameters())
    trainer.step()  # the control: a step changes weights, statistics, and what the loss keeps
    assert any("running_mean" in name for name in changed())
    assert "turns" in changed()


@pytest.fixture
def counted(monkeypatch):
    """How often a component was built, by its kind and id, a recipe validated, a network copied."""
    count = Counter()
    build, validate, deepcopy = Chosen.build, load.validate, copy.deepcopy

    def noted_build(self, *args):
        count[self.component.kind, self.id] += 1
        return build(self, *args)

    def noted_validate(*args, **options):
        count["validate"] += 1
        return validate(*args, **options)

    def noted_deepcopy(value, memo=None):
        count["copy"] += isinstance(value, nn.Module)
        return deepcopy(value, memo)

    monkeypatch.setattr(Chosen, "build", noted_build)
    monkeypatch.setattr(load, "validate", noted_validate)
    monkeypatch.setattr(copy, "deepcopy", noted_deepcopy)
    return count


BUILT = (
    ("generator", "pix2pix/unet"),
    ("discriminator", "pix2pix/patchgan"),
    ("loss", "pix2pix/cgan_l1"),
    ("diffaugment", "gan/diffaugment"),
)


def test_a_run_reads_its_recipe_and_builds_its_parts_once(tiny, tmp_path, monkeypatch, counted):
    monkeypatch.chdir(tmp_path)
    command = ["run", str(tiny), "--set", "diffaugment=gan/diffaugment", "--max-steps"]
    assert main([*command, "1"]) == ExitCode.DONE
    assert {one: counted[one] for one in (*BUILT, "validate", "copy")} == {
        **dict.fromkeys((*BUILT, "validate"), 1),
        "copy": 0,
    }
    counted.clear()
    assert main([*command, "2", "--resume", "last"]) == ExitCode.DONE
    assert counted["validate"] == 2  # its own recipe, and that of the run to compare it with
    assert {counted[one] for one in BUILT} == {1}
    counted.clear()  # the control: an average is a copy
    assert main([*command, "1", "--set", "ema.enabled=true"]) == ExitCode.DONE
    assert counted["copy"] == 1


def test_a_check_builds_once_without_numbers_and_once_to_time_a_step(tiny, counted):
    recipe = load_recipe(tiny, ("diffaugment=gan/diffaugment", "train.batch_size=17"))
    inspect_recipe(recipe)
    assert {counted[one] for one in BUILT} == {1}
    counted.clear()
    assert inspect_recipe(recipe, timed=True)["time"]
    assert {counted[one] for one in BUILT} == {2}
    counted.clear()  # what looks at its numbers is built without them, and then with them
    assert not inspect_recipe(load_recipe(tiny, ("generator=fitting_toy/looking",)))["problems"]
    assert counted["generator", "fitting_toy/looking"] == 2
    assert counted["discriminator", "pix2pix/patchgan"] == 2
    assert counted["loss", "pix2pix/cgan_l1"] == 1
