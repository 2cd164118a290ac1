from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ganzoo_facades.options import ProceduralFacadesOptions
from ganzoo_facades.procedural import CLASSES, PALETTE, ProceduralFacades

# Shares of pixels of the real facades' label maps, measured.
REAL_SHARES = {
    "background": 0.20, "facade": 0.36, "window": 0.13, "door": 0.02, "cornice": 0.03,
    "sill": 0.04, "balcony": 0.04, "blind": 0.01, "deco": 0.02, "molding": 0.09,
    "pillar": 0.01, "shop": 0.05,
}  # fmt: skip


def source(size=64, split="train", **options):
    return ProceduralFacades(ProceduralFacadesOptions(size=size, **options), split)


def stack(data, count):
    samples = [data.load(index) for index in range(count)]
    return {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}


@pytest.fixture(scope="module")
def train():
    return stack(source(), 300)


@pytest.fixture(scope="module")
def test():
    return stack(source(split="test"), 106)


@settings(max_examples=25, deadline=None)
@given(size=st.integers(32, 512), index=st.integers(0, 399), seed=st.integers(0, 2**40))
def test_any_size_gives_pictures_that_agree_with_their_labels(size, index, seed):
    sample = source(size, seed=seed).load(index)
    assert sample["source"].shape == sample["target"].shape == (size, size, 3)
    assert sample["source"].dtype == sample["target"].dtype == np.uint8
    assert sample["labels"].shape == (size, size)
    assert sample["labels"].max() < len(CLASSES)
    np.testing.assert_array_equal(sample["source"], np.array(PALETTE)[sample["labels"]])
    assert sample["target"].std() > 5  # a picture, not a flat field


def test_fields_say_what_samples_are():
    data = source(48)
    sample = data.load(0)
    assert set(data.fields) == set(sample) == {"source", "target", "labels"}
    assert data.fields["source"].shape == data.fields["target"].shape == (3, 48, 48)
    assert data.fields["source"].palette == PALETTE
    assert data.fields["target"].palette == ()
    assert data.fields["labels"].shape == (48, 48)
    assert data.fields["labels"].format == "ganzoo/labels"
    assert data.metrics == ("facades/label_recovery", "images/colour_error")
    assert any("procedural" in note for note in data.notes)


def test_splits_have_the_counts_of_the_real_set_and_end():
    assert [len(source(split=split)) for split in ("train", "val", "test")] == [400, 100, 106]
    small = source(split="val", val=3)
    assert len(small) == 3
    small.load(2)
    with pytest.raises(IndexError, match="3 samples"):
        small.load(3)
    with pytest.raises(IndexError):
        small.load(-1)


@pytest.mark.parametrize("size", [31, 513])
def test_sizes_out_of_range_are_refused(size):
    with pytest.raises(ValidationError):
        ProceduralFacadesOptions(size=size)


def digest(sample):
    return hashlib.sha256(b"".join(sample[name].tobytes() for name in sorted(sample))).hexdigest()


def test_a_sample_depends_on_seed_split_and_index_alone():
    data = source()
    data.load(9)  # what was drawn before doesn't matter
    mine = data.load(3, np.random.default_rng(1))
    assert digest(mine) == digest(source(train=4).load(3, np.random.default_rng(2)))
    assert digest(mine) == digest(pickle.loads(pickle.dumps(data)).load(3))
    others = [source(seed=1).load(3), source(split="test").load(3), data.load(4)]
    for other in others:
        assert (other["labels"] != mine["labels"]).mean() > 0.1
    program = (
        "import hashlib; from ganzoo_facades.procedural import ProceduralFacades as P;"
        "from ganzoo_facades.options import ProceduralFacadesOptions as O;"
        "s = P(O(size=64), 'train').load(3);"
        "print(hashlib.sha256(b''.join(s[n].tobytes() for n in sorted(s))).hexdigest())"
    )
    with_other_hash_seed = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(filter(None, sys.path)), "PYTHONHASHSEED": "7"},
    )
    assert with_other_hash_seed.stdout.strip() == digest(mine)


