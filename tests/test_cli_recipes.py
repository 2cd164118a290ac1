"""`ganzoo recipes`: shipped recipes listed, copied, shown in full and compared."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from ganzoo import api
from ganzoo.cli import main as cli
from ganzoo.errors import ExitCode
from ganzoo.plugin_system import registry
from ganzoo.plugin_system.registry import current
from ganzoo.recipe import load_recipe, shipped_recipes

PLUGIN = """
from pathlib import Path
from ganzoo.api import hookimpl

@hookimpl
def ganzoo_recipes():
    return sorted((Path(__file__).parent / "of_plugin").glob("*.toml"))
"""


@pytest.fixture
def ganzoo(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run a command line in an empty folder; return exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_active", None)
    monkeypatch.setattr(api, "_resolver", api._resolver)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(list(arguments))
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments that load a plugin with recipes; one of them is no TOML."""
    monkeypatch.delitem(sys.modules, "recipe_toy", raising=False)  # another test's
    folder = tmp_path / "elsewhere"
    (folder / "of_plugin").mkdir(parents=True)
    (folder / "recipe_toy.py").write_text(PLUGIN)
    (folder / "of_plugin" / "base.toml").write_text('extends = "quickstart"\nsummary = "Mine."\n')
    (folder / "of_plugin" / "child.toml").write_text(
        '#:schema ./x.json\nextends = ["base.toml", "quickstart"]  # both\n[train]\nepochs = 7\n'
    )
    (folder / "of_plugin" / "broken.toml").write_text("= 3\n")
    return ["--plugin", str(folder / "recipe_toy.py")]


def test_list(ganzoo: Callable) -> None:
    code, out, _ = ganzoo("recipes", "list")
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.startswith("quickstart ")]
    assert "Drawn houses" in line
    assert line.endswith("extends pix2pix_facades.toml")


def test_list_json(ganzoo: Callable, plugin: list[str]) -> None:
    code, out, err = ganzoo(*plugin, "recipes", "list", "--json")
    assert code == 0
    rows = {row["name"]: row for row in json.loads(out)["recipes"]}
    assert set(rows) >= {"quickstart", "pix2pix_facades", "paper/table1_l1"}
    assert rows["quickstart"]["plugin"] == "ganzoo"
    assert rows["pix2pix_facades"]["extends"] == []
    assert rows["recipe_toy/child"] == {
        "name": "recipe_toy/child",
        "summary": "",
        "extends": ["base.toml", "quickstart"],
        "plugin": "recipe_toy",
    }
    assert "recipe_toy/broken" not in rows
    assert "the recipe recipe_toy/broken can't be read" in err


@pytest.mark.parametrize("name", [*sorted(shipped_recipes(current()))])
@pytest.mark.parametrize("flat", [False, True])
def test_a_copy_means_the_same(ganzoo: Callable, tmp_path: Path, name: str, flat: bool) -> None:
    extra = ["--flat"] if flat else []
    code, out, _ = ganzoo("recipes", "copy", name, "-o", "far/away/mine.toml", *extra)
    assert (code, out) == (0, "far/away/mine.toml\n")
    copied = tmp_path / "far" / "away" / "mine.toml"
    assert load_recipe(copied).sha256 == load_recipe(name).sha256
    assert ("extends" in tomllib.loads(copied.read_text())) <= (not flat)
    assert "#:schema" not in copied.read_text()


def test_a_copy_keeps_its_words_and_replaces_nothing(ganzoo: Callable, tmp_path: Path) -> None:
    code, out, err = ganzoo("recipes", "copy", "quickstart")
    assert (code, out) == (0, "quickstart.toml\n")
    source = Path(str(shipped_recipes(current())["quickstart"])).read_text()
    copied = (tmp_path / "quickstart.toml").read_text()
    assert copied == source.partition("\n")[2]
    assert "#:schema ./recipe.schema.json" in err
    (tmp_path / "quickstart.toml").write_text("mine")
    code, _, err = ganzoo("recipes", "copy", "pix2pix_facades", "-o", "quickstart.toml")
    assert code == ExitCode.USAGE
    assert "this file exists" in err
    assert (tmp_path / "quickstart.toml").read_text() == "mine"


