"""Evaluation: the document, the saved pictures, the controls, and that training isn't touched."""

from __future__ import annotations

import hashlib
import json
import os
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from ganzoo import run_files
from ganzoo.api import Options
from ganzoo.data.pipeline import open_for_evaluation
from ganzoo.engine.plan import plan_networks
from ganzoo.errors import DataMissing, PluginError, UsageError
from ganzoo.inference import baselines
from ganzoo.inference.evaluate import evaluate_run
from ganzoo.inference.score_nets import score_nets
from ganzoo.inference.scores import NETWORK, Judgement
from ganzoo.inference.scoring import judge, metrics_for
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.inference.weights_file import build_network, save_weights
from ganzoo.interfaces import Field
from ganzoo.metrics.image import L1
from ganzoo.recipe import load_recipe
from ganzoo.recipe.write import to_toml
from ganzoo.testing.networks import io_of

REAL_DATA = os.environ.get("GANZOO_DATA")
"""Read before the fixtures hide it from the tests that don't ask for it."""

TOY = "inference_toy"
pytestmark = pytest.mark.usefixtures("toy_plugin")
RECIPE = """
name = "toy"
task = "inference_toy/task"
generator = "inference_toy/net"
loss = "inference_toy/loss"
train.device = "cpu"
"""


def toy():
    import inference_toy

    return inference_toy


def make_recipe(folder, text='data = "inference_toy/data"\n'):
    path = folder / "toy.toml"
    path.write_text(text + RECIPE)
    return load_recipe(path)


def make_run(folder, text='data = "inference_toy/data"\n', trained_on="inference_toy/data"):
    """A run directory with one checkpoint of fresh weights."""
    recipe = make_recipe(folder, text)
    run = folder / "run"
    checkpoint = run / "checkpoints" / "step_3"
    shape = (3, 12, 20)
    fields = {
        "source": Field(shape, "ganzoo/image", palette=toy().PALETTE),
        "target": Field(shape, "ganzoo/image"),
    }
    card = WeightsCard(
        role="generator",
        kind="generator",
        network={"use": "inference_toy/net"},
        revision=1,
        io=io_of(shape, shape),
        task={"use": "inference_toy/task"},
        fields=fields,
        data={"use": trained_on},
        size_multiple=4,
        step=3,
    )
    torch.manual_seed(0)
    path = checkpoint / "generator.safetensors"
    save_weights(path, build_network(card).state_dict(), card)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (checkpoint / "manifest.json").write_text(
        json.dumps({"files": {path.name: {"sha256": digest}}})
    )
    (run / "recipe.resolved.toml").write_text(to_toml(recipe))
    return run


def test_document_and_pictures(tmp_path):
    run = make_run(tmp_path)
    document = evaluate_run(run, "test", device="cpu")
    assert {"run", "split", "mode", "seed", "n", "metrics", "controls", "protocol"} <= set(document)
    assert (document["n"], document["split"], document["mode"]) == (5, "test", "paper")
    assert not document["stand_in"]
    assert document["names"] == [f"00200{i}" for i in range(5)]
    assert document == json.loads((run / "evaluation" / "test_paper.json").read_text())
    for name, score in document["metrics"].items():
        assert score["mean"] == pytest.approx(np.mean(score["per_image"])), name
        assert len(score["per_image"]) == 5
        assert name in document["protocol"]

    # the figures are those of the files on disk
    judged = []
    for index, name in enumerate(document["names"]):
        saved = np.asarray(Image.open(run / "evaluation" / "test_paper" / f"{name}.png"))
        target = toy().sample_of(2000 + index)[1]
        judged.append(np.abs(saved.astype(float) - target).mean() / 127.5)
    assert document["metrics"]["l1"]["per_image"] == pytest.approx(judged)

    assert set(document["controls"]) == {"mean_photo", "class_mean_colours", "ceiling", "floor"}
    assert document["controls"]["ceiling"] == {"recovered": 0.9}
    assert document["controls"]["floor"] == {"recovered": 0.1}
    assert document["headlines"] == ["half of the way to 0.9"]
    ways = {"l1": "lower", "psnr": "higher", "ssim": "higher", "gradient_energy": "near 1"}
    assert document["better"] == ways | {"own_other": "lower"}  # the toy's own metric says none
    assert evaluate_run(run, "test", device="cpu") == document
    assert evaluate_run(run, "test", device="cpu", seed=1)["metrics"] != document["metrics"]
    fewer = evaluate_run(run, "test", device="cpu", limit=2)
    assert fewer["n"] == 2
    pictures = sorted(path.stem for path in (run / "evaluation" / "test_paper").iterdir())
    assert pictures == sorted(fewer["names"])  # none of the first evaluation is left


