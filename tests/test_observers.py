"""What watches a run: sample grids, validation and the best checkpoint, TensorBoard, callbacks."""

import io
import json
import re
import sys

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from ganzoo.data.contact_sheet import grid
from ganzoo.engine import checkpoint
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.errors import EnvironmentFault, RecipeError
from ganzoo.metrics.image import L1
from ganzoo.observers import Voice, sample_grids
from ganzoo.plugin_system.registry import activate
from ganzoo.recipe import load_recipe
from tests.runs import log_of

QUIET = Voice(quiet=True)


def go(tiny, out, *sets, steps):
    return run(load_recipe(tiny, sets), out=out, limits=Limits(steps), voice=QUIET)


def test_a_grid_has_a_row_an_image_and_a_column_a_caption():
    red = np.zeros((256, 256, 3), np.uint8)
    red[..., 0] = 255
    gray = np.full((256, 256, 1), 77, np.uint8)
    sheet = np.asarray(grid([{"source": red, "generated": gray}] * 2, "a caption"))
    assert sheet.shape[0] > 512
    assert sheet.shape[1] > 512
    assert (sheet == [255, 0, 0]).all(axis=2).sum() == 2 * 256 * 256
    assert (sheet == [77, 77, 77]).all(axis=2).sum() >= 2 * 256 * 256


def test_samples_say_what_they_show(tiny, tmp_path):
    go(tiny, tmp_path / "run", "data.use=images/facades", "data={ use = 'images/facades', "
       "root = 'nowhere', download = false, fallback = { use = 'facades/procedural', "
       "size = 32, train = 7, val = 3, test = 4 } }", steps=1)  # fmt: skip
    (file,) = (tmp_path / "run" / "samples").iterdir()
    assert file.name == "step_000000001.png"
    caption = Image.open(file).info["Description"]
    assert "step 1" in caption
    assert "STAND-IN DATA facades/procedural" in caption
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["data"]["stand_in"] is True
    assert "STAND-IN" in status["data"]["notes"][0]


def test_real_data_are_never_called_a_stand_in(tiny, tmp_path):
    go(tiny, tmp_path / "run", steps=1)
    (file,) = (tmp_path / "run" / "samples").iterdir()
    assert "STAND-IN" not in Image.open(file).info["Description"]


METRIC = "metric=[{ use = 'ganzoo/l1' }]"


@pytest.fixture
def _no_segmenter(monkeypatch):
    """The data propose label recovery, whose net would be trained for half a minute."""
    from ganzoo_facades.procedural import ProceduralFacades

    monkeypatch.setattr(ProceduralFacades, "metrics", ())


@pytest.mark.usefixtures("_no_segmenter")
def test_the_best_checkpoint_of_the_validation_is_kept(tiny, tmp_path):
    path = tmp_path / "run"
    go(tiny, path, "data.use=facades/procedural", METRIC, "watch.validate=1 steps",
       "checkpoints.best=l1", "checkpoints.best_is=highest", "checkpoints.keep=1",
       "checkpoints.every=1 steps", steps=6)  # fmt: skip
    lines = log_of(path)
    values = {line["step"]: line["metrics"]["l1"] for line in lines if "metrics" in line}
    assert sorted(values) == [1, 2, 3, 4, 5, 6]
    best = max(values, key=values.get)
    # An untrained generator is the worst, so "highest" is early and would have been thinned out.
    assert best < 5
    assert checkpoint.steps(path / "checkpoints") == sorted({best, 5, 6}, reverse=True)


@pytest.mark.usefixtures("_no_segmenter")
def test_validation_never_changes_the_weights(tiny, tmp_path):
    from safetensors.torch import load_file

    with_it, without = tmp_path / "with", tmp_path / "without"
    go(tiny, with_it, METRIC, "watch.validate=1 steps", steps=3)
    go(tiny, without, METRIC, steps=3)
    name = "checkpoints/step_3/generator.safetensors"
    one, two = load_file(with_it / name), load_file(without / name)
    assert all((one[key] == two[key]).all() for key in one)


@pytest.mark.usefixtures("_no_segmenter")
def test_a_best_that_is_no_metric_is_explained(tiny, tmp_path):
    result = go(tiny, tmp_path / "run", METRIC, "watch.validate=1 steps", "checkpoints.best=fid",
                steps=2)  # fmt: skip
    assert isinstance(result.error, RecipeError)
    assert "l1" in result.error.hint


