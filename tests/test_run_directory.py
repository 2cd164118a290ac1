"""What a run directory is believed to say: files gone, cut, of wrong types, or not this run's."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ganzoo.cli.main import main
from ganzoo.engine import checkpoint, run_directory
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.engine.run_history import comparison, last_losses, summaries
from ganzoo.errors import DataError, ExitCode, UsageError
from ganzoo.files import sha256_of
from ganzoo.observers import Voice
from ganzoo.recipe import load_recipe

SETS = ("checkpoints.every=2 steps", "checkpoints.keep=5", "watch.log=1 steps")


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """A run of 4 steps, with checkpoints of steps 2 and 4; never changed."""
    from conftest import TINY

    folder = tmp_path_factory.mktemp("template")
    (folder / "tiny.toml").write_text(TINY)
    recipe = load_recipe(folder / "tiny.toml", SETS)
    run(recipe, out=folder / "run", limits=Limits(4), voice=Voice(quiet=True), overrides=SETS)
    return folder / "run"


@pytest.fixture
def begun(template, tmp_path) -> Path:
    """A copy of that run."""
    shutil.copytree(template, tmp_path / "run")
    return tmp_path / "run"


def go_on(path: Path, steps: int = 5, **limits):
    return run(None, resume=path, limits=Limits(steps, **limits), voice=Voice())


def change(file: Path, **values) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def lines_of(path: Path) -> list[bytes]:
    return (path / "metrics.jsonl").read_bytes().splitlines()


# --- checkpoints that are gone ------------------------------------------------------------------


@pytest.mark.parametrize("status", [True, False])
def test_a_run_whose_checkpoints_are_gone_isnt_started_over(begun, status):
    if not status:  # provenance.json knows too
        go_on(begun)
        (begun / "status.json").unlink()
    before = {p: p.read_bytes() for p in begun.rglob("*.json*")}
    shutil.rmtree(begun / "checkpoints")
    with pytest.raises(
        DataError, match="its checkpoints are missing, although one of step 4"
    ) as caught:
        go_on(begun)
    assert "recipe.resolved.toml" in caught.value.hint
    assert all(p.read_bytes() == before[p] for p in before if p.exists())


def test_a_newest_checkpoint_that_is_gone_is_said(begun, capsys):
    shutil.rmtree(begun / "checkpoints" / "step_4")
    assert go_on(begun).document["step"] == 5
    said = capsys.readouterr().err
    assert "step_4 is missing" in said
    assert "continuing from" in said


def test_a_run_killed_before_its_first_checkpoint_says_that_it_begins_again(begun, capsys):
    shutil.rmtree(begun / "checkpoints")
    (begun / "status.json").unlink()  # as of a run that was killed at step 1
    assert go_on(begun, 1).document["step"] == 1
    assert "no checkpoint was written before: the run begins again at step 0" in (
        capsys.readouterr().err
    )
    go_on(begun, 2)  # the control: now there is one
    assert "begins again" not in capsys.readouterr().err


# --- metrics.jsonl ------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [None, 0, 1, 3])
def test_lines_that_are_gone_are_said_and_the_rest_is_kept(begun, left, capsys):
    lines = lines_of(begun)
    assert len(lines) == 4
    if left is None:
        (begun / "metrics.jsonl").unlink()
    else:
        (begun / "metrics.jsonl").write_bytes(b"".join(line + b"\n" for line in lines[:left]))
    go_on(begun)
    said = capsys.readouterr().err
    assert f"it had 4 lines up to step 4, and {4 - (left or 0)} of them are missing" in said
    assert lines_of(begun)[:-1] == lines[: left or 0]
    assert json.loads(lines_of(begun)[-1])["step"] == 5
    go_on(begun, 6)  # the control: nothing has gone since
    assert "are missing" not in capsys.readouterr().err


def test_lines_after_the_checkpoint_may_go_without_a_word(begun, capsys):
    """They are written again anyhow."""
    with (begun / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "losses": {}}\n')
    go_on(begun)
    assert "gone" not in capsys.readouterr().err
    assert [json.loads(line)["step"] for line in lines_of(begun)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "line", [b"\xb0", b"{}\n", b"5\n", b'{"step": "x"}\n', b'{"step": 4, "losses": 1}', b"[" * 9999]
)
def test_a_damaged_line_is_named_and_kept_aside(begun, line, capsys):
    whole = lines_of(begun)
    with (begun / "metrics.jsonl").open("ab") as file:
        file.write(line)
    losses = last_losses(begun)
    assert losses
    assert go_on(begun).document["step"] == 5
    assert "metrics.jsonl: damaged in line 5, which was moved to metrics.damaged" in (
        capsys.readouterr().err
    )
    assert (begun / "metrics.damaged").read_bytes() == line.rstrip(b"\n") + b"\n"
    assert lines_of(begun)[:-1] == whole


def test_losses_are_compared_without_their_weights(begun):
    """Weighted, the L1 of a run with the weight 100 would be 100 times that of its evaluation."""
    entry = json.loads(lines_of(begun)[-1])
    assert entry["weights"] == {"generator/l1": 100.0}
    losses = last_losses(begun)
    assert losses["loss/generator/l1"] == entry["losses"]["generator/l1"] / 100
    assert losses["loss/generator/gan"] == entry["losses"]["generator/gan"]
    for weights in ({}, {"generator/l1": 0}, {"generator/l1": "many"}):
        line = json.dumps(entry | {"weights": weights})
        with (begun / "metrics.jsonl").open("a") as file:
            file.write(line + "\n")
        assert last_losses(begun)["loss/generator/l1"] == entry["losses"]["generator/l1"]
    with (begun / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "losses": {"generator/l1": 1}, "weights": []}\n')  # damaged
    assert last_losses(begun)["loss/generator/l1"] == entry["losses"]["generator/l1"]


# --- documents of wrong types -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "key"),
    [
        ("status.json", {"state": 5}, "state"),
        ("status.json", {"step": "four"}, "step"),
        ("status.json", {"data": []}, "data"),
        ("status.json", {"data": {"use": "x", "stand_in": "no", "length": 7}}, "data.stand_in"),
        ("status.json", {"checkpoint": "../../x"}, "checkpoint"),
        ("status.json", {"metrics_lines": None}, "metrics_lines"),
        ("provenance.json", {"parts": {}}, "parts"),
        ("provenance.json", {"parts": [{"from_step": 0, "resolved": 1}]}, "parts.0.resolved"),
        ("provenance.json", {"parts": [{"from_step": "0"}]}, "parts.0.from_step"),
        ("provenance.json", {"plugins": ["x"]}, "plugins"),
        ("provenance.json", {"overrides": [1]}, "overrides.0"),
        ("provenance.json", {"recipe_sha256": 1}, "recipe_sha256"),
    ],
)
def test_a_document_of_wrong_types_is_named_with_its_key(begun, name, values, key):
    change(begun / name, **values)
    with pytest.raises(DataError, match=f"is damaged: {key}") as caught:
        go_on(begun)
    assert caught.value.where == str(begun / name)
    assert "Restore it" in caught.value.hint
    assert summaries(begun.parent)[0]["state"] in ("unreadable", "stopped")


def test_an_evaluation_that_is_none_is_named(begun):
    (begun / "evaluation").mkdir()
    (begun / "evaluation" / "test_paper.json").write_text('{"metrics": {"l1": 5}}')
    with pytest.raises(DataError, match=r"is damaged: metrics\.l1") as caught:
        comparison([begun, begun])
    assert caught.value.where.endswith("test_paper.json")


# --- a training state that doesn't fit though its hash does --------------------------------------


def resign(folder: Path) -> None:
    """Let the manifest vouch for what is there now."""
    document = json.loads((folder / "manifest.json").read_text())
    for name, entry in document["files"].items():
        entry["bytes"] = (folder / name).stat().st_size
        entry["sha256"] = sha256_of(folder / name)
    (folder / "manifest.json").write_text(json.dumps(document))


FORGED_PLAIN = {
    "no step": lambda plain: plain.pop("step"),
    "another step": lambda plain: plain.update(step=3),
    "images in words": lambda plain: plain.update(images="four"),
    "no seconds": lambda plain: plain.pop("seconds"),
    "seconds that are none": lambda plain: plain.update(seconds=float("nan")),
    "no ranks": lambda plain: plain.update(ranks=[]),
    "ranks of another kind": lambda plain: plain.update(ranks=[5]),
    "a format that is none": lambda plain: plain.update(format="1"),
    "no counts": lambda plain: plain["stepper"].pop("window_counts"),
    "counts without sums": lambda plain: plain["stepper"].update(window_counts={"a": 1}),
    "numpy's state cut": lambda plain: plain["ranks"][0]["rng"]["numpy"][1].pop(),
    "numpy's place": lambda plain: plain["ranks"][0]["rng"]["numpy"].__setitem__(2, 10**6),
    "python's state cut": lambda plain: plain["ranks"][0]["rng"]["python"][1].pop(),
    "a word too large": lambda plain: plain["ranks"][0]["rng"]["numpy"][1].__setitem__(0, 2**70),
    "no revision": lambda plain: plain["revisions"].pop("generator"),
    "a float that is none": lambda plain: plain.update(seconds={"__float__": "x"}),
    "a best that is none": lambda plain: plain.update(best=[1]),
    "a tensor that isn't there": lambda plain: plain["ranks"][0].update(
        task={"__tensor__": "absent"}
    ),
}


@pytest.mark.parametrize("forge", FORGED_PLAIN.values(), ids=FORGED_PLAIN)
def test_a_state_that_doesnt_fit_is_named_and_the_one_before_used(begun, forge, capsys):
    folder = begun / "checkpoints" / "step_4"
    plain = json.loads((folder / "training_state.json").read_text())
    forge(plain)
    (folder / "training_state.json").write_text(json.dumps(plain))
    resign(folder)
    assert go_on(begun).document["step"] == 5
    said = capsys.readouterr().err
    assert "step_4" in said
    assert "continuing from" in said
    assert "step_2" in said


def _first(tensors, part):
    return next(name for name in tensors if part in name)


FORGED_TENSORS = {
    "no moments at all": lambda t: [t.pop(n) for n in list(t) if n.startswith("optimizer/")],
    "one moment less": lambda t: t.pop(_first(t, "/exp_avg_sq")),
    "a moment too much": lambda t: t.update({"optimizer/generator/x/exp_avg": torch.zeros(1)}),
    "a moment's shape": lambda t: t.update({_first(t, "/exp_avg"): torch.zeros(1)}),
    "a moment of integers": lambda t: t.update(
        {_first(t, "/exp_avg"): t[_first(t, "/exp_avg")].int()}
    ),
    "no generator": lambda t: t.pop("rank0/rng/torch"),
    "a generator's size": lambda t: t.update({"rank0/rng/torch": torch.zeros(5).byte()}),
    "nothing": lambda t: t.clear(),
}


@pytest.mark.parametrize("forge", FORGED_TENSORS.values(), ids=FORGED_TENSORS)
def test_tensors_that_dont_fit_are_named_and_the_state_before_used(begun, forge, capsys):
    folder = begun / "checkpoints" / "step_4"
    tensors = load_file(folder / "training_state.safetensors")
    forge(tensors)
    save_file(tensors, folder / "training_state.safetensors")
    resign(folder)
    assert go_on(begun).document["step"] == 5
    assert "step_4 doesn't fit this run" in capsys.readouterr().err


def test_a_state_with_an_infinity_is_no_forgery(begun):
    folder = begun / "checkpoints" / "step_4"
    plain = json.loads((folder / "training_state.json").read_text())
    plain["stepper"]["scaler"] = {"scale": {"__float__": "inf"}}
    (folder / "training_state.json").write_text(json.dumps(plain))
    resign(folder)
    assert not checkpoint.damage(folder)


def test_the_control_of_the_forgeries_is_read(begun, capsys):
    folder = begun / "checkpoints" / "step_4"
    save_file(
        load_file(folder / "training_state.safetensors"), folder / "training_state.safetensors"
    )
    resign(folder)
    assert go_on(begun).document["step"] == 5
    assert "doesn't fit" not in capsys.readouterr().err


def test_a_fallback_leaves_nothing_of_what_didnt_fit(begun, tmp_path):
    """Weights after it are those of a resume that never saw the newer checkpoint."""
    plain = tmp_path / "plain"
    shutil.copytree(begun, plain)
    shutil.rmtree(plain / "checkpoints" / "step_4")
    go_on(plain)
    folder = begun / "checkpoints" / "step_4"
    tensors = load_file(folder / "training_state.safetensors")
    tensors.pop("rank0/rng/torch")
    save_file(tensors, folder / "training_state.safetensors")
    resign(folder)
    go_on(begun)
    for name in ("generator.safetensors", "training_state.safetensors"):
        one, two = (load_file(p / "checkpoints" / "step_5" / name) for p in (plain, begun))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_when_none_fits_the_newest_ones_fault_is_told(begun):
    for step in (2, 4):
        folder = begun / "checkpoints" / f"step_{step}"
        save_file({"a": torch.zeros(1)}, folder / "training_state.safetensors")
        resign(folder)
    with pytest.raises(DataError, match="can't be restored") as caught:
        go_on(begun)
    assert caught.value.where == "step 4"
    assert checkpoint.steps(begun / "checkpoints") == [4, 2]


def test_folders_that_are_no_checkpoints_are_left_alone(begun):
    for name in ("step_²", "step_007", "step_9x", "step_"):
        (begun / "checkpoints" / name).mkdir()
    (begun / "checkpoints" / "step_9").write_text("")
    assert checkpoint.steps(begun / "checkpoints") == [4, 2]
    assert go_on(begun).document["step"] == 5


# --- nothing left to train -----------------------------------------------------------------------


def test_a_finished_run_says_what_to_type_for_more(begun, capsys, monkeypatch):
    assert run(None, resume=begun, voice=Voice(quiet=True)).outcome == "finished"
    monkeypatch.setattr("ganzoo.engine.run.Trainer", None)  # nothing is built
    result = run(None, resume=begun, limits=Limits(200), voice=Voice(), overrides=SETS)
    assert (result.outcome, result.exit_code) == ("finished", ExitCode.DONE)
    assert result.document["step"] == 28
    assert result.document["weights"]["generator"].endswith("step_28/generator.safetensors")
    said = capsys.readouterr().err
    assert "nothing is left to train: all 4 epochs are done" in said
    assert f"ganzoo run --resume {begun} --set train.epochs=8" in said
    assert "set on the command line" not in said


def test_a_total_that_is_used_up_is_said_at_once(begun, capsys, monkeypatch):
    before = {p: p.read_bytes() for p in begun.rglob("*") if p.is_file()}
    monkeypatch.setattr("ganzoo.engine.run.Trainer", None)
    for limits, said in (
        (Limits(3), "--max-steps 3 is a total, and the run already has 4 steps"),
        (
            Limits(None, 0.01),
            "is a total, and the run has already trained for ",
        ),  # as long as it took
    ):
        result = run(None, resume=begun, limits=limits, voice=Voice())
        assert (result.outcome, result.exit_code) == ("stopped", ExitCode.DONE)
        told = capsys.readouterr().err
        assert said in told
        assert f"ganzoo run --resume {begun} --max-" in told
    assert {p: p.read_bytes() for p in begun.rglob("*") if p.is_file()} == before


def test_finished_is_for_a_plan_and_stopped_for_a_limit(begun):
    assert json.loads((begun / "status.json").read_text())["state"] == "stopped"
    assert summaries(begun)[0]["state"] == "stopped"
    change(begun / "status.json", state="finished")  # as older versions wrote it
    assert summaries(begun)[0]["state"] == "stopped"
    assert run(None, resume=begun, voice=Voice(quiet=True)).outcome == "finished"
    assert summaries(begun)[0]["state"] == "finished"


def test_what_was_set_before_isnt_said_as_of_today(begun, capsys):
    run(None, resume=begun, limits=Limits(5), voice=Voice(), overrides=SETS)
    said = capsys.readouterr().err
    assert "set on the command line" not in said
    assert f"set in an earlier part of this run: {SETS[0]}" in said


# --- what killed processes leave -----------------------------------------------------------------


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_killed_writers_left_goes_at_the_next_start(begun):
    dead, alive = ended_process(), os.getppid()
    gone = [
        begun / f".status.json.{dead}.tmp",
        begun / f".metrics.jsonl.{os.getpid()}.tmp",  # another process had our number before
        begun / "samples" / f".step_000000002.png.{dead}.tmp",
        begun / "checkpoints" / f".LATEST.{dead}.tmp",
        begun / "checkpoints" / "step_3.tmp" / f".generator.safetensors.{dead}.tmp",
    ]
    kept = [
        begun / f".status.json.{alive}.tmp",  # the control: somebody may be writing it
        begun / ".mine.tmp",
        begun / "samples" / "mine.1.tmp",
    ]
    for file in (*gone, *kept):
        file.parent.mkdir(exist_ok=True)
        file.write_text("half of it")
    assert go_on(begun).document["step"] == 5
    assert not [file for file in gone if file.exists()]
    assert not (begun / "checkpoints" / "step_3.tmp").exists()
    assert all(file.exists() for file in kept)


def test_a_new_run_may_take_a_start_that_was_broken_off(tiny, tmp_path):
    out = tmp_path / "x"
    out.mkdir()
    for name in ("recipe.toml", ".lock", f".recipe.resolved.toml.{ended_process()}.tmp"):
        (out / name).write_text("half of it")
    recipe = load_recipe(tiny)
    run(recipe, out=out, limits=Limits(1), voice=Voice(quiet=True))
    assert (out / "recipe.toml").read_text() == recipe.text
    assert sorted(file.name for file in out.glob(".*")) == [".lock"]


@pytest.mark.parametrize("name", ["mine.txt", "recipe.resolved.toml", "log.txt", ".hidden"])
def test_a_new_run_takes_no_directory_that_holds_anything_else(tiny, tmp_path, name):
    out = tmp_path / "x"
    out.mkdir()
    (out / "recipe.toml").write_text("mine")
    (out / name).write_text("mine")
    with pytest.raises(UsageError, match="isn't empty"):
        run(load_recipe(tiny), out=out, limits=Limits(1), voice=Voice(quiet=True))
    assert (out / "recipe.toml").read_text() == "mine"


def test_of_two_starts_in_one_directory_the_second_takes_nothing(tiny, tmp_path, monkeypatch):
    """The first one begins between the second's look and its claim."""
    out, recipe = tmp_path / "x", load_recipe(tiny)
    reserve = run_directory.reserve

    def overtaken(*arguments):
        path = reserve(*arguments)
        with run_directory.claimed(path):
            run_directory.begin(load_recipe(tiny, ["train.seed=9"]), path)
        return path

    monkeypatch.setattr(run_directory, "reserve", overtaken)
    with pytest.raises(UsageError, match="isn't empty"):
        run(recipe, out=out, limits=Limits(1), voice=Voice(quiet=True))
    assert load_recipe(out / "recipe.resolved.toml").train.seed == 9


