"""Damaged files of runs: a seeded part of what `python -m tests.faults.damage` tries."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from ganzoo.errors import DataError
from ganzoo.files import read_json
from tests.faults.damage import WAYS, Case, Whole, attempt, try_all, ways_of


@pytest.mark.slow
def test_damaged_files_are_named_and_nothing_is_lost(tmp_path):
    said = []
    assert not try_all(20, 3, tmp_path / "sound", say=said.append), "\n".join(said)


@pytest.mark.slow
def test_what_is_tried_can_fail(tmp_path, monkeypatch):
    """The control: a command that loses a file, and one that believes what it reads, are seen."""
    whole = Whole(tmp_path / "sound")
    case = Case(0, "status.json", "with another value", "list", 0)

    def careless(arguments):
        (Path(arguments[2]) / "a" / "recipe.resolved.toml").unlink()
        return 0

    monkeypatch.setattr("tests.faults.damage.ganzoo", careless)
    wrong, _ = attempt(whole, case, tmp_path / "one")
    assert wrong == "lost: ['recipe.resolved.toml']"
    monkeypatch.setattr("tests.faults.damage.ganzoo", lambda _: 1)
    assert attempt(whole, case, tmp_path / "two")[0] == "it ended with 1"
    monkeypatch.setattr("tests.faults.damage.ganzoo", lambda _: 0)
    monkeypatch.setattr("tests.faults.damage.result", lambda *_: "believed")
    wrong, _ = attempt(whole, case, tmp_path / "three")
    assert wrong == "another result than the whole run's, without a word"


@pytest.mark.parametrize("way", sorted(set(WAYS) - {"forged", "swapped"}))
def test_every_way_damages(tmp_path, way):
    """Control: a file is something else afterwards, whatever is drawn."""
    content = json.dumps({"state": "running", "step": 5, "data": {"use": "x", "notes": [1, 2]}})
    assert way in ways_of("status.json")
    for seed in range(10):
        folder = tmp_path / str(seed)
        folder.mkdir()
        file = folder / "status.json"
        file.write_text(content)
        WAYS[way](file, random.Random(seed))
        assert file.is_symlink() or not file.is_file() or file.read_bytes() != content.encode()


def test_a_folder_in_the_place_of_a_document_is_named(tmp_path):
    (tmp_path / "status.json").mkdir()
    with pytest.raises(DataError, match="can't be read: Is a directory") as caught:
        read_json(tmp_path / "status.json")
    assert caught.value.where.endswith("status.json")
