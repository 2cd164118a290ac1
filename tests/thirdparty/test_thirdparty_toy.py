"""A plugin from outside, from its wheel to its uninstalling, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganzoo.plugin_system.registry import current

FACADES = (
    *("pix2pix_facades", "--set", "generator=toy/painter"),
    *("--set", "data.use=facades/procedural", "--set", "data.size=32"),
    *("--set", "data.train=8", "--set", "data.val=2", "--set", "data.test=2"),
    *("--set", "augment=[]", "--set", "discriminator.receptive_field=16"),
    *("--set", "discriminator.width=4", "--set", "train.device=cpu"),
    *("--set", "train.precision=fp32", "--set", "train.threads=1"),
)
"""The facades recipe with the toy's generator, and as small as it gets."""


@pytest.fixture(scope="module")
def installed(room, wheel, toy_wheel, tmp_path_factory):
    return room(tmp_path_factory.mktemp("installed") / "environment", wheel, toy_wheel)


@pytest.fixture(scope="module")
def uninstalled(room, wheel, toy_wheel, tmp_path_factory):
    """Where the toy was, and is no more."""
    room = room(tmp_path_factory.mktemp("uninstalled") / "environment", wheel, toy_wheel)
    assert "toy" in room.plugins()
    room.uninstall("ganzoo-toy")
    return room


@pytest.fixture(scope="module")
def run(installed, tmp_path_factory):
    """A run of two steps: its document and its folder."""
    out = tmp_path_factory.mktemp("runs") / "run"
    return installed.document("run", *FACADES, "--max-steps", 2, "--out", out), out


def test_both_come_from_their_wheels(installed):
    files = installed("-c", "import ganzoo, ganzoo_toy as t; print(ganzoo.__file__, t.__file__)")
    assert all(Path(file).is_relative_to(installed.folder) for file in files.split())


def test_the_toy_is_listed_with_its_distribution(installed):
    found = installed.document("list", "generator")["components"]
    (toy,) = [one for one in found if one["id"] == "toy/painter"]
    assert (toy["distribution"], toy["version"]) == ("ganzoo-toy", "0.3")
    assert toy["presets"] == ["tiny"]
    assert "pix2pix/unet" in {one["id"] for one in found}


def test_the_toy_is_explained(installed):
    text = installed.ganzoo("show", "toy/painter").stdout
    assert "A few residual blocks" in text
    assert "ganzoo-toy 0.3" in text
    assert str(installed.site / "ganzoo_toy" / "painter.py") in text
    assert "Residual blocks of two convolutions each." in text


def test_naming_the_toy_imports_nothing_heavy(installed):
    for command in (("list",), ("show", "toy/charbonnier"), ("check", "toy/painter", "--syntax")):
        code = f"""
import sys
from ganzoo.cli.main import main
code = main({list(command)!r})
print(code, "torch" in sys.modules)
"""
        assert installed("-c", code).split()[-2:] == ["0", "False"], command
    assert installed.plugins()["toy"][0]["notes"] == []


@pytest.fixture(scope="module")
def checked(installed):
    return installed.document("check", "toy/painter")


def test_check_finds_the_toys_recipe_by_name(checked):
    assert checked["problems"] == []
    generator = checked["networks"]["generator"]
    assert (generator["id"], generator["receptive_field"]) == ("toy/painter", 13)


def test_the_facades_recipe_trains_the_toys_generator(run):
    document, out = run
    assert (document["outcome"], document["step"]) == ("stopped", 2)
    assert set(document["weights"]) == {"generator", "discriminator"}
    provenance = json.loads((out / "provenance.json").read_text())
    assert provenance["plugins"]["toy"] == "ganzoo-toy 0.3"
    assert "gan" in provenance["plugins"]  # only an option of the loss names it


def test_what_is_no_more_as_when_a_run_was_made(tmp_path):
    from ganzoo.engine.run_record import changed_plugins

    (now,) = {record.version for record in current().records if record.namespace == "gan"}
    made_with = {"gan": f"ganzoo {now}", "images": "ganzoo 0.0.1", "toy": "ganzoo-toy 0.3"}
    (tmp_path / "provenance.json").write_text(json.dumps({"plugins": made_with}))
    assert changed_plugins(tmp_path) == [
        f"ganzoo 0.0.1 -> torch-ganzoo {now}",
        "ganzoo-toy 0.3 -> not installed",
    ]


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "labels.png"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(path)
    return path


def test_its_weights_predict(installed, run, picture, tmp_path):
    weights = run[0]["weights"]["generator"]
    installed.ganzoo("predict", weights, picture, "-o", tmp_path / "out.png")
    assert Image.open(tmp_path / "out.png").size == (24, 20)


