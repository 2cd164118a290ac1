"""Networks that draw their inputs, unpaired data and several roles: how they are evaluated."""

from __future__ import annotations

import json
import random
import shlex
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from ganzoo.data.pipeline import open_for_evaluation
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.errors import DataError, DivergedError, PluginError, UsageError
from ganzoo.inference.application_weights import find_application
from ganzoo.inference.applications import choices_of
from ganzoo.inference.evaluate import evaluate_run
from ganzoo.inference.from_noise import Sampler, load_sampler
from ganzoo.inference.predict import predict
from ganzoo.inference.report import closing
from ganzoo.inference.score_nets import score_nets
from ganzoo.inference.scores import NETWORK, REAL
from ganzoo.inference.scoring import judge_drawn, metrics_for
from ganzoo.inference.trained_application import Trained
from ganzoo.inference.weights_file import build_network, load_weights
from ganzoo.interfaces import Application, Field, NetIO
from ganzoo.observers import Voice
from ganzoo.recipe import load_recipe
from ganzoo.testing.networks import io_of
from tests.weights_of import weights_of

TOY = "drawing_toy"
pytestmark = pytest.mark.usefixtures("toy_plugin")
DRAWS = """
name = "toy"
task = "drawing_toy/draws"
generator = "drawing_toy/net"
loss = "drawing_toy/loss"
data = "drawing_toy/data"
metric = []
train = { device = "cpu", epochs = 1, batch_size = 10, precision = "fp32" }
watch.samples = "never"
"""
BOTH = """
name = "toy"
task = "drawing_toy/both"
generator = "drawing_toy/shift"
loss = "drawing_toy/loss"
data = "drawing_toy/pairs"
metric = [{ use = "ganzoo/l1" }, { use = "drawing_toy/seen" }]
train = { device = "cpu", epochs = 1, batch_size = 2, precision = "fp32" }
watch.samples = "never"
"""


def recipe_of(folder, text, *sets):
    path = folder / "toy.toml"
    path.write_text(text)
    return load_recipe(path, sets)


def train(folder, text, *sets):
    recipe = recipe_of(folder, text, *sets)
    result = run(recipe, out=folder / "run", limits=Limits(3), voice=Voice(quiet=True))
    assert result.exit_code == 0, result.error
    return folder / "run"


def sampler_of(recipe, **settings):
    data = open_for_evaluation(recipe, "test")
    io = recipe.task.load().io("generator", recipe.task.options, data.fields)
    torch.manual_seed(0)
    net = recipe.networks["generator"].build(io)
    return data, made_sampler(recipe.task, net, io, data.fields, settings.get("mode", "running"))


def judged(recipe, data, sampler, **settings):
    return judge_drawn(data, sampler, metrics_for(recipe, data), "real", **settings)


def made_sampler(task, net, io, fields, mode="running"):
    return applied(Sampler, task, "sample", "generator", net, io, fields, mode)


def applied(kind, task, name, role, net, io, fields, mode="running"):
    choices = choices_of(task, name, {})
    return kind(task, name, {role: net}, {role: io}, fields, mode, choices)


def test_inputs_of_the_first_samples_dont_depend_on_how_many_there_are(tmp_path):
    _, sampler = sampler_of(recipe_of(tmp_path, DRAWS))
    many = sampler.draw(300, 7)
    for count in (1, 5, 17, 64, 100):
        few = sampler.draw(count, 7)
        assert all(torch.equal(few[name], many[name][:count]) for name in many)
    assert not torch.equal(sampler.draw(5, 8)["noise"], many["noise"][:5])
    assert len(many["noise"].unique(dim=0)) == 300  # the blocks differ
    # The control: drawn at once, torch gives the first samples other numbers.
    once = [torch.randn((n, 3), generator=torch.Generator().manual_seed(0)) for n in (5, 300)]
    assert not torch.equal(once[0], once[1][:5])


def test_classes_are_dealt_evenly_over_the_blocks():
    class Task:
        @staticmethod
        def load():
            return Task

        options = None

        id = "toy"
        applications: ClassVar = {
            "sample": Application(("label",), ("real",), ("generator",), draws=("label",))
        }

        @staticmethod
        def draw(name, options, io, count, random):
            return {"label": torch.arange(count) % io["generator"].classes}

    sampler = made_sampler(Task, torch.nn.Identity(), io_of((1,), (1,), 10), {})
    counts = sampler.draw(1000, 0)["label"].bincount()
    assert counts.tolist() == [100] * 10


