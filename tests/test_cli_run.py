"""`ganzoo run` and `ganzoo runs` as a user types them, in this process."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from ganzoo.cli.main import main
from ganzoo.errors import ExitCode
from ganzoo.plugin_system import registry


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys, *arguments: str, code: int = 0) -> dict:
    assert main(list(arguments)) == code
    return json.loads(capsys.readouterr().out)


def test_a_run_leaves_what_it_says(tiny, here, capsys):
    told = answer(
        capsys, "run", str(tiny), "--max-steps", "2", "--json", "--set", "watch.samples=2 steps"
    )
    assert (told["outcome"], told["step"], told["images"]) == ("stopped", 2, 2)
    assert told["data"] == {"use": "facades/procedural", "stand_in": False}
    run = here / told["run"]
    assert run.parent == here / "runs" / "tiny"
    for name in ("recipe.toml", "recipe.resolved.toml", "provenance.json", "status.json",
                 "metrics.jsonl", "log.txt"):  # fmt: skip
        assert (run / name).stat().st_size > 0, name
    assert (run / "recipe.toml").read_text() == tiny.read_text()
    assert [file.suffix for file in (run / "samples").iterdir()] == [".png"]
    for weights in told["weights"].values():
        assert (here / weights).is_file()
    parts = json.loads((run / "provenance.json").read_text())["parts"]
    assert parts[0]["resolved"]["precision"] == "fp32"
    assert parts[0]["versions"]["torch"]
    assert parts[0]["fast_paths"]["fused_optimizers"] == ["generator", "discriminator"]


NAMING = """
from typing import Annotated, Any
from ganzoo.api import Chosen, Options, Ref, component, hookimpl

class WatcherOptions(Options):
    judge: Annotated[Chosen, Ref("loss")]
    settings: dict[str, Any] = {}

class Watcher:
    def __init__(self, options):
        pass

    @hookimpl
    def ganzoo_run_done(self):
        pass

@component("callback", WatcherOptions)
def watcher():
    return Watcher
