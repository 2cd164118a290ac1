"""Applications of several networks: their options, results, files, bundles, and what is refused."""

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ganzoo.cli.main import cli
from ganzoo.engine.check import inspect_recipe
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.engine.task_names import check_inputs
from ganzoo.errors import (
    DataError,
    EnvironmentFault,
    ExitCode,
    GanzooError,
    PluginError,
    UsageError,
)
from ganzoo.inference.application_weights import find_application
from ganzoo.inference.applications import beside_files
from ganzoo.inference.bundle import bundle
from ganzoo.inference.evaluate import _scored, evaluate_run, run_recipe
from ganzoo.inference.load_application import load_trained
from ganzoo.inference.predict import predict
from ganzoo.inference.sample import sample
from ganzoo.inference.weights_file import load_all, read_cards
from ganzoo.interfaces import Application, Field, NetIO
from ganzoo.observers import Voice
from ganzoo.plugin_system import registry
from ganzoo.recipe import load_recipe
from tests.runs import assert_same_bits, log_of, tensors

TOY = Path(__file__).parent / "toys" / "applications_toy.py"
RECIPE = """
task = "applications_toy/auto"
data = "applications_toy/data"
generator = "applications_toy/decoder"
loss = "applications_toy/silent"
networks.encoder = "applications_toy/encoder"
networks.mapping = "applications_toy/mapping"
[train]
epochs = 4
batch_size = 2
device = "cpu"
precision = "fp32"
[watch]
log = "1 step"
samples = "2 steps"
validate = "2 steps"
[checkpoints]
best = "reconstruct/l1"
[ema]
enabled = true
roles = ["decoder"]
"""

LEFT_OUT = "The application decode is left out: it takes latent, which the data don't have."


@pytest.fixture(scope="module", autouse=True)
def _toys():
    before = registry.current()
    registry.activate(files=[TOY])
    yield
    registry.activate(records=before.records)


def go(folder, steps=None, resume=None, sets=()):
    recipe = folder / "auto.toml"
    recipe.write_text(RECIPE)
    loaded = None if resume else load_recipe(recipe, sets)
    out = None if resume else folder / "run"
    result = run(loaded, out=out, resume=resume, limits=Limits(steps), voice=Voice(quiet=True))
    assert result.exit_code == 0, result.error
    return folder / "run"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return go(tmp_path_factory.mktemp("auto"), 4)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "in" / "one.png"
    path.parent.mkdir()
    Image.fromarray(np.full((8, 8, 3), (200, 40, 90), np.uint8)).save(path)
    return path


def read_picture(path):
    return np.asarray(Image.open(path))


def drawn(weights, out, **settings):
    sample(weights, out, count=4, device="cpu", overwrite=True, **settings)
    return np.load(out).astype(int)


def test_training_resumes_bit_for_bit_and_validates_every_application_that_data_judge(
    tmp_path, monkeypatch
):
    said = []
    monkeypatch.setattr(Voice, "warn", lambda _, text: said.append(text))
    (tmp_path / "parts").mkdir()
    whole, parts = go(tmp_path), go(tmp_path / "parts", 5)
    middle = tensors(parts, 5)
    go(tmp_path / "parts", resume=parts)
    assert_same_bits(whole, parts, 16)
    one = tensors(whole, 16)
    assert any(not torch.equal(one[name], value) for name, value in middle.items())
    names = {name for line in log_of(whole) for name in line.get("metrics", {})}
    # What gives or takes latents isn't scored: the data have none.
    assert {name.rpartition("/")[0] for name in names} == {"reconstruct", "vary"}
    assert said.count(LEFT_OUT) == 3  # once in each part, of several validations


