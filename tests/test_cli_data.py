"""`ganzoo data inspect` and `ganzoo init`, on folders made here."""

from __future__ import annotations

import json
import os
from contextlib import suppress

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ganzoo.cli.data import command as data_command
from ganzoo.cli.init import command as init_command
from ganzoo.cli.init_text import HERE
from ganzoo.data.contact_sheet import GAP, NOTICE, TEXT, notice
from ganzoo.data.inspect import contact_sheet, contact_sheet_rows, inspect_data
from ganzoo.data.pipeline import open_data
from ganzoo.errors import DataError, DataMissing, ExitCode, UsageError
from ganzoo.recipe import load_recipe

LEFT, RIGHT = (250, 0, 0), (0, 0, 250)

pytestmark = pytest.mark.usefixtures("step_seconds")  # nothing is measured


def write_pair(path, side=16):
    path.parent.mkdir(parents=True, exist_ok=True)
    both = np.zeros((side, 2 * side, 3), np.uint8)
    both[:, :side], both[:, side:] = LEFT, RIGHT
    Image.fromarray(both).save(path)


@pytest.fixture
def pairs(tmp_path):
    for split, count in (("train", 5), ("val", 2), ("test", 3)):
        for number in range(count):
            write_pair(tmp_path / "pairs" / split / f"{number}.png")
    return tmp_path / "pairs"


def invoke(command, *arguments):
    """Run a command; a GanzooError comes through, as it does to `main`."""
    answer = CliRunner().invoke(command, [str(one) for one in arguments])
    if answer.exception is not None and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return answer


def init(folder, recipe, *more):
    answer = invoke(init_command, folder, "-o", recipe, *more)
    assert answer.exit_code == 0, answer.output
    return answer


def colour_at(picture, x, y):
    with Image.open(picture) as image:
        return image.convert("RGB").getpixel((x, y))


def test_init_side_by_side(pairs, tmp_path):
    recipe = tmp_path / "out" / "my.toml"
    answer = init(pairs, recipe)
    assert "twice as wide as high" in answer.stderr
    assert "train: 5 samples" in answer.stdout
    loaded = load_recipe(recipe)
    assert loaded.data.id == "images/side_by_side"
    assert loaded.data.options.direction == "left_to_right"
    assert loaded.name == "my"
    assert loaded.fallback is None  # one's own data are never replaced by the base's stand-in
    assert 'data.direction = "right_to_left"' in answer.stderr
    picture = tmp_path / "out" / "my_pair.png"
    assert str(picture) in answer.stdout
    assert colour_at(picture, 20, 60) == LEFT  # the source is drawn first


def test_init_takes_no_split_for_a_side_of_a_pair(tmp_path):
    for split in ("train", "val"):
        write_pair(tmp_path / "maps" / split / "1.png")
    init(tmp_path / "maps", tmp_path / "my.toml")
    assert load_recipe(tmp_path / "my.toml").data.id == "images/side_by_side"


def test_init_turned(pairs, tmp_path):
    answer = init(pairs, tmp_path / "my.toml", "--turn")
    assert 'set data.direction = "left_to_right" in' in answer.stderr
    assert load_recipe(tmp_path / "my.toml").data.options.direction == "right_to_left"
    assert colour_at(tmp_path / "my_pair.png", 20, 60) == RIGHT


def test_init_flat_folder_says_the_split(tmp_path):
    for number in range(10):
        write_pair(tmp_path / "flat" / f"{number}.png")
    answer = init(tmp_path / "flat", tmp_path / "my.toml")
    assert "train: 8 samples" in answer.stdout
    assert "split_seed" in answer.stderr


@pytest.mark.parametrize(
    ("layout", "sides"),
    [
        ("train/{}", ("A", "B")),
        ("{}", ("A", "B")),
        ("{}/train", ("B", "A")),
        ("train{}", ("A", "B")),
        ("train/{}", ("edges", "photos")),
    ],
)
def test_init_two_folders(tmp_path, layout, sides):
    for side in sides:
        for number in range(4):
            for one in {layout, layout.replace("train", "val")}:
                path = tmp_path / "set" / one.format(side) / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (16, 16)).save(path)
    init(tmp_path / "set", tmp_path / "my.toml")
    data = load_recipe(tmp_path / "my.toml").data
    assert data.id == "images/two_folders"
    assert [data.options.source, data.options.target] == sorted(sides)


