"""What plugins do wrong in a run: who is blamed, when, and what is saved before the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ganzoo.cli.main import main
from ganzoo.engine import checkpoint
from ganzoo.engine.check import inspect_recipe
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.errors import DataError, ExitCode, PluginError
from ganzoo.observers import Voice
from ganzoo.recipe import load_recipe

QUIET = Voice(quiet=True)
pytestmark = pytest.mark.usefixtures("toy_plugin")
TOY = "faulty_toy"
FILE = Path(__file__).parent / "toys" / "faulty_toy.py"

RECIPE = """
name = "faulty"
task = "faulty_toy/paired"
data = "faulty_toy/data"
generator = "faulty_toy/net"
loss = "faulty_toy/l1"
[train]
epochs = 1
device = "cpu"
precision = "fp32"
threads = 1
[watch]
log = "2 steps"
samples = "never"
[checkpoints]
every = "never"
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "faulty.toml"
    path.write_text(RECIPE)
    return path


def go(recipe, out, *sets, steps=None, voice=QUIET):
    return run(load_recipe(recipe, sets), out=out, limits=Limits(steps), voice=voice)


def table(kind, fault, at=0):
    return f'{kind}={{use="faulty_toy/{kind}", fault="{fault}", at={at}}}'


def state(out):
    return json.loads((out / "status.json").read_text())["state"]


# --- plugins that end the process ------------------------------------------------------------


def test_a_callback_that_exits_is_named_and_the_weights_are_saved(recipe, tmp_path):
    result = go(recipe, tmp_path / "run", table("callback", "exit", 3))
    assert (result.outcome, result.exit_code) == ("failed", ExitCode.PLUGIN)
    assert 'plugin "faulty_toy"' in result.error.message
    assert "sys.exit()" in result.error.message
    assert state(tmp_path / "run") == "failed"
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [3]
    assert go(recipe, tmp_path / "sound", table("callback", "")).exit_code == 0  # the control


@pytest.mark.parametrize("workers", [0, 1])
def test_data_that_exit_are_named(recipe, tmp_path, workers):
    result = go(recipe, tmp_path / "run", "data.fault=exit", f"train.workers={workers}", steps=2)
    assert result.exit_code == ExitCode.PLUGIN
    assert "sys.exit('enough')" in result.error.message
    assert "faulty_toy" in str(result.error)
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") in ([], [1])


def test_a_task_that_exits_is_named_before_the_run_and_in_it(recipe, tmp_path, capsys):
    command = ["--plugin", str(FILE), "run", str(recipe), "--out", str(tmp_path / "run")]
    assert main([*command, "--set", "task.fault=exit"]) == ExitCode.PLUGIN
    assert 'the plugin "faulty_toy"' in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    result = go(recipe, tmp_path / "late", "task.fault=exit", "task.at=2")
    assert (result.exit_code, state(tmp_path / "late")) == (ExitCode.PLUGIN, "failed")


def test_a_check_that_a_plugin_ends_is_no_success(recipe, capsys):
    command = ["--plugin", str(FILE), "check", str(recipe)]
    assert main([*command, "--set", "task.fault=exit"]) == ExitCode.PLUGIN
    assert "sys.exit()" in capsys.readouterr().err
    assert main(command) == 0  # the control


# --- tasks that don't train ------------------------------------------------------------------


def test_a_task_that_never_optimises_is_refused(recipe, tmp_path):
    checked = inspect_recipe(load_recipe(recipe, ("task.fault=idle",)))
    (problem,) = checked["problems"]
    assert problem["message"].startswith("faulty_toy/paired optimised no player in step 1")
    assert problem["exit_code"] == ExitCode.PLUGIN
    with pytest.raises(PluginError, match="no weight was changed"):
        go(recipe, tmp_path / "run", "task.fault=idle")
    assert not (tmp_path / "run").exists()


def test_a_task_that_stops_optimising_never_finishes(recipe, tmp_path):
    result = go(recipe, tmp_path / "run", "task.fault=idle", "task.at=3")
    assert (result.outcome, result.exit_code) == ("failed", ExitCode.PLUGIN)
    assert "faulty_toy/paired optimised no player in step 4" in result.error.message
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [3]


def test_a_player_without_a_turn_is_no_finished_training(recipe, tmp_path):
    two = ("task=faulty_toy/two", "network=faulty_toy/net")
    result = go(recipe, tmp_path / "run", *two)
    assert (result.outcome, result.exit_code) == ("failed", ExitCode.PLUGIN)
    assert "never optimised helper in 24 steps" in result.error.message
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [24]
    # A part of the plan proves nothing, and turns are remembered by the next part.
    assert go(recipe, tmp_path / "part", *two, steps=2).exit_code == 0
    assert go(recipe, tmp_path / "whole").exit_code == 0