def test_an_input_that_only_a_network_has_is_read_from_files(trained, model, picture, tmp_path):
    for weights, name in ((trained, "run"), (model, "bundle")):
        codes, out = tmp_path / name / "codes", tmp_path / name / "images"
        predict(weights, [picture], codes, application="encode", device="cpu")
        np.save(codes / "other.npy", np.ones(4, np.float32))
        np.save(codes / "short.npy", np.ones(3, np.float32))
        told = predict(weights, [codes], out, application="decode", device="cpu")
        assert told["direction"] == "latent -> image"
        (refused,) = told["failed"]
        assert refused["input"].endswith("short.npy")
        assert "must be 4 floats" in refused["reason"]
        predict(weights, [picture], out, application="reconstruct", device="cpu")
        made, other, whole = (
            read_picture(out / f"{one}.png") for one in ("one", "other", "one.image")
        )
        assert np.array_equal(made, whole)
        assert not np.array_equal(made, other)
    with pytest.raises(UsageError, match="takes each latent as its input"):
        sample(trained, tmp_path / "x.png", application="decode", device="cpu")


@pytest.mark.parametrize(
    ("application", "said"),
    [
        (Application(("latent",), ("image",), ("decoder",)), ""),
        (Application(("nothing",), ("image",), ("decoder",), draws=("nothing",)), ""),
        (Application(("nothing",), ("image",), ("decoder",)), "takes 'nothing', which is neither"),
        # It is an input of another network.
        (Application(("noise",), ("image",), ("decoder",)), "takes 'noise', which is neither"),
        (
            Application(("latent",), ("image",), ("decoder",), draws=("noise",)),
            "draws 'noise', which it doesn't take",
        ),
    ],
)
def test_a_plan_knows_each_input_of_an_application(tmp_path, monkeypatch, application, said):
    (tmp_path / "auto.toml").write_text(RECIPE)
    recipe = load_recipe(tmp_path / "auto.toml")
    monkeypatch.setattr(recipe.task.load(), "applications", {"use": application})
    problems = inspect_recipe(recipe)["problems"]
    if said:
        (problem,) = problems
        assert f"declares an application 'use' that {said}" in problem["message"]
        assert problem["exit_code"] == ExitCode.PLUGIN
    else:
        assert not problems


@pytest.mark.parametrize(
    ("mask", "nodata", "said"),
    [("there", -1, ""), ("there", None, "files can't give"), ("absent", -1, "isn't known")],
)
def test_files_give_a_mask_by_its_no_data_alone(mask, nodata, said):
    """A depth map that no data have, with its mask."""
    depth = Field(
        (1, 8, 8), "ganzoo/image", range=(0, 9), dtype="float32", nodata=nodata, mask=mask
    )
    there = Field((8, 8), "ganzoo/labels", classes=2)
    one = Application(("depth", "there"), ("image",), ("net",))
    task = SimpleNamespace(id="toy/task", load=lambda: SimpleNamespace(applications={"use": one}))
    io = {"net": NetIO({"depth": depth, "there": there}, {})}
    with pytest.raises(PluginError, match=said) if said else nullcontext():
        check_inputs(task, {"image": depth}, io)


def test_an_evaluation_says_that_the_data_lack_inputs(trained, monkeypatch):
    recipe, card = run_recipe(trained), find_application(trained).card
    every = recipe.task.load().applications
    monkeypatch.setattr(recipe.task.load(), "applications", {"decode": every["decode"]})
    with pytest.raises(UsageError, match=r"lack what the applications of .* take") as caught:
        _scored(recipe, trained, card)
    assert caught.value.hint == LEFT_OUT
    monkeypatch.setattr(recipe.task.load(), "applications", {"encode": every["encode"]})
    with pytest.raises(UsageError, match="have nothing that an application of"):
        _scored(recipe, trained, card)


def test_the_hint_to_evaluate_is_only_for_data_that_have_the_inputs():
    image = Field((3, 8, 8), "ganzoo/image")
    one = Application(("image", "other"), ("image",), ("net",))
    assert "ganzoo evaluate" in beside_files(one, {"image": image, "other": image})
    assert "ganzoo evaluate" not in beside_files(one, {"image": image})


