"""Files in, files out: sizes, channels, names, seeds, and nothing on disk lost."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from ganzoo.data.convert import to_tensor, to_uint8
from ganzoo.errors import DataError, ExitCode, UsageError
from ganzoo.files import split_suffix
from ganzoo.formats.image import ImageFormat
from ganzoo.inference import modes
from ganzoo.inference.application_weights import find_application
from ganzoo.inference.file_pipeline import brought_to
from ganzoo.inference.load_application import load_trained
from ganzoo.inference.predict import plan, predict
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.inference.weights_file import build_network, load_weights, read_cards, save_weights
from ganzoo.interfaces import Field
from ganzoo.testing.networks import io_of

TOY = "inference_toy"
pytestmark = pytest.mark.usefixtures("toy_plugin")


def make_weights(path, channels=3, out_channels=3, **changes):
    fields = {
        "source": Field((channels, 12, 20), "ganzoo/image"),
        "target": Field((out_channels, 12, 20), "ganzoo/image"),
    }
    card = WeightsCard(
        role="generator",
        kind="generator",
        network={"use": "inference_toy/net"},
        revision=1,
        io=io_of(fields["source"].shape, fields["target"].shape),
        task={"use": "inference_toy/task"},
        fields=fields,
        size_multiple=4,
        step=7,
    )
    card = dataclasses.replace(card, **changes)
    torch.manual_seed(0)
    net = build_network(card)
    for module in net:
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.fill_(0.2)
    save_weights(path, net.state_dict(), card)
    return path


@pytest.fixture
def weights(tmp_path):
    return make_weights(tmp_path / "generator.safetensors")


def write_image(path, height=12, width=20, channels=3, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
    Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(path)
    return path


def read(path):
    return np.asarray(Image.open(path))


@pytest.mark.parametrize(("height", "width"), [(12, 20), (13, 21), (1, 1), (5, 2), (31, 4)])
def test_any_size_is_kept(tmp_path, weights, height, width):
    source = write_image(tmp_path / "in.png", height, width)
    predict(weights, [source], tmp_path / "out.png", device="cpu")
    assert read(tmp_path / "out.png").shape == (height, width, 3)


def test_a_legal_size_is_the_network_itself_and_padding_mirrors(tmp_path, weights):
    trained = load_trained(find_application(weights), mode="running", device="cpu")
    pixels = read(write_image(tmp_path / "in.png", 12, 20))
    image = to_tensor(pixels, Field((3, 12, 20), "ganzoo/image"))
    _, state = load_weights(weights)
    net = build_network(load_weights(weights)[0], state).eval()
    with torch.no_grad():
        assert torch.equal(trained({"source": image}, "in")["target"], net(image[None])[0])
        cut = image[:, :10, :18]
        mirrored = torch.nn.functional.pad(cut[None], (0, 2, 0, 2), mode="reflect")
        made = trained({"source": cut}, "in")["target"]
        assert torch.equal(made, net(mirrored)[0, :, :10, :18])


@pytest.mark.parametrize(("takes", "gives", "has"), [(1, 3, 3), (3, 1, 1), (4, 4, 3), (1, 1, 4)])
def test_channels_are_the_networks(tmp_path, takes, gives, has):
    weights = make_weights(tmp_path / "g.safetensors", takes, gives)
    source = write_image(tmp_path / "in.png", channels=has)
    predict(weights, [source], tmp_path / "out.png", device="cpu")
    assert read(tmp_path / "out.png").shape == ((12, 20) if gives == 1 else (12, 20, gives))


def test_channels_that_no_file_has_are_refused(tmp_path):
    weights = make_weights(tmp_path / "g.safetensors", 5)
    source = write_image(tmp_path / "in.png")
    document = predict(weights, [source], tmp_path / "out.png", device="cpu")
    assert "5 channels" in document["failed"][0]["reason"]


def test_folders_keep_names_and_subfolders(tmp_path, weights):
    for index, name in enumerate(("a/1.jpg", "a/b/1.png", "2.PNG", "same.jpg", "same.png")):
        write_image(tmp_path / "in" / name.lower(), seed=index)
    write_image(tmp_path / "in" / ".hidden.png")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    extra = write_image(tmp_path / "x" / "3.bmp")
    out = tmp_path / "in" / "out"  # results inside the input folder aren't inputs of the next call
    for _ in range(2):
        document = predict(
            weights, [tmp_path / "in", extra, extra], out, device="cpu", overwrite=True
        )
        assert len(document["outputs"]) == 6
    made = sorted(str(path.relative_to(out)) for path in out.rglob("*.png"))
    assert made == ["2.png", "3.png", "a/1.png", "a/b/1.png", "same_jpg.png", "same_png.png"]


def test_nothing_is_lost(tmp_path, weights):
    source = write_image(tmp_path / "in.png")
    content = source.read_bytes()
    out = tmp_path / "out.png"
    out.write_text("precious")
    with pytest.raises(UsageError, match="exist already"):
        predict(weights, [source], out, device="cpu")
    assert out.read_text() == "precious"
    for target in (source, tmp_path):
        with pytest.raises(UsageError, match="replace the inputs"):
            predict(weights, [source], target, device="cpu", overwrite=True)
    assert source.read_bytes() == content
    predict(weights, [source], out, device="cpu", overwrite=True)
    assert read(out).shape == (12, 20, 3)


def planned(inputs, out):
    return plan(inputs, out, suffixes=ImageFormat.suffixes, endings={"target": ".png"})


def test_a_plan_that_cannot_be_meant_is_refused(tmp_path):
    first, second = write_image(tmp_path / "a" / "1.png"), write_image(tmp_path / "b" / "1.png")
    with pytest.raises(UsageError, match="same output name"):
        planned([first, second], tmp_path / "out")
    assert len(planned([tmp_path], tmp_path / "out")) == 2  # the folder above keeps them apart
    with pytest.raises(UsageError, match="no such file"):
        planned([tmp_path / "nowhere"], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no files"):
        planned([tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(UsageError, match="need a folder"):
        planned([first, second], first)
    with pytest.raises(UsageError, match=r"a name that ends in \.png"):
        planned([first], tmp_path / "out.jpg")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.nii.gz", ("a", ".nii.gz")),
        ("a.b.NII.GZ", ("a.b", ".NII.GZ")),
        ("a.nii", ("a", ".nii")),
        ("a.tar.gz", ("a.tar", ".gz")),
        (".nii.gz", (".nii", ".gz")),
        ("a", ("a", "")),
    ],
)
def test_a_suffix_may_have_two_parts(name, parts):
    assert split_suffix(name, (".nii", ".nii.gz", ".npy")) == parts


def test_files_of_a_suffix_of_two_parts_are_taken_from_folders(tmp_path):
    names = ["a.nii.gz", "b.NII.gz", "b.nii", "c.npy", "d.gz", "e.txt"]
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / name).touch()
    known = {"suffixes": (".nii", ".nii.gz", ".npy"), "endings": {"dose": ".nii.gz"}}
    jobs = plan([tmp_path / "in"], tmp_path / "out", **known)
    assert {job.source.name: job.where.name for job in jobs} == {
        "a.nii.gz": "a.nii.gz",
        "b.NII.gz": "b_nii.gz.nii.gz",
        "b.nii": "b_nii.nii.gz",
        "c.npy": "c.nii.gz",
    }
    (alone,) = plan([tmp_path / "in" / "a.nii.gz"], tmp_path / "mine.nii.gz", **known)
    assert alone.where == tmp_path / "mine.nii.gz"
    with pytest.raises(UsageError, match=r"results are written as nii\.gz files"):
        plan([tmp_path / "in" / "a.nii.gz"], tmp_path / "mine.npy", **known)


def test_a_result_depends_on_neither_the_others_nor_their_order(tmp_path, weights):
    for index in range(4):
        write_image(tmp_path / "in" / f"{index}.png", seed=index)
    predict(weights, [tmp_path / "in"], tmp_path / "all", device="cpu")
    predict(weights, [tmp_path / "in" / "2.png"], tmp_path / "alone.png", device="cpu")
    assert np.array_equal(read(tmp_path / "all" / "2.png"), read(tmp_path / "alone.png"))
    predict(weights, [tmp_path / "in"], tmp_path / "other", device="cpu", seed=1)
    assert not np.array_equal(read(tmp_path / "all" / "2.png"), read(tmp_path / "other" / "2.png"))


def test_the_card_says_mode_and_seed_and_the_picture_records_them(tmp_path):
    inference = {"mode": "deterministic", "seed": 5}
    weights = make_weights(tmp_path / "g.safetensors", inference=inference)
    source = write_image(tmp_path / "in.png")
    document = predict(weights, [source], tmp_path / "out.png", device="cpu")
    assert (document["mode"], document["seed"]) == ("deterministic", 5)
    note = json.loads(Image.open(tmp_path / "out.png").text["ganzoo"])
    assert (note["mode"], note["seed"], note["step"]) == ("deterministic", 5, 7)
    assert note["weights"] == "g.safetensors"
    assert note["sha256"] == read_cards(weights)["generator"].sha256
    assert (note["application"], note["options"]) == ("translate", {})
    assert str(tmp_path) not in str(note)
    pictures = {}
    for mode in modes.MODES:
        predict(weights, [source], tmp_path / f"{mode}.png", mode=mode, device="cpu")
        pictures[mode] = read(tmp_path / f"{mode}.png").tobytes()
    assert len(set(pictures.values())) == 3
    assert pictures["deterministic"] == read(tmp_path / "out.png").tobytes()


def test_a_single_value_that_is_not_finite_is_no_picture(tmp_path, weights):
    card, state = load_weights(weights)
    state["7.bias"][0] = float("nan")
    save_weights(weights, state, card)
    source = write_image(tmp_path / "in.png")
    with pytest.raises(Exception, match="not finite"):
        predict(weights, [source], tmp_path / "out.png", device="cpu")
    assert not (tmp_path / "out.png").exists()


def run_command(*arguments):
    from ganzoo.cli.predict import command

    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_command_does_the_rest_when_one_file_is_broken(tmp_path, weights):
    write_image(tmp_path / "in" / "1.png")
    write_image(tmp_path / "in" / "3.png")
    (tmp_path / "in" / "2.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    result = run_command(weights, tmp_path / "in", "-o", out, "--device", "cpu", "--json")
    assert result.exit_code == ExitCode.DATA
    assert "2.png" in result.stderr
    document = json.loads(result.stdout)
    assert [Path(entry["output"]).name for entry in document["outputs"]] == ["1.png", "3.png"]
    assert [Path(entry["input"]).name for entry in document["failed"]] == ["2.png"]
    assert document["mode"] == "paper"
    assert sorted(path.name for path in out.iterdir()) == ["1.png", "3.png"]
    result = run_command(weights, tmp_path / "in", "-o", tmp_path / "more", "--device", "cpu")
    assert isinstance(result.exception, DataError)
    assert "1 of 3" in str(result.exception)
    assert len(result.stdout.splitlines()) == 2


def test_command_prints_the_paths_and_notes_a_pair(tmp_path, weights, caplog):
    card, state = load_weights(weights)
    image = Field((3, 8, 8), "ganzoo/image")
    square = dataclasses.replace(card, fields={"source": image, "target": image})
    save_weights(weights, state, square)
    pair = write_image(tmp_path / "pair.png", 8, 16)
    result = run_command(weights, pair, "-o", tmp_path / "o.png", "--device", "cpu")
    assert result.exit_code == 0, result.exception
    assert result.stdout == f"{tmp_path / 'o.png'}\n"
    assert "mode paper, seed 0, on cpu" in result.stderr
    assert "side by side" in caplog.text
    caplog.clear()
    run_command(
        weights, write_image(tmp_path / "s.png", 8, 8), "-o", tmp_path / "s2.png", "--device", "cpu"
    )
    assert "side by side" not in caplog.text


def test_commands_know_the_modes():
    from ganzoo.cli.evaluate import command as evaluate
    from ganzoo.cli.predict import command

    for one in (command, evaluate):
        option = next(parameter for parameter in one.params if parameter.name == "mode")
        assert tuple(option.type.choices) == modes.MODES


def test_eight_bit_round_trip():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert np.array_equal(to_uint8(to_tensor(pixels, Field((1, 16, 16), "ganzoo/image"))), pixels)


def test_five_channels_in_and_two_out_go_as_arrays(tmp_path):
    weights = make_weights(tmp_path / "w.safetensors", channels=5, out_channels=2)
    array = np.random.default_rng(0).integers(0, 256, (13, 20, 5), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "a.npy", array)
    np.save(tmp_path / "in" / "wrong.npy", array[..., :4])
    np.save(tmp_path / "in" / "objects.npy", np.array([{}]), allow_pickle=True)
    write_image(tmp_path / "in" / "picture.png")
    shutil.copy(tmp_path / "in" / "picture.png", tmp_path / "in" / "picture.npy")
    told = predict(weights, [tmp_path / "in"], tmp_path / "out", mode="running", device="cpu")
    assert [Path(one["output"]).name for one in told["outputs"]] == ["a.npy"]
    made = np.load(tmp_path / "out" / "a.npy")
    assert (made.shape, made.dtype) == ((13, 20, 2), np.uint8)
    reasons = {Path(one["input"]).name: one["reason"] for one in told["failed"]}
    assert "H x W x 5, but it is 13 x 20 x 4" in reasons["wrong.npy"]
    assert "can't read" in reasons["objects.npy"]  # nothing is unpickled
    assert "pickle" not in reasons["objects.npy"]
    assert reasons["picture.npy"] == "not a .npy file"
    assert ".npy" in reasons["picture.png"]
    # The same numbers as a picture and as an array give the same result.
    rgb = make_weights(tmp_path / "rgb.safetensors")
    picture = write_image(tmp_path / "rgb.png")
    np.save(tmp_path / "rgb.npy", read(picture))
    for name in ("rgb.png", "rgb.npy"):
        predict(rgb, [tmp_path / name], tmp_path / f"out_{name}.png", mode="running", device="cpu")
    assert np.array_equal(read(tmp_path / "out_rgb.png.png"), read(tmp_path / "out_rgb.npy.png"))


def reasons_of(told):
    return {Path(one["input"]).name: one["reason"] for one in told["failed"]}


def test_arrays_that_are_none_are_named_and_the_rest_is_done(tmp_path, weights):
    folder = tmp_path / "in"
    good = read(write_image(folder / "good.png"))
    np.save(folder / "nan.npy", np.where(good == good[0, 0, 0], np.nan, 0.5).astype(np.float32))
    np.save(folder / "infinite.npy", np.full((12, 20, 3), np.inf))
    np.save(folder / "levels.npy", good.astype(np.float32))
    np.save(folder / "empty.npy", np.zeros((0, 0, 3), np.uint8))
    np.savez(folder / "several.npz", a=good)
    (folder / "several.npz").rename(folder / "several.npy")
    np.save(folder / "short.npy", good)
    content = (folder / "short.npy").read_bytes()
    (folder / "short.npy").write_bytes(content[:-1])
    lying = content.replace(b"(12, 20, 3), }", b"(1200000, 2000000, 3), }")
    (folder / "lying.npy").write_bytes(lying)
    nested = b"{'descr': '|u1', 'fortran_order': False, 'shape': " + b"(" * 9000
    header = b"\x93NUMPY\x01\x00" + len(nested).to_bytes(2, "little") + nested
    (folder / "nested.npy").write_bytes(header)
    np.save(folder / "fine.npy", good.astype(np.float64) / 127.5 - 1)
    result = run_command(weights, folder, "-o", tmp_path / "out", "--device", "cpu", "--json")
    assert result.exit_code == ExitCode.DATA
    told = json.loads(result.stdout)
    assert [Path(one["output"]).name for one in told["outputs"]] == ["fine.png", "good.png"]
    said = reasons_of(told)
    assert sorted(said) == sorted(
        f"{name}.npy"
        for name in ("nan", "infinite", "levels", "empty", "several", "short", "lying", "nested")
    )
    assert "not finite" in said["nan.npy"]
    assert "inf" in said["infinite.npy"]
    assert "go from 0 to 255" in said["levels.npy"]
    assert "0 x 0 x 3" in said["empty.npy"]


def test_hidden_folders_are_left_out_unless_they_are_named(tmp_path, weights):
    write_image(tmp_path / "in" / "1.png")
    write_image(tmp_path / "in" / ".ipynb_checkpoints" / "1-checkpoint.png")
    write_image(tmp_path / "in" / "sub" / ".hidden" / "deep" / "2.png")
    write_image(tmp_path / "in" / "sub" / "3.png")
    told = predict(weights, [tmp_path / "in"], tmp_path / "out", device="cpu")
    outputs = [Path(one["output"]).relative_to(tmp_path / "out") for one in told["outputs"]]
    assert list(map(str, outputs)) == ["1.png", "sub/3.png"]
    hidden = tmp_path / "in" / ".ipynb_checkpoints"
    assert len(predict(weights, [hidden], tmp_path / "more", device="cpu")["outputs"]) == 1


def test_a_folder_that_cannot_be_looked_into_is_named_and_the_rest_is_done(
    tmp_path, weights, monkeypatch
):
    write_image(tmp_path / "in" / "1.png")
    write_image(tmp_path / "in" / "closed" / "2.png")
    scandir = os.scandir

    def refuse(path):  # to root, as whom tests may run, no folder is closed
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    told = predict(weights, [tmp_path / "in"], tmp_path / "out", device="cpu")
    assert [Path(one["output"]).name for one in told["outputs"]] == ["1.png"]
    assert "Permission denied" in reasons_of(told)["closed"]
    told = predict(weights, [tmp_path / "in" / "closed"], tmp_path / "none", device="cpu")
    assert (len(told["outputs"]), len(told["failed"])) == (0, 1)


def test_several_images_never_go_into_a_folder_that_is_called_like_a_file(tmp_path, weights):
    write_image(tmp_path / "my in" / "1.png")
    write_image(tmp_path / "my in" / "2.png")
    with pytest.raises(UsageError, match="need a folder") as caught:
        predict(weights, [tmp_path / "my in"], tmp_path / "my x.png", device="cpu")
    assert f"'{tmp_path / 'my x'}'" in caught.value.hint
    assert not (tmp_path / "my x.png").exists()


def test_a_name_that_is_not_utf8_is_a_name(tmp_path, weights):
    source = write_image(tmp_path / "in" / "1.png")
    named = os.fsdecode(os.fsencode(source.parent) + b"/caf\xe9.png")
    source.rename(named)
    told = predict(weights, [source.parent], tmp_path / "out", device="cpu")
    assert os.path.exists(told["outputs"][0]["output"])  # noqa: PTH110
    assert not told["failed"]


def test_a_size_is_brought_to_and_a_far_one_is_said_once(tmp_path, weights, caplog):
    for index in range(3):
        write_image(tmp_path / "in" / f"{index}.png", 60, 90)
    predict(weights, [tmp_path / "in"], tmp_path / "out", device="cpu")
    assert read(tmp_path / "out" / "0.png").shape == (60, 90, 3)
    assert [record.getMessage().count("--size 20") for record in caplog.records] == [1]
    caplog.clear()
    told = predict(weights, [tmp_path / "in"], tmp_path / "small", device="cpu", size=20)
    assert told["size"] == 20
    assert read(tmp_path / "small" / "0.png").shape == (13, 20, 3)
    assert json.loads(Image.open(tmp_path / "small" / "0.png").text["ganzoo"])["size"] == 20
    write_image(tmp_path / "near.png", 20, 36)
    predict(weights, [tmp_path / "near.png"], tmp_path / "near_out.png", device="cpu")
    assert not caplog.records


def test_a_picture_of_classes_gets_no_colours_between_them():
    image = torch.randint(0, 2, (3, 9, 14)).float() * 2 - 1
    assert set(brought_to(image, 5, coded=True).unique().tolist()) <= {-1.0, 1.0}
    assert brought_to(image, 5).shape == (3, 3, 5)
    assert len(brought_to(image, 5).unique()) > 2  # the control: others are averaged
