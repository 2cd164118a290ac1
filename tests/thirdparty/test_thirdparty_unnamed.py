"""An installed plugin that no recipe names changes no run, also where it draws random numbers."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.slow  # two runs, and torch at every start

MEDDLER = """
import random
import numpy, torch
from ganzoo.api import component

random.seed(1), numpy.random.seed(1), torch.manual_seed(1)
torch.set_num_threads(3)
print("meddling")

@component("loss")
def lost():
    return Lost
"""
RECIPE = """
extends = "quickstart"
[data]
size = 32
train = 8
val = 2
test = 2
[generator]
depth = 5
width = 4
[discriminator]
receptive_field = 16
width = 4
[train]
device = "cpu"
threads = 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unnamed")
    (folder / "small.toml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def alone(room, wheel, folder):
    """Where nothing but ganzoo is installed, at first; and what a run made there."""
    room = room(folder / "environment", wheel)
    assert set(room.plugins()) >= {"gan", "pix2pix"}
    assert not {"toy", "meddler"} & set(room.plugins())
    return room, train(room, folder, "alone")


@pytest.fixture(scope="module")
def together(alone, toy_wheel, packaging, write_distribution, folder):
    """The same place and run after both plugins were installed."""
    room, _ = alone
    meddler = write_distribution(folder / "meddler", "ganzoo-meddler", {"": MEDDLER})
    room.install(toy_wheel, *packaging.build(folder, meddler))
    return room, train(room, folder, "together")


def train(room, folder, name):
    document = room.document("run", "small.toml", "--max-steps", 3, "--out", name, cwd=folder)
    assert document["step"] == 3
    return folder / name


def test_both_are_there_and_the_meddler_is_seen(together):
    plugins = together[0].plugins()
    assert plugins["toy"][0]["notes"] == []
    (meddler,) = plugins["meddler"]
    assert meddler["state"] == "ok"
    (slow,) = meddler["notes"]  # it imports torch
    assert slow.endswith(" s to import at every start of ganzoo")


def test_weights_and_metrics_are_the_same_bits(alone, together):
    before, after = alone[1], together[1]
    files = sorted(path.relative_to(before) for path in before.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(after) for path in after.rglob("*") if path.is_file())
    same = {
        *("metrics.jsonl", "recipe.resolved.toml"),
        *(f"checkpoints/step_3/{role}.safetensors" for role in ("generator", "discriminator")),
        "checkpoints/step_3/training_state.safetensors",
        "samples/step_000000003.png",
    }
    assert same <= {file.as_posix() for file in files}
    for name in same:
        assert (before / name).read_bytes() == (after / name).read_bytes(), name
    states = [
        json.loads((folder / "checkpoints/step_3/training_state.json").read_text())
        for folder in (before, after)
    ]
    seconds = [state.pop("seconds") for state in states]
    assert states[0] == states[1]
    assert seconds[0] != seconds[1]  # they are two runs


def test_what_is_recorded_of_the_run_is_the_same(alone, together):
    before, after = (
        json.loads((folder / "provenance.json").read_text()) for _, folder in (alone, together)
    )
    for document in (before, after):
        (part,) = document["parts"]
        for volatile in ("started", "command"):
            del part[volatile]
    assert before == after
    assert not {"toy", "meddler"} & set(before["plugins"])


def test_where_it_is_named_its_fault_is_too(together, folder):
    """The negative control of the quiet."""
    (folder / "naming.toml").write_text('extends = "small.toml"\nloss = "meddler/lost"\n')
    room, _ = together
    (problem,) = room.document("check", "naming.toml", code=4, cwd=folder)["problems"]
    assert "meddler/lost can't be imported: NameError" in problem["message"]
