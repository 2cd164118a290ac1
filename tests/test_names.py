"""File names that aren't UTF-8, in errors, notes, samples and reports."""

import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from ganzoo.cli.main import main
from ganzoo.data.pipeline import open_data
from ganzoo.errors import DataError, error_text, printable
from ganzoo.files import stays_inside
from ganzoo.recipe import load_recipe

FOREIGN = os.fsdecode(b"caf\xe9")
needs_bytes = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="names of files are Unicode there"
)


def test_printable_changes_only_what_no_file_can_hold():
    assert printable(FOREIGN) == "caf%E9"
    assert printable("\ud83d") == "?"
    for text in ("café 100%", "日本\n", "", "%E9"):
        assert printable(text) == text


def test_errors_can_be_written_anywhere():
    error = DataError(f"a {FOREIGN}", where=FOREIGN, hint=FOREIGN)
    for text in (str(error), error.message, error.hint, error.where):
        assert "caf%E9" in text
        text.encode()


class SpeechlessError(Exception):
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "with_kind", "without"),
    [
        (ValueError("no such\n  size\x1b[0m"), "ValueError: no such size [0m", "no such size [0m"),
        (ValueError(), "ValueError", "ValueError"),
        (SpeechlessError(), "SpeechlessError", "SpeechlessError"),
        (OSError(FOREIGN), "OSError: caf%E9", "caf%E9"),
        (DataError("no image", where="a.png", hint="b"), "no image", "no image"),
    ],
)
def test_any_error_is_one_line(error, with_kind, without):
    assert error_text(error) == with_kind
    assert error_text(error, kind=False) == without
    assert len(error_text(ValueError("long " * 999))) == 300


@pytest.fixture
def foreign(tmp_path):
    for side in "AB":
        (tmp_path / "set" / side).mkdir(parents=True)
        for number in range(5):
            pixels = np.full((32, 32, 3), number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / side / f"{FOREIGN}{number}.png")
    return tmp_path / "set"


def data_of(root):
    return f"data={{ use = 'images/two_folders', root = '{root}' }}"


@needs_bytes
def test_they_are_trained_on_and_shown_with_escapes(tiny, foreign, tmp_path, capfd):
    data = open_data(load_recipe(tiny, (data_of(foreign),)), "train")
    assert len(data) == 3
    assert data.name(0).startswith("caf%E9")
    out = tmp_path / "run"
    arguments = [data_of(foreign), "train.epochs=1", "watch.samples='2 steps'"]
    command = ["run", str(tiny), "--out", str(out)]
    assert main([*command, *(word for one in arguments for word in ("--set", one))]) == 0
    assert list((out / "samples").iterdir())
    capfd.readouterr()
    sheet = ["-o", str(tmp_path / "sheet.png")]
    broken = foreign / "A" / f"{FOREIGN}1.png"
    broken.write_bytes(broken.read_bytes()[:60])
    assert main(["data", "inspect", str(tiny), "--set", data_of(foreign), *sheet, "--json"]) == 5
    printed = capfd.readouterr().out
    reasons = [one["reason"] for one in json.loads(printed)["problems"]]
    assert any("caf%E91.png" in reason for reason in reasons)


def test_what_the_system_refuses_is_named_and_the_other_splits_are_done(
    tiny, foreign, tmp_path, monkeypatch, capfd
):
    """A folder that may not be read; as root, who runs some tests, nothing is refused."""
    from pathlib import Path

    for side in "AB":
        (foreign / side).rename(foreign / f"train{side}")
        (foreign / f"val{side}").mkdir()
        Image.new("RGB", (32, 32)).save(foreign / f"val{side}" / "1.png")
    readable = Path.iterdir

    def iterdir(folder):
        if folder.name == "trainB":
            raise PermissionError(13, "Permission denied", str(folder))
        return readable(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    sheet = str(tmp_path / "sheet.png")
    inspected = ["data", "inspect", str(tiny), "--set", data_of(foreign), "-o", sheet, "--json"]
    assert main(inspected) == 5
    document = json.loads(capfd.readouterr().out)
    assert [one["split"] for one in document["problems"]] == ["train"]
    assert document["problems"][0]["reason"].endswith("trainB: can't be read: Permission denied")
    assert document["splits"]["val"]["count"] == 1
    assert main(["check", str(tiny), "--set", data_of(foreign)]) == 5
    assert "trainB: can't be read: Permission denied" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["1", "000012", "a.b", "seq1/1", "..a", "a..", "Ä 1", " ", "..."])
def test_names_that_stay_in_a_folder(name):
    assert stays_inside(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/../../x", "/x", "a/..", "..\\x", "C:x", "\\x", "a\0b"]
)
def test_names_that_lead_elsewhere(name):
    assert not stays_inside(name)
