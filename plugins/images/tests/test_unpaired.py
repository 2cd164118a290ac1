"""Two folders without pairs: lengths, what stands beside what, layouts, names and refusals."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image

from ganzoo.errors import DataError, DataMissing
from ganzoo_images.options import UnpairedOptions
from ganzoo_images.unpaired import Unpaired

LAYOUTS = ["{split}/{side}", "{side}/{split}", "{split}{side}"]


def write(path, value=0, size=(6, 4), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, (value,) * 3 if mode == "RGB" else value).save(path)


def folders(root, a=5, b=3, layout="{split}{side}", splits=("train", "test")):
    """Images of A have the values 0, 1, ...; those of B 100, 101, ..."""
    for split in splits:
        for side, count, first in (("A", a, 0), ("B", b, 100)):
            for number in range(count):
                write(
                    root / layout.format(split=split, side=side) / f"{number}.png", first + number
                )
    return root


def opened(root, split="train", **options):
    return Unpaired(UnpairedOptions(root=str(root), **options), split)


def val_beside(root):
    """Folders of a second split: without them, the files of `train` alone are dealt out."""
    for side in "AB":
        (root / f"val{side}").mkdir()


def values(source, index, seed=0):
    sample = source.load(index, np.random.default_rng(seed))
    return tuple(int(sample[side][0, 0, 0]) for side in ("source", "target"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_and_splits(tmp_path, layout):
    folders(tmp_path, layout=layout)
    train, val = opened(tmp_path), opened(tmp_path, "val")
    assert (len(train), len(val)) == (5, 5)
    assert train.notes == ()
    assert any("no val images" in note for note in val.notes)


@pytest.mark.parametrize(("a", "b"), [(5, 3), (3, 5), (4, 4)])
def test_an_epoch_shows_the_longer_folder_once_beside_what_is_drawn(tmp_path, a, b):
    train = opened(folders(tmp_path, a, b))
    assert len(train) == max(a, b)
    longer, shorter = (0, 1) if a >= b else (1, 0)
    first = 100 * longer
    shown = [values(train, index)[longer] for index in range(len(train))]
    assert shown == list(range(first, first + max(a, b)))
    drawn = [values(train, 0, seed)[shorter] - 100 * shorter for seed in range(60)]
    assert set(drawn) == set(range(min(a, b)))
    assert values(train, 0, 7)[shorter] - 100 * shorter == drawn[7]  # rng alone decides


def test_what_is_judged_is_fixed(tmp_path):
    test = opened(folders(tmp_path), "test")
    for seed in (0, 1):
        shown = [values(test, index, seed) for index in range(5)]
        assert shown == [(0, 100), (1, 101), (2, 102), (3, 100), (4, 101)]


def test_nothing_may_compare_the_fields(tmp_path):
    write(tmp_path / "trainA" / "x.png", 7, (6, 4), "L")
    write(tmp_path / "trainB" / "y.jpeg", 9, (8, 2))
    val_beside(tmp_path)
    source = opened(tmp_path, source_channels="gray", target_channels="rgba")
    assert source.fields["source"].shape == (1, 4, 6)
    assert source.fields["target"].shape == (4, 2, 8)
    assert not any(field.aligned for field in source.fields.values())
    assert source.load(0, np.random.default_rng(0))["target"].shape == (2, 8, 4)


def test_without_split_folders_each_side_is_dealt(tmp_path):
    folders(tmp_path, 20, 10, "{side}", ("all",))
    parts = {split: opened(tmp_path, split) for split in ("train", "val", "test")}
    assert [len(part) for part in parts.values()] == [16, 2, 2]
    assert "16/2/2 of A and 8/1/1 of B" in parts["train"].notes[0]
    for side in (0, 1):
        seen = [
            {values(part, index, seed)[side] for index in range(len(part)) for seed in range(40)}
            for part in parts.values()
        ]
        assert len(set.union(*seen)) == sum(map(len, seen)) == (20, 10)[side]
    other = opened(tmp_path, split_seed=1)
    assert other.names != parts["train"].names


def test_train_alone_is_dealt_and_one_draw_for_all_shows_each_file(tmp_path):
    folders(tmp_path, 20, 10, splits=("train",))
    parts = {split: opened(tmp_path, split) for split in ("train", "val", "test")}
    assert [len(part) for part in parts.values()] == [16, 2, 2]
    # As `ganzoo data inspect` goes through them: a fresh `rng` of the same seed each time.
    shown = {values(parts["train"], index)[1] for index in range(16)}
    assert len(shown) == 8
    # The control: in val the other file is the same each time.
    assert len({values(parts["val"], index)[1] for index in range(2)}) == 1


def test_names_are_the_longer_folders_and_unique(tmp_path):
    folders(tmp_path, 2, 3)
    write(tmp_path / "trainB" / "1.jpg")
    source = opened(tmp_path)
    assert [source.name(i) for i in range(4)] == ["0", "1_jpg", "1_png", "2"]


def test_pickles(tmp_path):
    source = opened(folders(tmp_path))
    copy = pickle.loads(pickle.dumps(source))
    assert [values(copy, i) for i in range(5)] == [values(source, i) for i in range(5)]


def test_the_folder_is_found_below_ganzoo_data(tmp_path, monkeypatch):
    folders(tmp_path / "beasts")
    with pytest.raises(DataMissing):
        opened("beasts")
    monkeypatch.setenv("GANZOO_DATA", str(tmp_path))
    assert len(opened("beasts")) == 5


def test_refusals(tmp_path):
    write(tmp_path / "trainA" / "1.png")
    with pytest.raises(DataError, match="no two folders") as caught:
        opened(tmp_path)
    assert "trainB" in caught.value.hint
    (tmp_path / "trainB").mkdir()
    val_beside(tmp_path)
    with pytest.raises(DataError, match="no images for the train split") as caught:
        opened(tmp_path)
    assert caught.value.where.endswith("trainB")
    (tmp_path / "trainB" / "2.png").write_bytes(b"broken")
    source = opened(tmp_path)
    with pytest.raises(DataError) as caught:
        source.load(0, np.random.default_rng(0))
    assert "2.png" in caught.value.where
    with pytest.raises(IndexError):
        source.load(1, np.random.default_rng(0))
