"""The cache of what is the same in every epoch: the same bits with it, and nothing random in it."""

import multiprocessing
import os
import pickle
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganzoo.data import sample_cache as cache_module
from ganzoo.data.loader import batches
from ganzoo.data.pipeline import PreparedData, open_data, open_for_evaluation
from ganzoo.data.sample_cache import SampleCache, open_cache, pack
from ganzoo.data.sampler import StreamSampler
from ganzoo.interfaces import Field
from ganzoo.recipe import load_recipe

LENGTH = 6


class Source:
    """Samples that are views with odd layouts; may draw, always or for odd indices."""

    fields: ClassVar = {
        "image": Field((3, 4, 5), "ganzoo/image"),
        "floats": Field((1, 2, 2), "ganzoo/image"),
        "map": Field((4, 5), "ganzoo/labels"),
        "label": Field((), "ganzoo/class", classes=10),
    }

    def __init__(self, draws: str = "never", length: int = LENGTH) -> None:
        self.draws = draws
        self.length = length
        self.asked: list[int] = []

    def __len__(self):
        return self.length

    def load(self, index, rng):
        self.asked.append(index)
        made = np.random.default_rng(index)
        both = made.integers(0, 256, (4, 10, 3), np.uint8)
        if self.draws == "always" or (self.draws == "odd" and index % 2):
            both = both ^ rng.integers(0, 256, dtype=np.uint8)
        return {
            "image": both[:, ::-2],
            "floats": made.uniform(-1, 1, (2, 2, 1)).astype(np.float32).T.reshape(2, 2, 1),
            "map": np.asfortranarray(made.integers(0, 9, (4, 5))),
            "label": made.integers(0, 10),
        }

    def name(self, index):
        return f"{index:06d}"