def two_kinds(root, layout="train{}", counts=(20, 13), sides=("A", "B")):
    """Two folders of different images, of which none shares its name with one of the other's."""
    for side, count in zip(sides, counts, strict=True):
        for number in range(count):
            path = root / layout.format(side) / f"{side}{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16 + number, 16)).save(path)
    return root


@pytest.mark.parametrize("layout", ["train{}", "{}", "train/{}", "{}/train"])
def test_init_two_kinds_without_pairs(tmp_path, layout):
    root = two_kinds(tmp_path / "set", layout, sides=("cats", "dogs"))
    answer = init(root, tmp_path / "my.toml")
    assert "without a file name in common" in answer.stderr
    recipe = load_recipe(tmp_path / "my.toml")
    assert recipe.data.id == "images/unpaired"
    assert (recipe.data.options.source, recipe.data.options.target) == ("cats", "dogs")
    assert recipe.fallback is None  # one's own data are never replaced by the base's stand-in
    # Without val and test folders each side is dealt.
    assert "train: 16 samples" in answer.stdout
    assert "16/2/2 of cats and 11/1/1 of dogs" in answer.stderr
    # The control: one name in common, and they are taken for pairs again.
    for path in (root / layout.format("cats") / "cats0.png", root / layout.format("dogs")):
        name = path if path.suffix else path / "dogs0.png"
        name.rename(name.with_name("same.png"))
    with pytest.raises(DataError, match="no partner") as caught:
        init(root, tmp_path / "pairs.toml")
    assert not (tmp_path / "pairs.toml").exists()
    # What the hint says is obeyed.
    assert "--use images/unpaired: cats and dogs" in caught.value.hint
    init(root, tmp_path / "kinds.toml", "--use", "images/unpaired")
    assert load_recipe(tmp_path / "kinds.toml").data.id == "images/unpaired"


def test_inspect_decodes_each_file_of_both_kinds(tmp_path):
    """Training draws from the shorter folder, so that one draw a sample would miss files."""
    root = two_kinds(tmp_path / "set")
    (root / "trainB" / "B7.png").write_bytes(b"no image")
    init_answer = invoke(init_command, two_kinds(tmp_path / "good"), "-o", tmp_path / "my.toml")
    assert init_answer.exit_code == 0
    source = load_recipe(tmp_path / "my.toml", [f"data.root={root.as_posix()}"])
    named = {problem.reason for problem in inspect_data(source).problems}
    assert any("B7.png" in reason for reason in named)
    good = load_recipe(tmp_path / "my.toml")
    assert inspect_data(good).problems == []
    sizes = inspect_data(good).splits["train"].sizes["target"]
    assert len(sizes) == 11  # as many as there are training images of B, each of its own size


def test_init_refuses_what_it_does_not_know(tmp_path):
    (tmp_path / "set").mkdir()
    Image.new("RGB", (40, 16)).save(tmp_path / "set" / "wide.png")  # may be two side by side
    with pytest.raises(DataError, match="no data component"):
        init(tmp_path / "set", tmp_path / "my.toml")
    assert not (tmp_path / "my.toml").exists()
    with pytest.raises(DataMissing):
        init(tmp_path / "nowhere", tmp_path / "my.toml")
    with pytest.raises(UsageError):
        init(tmp_path / "set", tmp_path / "my.txt")


def test_init_overwrites_nothing_unasked(pairs, tmp_path):
    (tmp_path / "my.toml").write_text("precious")
    with pytest.raises(UsageError, match="exists"):
        init(pairs, tmp_path / "my.toml")
    assert (tmp_path / "my.toml").read_text() == "precious"
    init(pairs, tmp_path / "my.toml", "--overwrite")


def test_init_component_and_base_by_name(pairs, tmp_path):
    with pytest.raises(DataError, match="images/two_folders can't propose a recipe"):
        init(pairs, tmp_path / "my.toml", "--use", "images/two_folders")
    init(pairs, tmp_path / "base.toml", "--use", "images/side_by_side")
    init(pairs, tmp_path / "my.toml", "--base", "base.toml")
    assert 'extends = "base.toml"' in (tmp_path / "my.toml").read_text()


