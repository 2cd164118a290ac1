"""Batches from workers through memory that is used again: none is overwritten before it's read."""

import multiprocessing
import time

import numpy as np
import pytest
import torch

from ganzoo.data import handover as handover_module
from ganzoo.data.handover import Handover
from ganzoo.data.loader import batches
from ganzoo.data.pipeline import PreparedData
from ganzoo.data.sampler import StreamSampler
from ganzoo.errors import DataError
from ganzoo.interfaces import Field


class Numbered:
    """Images and classes that say which sample they are; number 13 can't be read, if so told."""

    fields = {"image": Field((1, 64, 64), "image"), "label": Field((), "class")}  # noqa: RUF012

    def __init__(self, broken=False):
        self.broken = broken

    def __len__(self):
        return 40

    def load(self, index, rng):
        if self.broken and index == 13:
            raise DataError("can't read this image", where="13.png")
        return {"image": np.full((64, 64, 1), index / 40, np.float32), "label": np.array(index)}

    def name(self, index):
        return f"{index:06d}"


def stream(workers, source=None):
    data = PreparedData(
        chosen=None,
        source=source or Numbered(),
        augments=(),
        seed=0,
        split="train",
        one_size=True,
    )
    sampler = StreamSampler(length=40, batch_size=2, rank=0, world=1, seed=3, start=0, stop=80)
    return batches(data, sampler, workers=workers, pin=False)


def whole(batch):
    image, label = batch["image"], batch["label"]
    return bool((image == (label / 40).float()[:, None, None, None]).all())


def slowly(loader, seconds=0.004):
    taken = []
    for batch in loader:
        time.sleep(seconds)  # workers run ahead as far as they may
        taken.append(batch)
    return taken


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_are_those_of_the_process_itself(workers):
    plain, handed = list(stream(0)), slowly(stream(workers))
    assert len(plain) == len(handed) == 40
    for one, other in zip(plain, handed, strict=True):
        assert list(one) == list(other)
        for name, tensor in one.items():
            assert torch.equal(tensor, other[name])
            assert tensor.dtype == other[name].dtype
        assert whole(other)


def test_with_a_place_too_few_batches_are_lost(monkeypatch):
    """Negative control: the places are as many as a worker may fill before one is read."""
    monkeypatch.setattr(handover_module, "_PLACES", 1)
    plain = [batch["label"].tolist() for batch in stream(0)]
    handed = [batch["label"].tolist() for batch in slowly(stream(1))]
    assert handed != plain


def test_what_does_not_fit_goes_torchs_way(monkeypatch):
    plain = [batch["label"].tolist() for batch in stream(0)]
    monkeypatch.setattr(handover_module, "_PLACE_BYTES", 1000)
    assert Handover().post({"x": torch.zeros(300)}) is None
    assert Handover().post({"x": torch.zeros(3)}) is not None
    assert [batch["label"].tolist() for batch in stream(1)] == plain
    monkeypatch.delattr(handover_module.os, "memfd_create")  # another system than Linux
    assert [batch["label"].tolist() for batch in stream(1)] == plain


def test_an_error_of_a_worker_comes_through():
    with pytest.raises(DataError) as caught:
        list(stream(1, Numbered(broken=True)))
    assert caught.value.where == "13.png"


def _post(handover, letters):
    handover.take_part(1)
    for number in range(2):
        letters.put(handover.post({"x": torch.full((5,), number)}))


def test_it_reaches_a_process_that_is_started_anew():
    context = multiprocessing.get_context("spawn")
    handover, letters = Handover(), context.Queue()
    process = context.Process(target=_post, args=(handover, letters))
    process.start()
    for number in range(2):
        assert handover.collect(letters.get())["x"].tolist() == [number] * 5
    process.join()
    handover.close()
