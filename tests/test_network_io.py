"""Named inputs and outputs: declarations, calls that keep them, and who is told of an error."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ganzoo.api import NetOptions
from ganzoo.cli.check import _row
from ganzoo.data.pipeline import open_data
from ganzoo.engine import plan
from ganzoo.engine.check import inspect_recipe
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.engine.wrapped_networks import Declared
from ganzoo.errors import DataError, ExitCode, PluginError, RecipeError
from ganzoo.inference.padding import any_size
from ganzoo.inference.sample import sample
from ganzoo.inference.weights_file import read_cards
from ganzoo.interfaces import Field, NetIO, refuse_classes
from ganzoo.observers import Voice
from ganzoo.recipe import load_recipe
from tests.runs import tensors, train, weights, worst

pytestmark = pytest.mark.usefixtures("toy_plugin")
TOY = "named_toy"
FILE = Path(__file__).parent / "toys" / "named_toy.py"
IMAGE, POINTS = Field((3, 8, 8), "ganzoo/image"), Field((4,), "ganzoo/points")
CLASS = Field((), "ganzoo/class", classes=10)

RECIPE = """
task = "named_toy/named"
data = "named_toy/data"
generator = "named_toy/generator"
network = "named_toy/encoder"
discriminator = "named_toy/judge"
loss = "gan/hinge"
[train]
epochs = 4
batch_size = 2
device = "cpu"
precision = "fp32"
[watch]
log = "1 step"
samples = "2 steps"
[ema]
enabled = false
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "named.toml"
    path.write_text(RECIPE)
    return path


def go(recipe, out=None, *, resume=None, steps=None, sets=()):
    loaded = load_recipe(recipe, sets) if recipe else None
    voice = Voice(quiet=True)
    result = run(loaded, out=out, resume=resume, limits=Limits(steps), voice=voice)
    assert result.exit_code == 0, result.error
    return result


# --- the declaration --------------------------------------------------------------------------


def test_networks_of_one_input_and_output_stay_short():
    io = NetIO({"source": IMAGE}, {"target": Field((1, 8, 8), "ganzoo/image")})
    assert (io.input, io.output.shape, io.classes) == (IMAGE, (1, 8, 8), 0)
    assert (io.images_in(), io.images_out()) == ((3, 8, 8), (1, 8, 8))
    by_class = NetIO({"noise": POINTS, "label": CLASS}, {"real": POINTS})
    assert (by_class.vector_in(), by_class.vector_out(), by_class.classes) == (4, 4, 10)
    refuse_classes(io)
    with pytest.raises(ValueError, match="doesn't use classes, but the task has 10"):
        refuse_classes(by_class)


@pytest.mark.parametrize(
    ("io", "ask", "said"),
    [
        (NetIO({"a": IMAGE, "b": POINTS}), lambda io: io.input, "takes one input, .* not a and b"),
        (NetIO({"a": CLASS, "b": IMAGE}), lambda io: io.input, "takes one input, .* not a and b"),
        (NetIO({"a": IMAGE}), lambda io: io.output, "makes one output, not none"),
        (
            NetIO({"a": IMAGE}, {"b": IMAGE, "c": IMAGE}),
            lambda io: io.output,
            "makes one output, not b and c",
        ),
        (NetIO({"a": CLASS, "b": CLASS}), lambda io: io.classes, "one class index, not a and b"),
        (NetIO({"a": POINTS}), NetIO.images_in, r"takes images \(C, H, W\), not \(4,\)"),
        (NetIO({"a": IMAGE}), NetIO.vector_in, r"takes points .* not images \(3, 8, 8\)"),
        (NetIO({"a": IMAGE}, {"b": POINTS}), NetIO.images_out, "makes images"),
        (NetIO({"a": IMAGE}, {"b": IMAGE}), NetIO.vector_out, "makes points"),
    ],
)
def test_what_a_network_cannot_do_is_said(io, ask, said):
    with pytest.raises(ValueError, match=said):
        ask(io)


# --- several inputs, several outputs, label maps ----------------------------------------------


def test_check_shows_every_name(recipe):
    report = inspect_recipe(load_recipe(recipe))
    assert not report["problems"]
    networks = report["networks"]
    assert networks["generator"]["inputs"] == {"image": [3, 8, 8], "kind": [], "code": [4]}
    assert networks["generator"]["outputs"] == {"image": [3, 8, 8], "latent": [8]}
    assert networks["encoder"]["outputs"] == {"mean": [4], "spread": [4]}
    assert networks["discriminator"]["inputs"] == {"image": [3, 8, 8], "labels": [8, 8]}
    assert networks["discriminator"]["outputs"] == {"logits": [1, 4, 4]}
    assert all(network["flops"] for network in networks.values())