def test_inspect(pairs, tmp_path):
    init(pairs, tmp_path / "my.toml", "--size", 256)
    sheet = tmp_path / "sheet.png"
    answer = invoke(data_command, "inspect", tmp_path / "my.toml", "-o", sheet)
    assert answer.exit_code == 0
    assert "train: 5 samples" in answer.stdout
    assert "16 x 16 x 3 uint8 (5), values 0 to 250 -> image 3 x 256 x 256" in answer.stdout
    assert str(sheet) in answer.stdout
    with Image.open(sheet) as image:
        assert image.width > 2 * 256  # after augmentation: 16 pixels became 256
        assert image.height > 5 * 256


def test_inspect_json_lists_problems_and_exits_5(pairs, tmp_path):
    init(pairs, tmp_path / "my.toml")
    Image.new("RGB", (33, 16)).save(pairs / "train" / "3.png")
    broken = pairs / "test" / "0.png"  # the first of its split, so the split itself can't be used
    broken.write_bytes(broken.read_bytes()[:50])
    sheet = tmp_path / "sheet.png"
    answer = invoke(data_command, "inspect", tmp_path / "my.toml", "-o", sheet, "--json")
    assert answer.exit_code == 5
    document = json.loads(answer.stdout)
    assert document["data"] == "images/side_by_side"
    assert {split: found["count"] for split, found in document["splits"].items()} == {
        "train": 5,
        "val": 2,
        "test": 3,
    }
    assert document["splits"]["train"]["sizes"]["source"] == {"16 x 16 x 3 uint8": 4}
    assert [(one["split"], one["sample"]) for one in document["problems"]] == [
        ("train", "3"),
        ("test", "0"),
    ]
    assert "3.png" in document["problems"][0]["reason"]
    assert "33 pixels" in document["problems"][0]["reason"]


def test_inspect_lists_unmatched_files_of_a_split(tmp_path):
    for split, side, count in (
        ("train", "A", 4),
        ("train", "B", 3),
        ("val", "A", 1),
        ("val", "B", 1),
    ):
        for number in range(count):
            path = tmp_path / "set" / split / side / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16)).save(path)
    with pytest.raises(DataError, match="no partner") as caught:
        init(tmp_path / "set", tmp_path / "my.toml")
    assert "--set data.unmatched=skip" in caught.value.hint
    assert not (tmp_path / "my.toml").exists()
    init(tmp_path / "set", tmp_path / "my.toml", "--set", "data.unmatched=skip")
    text = (tmp_path / "my.toml").read_text()
    (tmp_path / "my.toml").write_text(text.replace('unmatched = "skip"\n', ""))
    answer = invoke(data_command, "inspect", tmp_path / "my.toml", "--json")
    assert answer.exit_code == 5
    problems = json.loads(answer.stdout)["problems"]
    assert "A/3.png" in problems[0]["reason"]
    mended = invoke(
        data_command,
        "inspect",
        tmp_path / "my.toml",
        "--set",
        "data.unmatched=skip",
        "-o",
        tmp_path / "sheet.png",
        "--json",
        "--limit",
        "1",
    )
    document = json.loads(mended.stdout)
    assert document["splits"]["train"]["count"] == 3
    assert document["splits"]["train"]["sizes"]["source"] == {"16 x 16 x 3 uint8": 1}


def test_inspect_tries_the_augmentation_on_every_size(pairs, tmp_path):
    init(pairs, tmp_path / "my.toml")
    write_pair(pairs / "train" / "4.png", side=8)
    crop = 'augment = [{ use = "albumentations/center_crop", height = 16, width = 16 }]'
    text = (tmp_path / "my.toml").read_text().partition(HERE)[0]
    (tmp_path / "my.toml").write_text(text.replace("extends", f"{crop}\nextends"))
    sheet = tmp_path / "sheet.png"
    answer = invoke(data_command, "inspect", tmp_path / "my.toml", "-o", sheet, "--json")
    document = json.loads(answer.stdout)
    assert answer.exit_code == 5
    sizes = {"16 x 16 x 3 uint8": 4, "8 x 8 x 3 uint8": 1}
    assert document["splits"]["train"]["sizes"]["source"] == sizes
    assert [(one["split"], one["sample"]) for one in document["problems"]] == [("train", "4")]