@pytest.mark.parametrize(
    ("classes", "count"),
    [
        ({"label": 5, "style": 10}, 5),
        ({"kind": 3}, 3),  # the only class index is drawn as `label`
        ({"kind": 3, "style": 10}, 0),
        ({}, 0),
    ],
)
def test_the_classes_are_those_of_what_is_drawn_as_label(tmp_path, classes, count):
    task = recipe_of(tmp_path, DRAWS).task
    inputs = {"noise": Field((3,), "ganzoo/points")}
    inputs |= {name: Field((), "ganzoo/class", classes=one) for name, one in classes.items()}
    net, choices = torch.nn.Identity(), choices_of(task, "sample", {})
    io = {"generator": NetIO(inputs), "other": io_of((1,), None, 99)}  # which isn't called
    sampler = Sampler(task, "sample", {"generator": net}, io, {}, "running", choices)
    assert sampler.classes == count
    assert set(sampler.io) == {"generator"}


def test_each_metric_gets_the_samples_that_it_wants(tmp_path):
    recipe = recipe_of(tmp_path, DRAWS, "metric=[{ use = 'drawing_toy/gap' }]")
    data, sampler = sampler_of(recipe)
    kept = []
    judgement = judge_drawn(
        data,
        sampler,
        metrics_for(recipe, data),
        "real",
        keep=lambda name, made: kept.append((name, made)),
    )
    scores = judgement.scores
    assert scores[NETWORK]["judged"].mean == 150
    assert scores[NETWORK]["taken"].mean == len(data) == 10
    assert scores[REAL]["judged"].mean == scores[REAL]["taken"].mean == 10
    # The toy's network puts each class on its side, and so do the data.
    assert scores[NETWORK]["level"].mean == scores[REAL]["level"].mean == 1
    assert scores[REAL]["gap"].mean == 0
    assert scores[NETWORK]["gap"].mean > 0
    assert [name for name, _ in kept] == judgement.names
    assert len(kept) == 150
    assert kept[0][1].dtype == np.float32
    assert kept[0][1].shape == (2,)
    assert judgement.headlines == ["100% on their side"]
    limited = judged(recipe, data, sampler, limit=7)
    assert limited.scores[NETWORK]["judged"].mean == 7
    assert len(limited.names) == 7


def test_a_network_that_ignores_its_class_is_found_out(tmp_path):
    """The control of the test above: the same network, told other classes than the metric."""
    recipe = recipe_of(tmp_path, DRAWS)
    data, sampler = sampler_of(recipe)

    class Deaf(torch.nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, z, y):
            return self.net(z, torch.zeros_like(y))

    net = Deaf(sampler.nets["generator"])
    deaf = made_sampler(sampler.task, net, sampler.io["generator"], data.fields)
    assert judged(recipe, data, deaf).scores[NETWORK]["level"].mean == 0.5


def test_metrics_that_cannot_apply_are_left_out_and_said(tmp_path):
    metrics = "metric=[{ use = 'ganzoo/l1' }, { use = 'drawing_toy/seen' }]"
    recipe = recipe_of(tmp_path, DRAWS, metrics, "task.conditional=false")
    data, sampler = sampler_of(recipe)
    judgement = judged(recipe, data, sampler)
    assert judgement.scores[NETWORK] == {}
    notes = " ".join(judgement.notes)
    assert "ganzoo/l1 is left out: generated samples have no target" in notes
    assert (
        "drawing_toy/seen is left out: no drawn input and no generated sample is called source"
        in notes
    )
    assert "drawing_toy/level is left out" in notes  # it draws no label


