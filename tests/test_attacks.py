"""What a hostile reviewer tried: damaged run directories, two resumes at once, disks that fail."""

from __future__ import annotations

import errno
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ganzoo.api import hookimpl
from ganzoo.cli.main import main
from ganzoo.engine import checkpoint
from ganzoo.engine.accelerate_session import Session
from ganzoo.engine.check import inspect_recipe
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.engine.run_history import last_losses, summaries
from ganzoo.errors import (
    DataError,
    EnvironmentFault,
    ExitCode,
    PluginError,
    RecipeError,
    UsageError,
)
from ganzoo.observers import Voice
from ganzoo.observers.base import Observer
from ganzoo.observers.metrics_log import MetricsLog
from ganzoo.recipe import load_recipe
from tests.weights_of import weights_of

pytestmark = pytest.mark.usefixtures("toy_plugin")
TOY = "broken_toy"
QUIET = Voice(quiet=True)


def go(tiny, out=None, *, resume=None, steps=None, sets=(), observers=None, voice=QUIET):
    recipe = load_recipe(tiny, sets) if tiny else None
    return run(
        recipe, out=out, resume=resume, limits=Limits(steps), voice=voice, observers=observers
    )


@pytest.fixture
def begun(tiny, tmp_path) -> Path:
    """A run of four steps with checkpoints at 2 and 4."""
    go(tiny, tmp_path / "run", steps=4, sets=("checkpoints.every=2 steps",))
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [4, 2]
    return tmp_path / "run"


@pytest.mark.parametrize(
    "manifest", ["[]", "{", '{"files": []}', '{"files": {}}', '{"files": {"a": 1}}']
)
def test_a_damaged_manifest_is_a_damaged_checkpoint(begun, manifest):
    (begun / "checkpoints/step_4/manifest.json").write_text(manifest)
    folder, problems = checkpoint.newest_good(begun / "checkpoints")
    assert folder == begun / "checkpoints/step_2"
    assert len(problems) == 1
    assert weights_of(begun, "generator").parent == begun / "checkpoints/step_2"
    assert go(None, resume=begun, steps=3).document["step"] == 3


def test_weights_named_at_the_end_are_those_of_this_run_not_damaged_newer_ones(begun):
    (begun / "checkpoints/step_4/generator.safetensors").write_bytes(b"x")
    weights = go(None, resume=begun, steps=3).document["weights"]
    assert {Path(path).parent.name for path in weights.values()} == {"step_3"}


@pytest.mark.parametrize("steps", [2, 4])
def test_a_resume_with_nothing_to_do_leaves_the_checkpoints_alone(begun, steps):
    before = {p: p.stat().st_mtime_ns for p in (begun / "checkpoints").rglob("*")}
    result = go(None, resume=begun, steps=steps)
    assert (result.outcome, result.document["step"]) == ("stopped", 4)
    assert {p: p.stat().st_mtime_ns for p in (begun / "checkpoints").rglob("*")} == before
    assert "step_4" in result.document["weights"]["generator"]


@pytest.mark.parametrize("name", ["status.json", "provenance.json"])
@pytest.mark.parametrize("text", ['{"st', "[]"])
def test_a_damaged_document_is_named(begun, name, text):
    (begun / name).write_text(text)
    with pytest.raises(DataError, match="is damaged") as caught:
        go(None, resume=begun)
    assert caught.value.where.endswith(name)


