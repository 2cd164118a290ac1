"""How long a step takes here: what `check` tells of it, and what it leaves as it was."""

from __future__ import annotations

import json
import time

import pytest
import torch

from ganzoo.cli.main import main
from ganzoo.data.pipeline import open_data
from ganzoo.engine import step_timing as module
from ganzoo.engine.intervals import rounded
from ganzoo.engine.step_timing import StepTime, measure
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import EnvironmentFault
from ganzoo.process.memory import free_memory
from ganzoo.recipe import load_recipe


def measured(recipe, **options):
    return measure(recipe, open_data(recipe, "train"), **options)


def test_a_step_is_measured_and_nothing_else_changes(tiny):
    recipe = load_recipe(tiny)
    torch.manual_seed(3)
    before, threads, files = (
        torch.get_rng_state(),
        torch.get_num_threads(),
        list(tiny.parent.iterdir()),
    )
    found = measured(recipe)
    assert 0 < found.seconds < 5
    assert found.steps == 4 * 7
    assert (found.images, found.timed, found.device, found.precision) == (1, 1, "cpu", "fp32")
    assert found.whole >= 28 * found.seconds  # and the reading of 7 images
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert list(tiny.parent.iterdir()) == files


def test_steps_are_counted_in_batches_and_accumulated_ones(tiny, monkeypatch):
    recipe = load_recipe(tiny, ["train.batch_size=2", "train.accumulate=3"])
    found = measured(recipe)
    assert (found.images, found.steps) == (6, 5)

    # Of a large batch sixteen images are tried first; here the rest is never reached.
    def a_second(trainer, _seconds):
        trainer.step()
        return [1.0, 1.0, 1.0]

    monkeypatch.setattr(module, "_steps", a_second)
    large = measured(load_recipe(tiny, ["train.batch_size=64"]), seconds=0.5)
    assert large.timed == 16
    assert large.seconds == pytest.approx(64 / 16)
    # The control: where time suffices, the whole batch is timed.
    assert measured(load_recipe(tiny, ["train.batch_size=64"]), seconds=90).timed == 64


def test_players_that_begin_later_are_measured_too(tiny, monkeypatch):
    step, seen = Trainer.step, []

    def noting(trainer):
        step(trainer)
        seen.append(dict(trainer.stepper.moves))

    monkeypatch.setattr(Trainer, "step", noting)
    measured(load_recipe(tiny, ["players.discriminator.begin=2 epochs"]), seconds=0.5)
    assert seen[0] == {"discriminator": 1, "generator": 1}


def test_a_plan_has_its_steps_and_reads_each_image_once():
    found = StepTime(
        seconds=0.5, reading=2.0, timed=1, images=4, steps=100, samples=50,
        device="cpu", precision="fp32", threads=1,
    )  # fmt: skip
    assert found.whole == 100 * 0.5 + 50 * 2
    assert found.of(3) == 3 * 0.5 + 12 * 2


def test_the_first_steps_do_not_count(tiny, monkeypatch):
    trainer_step, calls = Trainer.step, []

    def slow_at_first(self):
        calls.append(self)
        if len(calls) == 1:
            time.sleep(0.4)
        trainer_step(self)

    monkeypatch.setattr(Trainer, "step", slow_at_first)
    assert measured(load_recipe(tiny), seconds=0.1).seconds < 0.3
    assert len(calls) >= 2


def test_check_tells_how_long_it_takes(tiny, capsys):
    assert main(["check", str(tiny)]) == 0
    assert "A step takes about" in capsys.readouterr().out
    assert main(["check", str(tiny), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["time"]
    assert told["steps"] == 28
    assert told["whole"] >= 28 * told["step"] > 0
    # The control: what builds nothing measures nothing.
    assert main(["check", str(tiny), "--syntax", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["time"] == {}


@pytest.mark.parametrize("fault", [RuntimeError("out of luck"), SystemExit(1), MemoryError()])
def test_a_measurement_that_fails_is_said_and_check_goes_on(tiny, capsys, monkeypatch, fault):
    def fail(_self):
        raise fault

    monkeypatch.setattr(Trainer, "step", fail)
    assert main(["check", str(tiny), "--json"]) == 0
    answer = capsys.readouterr()
    told = json.loads(answer.out)
    assert told["time"] == {}
    assert told["networks"]
    assert any("can't be measured" in note for note in told["notes"])
    assert "how long a step takes here can't be measured" in answer.err


def test_what_would_not_fit_is_not_tried(tiny, capsys, monkeypatch):
    monkeypatch.setattr(module, "free_memory", lambda: 100_000)
    monkeypatch.setattr(Trainer, "step", lambda _self: pytest.fail("it was tried"))
    assert main(["check", str(tiny)]) == 0
    assert "GB of memory, and" in capsys.readouterr().err


def test_free_memory_is_read_where_the_system_tells(tmp_path):
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:  9 kB\nMemAvailable:     2000 kB\n")
    assert free_memory(file) == 2_048_000
    assert free_memory(tmp_path / "none") is None


def test_several_processes_measure_nothing(tiny, monkeypatch):
    recipe = load_recipe(tiny)
    data = open_data(recipe, "train")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(EnvironmentFault, match="one of several"):
        measure(recipe, data)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0153, "15 ms"),
        (0.152, "0.15 s"),
        (3.44, "3.4 s"),
        (45.2, "45 s"),
        (600, "10 min"),
        (12_003, "3 h 20 min"),
        (7_200, "2 h"),
        (100_000, "28 h"),
        (900_000, "10 days"),
    ],
)
def test_durations_are_rounded_for_people(seconds, words):
    assert rounded(seconds) == words
