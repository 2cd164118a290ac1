"""`ganzoo check` finds the pictures that a crop doesn't fit, by their headers."""

import pytest
from PIL import Image

from ganzoo.data import file_headers
from ganzoo.data.file_headers import try_extremes
from ganzoo.data.pipeline import open_data
from ganzoo.engine.check import inspect_recipe
from ganzoo.errors import DataError
from ganzoo.recipe import load_recipe

CROP = "augment=[{ use = 'albumentations/random_crop', height = 32, width = 32 }]"


@pytest.fixture
def pairs(tmp_path):
    for split in ("train", "val"):
        for number in range(12):
            path = tmp_path / "set" / split / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (80, 40)).save(path)
    return tmp_path / "set"


def recipe_of(tiny, root, *sets):
    return load_recipe(tiny, (f"data={{ use = 'images/side_by_side', root = '{root}' }}", *sets))


def test_check_names_the_one_that_is_too_small(tiny, pairs):
    recipe = recipe_of(tiny, pairs, CROP)
    assert inspect_recipe(recipe)["problems"] == []  # the control
    Image.new("RGB", (80, 20)).save(pairs / "train" / "7.png")
    (problem,) = inspect_recipe(recipe)["problems"]
    assert problem["where"] == "7"
    assert "albumentations/random_crop" in problem["message"]
    assert problem["exit_code"] == 5
    assert "ganzoo data inspect" in problem["hint"]


def test_check_names_the_one_whose_size_differs_and_the_one_that_cannot_be_read(tiny, pairs):
    recipe = recipe_of(
        tiny, pairs, "augment=[]", "generator.depth=3", "generator.dropout_layers=[]"
    )
    Image.new("RGB", (80, 48)).save(pairs / "train" / "5.png")
    (problem,) = inspect_recipe(recipe)["problems"]
    assert problem["where"] == "5"
    (pairs / "train" / "3.png").write_bytes(b"")
    (problem,) = inspect_recipe(recipe)["problems"]
    assert problem["where"].endswith("3.png")
    assert "empty" in problem["message"]


def test_the_longer_hint_keeps_the_excerpt(tiny, pairs, monkeypatch):
    data, fault = open_data(recipe_of(tiny, pairs, CROP), "train"), DataError("no")
    fault.excerpt = "    4 | toys"

    def fail(_):
        raise fault

    monkeypatch.setattr(type(data), "sample", lambda _, index: fail(index))
    with pytest.raises(DataError, match="no") as caught:
        try_extremes(data)
    assert caught.value.excerpt == "    4 | toys"
    assert "data inspect" in caught.value.hint


def test_of_large_splits_some_headers_are_read(tiny, pairs, monkeypatch):
    recipe = recipe_of(tiny, pairs, CROP)
    data, asked = open_data(recipe, "train"), []
    sizes = data.source.sizes
    monkeypatch.setattr(data.source, "sizes", lambda index: asked.append(index) or sizes(index))
    try_extremes(data)
    assert asked == list(range(12))
    asked.clear()
    monkeypatch.setattr(file_headers, "MOST", 3)
    try_extremes(data)
    assert asked == [0, 6, 11]


def test_an_augments_refusal_names_the_sample(tiny, pairs):
    Image.new("RGB", (80, 20)).save(pairs / "train" / "7.png")
    data = open_data(recipe_of(tiny, pairs, CROP), "train")
    with pytest.raises(DataError, match="albumentations/random_crop: ") as caught:
        data.sample([data.name(index) for index in range(12)].index("7"))
    assert caught.value.where == "7"