def test_inspect_of_missing_data(pairs, tmp_path):
    init(pairs, tmp_path / "my.toml")
    with pytest.raises(DataMissing):
        invoke(data_command, "inspect", tmp_path / "my.toml", "--set", "data.root=/nowhere/at/all")


def test_inspect_counts_files_of_unpaired_data(tmp_path):
    root = two_kinds(tmp_path / "set", counts=(10, 6))
    two_kinds(root, "test{}", counts=(3, 4))
    init(root, tmp_path / "my.toml")
    sheet = tmp_path / "sheet.png"
    answer = invoke(data_command, "inspect", tmp_path / "my.toml", "-o", sheet)
    assert "train: 10 samples (10 source, 6 target)" in answer.stdout
    document = json.loads(
        invoke(data_command, "inspect", tmp_path / "my.toml", "-o", sheet, "--json").stdout
    )
    for split, counts in (("train", (10, 6)), ("test", (3, 4))):
        found = document["splits"][split]
        assert found["files"] == dict(zip(("source", "target"), counts, strict=True))
        sizes = found["sizes"]
        assert (sum(sizes["source"].values()), sum(sizes["target"].values())) == counts


@pytest.mark.parametrize(
    ("values", "dtype", "said"),
    [
        (range(0, 4001, 500), np.uint16, "from 0 to 4,000, of the 65,535 that 16 bits hold"),
        (range(3), np.uint8, "from 0 to 2, of the 255 that 8 bits hold"),
        (range(0, 65536, 8191), np.uint16, ""),
        (range(0, 256, 5), np.uint8, ""),
    ],
)
def test_values_that_will_look_black_are_measured_and_said(tmp_path, values, dtype, said):
    for number in range(4):
        for side in "AB":
            path = tmp_path / "set" / side / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.resize(np.array(values, dtype), (16, 16))
            Image.fromarray(pixels).save(path)
    answer = init(tmp_path / "set", tmp_path / "my.toml")
    inspected = invoke(data_command, "inspect", tmp_path / "my.toml", "-o", tmp_path / "s.png")
    assert f"values {min(values)} to {max(values)}" in inspected.stdout
    for text in (answer.stderr, inspected.stderr):
        assert ("almost black" in text) == bool(said)
        assert said.partition(", ")[2] in text
    assert said in inspected.stderr  # of the files, not of what augmentation makes of them


def inspected_sheet(recipe, tmp_path, *more):
    """Exit code and output of `data inspect`, and the sheet's pixels if there is one."""
    sheet = tmp_path / "sheet.png"
    sheet.unlink(missing_ok=True)
    answer = invoke(data_command, "inspect", recipe, "-o", sheet, *more)
    pixels = None
    with suppress(FileNotFoundError), Image.open(sheet) as image:
        pixels = np.asarray(image.convert("RGB"))
    return answer, pixels


def test_the_sheet_has_a_row_for_each_file_that_cant_be_read(pairs, tmp_path):
    init(pairs, tmp_path / "my.toml", "--size", 256)
    sound, before = inspected_sheet(tmp_path / "my.toml", tmp_path, "--rows", 2)
    assert sound.exit_code == ExitCode.DONE
    broken = pairs / "train" / os.fsdecode(b"2 caf\xe9.png")  # neither the first nor the last
    (pairs / "train" / "2.png").rename(broken)
    broken.write_bytes(broken.read_bytes()[:60])
    answer, after = inspected_sheet(tmp_path / "my.toml", tmp_path, "--rows", 2)
    assert answer.exit_code == ExitCode.DATA
    row = NOTICE + GAP
    assert "next: correct or remove" in answer.stderr
    assert "next:" not in sound.stderr
    assert after.shape[0] - before.shape[0] == row
    cell = after[TEXT + row :, GAP:][:NOTICE, :NOTICE]
    shown = str(broken).encode("utf-8", "surrogateescape").decode("utf-8", "ignore")
    shown = shown.replace("2 caf.png", "2 caf%E9.png")
    (said,) = (line for line in answer.stdout.splitlines() if line.startswith("PROBLEM"))
    assert shown in said
    assert np.array_equal(cell, notice(said.removeprefix("PROBLEM in train: ")))
    assert not np.array_equal(cell, notice("something else"))