def test_a_copy_names_the_schema_beside_it(ganzoo: Callable, tmp_path: Path) -> None:
    (tmp_path / "recipe.schema.json").write_text("{}")
    code, _, err = ganzoo("recipes", "copy", "paper/table1_l1")
    assert (code, err) == (0, "")
    lines = (tmp_path / "table1_l1.toml").read_text().splitlines()
    assert lines[0] == "#:schema ./recipe.schema.json"
    assert lines[1].startswith("# A row of")
    assert 'extends = "pix2pix_facades"' in lines


def test_copies_of_a_plugins_recipe_and_of_a_file(
    ganzoo: Callable, plugin: list[str], tmp_path: Path
) -> None:
    assert ganzoo(*plugin, "recipes", "copy", "recipe_toy/child", "-o", "c.toml")[0] == 0
    text = (tmp_path / "c.toml").read_text()
    assert text.startswith('extends = ["recipe_toy/base", "quickstart"]  # both\n')
    assert load_recipe("c.toml").train.epochs == 7
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "parent.toml").write_text('extends = "quickstart"\n')
    (tmp_path / "a" / "own.toml").write_text('extends = "parent.toml"\nname = "own"\n')
    assert ganzoo("recipes", "copy", "a/own.toml", "-o", "b/own.toml")[0] == 0
    assert 'extends = "../a/parent.toml"' in (tmp_path / "b" / "own.toml").read_text()
    assert load_recipe("b/own.toml").sha256 == load_recipe("a/own.toml").sha256


@pytest.mark.parametrize("own", ["mine", "."])  # beside the copy, or where the command is given
def test_a_copy_isnt_misled_by_a_file_of_a_shipped_name(
    ganzoo: Callable, tmp_path: Path, own: str
) -> None:
    assert ganzoo("recipes", "copy", "quickstart", "-o", "mine/before.toml")[0] == 0
    assert 'extends = "pix2pix_facades.toml"' in (tmp_path / "mine" / "before.toml").read_text()
    (tmp_path / own / "pix2pix_facades.toml").write_text(
        'extends = "pix2pix_facades"\n[watch]\nlog = "7 steps"\n'
    )
    assert ganzoo("recipes", "copy", "quickstart", "-o", "mine/after.toml")[0] == 0
    shipped = load_recipe(shipped_recipes(current())["quickstart"])
    assert load_recipe("mine/after.toml").sha256 == shipped.sha256
    assert str(load_recipe("mine/before.toml").watch.log) == "7 steps"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["nope"], ExitCode.RECIPE, 'no recipe "nope"'),
        (["quickstrat"], ExitCode.RECIPE, 'did you mean "quickstart"?'),
        (["nowhere/quickstart"], ExitCode.PLUGIN, 'no plugin "nowhere" is installed'),
        (["papr/table1_l1"], ExitCode.PLUGIN, 'did you mean "paper/table1_l1"'),
        (["paper/table1_l9"], ExitCode.RECIPE, 'did you mean "paper/table1_l1"'),
        (["run"], ExitCode.RECIPE, "the recipe in it is run/recipe.toml"),
        (["quickstart", "-o", "x.txt"], ExitCode.USAGE, "ends in .toml"),
        (["bad.toml", "-o", "y.toml"], ExitCode.RECIPE, 'no recipe "gone"'),
        (["ill.toml", "-o", "y.toml"], ExitCode.RECIPE, "not valid TOML"),
        (["quickstart", "-o", "file/x.toml"], ExitCode.USAGE, "can't be written"),
    ],
)
def test_what_cannot_be_copied(
    ganzoo: Callable, tmp_path: Path, arguments: list[str], code: int, text: str
) -> None:
    (tmp_path / "bad.toml").write_text('extends = "gone"\n')
    (tmp_path / "ill.toml").write_text("x = \n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.toml").write_text('name = "x"\n')
    (tmp_path / "file").write_text("")
    found, out, err = ganzoo("recipes", "copy", *arguments)
    assert (found, out) == (code, "")
    assert text in err
    assert not list(tmp_path.glob("[xy].*"))