"""


def test_plugins_on_record_are_those_of_components_and_no_others(tiny, here, capsys):
    (here / "naming.py").write_text(NAMING)
    # `use` is a word that a plugin's own options may have, too.
    inner = 'judge = "gan/hinge"\nsettings = { use = "gpu" }\n'
    callback = f'[[callback]]\nuse = "naming/watcher"\n{inner}'
    tiny.write_text(tiny.read_text() + callback)
    before = registry.current()
    try:
        words = ("--plugin", "naming.py", "run", str(tiny), "--max-steps", "1", "--json")
        told = answer(capsys, *words)
    finally:
        registry.activate(records=before.records)
    plugins = json.loads((here / told["run"] / "provenance.json").read_text())["plugins"]
    assert plugins.keys() == {"albumentations", "facades", "gan", "ganzoo", "naming", "pix2pix"}
    assert plugins["naming"] == str(here / "naming.py")


def test_a_run_directory_is_no_recipe(tmp_path, capsys):
    (tmp_path / "a run").mkdir()
    (tmp_path / "a run" / "recipe.resolved.toml").touch()
    for more in ((), ("--resume", "last")):
        assert main(["run", str(tmp_path / "a run"), *more]) == ExitCode.RECIPE
        said = capsys.readouterr().err
        assert "is a run directory, not a recipe" in said
        assert f"`ganzoo run --resume '{tmp_path / 'a run'}'`" in " ".join(said.split())


def test_a_name_that_no_file_can_have_is_no_recipe(capsys):
    assert main(["run", "a" * 300]) == ExitCode.RECIPE
    assert "bug" not in capsys.readouterr().err


def test_resume_last_goes_on_in_the_same_directory(tiny, here, capsys):
    first = answer(capsys, "run", str(tiny), "--max-steps", "2", "--json")
    second = answer(capsys, "run", str(tiny), "--resume", "last", "--max-steps", "4", "--json")
    assert second["run"] == first["run"]
    assert second["step"] == 4
    assert len(list((here / "runs" / "tiny").iterdir())) == 1


def test_a_resume_keeps_what_was_set_at_the_start(tiny, here, capsys):
    sets = ("--set", "optimizer.lr=1e-3", "--set", "watch.log=1 steps")
    assert main(["run", str(tiny), "--max-steps", "1", "--json", *sets]) == 0
    told = capsys.readouterr()
    first = json.loads(told.out)
    assert told.err.count("set on the command line: optimizer.lr=1e-3") == 1
    again = ("run", str(tiny), "--resume", "last", "--max-steps", "2", "--json")
    second = answer(capsys, *again)
    assert second["run"] == first["run"]
    lines = (here / first["run"] / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["lr"]["generator"] for line in lines] == [1e-3, 1e-3]
    error = answer(capsys, *again, "--set", "optimizer.lr=5e-4", code=3)["error"]
    assert "optimizer.lr: 0.001 -> 0.0005" in error["hint"]
    # An edited recipe is another one, whatever was set.
    tiny.write_text(tiny.read_text().replace("epochs = 4", "epochs = 4\nbatch_size = 2"))
    error = answer(capsys, *again, code=3)["error"]
    assert "train.batch_size: 1 -> 2" in error["hint"]


def test_max_time_is_a_total(tiny, here, capsys):
    first = answer(capsys, "run", str(tiny), "--max-time", "0.001s", "--json")
    assert (first["step"], first["outcome"]) == (1, "stopped")
    again = ("run", "--resume", first["run"], "--json")
    assert answer(capsys, *again, "--max-time", "0.001s")["step"] == 1
    assert answer(capsys, *again, "--max-time", "1h", "--max-steps", "3")["step"] == 3


def test_a_dry_run_writes_nothing(tiny, here, capsys):
    told = answer(capsys, "run", str(tiny), "--dry-run", "--json")
    assert told["networks"]["discriminator"]["receptive_field"] == 16
    assert told["machine"] == {"device": "cpu", "precision": "fp32"}
    assert not (here / "runs").exists()


def test_a_recipe_for_another_machine_is_no_faulty_recipe(tiny, here, capsys):
    told = answer(capsys, "check", str(tiny), "--set", "train.precision=fp16", "--json")
    assert (told["machine"], told["problems"]) == ({}, [])
    assert any("fp16 needs CUDA" in note for note in told["notes"])


def test_seeds_give_a_mean_and_a_spread(tiny, here, capsys):
    told = answer(capsys, "run", str(tiny), "--seeds", "2", "--max-steps", "1", "--json")
    assert len(list((here / "runs" / "tiny").iterdir())) == 2
    l1 = told["metrics"]["loss/generator/l1"]
    assert l1["n"] == 2
    assert l1["values"][0] != l1["values"][1]
    assert l1["mean"] == pytest.approx(sum(l1["values"]) / 2)
    assert l1["sd"] == pytest.approx(abs(l1["values"][0] - l1["values"][1]) / 2**0.5)


def test_compare_names_what_differs_and_nothing_else(tiny, here, capsys):
    swap = "generator={ use = 'pix2pix/encoder_decoder', depth = 5, width = 4 }"
    one = answer(capsys, "run", str(tiny), "--max-steps", "1", "--json")["run"]
    two = answer(capsys, "run", str(tiny), "--max-steps", "1", "--json", "--set", swap)["run"]
    table = answer(capsys, "runs", "compare", one, two, "--json")["differences"]
    assert table["generator.use"] == ["pix2pix/unet", "pix2pix/encoder_decoder"]
    assert table["generator: parameters"][0] > table["generator: parameters"][1]
    assert table["generator: forward FLOPs"][0] > table["generator: forward FLOPs"][1]
    assert not [key for key in table if key.startswith(("discriminator:", "train.", "data"))]
    listed = answer(capsys, "runs", "list", "--json")["runs"]
    assert [row["run"] for row in listed] == sorted([one, two])
    assert main(["runs", "compare", one, two]) == 0
    assert "pix2pix/encoder_decoder" in capsys.readouterr().out


def test_a_killed_run_is_not_listed_as_running(tiny, here, capsys):
    run = here / answer(capsys, "run", str(tiny), "--max-steps", "1", "--json")["run"]
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps({**status, "state": "running"}))
    assert answer(capsys, "runs", "list", "--json")["runs"][0]["state"] == "killed"
    hold = (
        "import sys, pathlib; from ganzoo.engine.run_directory import claimed\n"
        "with claimed(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        assert answer(capsys, "runs", "list", "--json")["runs"][0]["state"] == "running"
        holder.stdin.close()


def test_three_mistakes_are_shown_at_once_and_nothing_runs(here, capsys):
    recipe = here / "wrong.toml"
    recipe.write_text(
        'extends = "pix2pix_facades.toml"\n'
        "[discriminator]\n"
        "receptive_field = 71\n"
        "[train]\n"
        "epocs = 3\n"
        "[loss]\n"
        'gan = "gan/vanila"\n'
    )
    problems = answer(capsys, "run", str(recipe), "--json", code=3)["problems"]
    places = [(problem["line"], problem["key"]) for problem in problems]
    assert places == [(3, "discriminator.receptive_field"), (5, "train.epocs"), (7, "loss.gan")]
    assert all(problem["column"] for problem in problems)
    assert "70" in problems[0]["message"]
    assert "epochs" in problems[1]["hint"]
    assert "gan/vanilla" in problems[2]["hint"]
    assert not (here / "runs").exists()


def test_several_processes_show_the_same_problems(here, capsys):
    (here / "wrong.toml").write_text('extends = "pix2pix_facades.toml"\ntrain = { epocs = 3 }\n')
    arguments = ("run", "wrong.toml", "--processes", "2", "--device", "cpu", "--json")
    problems = answer(capsys, *arguments, code=3)["problems"]
    assert [(problem["line"], problem["key"]) for problem in problems] == [(2, "train.epocs")]


@pytest.mark.slow
def test_a_fault_of_the_processes_is_their_answer(here, capsys):
    arguments = ("run", "pix2pix_maps", "--processes", "2", "--device", "cpu", "--json")
    error = answer(capsys, *arguments, code=5)["error"]
    assert error["where"].startswith("process ")
    assert "GANZOO_DATA" in error["hint"]


@pytest.mark.parametrize("recipe", ["pix2pix_maps", "pix2pix_edges2shoes"])
def test_missing_data_without_a_fallback_exit_5(recipe, here, capsys):
    error = answer(capsys, "run", recipe, "--json", code=5)["error"]
    assert "GANZOO_DATA" in error["hint"]
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "nothing to run"),
        (["run", "quickstart", "--resume", "last", "--out", "x"], "--resume"),
        (["run", "quickstart", "--resume", "nowhere"], "no such run directory"),
        (["run", "quickstart", "--resume", "last", "--dry-run"], "leave --resume out"),
        (["run", "--dry-run"], "need a RECIPE"),
        (["run", "quickstart", "--max-time", "soon"], "not a duration"),
        (["runs", "compare", "one"], "two runs"),
        (["runs", "list", "nowhere"], "no runs"),
    ],
)
def test_command_lines_that_cant_be_meant_exit_2(arguments, said, here, capsys):
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_compare_says_which_way_is_better_and_does_without_the_data(tiny, here, capsys):
    pairs = here / "pairs"
    for index in range(4):
        pair = Image.new("RGB", (64, 32), (40 * index, 90, 200))
        (pairs / "train").mkdir(parents=True, exist_ok=True)
        pair.save(pairs / "train" / f"{index}.png")
    mine = 'data={use="images/side_by_side", root="pairs"}'
    runs = [
        answer(capsys, "run", str(tiny), "--max-steps", steps, "--set", mine, "--json")["run"]
        for steps in ("1", "2")
    ]
    assert main(["runs", "compare", *runs]) == 0
    assert f"{runs[0]} has no metrics yet: ganzoo evaluate {runs[0]}" in capsys.readouterr().err
    for run in runs:
        answer(capsys, "evaluate", run, "--split", "test", "--json")
    told = answer(capsys, "runs", "compare", *runs, "--json")
    assert told["better"]["test_paper/l1"] == "lower"
    assert set(told["better"]) <= set(told["differences"])
    pairs.rename(here / "elsewhere")
    swap = "generator={ use = 'pix2pix/encoder_decoder', depth = 5, width = 4 }"
    other = answer(capsys, "run", str(tiny), "--max-steps", "1", "--json", "--set", swap)["run"]
    table = answer(capsys, "runs", "compare", runs[0], other, "--json")["differences"]
    first, second = table["generator: parameters"]
    assert first > second
    assert table["generator: forward FLOPs"][0] is None


@pytest.mark.parametrize("command", ["predict", "evaluate", "compare"])
def test_a_misspelt_run_has_a_nearest(command, tiny, here, capsys):
    run = answer(capsys, "run", str(tiny), "--max-steps", "1", "--out", "runs/city", "--json")[
        "run"
    ]
    words = {
        "predict": ["predict", "runs/citi", "x.png", "-o", "y.png"],
        "evaluate": ["evaluate", "runs/citi"],
        "compare": ["runs", "compare", "runs/citi", run],
    }[command]
    assert main(words) == 2
    assert 'did you mean "city"?' in capsys.readouterr().err
