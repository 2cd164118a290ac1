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
    assert "distributed 8/1/1" in parts[0].notes[0]
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
    with pytest.raises(DataError, match="isn't clear") as caught:
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


def test_pairs_of_two_sizes_are_cropped_or_resized_where_that_is_said(tmp_path):
    for number in range(4):
        write(tmp_path / "train" / "A" / f"{number}.png", 10, size=(6, 4))
        write(tmp_path / "train" / "B" / f"{number}.png", 20, size=(7, 4))
    val_beside(tmp_path)
    for unmatched in ("error", "skip"):
        with pytest.raises(DataError) as caught:
            opened(tmp_path, unmatched=unmatched)
        assert 'data.sizes = "crop"' in caught.value.hint
        assert "unmatched" not in caught.value.hint  # it would leave none
    cut, enlarged = opened(tmp_path, sizes="crop"), opened(tmp_path, sizes="resize")
    for source, shape in ((cut, (4, 6, 3)), (enlarged, (4, 7, 3))):
        assert len(source) == 4
        sample = load(source)
        assert sample["source"].shape == sample["target"].shape == shape
        assert source.fields["source"].shape == (3, *shape[:2])
        assert source.sizes(0) == {"source": shape[:2], "target": shape[:2]}
        assert (sample["source"] == 10).all()
        assert (sample["target"] == 20).all()
    write(tmp_path / "train" / "A" / "4.png")
    write(tmp_path / "train" / "B" / "4.png")
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    assert 'unmatched = "skip"' in caught.value.hint  # now it leaves one


def test_crops_are_around_the_middle(tmp_path):
    write(tmp_path / "train" / "A" / "1.png", size=(3, 3))
    pixels = np.zeros((5, 7, 3), np.uint8)
    pixels[1:4, 2:5] = 255
    (tmp_path / "train" / "B").mkdir()
    Image.fromarray(pixels).save(tmp_path / "train" / "B" / "1.png")
    val_beside(tmp_path)
    sample = load(opened(tmp_path, sizes="crop"))
    assert sample["target"].shape == (3, 3, 3)
    assert (sample["target"] == 255).all()


def test_names_with_an_ending_of_their_own(tmp_path):
    for number in range(12):
        write(tmp_path / "train" / "A" / f"{number:03}.png", number)
        write(tmp_path / "train" / "B" / f"{number:03}x4.png", 100 + number)
    val_beside(tmp_path)
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    assert 'data.target_suffix = "x4"' in caught.value.hint
    source = opened(tmp_path, target_suffix="x4")
    assert [source.name(index) for index in range(12)] == [f"{n:03}" for n in range(12)]
    assert all((load(source, n)["target"] == 100 + n).all() for n in range(12))
    write(tmp_path / "train" / "B" / "003.png")
    with pytest.raises(DataError, match="1 of the files") as caught:
        opened(tmp_path, target_suffix="x4")
    assert "B/003.png" in caught.value.hint


def test_files_that_pair_with_nothing_get_no_hint_that_leads_nowhere(tmp_path):
    for number in range(3):
        write(tmp_path / "train" / "A" / f"cat{number}.png")
        write(tmp_path / "train" / "B" / f"dog{number}.png")
    val_beside(tmp_path)
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    assert "images/unpaired" in caught.value.hint
    assert "skip" not in caught.value.hint