def test_each_field_that_is_given_has_a_file(trained, picture, tmp_path):
    document = predict(trained, [picture], tmp_path / "out", device="cpu")
    assert document["application"] == "reconstruct"  # the first one that takes files
    files = {one["field"]: Path(one["output"]).name for one in document["outputs"]}
    assert files == {"image": "one.image.png", "latent": "one.latent.npy"}
    assert document["ema"] == {"encoder": False, "decoder": True}
    latent = np.load(tmp_path / "out" / "one.latent.npy")
    assert latent.shape == (4,)
    alone = predict(trained, [picture], tmp_path / "alone", application="encode", device="cpu")
    assert [Path(one["output"]).name for one in alone["outputs"]] == ["one.npy"]
    assert np.array_equal(np.load(tmp_path / "alone" / "one.npy"), latent)
    with pytest.raises(UsageError, match="several results need a folder"):
        predict(trained, [picture], tmp_path / "out.png", device="cpu")


def test_options_change_the_result_and_are_written_down(trained, picture, tmp_path):
    out = tmp_path / "all.npy"
    one, again = drawn(trained, out), drawn(trained, out, options={"psi": 1})
    assert np.array_equal(one, again)
    mean = drawn(trained, out, options={"psi": 0})
    assert (mean == mean[:1]).all()
    assert (one != one[:1]).any()
    document = sample(trained, tmp_path / "x.png", count=4, device="cpu", options={"psi": 0.7})
    assert (document["application"], document["options"]) == ("sample", {"psi": 0.7})
    note = json.loads(Image.open(tmp_path / "x.png").text["ganzoo"])
    assert (note["application"], note["options"]) == ("sample", {"psi": 0.7})
    assert set(note["sha256"]) == {"mapping", "decoder"}
    varied = predict(
        *(trained, [picture], tmp_path / "v.png"),
        application="vary",
        options={"amount": 0.0},
        device="cpu",
    )
    assert varied["options"] == {"amount": 0.0}
    predict(trained, [picture], tmp_path / "again", device="cpu")
    made = np.asarray(Image.open(tmp_path / "v.png"))
    assert np.array_equal(made, np.asarray(Image.open(tmp_path / "again" / "one.image.png")))


def test_a_drawn_input_beside_a_file_depends_on_seed_and_name_alone(trained, picture, tmp_path):
    other = picture.with_name("two.png")
    shutil.copy(picture, other)

    def vary(name, inputs, **settings):
        out = tmp_path / name
        predict(trained, inputs, out, application="vary", device="cpu", **settings)
        return {file.name: np.asarray(Image.open(file)) for file in out.iterdir()}

    both = vary("both", [picture, other])
    assert np.array_equal(vary("one", [picture.parent / "one.png"])["one.png"], both["one.png"])
    assert not np.array_equal(both["one.png"], both["two.png"])
    assert not np.array_equal(vary("seed", [picture], seed=1)["one.png"], both["one.png"])


def test_an_evaluation_names_applications_and_their_fields(trained):
    document = evaluate_run(trained, "test", device="cpu")
    assert set(document["application"]) == {"reconstruct", "sample", "vary"}
    assert {"reconstruct/l1", "vary/l1"} <= set(document["metrics"])
    assert document["options"]["vary"] == {"amount": 0.5}
    assert any("is also what goes in" in note for note in document["notes"])
    assert document["notes"].count(LEFT_OUT) == 1
    one = evaluate_run(trained, "test", device="cpu", application="vary", options={"amount": 0.0})
    assert one["metrics"]["vary/l1"]["mean"] == document["metrics"]["reconstruct/l1"]["mean"]
    with pytest.raises(UsageError, match="gives latent, which the data don't have"):
        evaluate_run(trained, "test", device="cpu", application="encode")
    with pytest.raises(UsageError, match="decode takes latent, which the data don't have"):
        evaluate_run(trained, "test", device="cpu", application="decode")
    with pytest.raises(UsageError, match="this task has several"):
        evaluate_run(trained, "test", device="cpu", options={"psi": 0.5})


