"""Problems that are found after a recipe is read are shown at their place in its text, too."""

from __future__ import annotations

import json
import pickle

import pytest

from ganzoo.cli.main import main
from ganzoo.data.pipeline import open_data
from ganzoo.engine.plan import plan_networks
from ganzoo.errors import ExitCode, RecipeError
from ganzoo.recipe import load_recipe

WRONG = {
    '[networks.generatr]\nuse = "pix2pix/unet"': (
        "[networks.generatr]: pix2pix/paired has no role 'generatr'",
        "[networks.generatr]",
        "generatr",
    ),
    '[ema]\nenabled = true\nroles = ["a"]': (
        "ema.roles: pix2pix/paired has no role 'a'",
        'roles = ["a"]',
        '["a"]',
    ),
    '[start]\nfreeze = ["generator/nothing"]': (
        "start.freeze: 'generator/nothing' names no parameter",
        'freeze = ["generator/nothing"]',
        '["generator/nothing"]',
    ),
}


@pytest.mark.parametrize("table", WRONG)
def test_check_and_run_show_the_line_with_carets(tiny, capsys, table):
    said, line, place = WRONG[table]
    tiny.write_text(f"{tiny.read_text()}\n{table}\n")
    number = tiny.read_text().splitlines().index(line) + 1
    blank = " " * line.index(place)
    shown = f"{number:>5} | {line}\n      | {blank}{'^' * len(place)}\n"
    for command in (["check", str(tiny)], ["run", str(tiny), "--out", str(tiny.parent / "run")]):
        assert main(command) == ExitCode.RECIPE
        lines = capsys.readouterr().err
        assert f"tiny.toml:{number}: {said}" in lines
        assert shown in lines


def test_the_report_for_programs_has_it_too(tiny, capsys):
    tiny.write_text(f"{tiny.read_text()}\n[networks.generatr]\nuse = 'pix2pix/unet'\n")
    number = tiny.read_text().splitlines().index("[networks.generatr]") + 1
    assert main(["check", str(tiny), "--json"]) == ExitCode.RECIPE
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem["where"].endswith(f"tiny.toml:{number}")
    assert problem["excerpt"].startswith(f"{number:>5} | [networks.generatr]\n")


def test_what_stands_in_no_text_has_no_line(tiny, capsys):
    assert main(["check", str(tiny), "--set", "networks.generatr=pix2pix/unet"]) == ExitCode.RECIPE
    said = capsys.readouterr().err
    assert "--set: [networks.generatr]" in said
    assert "^" not in said


def test_another_process_shows_the_line_as_well(tiny):
    tiny.write_text(f"{tiny.read_text()}\n[players.judge]\nlr = 1e-3\n")
    recipe = load_recipe(tiny)
    with pytest.raises(RecipeError) as caught:
        plan_networks(recipe, open_data(recipe, "train").fields)
    assert "[players.judge]\n" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
