"""From a recipe's data to tensors: what loaders get, and what stands in for missing data."""

import pickle
import subprocess
import sys
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch

from ganzoo.data.loader import batches
from ganzoo.data.pipeline import PreparedData, collate, open_data, open_for_evaluation
from ganzoo.data.sampler import StreamSampler
from ganzoo.errors import DataError, DataMissing, PluginError
from ganzoo.interfaces import Field
from ganzoo.recipe import load_recipe

MISSING = "data={ use = 'images/facades', root = 'nowhere', download = false%s }"
FALLBACK = ", fallback = { use = 'facades/procedural', size = 32, train = 5, val = 2, test = 2 }"


def test_prepared_data_reach_a_process_that_knows_nothing(tiny, tmp_path):
    """As a loader's worker under forkserver or spawn, the rule from Python 3.14 on."""
    data = open_data(load_recipe(tiny), "train")
    (tmp_path / "data.pickle").write_bytes(pickle.dumps(data))
    code = (
        "import pickle, sys, torch\n"
        "data = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(float(data.sample(3, 2)['target'].double().sum()))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data.pickle")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(ended.stdout) == float(data.sample(3, 2)["target"].double().sum())


def test_a_sample_depends_on_seed_epoch_and_index_alone(tiny):
    recipe = load_recipe(tiny, ("data.train=40",))
    data, again = open_data(recipe, "train"), open_data(recipe, "train")
    again.sample(1)  # what was asked for before makes no difference
    torch.manual_seed(123)
    for index, epoch in ((0, 0), (3, 0), (3, 1)):
        one, two = data.sample(index, epoch), again.sample(index, epoch)
        assert all(torch.equal(one[name], two[name]) for name in one)
    # The flip is the only chance here, so epochs differ for about half of the samples.
    changed = [
        not torch.equal(data.sample(i, 0)["source"], data.sample(i, 1)["source"]) for i in range(40)
    ]
    assert 8 < sum(changed) < 32
    other = open_data(load_recipe(tiny, ("data.train=40", "train.seed=1")), "train")
    assert any(
        not torch.equal(data.sample(i)["source"], other.sample(i)["source"]) for i in range(8)
    )


def test_one_draw_moves_all_images_of_a_sample(tiny):
    """A pair that was flipped is the flipped pair: label map and photograph stay aligned."""
    plain = open_for_evaluation(load_recipe(tiny), "train")
    flipped = open_data(load_recipe(tiny, ("augment.0.p=1.0",)), "train")
    for name, image in plain.sample(2).items():
        assert torch.equal(flipped.sample(2)[name], image.flip(-1)), name


def test_evaluation_has_no_random_augments(tiny):
    data = open_data(load_recipe(tiny), "val")
    assert all(
        torch.equal(data.sample(0, epoch)["source"], data.sample(0)["source"]) for epoch in range(6)
    )


def test_missing_data_are_answered_by_the_fallback_and_said(tiny):
    data = open_data(load_recipe(tiny, (MISSING % FALLBACK,)), "train")
    assert data.stand_in
    assert data.chosen.id == "facades/procedural"
    assert data.notes[0].startswith("STAND-IN DATA: images/facades is missing")


def test_without_a_fallback_missing_data_are_an_error(tiny):
    for change in (MISSING % "", MISSING % ", fallback = 'none'"):
        with pytest.raises(DataMissing):
            open_data(load_recipe(tiny, (change,)), "train")
    with pytest.raises(DataMissing):  # a run that began on real data never falls back
        open_data(load_recipe(tiny, (MISSING % FALLBACK,)), "train", stand_in=False)


def test_data_that_are_there_never_fall_back(tiny):
    data = open_data(load_recipe(tiny), "train")
    assert not data.stand_in
    assert not any("STAND-IN" in note for note in data.notes)


def test_a_sample_of_another_size_is_named(tiny, monkeypatch):
    from ganzoo_facades.procedural import ProceduralFacades

    load = ProceduralFacades.load

    def odd(self, index, rng):
        sample = dict(load(self, index, rng))
        return {name: a[:16] for name, a in sample.items()} if index == 4 else sample

    monkeypatch.setattr(ProceduralFacades, "load", odd)
    data = open_data(load_recipe(tiny), "train")
    data.sample(3)
    with pytest.raises(DataError, match="16 x 32") as caught:
        data.sample(4)
    assert caught.value.where == data.name(4)
    # Evaluation looks at one image at a time, those of the training split too (for its controls).
    assert open_for_evaluation(load_recipe(tiny), "train").sample(4)["source"].shape[1] == 16