@pytest.mark.usefixtures("_no_segmenter")
def test_a_best_without_a_value_today_does_not_end_the_training(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(L1, "compute", lambda _: {})
    result = go(tiny, tmp_path / "run", METRIC, "watch.validate=1 steps", "checkpoints.best=l1",
                steps=2)  # fmt: skip
    assert result.error is None


def test_tensorboard_files_hold_the_losses(tiny, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    go(tiny, tmp_path / "run", "watch.tensorboard=true", "watch.log=1 steps", steps=2)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    lines = log_of(tmp_path / "run")
    shown = [event.value for event in events.Scalars("generator/l1")]
    assert shown == pytest.approx([line["losses"]["generator/l1"] for line in lines])


def test_tensorboard_shows_the_samples_and_its_command_is_said(tiny, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "a run"
    recipe = load_recipe(tiny, ["watch.tensorboard=true", "watch.samples=1 steps"])
    voice = Voice(console=Console(file=io.StringIO()))
    run(recipe, out=out, limits=Limits(2), voice=voice)
    events = EventAccumulator(str(out / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    grids = sorted((out / "samples").glob("*.png"))
    shown = events.Images("samples")
    assert [event.step for event in shown] == [1, 2]
    for event, file in zip(shown, grids, strict=True):
        with Image.open(io.BytesIO(event.encoded_image_string)) as ours, Image.open(file) as grid:
            assert ours.size == grid.size
            assert ours.convert("RGB").tobytes() == grid.convert("RGB").tobytes()
    assert f"tensorboard --logdir '{out}/tensorboard'" in (out / "log.txt").read_text()


def test_tensorboard_that_is_missing_is_explained(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("ganzoo.observers.tensorboard.is_tensorboard_available", lambda: False)
    with pytest.raises(EnvironmentFault, match="isn't installed"):
        go(tiny, tmp_path / "run", "watch.tensorboard=true", steps=1)


CALLBACK = """
from ganzoo.api import component, hookimpl
from tests.runs import log_of

@component("callback")
def diary():
    return Diary

class Diary:
    lines = []

    def __init__(self, options):
        pass

    @hookimpl
    def ganzoo_run_started(self, run):
        self.lines.append(("started", run.clock.step))

    @hookimpl
    def ganzoo_step_done(self, step):
        self.lines.append(("step", step))

    @hookimpl
    def ganzoo_epoch_done(self, epoch):
        self.lines.append(("epoch", epoch))

    @hookimpl
    def ganzoo_saved(self, path, what):
        self.lines.append((what, path.name))

    @hookimpl
    def ganzoo_run_done(self, outcome):
        self.lines.append(("done", outcome))
"""


def test_a_callback_hears_the_life_of_a_run(tiny, tmp_path):
    before = activate()
    (tmp_path / "diary.py").write_text(CALLBACK)
    activate(files=[tmp_path / "diary.py"])
    try:
        go(tiny, tmp_path / "run", "callback=[{ use = 'diary/diary' }]", "train.batch_size=7",
           steps=1)  # fmt: skip
        lines = sys.modules["diary"].Diary.lines
    finally:
        activate(records=before.records)
        sys.modules.pop("diary", None)
        sys.path.remove(str(tmp_path))
    assert lines == [
        ("started", 0),
        ("step", 1),
        ("epoch", 1),
        ("checkpoint", "step_1"),
        ("sample", "step_000000001.png"),
        ("done", "stopped"),
    ]


def test_a_terminal_sees_a_bar_and_every_loss(tiny, tmp_path):
    screen = Console(file=io.StringIO(), force_terminal=True, width=60, soft_wrap=True)
    recipe = load_recipe(tiny, ("watch.log=1 steps",))
    run(recipe, out=tmp_path / "run", limits=Limits(8), voice=Voice(console=screen))
    shown = screen.file.getvalue()
    assert "step 8/8" in shown
    assert "it/s" in shown
    assert "eta" in shown
    for term in ("discriminator/real", "discriminator/fake", "generator/gan", "generator/l1"):
        assert term in shown
    assert "time: about" in shown


def test_the_speed_of_a_run_that_ends_while_it_settles(tiny, tmp_path):
    """The clock starts anew after the third step; what was counted until then must go with it."""
    said = []
    for steps in (3, 4):  # the second is the control, whose last step is timed alone
        voice = Voice(console=Console(file=io.StringIO(), width=200))
        recipe = load_recipe(tiny, ("watch.log=100 steps",))
        run(recipe, out=tmp_path / str(steps), limits=Limits(steps), voice=voice)
        (speed,) = re.findall(r"([0-9.]+) it/s", voice.console.file.getvalue())
        said.append(float(speed))
    assert said[0] < 20 * said[1]


def pairs(folder, size):
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        (folder / split).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(0, 256, (size, 2 * size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / split / f"{index}.png")


def test_samples_of_any_size_are_padded_as_predictions_are(tiny, tmp_path):
    """Training cuts to 32 pixels; the validation images, as they are, are no multiple of it."""
    pairs(tmp_path / "pairs", 40)
    go(tiny, tmp_path / "run", f"data={{ use = 'images/side_by_side', root = '{tmp_path}/pairs' }}",
       "augment=[{ use = 'albumentations/random_crop', height = 32, width = 32 }]",
       steps=1)  # fmt: skip
    assert list((tmp_path / "run" / "samples").iterdir())


def test_a_sample_that_fails_costs_no_weights(tiny, tmp_path, monkeypatch):
    def fail(self, run):
        raise RecipeError("no picture today")

    monkeypatch.setattr("ganzoo.observers.sample_grids.SampleGrids.sample", fail)
    result = go(tiny, tmp_path / "run", "watch.samples=2 steps", steps=5)
    assert result.exit_code == 0
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [5]


def test_a_run_without_an_application_has_samples(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(sample_grids, "available", lambda *_: {})
    go(tiny, tmp_path / "run", steps=1)
    assert len(list((tmp_path / "run" / "samples").iterdir())) == 1


def test_a_task_that_shows_no_images_is_named(tiny, tmp_path, monkeypatch):
    from ganzoo_pix2pix.task import Paired

    shown = Paired.sample
    monkeypatch.setattr(Paired, "sample", lambda *a: {"dots": shown(*a)["generated"].flatten(2)})
    recipe = load_recipe(tiny, ("watch.samples=2 steps",))
    result = run(recipe, out=tmp_path / "run", limits=Limits(5), voice=Voice())
    assert result.exit_code == 0
    said = (tmp_path / "run" / "log.txt").read_text()
    assert "pix2pix/paired shows 1 x 3 x 1024 as 'dots'" in said


@pytest.mark.usefixtures("_no_segmenter")
def test_an_evaluation_that_fails_leaves_the_runs_document(tiny, tmp_path, monkeypatch):
    def fail(*_args, **_kwargs):
        raise RecipeError("no figures today")

    monkeypatch.setattr("ganzoo.inference.evaluate.evaluate_run", fail)
    recipe = load_recipe(tiny, ("watch.evaluate=test", "train.epochs=1"))
    voice = Voice()
    result = run(recipe, out=tmp_path / "run", voice=voice)
    assert result.exit_code == 3
    assert result.outcome == "finished"
    assert result.document["weights"]
    assert "no figures today" in (tmp_path / "run" / "log.txt").read_text()
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "finished"


def test_the_status_keeps_up_with_the_log(tiny, tmp_path):
    from ganzoo.api import hookimpl
    from ganzoo.observers.base import Observer

    seen = []

    class Look(Observer):
        @hookimpl
        def ganzoo_step_done(self, run, step):
            seen.append(json.loads((run.path / "status.json").read_text())["step"])

    recipe = load_recipe(tiny, ("watch.log=2 steps",))
    run(recipe, out=tmp_path / "run", limits=Limits(5), voice=QUIET, observers=[Look()])
    assert seen == [0, 2, 2, 4, 4]


def test_a_weighted_term_is_shown_plain_beside_its_weight(tiny, tmp_path):
    """What a person compares with the validation's l1 is l1, not a hundred times as much."""
    voice = Voice(console=Console(file=io.StringIO(), soft_wrap=True))
    sets = ("watch.log=1 steps", "loss.l1=100")
    run(load_recipe(tiny, sets), out=tmp_path / "run", limits=Limits(1), voice=voice)
    (line,) = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry["weights"] == {"generator/l1": 100.0}
    plain = entry["losses"]["generator/l1"] / 100
    assert 0.05 < plain < 2  # a mean absolute error of images in [-1, 1]
    said = voice.console.file.getvalue()
    assert f"generator/l1 {plain:.4g} (x 100)" in said
    assert f"generator/gan {entry['losses']['generator/gan']:.4g}\n" in said.replace("  ", "\n")
