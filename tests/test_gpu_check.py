"""The logic of `python -m tests.gpu`, which needs no GPU: rows, limits, table, faults."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import sys
import time
from pathlib import Path

import pytest
import torch

import ganzoo
from tests.gpu import __main__ as check
from tests.gpu import conduct as conducting
from tests.gpu import speed, three_steps, two_processes
from tests.gpu.conduct import conduct, made, use_source_tree
from tests.gpu.parts import PARTS, Part, Setup
from tests.gpu.report import Row, document, table
from tests.narrow import shipped

ROOT = Path(__file__).parents[1]
TOY = Part("toy", "tests.toys.gpu_rows", 1)


def test_each_way_to_end_is_a_row_and_stops_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(conducting, "FAIR", 2.0)
    monkeypatch.setattr(conducting, "NEEDED", "json")  # nothing heavy: the toy's rows need none
    told: list[Row] = []
    began = time.monotonic()
    conduct([TOY], Setup("cpu", 12.0, tmp_path), {"PYTHONPATH": str(ROOT)}, told.append)
    assert time.monotonic() - began < 12
    said = {row.name: (row.status, row.why or row.text) for row in told}
    assert list(said) == ["good", "raises", "dies", "lacks", "wrong", "hangs", "after"]
    assert said["good"] == ("passed", "1.5 ms | a step")
    assert said["raises"] == ("failed", "ValueError: first line")
    assert said["dies"] == ("failed", "its process ended with 3: the device is on fire")
    assert said["lacks"] == ("not possible", "no such thing here")
    assert said["wrong"] == ("failed", "7 levels apart")
    assert said["hangs"][0] == "failed"
    assert re.match(r"stopped after \d s: it hung", said["hangs"][1])
    assert said["after"] == ("passed", "still here")


def test_a_row_that_had_too_little_time_has_not_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(conducting, "NEEDED", "json")
    told: list[Row] = []
    conduct([TOY], Setup("cpu", 0.5, tmp_path), {"PYTHONPATH": str(ROOT)}, told.append)
    assert {row.status for row in told} == {"not possible"}
    assert all("time" in row.why for row in told)


def test_what_a_part_leaves_over_is_shared_by_those_after_it(tmp_path, monkeypatch):
    asked: list[float] = []

    class Worker:
        alive = True

        def __init__(self, *_):
            pass

        def make(self, part, name, setup, ends):
            asked.append(setup.seconds)
            return Row(part.name, name, "passed")

        def stop(self):
            pass

    monkeypatch.setattr(conducting, "_Worker", Worker)
    one = Part("one", "tests.gpu.training", 1)
    conduct([one, one], Setup("cpu", 102.0, tmp_path), {}, lambda _: None)
    assert asked == [pytest.approx(50, abs=1), pytest.approx(100, abs=1)]


def test_the_table_and_the_document():
    rows = [
        Row("speed", "batch 1", "passed", "1.5 ms | a step", values={"ms": 1.5}),
        Row("speed", "batch 2", "failed", why="it\nbroke"),
    ]
    assert table({"gpu": "Toy"}, rows).splitlines() == [
        "`python -m tests.gpu`: gpu Toy",
        "",
        "| part | what | result | figure |",
        "| --- | --- | --- | --- |",
        "| speed | batch 1 | passed | 1.5 ms \\| a step |",
        "| speed | batch 2 | failed | it broke |",
    ]
    found = json.loads(json.dumps(document({"gpu": "Toy"}, rows, 3.14)))
    assert (found["machine"], found["seconds"]) == ({"gpu": "Toy"}, 3.1)
    assert found["rows"][0]["values"] == {"ms": 1.5}


def test_without_a_gpu_every_row_says_so(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert check.main(["--seconds", "60", "--out", str(tmp_path)]) == 7
    out = capsys.readouterr().out
    rows = json.loads(out.splitlines()[0])["rows"]
    assert {row["part"] for row in rows} == {part.name for part in PARTS}
    assert {(row["status"], row["why"]) for row in rows} == {("not possible", "no CUDA device")}
    assert len(rows) > 2 * len(shipped())
    assert out.splitlines()[1:] == (tmp_path / "gpu.md").read_text().splitlines()


@pytest.mark.parametrize(("name", "code"), [("good", 0), ("wrong", 1)])
def test_the_exit_code_says_whether_a_row_failed(name, code, monkeypatch, capsys):
    def played(parts, setup, environment, tell):
        assert environment["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        tell(made(TOY, name, setup))

    monkeypatch.setattr(check, "conduct", played)
    assert check.main(["--device", "cpu"], [TOY]) == code
    assert f"toy: {name}" in capsys.readouterr().err


def test_a_missing_package_is_named(monkeypatch, capsys):
    assert check.main(["--device", "cpu"], [Part("none", "tests.gpu.none", 1)]) == 7
    assert "No module named 'tests.gpu.none'" in capsys.readouterr().err


def test_the_source_tree_needs_no_installation(tmp_path, monkeypatch):
    """The metadata that are written give the entry points that an installation would."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    with monkeypatch.context() as patched:
        patched.setattr(importlib.metadata, "distribution", absent)
        environment = use_source_tree(tmp_path / "installed")
    paths = environment["PYTHONPATH"].split(os.pathsep)
    assert {str(ROOT), str(ROOT / "plugins/images"), str(tmp_path / "installed")} <= set(paths)
    (written,) = importlib.metadata.distributions(path=[str(tmp_path / "installed")])
    assert written.name == ganzoo.DISTRIBUTION
    real = importlib.metadata.entry_points(group="ganzoo.plugins")
    mine = {(one.name, one.value) for one in written.entry_points}
    assert mine <= {(one.name, one.value) for one in real}
    assert ("images", "ganzoo_images") in mine