def test_a_resume_equals_the_uninterrupted_run(recipe, tmp_path):
    go(recipe, tmp_path / "whole", steps=7)
    go(recipe, tmp_path / "parts", steps=3)
    go(None, resume=tmp_path / "parts", steps=7)
    whole, parts = tensors(tmp_path / "whole", 7), tensors(tmp_path / "parts", 7)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    before = tensors(tmp_path / "parts", 3)  # the control: every network was trained between
    for role in ("generator", "encoder", "discriminator"):
        name = next(name for name in whole if name.startswith(f"{role}.") and "weight" in name)
        assert not torch.equal(before[name], whole[name])


def test_weights_know_their_names_and_make_samples(recipe, tmp_path):
    go(recipe, tmp_path / "run", steps=2)
    file = tmp_path / "run/checkpoints/step_2/generator.safetensors"
    io = read_cards(file)["generator"].io
    assert list(io.inputs) == ["image", "kind", "code"]
    assert list(io.outputs) == ["image", "latent"]
    sample(file, tmp_path / "out.npy", count=3, device="cpu")
    assert np.load(tmp_path / "out.npy").shape == (3, 8, 8, 3)


@pytest.mark.parametrize("mode", ["paper", "deterministic"])
def test_grids_show_such_networks_in_every_mode(recipe, tmp_path, mode):
    go(recipe, tmp_path / "run", steps=2, sets=(f"inference.mode={mode}",))
    assert [one.suffix for one in (tmp_path / "run" / "samples").iterdir()] == [".png"]


@pytest.mark.slow
def test_two_ranks_end_with_the_weights_of_one(recipe):
    def trained(name, *, processes, batch):
        sets = (f"train.batch_size={batch}", "train.precision=fp64", "task.fault=still")
        return weights(train(recipe, name, *sets, processes=processes, steps=4, plugins=(FILE,)), 4)

    two, one = trained("two", processes=2, batch=1), trained("one", processes=1, batch=2)
    assert {name.split(".")[0] for name in one} == {"generator", "encoder", "discriminator"}
    assert worst(two, one) < 1e-8
    # The control: one process with one image a step ends elsewhere.
    assert worst(trained("half", processes=1, batch=1), one) > 1e-5


# --- errors -----------------------------------------------------------------------------------

