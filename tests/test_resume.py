"""Resume equals uninterrupted, bit for bit; and what happens when it can't."""

import dataclasses
import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ganzoo.api import hookimpl
from ganzoo.engine import checkpoint, run_directory
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.engine.snapshot import capture, restore
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import DataError, ExitCode, RecipeError
from ganzoo.inference.weights_file import read_cards
from ganzoo.observers import Voice
from ganzoo.observers.base import Observer
from ganzoo.plugin_system import registry
from ganzoo.recipe import load_recipe
from tests.runs import assert_same_bits, log_of, tensors

QUIET = Voice(quiet=True)


def go(tiny, out=None, *, resume=None, steps=None, sets=(), observers=None):
    recipe = load_recipe(tiny, sets) if tiny else None
    return run(
        recipe, out=out, resume=resume, limits=Limits(steps), voice=QUIET, observers=observers
    )


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_resume_equals_uninterrupted(tiny, tmp_path, workers):
    # 7 images and a stop at step 5: in the middle of an epoch and of a log window of 3 steps.
    sets = (f"train.workers={workers}", "ema.enabled=true")
    go(tiny, tmp_path / "whole", steps=10, sets=sets)
    go(tiny, tmp_path / "parts", steps=5, sets=sets)
    go(None, resume=tmp_path / "parts", steps=10)
    assert_same_bits(tmp_path / "whole", tmp_path / "parts", 10)


def test_resume_with_accumulation_and_samples(tiny, tmp_path):
    sets = ("train.accumulate=2", "train.batch_size=2", "watch.samples=2 steps")
    go(tiny, tmp_path / "whole", steps=6, sets=sets)
    go(tiny, tmp_path / "parts", steps=3, sets=sets)
    go(None, resume=tmp_path / "parts", steps=6)
    assert_same_bits(tmp_path / "whole", tmp_path / "parts", 6)


def test_another_seed_gives_other_bits(tiny, tmp_path):
    """The control of the tests above: equality isn't to be had for nothing."""
    go(tiny, tmp_path / "one", steps=2)
    go(tiny, tmp_path / "two", steps=2, sets=("train.seed=1",))
    first, second = tensors(tmp_path / "one", 2), tensors(tmp_path / "two", 2)
    key = "generator.safetensors/" + next(
        n
        for n in load_file(tmp_path / "one/checkpoints/step_2/generator.safetensors")
        if n.endswith("weight")
    )
    assert not torch.equal(first[key], second[key])


def test_a_resume_that_forgets_the_random_state_is_noticed(tiny, tmp_path, monkeypatch):
    """A control: without the generators' state, dropout differs and so do the weights."""
    go(tiny, tmp_path / "whole", steps=4)
    go(tiny, tmp_path / "parts", steps=2)
    monkeypatch.setattr("ganzoo.engine.snapshot.rng.set_state", lambda *_: None)
    go(None, resume=tmp_path / "parts", steps=4)
    with pytest.raises(AssertionError):
        assert_same_bits(tmp_path / "whole", tmp_path / "parts", 4)


def test_samples_never_change_the_weights(tiny, tmp_path):
    go(tiny, tmp_path / "seen", steps=4, sets=("watch.samples=1 steps",))
    go(tiny, tmp_path / "unseen", steps=4, observers=[])
    assert len(list((tmp_path / "seen" / "samples").iterdir())) == 4
    first, second = tensors(tmp_path / "seen", 4), tensors(tmp_path / "unseen", 4)
    assert all(torch.equal(first[name], second[name]) for name in first)


class StopAt(Observer):
    """Sends this process a signal at a step, as Ctrl-C would."""

    def __init__(self, step: int, number: int) -> None:
        self.step = step
        self.number = number

    @hookimpl
    def ganzoo_step_done(self, step: int) -> None:
        if step == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_saves(tiny, tmp_path, number):
    before = signal.getsignal(number)
    recipe = load_recipe(tiny)
    result = run(recipe, out=tmp_path / "run", voice=QUIET, observers=[StopAt(3, number)])
    assert result.exit_code == ExitCode.INTERRUPTED
    assert result.outcome == "interrupted"
    # The flag is read once a step, so the signal of step 3 is seen after step 4.
    assert result.document["step"] == 4
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [4]
    assert signal.getsignal(number) is before
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["state"] == "interrupted"
    assert go(None, resume=tmp_path / "run", steps=6).document["step"] == 6


class Killed(BaseException):
    """Stands for kill -9: nothing of ours gets to run after it."""


class KillAt(Observer):
    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def ganzoo_step_done(self, step: int) -> None:
        if step == self.step:
            raise Killed


def killed(tiny, out: Path, at: int, sets=()) -> None:
    from ganzoo.observers.metrics_log import MetricsLog

    with pytest.raises(Killed):
        go(tiny, out, sets=sets, observers=[MetricsLog(), KillAt(at)])