def test_rows_of_real_parts_run_on_a_cpu(tmp_path):
    row = made(PARTS[0], "gan_ring", Setup("cpu", 30.0, tmp_path))
    assert (row.status, row.why) == ("passed", "")
    assert set(row.values["losses"]) == {"fp32", "bf16"}
    name = "batch 1, fp32, contiguous"  # bf16 is slow where a CPU only emulates it
    assert name in speed.rows()
    row = made(Part("speed", "tests.gpu.speed", 1), name, Setup("cpu", 0.1, tmp_path))
    assert row.status == "passed", row.why
    assert row.values["ratio"] > 0


def test_a_precision_far_from_fp32_fails(tmp_path, monkeypatch):
    real = three_steps._losses

    def far(name, setup, precision):
        losses = real(name, setup, "fp32")
        if precision == "bf16":
            losses[0] = {term: value + 0.2 for term, value in losses[0].items()}
        return losses

    monkeypatch.setattr(three_steps, "_losses", far)
    row = made(PARTS[0], "gan_ring", Setup("cpu", 30.0, tmp_path))
    assert (row.status, row.why) == ("failed", "bf16 is 0.2 from fp32")


@pytest.mark.parametrize(
    ("second", "one", "why"),
    [
        (1.0, 1.0, ""),
        (1.001, 1.0, "the ranks' weights differ"),
        (1.0, 1.01, "more than 0.0001 from one process"),
    ],
)
def test_ranks_that_differ_fail(tmp_path, monkeypatch, second, one, why):
    from safetensors.torch import save_file

    def both(setup, folder, backend):
        for rank, value in enumerate((1.0, second)):
            save_file({"w": torch.tensor([value])}, folder / f"rank{rank}.safetensors")

    monkeypatch.setattr(two_processes, "_both", both)
    trained = {2: one, 1: 5.0}
    monkeypatch.setattr(
        two_processes, "_train", lambda _, batch: {"w": torch.tensor([trained[batch]])}
    )
    row = made(Part("two", "tests.gpu.two_processes", 1), next(iter(two_processes.rows())),
               Setup("cpu", 30.0, tmp_path))  # fmt: skip
    assert row.why == why


@pytest.mark.slow
def test_every_row_that_a_cpu_can_make_passes(tmp_path):
    """The rest of the parts: resume, training, use and two processes."""
    setup = Setup("cpu", 20.0, tmp_path)
    for part in PARTS[1:]:
        for name in part.rows():
            row = made(part, name, setup)
            assert row.status in {"passed", "not possible"}, row.line
