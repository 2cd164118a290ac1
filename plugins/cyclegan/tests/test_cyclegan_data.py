"""Hidden pairs: no partner in training, whole pairs in tests; and what the drawn shapes promise."""

from __future__ import annotations

import numpy as np
import pytest

from ganzoo.errors import DataError, DataMissing
from ganzoo.plugin_system import registry
from ganzoo_cyclegan.options import ShapesOptions
from ganzoo_cyclegan.shapes import FREQUENT, SOURCE, TARGET, Shapes

SHAPES = {"use": "cyclegan/shapes", "train": 11, "val": 3, "test": 4}


def hidden(split, pairs=SHAPES, **options):
    table = {"use": "cyclegan/hidden_pairs", "pairs": pairs, **options}
    return registry.activate().choose("data", table).build(split)


def rng(seed=0):
    return np.random.default_rng(seed)


def partners(split):
    """Each pair's images as bytes: source to index, target to index."""
    source = Shapes(ShapesOptions(train=11, val=3, test=4), split)
    pairs = [source.load(index, rng()) for index in range(len(source))]
    return tuple({pair[side].tobytes(): i for i, pair in enumerate(pairs)} for side in pair_sides)


pair_sides = ("source", "target")


def test_training_never_shows_a_source_its_partner_nor_any_partners_of_sources():
    of_source, of_target = partners("train")
    data = hidden("train")
    assert len(data) == 6  # of 11: 6 sources, 5 targets
    shown = [data.load(i, rng(seed)) for i in range(6) for seed in range(60)]
    sources = {of_source[sample["source"].tobytes()] for sample in shown}
    targets = {of_target[sample["target"].tobytes()] for sample in shown}
    assert (len(sources), len(targets)) == (6, 5)
    assert not sources & targets
    assert not any(field.aligned for field in data.fields.values())
    assert any("6 sources and 5 targets" in note for note in data.notes)
    first = [data.load(0, rng(seed))["target"].tobytes() for seed in range(60)]
    assert len(set(first)) == 5  # drawn anew; and by rng alone:
    assert data.load(0, rng(3))["target"].tobytes() == first[3]


@pytest.mark.parametrize("split", ["val", "test"])
def test_other_splits_keep_the_pairs(split):
    of_source, of_target = partners(split)
    data = hidden(split)
    assert all(field.aligned for field in data.fields.values())
    for index in range(len(data)):
        sample = data.load(index, rng())
        place = of_source[sample["source"].tobytes()]
        assert place == of_target[sample["target"].tobytes()] == index
        assert data.name(index) == f"{place:06d}"


def test_the_seed_deals():
    deals = {tuple(hidden("train", seed=seed).sources) for seed in (0, 1, 2)}
    assert len(deals) == 3
    assert tuple(hidden("train").sources) in deals


def test_what_the_pairs_propose_and_say_is_passed_on():
    facades = {"use": "facades/procedural", "size": 32, "train": 4, "val": 1, "test": 1}
    data = hidden("test", facades)
    assert data.metrics == ("facades/label_recovery", "images/colour_error")
    assert data.load(0, rng()).keys() == data.fields.keys() == {"source", "target", "labels"}
    assert "procedural facades: drawn buildings, not photographs" in data.notes


def test_refusals():
    with pytest.raises(DataError, match="1 training pair"):
        hidden("train", {**SHAPES, "train": 1})
    with pytest.raises(DataError, match="no source"):
        hidden("train", "gan/ring")
    with pytest.raises(DataMissing):
        hidden("train", {"use": "images/two_folders", "root": "absent"})
    with pytest.raises(IndexError):
        hidden("train").load(6, rng())


def test_the_identity_is_at_most_half_right_and_each_grey_has_its_colour():
    data = Shapes(ShapesOptions(), "test")
    pairs = [data.load(index, rng()) for index in range(len(data))]
    source, target = (np.stack([pair[side] for pair in pairs]) for side in pair_sides)
    alike = (source == target).all(-1)
    assert 0.3 < alike.mean() < 0.5
    counts = []
    for grey, colour in zip(SOURCE, TARGET, strict=True):
        mine = (source == grey).all(-1)
        assert (target[mine] == colour).all()
        counts.append(mine.sum())
    assert counts[0] / sum(counts) == pytest.approx(FREQUENT, abs=0.06)

    # Neither colour is clearly nearer to its grey: the other assignment costs as much in L1.
    def far(grey, colour):
        return np.abs(np.subtract(grey, colour)).sum()

    right = far(SOURCE[0], TARGET[0]) + far(SOURCE[1], TARGET[1])
    wrong = far(SOURCE[0], TARGET[1]) + far(SOURCE[1], TARGET[0])
    assert right == pytest.approx(wrong, rel=0.05)
