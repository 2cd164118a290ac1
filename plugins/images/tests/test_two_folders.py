"""Pairs in two folders: layouts, matching by stem, and lists of what doesn't match."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image

from ganzoo.errors import DataError, DataMissing
from ganzoo_images.options import TwoFoldersOptions
from ganzoo_images.two_folders import TwoFolders

LAYOUTS = ["{split}/{side}", "{side}/{split}", "{split}{side}", "{side}"]


def write(path, value=0, size=(6, 4), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, (value,) * 3 if mode == "RGB" else value).save(path)


def opened(root, split="train", **options):
    return TwoFolders(TwoFoldersOptions(root=str(root), **options), split)


def val_beside(root, sides="AB"):
    """Folders of a second split: without them, the files of `train` alone are dealt out."""
    for side in sides:
        (root / "val" / side).mkdir(parents=True)


def load(source, index=0):
    return source.load(index, np.random.default_rng(0))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout):
    for split in ("train", "val"):
        for number in range(10):
            for side, value in (("A", 10), ("B", 20)):
                folder = tmp_path / layout.format(split=split, side=side)
                write(folder / f"{number}.png", value + number)
    train, test = opened(tmp_path), opened(tmp_path, "test")
    flat = layout == "{side}"
    assert (len(train), len(test)) == ((8, 1) if flat else (10, 10))
    assert any(("split_seed" if flat else "no test images") in note for note in test.notes)
    for index in range(len(train)):
        sample, number = load(train, index), int(train.name(index))
        assert sample["source"].shape == (4, 6, 3)
        assert (sample["source"] == 10 + number).all()
        assert (sample["target"] == 20 + number).all()


@pytest.mark.parametrize("layout", LAYOUTS[:3])
def test_train_alone_is_dealt(tmp_path, layout):
    for number in range(10):
        for side in "AB":
            write(tmp_path / layout.format(split="train", side=side) / f"{number}.png")
    parts = [opened(tmp_path, split) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [8, 1, 1]
    assert len({part.name(index) for part in parts for index in range(len(part))}) == 10
    assert "dealt 8/1/1" in parts[0].notes[0]
    # The control: with a second split, train is what train holds.
    write(tmp_path / layout.format(split="val", side="A") / "0.png")
    write(tmp_path / layout.format(split="val", side="B") / "0.png")
    assert [len(opened(tmp_path, split)) for split in ("train", "val", "test")] == [10, 1, 1]


def test_sides_endings_and_channels(tmp_path):
    write(tmp_path / "train" / "edges" / "x.png", 7, mode="L")
    write(tmp_path / "train" / "photos" / "x.jpeg", 9)
    val_beside(tmp_path, ("edges", "photos"))
    options = {"source": "edges", "target": "photos", "source_channels": "gray"}
    source = opened(tmp_path, target_channels="rgba", **options)
    assert source.fields["source"].shape == (1, 4, 6)
    assert source.fields["target"].shape == (4, 4, 6)
    assert load(source)["target"].shape == (4, 6, 4)
    assert (load(source)["source"] == 7).all()


def test_pickles(tmp_path):
    for side in "AB":
        write(tmp_path / "train" / side / "1.png", 3)
    val_beside(tmp_path)
    source = pickle.loads(pickle.dumps(opened(tmp_path)))
    assert source.name(0) == "1"
    assert (load(source)["source"] == 3).all()


@pytest.fixture
def untidy(tmp_path):
    for number in range(40):
        write(tmp_path / "train" / "A" / f"{number}.png")
    for number in range(5):
        write(tmp_path / "train" / "B" / f"{number}.png")
    write(tmp_path / "train" / "B" / "stranger.png")
    val_beside(tmp_path)
    return tmp_path


def test_unmatched_files_are_listed_by_name(untidy):
    with pytest.raises(DataError, match="36 of the files") as caught:
        opened(untidy)
    hint = caught.value.hint
    assert "A/5.png" in hint
    assert "A/24.png" in hint
    assert "and 16 more" in hint
    assert "A/4.png" not in hint
    assert 'unmatched = "skip"' in hint


def test_unmatched_files_can_be_left_out_and_that_is_said(untidy):
    source = opened(untidy, unmatched="skip")
    assert [source.name(index) for index in range(len(source))] == list("01234")
    assert any("36 of the files" in note and "A/5.png" in note for note in source.notes)


def test_sizes_that_differ_are_listed_by_name(tmp_path):
    for number in range(3):
        write(tmp_path / "train" / "A" / f"{number}.png")
        write(tmp_path / "train" / "B" / f"{number}.png", size=(6, 4) if number else (8, 4))
    (tmp_path / "train" / "B" / "2.png").write_bytes(b"broken")
    val_beside(tmp_path)
    with pytest.raises(DataError, match="2 pairs") as caught:
        opened(tmp_path)
    assert "A/0.png is 6 x 4, B/0.png 8 x 4" in caught.value.hint
    assert "2.png" in caught.value.hint
    assert "A/1.png" not in caught.value.hint
    source = opened(tmp_path, unmatched="skip")
    assert [source.name(index) for index in range(len(source))] == ["1"]
    assert "2 pairs" in source.notes[0]


def test_no_pairs_at_all_is_an_error_even_when_skipping(tmp_path):
    write(tmp_path / "train" / "A" / "1.png")
    write(tmp_path / "train" / "B" / "2.png")
    val_beside(tmp_path)
    with pytest.raises(DataError, match="no partner"):
        opened(tmp_path, unmatched="skip")
    write(tmp_path / "train" / "B" / "1.png", size=(9, 9))
    with pytest.raises(DataError, match="no pairs"):
        opened(tmp_path, unmatched="skip")


def test_one_stem_twice_is_unclear(tmp_path):
    for name in ("A/1.png", "A/1.jpg", "B/1.png"):
        write(tmp_path / "train" / name)
    with pytest.raises(DataError, match="unclear") as caught:
        opened(tmp_path)
    assert "1.jpg and 1.png" in caught.value.hint


def test_no_layout_fits(tmp_path):
    write(tmp_path / "train" / "A" / "1.png")
    with pytest.raises(DataError, match="no two folders") as caught:
        opened(tmp_path)
    for tried in ("train/A", "A/train", "trainB"):
        assert tried in caught.value.hint
    with pytest.raises(DataMissing):
        opened(tmp_path / "absent")
