"""Messages about recipes that name the cure: keys in the wrong table, misspelt paths, folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganzoo.cli.main import main
from ganzoo.errors import ExitCode, RecipeError
from ganzoo.recipe import RecipeProblems, load_recipe, loads


def hint_of(setting: str, base: str = "pix2pix_facades") -> str:
    with pytest.raises(RecipeProblems) as caught:
        loads(f'extends = "{base}"', "r", (setting,))
    (problem,) = caught.value.problems
    return problem.hint


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("train.lr=1", "did you mean optimizer.lr?"),
        ("lr=1", "did you mean optimizer.lr?"),
        ("generator.lr=1", "did you mean optimizer.lr?"),
        ("train.hold=0.5", "did you mean optimizer.schedule.hold?"),
        ("optimizer.epochs=3", 'did you mean train.epochs?\ndid you mean "eps"?'),
        ("discriminator.depth=3", 'did you mean generator.depth?\ndid you mean "width"?'),
        ("train.size=3", "did you mean data.fallback.size or augment.0.size or augment.3.size?"),
        ("loss.fallback=none", "did you mean data.fallback?"),
        ("train.gan_weight=3", "did you mean loss.gan_weight?"),
        ("data.depth=3", "did you mean generator.depth?"),
        ("task.receptive_field=3", "did you mean discriminator.receptive_field?"),
        ("data.l1=3", "did you mean loss.l1?"),
        ("generator.train=3", "did you mean data.fallback.train?"),
        (
            "data.generator.depth=3",
            (
                "did you mean generator.depth? It must stand above the first [table], or as depth "
                "under [generator]"
            ),
        ),
        ("data.train.lr=3", "did you mean optimizer.lr?"),
        (
            "data.data.depth=3",
            "under [data] keys are written without this prefix\ndid you mean generator.depth?",
        ),
        ("data.data.nonsense_of_mine=3", "under [data] keys are written without this prefix"),
        (
            "train.out=x",
            '"out" is a key of the recipe itself: it must stand above the first [table]',
        ),
        ("train.epoch=3", 'did you mean "epochs"?'),
        ("trian.lr=3", 'did you mean "train"?'),
        ("train.nonsense_of_mine=3", "known: accumulate, batch_size, "),
        ("optimizer.start=3", "known: betas, eps"),  # no option, but the end of a number
    ],
)
def test_a_key_in_the_wrong_table(setting: str, hint: str) -> None:
    found = hint_of(setting)
    assert found == hint if "known" not in hint else found.startswith(hint)


def test_an_option_of_components_that_the_recipe_doesnt_name() -> None:
    first, known = hint_of("data.depth=3", "cyclegan_shapes").splitlines()
    assert first.startswith("depth is an option of components that this recipe doesn't name: ")
    assert "pix2pix/unet (generator)" in first
    assert known == "known: pairs, seed"
    assert hint_of("data.depth=3").startswith("did you mean")  # which it isn't where it is named


def test_a_key_under_the_wrong_header_of_a_file() -> None:
    """TOML reads what follows a header as the header's."""
    text = 'extends = "quickstart"\n[train]\nepochs = 3\nname = "mine"\n'
    with pytest.raises(RecipeProblems, match="must stand above the first"):
        loads(text)


def test_a_component_that_is_unknown_has_no_say() -> None:
    with pytest.raises(RecipeProblems) as caught:
        loads('extends = "quickstart"\ngenerator = "nowhere/x"\n[train]\ndepth = 3\n')
    hints = {problem.key: problem.hint for problem in caught.value.problems}
    assert "did you mean" not in hints["train.depth"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text('extends = "quickstart"\n')
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "first.toml").write_text('extends = "../smal.toml"\n')
    (tmp_path / "photos").mkdir()
    (tmp_path / "a run").mkdir()
    (tmp_path / "a run" / "recipe.toml").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("ref", "message", "hint"),
    [
        ("smal.toml", 'no recipe "smal.toml"', 'did you mean "small.toml"?'),
        ("./smal.toml", 'no recipe "./smal.toml"', 'did you mean "small.toml"?'),
        ("smal", 'no recipe "smal"', 'did you mean "small"?'),
        ("mine/frist.toml", 'no recipe "mine/frist.toml"', 'did you mean "mine/first.toml"?'),
        ("quikstart", 'no recipe "quikstart"', 'did you mean "quickstart"?'),
        ("recipes/quikstart.toml", "no recipe", 'did you mean "quickstart"?'),
        ("qqqqqq", 'no recipe "qqqqqq"', "`ganzoo recipes` lists the shipped recipes"),
        ("photos", '"photos" is a folder', "`ganzoo init photos` writes a recipe for a folder"),
        ("mine", '"mine" is a folder', "recipes in it: mine/first.toml"),
        ("a run", '"a run" is a folder', "the recipe in it is a run/recipe.toml"),
    ],
)
def test_a_recipe_that_isnt_there(here: Path, ref: str, message: str, hint: str) -> None:
    with pytest.raises(RecipeError, match="recipe") as caught:
        load_recipe(ref)
    assert caught.value.message.startswith(message)
    assert caught.value.hint.startswith(hint)
    assert len(caught.value.hint) < 120  # and not the name of each that is shipped


def test_a_misspelt_parent_is_looked_for_beside_the_file(here: Path) -> None:
    with pytest.raises(RecipeProblems) as caught:
        load_recipe("mine/first.toml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.hint) == (1, 'did you mean "../small.toml"?')


def test_check_answers_before_it_tells(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tiny)]) == ExitCode.DONE
    err = capsys.readouterr().err.splitlines()
    assert err[0] == f"{tiny}: no problems"
    assert err[1].startswith("note: ")
    assert main(["check", str(tiny), "--set", "data.size=33"]) == ExitCode.RECIPE
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert "no problems" not in captured.err