def test_runs_are_listed_and_compared_while_one_is_damaged(begun, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(begun, other)
    whole = last_losses(begun)
    with (other / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    assert last_losses(other) == whole != {}
    (other / "status.json").write_text("{")
    assert {row["run"]: row["state"] for row in summaries(tmp_path)} == {
        str(begun): "stopped",
        str(other): "unreadable",
    }


def test_a_stored_recipe_that_was_edited_is_said_or_refused(begun, capsys):
    stored = begun / "recipe.resolved.toml"
    text = stored.read_text()
    go(None, resume=begun, steps=5, voice=Voice())
    assert "isn't what the last part" not in capsys.readouterr().err  # the control
    stored.write_text(text.replace("lr = 0.0002", "lr = 0.5"))
    go(None, resume=begun, steps=6, voice=Voice())
    assert "isn't what the last part of this run used" in capsys.readouterr().err
    stored.write_text(text.replace("width = 4", "width = 6"))
    with pytest.raises(DataError, match="don't fit pix2pix/unet") as caught:
        go(None, resume=begun, steps=7)
    assert caught.value.where == "generator of step 6"


def test_two_processes_never_train_in_one_directory(begun):
    code = (
        "import sys, pathlib; from ganzoo.engine.run_directory import claimed\n"
        "with claimed(pathlib.Path(sys.argv[1])): print('mine', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(begun)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout.readline() == b"mine\n"
    before = (begun / "metrics.jsonl").read_bytes()
    with pytest.raises(UsageError, match="another process"):
        go(None, resume=begun, steps=5)
    assert (begun / "metrics.jsonl").read_bytes() == before
    other.kill()
    other.communicate()
    assert go(None, resume=begun, steps=5).document["step"] == 5


def test_what_cant_be_built_leaves_no_directory(tiny, tmp_path):
    with pytest.raises(RecipeError):
        go(tiny, tmp_path / "run", sets=("data.size=33",))
    assert not (tmp_path / "run").exists()


def test_an_impossible_run_directory_is_the_environments_fault(tiny, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    with pytest.raises(EnvironmentFault, match="can't be written"):
        go(tiny, tmp_path / "file" / "run")
    assert main(["run", str(tiny), "--set", f"out={tmp_path / 'file'}"]) == ExitCode.ENVIRONMENT
    assert "Traceback" not in capsys.readouterr().err


def test_a_disk_that_fills_up_under_the_log_ends_with_its_cause(tiny, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    sets = ("checkpoints.every=2 steps",)
    monkeypatch.setattr(MetricsLog, "_append", full)
    result = go(tiny, tmp_path / "run", sets=sets)
    assert (result.outcome, result.exit_code) == ("failed", ExitCode.ENVIRONMENT)
    assert "No space left" in str(result.error)
    monkeypatch.undo()
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [3, 2]
    assert go(None, resume=tmp_path / "run", steps=4).document["step"] == 4


class NoRoom(Observer):
    def sample(self, run):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_last_sample_that_fails_costs_no_weights(tiny, tmp_path):
    result = go(tiny, tmp_path / "run", steps=2, observers=[NoRoom()], voice=Voice())
    assert result.exit_code == 0
    assert "no sample of step 2" in (tmp_path / "run" / "log.txt").read_text()
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [2]


class Remover(Observer):
    @hookimpl
    def ganzoo_step_done(self, run, step):
        if step == 2:
            shutil.rmtree(run.path)


def test_a_directory_deleted_under_way_ends_the_run(tiny, tmp_path):
    result = go(tiny, tmp_path / "run", observers=[MetricsLog(), Remover()])
    assert (result.outcome, result.exit_code) == ("failed", ExitCode.ENVIRONMENT)


class Faulty(Observer):
    @hookimpl
    def ganzoo_step_done(self, step):
        Path("/no such file").read_text()


def test_an_observers_own_missing_file_is_no_fault_of_the_disk(tiny, tmp_path):
    """The control: only errors of the run directory are the environment's."""
    with pytest.raises(FileNotFoundError):
        go(tiny, tmp_path / "run", observers=[Faulty()])
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "failed"


def test_more_processes_after_a_resume_still_see_every_planned_image(begun, monkeypatch):
    # Of 28 planned images 4 are done. Were a step to take 7 images from here (as 7 processes
    # would), 4 steps more are needed, though the plan would then count 4 steps in all.
    monkeypatch.setattr(Session, "world", property(lambda _: 7))
    monkeypatch.setattr(Session, "gather", lambda _, value: [value] * 7)
    for name in ("mean", "any", "share"):
        monkeypatch.setattr(Session, name, lambda _, value: value)
    document = go(None, resume=begun).document
    assert (document["step"], document["images"]) == (8, 32)


def test_moments_that_are_not_finite_are_never_saved(tiny, tmp_path):
    """A gradient of 1e30 squares to infinity: the weight stays finite and never moves again."""

    class Explode(Observer):
        @hookimpl
        def ganzoo_run_started(self, run):
            weight = next(run.nets["generator"].parameters())
            weight.register_hook(lambda gradient: torch.full_like(gradient, 1e30))

    result = go(tiny, tmp_path / "run", steps=2, observers=[Explode()])
    assert result.exit_code == ExitCode.DIVERGED
    assert "exp_avg_sq" in str(result.error)
    assert not list((tmp_path / "run").glob("checkpoints/step_*"))


@pytest.mark.parametrize(
    "table", ["generator", "loss", "task", "data", "augment", "metric", "callback"]
)
def test_a_target_that_isnt_there_is_named_before_anything_runs(tiny, tmp_path, table):
    value = "broken_toy/missing"
    sets = (f'{table}=["{value}"]' if table in ("augment", "metric") else f"{table}={value}",)
    with pytest.raises(PluginError, match="broken_toy/missing can't be imported") as caught:
        go(tiny, tmp_path / "run", sets=sets)
    assert 'plugin "broken_toy"' in caught.value.hint
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            "loss=broken_toy/vector",
            r"term 'd' of player 'discriminator' is not a single number: \(1,",
        ),
        (
            "loss=broken_toy/number",
            "term 'd' of player 'discriminator' is not a single number: float",
        ),
        ("loss=broken_toy/detached", "terms of player 'discriminator' don't depend on its weights"),
        ("callback=broken_toy/misspelt", "hooks of Misspelt can't be called: unknown hook"),
        ("generator=broken_toy/identity", "player 'generator' has no weights"),
        ("generator=broken_toy/half", "broken_toy/half returns 3 x 16 x 16, not 3 x 32 x 32"),
    ],
)
def test_a_plugins_mistake_is_laid_at_its_door(tiny, tmp_path, setting, said):
    try:
        error = go(tiny, tmp_path / "run", steps=2, sets=(setting,)).error
    except (PluginError, RecipeError) as raised:
        error = raised
    assert re.search(said, error.message)


def test_check_sees_images_of_the_wrong_size(tiny):
    report = inspect_recipe(load_recipe(tiny, ("generator=broken_toy/half",)))
    assert [p["message"] for p in report["problems"]] == [
        "broken_toy/half returns 3 x 16 x 16, not 3 x 32 x 32"
    ]
    assert not inspect_recipe(load_recipe(tiny))["problems"]  # the control


@pytest.mark.parametrize("loss", ["loss=", 'loss=["pix2pix/cgan_l1", {}]'])
def test_what_a_loss_remembers_is_part_of_an_exact_resume(tiny, tmp_path, loss):
    counting = '{use="broken_toy/counting"}'
    sets = (loss.format(counting) if "{}" in loss else loss + counting,)
    go(tiny, tmp_path / "whole", steps=4, sets=sets)
    go(tiny, tmp_path / "parts", steps=2, sets=sets)
    go(None, resume=tmp_path / "parts", steps=4)
    weights = [
        load_file(tmp_path / name / "checkpoints/step_4/generator.safetensors")
        for name in ("whole", "parts")
    ]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("optimizer.lr=inf", "must be a finite number"),
        ("loss.l1=nan", "must be a finite number"),
        ("loss.l1={from=inf,to=1}", "must be a finite number"),
        ("train.workers=-1", "must be at least 0"),
        ("train.threads=0", "must be at least 1"),
        ("checkpoints.best=l1", "nothing is validated"),
    ],
)
def test_values_that_could_only_fail_later_are_refused(tiny, setting, said):
    with pytest.raises(RecipeError, match=said):
        load_recipe(tiny, (setting,))