class Held:
    """A split in memory, of every kind of field; notes how often single samples are asked for."""

    fields: ClassVar = {
        "bytes": Field((3, 4, 5), "ganzoo/image"),
        "deep": Field((1, 2, 2), "ganzoo/image"),
        "floats": Field((1, 2, 2), "ganzoo/image"),
        "map": Field((4, 5), "ganzoo/labels"),
        "point": Field((2,), "ganzoo/points"),
        "label": Field((), "ganzoo/class", classes=10),
    }

    def __init__(self, arrays: bool = True) -> None:
        rng = np.random.default_rng(0)
        self.held = {
            "bytes": rng.integers(0, 256, (40, 4, 5, 3), np.uint8),
            "deep": rng.integers(0, 65536, (40, 2, 2, 1), np.uint16),
            "floats": rng.uniform(-1, 1, (40, 2, 2, 1)).astype(np.float32),
            "map": rng.integers(0, 9, (40, 4, 5), np.uint8),
            "point": rng.normal(size=(40, 2)).astype(np.float32),
            "label": rng.integers(0, 10, 40),
        }
        if arrays:
            self.arrays = self.held
        self.asked = 0

    def __len__(self):
        return 40

    def load(self, index, rng):
        self.asked += 1
        return {name: values[index] for name, values in self.held.items()}

    def name(self, index):
        return f"{index:06d}"


def prepared(source, augments=(), chosen=None):
    return PreparedData(
        chosen=chosen, source=source, augments=augments, seed=0, split="train", one_size=True
    )


def stream(data, workers=0):
    sampler = StreamSampler(
        length=len(data), batch_size=16, rank=0, world=1, seed=3, start=0, stop=96
    )
    return list(batches(data, sampler, workers=workers, pin=False))


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_cut_out_of_memory_are_those_of_single_samples_to_the_bit(workers):
    held, single = Held(), Held(arrays=False)
    fast, slow = stream(prepared(held), workers), stream(prepared(single))
    assert len(fast) == len(slow) == 6
    for one, other in zip(fast, slow, strict=True):
        assert list(one) == list(other) == list(Held.fields)
        for name, tensor in one.items():
            assert tensor.dtype == other[name].dtype, name
            assert tensor.is_contiguous()
            assert torch.equal(tensor, other[name]), name
    # Sample 0 is looked at for its shapes; then none is asked for, where the control asks for all.
    assert held.asked == 1
    assert single.asked == 1 + 6 * 16


def test_a_bug_in_a_worker_comes_as_a_value_since_the_loaders_own_error_would_hang_the_exit():
    held = Held(arrays=False)
    data = prepared(held)
    held.held["point"] = held.held["point"][:5]
    with pytest.raises(RuntimeError, match=r"(?s)^in a loader worker:.*IndexError"):
        stream(data, workers=1)
    with pytest.raises(IndexError):  # without workers it is the plugin's own, with its frames
        stream(data)


def test_batches_share_no_memory_with_the_data():
    held = Held()
    before = {name: values.copy() for name, values in held.held.items()}
    for batch in stream(prepared(held)):
        for tensor in batch.values():
            tensor.zero_()
    assert all(np.array_equal(before[name], values) for name, values in held.held.items())


@pytest.mark.parametrize(
    "wrong",
    [
        {"point": np.zeros((40, 2), np.float32)},
        {"point": np.zeros((40, 1), np.float32)},
        {"label": np.zeros(0, np.int64)},
        {"floats": None},
    ],
)
def test_arrays_that_hold_other_than_the_first_sample_are_refused(wrong):
    held = Held()
    held.arrays = {name: rows for name, rows in {**held.held, **wrong}.items() if rows is not None}
    chosen = SimpleNamespace(id="toy/held")
    (name,) = wrong
    with pytest.raises(PluginError, match=f"toy/held has `arrays` .* returns as '{name}'"):
        prepared(held, chosen=chosen)
    prepared(held, [lambda sample, rng: sample], chosen=chosen)  # the control: they go unused


def test_augments_are_given_single_samples():
    def double(sample, rng):
        return {**sample, "point": 2 * sample["point"] + rng.integers(2)}

    held = Held()
    data = prepared(held, [double])
    (first, *_) = stream(data)
    assert held.asked == 1 + 6 * 16
    (plain, *_) = stream(prepared(Held()))
    offsets = first["point"] - 2 * plain["point"]
    assert set(offsets.round().flatten().tolist()) == {0, 1}
    positions = [(0, 5), (0, 3), (2, 3)]
    single = collate([data.sample(index, epoch) for epoch, index in positions])
    assert torch.equal(data.batch(positions)["point"], single["point"])
