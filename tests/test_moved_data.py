"""Data that have moved: a run goes on with them, and is evaluated on them, if they are its own."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganzoo.cli.main import main
from ganzoo.data.fingerprint import difference
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.errors import DataError, DataMissing, ExitCode, RecipeError
from ganzoo.inference.weights_file import read_cards
from ganzoo.observers import Voice
from ganzoo.recipe import load_recipe


def pictures(root: Path, count: int = 6, first: int = 0) -> Path:
    """Pairs of 32 x 32 in two folders, and their names."""
    for side in ("A", "B"):
        for part, number in (("train", count), ("val", 2), ("test", 2)):
            folder = root / part / side
            folder.mkdir(parents=True)
            for index in range(number):
                colours = np.random.default_rng((first + index, ord(side))).integers(
                    0, 256, (32, 32, 3), np.uint8
                )
                Image.fromarray(colours).save(folder / f"{index}.png")
    return root


@pytest.fixture
def begun(tiny, tmp_path) -> Path:
    """A run on pictures that have moved since, from `old` to `new`."""
    old = pictures(tmp_path / "old")
    text = tiny.read_text()
    head, rest = text.partition("[data]")[0], text.partition("[[augment]]")[2]
    data = f'[data]\nuse = "images/two_folders"\nroot = "{old}"\n\n[[augment]]'
    tiny.write_text(f"{head}{data}{rest}")
    run(load_recipe(tiny), out=tmp_path / "run", limits=Limits(2), voice=Voice(quiet=True))
    old.rename(tmp_path / "new")
    return tmp_path / "run"


def test_a_run_goes_on_where_its_data_lie_now(begun, tmp_path, capsys):
    with pytest.raises(DataMissing, match="wasn't found") as caught:
        run(None, resume=begun, limits=Limits(3), voice=Voice(quiet=True))
    assert "--set data.root=" in caught.value.hint
    moved = f"data.root={tmp_path / 'new'}"
    assert main(["run", "--resume", str(begun), "--set", moved, "--max-steps", "3"]) == 0
    assert f"changed for this resume: data.root: {tmp_path / 'old'} -> " in capsys.readouterr().err
    assert f'root = "{tmp_path / "new"}"' in (begun / "recipe.resolved.toml").read_text()
    # Without saying it again:
    assert run(None, resume=begun, limits=Limits(4), voice=Voice()).document["step"] == 4
    assert "first image" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("count", "first", "renamed", "said"),
    [
        (5, 0, False, "began with 6 images"),
        (6, 9, False, "the first image differs"),
        (6, 0, True, "names of images differ"),
    ],
)
def test_other_data_are_refused_wherever_they_lie(begun, tmp_path, count, first, renamed, said):
    other = pictures(tmp_path / "other", count, first)
    if renamed:
        for side in ("A", "B"):
            (other / "train" / side / "3.png").rename(other / "train" / side / "x.png")
    recipe = load_recipe(begun / "recipe.resolved.toml", [f"data.root={other}"])
    with pytest.raises(DataError, match=said):
        run(recipe, resume=begun, limits=Limits(3), voice=Voice(quiet=True))
    assert main(["evaluate", str(begun), "--set", f"data.root={other}"]) == ExitCode.DATA


def test_an_edited_image_in_the_old_place_is_said_and_a_run_of_an_older_version_too(
    begun, tmp_path, capsys
):
    (tmp_path / "new").rename(tmp_path / "old")
    for side in ("A", "B"):
        Image.new("RGB", (32, 32)).save(tmp_path / "old" / "train" / side / "0.png")
    run(None, resume=begun, limits=Limits(3), voice=Voice())
    assert "the first image has changed" in capsys.readouterr().err
    status = json.loads((begun / "status.json").read_text())
    for key in ("names", "content"):
        status["data"].pop(key)
    (begun / "status.json").write_text(json.dumps(status))
    recipe = load_recipe(
        begun / "recipe.resolved.toml", [f"data.root={pictures(tmp_path / 'other', first=9)}"]
    )
    run(recipe, resume=begun, limits=Limits(4), voice=Voice())
    assert "only the number of its images was compared" in capsys.readouterr().err


def test_only_the_place_of_the_data_may_change(begun, tmp_path, capsys):
    sets = [f"data.root={tmp_path / 'new'}", "data.source=B"]
    with pytest.raises(RecipeError, match="isn't the one that this run began with") as caught:
        run(
            load_recipe(begun / "recipe.resolved.toml", sets),
            resume=begun,
            voice=Voice(quiet=True),
        )
    assert caught.value.hint.splitlines()[0] == "data.source: A -> B"
    assert main(["evaluate", str(begun), "--set", sets[0], "--set", sets[1]]) == ExitCode.USAGE
    assert "data.source can't be set" in capsys.readouterr().err


def test_a_run_is_evaluated_where_its_data_lie_now(begun, tmp_path, capsys):
    assert main(["evaluate", str(begun)]) == ExitCode.DATA
    capsys.readouterr()
    assert main(["evaluate", str(begun), "--set", f"data.root={tmp_path / 'new'}", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["names"] == ["0", "1"]
    assert "controls" in document
    assert document["controls"]["mean_photo"]


def test_weights_hold_no_path_of_the_machine_that_made_them(begun, tmp_path):
    file = begun / "checkpoints" / "step_2" / "generator.safetensors"
    assert str(tmp_path).encode() not in file.read_bytes()
    data = read_cards(file)["generator"].data
    assert (data["use"], data["root"]) == ("images/two_folders", "old")
    assert str(tmp_path) in (begun / "recipe.resolved.toml").read_text()  # the control


def test_data_under_a_new_id_are_the_same_data():
    """A component that was renamed since the run began; another one isn't its data."""
    now = {"use": "facades/procedural", "stand_in": False, "length": 4, "names": "", "content": ""}
    assert difference({**now, "use": "images/procedural_facades"}, now) == ""
    assert "of images/folder, but now" in difference({**now, "use": "images/folder"}, now)
