"""What the system refuses to a cache and to a hand-over costs speed, and never the run."""

import os
import resource

import numpy as np
import torch

from ganzoo.data import handover as handover_module
from ganzoo.data.handover import Handover
from ganzoo.data.loader import batches
from ganzoo.data.pipeline import PreparedData
from ganzoo.data.sample_cache import SampleCache
from ganzoo.data.sampler import StreamSampler
from ganzoo.data.shared_files import pack
from ganzoo.interfaces import Field


class Counted:
    """Images that are all of their index."""

    fields = {"image": Field((1, 8, 8), "image")}  # noqa: RUF012

    def __len__(self):
        return 12

    def load(self, index, rng):
        return {"image": np.full((8, 8, 1), index / 12, np.float32)}

    def name(self, index):
        return str(index)


def loaded(workers):
    data = PreparedData(
        chosen=None, source=Counted(), augments=(), seed=0, split="train", one_size=True, cache_mb=1
    )
    sampler = StreamSampler(length=12, batch_size=2, rank=0, world=1, seed=3, start=0, stop=24)
    return [batch["image"] for batch in batches(data, sampler, workers=workers, pin=False)]


def same(ones, others):
    return len(ones) == len(others) == 12 and all(map(torch.equal, ones, others))


def test_a_limit_on_the_size_of_files_is_no_end():
    """`ulimit -f`: a worker's places lie 4 GiB apart in a file of the system's memory."""
    plain, before = loaded(0), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, before[1]))
    try:
        handover = Handover()
        places = [handover.post({"x": torch.zeros(3)}) for _ in range(2)]
        handover.close()
        handed = loaded(1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert places[0] is not None
    assert places[1] is None
    assert same(plain, handed)


def test_without_memory_for_a_hand_over_batches_go_torchs_way(monkeypatch):
    plain, asked = loaded(0), []

    def refused(name):
        asked.append(name)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(handover_module.os, "memfd_create", refused)
    assert same(plain, loaded(1))
    assert asked


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


def test_batches_are_the_callers_and_begin_as_torchs_own_memory_does():
    handed, plain = loaded(1), loaded(0)
    assert {batch.data_ptr() % 64 for batch in [*handed, *plain]} == {0}
    assert len({batch.data_ptr() for batch in handed}) == 12
    for batch in handed[::2]:
        batch.fill_(9)  # as whoever keeps a batch may
    assert all(map(torch.equal, handed[1::2], plain[1::2]))
    # Negative control: NumPy's memory begins where it likes.
    kept = [np.empty(5000 + size, np.uint8) for size in range(50)]
    assert {array.ctypes.data % 64 for array in kept} != {0}
