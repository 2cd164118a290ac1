"""Stacked digits: which digits they are, and how many of the modes are there."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from pydantic import ValidationError

from ganzoo_gan.data_options import StackedDigitsOptions
from ganzoo_gan.digits import labelled
from ganzoo_gan.stacked_digits import StackedDigits


def opened(split="train", **options):
    options = {"source": "digits", "size": 8, "train": 300, "val": 50, "test": 50} | options
    return StackedDigits(StackedDigitsOptions(**options), split)


@pytest.mark.parametrize(("source", "size"), [("digits", 8), ("mnist", 28)])
def test_channels_are_digits_of_their_split_and_the_mode_names_them(source, size):
    owners = {
        image.tobytes(): (split, label)
        for split in ("train", "val", "test")
        for image, label in zip(
            *(getattr(labelled(source, size, split), what) for what in ("images", "labels")),
            strict=True,
        )
    }
    for split in ("train", "val", "test"):
        data = opened(split, source=source, size=size)
        for index in range(20):
            image = data.load(index)["real"]
            assert image.shape == (size, size, 3)
            channels = [owners[image[..., channel].tobytes()] for channel in range(3)]
            assert {owner for owner, _ in channels} == {split}
            mode = int("".join(str(label) for _, label in channels))
            assert data.modes[index] == mode


def test_a_sample_depends_on_seed_split_and_index_alone():
    few, many = opened(train=50), opened(train=900)
    assert len(few) == 50
    assert (few.arrays["real"] == many.arrays["real"][:50]).all()
    assert (few.load(7, np.random.default_rng(3))["real"] == few.load(7)["real"]).all()
    # Controls: another seed and another split are other draws.
    assert (opened(seed=1).modes != opened().modes).mean() > 0.9
    assert (opened("val").modes[:50] != opened().modes[:50]).mean() > 0.9


def test_arrays_are_the_samples():
    data = opened("val")
    assert data.arrays["real"].shape == (50, 8, 8, 3)
    for index in range(50):
        assert (data.arrays["real"][index] == data.load(index)["real"]).all()
    for index in (-1, 50):
        with pytest.raises(IndexError, match="val has 50"):
            data.load(index)


def test_every_mode_is_there_about_as_often():
    modes = StackedDigits(StackedDigitsOptions(size=16), "train").modes
    counts = np.bincount(modes, minlength=1000)
    assert len(counts) == 1000
    assert counts.min() > 0
    # Poisson of mean 25.6 has a standard deviation of 5.06.
    assert counts.std() == pytest.approx(25.6**0.5, rel=0.1)
    # Control: channels that are one digit drawn once would make 10 modes.
    assert len({mode for mode in modes if mode % 111 == 0}) == 10
    assert (modes % 111 == 0).mean() < 0.02


@pytest.mark.parametrize(("source", "size"), [("mnist", 8), ("digits", 28)])
def test_a_size_that_the_source_lacks_is_refused(source, size):
    with pytest.raises(ValidationError, match=f"with source = '{source}'"):
        StackedDigitsOptions(source=source, size=size)


def test_it_travels_without_its_images():
    data = opened(train=5000)
    assert data.arrays["real"].nbytes > 900_000
    packed = pickle.dumps(data)
    assert len(packed) < 2000
    assert (pickle.loads(packed).load(3)["real"] == data.load(3)["real"]).all()


def test_the_judge_is_told_whose_digits_these_are():
    assert opened().metrics == ({"use": "gan/digit_modes", "source": "digits"},)
    assert opened(source="mnist", size=16).metrics[0]["source"] == "mnist"
