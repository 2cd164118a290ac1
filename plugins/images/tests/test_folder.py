"""A folder of images: splits, classes from subfolders, names, and refusals by name."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image

from ganzoo.api import Chosen
from ganzoo.data.pipeline import open_data
from ganzoo.errors import DataError, DataMissing
from ganzoo.interfaces import Field
from ganzoo.plugin_system.registry import current
from ganzoo.recipe import load_document
from ganzoo_images.folder import ImageFolder
from ganzoo_images.options import ImageFolderOptions


def write(path, value=0, size=(6, 4), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, (value,) * 3 if mode == "RGB" else value).save(path)


def opened(root, split="train", **options):
    return ImageFolder(ImageFolderOptions(root=str(root), **options), split)


def load(source, index=0):
    return source.load(index, np.random.default_rng(0))


def names(source):
    return [source.name(index) for index in range(len(source))]


def labels(source):
    return {source.name(index): int(load(source, index)["label"]) for index in range(len(source))}


@pytest.fixture
def pets(tmp_path):
    """Classes 2 and 10, and one that only the test split has; cat 1 is gray value 1."""
    for split, count in (("train", 3), ("test", 2)):
        for kind in ("2", "10"):
            for number in range(count):
                write(tmp_path / split / kind / f"{number}.png", int(kind) + number)
    write(tmp_path / "test" / "11" / "0.png", 99)
    return tmp_path


def test_images_below_a_folder_are_taken_together(pets):
    source = opened(pets)
    assert names(source) == ["2_0", "2_1", "2_2", "10_0", "10_1", "10_2"]
    assert source.fields == {"real": Field((3, 4, 6), "ganzoo/image")}
    sample = load(source, 4)
    assert set(sample) == {"real"}
    assert (sample["real"] == 11).all()
    assert sample["real"].shape == (4, 6, 3)
    assert source.notes == ()


def test_classes_are_the_subfolders_of_all_splits_in_the_order_of_their_names(pets):
    train, test = opened(pets, classes=True), opened(pets, "test", classes=True)
    assert train.classes == test.classes == ("2", "10", "11")
    assert train.fields["label"] == Field((), "ganzoo/class", classes=3)
    assert labels(train) == {"2_0": 0, "2_1": 0, "2_2": 0, "10_0": 1, "10_1": 1, "10_2": 1}
    # The control: numbered by what the split itself has, 11 would be told from 10 in train alone.
    assert labels(test)["11_0"] == 2
    assert load(test, 0)["label"].dtype == np.int64
    assert load(test, 0)["label"].shape == ()
    assert "0 2\n  1 10\n  2 11" in train.notes[0]
    assert "no training images" in train.notes[1]
    assert "11" in train.notes[1]
    assert not any("no training images" in note for note in test.notes)


def test_a_missing_split_is_replaced_and_said(pets):
    source = opened(pets, "val")
    assert names(source) == names(opened(pets, "test"))
    assert any("no val images" in note and "test" in note for note in source.notes)


@pytest.mark.parametrize("below", [".", "train"])
@pytest.mark.parametrize("classes", [True, False])
def test_a_folder_without_splits_is_dealt(tmp_path, below, classes):
    for kind in ("cat", "dog"):
        for number in range(15):
            write(tmp_path / below / kind / f"{number}.png", number)
    parts = {split: opened(tmp_path, split, classes=classes) for split in ("train", "val", "test")}
    dealt = {split: set(names(source)) for split, source in parts.items()}
    assert [len(dealt[split]) for split in ("train", "val", "test")] == [24, 3, 3]
    assert len(set.union(*dealt.values())) == 30
    assert "its images were distributed 24/3/3" in parts["val"].notes[-1]
    assert set(names(opened(tmp_path, "test", split_seed=1))) != dealt["test"]
    if classes:
        for source in parts.values():
            assert all(label == int(name[:3] == "dog") for name, label in labels(source).items())


def test_names_are_unique(tmp_path):
    for name in ("a.png", "a.jpg", "b/c.png", "b_c.png", "d.png"):
        write(tmp_path / "train" / name)
        write(tmp_path / "val" / name)
    found = names(opened(tmp_path))
    assert sorted(found) == ["a", "a-2", "b_c", "b_c-2", "d"]
    assert names(opened(tmp_path)) == found


def test_hidden_and_other_files_are_left_out_and_links_count_once(tmp_path):
    write(tmp_path / "train" / "a" / "0.png")
    write(tmp_path / "train" / ".thumbs" / "0.png")
    write(tmp_path / "train" / "a" / "._1.png")
    (tmp_path / "train" / "a" / "list.txt").write_text("")
    (tmp_path / "train" / "again").symlink_to(tmp_path / "train" / "a")
    (tmp_path / "train" / "a" / "round").symlink_to(tmp_path / "train")
    write(tmp_path / "val" / "a" / "0.png")
    assert names(opened(tmp_path)) == ["a_0"]
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere / "1.png", 7)
    (tmp_path / "train" / "b").symlink_to(elsewhere)
    assert names(opened(tmp_path)) == ["a_0", "b_1"]
    assert opened(tmp_path, classes=True).classes == ("a", "b")


def test_channels(tmp_path):
    for split in ("train", "val"):
        write(tmp_path / split / "0.png", 9, mode="L")
    assert load(opened(tmp_path))["real"].shape == (4, 6, 3)
    gray = opened(tmp_path, channels="gray")
    assert gray.fields["real"].shape == (1, 4, 6)
    assert load(gray)["real"].shape == (4, 6, 1)


def test_loading_depends_on_the_index_alone_and_pickles(pets):
    source = opened(pets, classes=True)
    again = pickle.loads(pickle.dumps(source))
    state = np.random.default_rng(2)
    before = state.bit_generator.state
    one, other = source.load(3, np.random.default_rng(1)), again.load(3, state)
    assert state.bit_generator.state == before
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert again.notes == source.notes
    assert not np.array_equal(one["real"], load(source, 4)["real"])


def test_nothing_there(tmp_path):
    with pytest.raises(DataMissing, match="nowhere"):
        opened(tmp_path / "nowhere")
    (tmp_path / "train" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match="holds images") as caught:
        opened(tmp_path)
    assert not isinstance(caught.value, DataMissing)  # a folder that is there must not fall back
    assert "train, val, test" in caught.value.hint


def test_images_beside_the_classes_are_refused_by_name(pets):
    write(pets / "test" / "stray.png")
    for split in ("train", "test"):  # labels must mean the same in all of them
        with pytest.raises(DataError, match="1 aren't") as caught:
            opened(pets, split, classes=True)
        assert str(pets / "test" / "stray.png") in caught.value.hint
    assert "stray" in names(opened(pets, "test"))


def test_a_broken_file_is_named(pets):
    path = pets / "train" / "2" / "1.png"
    path.write_bytes(path.read_bytes()[:40])
    source = opened(pets)
    load(source, 0)
    with pytest.raises(DataError) as caught:
        load(source, 1)
    assert caught.value.where == str(path)


def test_root_is_looked_up_below_ganzoo_data(pets, monkeypatch):
    monkeypatch.setenv("GANZOO_DATA", str(pets.parent))
    assert len(opened(pets.name)) == 6


def recipe_of(root, augment):
    """A whole recipe: any task that needs `real` will do, and the data are all that is opened."""
    return load_document(
        {
            "name": "folder",
            "task": "gan/from_noise",
            "data": {"use": "images/folder", "root": str(root), "classes": True},
            "augment": augment,
            "generator": "gan/dcgan",
            "discriminator": "gan/dcgan",
            "loss": "gan/vanilla",
        },
        current(),
    )


def test_resize_crop_and_flip_make_one_size_of_many(tmp_path):
    for number in range(12):
        write(tmp_path / "train" / "a" / f"{number}.png", number, size=(20 + number, 30 - number))
    write(tmp_path / "val" / "a" / "0.png", 3, size=(40, 24))
    jitter = [
        {"use": "images/resize", "size": 18},
        {"use": "albumentations/random_crop", "height": 16, "width": 16},
        {"use": "albumentations/horizontal_flip", "p": 0.5},
        {"use": "images/resize", "size": 16, "on": "evaluation"},
    ]
    for split in ("train", "val"):
        data = open_data(recipe_of(tmp_path, jitter), split)
        assert data.fields["real"].shape == (3, 16, 16)
        assert data.fields["label"].classes == 1
        for index in range(len(data)):
            assert data.sample(index)["real"].shape == (3, 16, 16)
    plain = open_data(recipe_of(tmp_path, []), "train")  # the control
    with pytest.raises(DataError, match="others are") as caught:
        plain.sample(1)
    assert "resize or a crop" in caught.value.hint


def test_it_is_a_component():
    chosen: Chosen = current().choose("data", {"use": "images/folder", "root": "x"})
    assert chosen.load() is ImageFolder