def test_the_sheet_has_no_more_broken_rows_than_others(pairs, tmp_path):
    init(pairs, tmp_path / "my.toml")
    data = open_data(load_recipe(tmp_path / "my.toml"), "train")
    broken = dict.fromkeys((1, 2, 3), "broken")
    assert len(contact_sheet_rows(data, 2, broken)) == 4  # the first, the last and two of three
    assert len(contact_sheet_rows(data, 2)) == 2


def test_a_file_that_augmentation_refuses_has_its_reason_in_the_sheet(pairs, tmp_path):
    init(pairs, tmp_path / "my.toml")
    write_pair(pairs / "train" / "4.png", side=8)
    data = open_data(load_recipe(tmp_path / "my.toml", ["augment=[]"]), "train")
    good, bad = contact_sheet_rows(data, 2)
    assert good["source"].shape == (16, 16, 3)
    assert bad["source"].shape == (NOTICE, NOTICE, 3)


def test_points_that_cant_be_used_are_left_out_of_the_plot(monkeypatch):
    data = open_data(load_recipe("gan_ring"), "val")
    sample = data.sample
    monkeypatch.setattr(data, "sample", lambda index: {}[index] if index < 2 else sample(index))
    assert contact_sheet(data, 6, "", {0: "broken", 1: "broken"}) is not None
    with pytest.raises(KeyError):
        contact_sheet(data, 6, "", {0: "broken"})
    assert contact_sheet(data, 6, "", dict.fromkeys(range(len(data)), "broken")) is None


def test_without_its_first_sample_a_split_has_no_sheet_and_that_is_said(pairs, tmp_path):
    init(pairs, tmp_path / "my.toml")
    (pairs / "train" / "0.png").write_bytes(b"")
    answer, sheet = inspected_sheet(tmp_path / "my.toml", tmp_path)
    assert answer.exit_code == ExitCode.DATA
    assert sheet is None
    assert "0.png: can't read this image: the file is empty" in answer.stdout
    assert "no contact sheet: the train split can't be used as it is" in answer.stdout
    answer, sheet = inspected_sheet(tmp_path / "my.toml", tmp_path, "--split", "val")
    assert sheet is not None
    assert "no contact sheet" not in answer.stdout


def test_a_file_of_12_bits_among_others_is_named(tmp_path):
    for number in range(5):
        for side in "AB":
            path = tmp_path / "set" / side / f"scan {number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            high = 4095 if (side, number) == ("B", 3) else 60000
            Image.fromarray(np.linspace(5, high, 256).astype(np.uint16).reshape(16, 16)).save(path)
    init(tmp_path / "set", tmp_path / "my.toml")
    answer, _ = inspected_sheet(tmp_path / "my.toml", tmp_path)
    (said,) = (line for line in answer.stdout.splitlines() if "almost black" in line)
    assert said.strip() == (
        "target: 1 of 3 is read, shown and trained on as almost black: scan 3 (values 5 to 4,095 "
        "of 65,535). Scale them to the full range first (12 bits in 16: multiply by 16)."
    )
    document = json.loads(inspected_sheet(tmp_path / "my.toml", tmp_path, "--json")[0].stdout)
    dark = [found["dark"] for found in document["splits"].values()]
    assert dark[0] == {"target": {"scan 3": {"low": 5, "high": 4095, "most": 65535}}}


def test_only_some_of_many_dark_files_are_named(tmp_path):
    for number in range(10):
        for side in "AB":
            path = tmp_path / "set" / side / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((16, 16), 1000 + number, np.uint16)).save(path)
    init(tmp_path / "set", tmp_path / "my.toml")
    answer, _ = inspected_sheet(tmp_path / "my.toml", tmp_path)
    said = [line for line in answer.stdout.splitlines() if "almost black" in line]
    assert "source: 8 of 8 are read" in said[0]  # those that are dealt to the training
    assert said[0].count("(values 1,00") == 5
    assert " of 65,535) and 3 more. Scale" in said[0]