def test_points_are_saved_as_they_are_and_images_as_pictures(tmp_path):
    path = train(tmp_path, DRAWS)
    document = evaluate_run(path, "test", device="cpu")
    assert document == json.loads((path / "evaluation" / "test_running.json").read_text())
    assert document["n"] == 150
    assert set(document["controls"]) == {"real_data"}
    assert document["controls"]["real_data"]["level"] == 1
    assert {"level", "judged", "real_data"} <= set(document["protocol"])
    folder = path / "evaluation" / "test_running"
    assert [file.name for file in folder.iterdir()] == ["samples.npy"]
    points = np.load(folder / "samples.npy")
    assert points.shape == (150, 2)
    assert document["metrics"]["level"]["mean"] == np.mean(
        (points.mean(1) > 0) == (np.arange(150) % 2 == 1)
    )
    assert evaluate_run(path, "test", device="cpu") == document
    assert not np.array_equal(np.load(folder / "samples.npy"), 0 * points)
    evaluate_run(path, "test", device="cpu", seed=1)
    assert not np.array_equal(np.load(folder / "samples.npy"), points)

    images = tmp_path / "images"
    images.mkdir()
    path = train(images, DRAWS, "data.kind=image")
    document = evaluate_run(path, "test", device="cpu")
    pictures = sorted((path / "evaluation" / "test_running").iterdir())
    assert [file.stem for file in pictures] == document["names"][:100]
    assert np.asarray(Image.open(pictures[0])).shape == (8, 8)
    evaluate_run(path, "test", device="cpu", limit=3)
    assert len(list((path / "evaluation" / "test_running").iterdir())) == 3


def test_images_are_judged_on_the_8_bit_grid(tmp_path):
    recipe = recipe_of(tmp_path, DRAWS, "data.kind=image")
    data, sampler = sampler_of(recipe)
    seen = []

    class Looks:
        needs = frozenset({"real"})
        protocol = "looks"

        def update(self, batch, generated):
            seen.extend([batch["real"], generated])

        def compute(self):
            return {}

    class Chosen:
        id = "looks"
        load = staticmethod(lambda: Looks)
        build = staticmethod(Looks)

    judge_drawn(data, sampler, [Chosen], "real")
    for images in seen:
        levels = (images + 1) * 127.5
        assert torch.allclose(levels, levels.round(), atol=1e-3)
    exact = next(sampler(sampler.draw(10, 0)))["real"]
    assert not torch.allclose((exact + 1) * 127.5, ((exact + 1) * 127.5).round(), atol=1e-3)


def test_broken_networks_and_sizes_are_explained(tmp_path):
    recipe = recipe_of(tmp_path, DRAWS, "generator={ use = 'drawing_toy/net', spoilt = true }")
    data, sampler = sampler_of(recipe)
    with pytest.raises(DivergedError, match="not finite"):
        judged(recipe, data, sampler)

    recipe = recipe_of(tmp_path, DRAWS, "data.kind=image")
    data, sampler = sampler_of(recipe)
    larger = io_of((3,), (1, 9, 9), 2)
    net = recipe.networks["generator"].build(larger)
    other = made_sampler(sampler.task, net, larger, data.fields)
    with pytest.raises(DataError, match="is 1 x 8 x 8, but the network makes 1 x 9 x 9"):
        judged(recipe, data, other)

    recipe = recipe_of(tmp_path, DRAWS, "generator={ use = 'drawing_toy/net', norm = true }")
    data, sampler = sampler_of(recipe, mode="paper")
    with pytest.raises(UsageError, match="mode paper can't be used"):
        judged(recipe, data, sampler)


def test_score_nets_leaves_training_as_it_was(tmp_path):
    recipe = recipe_of(tmp_path, DRAWS, "generator={ use = 'drawing_toy/net', norm = true }")
    _, sampler = sampler_of(recipe)
    net = sampler.nets["generator"].train()
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    before = (torch.get_rng_state(), random.getstate())
    means = score_nets(recipe, {"generator": net}, "val")
    assert means == {"level": pytest.approx(1), "judged": 150}
    assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())
    assert all(module.training for module in net.modules())
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()


def test_a_run_evaluates_and_validates_what_it_draws(tmp_path):
    recipe = recipe_of(
        tmp_path, DRAWS, "watch.evaluate=test", "watch.validate=2 steps", "checkpoints.best=level"
    )
    result = run(recipe, out=tmp_path / "run", voice=Voice(quiet=True))
    assert result.exit_code == 0, result.error
    assert result.document["metrics"] == {"level": 1, "judged": 150}
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert any("metrics" in json.loads(line) for line in lines)


# Several roles, and data that are no pairs.