WRONG = {
    "generator.fault=names": (
        "named_toy/generator returns picture and latent, not image and latent",
        "generator",
    ),
    "generator.fault=shape": ("named_toy/generator returns 7 as latent, not 8", "generator"),
    "generator.fault=tuple": (
        "named_toy/generator returns a tuple, not a mapping with image and latent",
        "generator",
    ),
    "generator.fault=none": (
        "named_toy/generator returns a NoneType as latent, not 8",
        "generator",
    ),
    "task.fault=count": (
        (
            "named_toy/named calls named_toy/generator with 2 inputs, but its io() declares image "
            "and kind and code"
        ),
        "generator",
    ),
    "task.fault=order": (
        (
            "named_toy/named calls named_toy/generator with 4 as kind, but its io() declares one "
            "number a sample"
        ),
        "generator",
    ),
    "task.fault=judge": (
        "the io() of named_toy/named is wrong: it has no outputs for a generator",
        "generator",
    ),
    "task.fault=hot": (
        (
            "the io() of named_toy/named is wrong: 'labels' has the shape [5, 8, 8], and [8, 8] in "
            "the data: it needs another name"
        ),
        "discriminator",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_call_or_result_is_named_by_check_and_run(recipe, trainer_of, wrong):
    said, where = WRONG[wrong]
    loaded = load_recipe(recipe, (wrong,))
    (problem,) = inspect_recipe(loaded)["problems"]
    assert (problem["message"], problem["where"]) == (said, where)
    assert problem["exit_code"] == ExitCode.PLUGIN
    with pytest.raises(PluginError) as caught:
        trainer_of(loaded).step()
    assert (caught.value.message, caught.value.where) == (said, where)


def test_a_network_that_keeps_the_size_is_not_blamed():
    """Only where the data have two sizes; a network that halves them is at fault."""
    small, large = Field((3, 8, 8), "ganzoo/image"), Field((3, 16, 16), "ganzoo/image")
    declared = Declared("toy/task", "toy/net", "net", NetIO({"x": small}, {"y": large}))
    given = torch.zeros(1, 3, 8, 8)
    declared.check_outputs([given], torch.zeros(1, 3, 16, 16))
    with pytest.raises(RecipeError, match="keeps the size") as caught:
        declared.check_outputs([given], given)
    assert "Use a network that changes the size" in caught.value.hint
    for wrong in (torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 8, 8)):
        with pytest.raises(PluginError, match="toy/net returns"):
            declared.check_outputs([given], wrong)


def test_a_batch_names_the_sample_of_a_wrong_class_number(recipe, monkeypatch):
    data = open_data(load_recipe(recipe), "train")
    positions = [(0, 1), (0, 2), (0, 3)]
    assert len(data.batch(positions)["labels"]) == 3
    load = data.source.load

    def wrong(index, rng):
        return {**load(index, rng), **({"kind": np.array(7)} if index == 2 else {})}

    monkeypatch.setattr(data.source, "load", wrong)
    with pytest.raises(DataError, match="must be 0 to 2, since there are 3 classes") as caught:
        data.batch(positions)
    assert caught.value.where == "000002"


def test_a_discriminators_second_map_is_not_left_as_it_was(recipe):
    with recipe.open("a") as file:
        file.write('[[diffaugment]]\nuse = "gan/diffaugment"\n')
    (problem,) = inspect_recipe(load_recipe(recipe))["problems"]
    assert "shows its discriminator labels too, which would no longer fit" in problem["message"]
    assert problem["exit_code"] == ExitCode.RECIPE


@pytest.mark.parametrize(
    ("inputs", "wrong"),
    [
        ({"label": CLASS, "image": IMAGE}, True),
        ({"code": POINTS, "image": IMAGE}, True),
        ({"label": CLASS, "code": POINTS}, True),
        ({"image": IMAGE, "label": CLASS}, False),
        ({"code": POINTS}, False),
    ],
)
def test_augmentations_change_the_only_map(inputs, wrong):
    recipe = SimpleNamespace(diffaugment=["any"], name="toy", task=SimpleNamespace(id="toy/task"))
    task = SimpleNamespace(roles={"judge": "discriminator"})
    with pytest.raises(RecipeError, match="first, which is no image") if wrong else nullcontext():
        plan._check_augments(recipe, task, {"judge": NetIO(inputs)})


@pytest.mark.parametrize(
    ("shape", "form", "wrong"),
    [((8, 6), "labels", True), ((8, 8), "labels", False), ((8, 6), "points", False)],
)
def test_label_maps_have_sizes_that_the_network_takes(shape, form, wrong):
    class Options(NetOptions):
        def size_multiple(self):
            return 4

    component = SimpleNamespace(options=Options(), id="toy/net")
    io = NetIO({"map": Field(shape, f"ganzoo/{form}")})
    with pytest.raises(RecipeError, match="the images are 8 x 6") if wrong else nullcontext():
        plan._check_size("generator", component, io)


def test_check_shows_classes_and_single_numbers():
    network = {
        "id": "toy/judge",
        "parameters": 3,
        "inputs": {"image": [3, 8, 8], "label": []},
        "outputs": {"logits": []},
    }
    assert _row("discriminator", network)[3] == "3x8x8 + class -> 1"


def test_other_sizes_are_taken_and_other_channels_are_not(recipe, trainer_of):
    trainer = trainer_of(recipe)
    net, kind = trainer.prepared["generator"], torch.zeros(2, dtype=torch.int64)
    code = torch.zeros(2, 4)
    assert net(torch.zeros(2, 3, 16, 12), kind, code)["image"].shape == (2, 3, 16, 12)
    with pytest.raises(PluginError, match="with 4 x 8 x 8 as image, but its io"):
        net(torch.zeros(2, 4, 8, 8), kind, code)
    with pytest.raises(PluginError, match="with a NoneType as code"):
        net(torch.zeros(2, 3, 8, 8), kind, None)


# --- images of any size -----------------------------------------------------------------------


def test_every_map_is_padded_and_every_result_cropped():
    """Images and label maps are padded to the multiple; vectors and classes are left alone."""
    given = {}

    def net(image, labels, code):
        given.update(image=image, labels=labels, code=code)
        doubled = image.repeat_interleave(2, 2).repeat_interleave(2, 3)
        return {"image": doubled, "labels": labels, "latent": code}

    image, labels = torch.rand(1, 3, 5, 7), torch.arange(35).reshape(1, 5, 7)
    made = any_size(net, 4)(image, labels, torch.rand(1, 4))
    assert given["image"].shape == (1, 3, 8, 8)
    assert given["labels"].shape == (1, 8, 8)
    assert torch.equal(given["labels"][:, 5:, :7], labels[:, [3, 2, 1]])  # mirrored, still integers
    assert made["image"].shape == (1, 3, 10, 14)
    assert torch.equal(made["image"][..., ::2, ::2], image)
    assert torch.equal(made["labels"], labels)
    assert made["latent"].shape == (1, 4)
