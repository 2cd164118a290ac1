"""What size `ganzoo init` proposes, a function of measured steps; and that its recipes run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ganzoo.cli.init import command
from ganzoo.cli.init_scale import (
    ENOUGH_STEPS,
    LEAST_STEPS,
    candidates,
    choose,
    extrapolated,
)
from ganzoo.cli.init_text import HERE, PAPER, nice
from ganzoo.cli.main import main
from ganzoo.data.proposal import Scale
from ganzoo.engine.step_timing import StepTime
from ganzoo.errors import EnvironmentFault, UsageError
from ganzoo.recipe import load_recipe, loads

SCALES = (Scale(256, 64), Scale(128, 64), Scale(128, 32), Scale(64, 32), Scale(64, 16))


class Machine:
    """A machine on which a step takes some time for each unit of work, and some whatever it is."""

    def __init__(self, full, least=0.002, *, reading=0.0, samples=400, refuses=()):
        self.full, self.least, self.reading, self.samples = full, least, reading, samples
        self.refuses = refuses
        self.asked = []

    def __call__(self, scale):
        self.asked.append(scale)
        if scale in self.refuses:
            raise EnvironmentFault("no memory left")
        return StepTime(
            seconds=self.least + self.full * scale.work / Scale(256, 64).work,
            reading=self.reading, timed=1, images=1, steps=1, samples=self.samples,
            device="cpu", precision="fp32", threads=2,
        )  # fmt: skip

    def choose(self, seconds=600.0, scales=SCALES, images=1):
        return choose(scales, self, seconds, samples=self.samples, images=images)


@pytest.mark.parametrize(
    ("full", "seconds", "scale"),
    [
        (0.1, 600, Scale(256, 64)),  # a fast machine
        (0.6, 600, Scale(128, 64)),
        (1.2, 600, Scale(128, 32)),
        (2.8, 600, Scale(64, 32)),
        (20.0, 600, Scale(64, 16)),  # a very slow one
        (0.1, 60, Scale(128, 32)),  # the fast machine in a minute
        (1.2, 3600, Scale(128, 64)),  # the slow one in an hour
    ],
)
def test_a_machine_gets_the_best_scale_that_leaves_enough_steps(full, seconds, scale):
    machine = Machine(full)
    choice = machine.choose(seconds)
    assert choice.scale == scale
    assert choice.seconds <= seconds
    assert choice.steps >= LEAST_STEPS * 0.9
    # What is far too slow isn't even measured: here nothing that takes eleven times too long.
    assert all(one.work / Scale(256, 64).work * full < 11 * 0.17 * seconds / 600
               for one in machine.asked)  # fmt: skip


def test_where_no_scale_leaves_enough_steps_it_is_the_smallest():
    choice = Machine(full=1.0, least=1.0).choose(60)
    assert choice.scale == Scale(64, 16)
    assert choice.steps == 400  # an epoch of all images, longer than a minute
    assert choice.seconds > 60
    assert Machine(full=1.0, least=1.0, samples=10).choose(60).steps == 50


def test_few_images_get_more_epochs_and_as_many_steps():
    few, many = Machine(0.1, samples=48).choose(), Machine(0.1, samples=480).choose()
    assert few.epochs == pytest.approx(10 * many.epochs, rel=0.1)
    assert few.steps == pytest.approx(many.steps, rel=0.1)
    # Batches of sixteen images see an epoch in fewer steps.
    assert Machine(0.1, samples=480).choose(images=16).epochs > 10 * many.epochs


def test_a_fast_machine_is_not_given_more_than_a_first_result_needs():
    choice = Machine(0.0001, least=0.0001).choose()
    assert choice.steps <= 1.1 * ENOUGH_STEPS


def test_slow_files_leave_fewer_steps():
    one = (Scale(128, 64),)
    fast, slow = (Machine(0.5, reading=each).choose(scales=one) for each in (0, 0.4))
    assert slow.steps < 0.9 * fast.steps
    assert slow.seconds < 600


def test_what_cannot_be_measured_is_not_chosen():
    best = Machine(0.01).choose()
    assert best.scale == Scale(256, 64)  # the control
    assert Machine(0.01, refuses=(Scale(256, 64),)).choose().scale == Scale(128, 64)
    none = Machine(0.01, refuses=SCALES).choose()
    assert (none.scale, none.seconds, none.reason) == (Scale(128, 32), None, "no memory left")
    assert none.steps >= LEAST_STEPS


def test_no_scale_exceeds_the_images_own_size_unless_that_is_wanted():
    assert candidates(SCALES, 256, None) == list(SCALES)
    assert candidates(SCALES, 200, None) == list(SCALES[1:])
    assert candidates(SCALES, 100, None) == list(SCALES[3:])
    assert candidates(SCALES, 48, None) == [Scale(32, 32), Scale(32, 16)]
    assert candidates(SCALES, 3, None)[0].size == 16
    assert candidates(SCALES, None, None) == list(SCALES)
    assert candidates(SCALES, 100, 192) == [Scale(192, 64), Scale(192, 32), Scale(192, 16)]


def test_a_larger_scale_is_reckoned_by_its_work():
    tried = {Scale(64, 16): Machine(1, 0)(Scale(64, 16)), Scale(128, 32): Machine(1, 0)(SCALES[2])}
    assert extrapolated(tried, Scale(256, 64), 1) == pytest.approx(1)
    assert extrapolated(tried, Scale(256, 64), 4) == pytest.approx(4)
    assert extrapolated({}, Scale(256, 64), 1) is None
    # Where sixteen times the work took four times as long, it does so again.
    tried = {Scale(64, 16): replace(tried[SCALES[4]], seconds=0.2), SCALES[2]: tried[SCALES[2]]}
    tried[SCALES[2]] = replace(tried[SCALES[2]], seconds=0.8)
    assert extrapolated(tried, Scale(256, 64), 1) == pytest.approx(3.2)
    del tried[Scale(64, 16)]
    assert extrapolated(tried, Scale(256, 64), 1) == pytest.approx(0.8 * 8)


def test_round_numbers():
    assert [nice(n) for n in (0.2, 1, 4.9, 9, 49, 336, 1000, 2999)] == [
        1, 1, 2, 5, 20, 200, 1000, 2000,
    ]  # fmt: skip


# Folders as they lie on a disk.


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def picture(path, height, width, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(values).save(path)


def paired(count=6, side=32):
    for number in range(count):
        picture(Path(f"set/{number}.png"), side, 2 * side, number)


def unpaired(count=6, side=32):
    for number in range(count):
        picture(Path(f"set/cats/c{number}.png"), side, side, number)
        picture(Path(f"set/dogs/d{number}.png"), side, side + 3, number)


def single(count=6, side=32):
    for number in range(count):
        picture(Path(f"set/{number}.png"), side, side + number, number)


def init(*arguments):
    answer = CliRunner().invoke(command, ["set", *arguments])
    if answer.exception is not None and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    assert answer.exit_code == 0, answer.output
    return answer, Path("set.toml").read_text()


def published(text):
    """The recipe as a person makes it who follows the words above the commented block."""
    head, _, rest = text.partition(HERE)
    lines = rest.partition(PAPER)[2].splitlines()[1:]
    return head + "\n".join(re.sub(r"^# ?", "", line) for line in lines if line[:2] != "##")


@pytest.mark.parametrize(
    ("folder", "data", "full"),
    [
        (paired, "images/side_by_side", (8, 64)),
        (unpaired, "images/unpaired", (9, 64)),
        (single, "images/folder", (None, 128)),
    ],
)
def test_what_is_written_is_measured_and_runs(folder, data, full, capsys):
    folder()
    answer, text = init("--for", "2s")
    recipe = load_recipe("set.toml")
    assert recipe.data.id == data
    assert "# Measured " in text
    assert re.search(r"# 32 x 32, width \d+: [\d.]+ m?s a step of \d+ images?, ", text)
    assert "32 x 32, width" in answer.stderr
    assert main(["run", "set.toml", "--max-steps", "3"]) == 0
    grids = list(Path("runs").rglob("*.png"))
    assert grids
    # The published setting, when its comments are taken away.
    whole = loads(published(text), "whole.toml", path=Path("whole.toml").absolute())
    options = whole.networks["generator"].options
    assert (getattr(options, "depth", getattr(options, "blocks", None)), options.width) == full
    assert whole.train.epochs >= 200
    assert recipe.networks["generator"].options.width < options.width  # the control
    if data == "images/folder":
        assert "ganzoo sample runs/set/STAMP" in answer.stderr
        (run,) = Path("runs/set").glob("2*")
        assert main(["sample", str(run), "-n", "4", "-o", "grid.png"]) == 0
        assert Path("grid.png").is_file()


def test_a_wanted_size_is_obeyed_and_said(step_seconds):
    paired()
    answer, _ = init("--size", "64")
    assert load_recipe("set.toml").networks["generator"].options.depth == 6
    assert "The images have 32 pixels on their shorter side and are enlarged." in answer.stderr
    answer, _ = init("--overwrite")  # the control
    recipe = load_recipe("set.toml")
    assert recipe.networks["generator"].options.depth == 5
    # Narrow networks have a higher rate than the published one of 2e-4, which is of width 64.
    width = recipe.networks["generator"].options.width
    assert recipe.optimizer.chosen.options.lr.start == pytest.approx(2e-4 * 64 / width)
    assert "enlarged" not in answer.stderr
    with pytest.raises(UsageError, match="--size 100: pix2pix/unet") as caught:
        init("--size", "100", "--overwrite")
    assert "64 or 128" in caught.value.hint
    assert step_seconds  # nothing was measured


def test_a_wanted_time_is_obeyed(step_seconds):
    paired(40)
    step_seconds[0] = 0.1
    init()
    ten = load_recipe("set.toml").train.epochs
    init("--for", "5m", "--overwrite")
    assert load_recipe("set.toml").train.epochs == pytest.approx(ten / 2, abs=1)
    with pytest.raises(UsageError, match="not a duration"):
        init("--for", "10", "--overwrite")
    with pytest.raises(UsageError, match="the recipe of --base is used unchanged"):
        init("--base", "quickstart", "--for", "5m", "--overwrite")


def test_more_images_than_time_is_said_with_what_to_type(step_seconds):
    paired(30)
    step_seconds[0] = 10
    answer, text = init("--for", "1m")
    assert "next: ganzoo data inspect set.toml; ganzoo run --max-time 1m set.toml" in answer.stderr
    assert "One epoch takes longer than 60 s" in text
    step_seconds[0] = 0.1  # the control
    answer, text = init("--for", "1m", "--overwrite")
    assert "ganzoo run set.toml" in answer.stderr
    assert "One epoch" not in text


def test_a_measurement_that_fails_is_said_and_a_recipe_written(monkeypatch):
    from ganzoo.engine import step_timing

    def fail(*_args, **_options):
        raise EnvironmentFault("this machine has\nno memory left")

    monkeypatch.setattr(step_timing, "measure", fail)
    paired(6, side=300)
    answer, text = init()
    recipe = load_recipe("set.toml")
    options = recipe.networks["generator"].options
    assert (options.depth, options.width) == (7, 32)  # 128 pixels
    for said in (answer.stderr, text):
        assert "No step could be measured (this machine has no memory left)" in said
    assert "could not be measured ----" in text
    assert loads(published(text), "x.toml", path=Path("x.toml").absolute()).train.epochs == 200


def test_on_a_gpu_it_is_the_published_setting(step_seconds, monkeypatch):
    from ganzoo.engine import accelerate_session

    paired(6, side=300)
    resolve = accelerate_session.resolve

    def with_gpu(train):
        import dataclasses

        return dataclasses.replace(resolve(train), device="cuda")

    monkeypatch.setattr(accelerate_session, "resolve", with_gpu)
    init()
    recipe = load_recipe("set.toml")
    assert (recipe.networks["generator"].options.depth, recipe.train.epochs) == (8, 200)
    init("--for", "1m", "--overwrite")  # the control: what is asked for comes first
    assert load_recipe("set.toml").train.epochs < 200
    assert step_seconds == [0.15]