def level_of(fields):
    """Mean source and target of the toy's pairs in the test split, as metrics should see them."""
    pixels = [
        np.random.default_rng(2000 + index).integers(0, 256, (8, 8, 3), np.uint8)
        for index in range(6)
    ]
    levels = {
        "source": np.mean([one / 127.5 - 1 for one in pixels]),
        "target": np.mean([one // 2 / 127.5 - 1 for one in pixels]),
    }
    return [pytest.approx(levels[name], abs=1e-5) for name in fields]


def test_each_role_is_scored_on_its_own_source_and_target(tmp_path):
    path = train(tmp_path, BOTH)
    document = evaluate_run(path, "test", device="cpu")
    metrics = {name: score["mean"] for name, score in document["metrics"].items()}
    names = {f"{role}/{name}" for role in ("there", "again") for name in ("l1", "source_level",
             "target_level")}  # fmt: skip
    assert set(metrics) == names == set(document["protocol"]) - {"mean_photo"}
    forth = [metrics["there/source_level"], metrics["there/target_level"]]
    back = [metrics["again/source_level"], metrics["again/target_level"]]
    assert forth == level_of(("source", "target"))
    assert back == level_of(("target", "source"))
    assert set(document["weights"]) == set(document["n"]) == {"there", "again"}
    assert document["n"]["there"] == 6
    assert set(document["controls"]) == {"mean_photo"}
    assert {"there/l1", "again/l1"} <= set(document["controls"]["mean_photo"])
    pictures = path / "evaluation" / "test_running"
    assert {folder.name for folder in pictures.iterdir()} == {"there", "again"}
    assert len(list((pictures / "again").iterdir())) == 6

    one = evaluate_run(path, "test", device="cpu", application="again")
    assert one["metrics"] == {k: v for k, v in document["metrics"].items() if "again/" in k}
    assert Path(one["file"]).name == "test_running_again.json"
    assert json.loads(Path(document["file"]).read_text()) == document  # it is still there

    recipe = load_recipe(path / "recipe.resolved.toml")
    nets = {role: load_net(path, role) for role in ("forth", "back")}
    assert set(score_nets(recipe, nets, "val")) == names


def load_net(path, role):
    return build_network(*load_weights(weights_of(path, role)))


@pytest.mark.parametrize("hidden", ["never", "train", "always"])
def test_what_is_no_pair_is_compared_with_nothing(tmp_path, hidden):
    path = train(tmp_path, BOTH, f"data.hidden={hidden}")
    document = evaluate_run(path, "test", device="cpu", application="there")
    compared = "there/l1" in document["metrics"]
    assert compared == (hidden != "always")
    notes = " ".join(document["notes"])
    assert ("ganzoo/l1 is left out: the target of a sample doesn't belong to its source" in notes
            ) == (not compared)  # fmt: skip
    # Who learned without pairs is beside the identity, on whatever can still be compared.
    assert ("identity" in document["controls"]) == (hidden != "never")
    if hidden == "train":
        expected = np.mean([
            np.abs(one.astype(int) - one // 2).mean() / 127.5
            for one in (
                np.random.default_rng(2000 + index).integers(0, 256, (8, 8, 3), np.uint8)
                for index in range(6)
            )
        ])  # fmt: skip
        assert document["controls"]["identity"]["there/l1"] == pytest.approx(expected)


def test_predict_and_sample_send_each_other_their_weights(tmp_path):
    own = tmp_path / "of my own"
    own.mkdir()
    path = train(own, DRAWS)
    picture = tmp_path / "in.png"
    Image.new("RGB", (8, 8)).save(picture)
    with pytest.raises(UsageError, match="makes samples from noise") as caught:
        predict(path, [picture], tmp_path / "out.png", device="cpu")
    assert (
        f"ganzoo sample {shlex.quote(str(weights_of(path, 'generator')))} -n" in caught.value.hint
    )
    assert "'" in caught.value.hint  # the path has spaces, and the command can be typed
    assert not (tmp_path / "out.png").exists()

    other = tmp_path / "both"
    other.mkdir()
    path = train(other, BOTH)
    made = predict(path, [picture], tmp_path / "out.png", device="cpu")
    assert made["application"] == "there"  # the first one
    again = predict(path, [picture], tmp_path / "b.png", device="cpu", application="again")
    assert again["direction"] == "target -> source"
    with pytest.raises(UsageError, match="generates nothing from noise") as caught:
        load_sampler(find_application(path, "there"), device="cpu")
    assert "ganzoo predict" in caught.value.hint
    assert "--application there IN -o OUT" in caught.value.hint


def test_the_command_prints_where_its_document_is(tmp_path):
    from ganzoo.cli.evaluate import command

    path = train(tmp_path, BOTH)
    result = CliRunner().invoke(command, [str(path), "--application", "again", "--device", "cpu"])
    assert result.exit_code == 0, result.exception
    assert json.loads(Path(result.stdout.strip()).read_text())["names"].keys() == {"again"}
    assert "again/l1" in result.stderr


# What is looked at while training.


def looks(folder, *sets):
    """The pictures of steps 1 and 2, without their captions at the bottom."""
    recipe = recipe_of(
        folder, DRAWS, "watch.samples=1 steps", "watch.sample_count=9", "train.epochs=2", *sets
    )
    result = run(recipe, out=folder / "run", limits=Limits(2), voice=Voice(quiet=True))
    assert result.exit_code == 0, result.error
    files = sorted((folder / "run" / "samples").iterdir())
    assert len(files) == 2
    return [np.asarray(Image.open(file))[:-18] for file in files]


@pytest.mark.parametrize("kind", ["points", "image"])
@pytest.mark.parametrize("mode", ["running", "paper"])
def test_latents_are_the_same_at_each_look(tmp_path, kind, mode):
    sets = [f"data.kind={kind}", f"inference.mode={mode}"]
    for lr, alike in (("1e-12", True), ("0.5", False)):
        folder = tmp_path / lr
        folder.mkdir()
        first, second = looks(folder, *sets, f"optimizer.lr={lr}")
        assert np.array_equal(first, second) == alike


def test_small_images_are_laid_out_in_blocks(tmp_path):
    sheet = looks(tmp_path, "data.kind=image")[0]
    side = 8 * (192 // 8) * 3 + 2 * 2  # nine images are three by three, enlarged to 192 pixels
    assert sheet.shape[:2] == (18 + side + 8, 4 + side + 4 + side + 4)
    data = open_for_evaluation(recipe_of(tmp_path, DRAWS, "data.kind=image"), "val")
    pixels = ((data.sample(4)["real"][0].numpy() + 1) * 127.5).round()
    cell = sheet[18 + 194 : 18 + 386, 4 + side + 4 + 194 : 4 + side + 4 + 386, 0]  # the middle one
    assert np.array_equal(cell[::24, ::24], pixels)


def test_data_of_every_kind_can_be_inspected(tmp_path):
    from ganzoo.cli.data import inspect

    (tmp_path / "toy.toml").write_text(DRAWS)
    for kind, says in (("points", "points 2"), ("image", "image 1 x 8 x 8")):
        sheet = tmp_path / f"{kind}.png"
        arguments = [str(tmp_path / "toy.toml"), "--set", f"data.kind={kind}", "-o", str(sheet)]
        done = CliRunner().invoke(inspect, arguments)
        assert done.exit_code == 0, done.exception
        assert says in done.stdout
        assert "class one number, 2 classes" in done.stdout
        assert f"contact sheet: {sheet}" in done.stdout
        pixels = np.asarray(Image.open(sheet)).reshape(-1, 3).astype(int)
        assert (np.ptp(pixels, axis=1) > 50).any() == (kind == "points")  # coloured dots
    (tmp_path / "toy.toml").write_text(BOTH)
    arguments = [str(tmp_path / "toy.toml"), "-o", str(sheet)]
    done = CliRunner().invoke(inspect, arguments)
    assert "no pair with the others" not in done.stdout
    done = CliRunner().invoke(inspect, [*arguments, "--set", "data.hidden=always"])
    lines = [one for one in done.stdout.splitlines() if one.startswith("  target: ")]
    assert lines
    for line in lines:
        assert line.startswith("  target: 8 x 8 x 3 uint8 (")
        assert "), values 0 to " in line  # how far they reach is the toy's own
        assert line.endswith(" -> image 3 x 8 x 8, no pair with the others")


def test_what_a_task_lacks_is_said(tmp_path):
    recipe = recipe_of(tmp_path, DRAWS)
    _, sampler = sampler_of(recipe)
    both = recipe_of(tmp_path, BOTH).task
    net, io = sampler.nets["generator"], sampler.io["generator"]
    fields = {"source": Field((3, 8, 8), "ganzoo/image")}
    trained = applied(Trained, both, "there", "forth", net, io, fields)
    with pytest.raises(UsageError, match="also takes 'source', but it is given only target"):
        trained({"target": torch.zeros(3, 8, 8)}, "a")
    with pytest.raises(PluginError, match=r"application sample of .* reads the field 'label'"):
        sampler.apply({"noise": torch.zeros(1, 3)})
    assert sampler.apply({"noise": torch.zeros(1, 3), "label": torch.tensor([1])})[
        "real"
    ].shape == (
        1,
        2,
    )

    silent = applied(Sampler, both, "there", "forth", net, io, {})
    with pytest.raises(PluginError, match="Both draws no inputs for 'there'"):
        silent.draw(1, 0)


def test_data_may_propose_metrics_as_tables(tmp_path):
    recipe = recipe_of(tmp_path, DRAWS, "metric=[{ use = 'drawing_toy/gap' }]")
    data = open_for_evaluation(recipe, "test")
    data.source.metrics = ("drawing_toy/gap", {"use": "drawing_toy/level"})
    assert [one.id for one in metrics_for(recipe, data)] == ["drawing_toy/gap", "drawing_toy/level"]


BLANK = defaultdict(lambda: NetIO({}, {}))
IMAGE, POINTS = Field((3, 8, 8), "ganzoo/image"), Field((2,), "ganzoo/points")


@pytest.mark.parametrize(
    ("name", "fields", "command"),
    [
        ("quickstart", {"source": IMAGE, "target": IMAGE}, "`ganzoo predict 'a b' IMAGES -o out`"),
        (
            "cyclegan_shapes",
            {"source": IMAGE, "target": IMAGE},
            "`ganzoo predict 'a b' IMAGES -o out --application a_to_b`",
        ),
        ("gan_ring", {"real": POINTS}, "`ganzoo sample 'a b'`"),
    ],
)
def test_a_run_ends_with_what_to_type_next(name, fields, command):
    """An application that draws takes no files, and of several one is named."""
    task = load_recipe(name).task
    roles = list(task.load().applications)
    told = {
        "run": "a b",
        "split": "test",
        "n": dict.fromkeys(roles, 4) if len(roles) > 1 else 4,
        "application": {role: role for role in roles} if len(roles) > 1 else roles[0],
        "direction": {role: f"to {role}" for role in roles} if len(roles) > 1 else "a -> b",
    }
    learned, judged, following = closing(told, task, fields, BLANK, 1600)
    assert ("to a_to_b and to b_to_a" if len(roles) > 1 else "a -> b") in learned
    assert "1,600 training samples shown" in learned
    assert "on 4 samples of the test split" in judged
    assert command in following
    assert ("`ganzoo init FOLDER`" in following) == (POINTS not in fields.values())


def test_the_command_at_the_end_of_a_run_is_for_what_was_judged():
    several = {
        "encode": Application(("real",), ("code",), ("encoder",)),
        "move": Application(("real",), ("real",), ("encoder", "decoder")),
        "add": Application(("real", "other"), ("real",), ("decoder",)),
    }
    task = SimpleNamespace(load=lambda: SimpleNamespace(applications=several))
    told = {"run": "r", "split": "test", "n": 4, "direction": "a -> b"}
    fields = {"real": replace(POINTS, called="tracks"), "other": POINTS}
    *_, following = closing(told | {"application": {"move": "move"}}, task, fields, BLANK, 8)
    assert following == (
        "What to type next: `ganzoo predict r FILES -o out --application move` does the same with "
        "your own files of tracks."
    )
    code = Field((), "ganzoo/class", classes=2)
    io = {
        **dict.fromkeys(("encoder", "decoder"), NetIO({}, {})),
        "encoder": NetIO({}, {"code": code}),
    }
    for name in ("add", "encode"):
        *_, following = closing(told | {"application": name}, task, fields, io, 8)
        assert "predict" not in following  # which takes and makes one file for each sample
        assert "`ganzoo bundle r -o model.safetensors`" in following