def test_uninstalled_it_is_gone_and_the_rest_works(uninstalled):
    assert not [one for one in uninstalled.document("list")["components"] if "toy" in one["id"]]
    done = uninstalled.ganzoo("check", "quickstart", "--syntax")
    assert "warning" not in done.stderr
    error = uninstalled.document("show", "toy/painter", code=4)["error"]
    assert "distribution ganzoo-toy" in error["hint"]


def test_uninstalled_a_recipe_says_what_to_install(uninstalled, tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text('extends = "quickstart"\ngenerator = "toy/painter"\n')
    (problem,) = uninstalled.document("check", recipe, code=4)["problems"]
    assert problem["message"] == 'no plugin "toy" is installed'
    assert "distribution ganzoo-toy" in problem["hint"]
    error = uninstalled.ganzoo("run", *FACADES, "--max-steps", 2, code=4, cwd=tmp_path).stderr
    assert 'no plugin "toy" is installed' in error
    assert not (tmp_path / "runs").exists()


def test_uninstalled_the_name_of_its_recipe_says_whose_it_is(uninstalled):
    (problem,) = uninstalled.document("check", "toy/painter", code=4)["problems"]
    assert problem["message"] == 'no recipe "toy/painter": no plugin "toy" is installed'
    assert "distribution ganzoo-toy" in problem["hint"]
    (problem,) = uninstalled.document("check", "paper/qqqq", code=3)["problems"]  # no plugin's
    assert problem["message"] == 'no recipe "paper/qqqq"'


def test_uninstalled_its_weights_say_what_made_them(uninstalled, run, picture, tmp_path):
    weights = run[0]["weights"]["generator"]
    done = uninstalled.ganzoo("predict", weights, picture, "-o", tmp_path / "out.png", code=4)
    assert 'no plugin "toy" is installed' in done.stderr
    assert "made with ganzoo-toy 0.3" in done.stderr
    assert not (tmp_path / "out.png").exists()


def test_uninstalled_its_run_says_what_made_it(uninstalled, run):
    done = uninstalled.ganzoo("run", "--resume", run[1], "--max-steps", 4, code=4)
    assert 'no plugin "toy" is installed' in done.stderr
    assert "made with ganzoo-toy 0.3" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_toy_keeps_the_contract(installed):
    installed.ganzoo("plugins", "check", "toy")
    tests = Path(__file__).parent / "ganzoo_toy" / "tests"
    pytest_ = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tests, tests)
    assert " passed" in installed(*pytest_)


@pytest.mark.slow
def test_the_toy_is_typed_and_clean(toy_sources):
    """As its author would see it, with the ganzoo that these tests have."""
    root = str(Path(__file__).parents[2])
    for command in (("mypy", "src"), ("ruff", "check"), ("ruff", "format", "--check")):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=toy_sources,
            env={**os.environ, "MYPYPATH": f"src:{root}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_reinstalled_its_run_goes_on_bit_for_bit(installed, uninstalled, run, toy_wheel, tmp_path):
    straight = tmp_path / "straight"
    installed.ganzoo("run", *FACADES, "--max-steps", 4, "--out", straight)
    uninstalled.install(toy_wheel)
    uninstalled.ganzoo("run", "--resume", run[1], "--max-steps", 4)
    for role in ("generator", "discriminator"):
        name = Path("checkpoints", "step_4", f"{role}.safetensors")
        assert (run[1] / name).read_bytes() == (straight / name).read_bytes()
    uninstalled.uninstall("ganzoo-toy")


def test_an_editable_toy_is_the_same(room, packaging, wheel, toy_sources, tmp_path):
    built = packaging.build(tmp_path, toy_sources, editable=True)
    editable = room(tmp_path / "environment", wheel, *built)
    source = editable("-c", "import ganzoo_toy; print(ganzoo_toy.__file__)").strip()
    assert Path(source).is_relative_to(toy_sources)
    (record,) = editable.plugins()["toy"]
    assert (record["distribution"], record["version"], record["state"]) == (
        *("ganzoo-toy", "0.3", "ok"),
    )
    editable.ganzoo("check", "toy/painter", "--syntax")


def test_a_version_that_replaces_another(room, packaging, wheel, toy_wheel, toy_sources, tmp_path):
    pyproject = toy_sources / "pyproject.toml"
    older = tmp_path / "older"
    older.mkdir()
    text = pyproject.read_text()
    pyproject.write_text(text.replace('"0.3"', '"0.2"'))
    try:
        built = packaging.build(older, toy_sources)
    finally:
        pyproject.write_text(text)
    updated = room(tmp_path / "environment", wheel, *built)
    assert updated.plugins()["toy"][0]["version"] == "0.2"
    updated.install(toy_wheel)
    assert updated.plugins()["toy"][0]["version"] == "0.3"