# Bundles.


@pytest.fixture(scope="module")
def model(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "model.safetensors"
    document = bundle(trained, out)
    assert document["networks"] == {"encoder": False, "decoder": True, "mapping": False}
    assert document["applications"] == ["reconstruct", "encode", "decode", "sample", "vary"]
    return out


def test_a_bundle_does_what_its_run_does(trained, model, picture, tmp_path):
    for weights, name in ((trained, "run"), (model, "bundle")):
        predict(weights, [picture], tmp_path / name, device="cpu")
    pictures, latents = (
        [read(tmp_path / name / f"one.{file}") for name in ("run", "bundle")]
        for read, file in ((read_picture, "image.png"), (np.load, "latent.npy"))
    )
    assert np.array_equal(*pictures)
    assert np.array_equal(*latents)
    samples = [drawn(weights, tmp_path / "x.npy") for weights in (trained, model)]
    assert np.array_equal(*samples)
    note = json.loads(Image.open(tmp_path / "bundle" / "one.image.png").text["ganzoo"])
    assert note["weights"] == "model.safetensors"
    assert note["sha256"] == read_cards(model)["encoder"].sha256 != ""


def test_a_bundle_holds_shared_parts_once_and_is_the_same_each_time(trained, model, tmp_path):
    bundle(trained, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == model.read_bytes()
    bundle(model, tmp_path / "third.safetensors")
    assert (tmp_path / "third.safetensors").read_bytes() == model.read_bytes()
    with safe_open(model, "pt") as file:
        card = json.loads(file.metadata()["ganzoo"])
        names = set(file.keys())
    assert set(card["networks"]) == {"encoder", "decoder", "mapping"}
    assert "task" not in card["networks"]["encoder"]
    assert {"encoder/body.weight", "mapping/weight"} <= names
    for role, its in read_cards(model).items():
        suffix = ".ema" if its.ema else ""
        file = trained / "checkpoints" / "step_4" / f"{role}{suffix}.safetensors"
        assert its == read_cards(file)[role]
        own, loaded = load_file(file), load_all(model)[role][1]
        assert own.keys() == loaded.keys()
        assert all(torch.equal(own[name], loaded[name]) for name in own)


def test_a_bundle_of_one_application_lacks_the_other_networks(trained, tmp_path, picture):
    out = tmp_path / "enc.safetensors"
    assert bundle(trained, out, applications=["encode"])["applications"] == ["encode"]
    assert predict(out, [picture], tmp_path / "o", device="cpu")["application"] == "encode"
    with pytest.raises(UsageError, match="needs the weights of mapping and decoder") as caught:
        sample(out, tmp_path / "x.png", application="sample", device="cpu")
    assert "ganzoo bundle RUN" in caught.value.hint
    with pytest.raises(UsageError, match="exists already"):
        bundle(trained, out)
    with pytest.raises(UsageError, match=r"ends in \.safetensors"):
        bundle(trained, tmp_path / "enc.pt")
    with pytest.raises(UsageError, match="no application 'paint'") as caught:
        bundle(trained, tmp_path / "x.safetensors", applications=["paint"])
    assert caught.value.where == str(trained)


def test_damaged_and_forged_bundles_are_refused(model, tmp_path, picture):
    path = tmp_path / "m.safetensors"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="differs from the sha256"):
        predict(path, [picture], tmp_path / "o", device="cpu")
    state = load_file(model)
    with safe_open(model, "pt") as file:
        card = json.loads(file.metadata()["ganzoo"])

    def forged(**changes):
        save_file(state, path, metadata={"ganzoo": json.dumps({**card, **changes})})
        return path

    for changes, hint in (
        ({"networks": {}}, "at least one"),
        ({"networks": 5}, "networks"),
        ({"networks": {"encoder": 5}}, "networks"),
        ({"networks": {"../x": card["networks"]["encoder"]}}, "role"),
        ({"networks": {"encoder": {**card["networks"]["encoder"], "step": 9}}}, "step"),
        ({"networks": {"encoder": {}}}, "kind"),
        ({"surprise": 1}, "surprise"),
    ):
        with pytest.raises(DataError, match="card can't be read") as caught:
            read_cards(forged(**changes))
        assert hint in caught.value.hint, changes
    with pytest.raises(EnvironmentFault, match="format 99"):
        read_cards(forged(format=99, networks="of the future"))
    with pytest.raises(DataError, match="differs from the sha256"):
        load_all(forged(step=5))


def test_networks_of_two_checkpoints_are_never_used_together(tmp_path, picture):
    path = go(tmp_path, 2, sets=["checkpoints.every=1 step", "ema.enabled=false"])
    first, second = (path / "checkpoints" / f"step_{step}" for step in (1, 2))
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    shutil.copy(first / "encoder.safetensors", mixed)
    shutil.copy(second / "decoder.safetensors", mixed)
    with pytest.raises(DataError, match=r"different checkpoints: .* differ in images, step"):
        predict(mixed, [picture], tmp_path / "o", device="cpu")
    content = bytearray((second / "decoder.safetensors").read_bytes())
    content[-1] ^= 1
    (second / "decoder.safetensors").write_bytes(content)
    weights = find_application(path, "reconstruct")
    assert {file.parent for file in weights.files.values()} == {first}
    # The encoder alone is intact in the newest.
    assert find_application(path, "encode").path == second / "encoder.safetensors"


def test_a_run_starts_from_a_bundle(model, tmp_path):
    sets = [f"start.{role}={model}" for role in ("encoder", "decoder")]
    sets += [f"start.mapping={model}:mapping", "optimizer.lr=1e-12", "ema.enabled=false"]
    path = go(tmp_path, 1, sets=sets)
    for role, (_, state) in load_all(model).items():
        made = load_file(path / "checkpoints" / "step_1" / f"{role}.safetensors")
        assert all(torch.allclose(made[name], state[name], atol=1e-6) for name in state), role
    (tmp_path / "wrong").mkdir()
    with pytest.raises(GanzooError, match="not the plain weights of nobody"):
        go(tmp_path / "wrong", 1, sets=[f"start.encoder={model}:nobody"])


# Refusals.


def test_what_is_not_there_is_refused_with_what_is(trained, picture, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="no application 'recontruct'") as caught:
        predict(trained, [picture], out, application="recontruct", device="cpu")
    assert caught.value.where == str(trained)
    assert 'did you mean "reconstruct"' in caught.value.hint
    assert "--application sample  (noise -> image)" in caught.value.hint
    with pytest.raises(UsageError, match="makes samples from noise") as caught:
        predict(trained, [picture], out, application="sample", device="cpu")
    assert "--application sample" in caught.value.hint
    with pytest.raises(UsageError, match="generates nothing from noise"):
        sample(trained, tmp_path / "x.png", application="vary", device="cpu")
    file = trained / "checkpoints" / "step_4" / "encoder.safetensors"
    with pytest.raises(UsageError, match="needs the weights of encoder and decoder"):
        predict(file, [picture], out, application="reconstruct", device="cpu")
    assert predict(file, [picture], out, device="cpu")["application"] == "encode"
    mapping = trained / "checkpoints" / "step_4" / "mapping.safetensors"
    with pytest.raises(UsageError, match="here are only those of mapping"):
        sample(mapping, tmp_path / "x.png", device="cpu")
    with pytest.raises(UsageError, match="no averaged weights of encoder"):
        predict(trained, [picture], tmp_path / "e", ema=True, device="cpu")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pssi": 1}, 'pssi: unknown option (did you mean "psi"?)'),
        ({"psi": 2}, "psi: must be at most 1"),
        ({"psi": "much"}, "psi: must be a number"),
        ({"psi": float("nan")}, "psi: must be a finite number"),
    ],
)
def test_options_are_checked_like_those_of_a_recipe(trained, tmp_path, given, said):
    with pytest.raises(UsageError) as caught:
        sample(trained, tmp_path / "x.png", device="cpu", options=given)
    assert said in caught.value.message
    assert "psi = 1.0" in caught.value.hint
    assert not (tmp_path / "x.png").exists()