class Change:
    """An augment: `fixed`, or it draws, or spawns; `in_place` writes into what it's given."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.calls = 0

    def __call__(self, sample, rng):
        self.calls += 1
        image = sample["image"]
        if self.how == "in_place":
            image[:] += rng.integers(0, 256, dtype=np.uint8)
            return dict(sample)
        if self.how == "layout":  # as a sum's last bits may
            shift = np.uint8(sum(sum(array.strides) for array in sample.values()) % 251)
        elif self.how == "draw":
            shift = rng.integers(0, 256, dtype=np.uint8)
        elif self.how == "sometimes":
            shift = np.uint8(rng.random() * 256) if image.sum() % 2 else np.uint8(0)
        elif self.how == "spawn":
            shift = rng.spawn(1)[0].integers(0, 256, dtype=np.uint8)
        elif self.how == "shuffle":
            shift = rng.permutation(7)[0].astype(np.uint8)
        else:
            shift = np.uint8(7)
        return {**sample, "image": np.flip(image + shift, 1)}


RANDOM = ["draw", "sometimes", "spawn", "shuffle", "in_place"]


def prepared(source, augments, cache=1, seed=0):
    return PreparedData(
        chosen=None,
        source=source,
        augments=augments,
        seed=seed,
        split="train",
        one_size=True,
        cache_mb=cache,
    )


def same(one, other):
    return list(one) == list(other) and all(
        torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one
    )


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["never", "odd", "always"]),
    st.lists(st.sampled_from(["fixed", "layout", *RANDOM]), max_size=4),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, LENGTH - 1)), max_size=30),
    st.integers(0, 2**40),
)
def test_a_cache_changes_no_bit(draws, changes, positions, seed):
    cached = prepared(Source(draws), [Change(how) for how in changes], seed=seed)
    plain = prepared(Source(draws), [Change(how) for how in changes], seed=seed)
    cache = open_cache(LENGTH, 1)
    for position in positions:
        assert same(cached.batch([position], cache), plain.batch([position]))
    cache.close()


@pytest.mark.parametrize("how", RANDOM)
def test_a_stage_that_draws_is_done_again_in_every_epoch_and_nothing_before_it(how):
    before, drawing = Change("fixed"), Change(how)
    source = Source()
    data, cache = prepared(source, [before, drawing]), open_cache(LENGTH, 1)
    began = before.calls, drawing.calls, len(source.asked)
    images = [data.batch([(epoch, 2)], cache)["image"] for epoch in range(12)]
    assert (before.calls - began[0], len(source.asked) - began[2]) == (1, 1)
    assert drawing.calls - began[1] == 12
    # Each epoch has its own draw, so what the first one made was never kept.
    assert how == "sometimes" or len({image.numpy().tobytes() for image in images}) > 3
    cache.close()


def test_a_source_that_draws_is_asked_in_every_epoch():
    """Negative control of the above: a cache with nothing to keep."""
    source = Source("odd")
    data, cache = prepared(source, [Change("fixed")]), open_cache(LENGTH, 1)
    for index in (1, 2):
        source.asked.clear()
        for epoch in range(5):
            data.batch([(epoch, index)], cache)
        assert len(source.asked) == (5 if index == 1 else 1)
    cache.close()


def test_samples_without_chance_are_kept_whole():
    change = Change("fixed")
    data, cache = prepared(Source(), [change]), open_cache(LENGTH, 1)
    calls = change.calls
    assert same(data.batch([(0, 3)], cache), data.batch([(9, 3)], cache))
    assert change.calls == calls + 1
    cache.close()


def test_a_source_in_memory_is_read_where_it_is():
    source, change = Source(), Change("draw")
    source.arrays = {}
    data, cache = prepared(source, [change]), open_cache(LENGTH, 1)
    data.batch([(0, 3)], cache)
    assert cache.get(3) is None
    fixed = prepared(source, [Change("fixed"), change])  # work that a cache does spare
    fixed.batch([(0, 3)], cache)
    assert cache.get(3)[0] == 2
    cache.close()


def test_what_it_gives_belongs_to_the_caller():
    data, cache = prepared(Source(), [Change("fixed"), Change("draw")]), open_cache(LENGTH, 1)
    data.batch([(0, 1)], cache)
    (_, first), (_, second) = cache.get(1), cache.get(1)
    for name, array in first.items():
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.dtype == second[name].dtype
        array[...] = 0
        assert second[name].any()
    assert same(data.batch([(1, 1)], cache), data.batch([(1, 1)]))
    cache.close()


def test_the_first_that_fit_are_kept():
    record = pack(1, {"x": np.arange(1000, dtype=np.int16)})
    cache = SampleCache(5, int(3.5 * len(record)))
    for index in range(5):
        cache.put(index, record)
    held = [index for index in range(5) if cache.get(index)]
    assert held == [0, 1, 2]
    cache.put(4, pack(1, {}))  # a small one still finds room
    assert cache.get(4) == (1, {})
    cache.close()


def test_a_full_disk_ends_writing_and_not_the_run(monkeypatch):
    record = pack(1, {"x": np.arange(1000, dtype=np.int16)})
    cache = SampleCache(5, 10**6)
    cache.put(0, record)
    write, tried = os.pwrite, []

    def full(file, data, offset):
        tried.append(offset)
        if len(tried) == 1:
            return write(file, data[:100], offset)
        message = "No space left on device"
        raise OSError(message)

    monkeypatch.setattr(os, "pwrite", full)
    for index in (1, 2):
        cache.put(index, record)
    assert len(tried) == 1
    assert [cache.get(index) is not None for index in range(5)] == [True, *[False] * 4]
    other = SampleCache(5, 10**6)
    tried.append(0)
    other.put(0, record)
    assert other.get(0) is None
    cache.close()
    other.close()


def test_a_disk_without_room_for_the_table_ends_writing(monkeypatch):
    record, write, tried = pack(1, {"x": np.arange(4)}), os.pwrite, []
    cache = SampleCache(3, 10**6)
    cache.put(0, record)

    def full(file, data, offset):
        tried.append(offset)
        if offset < 3 * 16:
            raise OSError(28, "No space left on device")
        return write(file, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    for index in (1, 2):
        cache.put(index, record)
    assert len(tried) == 2  # the first one's record and entry; no attempt for the second
    assert [cache.get(index) is not None for index in range(3)] == [True, False, False]
    cache.close()


def test_a_sample_comes_back_as_it_was():
    for kind in ("<u2", ">u2", "?", "<f8", "<c8"):
        cache = SampleCache(1, 10**4)
        array = np.ones((2, 3), kind)
        cache.put(0, pack(4, {"x": array, "empty": array[:0]}))
        stages, sample = cache.get(0)
        assert stages == 4
        assert sample["x"].dtype == array.dtype
        assert np.array_equal(sample["x"], array)
        assert sample["empty"].shape == (0, 3)
        cache.close()


def test_where_there_is_no_place_a_run_goes_on_without(monkeypatch, caplog):
    assert open_cache(3, 0) is None
    assert not caplog.records

    def nowhere():
        message = "No usable temporary directory"
        raise FileNotFoundError(message)

    monkeypatch.setattr(cache_module.tempfile, "gettempdir", nowhere)
    assert open_cache(3, 1) is None
    assert "train.cache" in caplog.text


def test_it_takes_a_quarter_of_the_free_disk_at_most(monkeypatch):
    record = pack(1, {"x": np.zeros(1000, np.uint8)})
    usage = cache_module.shutil.disk_usage("/")._replace(free=4 * len(record))
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda _: usage)
    cache = open_cache(4, 1)
    cache.put(0, record)
    cache.put(1, record)
    assert cache.get(0)
    assert cache.get(1) is None
    cache.close()


def test_it_leaves_nothing_in_the_folder_of_temporary_files(monkeypatch, tmp_path):
    monkeypatch.setattr(cache_module.tempfile, "tempdir", str(tmp_path))
    cache = open_cache(4, 1)
    cache.put(0, pack(1, {"x": np.zeros(1000, np.uint8)}))
    assert not list(tmp_path.iterdir())
    cache.close()


def stream(data, workers, passes=4):
    sampler = StreamSampler(
        length=len(data), batch_size=1, rank=0, world=1, seed=3, start=0, stop=passes * len(data)
    )
    return batches(data, sampler, workers=workers, pin=False)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_loaders_give_the_same_bits_with_any_number_of_workers(workers):
    changes = ["fixed", "layout", "draw", "in_place"]
    cached = prepared(Source(), [Change(how) for how in changes])
    plain = prepared(Source(), [Change(how) for how in changes], cache=0)
    pairs = list(zip(stream(cached, workers), stream(plain, 0), strict=True))
    assert len(pairs) == 4 * LENGTH
    assert all(same(one, other) for one, other in pairs)
    before = len(cached.source.asked)
    list(stream(cached, 0))
    # Sample by sample in one process: every one is loaded once, and by the control in every pass.
    assert len(cached.source.asked) - before == LENGTH
    assert len(plain.source.asked) == 1 + 4 * LENGTH


def _write_in_part(cache, writer, writers, records):
    cache.take_part(writer, writers)
    for index, value in records:
        cache.put(index, pack(1, {"x": np.full(500, value, np.int32)}))


def test_processes_share_one_file_however_they_start():
    """Under spawn, as under forkserver (Python 3.14's way), the file is handed over."""
    cache = SampleCache(6, 10**5)
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_write_in_part, args=(cache, n, 2, [(n, n + 1), (n + 2, n + 3)]))
        for n in range(2)
    ]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    values = [cache.get(index) and int(cache.get(index)[1]["x"].mean()) for index in range(6)]
    assert values == [1, 2, 3, 4, None, None]
    cache.close()


def test_prepared_data_take_no_cache_along(tiny):
    data = open_data(load_recipe(tiny), "train")
    cache = open_cache(len(data), data.cache_mb)
    data.batch([(0, 0)], cache)
    assert len(pickle.dumps(data)) < 20_000
    cache.close()


def test_the_recipe_says_how_much_of_the_training_data_only(tiny):
    recipe = load_recipe(tiny, ("train.cache=7",))
    assert open_data(recipe, "train").cache_mb == 7
    for data in (open_data(recipe, "val"), open_for_evaluation(recipe, "train")):
        assert data.cache_mb == 0
    # It changes no result, so the recipe means the same; the seed is the control.
    assert recipe.sha256 == load_recipe(tiny).sha256
    assert load_recipe(tiny, ("train.seed=7",)).sha256 != recipe.sha256


def test_a_sample_with_objects_is_not_kept():
    """Such as an open file, which can't be pickled; arrays of numbers are."""
    assert pack(1, {"x": np.array([print, lambda: None], object)}) is None
    assert pack(1, {"x": np.ones((2, 3), ">u2"), "name": np.array("a")})
