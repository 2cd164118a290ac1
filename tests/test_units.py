"""Fields in units, with masks, of labels and of a plugin's format: from training to scores."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from ganzoo.data.inspect import contact_sheet, inspect_data
from ganzoo.data.label_files import save_labels
from ganzoo.data.pipeline import open_data
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.errors import DataError, GanzooError, PluginError, UsageError
from ganzoo.formats.no_data import CHECKS
from ganzoo.inference.evaluate import evaluate_run
from ganzoo.inference.predict import predict
from ganzoo.inference.weights_file import load_weights, read_cards, save_weights
from ganzoo.interfaces import Field
from ganzoo.nn import fill_no_data
from ganzoo.observers import Voice
from ganzoo.plugin_system import registry
from ganzoo.recipe import load_recipe
from tests import runs
from tests.weights_of import weights_of

pytestmark = pytest.mark.usefixtures("toy_plugin")
TOY = ("fields_toy", "signal_toy")
TOYS = Path(__file__).parent / "toys"
NODATA = -2000
RECIPE = """
name = "units"
task = "fields_toy/learns"
generator = "fields_toy/net"
loss = "fields_toy/none"
data = "DATA"
metric = METRICS
inference.mode = "running"
optimizer = { lr = 0.05 }
ema.enabled = false
[train]
epochs = 20
batch_size = 2
device = "cpu"
precision = "fp32"
[watch]
log = "5 steps"
samples = "never"
"""


def recipe(folder, data, *sets, metrics=()):
    path = folder / "units.toml"
    path.write_text(RECIPE.replace("DATA", data).replace("METRICS", json.dumps(list(metrics))))
    return load_recipe(path, sets)


def train(folder, data, *sets, metrics=(), steps=None, resume=None):
    loaded = None if resume else recipe(folder, data, *sets, metrics=metrics)
    result = run(
        loaded,
        out=None if resume else folder / "run",
        resume=resume,
        limits=Limits(steps),
        voice=Voice(quiet=True),
    )
    assert result.exit_code == 0, result.error
    return folder / "run"


def same_weights(one, other, step):
    first, second = (
        load_file(folder / "checkpoints" / f"step_{step}" / "generator.safetensors")
        for folder in (one, other)
    )
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("stored", ["int16", "float32"])
@pytest.mark.parametrize("mask", ["given", "made"])
def test_networks_see_the_range_and_never_the_value_for_no_data(tmp_path, stored, mask):
    sets = (f"data={{ use = 'fields_toy/scans', stored = '{stored}', mask = '{mask}' }}",)
    data = open_data(recipe(tmp_path, "fields_toy/scans", *sets), "train")
    raw, batch = data.source.load(0, None), data.batch([(0, 0), (0, 1)])
    inside = batch["inside"][0].numpy() != 0
    assert batch["source"].min() == -1
    assert 0 < inside.mean() < 1
    assert (batch["source"][0, 0].numpy()[~inside] == -1).all()
    expected = (raw["source"][:, :, 0].astype(np.float64) + 1000) / 1500 - 1
    assert np.allclose(batch["source"][0, 0].numpy()[inside], expected[inside], atol=1e-7)
    assert data.fields["inside"].format == "ganzoo/labels"
    # the workers' pickled copy makes the same
    import pickle

    copied = pickle.loads(pickle.dumps(data)).batch([(0, 0), (0, 1)])
    assert all(torch.equal(copied[name], batch[name]) for name in batch)


@pytest.mark.parametrize("stored", ["int16", "float32"])
def test_a_field_in_hu_with_a_mask_is_learned_used_and_scored(tmp_path, stored):
    table = f"data={{ use = 'fields_toy/scans', stored = '{stored}' }}"
    metrics = ("ganzoo/l1", "ganzoo/psnr", "ganzoo/ssim", "fields_toy/mean_error")
    path = train(tmp_path, "fields_toy/scans", table, metrics=(*metrics, "fields_toy/blind"))
    field = read_cards(weights_of(path, "generator"))["generator"].fields["target"]
    assert (field.range, field.unit, field.nodata, field.mask) == (
        *((-1000, 2000), "HU"),
        *(NODATA, "inside"),
    )

    data = open_data(recipe(tmp_path, "fields_toy/scans", table), "test")
    source, target = (data.source.load(0, None)[name] for name in ("source", "target"))
    np.save(tmp_path / "in.npy", source)
    predict(path, [tmp_path / "in.npy"], tmp_path / "out.npy", device="cpu")
    made = np.load(tmp_path / "out.npy")
    assert (made.dtype, made.shape) == (stored, source.shape)
    inside = source != NODATA
    assert np.array_equal(made == NODATA, ~inside)
    assert np.abs(made[inside].astype(np.float64) - target[inside]).mean() < 100  # it has learned
    # Other values than the network was trained on are refused by name.
    np.save(tmp_path / "deep.npy", source.astype(np.uint16))
    failed = predict(path, [tmp_path / "deep.npy"], tmp_path / "o", device="cpu")["failed"]
    assert "uint16, but the network was trained on" in failed[0]["reason"]
    assert "from -1000 to 2000 HU" in failed[0]["reason"]

    document = evaluate_run(path, "test", device="cpu")
    files = sorted((path / "evaluation" / "test_running").glob("*.npy"))
    assert [file.stem for file in files] == document["names"]
    errors = []
    for index, file in enumerate(files):
        made, real = np.load(file), data.source.load(index, None)["target"]
        assert np.array_equal(made == NODATA, real == NODATA)
        errors.append(np.abs(made.astype(np.float64) - real)[real != NODATA])
    per_image = [one.mean() for one in errors]
    assert document["metrics"]["l1"]["per_image"] == pytest.approx(per_image, rel=1e-5)
    mean = np.concatenate(errors).mean()
    assert document["metrics"]["mae"]["mean"] == pytest.approx(mean, rel=1e-5)
    assert "in HU (lower is nearer); where 'inside' is not 0" in document["protocol"]["l1"]
    assert "in HU, of all places with data" in document["protocol"]["mae"]
    assert "ssim" not in document["metrics"]
    notes = " ".join(document["notes"])
    assert "ganzoo/ssim is left out: it can't leave out where 'inside' says" in notes
    assert "fields_toy/blind is left out: it has no `prepare`" in notes
    assert "No controls" in notes
    # Negative control: with the places without data the figure is another one.
    assert document["metrics"]["l1"]["mean"] != pytest.approx(mean, rel=1e-3)


def test_samples_without_any_data_have_no_score_and_no_name(tmp_path):
    table = "data={ use = 'fields_toy/scans', empty = true }"
    path = train(tmp_path, "fields_toy/scans", table, metrics=("ganzoo/l1",), steps=1)
    document = evaluate_run(path, "test", device="cpu")
    assert document["names"] == [f"{number:06d}" for number in (200, 201, 203, 204, 205)]
    assert len(document["metrics"]["l1"]["per_image"]) == document["n"] == 5
    assert "1 of 6 samples are left out" in " ".join(document["notes"])


def test_a_split_with_another_range_is_not_scored(tmp_path, monkeypatch):
    path = train(tmp_path, "fields_toy/scans", metrics=("ganzoo/l1",), steps=1)
    source = type(open_data(recipe(tmp_path, "fields_toy/scans"), "test").source)
    own = source.fields.fget

    def fields(self):
        one = replace(own(self)["target"], range=(-1000, 3000))
        return {**own(self), **({"target": one} if self.first == 200 else {})}

    monkeypatch.setattr(source, "fields", property(fields))
    with pytest.raises(DataError, match=re.escape("target of the test split has range")):
        evaluate_run(path, "test", device="cpu")
    assert evaluate_run(path, "val", device="cpu")["n"] == 6


def test_an_augment_that_drops_a_mask_is_named(tmp_path):
    data = open_data(recipe(tmp_path, "fields_toy/scans"), "train")
    data.augments = (lambda sample, _: {"source": sample["source"], "target": sample["target"]},)
    with pytest.raises(PluginError, match="the augment function returns samples without inside"):
        data.sample(0)


def test_a_stated_range_is_never_called_almost_black(tmp_path, monkeypatch):
    loaded = recipe(tmp_path, "fields_toy/maps")
    source = type(open_data(loaded, "train").source)
    load, init = source.load, source.__init__
    dim = {"target": np.full((8, 8, 1), 9, np.uint8)}
    monkeypatch.setattr(source, "load", lambda *given: {**load(*given), **dim})
    report = inspect_data(loaded)
    assert "almost black" in " ".join(report.notes)
    assert "target" in report.splits["train"].dark

    def ranged(self, *given):
        init(self, *given)
        self.fields["target"] = replace(self.fields["target"], range=(0, 10))

    monkeypatch.setattr(source, "__init__", ranged)
    report = inspect_data(loaded)
    assert not report.notes
    assert not report.splits["train"].dark


def test_points_beside_images_are_in_no_grid(tmp_path, monkeypatch):
    loaded = recipe(tmp_path, "fields_toy/maps")
    source, task = type(open_data(loaded, "train").source), loaded.task.load()
    load, init, sample = source.load, source.__init__, task.sample

    def pointed(self, *given):
        init(self, *given)
        self.fields["place"] = Field((2,), "ganzoo/points")

    monkeypatch.setattr(source, "__init__", pointed)
    monkeypatch.setattr(source, "load", lambda *one: {**load(*one), "place": np.zeros(2)})
    monkeypatch.setattr(
        task,
        "sample",
        lambda self, batch, nets: {"place": batch["place"], **sample(self, batch, nets)},
    )
    path = train(tmp_path, "fields_toy/maps", "watch.samples=1 step", steps=1)
    assert list((path / "samples").glob("*.png"))
    # Negative control: with points alone there is nothing to draw, which is said.
    monkeypatch.setattr(task, "sample", lambda _, batch, nets: {"place": batch["place"]})
    (tmp_path / "b").mkdir()
    path = train(tmp_path / "b", "fields_toy/maps", "watch.samples=1 step", steps=1)
    assert not list((path / "samples").glob("*.png"))


def test_a_resume_equals_the_uninterrupted_run(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = train(tmp_path / "a", "fields_toy/scans", steps=6)
    parts = train(tmp_path / "b", "fields_toy/scans", steps=3)
    train(tmp_path / "b", "", resume=parts, steps=6)
    assert same_weights(whole, parts, 6)
    other = train(tmp_path, "fields_toy/scans", "train.seed=1", steps=6)
    assert not same_weights(whole, other, 6)


@pytest.mark.slow
@pytest.mark.parametrize("data", ["fields_toy/scans", "fields_toy/maps", "signal_toy/waves"])
def test_two_ranks_with_loader_workers_equal_one_without(tmp_path, data):
    recipe(tmp_path, data)
    plugins = tuple(TOYS / f"{name}.py" for name in TOY)

    def ended(name, processes, *sets):
        path, sets = tmp_path / "units.toml", (*sets, "train.precision=fp64")
        run = runs.train(path, name, *sets, processes=processes, steps=6, plugins=plugins)
        return runs.weights(run, 6)

    one = ended("one", 1, "train.workers=0", "train.batch_size=2")
    two = ended("two", 2, "train.workers=1", "train.batch_size=1")
    assert runs.worst(two, one) < 1e-8
    # The control: one process that sees one sample a step ends elsewhere.
    assert runs.worst(ended("half", 1, "train.workers=0", "train.batch_size=1"), one) > 1e-5


def test_values_without_data_change_no_weight(tmp_path, monkeypatch):
    """What stands where there are no data is learned by nobody; a task that would is refused."""
    task = registry.current().choose("task", {"use": "fields_toy/learns"}).load()
    step, fill = task.step, fill_no_data

    def trained(name, value):
        def changed(self, batch, optimize):
            for field in ("source", "target"):
                batch[field] = fill(batch[field], batch["inside"], value)
            step(self, batch, optimize)

        monkeypatch.setattr(task, "step", changed)
        (tmp_path / name).mkdir()
        return train(tmp_path / name, "fields_toy/scans", steps=4)

    assert same_weights(trained("low", -1.0), trained("high", 0.7), 4)
    # The control: in a task that fills nothing these values count.
    monkeypatch.setitem(step.__globals__, "fill_no_data", lambda values, mask: values)
    assert not same_weights(trained("low_counts", -1.0), trained("high_counts", 0.7), 4)
    with pytest.raises(DataError, match="fields_toy/careless would learn from them"):
        train(tmp_path, "fields_toy/scans", "task=fields_toy/careless", steps=1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("range", "source: range must be two finite numbers"),
        ("unit", "source: unit 'HU' needs a range"),
        ("mask", "source: mask must name a field of class indices"),
        ("nodata", "source: nodata needs a mask"),
        ("shape", "source: shape of an image must be (C, H, W)"),
        ("dtype", "source: dtype must be one of uint8, uint16"),
        ("format", 'no plugin "nobody" is installed'),
    ],
)
def test_a_field_that_cannot_be_is_the_plugins_fault(tmp_path, wrong, said):
    table = f"data={{ use = 'fields_toy/scans', wrong = '{wrong}' }}"
    with pytest.raises(PluginError, match=re.escape(said)) as caught:
        open_data(recipe(tmp_path, "fields_toy/scans", table), "train")
    assert "fields_toy/scans declares a field that can't be used" in caught.value.message


def test_pictures_of_a_run_show_units_and_checks(tmp_path):
    path = train(tmp_path, "fields_toy/scans", "watch.samples=1 step", steps=1)
    picture = np.asarray(Image.open(next((path / "samples").glob("*.png"))))
    assert (picture == CHECKS[0]).all(2).any()
    assert (picture == CHECKS[1]).all(2).any()
    (tmp_path / "plain").mkdir()
    plain = ("watch.samples=1 step", "data={use='fields_toy/scans',mask='none'}")
    path = train(tmp_path / "plain", "fields_toy/scans", *plain, steps=1)
    other = np.asarray(Image.open(next((path / "samples").glob("*.png"))))
    few = (other == CHECKS[0]).all(2).sum()
    assert few < (picture == CHECKS[0]).all(2).sum() / 4  # the control: only by chance
    report = inspect_data(recipe(tmp_path, "fields_toy/scans"))
    assert not report.problems
    assert report.splits["train"].fields["source"] == (
        "image 1 x 16 x 16 int16 from -1000 to 2000 HU"
    )
    sheet = np.asarray(contact_sheet(report.prepared["train"], 2, "caption"))
    assert (sheet == CHECKS[0]).all(2).any()


def test_a_card_whose_format_is_missing_or_unfit_is_refused(tmp_path):
    path = train(tmp_path, "fields_toy/scans", steps=1)
    weights = weights_of(path, "generator")
    card, state = load_weights(weights)
    for change, error, said in (
        ({"format": "nobody/image"}, GanzooError, 'no plugin "nobody"'),
        ({"range": (3.0, 3.0)}, DataError, "range must be two finite numbers"),
        ({"dtype": "int8"}, DataError, "dtype must be one of"),
    ):
        fields = {**card.fields, "target": replace(card.fields["target"], **change)}
        save_weights(tmp_path / "w.safetensors", state, replace(card, fields=fields))
        np.save(tmp_path / "in.npy", np.zeros((16, 16, 1), np.int16))
        with pytest.raises(error, match=re.escape(said)):
            predict(tmp_path / "w.safetensors", [tmp_path / "in.npy"], tmp_path / "o.npy")


def test_label_maps_go_in_from_files_of_any_kind(tmp_path):
    path = train(tmp_path, "fields_toy/maps", metrics=("ganzoo/l1",))
    source = open_data(recipe(tmp_path, "fields_toy/maps"), "test").source
    sample, palette = source.load(0, None), source.fields["source"].palette
    folder = tmp_path / "in"
    folder.mkdir()
    save_labels(sample["source"], folder / "palette.png", palette)
    Image.open(folder / "palette.png").convert("RGB").save(folder / "rgb.png")
    Image.fromarray(sample["source"].astype(np.uint8)).save(folder / "numbers.png")
    np.save(folder / "array.npy", sample["source"])
    np.save(folder / "nine.npy", np.full((8, 8), 9))
    Image.fromarray(np.full((8, 8, 3), 7, np.uint8)).save(folder / "strange.png")
    answer = predict(path, [folder], tmp_path / "out", device="cpu")
    failed = {Path(one["input"]).name: one["reason"] for one in answer["failed"]}
    assert sorted(failed) == ["nine.npy", "strange.png"]
    assert "has the colour (7, 7, 7), which no class has" in failed["strange.png"]
    assert "must be 0 to 2, since there are 3 classes, but one is 9" in failed["nine.npy"]
    made = [np.asarray(Image.open(one["output"])) for one in answer["outputs"]]
    assert len(made) == 4
    assert all(np.array_equal(made[0], other) for other in made[1:])
    assert np.abs(made[0].astype(int) - sample["target"][:, :, 0]).max() < 60  # it has learned
    l1 = evaluate_run(path, "test", device="cpu")
    assert l1["metrics"]["l1"]["mean"] < l1["controls"]["mean_photo"]["l1"]
    with pytest.raises(UsageError, match="no files found"):
        predict(path, [tmp_path / "run" / "checkpoints"], tmp_path / "o", device="cpu")


def test_label_maps_are_shown_in_their_colours(tmp_path):
    path = train(tmp_path, "fields_toy/maps", "watch.samples=1 step", steps=1)
    picture = np.asarray(Image.open(next((path / "samples").glob("*.png"))))
    for colour in ((255, 0, 0), (0, 0, 255)):
        assert (picture == colour).all(2).any()


def test_a_plugins_format_is_trained_resumed_shown_used_and_scored(tmp_path):
    (tmp_path / "b").mkdir()
    path = train(tmp_path, "signal_toy/waves", "watch.samples=50 steps", metrics=("ganzoo/l1",))
    parts = train(tmp_path / "b", "signal_toy/waves", steps=3)
    train(tmp_path / "b", "", resume=parts, steps=60)
    assert same_weights(path, parts, 60)
    picture = np.asarray(Image.open(next((path / "samples").glob("*.png"))))
    assert (picture == (0, 90, 160)).all(2).any()  # the waveform

    source = open_data(recipe(tmp_path, "signal_toy/waves"), "test").source
    sample = source.load(0, None)
    np.save(tmp_path / "in.npy", sample["source"])
    predict(path, [tmp_path / "in.npy"], tmp_path / "out.npy", device="cpu")
    made = np.load(tmp_path / "out.npy")
    assert (made.shape, made.dtype) == (sample["target"].shape, np.float32)
    assert np.abs(made - sample["target"]).mean() < 0.5
    np.save(tmp_path / "two.npy", np.zeros((5, 2), np.float32))
    failed = predict(path, [tmp_path / "two.npy"], tmp_path / "o", device="cpu")["failed"]
    assert "must be L x 1" in failed[0]["reason"]
    with pytest.raises(UsageError, match="--size is for images, not for signal_toy") as caught:
        predict(path, [tmp_path / "in.npy"], tmp_path / "s.npy", device="cpu", size=8)
    assert caught.value.where.endswith("generator.safetensors")

    document = evaluate_run(path, "test", device="cpu")
    assert document["metrics"] == {}
    assert "ganzoo/l1 is left out: it compares images (C, H, W)" in " ".join(document["notes"])
    files = sorted((path / "evaluation" / "test_running").glob("*.npy"))
    assert np.array_equal(np.load(files[0]), made)
    with pytest.raises(PluginError, match=re.escape("shape of a signal must be (C, L)")):
        train(tmp_path, "signal_toy/waves", "data={use='signal_toy/waves',axes=3}", steps=1)