def test_a_metric_without_a_value_is_said(tmp_path):
    run = make_run(tmp_path)
    assert not [one for one in evaluate_run(run, "test", device="cpu")["notes"] if "own_" in one]
    document = evaluate_run(run, "test", device="cpu", limit=1)
    assert "own_other" not in document["metrics"]
    (said,) = [one for one in document["notes"] if "own_" in one]
    assert said.startswith("ganzoo/own_other has no value for these samples; ")


def test_a_metric_without_a_value_has_no_headline():
    metric = toy().Recovery(None)
    judgement = Judgement()
    judgement.score(NETWORK, [SimpleNamespace(id="toy/recovery")], [metric])
    assert judgement.headlines == ["half of the way to 0.9"]
    metric.compute = dict
    judgement.score(NETWORK, [SimpleNamespace(id="toy/recovery")], [metric])
    assert len(judgement.headlines) == 1


def test_weights_are_compared_with_the_manifest_only_once(tmp_path, monkeypatch):
    run, read = make_run(tmp_path), []

    def counted(path):
        read.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(run_files, "sha256_of", counted)
    evaluate_run(run, "test", device="cpu", limit=1)
    assert read == [run / "checkpoints" / "step_3" / "generator.safetensors"]


def test_a_weights_file_leads_to_its_run(tmp_path):
    run = make_run(tmp_path)
    file = run / "checkpoints" / "step_3" / "generator.safetensors"
    for path in (file, file.parent):
        with pytest.raises(UsageError, match="not a run directory") as caught:
            evaluate_run(path, "test", device="cpu")
        assert caught.value.hint == f"It is in the run directory {run}: give that."
    alone = tmp_path / "generator.safetensors"
    alone.write_bytes(file.read_bytes())
    with pytest.raises(UsageError, match="not a run directory") as caught:
        evaluate_run(alone, "test", device="cpu")
    assert "the run directory (runs/NAME/STAMP) that the file comes from" in caught.value.hint


def test_controls_are_the_training_means(tmp_path):
    train = open_for_evaluation(make_recipe(tmp_path), "train")
    fitted = baselines.fit_controls(train, "source", "target")
    photos = np.stack([toy().sample_of(i)[1] for i in range(30)]).astype(float)
    labels = np.stack([toy().sample_of(i)[2] for i in range(30)])
    assert np.array_equal(fitted.mean, np.rint(photos.mean(0)))
    for label in range(3):
        assert np.array_equal(fitted.colours[label], np.rint(photos[labels == label].mean(0)))
    sample = train.sample(3)
    images = fitted.images(sample)
    assert np.array_equal(images["class_mean_colours"], fitted.colours[labels[3]])
    assert not np.array_equal(images["class_mean_colours"], fitted.colours[labels[4]])


def test_nearest_class_is_euclidean():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    palette = rng.integers(0, 256, (12, 3), dtype=np.uint8)
    distance = ((image[:, :, None].astype(int) - palette) ** 2).sum(-1)
    assert np.array_equal(baselines.nearest_class(image, palette), distance.argmin(-1))


def test_without_a_palette_there_is_no_class_control(tmp_path):
    text = 'data = { use = "inference_toy/data", channels = 1 }\n'
    train = open_for_evaluation(make_recipe(tmp_path, text), "train")
    fitted = baselines.fit_controls(train, "source", "target")
    assert set(fitted.images(train.sample(0))) == {"mean_photo"}


def test_the_true_image_wins_and_the_controls_do_not(tmp_path):
    """A negative control of the judge itself: whoever answers the target scores as perfect."""
    recipe = make_recipe(tmp_path)
    data = open_for_evaluation(recipe, "test")
    fitted = baselines.fit_controls(open_for_evaluation(recipe, "train"), "source", "target")

    def make(sample, name):
        truth = ((sample["target"].permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
        return {NETWORK: truth, **fitted.images(sample)}

    scores = judge(data, make, metrics_for(recipe, data)).scores
    assert scores[NETWORK]["l1"].mean == 0
    assert scores[NETWORK]["gradient_energy"].mean == pytest.approx(1)
    assert scores["mean_photo"]["own_other"].mean == pytest.approx(1, abs=0.1)
    assert 0 < scores["class_mean_colours"]["own_other"].mean < 0.5


def test_a_metric_that_lacks_its_field_is_left_out_and_said(tmp_path):
    metric = '[[metric]]\nuse = "inference_toy/unfit"\n[[metric]]\nuse = "ganzoo/l1"\n'
    path = tmp_path / "toy.toml"
    path.write_text('data = "inference_toy/data"\n' + RECIPE + metric)
    recipe = load_recipe(path)
    data = open_for_evaluation(recipe, "val")
    chosen = metrics_for(recipe, data)
    judgement = judge(data, lambda sample, name: {NETWORK: np.zeros((12, 20, 3), np.uint8)}, chosen)
    assert next(iter(judgement.scores[NETWORK])) == "l1"
    assert any("depth" in note for note in judgement.notes)


def test_score_nets_leaves_training_as_it_was(tmp_path):
    recipe = make_recipe(tmp_path)
    torch.manual_seed(0)
    net = toy().Net(None, io_of((3, 12, 20), (3, 12, 20))).train()
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    before = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy())  # noqa: NPY002
    means, notes = score_nets(recipe, {"generator": net}, "val"), []
    assert "own_other" not in score_nets(
        recipe, {"generator": net}, "val", limit=1, note=notes.append
    )
    assert any(one.startswith("ganzoo/own_other has no value") for one in notes)
    assert {"l1", "psnr", "ssim", "own_other", "recovered"} <= set(means)
    assert all(isinstance(value, float) for value in means.values())
    assert not any(name.startswith("ceiling_") for name in means)
    assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())
    assert all(module.training for module in net.modules())
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert np.array_equal(before[2], np.random.get_state()[1])  # noqa: NPY002
    assert score_nets(recipe, {"generator": net}, "val") == means
    assert score_nets(recipe, {"generator": net}, "val", mode="running") != means