def test_the_commands(trained, picture, tmp_path):
    def ganzoo(*arguments):
        return CliRunner().invoke(cli, list(map(str, arguments)))

    model = tmp_path / "model.safetensors"
    done = ganzoo("bundle", trained, "-o", model)
    assert done.exit_code == 0, done.exception
    assert done.stdout == f"{model}\n"
    assert "encoder, decoder, mapping (averaged: decoder)" in done.stderr
    options = ("--option", "psi=0.5", "--option", "psi = 0.7", "--json", "--device", "cpu")
    done = ganzoo("sample", model, "-n", 2, "-o", tmp_path / "x.png", *options)
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout)["options"] == {"psi": 0.7}
    done = ganzoo("predict", model, picture, "-o", tmp_path / "o", "--application", "encode")
    assert done.exit_code == 0, done.exception
    (picture.parent / "broken.png").write_bytes(b"no picture")
    done = ganzoo("predict", model, picture.parent, "-o", tmp_path / "both", "--device", "cpu")
    assert len(done.stdout.splitlines()) == 2  # an image and a latent, both of one input
    assert "1 input, image -> image and latent, with" in done.stderr
    assert done.exception.message == "1 of 2 inputs can't be used"
    for wrong in ("psi", "=1", "a.b=1"):
        done = ganzoo("sample", model, "-o", tmp_path / "y.png", "--option", wrong)
        assert isinstance(done.exception, UsageError), wrong
        assert "KEY=VALUE" in done.exception.message