def test_killed_before_the_first_checkpoint_starts_again_to_the_same_bits(tiny, tmp_path):
    killed(tiny, tmp_path / "parts", 4)
    assert log_of(tmp_path / "parts")  # lines that no checkpoint knows of
    go(tiny, tmp_path / "whole", steps=6)
    go(None, resume=tmp_path / "parts", steps=6)
    assert_same_bits(tmp_path / "whole", tmp_path / "parts", 6)


def test_killed_after_a_checkpoint_repeats_what_was_lost(tiny, tmp_path):
    sets = ("checkpoints.every=4 steps",)
    killed(tiny, tmp_path / "parts", 7, sets)
    assert [entry["step"] for entry in log_of(tmp_path / "parts")] == [3, 6]
    go(tiny, tmp_path / "whole", steps=8, sets=sets)
    go(None, resume=tmp_path / "parts", steps=8)
    assert_same_bits(tmp_path / "whole", tmp_path / "parts", 8)


def damage_one(folder: Path) -> None:
    file = folder / "generator.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1  # one bit of one weight: size and structure stay right
    file.write_bytes(content)


def test_a_damaged_newest_checkpoint_is_reported_and_passed_over(tiny, tmp_path):
    sets = ("checkpoints.every=2 steps",)
    path = tmp_path / "run"
    go(tiny, path, steps=4, sets=sets)
    damage_one(path / "checkpoints" / "step_4")
    folder, problems = checkpoint.newest_good(path / "checkpoints")
    assert folder is not None
    assert folder.name == "step_2"
    assert "step_4" in problems[0]
    assert "generator.safetensors" in problems[0]
    go(tiny, tmp_path / "whole", steps=6, sets=sets)
    go(None, resume=path, steps=6)
    assert_same_bits(tmp_path / "whole", path, 6)


def test_when_all_checkpoints_are_damaged_nothing_is_started_over(tiny, tmp_path):
    go(tiny, tmp_path / "run", steps=2)
    damage_one(tmp_path / "run" / "checkpoints" / "step_2")
    with pytest.raises(DataError, match="no checkpoint of this run is intact"):
        go(None, resume=tmp_path / "run")


BUILDING = """
from torch import nn
from ganzoo.api import component
from ganzoo.nn import weights_follow_now

built = []


class Painter(nn.Conv2d):
    def __init__(self, options, io):
        super().__init__(3, 3, 3, padding=1)
        built.append(("network", weights_follow_now()))


class Distance:
    needs_discriminator = False

    def __init__(self, options):
        built.append(("loss", weights_follow_now()))

    def generator(self, inputs):
        return {"distance": (inputs.real - inputs.fake).abs().mean()}


@component("generator")
def painter():
    return Painter


@component("loss")
def distance():
    return Distance
"""


def test_only_what_a_checkpoint_holds_is_built_without_its_first_weights(tiny, tmp_path):
    file = tmp_path / "building.py"
    file.write_text(BUILDING)
    before = registry.current()
    registry.activate(files=[file])
    try:
        import building

        sets = ("generator=building/painter", "discriminator=none", "loss=building/distance")
        killed(tiny, tmp_path / "run", at=1, sets=sets)  # nothing saved: all is as in a new run
        building.built.clear()
        go(None, resume=tmp_path / "run", steps=1)
        assert building.built == [("loss", False), ("network", False)]
        building.built.clear()
        go(None, resume=tmp_path / "run", steps=2)
        assert building.built == [("loss", False), ("network", True)]
    finally:
        registry.activate(records=before.records)


def test_a_run_is_claimed_before_its_checkpoints_are_looked_for(tiny, tmp_path, monkeypatch):
    """Else another process might save, and prune, between the look and the claim."""
    go(tiny, tmp_path / "run", steps=1)
    order = []

    def noted(module, name):
        function = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a: (order.append(name), function(*a))[1])

    noted(run_directory, "claimed")
    noted(checkpoint, "newest_good")
    go(None, resume=tmp_path / "run", steps=2)
    assert order == ["claimed", "newest_good"]


def test_only_the_named_keys_may_change_in_a_resume(tiny, tmp_path):
    go(tiny, tmp_path / "run", steps=2)
    with pytest.raises(RecipeError) as caught:
        go(tiny, resume=tmp_path / "run", sets=("optimizer.lr=1e-3", "train.epochs=9"))
    assert "optimizer.lr: 0.0002 -> 0.001" in caught.value.hint
    assert "train.epochs" not in caught.value.hint.splitlines()[0]
    sets = ("train.epochs=9", "watch.log=1 steps")
    result = go(tiny, resume=tmp_path / "run", steps=3, sets=sets)
    assert result.document["step"] == 3