# --- lists ---------------------------------------------------------------------------------------


def test_names_of_runs_are_whole_whatever_the_width(template, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    long = tmp_path / ("a-name-of-" + "60-letters" * 5) / "20260101-120000"
    shutil.copytree(template, long)
    other = shutil.copytree(long, long.with_name("20260101-130000"))
    change(other / "status.json", step=3)
    assert main(["runs", "list", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["run", "recipe", "state", "step", "data"]
    assert [line.split()[0] for line in lines[1:]] == [str(long), str(other)]
    assert lines[1].split()[1:] == ["tiny", "stopped", "4", "facades/procedural"]
    assert main(["runs", "compare", str(long), str(other)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["better", str(long), str(other)]
    assert lines[1].split() == ["step", "4", "3"]


def test_a_folder_of_runs_names_them_wherever_a_run_is_wanted(begun, capsys):
    folder = str(begun.parent)
    for command in (
        ("run", "--resume", folder),
        ("evaluate", folder),
        ("runs", "compare", folder, str(begun)),
        ("predict", folder, "x.png", "-o", "y.png"),
    ):
        assert main(command) == ExitCode.USAGE
        said = capsys.readouterr().err
        assert f"Runs in it, the newest first:\n    {begun}" in said, command
    assert main(["run", "--resume", str(begun / "nowhere")]) == ExitCode.USAGE
    assert "no such run directory" in capsys.readouterr().err