def test_terms_of_another_players_network_are_refused(recipe, tmp_path):
    two = ("task=faulty_toy/two", "network=faulty_toy/net", "task.fault=other")
    error = go(recipe, tmp_path / "run", *two).error
    assert isinstance(error, PluginError)
    assert "'helper' don't depend on its weights: they get no gradient" in error.message


def test_turns_of_earlier_parts_count(recipe, tmp_path):
    go(recipe, tmp_path / "run", steps=20)
    plain = json.loads((tmp_path / "run/checkpoints/step_20/training_state.json").read_text())
    assert plain["stepper"]["turns"] == {"generator": 20}
    resumed = run(None, resume=tmp_path / "run", voice=QUIET)
    assert resumed.outcome == "finished"


# --- what is saved when a fault ends a training ----------------------------------------------


def test_a_broken_file_costs_no_steps(recipe, tmp_path):
    """The checkpoint at the stop is what the whole run would have had there."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    go(recipe, whole)
    result = go(recipe, parts, "data.broken=11")
    assert isinstance(result.error, DataError)
    assert result.error.where == "000011"
    (saved,) = checkpoint.steps(parts / "checkpoints")
    assert 1 <= saved < 24
    resolved = parts / "recipe.resolved.toml"
    resolved.write_text(resolved.read_text().replace("broken = 11", "broken = -1"))
    assert run(None, resume=parts, voice=QUIET).outcome == "finished"
    name = "checkpoints/step_24/generator.safetensors"
    one, two = load_file(whole / name), load_file(parts / name)
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_a_fault_inside_a_step_is_said_to_make_a_resume_inexact(recipe, tmp_path):
    with pytest.raises(ValueError, match="too late"):
        go(recipe, tmp_path / "run", "task.fault=late", "task.at=3", voice=Voice())
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [3]
    assert "step 4 had begun" in (tmp_path / "run" / "log.txt").read_text()


# --- looking never ends a training -----------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "sets"),
    [
        ("watch.samples", ("watch.samples=2 steps", "data.val=0")),
        ("watch.validate", ("watch.validate=2 steps", "data.val=0")),
        ("watch.evaluate", ("watch.evaluate=test", "data.test=0")),
    ],
)
def test_held_out_data_that_are_missing_are_refused_at_the_start(recipe, tmp_path, key, sets):
    with pytest.raises(DataError, match="has no images in its") as caught:
        go(recipe, tmp_path / "run", *sets)
    assert key in caught.value.hint
    assert not (tmp_path / "run").exists()
    (problem,) = inspect_recipe(load_recipe(recipe, sets))["problems"]
    assert key in problem["hint"]
    assert go(recipe, tmp_path / "run", sets[-1]).exit_code == 0  # nobody looks


def test_a_grid_that_fails_is_said_once_and_the_training_goes_on(recipe, tmp_path):
    sets = ("watch.samples=2 steps", "task.fault=sample")
    assert go(recipe, tmp_path / "run", *sets, voice=Voice()).outcome == "finished"
    log = (tmp_path / "run" / "log.txt").read_text()
    said = "no sample of step 2; the training continues: the plugin"
    assert log.count("the training continues") == log.count(said) == 1
    assert "ValueError: no picture today" in log


def test_a_metric_that_fails_costs_no_training(recipe, tmp_path):
    sets = ("watch.validate=2 steps", 'metric=[{use="faulty_toy/figure", fault="raise"}]')
    assert go(recipe, tmp_path / "run", *sets, voice=Voice()).outcome == "finished"
    assert "no validation of step 2" in (tmp_path / "run" / "log.txt").read_text()


# --- averages --------------------------------------------------------------------------------


def test_a_network_that_is_used_is_averaged_whatever_its_kind_is(recipe, tmp_path):
    text = recipe.read_text().replace("generator =", "network =")
    encoding = recipe.with_name("encoding.toml")
    encoding.write_text(text.replace("/paired", "/encoding"))
    for one in (recipe, encoding):
        out = tmp_path / one.stem
        assert go(one, out, "ema.enabled=true", steps=1).exit_code == 0
        assert (out / "checkpoints" / "step_1" / "generator.ema.safetensors").is_file()


# --- values that are no numbers --------------------------------------------------------------


def figure(fault):
    return f'metric=[{{use="faulty_toy/figure", fault="{fault}"}}]'


def strict(text):
    """JSON as its standard has it: `NaN` and `Infinity` are no part of it."""

    def refuse(word):
        raise ValueError(word)

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("fault", ["nan", "inf"])
def test_a_metric_that_is_no_number_is_null_everywhere_and_said(recipe, tmp_path, capsys, fault):
    sets = ["watch.validate=8 steps", "watch.evaluate=test", "watch.samples=never", figure(fault)]
    command = ["--plugin", str(FILE), "run", str(recipe), "--json", "--out", str(tmp_path / "run")]
    assert main([*command, *(part for one in sets for part in ("--set", one))]) == 0
    told = capsys.readouterr()
    assert "faulty_toy/figure: figure of generated has values that aren't finite" in told.err
    assert strict(told.out)["metrics"] == {"figure": None, "sound": 2.0}
    lines = [strict(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert {"figure": None, "sound": 2.0} in [line.get("metrics") for line in lines]
    (file,) = (tmp_path / "run" / "evaluation").glob("*.json")
    assert strict(file.read_text())["metrics"]["figure"] == {"mean": None, "per_image": [None]}
    other = [*command[:-1], str(tmp_path / "other"), "--set", figure("")]
    assert main([*other, "--set", "watch.evaluate=test"]) == 0
    capsys.readouterr()
    compared = [
        "--plugin",
        str(FILE),
        "runs",
        "compare",
        str(tmp_path / "run"),
        str(tmp_path / "other"),
    ]
    assert main(compared) == 0
    assert main([*compared, "--json"]) == 0


def test_means_over_seeds_of_a_metric_that_is_no_number(recipe, tmp_path, capsys):
    command = ["--plugin", str(FILE), "run", str(recipe), "--json", "--seeds", "2", "--set"]
    sets = [f"out={tmp_path}", "--set", figure("nan"), "--set", "watch.evaluate=test"]
    assert main([*command, *sets]) == 0
    means = strict(capsys.readouterr().out)["metrics"]
    assert means["metric/figure"]["mean"] is means["metric/figure"]["sd"] is None
    assert means["metric/sound"] == {"mean": 2.0, "sd": 0.0, "n": 2, "values": [2.0, 2.0]}


def test_what_a_resume_needs_of_infinities_is_valid_json_too():
    from ganzoo.files import spelt, unspelt

    state = {"scale": float("inf"), "pool": [1.5, {"low": float("-inf")}], "name": "x"}
    assert unspelt(strict(json.dumps(spelt(state)))) == state
    assert unspelt(json.loads('{"scale": Infinity}')) == {"scale": float("inf")}  # older files


# --- what is of a wrong type -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("none", "faulty_toy/figure returns a NoneType, not scores"),
        ("list", "faulty_toy/figure returns a list, not scores"),
        ("number", "faulty_toy/figure returns a float as 'figure', not a Score"),
        ("words", "faulty_toy/figure: 'figure' is not a number"),
        ("raise", 'the plugin "faulty_toy"'),
        ("exit", 'the plugin "faulty_toy"'),
    ],
)
def test_a_metric_of_wrong_types_is_blamed_and_the_training_is_kept(recipe, tmp_path, fault, said):
    sets = (figure(fault), "watch.evaluate=test")
    result = go(recipe, tmp_path / "run", *sets)
    assert (result.outcome, result.exit_code) == ("finished", ExitCode.PLUGIN)
    assert said in result.error.message
    assert result.document["weights"]


def test_numbers_of_other_libraries_are_numbers(recipe, tmp_path):
    result = go(recipe, tmp_path / "run", figure("tensor"), "watch.evaluate=test")
    assert result.document["metrics"] == {"figure": 3.0}
    (file,) = (tmp_path / "run" / "evaluation").glob("*.json")
    assert strict(file.read_text())["metrics"]["figure"] == {"mean": 3.0, "per_image": [3.0, 3.0]}


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (("data.fault=none",), "faulty_toy/data returns a NoneType, not a sample"),
        (("data.fault=text",), "faulty_toy/data returns a str, not a sample"),
        (("data.fault=fieldless",), "faulty_toy/data returns samples without target"),
        (
            ("data.fault=fields",),
            "the `fields` of faulty_toy/data must be a dict of Field objects by name",
        ),
        (
            ("data.ranged=true",),
            "declares a field that can't be used: source: range must be two finite numbers",
        ),
        (('augment=[{use="faulty_toy/augment", fault="none"}]',), "the augment Augment returns"),
        (
            ('augment=[{use="faulty_toy/augment", fault="target"}]',),
            "the augment Augment returns samples without target",
        ),
        (
            ("task.fault=none",),
            "faulty_toy/paired returns a NoneType as the inputs and outputs of generator",
        ),
        (("callback=faulty_toy/nobody",), "faulty_toy/nobody builds a NoneType that has no hook"),
        (('loss={use="faulty_toy/l1", fault="none"}',), "must minimise a NoneType"),
        (
            ('loss=[{use="faulty_toy/l1", fault="list"}, {use="faulty_toy/l1", name="two"}]',),
            "the loss 'l1' returns a list, not a dict of terms",
        ),
        (("task.fault=state",), "faulty_toy/paired returns a NoneType as its state"),
    ],
)
def test_what_a_plugin_gives_of_a_wrong_type_is_its_fault(recipe, tmp_path, sets, said):
    try:
        error = go(recipe, tmp_path / "run", *sets, steps=2).error
    except PluginError as raised:
        error = raised
    assert isinstance(error, PluginError)
    assert said in error.message


@pytest.mark.parametrize("fault", ["sample none", "sample array"])
def test_a_task_that_shows_no_tensors_is_named(recipe, tmp_path, fault):
    go(recipe, tmp_path / "run", f"task.fault={fault}", steps=1, voice=Voice())
    assert "faulty_toy/paired shows a N" in (tmp_path / "run" / "log.txt").read_text().replace(
        "ndarray", "N"
    )


def test_a_task_that_predicts_nothing_is_named(recipe, tmp_path):
    result = go(recipe, tmp_path / "run", "task.fault=predict", "watch.evaluate=test")
    assert "translate of faulty_toy/paired returns a NoneType, not target" in result.error.message
    assert (result.outcome, result.exit_code) == ("finished", ExitCode.PLUGIN)


# --- networks that are sound, and that a check can't call or count ----------------------------


def test_a_count_that_fails_is_a_missing_number(recipe):
    report = inspect_recipe(load_recipe(recipe, ("generator=faulty_toy/constant",)))
    assert not report["problems"]
    assert report["networks"]["generator"]["flops"] is None
    assert report["networks"]["generator"]["outputs"] == {"target": [3, 4, 4]}
    counted = inspect_recipe(load_recipe(recipe))["networks"]["generator"]
    assert counted["flops"] == 2 * 3 * 3 * 4 * 4


def test_a_network_of_three_inputs_is_called_with_all_of_them(recipe, tmp_path, capsys):
    three = ("task=faulty_toy/threefold", "generator=faulty_toy/mixing")
    report = inspect_recipe(load_recipe(recipe, three))
    assert not report["problems"]
    shape = [3, 4, 4]
    assert report["networks"]["generator"]["inputs"] == {"x": shape, "y": shape, "z": shape}
    assert report["networks"]["generator"]["outputs"] == {"target": shape}
    assert report["networks"]["generator"]["flops"] == 2 * 3 * 3 * 4 * 4
    assert go(recipe, tmp_path / "run", *three, steps=1).exit_code == 0
    sets = [part for one in three for part in ("--set", one)]
    assert main(["--plugin", str(FILE), "check", str(recipe), *sets]) == 0
    assert "3x4x4 + 3x4x4 + 3x4x4 -> 3x4x4" in capsys.readouterr().out
    # A task that gives it one input is refused, with what the network says of it.
    (problem,) = inspect_recipe(load_recipe(recipe, three[1:]))["problems"]
    assert problem["message"].startswith("faulty_toy/mixing can't be built: mixes three inputs")


def test_check_takes_a_network_that_rejects_zeros(recipe, tmp_path):
    shy = ("generator=faulty_toy/shy",)
    report = inspect_recipe(load_recipe(recipe, shy))
    assert not report["problems"]
    assert report["networks"]["generator"]["outputs"] == {}
    assert go(recipe, tmp_path / "run", *shy, steps=1).exit_code == 0
    # Where the step fails too, the network's own words are shown.
    (problem,) = inspect_recipe(load_recipe(recipe, (*shy, "task.fault=fail")))["problems"]
    assert problem["message"].startswith("faulty_toy/shy can't take 3 x 4 x 4: RuntimeError: dark")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("no inputs", "the io() of faulty_toy/paired is wrong: it has no inputs"),
        ("no outputs", "the io() of faulty_toy/paired is wrong: it has no outputs for a generator"),
        ("shapes", "is wrong: its inputs are no mapping of names to fields"),
        ("names", "must have only letters, digits, dots, _ and -, but it is 'the source'"),
        (
            "untupled",
            "is wrong: it has 'code' with the shape [4], not a text with a tuple",
        ),
        ("axes", "is wrong: code: shape of points must be (D,), but it is [4, 4, 4]"),
        ("countless", "'label' is a class index and doesn't say how many classes"),
    ],
)
def test_a_wrong_declaration_is_the_tasks_fault(recipe, fault, said):
    (problem,) = inspect_recipe(load_recipe(recipe, (f"task.fault={fault}",)))["problems"]
    assert said in problem["message"]
    assert (problem["where"], problem["exit_code"]) == ("generator", ExitCode.PLUGIN)
