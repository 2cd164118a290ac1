"""Reading, network and saving side by side: in order, with nothing lost, and over at once."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from ganzoo.errors import DataError, EnvironmentFault, ExitCode
from ganzoo.formats.image import ImageFormat
from ganzoo.inference.file_pipeline import Job, make_all, one_behind
from ganzoo.interfaces import Application, Field

WAIT = 4.0
"""Seconds after which something that should have happened counts as never happening."""


FIELDS = dict.fromkeys(("source", "target"), Field((3, 4, 4), "ganzoo/image"))


class Network:
    """Stands for a trained network: gives its input back, after what a test wants to happen."""

    fields: ClassVar = FIELDS
    precision = "fp32"

    def __init__(self, before=lambda name: None):
        self.before = before
        self.names = []

    def __call__(self, inputs, name):
        self.before(name)
        self.names.append(name)
        return {"target": inputs["source"]}

    def settings(self):
        return {"mode": "paper", "seed": 0}


WEIGHTS = SimpleNamespace(
    name="copy",
    application=Application(("source",), ("target",), ("generator",)),
    card=SimpleNamespace(fields=FIELDS),
    fields=FIELDS,
    formats=dict.fromkeys(FIELDS, ImageFormat()),
    source=lambda: {"weights": "weights", "recipe": "tiny", "step": 1},
)


@pytest.fixture
def jobs(tmp_path):
    made = []
    for index in range(5):
        source = tmp_path / "in" / f"{index}.png"
        source.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), 40 * index, np.uint8)).save(source)
        made.append(Job(source, {"target": tmp_path / "out" / f"{index}.png"}))
    return made


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def run(network, jobs):
    return make_all(network, WEIGHTS, jobs)


def there(jobs):
    return [job.where.exists() for job in jobs]


def test_each_job_comes_in_turn_with_its_own_image(jobs):
    network = Network()
    for number, (job, refusal) in enumerate(run(network, jobs)):
        assert (job, refusal) == (jobs[number], None)
        pixels = np.asarray(Image.open(job.where))  # it is there when it's said to be
        assert np.array_equal(pixels, np.asarray(Image.open(job.source)))
    assert number == 4
    assert network.names == list("01234")


@pytest.mark.parametrize("broken", [[0], [2], [4], [1, 2], [0, 1, 2, 3, 4]])
def test_broken_inputs_keep_their_place(jobs, broken):
    for index in broken:
        jobs[index].source.write_bytes(b"no image")
    told = list(run(Network(), jobs))
    assert [job for job, _ in told] == jobs
    refused = [index for index, (_, refusal) in enumerate(told) if refusal]
    assert refused == broken
    for index in broken:
        assert isinstance(told[index][1], DataError)
        assert told[index][1].where == str(jobs[index].source)
    assert there(jobs) == [index not in broken for index in range(5)]


def test_the_next_is_read_and_the_last_saved_meanwhile(jobs, monkeypatch):
    read, saved = ({job.source.stem: threading.Event() for job in jobs} for _ in range(2))
    read_image, save = ImageFormat.read, ImageFormat.write

    def reading(self, path, field):
        array = read_image(self, path, field)
        read[path.stem].set()
        return array

    def saving(self, array, path, field, note):
        save(self, array, path, field, note)
        saved[path.stem].set()

    monkeypatch.setattr(ImageFormat, "read", reading)
    monkeypatch.setattr(ImageFormat, "write", saving)

    def meanwhile(name):
        index = int(name)
        if index < 4:
            assert read[str(index + 1)].wait(WAIT)
        if index > 0:
            assert saved[str(index - 1)].wait(WAIT)
        # Negative control, and a bound on memory: no more than that.
        assert [event.is_set() for event in read.values()].count(True) <= index + 2
        assert not saved[name].is_set()

    assert len(list(run(Network(meanwhile), jobs))) == 5


def test_a_full_disk_ends_it_and_keeps_what_was_saved(jobs, monkeypatch):
    save = ImageFormat.write

    def full(self, array, path, field, note):
        if path.stem >= "2":
            raise EnvironmentFault("no space left", where=str(path))
        save(self, array, path, field, note)

    monkeypatch.setattr(ImageFormat, "write", full)
    network, told = Network(), []
    with pytest.raises(EnvironmentFault, match="no space") as caught:
        run_into(told, network, jobs)
    assert caught.value.where == str(jobs[2].where)
    assert told == jobs[:2]
    assert there(jobs) == [True, True, False, False, False]
    assert network.names == list("0123")  # one more was under way


def run_into(told, network, jobs):
    told.extend(job for job, _ in run(network, jobs))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_ctrl_c_and_bugs_end_it_at_once(jobs, error):
    def fail(name):
        if name == "2":
            raise error

    network, told = Network(fail), []
    with pytest.raises(error):
        run_into(told, network, jobs)
    assert network.names == ["0", "1"]
    assert there(jobs) == [True, True, False, False, False]
    assert not list(Path(jobs[0].where.parent).glob(".*"))


CPU_HAS_NONE = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 3221225472 bytes. Error code 12 (Cannot allocate memory)"
)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError(), CPU_HAS_NONE]
)
def test_no_memory_names_the_file_its_size_and_what_to_lower(jobs, error):
    def fail(name):
        if name == "1":
            raise error

    with pytest.raises(EnvironmentFault, match="4 x 4 pixels") as caught:
        list(run(Network(fail), jobs))
    assert caught.value.exit_code == ExitCode.ENVIRONMENT
    assert caught.value.where == str(jobs[1].source)
    assert "--size" in caught.value.hint
    assert there(jobs)[0]


def test_no_memory_for_reading_is_no_fault_of_the_file(jobs, monkeypatch):
    def none(*_, **__):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "convert", none)
    with pytest.raises(EnvironmentFault, match="reading it needs more memory") as caught:
        list(run(Network(), jobs))
    assert caught.value.where == str(jobs[0].source)


def test_one_behind():
    drawn = []

    def draw():
        for number in range(3):
            drawn.append(number)
            yield number

    things = one_behind(draw())
    assert drawn == []
    seen = [(number, list(drawn)) for number in things]
    assert seen == [(0, [0, 1]), (1, [0, 1, 2]), (2, [0, 1, 2])]
    assert list(one_behind([])) == []
    assert list(one_behind([7])) == [7]