def test_show_is_the_whole_recipe(ganzoo: Callable, tmp_path: Path) -> None:
    code, out, _ = ganzoo("recipes", "show", "quickstart", "--set", "train.epochs=3")
    assert code == 0
    assert "#" not in out
    (tmp_path / "whole.toml").write_text(out)
    assert load_recipe("whole.toml").sha256 == load_recipe("quickstart", ["train.epochs=3"]).sha256


def test_show_with_origins(ganzoo: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('extends = "quickstart"\n\n[generator]\nwidth = 8\n')
    code, out, _ = ganzoo("recipes", "show", "mine", "--set", "train.epochs=3", "--origin")
    assert code == 0
    assert "width = 8 # mine.toml:4\n" in out
    assert "epochs = 3 # --set\n" in out
    assert "accumulate = 1 # default\n" in out
    assert "recipes/quickstart.toml:" in out
    values = [line for line in out.splitlines() if line and not line.startswith("[")]
    assert all(" # " in line for line in values)


def test_show_of_what_is_wrong(ganzoo: Callable) -> None:
    code, out, err = ganzoo("recipes", "show", "quickstart", "--set", "train.epoch=3")
    assert (code, out) == (ExitCode.RECIPE, "")
    assert 'did you mean "epochs"?' in err
    assert ganzoo("recipes", "show", "nope")[0] == ExitCode.RECIPE


def test_diff(ganzoo: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'extends = "quickstart"\naugment = ["albumentations/horizontal_flip"]\n'
        "[train]\naccumulate = 3\n"
    )
    code, out, err = ganzoo("recipes", "diff", "quickstart", "mine.toml", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["recipes"] == ["quickstart", "mine.toml"]
    assert document["differences"] == {
        "augment": [[], None],
        "train.accumulate": [1, 3],  # a default against a value
        "augment.0.use": [None, "albumentations/horizontal_flip"],
        "augment.0.on": [None, "train"],
        "augment.0.p": [None, 0.5],
    }
    code, out, _ = ganzoo("recipes", "diff", "quickstart", "mine.toml")
    assert out.splitlines()[0].split() == ["quickstart", "mine.toml"]
    assert ["train.accumulate", "1", "3"] in [line.split() for line in out.splitlines()]


def test_diff_of_the_same(ganzoo: Callable, tmp_path: Path) -> None:
    """Spelling is no difference, nor is a run directory's resolved recipe."""
    whole = ganzoo("recipes", "show", "quickstart", "--origin")[1]
    run = tmp_path / "runs" / "quickstart" / "20260101"
    run.mkdir(parents=True)
    (run / "recipe.resolved.toml").write_text(whole)
    assert ganzoo("recipes", "diff", "quickstart", str(run)) == (0, "", "nothing differs\n")
    (run / "recipe.resolved.toml").write_text(whole.replace("width = 16", "width = 32"))
    assert "generator.width" in ganzoo("recipes", "diff", "quickstart", str(run))[1]
    assert ganzoo("recipes", "show", str(run))[0] == 0
    shutil.rmtree(run)
    code, _, err = ganzoo("recipes", "diff", "quickstart", str(run))
    assert code == ExitCode.RECIPE
    assert "no recipe" in err


def test_a_recipe_of_init_names_the_schema_beside_it(tmp_path: Path) -> None:
    from ganzoo.cli.init_text import recipe_text

    data = {"use": "images/side_by_side", "root": "pairs"}
    text = recipe_text(tmp_path / "own.toml", "pix2pix_facades", data, "because")
    assert text.startswith("# Written by")
    (tmp_path / "recipe.schema.json").write_text("{}")
    named = recipe_text(tmp_path / "own.toml", "pix2pix_facades", data, "because")
    assert named == f"#:schema ./recipe.schema.json\n{text}"