def test_label_maps_are_those_of_this_revision():
    # Labels are integers drawn by PCG64 and rounded, so they don't depend on the machine. If you
    # change what is drawn on purpose, put the new value here.
    labels = np.stack([source(128).load(index)["labels"] for index in range(8)])
    assert hashlib.sha256(labels.tobytes()).hexdigest()[:16] == "3b86d6590b45dae7"


def test_all_classes_occur_about_as_often_as_in_real_facades(train):
    shares = np.bincount(train["labels"].ravel(), minlength=len(CLASSES)) / train["labels"].size
    for name, share in zip(CLASSES, shares, strict=True):
        assert 0.5 * REAL_SHARES[name] < share < 1.9 * REAL_SHARES[name], (name, share)
    # Control: the bounds tell these shares from even ones.
    assert not all(0.5 * share < 1 / 12 < 1.9 * share for share in REAL_SHARES.values())


def corners(labels):
    """Share of pixels whose four 2 x 2 neighbours hold three or more classes or a diagonal."""
    a, b, c, d = labels[:-1, :-1], labels[:-1, 1:], labels[1:, :-1], labels[1:, 1:]
    straight = ((a == b) & (c == d)) | ((a == c) & (b == d))
    return 1 - straight.mean()


def test_label_maps_are_axis_aligned_rectangles(train):
    share = np.mean([corners(labels) for labels in train["labels"][:50]])
    assert share < 0.09  # corners of rectangles alone
    rotation = cv2.getRotationMatrix2D((32, 32), 20, 1)
    slanted = [
        corners(cv2.warpAffine(labels, rotation, (64, 64), flags=cv2.INTER_NEAREST))
        for labels in train["labels"][:50]
    ]
    assert np.mean(slanted) > 2 * share


def colour_table_accuracy(photographs, labels, held_out, held_out_labels, bits):
    """Pixels recovered by the best fixed table from a colour, at 2^bits levels, to a class."""

    def cell(images):
        q = (images >> (8 - bits)).astype(np.int64)
        return (q[..., 0] << 2 * bits) + (q[..., 1] << bits) + q[..., 2]

    counts = np.zeros((1 << 3 * bits, len(CLASSES)), np.int64)
    np.add.at(counts, (cell(photographs).ravel(), labels.ravel()), 1)
    table = counts.argmax(1)
    table[counts.sum(1) == 0] = CLASSES.index("facade")
    return (table[cell(held_out)] == held_out_labels).mean()


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6])
def test_no_fixed_colour_table_recovers_the_labels(train, test, bits):
    accuracy = colour_table_accuracy(
        train["target"], train["labels"], test["target"], test["labels"], bits
    )
    assert accuracy <= 0.60
    assert accuracy > (test["labels"] == 1).mean()  # the table did learn something


def test_the_colour_table_would_find_fixed_colours(train, test):
    # Negative control: on the label maps themselves the same table is perfect.
    assert (
        colour_table_accuracy(
            train["source"], train["labels"], test["source"], test["labels"], bits=4
        )
        == 1.0
    )


def test_photographs_have_edges_where_their_labels_have(train):
    def edges_on_borders(labels, photographs):
        step = np.abs(np.diff(photographs.astype(np.float32).mean(-1), axis=2))
        border = np.diff(labels.astype(int), axis=2) != 0
        return step[border].mean() / step[~border].mean()

    own = edges_on_borders(train["labels"], train["target"])
    other = edges_on_borders(np.roll(train["labels"], 1, axis=0), train["target"])
    assert own > 2.5
    assert other < 1.5


def test_buildings_are_in_sun_and_shade(train):
    exposure = train["target"].mean(axis=(1, 2, 3))
    assert exposure.std() > 12
    walls = [
        photograph[labels == 1].mean(axis=0)
        for photograph, labels in zip(train["target"], train["labels"], strict=True)
    ]
    assert np.std(walls, axis=0).min() > 25  # wall colours differ between buildings


def test_drawing_is_fast_enough_for_training():
    # The aim is 15 ms of one core; the bound is loose, for busy machines.
    data = source(256)
    data.load(0)
    began = time.process_time()
    for index in range(20):
        data.load(index)
    assert (time.process_time() - began) / 20 < 0.06