def test_what_is_drawn_beside_an_image_is_not_padded(trained, monkeypatch):
    vary = load_trained(find_application(trained, "vary"), device="cpu")
    vary, task = replace(vary, size_multiple=4), vary.task.load()
    seen = {}

    def apply(name, options, choices, io, nets, inputs):
        seen.update({key: tuple(value.shape) for key, value in inputs.items()})
        return {"image": inputs["image"]}

    monkeypatch.setattr(task, "draw", lambda *_: {"noise": torch.zeros(1, 2, 1, 1)})
    monkeypatch.setattr(task, "apply", apply)
    made = vary({"image": torch.zeros(3, 6, 7)}, "a")
    assert seen == {"image": (1, 3, 8, 8), "noise": (1, 2, 1, 1)}
    assert made["image"].shape == (3, 6, 7)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("name", "returns image and code, not image and latent"),
        ("count", r"returns \(2, 3, 8, 8\) as 'image' for 1 samples"),
        ("shape", r"returns \(1, 3\) as 'latent', which has the shape \(4,\)"),
        ("tuple", "returns a tuple, not image and latent"),
        ("reads", "reads the field 'other', which it doesn't take"),
    ],
)
def test_what_a_task_returns_is_checked(trained, fault, said):
    weights = find_application(trained)
    applied = load_trained(weights, device="cpu")
    object.__setattr__(applied.task.options, "fault", fault)
    try:
        with pytest.raises(PluginError, match=said):
            applied({"image": torch.zeros(3, 8, 8)}, "a")
    finally:
        object.__setattr__(applied.task.options, "fault", "")
    assert set(applied({"image": torch.zeros(3, 8, 8)}, "a")) == {"image", "latent"}


def test_the_size_multiple_is_that_of_all_networks(tmp_path):
    sets = ["networks.encoder.multiple=2", "generator.multiple=8"]
    path = go(tmp_path, 1, sets=sets)
    assert load_trained(find_application(path, "reconstruct"), device="cpu").size_multiple == 8
    assert load_trained(find_application(path, "encode"), device="cpu").size_multiple == 2
