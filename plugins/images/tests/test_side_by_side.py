"""Pairs in one file: halves, direction, splits, and refusals by name."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from ganzoo.errors import DataError, DataMissing
from ganzoo_images.folders import deal, sort_naturally
from ganzoo_images.options import SideBySideOptions
from ganzoo_images.side_by_side import SideBySide

RED, BLUE = (200, 0, 0), (0, 0, 200)


def write_pair(path, left=RED, right=BLUE, side=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    both = np.zeros((side, 2 * side, 3), np.uint8)
    both[:, :side], both[:, side:] = left, right
    Image.fromarray(both).save(path)


def rng():
    return np.random.default_rng(0)


@pytest.fixture
def root(tmp_path):
    for split, count in (("train", 12), ("val", 2), ("test", 3)):
        for number in range(1, count + 1):
            write_pair(tmp_path / split / f"{number}.png", left=(number, 0, 0))
    return tmp_path


def opened(root, split="train", **options):
    return SideBySide(SideBySideOptions(root=str(root), **options), split)


def test_halves_and_direction(root):
    plain = opened(root).load(0, rng())
    turned = opened(root, direction="right_to_left").load(0, rng())
    assert plain["source"].shape == (8, 8, 3)
    assert (plain["source"] == (1, 0, 0)).all()
    assert (plain["target"] == BLUE).all()
    assert np.array_equal(turned["source"], plain["target"])
    assert np.array_equal(turned["target"], plain["source"])


def test_natural_order_and_names(root):
    source = opened(root)
    assert [source.name(index) for index in range(len(source))] == [str(n) for n in range(1, 13)]
    assert source.load(9, rng())["source"][0, 0, 0] == 10


def test_fields_are_those_of_the_files(root):
    assert opened(root).fields["target"].shape == (3, 8, 8)
    gray = opened(root, channels="gray")
    assert gray.fields["source"].shape == (1, 8, 8)
    assert gray.load(0, rng())["source"].shape == (8, 8, 1)


def test_loading_depends_on_the_index_alone_and_pickles(root):
    source = opened(root)
    again = pickle.loads(pickle.dumps(source))
    first = source.load(3, np.random.default_rng(1))
    state = np.random.default_rng(2)
    before = state.bit_generator.state
    second = again.load(3, state)
    assert state.bit_generator.state == before  # nothing was drawn
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not np.array_equal(first["source"], source.load(4, rng())["source"])


def test_a_missing_split_is_replaced_and_said(root):
    for path in (root / "test").iterdir():
        path.unlink()
    (root / "test").rmdir()
    source = opened(root, "test")
    assert len(source) == 2
    assert any("no test images" in note and "val" in note for note in source.notes)
    assert opened(root, "val").notes == ()


def test_training_images_have_no_replacement(root):
    with pytest.raises(DataError, match="'learn'") as caught:
        opened(root, "train", train="learn")
    assert "data.train" in caught.value.hint


@pytest.mark.parametrize("below", [".", "train"])
def test_a_folder_without_splits_is_dealt(tmp_path, below):
    for number in range(30):
        write_pair(tmp_path / below / f"{number}.png")
    parts = {split: opened(tmp_path, split) for split in ("train", "val", "test")}
    names = {
        split: {source.name(index) for index in range(len(source))}
        for split, source in parts.items()
    }
    assert [len(names[split]) for split in ("train", "val", "test")] == [24, 3, 3]
    assert len(set.union(*names.values())) == 30
    assert "split_seed = 0" in parts["val"].notes[0]
    other = opened(tmp_path, "test", split_seed=1)
    assert {other.name(index) for index in range(3)} != names["test"]


@given(st.sets(st.text("abc0123456789", min_size=1, max_size=6), min_size=3, max_size=60))
def test_dealing_is_a_partition_that_order_does_not_change(names):
    parts = deal(sorted(names), 5, None)
    assert parts == deal(sorted(names, reverse=True), 5, None)
    assert sorted(name for part in parts.values() for name in part) == sorted(names)
    assert all(parts.values())


def test_natural_order():
    assert sort_naturally(["b10", "b9", "a", "b", "10", "9", "b9x", "B2"]) == [
        "9",
        "10",
        "B2",
        "a",
        "b",
        "b9",
        "b9x",
        "b10",
    ]


def test_too_few_to_deal(tmp_path):
    write_pair(tmp_path / "a.png")
    with pytest.raises(DataError, match="1 image can't be split"):
        opened(tmp_path)


def test_odd_width_is_refused_by_name(root):
    Image.new("RGB", (15, 8)).save(root / "train" / "1.png")
    for look in (lambda source: source.fields, lambda source: source.load(0, rng())):
        with pytest.raises(DataError, match="15 pixels wide") as caught:
            look(opened(root))
        assert caught.value.where.endswith("1.png")


def test_a_broken_file_is_named(root):
    path = root / "train" / "2.png"
    path.write_bytes(path.read_bytes()[:60])
    source = opened(root)
    source.load(0, rng())
    with pytest.raises(DataError) as caught:
        source.load(1, rng())
    assert caught.value.where == str(path)


def test_nothing_there(tmp_path):
    with pytest.raises(DataMissing, match="nowhere"):
        opened(tmp_path / "nowhere")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "notes.txt").write_text("")
    with pytest.raises(DataError, match="no images") as caught:
        opened(tmp_path)
    assert not isinstance(caught.value, DataMissing)  # a folder that is there must not fall back


def test_options_refuse_nonsense():
    with pytest.raises(ValidationError):
        SideBySideOptions(root="a", direction="up")
    with pytest.raises(ValidationError):
        SideBySideOptions(root=" ")