def test_a_stand_in_is_said(tmp_path):
    text = (
        '[data]\nuse = "inference_toy/data"\nmissing = ["test", "train"]\n'
        'fallback = { use = "inference_toy/stand_in" }\n'
    )
    path = tmp_path / "toy.toml"
    path.write_text(RECIPE + text)
    resolved = to_toml(load_recipe(path))
    run = make_run(tmp_path, trained_on="inference_toy/stand_in")
    (run / "recipe.resolved.toml").write_text(resolved)
    document = evaluate_run(run, "test", device="cpu")
    assert document["stand_in"]
    assert any("STAND-IN" in note for note in document["notes"])
    # The control: weights of the recipe's own data are never judged on the stand-in.
    run = make_run(tmp_path, trained_on="inference_toy/data")
    (run / "recipe.resolved.toml").write_text(resolved)
    with pytest.raises(DataMissing):
        evaluate_run(run, "test", device="cpu")


def test_without_training_data_there_are_no_controls_and_it_is_said(tmp_path):
    run = make_run(tmp_path, 'data = { use = "inference_toy/data", missing = ["train"] }\n')
    document = evaluate_run(run, "test", device="cpu")
    assert set(document["controls"]) == {"ceiling", "floor"}
    assert any("No controls" in note for note in document["notes"])


@pytest.mark.parametrize("name", ["../../../x", "/tmp/x", "", 5])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path, monkeypatch, name):
    run = make_run(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(toy().Data, "name", lambda self, index: name)
    with pytest.raises(PluginError, match=r"inference_toy/data.*name of a file"):
        evaluate_run(run, "test", device="cpu")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_role_that_leads_out_of_the_folder_is_refused(tmp_path, monkeypatch):
    recipe = make_recipe(tmp_path)
    fields = {name: Field((3, 12, 20), "ganzoo/image") for name in ("source", "target")}
    assert plan_networks(recipe, fields).chosen.keys() == {"generator"}
    monkeypatch.setattr(toy().Paired, "roles", {"../generator": "generator"})
    with pytest.raises(PluginError, match=r"inference_toy/task names a network"):
        plan_networks(recipe, fields)


def run_command(*arguments):
    from ganzoo.cli.evaluate import command

    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_command(tmp_path):
    run = make_run(tmp_path)
    result = run_command(run, "--split", "val", "--mode", "running", "--device", "cpu", "--json")
    assert result.exit_code == 0, result.exception
    document = json.loads(result.stdout)
    assert (document["split"], document["mode"]) == ("val", "running")
    for word in ("photo", "ceiling", "l1", "half of the way", "better", "lower"):
        assert word in result.stderr
    assert (run / "evaluation" / "val_running.json").is_file()
    result = run_command(tmp_path, "--device", "cpu")
    assert isinstance(result.exception, UsageError)


@pytest.mark.data
@pytest.mark.skipif(REAL_DATA is None, reason="needs GANZOO_DATA")
def test_controls_on_real_facades(monkeypatch):
    """The figures of the two controls on the 106 test images, computed apart from this code."""
    monkeypatch.setenv("GANZOO_DATA", REAL_DATA)
    recipe = load_recipe("pix2pix_facades", ["data.fallback=none"])
    test = open_for_evaluation(recipe, "test")
    fitted = baselines.fit_controls(open_for_evaluation(recipe, "train"), "source", "target")
    scores = judge(test, lambda sample, _: fitted.images(sample), recipe.metrics).scores
    names = ("l1", "ssim", "gradient_energy", "own_other")
    expected = {
        "mean_photo": (0.3595, 0.2420, 0.0873, 1.0000),
        "class_mean_colours": (0.3734, 0.2665, 0.1293, 0.9528),
    }
    for control, values in expected.items():
        found = [scores[control][name].mean for name in names]
        assert found == pytest.approx(values, abs=1e-4), control
        assert len(scores[control]["l1"].per_image) == 106
    assert L1(Options()).compute() == {}