@pytest.mark.parametrize(
    "sets",
    [("train.cache=0",), ("train.workers=1",), ("train.cache=3", "train.workers=1")],
    ids=" ".join,
)
def test_a_resume_may_change_how_data_are_loaded_and_no_bit(tiny, tmp_path, sets):
    go(tiny, tmp_path / "whole", steps=9)
    go(tiny, tmp_path / "parts", steps=5)
    go(tiny, resume=tmp_path / "parts", steps=9, sets=sets)
    assert_same_bits(tmp_path / "whole", tmp_path / "parts", 9)
    parts = json.loads((tmp_path / "parts" / "provenance.json").read_text())["parts"]
    assert [change.partition(":")[0] for change in parts[1]["changes"]] == [
        one.partition("=")[0] for one in sets
    ]
    assert parts[1]["resolved"]["workers"] == ("train.workers=1" in sets)
    with pytest.raises(RecipeError, match="isn't the one that this run began with") as caught:
        go(tiny, resume=tmp_path / "parts", sets=(*sets, "train.batch_size=2"))
    assert caught.value.hint.splitlines()[0] == "train.batch_size: 1 -> 2"


def test_a_finished_run_is_prolonged_by_more_epochs(tiny, tmp_path):
    done = go(tiny, tmp_path / "run", sets=("train.epochs=1",))
    assert (done.document["step"], done.outcome) == (7, "finished")
    more = go(tiny, resume=tmp_path / "run", sets=("train.epochs=2",))
    assert more.document["step"] == 14
    assert load_recipe(tmp_path / "run" / "recipe.resolved.toml").train.epochs == 2


def test_other_data_than_the_run_began_with_are_refused(tiny, tmp_path):
    go(tiny, tmp_path / "run", steps=1)
    status = tmp_path / "run" / "status.json"
    document = json.loads(status.read_text())
    document["data"]["length"] = 400
    status.write_text(json.dumps(document))
    with pytest.raises(DataError, match="400 images"):
        go(None, resume=tmp_path / "run", steps=2)


def test_a_run_that_names_the_former_distribution_goes_on_as_any(tiny, tmp_path, capsys):
    """Before `torch-ganzoo`, provenance and weights said `ganzoo`."""
    now = registry.current().records
    before = [dataclasses.replace(one, distribution="ganzoo") for one in now]
    out = tmp_path / "run"
    try:
        registry.activate(records=before)
        go(tiny, out, steps=2)
    finally:
        registry.activate(records=now)
    assert json.loads((out / "provenance.json").read_text())["plugins"]["gan"] == "ganzoo 0.1.0"
    cards = read_cards(out / "checkpoints" / "step_2" / "generator.safetensors")
    assert cards["generator"].plugin["distribution"] == "ganzoo"
    run(None, resume=out, limits=Limits(3), voice=Voice())
    assert "different plugins" not in capsys.readouterr().err
    file = out / "provenance.json"
    file.write_text(file.read_text().replace('"torch-ganzoo 0.1.0"', '"ganzoo 0.0.9"'))
    run(None, resume=out, limits=Limits(4), voice=Voice())  # the control
    assert "different plugins: ganzoo 0.0.9 -> torch-ganzoo 0.1.0" in capsys.readouterr().err


def test_no_pickle_anywhere_in_a_run_directory(tiny, tmp_path):
    go(tiny, tmp_path / "run", steps=2, sets=("watch.samples=1 steps",))
    for file in (tmp_path / "run").rglob("*"):
        if file.is_file():
            head = file.read_bytes()[:4]
            assert not head.startswith((b"\x80\x02", b"\x80\x04", b"\x80\x05", b"PK"))
            assert file.suffix in {".safetensors", ".json", ".jsonl", ".toml", ".txt", ".png", ""}


def test_default_observers_speak_through_the_voice(tiny, tmp_path, capsys):
    voice = Voice()
    run(load_recipe(tiny), out=tmp_path / "run", limits=Limits(7), voice=voice)
    said = (tmp_path / "run" / "log.txt").read_text()
    assert "time: about" in said
    assert "disk: up to" in said
    assert "weights:" in said
    assert capsys.readouterr().out == ""


def test_what_a_loss_keeps_survives_another_number_of_processes(tiny, trainer_of):
    """It isn't in any weights: a new process takes over what the first one of the run kept."""
    one = trainer_of(tiny)
    two = Trainer(one.recipe, one.data, one.session)
    for trainer in (one, two):
        trainer.loss = torch.nn.Module()
        trainer.loss.register_buffer("kept", torch.zeros(3))
    one.loss.kept += 5
    state = capture(one)
    (rank,) = state.plain["ranks"]
    state.plain["ranks"] = [rank, rank]  # as of a run of two processes
    state.tensors |= {
        name.replace("rank0/", "rank1/"): tensor
        for name, tensor in state.tensors.items()
        if name.startswith("rank0/")
    }
    (note,) = restore(two, state)
    assert "2 processes and continues with 1" in note
    assert two.loss.kept.tolist() == [5, 5, 5]
