"""Trained translators in use: each image once, under its own name, in the words of the data."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.errors import UsageError
from ganzoo.inference.application_weights import find_application
from ganzoo.inference.evaluate import evaluate_run
from ganzoo.inference.predict import predict
from ganzoo.observers import Voice, sample_grids
from ganzoo.recipe import load_recipe

RECIPE = """
name = "beasts"
task = "cyclegan/unpaired"
data = { use = "images/unpaired", root = "beasts", source = "cats", target = "dogs" }
generator = { use = "cyclegan/resnet", preset = "tiny" }
discriminator = { use = "pix2pix/patchgan", receptive_field = 16, width = 4 }
loss = "gan/lsgan"
metric = ["ganzoo/l1"]
train = { device = "cpu", threads = 1, precision = "fp32" }
"""
COUNTS = {"train": (2, 3), "test": (4, 7)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of one step, and the captions of its sample grid."""
    folder = tmp_path_factory.mktemp("use")
    for split, counts in COUNTS.items():
        for side, count in zip(("cats", "dogs"), counts, strict=True):
            for index in range(count):
                path = folder / "beasts" / split / side / f"{side[:-1]}{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = np.random.default_rng(index).integers(0, 256, (32, 32, 3), np.uint8)
                Image.fromarray(pixels).save(path)
    recipe = folder / "beasts.toml"
    recipe.write_text(RECIPE.replace('"beasts",', f'"{folder / "beasts"}",', 1))
    captions, grid = [], sample_grids.grid
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sample_grids, "grid", lambda rows, note: captions.append(rows) or grid(rows, note)
        )
        run(load_recipe(recipe), out=folder / "run", limits=Limits(1), voice=Voice(quiet=True))
    return folder / "run", list(captions[0][0])


@pytest.mark.parametrize("split", COUNTS)
def test_each_source_once_under_its_own_name(trained, split):
    path, _ = trained
    document = evaluate_run(path, split, device="cpu")
    for name, side, count in zip(("a_to_b", "b_to_a"), ("cat", "dog"), COUNTS[split], strict=True):
        names = [f"{side}{index}" for index in range(count)]
        assert document["names"][name] == names
        made = path / "evaluation" / f"{split}_running" / name
        assert sorted(file.stem for file in made.iterdir()) == names
        sources = [path.parent / "beasts" / split / f"{side}s" / f"{name}.png" for name in names]
        again = made.parent / f"again_{name}"
        predict(path, sources, again, application=name, precision="fp32")
        for file in names:  # what stands under a name is what its own image became
            other = np.asarray(Image.open(again / f"{file}.png"))
            assert np.array_equal(np.asarray(Image.open(made / f"{file}.png")), other)


def test_directions_are_said_by_the_names_of_the_data(trained):
    path, captions = trained
    assert captions[:4] == ["cats", "cats to dogs", "dogs", "dogs to cats"]
    with pytest.raises(UsageError, match="no application 'a_to_c'") as caught:
        find_application(path, "a_to_c")
    assert 'did you mean "a_to_b"' in caught.value.hint
    assert "--application a_to_b  (cats -> dogs)" in caught.value.hint
    assert "--application b_to_a  (dogs -> cats)" in caught.value.hint
    document = evaluate_run(path, "test", device="cpu", limit=1)
    assert document["direction"]["b_to_a"] == "dogs -> cats"
    assert document["better"].keys() <= document["metrics"].keys()
