"""What is too large for a recipe, or can't be meant: refused at its place, fast, in few lines."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ganzoo.api import Scalar
from ganzoo.cli.main import main
from ganzoo.errors import ExitCode, GanzooError, RecipeError, UsageError, one_line
from ganzoo.recipe import RecipeProblems, load_recipe, loads, parse_every
from ganzoo.recipe.parse import DEEPEST, MOST_PARTS, NotReadError, parse
from ganzoo.recipe.write import to_toml

LONG = "9" * 5000


def problem_of(text: str, *overrides: str):
    with pytest.raises(RecipeProblems) as caught:
        loads(text, "r", overrides)
    assert len(str(caught.value)) < 2000
    assert max(map(len, str(caught.value).splitlines())) < 700
    return caught.value.problems[0]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- extends


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("", "no recipe is named"),
        ("  ", "no recipe is named"),
        (".", '"." is a folder'),
        ("..", '".." is a folder'),
        ("/", '"/" is a folder'),
        ("//", '"//" is a folder'),
        ("~nobody-of-this-name/x", 'no recipe "~nobody'),
        (r"a\u0000b", r'no recipe "a\x00b"'),
        (r"a\nb", r'no recipe "a\nb"'),
        ("x" * 5000, "File name too long"),
    ],
)
def test_an_extends_that_leads_nowhere(here: Path, ref: str, said: str) -> None:
    problem = problem_of(f'name = "x"\nextends = ["quickstart", "{ref}"]')
    assert (problem.line, problem.column) == (2, 26)
    assert said in problem.message


@pytest.mark.parametrize("ref", ["", ".", "/", "~nobody-of-this-name", "x" * 5000])
def test_the_same_on_the_command_line(here: Path, ref: str, capsys) -> None:
    assert main(["check", "--syntax", ref]) == ExitCode.RECIPE
    assert len(capsys.readouterr().err) < 500


def test_a_folder_that_may_not_be_read_is_said(here: Path, monkeypatch) -> None:
    is_file = Path.is_file

    def refused(path):
        if path.name.startswith("mine"):
            raise PermissionError(13, "Permission denied")
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refused)
    with pytest.raises(RecipeError, match='no recipe "mine": Permission denied'):
        load_recipe("mine")


def chain(folder: Path, length: int, *, twice: bool = False) -> None:
    for number in range(length):
        parents = [f"r{number + 1}"] * (1 + twice)
        (folder / f"r{number}.toml").write_text(f"extends = {parents}\n")
    (folder / f"r{length}.toml").write_text('extends = "quickstart"\n')


def test_a_recipe_that_is_extended_again_and_again_is_read_once(here: Path) -> None:
    chain(here, 25, twice=True)
    began = time.monotonic()
    recipe = load_recipe("r0")
    assert recipe.document == {**load_recipe("quickstart").document, "name": "quickstart"}
    assert time.monotonic() - began < 60  # 2**25 readings would take days


def test_a_chain_has_a_longest_length(here: Path) -> None:
    chain(here, 50)
    assert load_recipe("r0").task.id == "pix2pix/paired"
    chain(here, 300)
    with pytest.raises(RecipeProblems, match="more than 100 recipes are extended") as caught:
        load_recipe("r0")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.column) == ("r100.toml", 1, 12)


# --- too deep, too many, too long


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("x = " + nested(500), (1, 5 + DEEPEST)),
        ("\ny = 1 # [[[\nx = " + "{a = " * 500 + "1" + "}" * 500, (3, 5 + 5 * DEEPEST)),
        ("[" + ".".join("a" * 20_000) + "]", (1, 1 + 2 * DEEPEST)),
        (".".join("a" * 20_000) + " = 1", (1, 2 * DEEPEST)),
        (f"[{'.'.join('a' * 20)}]\n{'.'.join('b' * 20)} = 1", (2, 1)),  # each alone is legal
        ("x = " + "{a.b = " * 20 + "1" + "}" * 20, (1, 1)),
        (f"x = 1\ny = [1, {LONG}]", (2, 9)),
        (f"x = -{LONG}", (1, 5)),
        (f"x = 0x{'f' * 5000}", (1, 5)),
        (f"x = {2**63}", (1, 5)),
        (f"x = [{'1,' * MOST_PARTS}]", (1, 6 + 2 * (MOST_PARTS - 2))),
        ("".join(f"k{n}=1\n" for n in range(MOST_PARTS)), (MOST_PARTS // 2 + 1, 1)),
    ],
)
def test_too_much_is_refused_at_its_place(text: str, place: tuple[int, int]) -> None:
    began = time.monotonic()
    problem = problem_of(text)
    assert (problem.line, problem.key) == (place[0], "too large for a recipe")
    assert problem.exit_code == ExitCode.RECIPE
    if place[1] > 1:
        assert problem.column == place[1]
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "text",
    [
        "x = " + nested(DEEPEST - 1),
        f"x = [{2**63 - 1}, {-(2**63)}, 0x7fffffffffffffff]",
        f"x = '[[{LONG}' # {nested(500)} {LONG}",
        f'x = """\n{nested(500)}\\"""" # "',
        "x = [" + "1.5," * (MOST_PARTS - 5) + "]",
        f"{'.'.join('a' * (DEEPEST - 1))} = 1",
    ],
)
def test_what_is_large_and_legal_is_read(text: str) -> None:
    """The control: limits count nesting, keys and values, not signs in texts and comments."""
    data, places = parse(text)
    assert data
    assert places


def test_a_long_file_is_refused(here: Path) -> None:
    (here / "long.toml").write_text("# " + "x" * 300_000)
    with pytest.raises(RecipeError, match="too long for a recipe") as caught:
        load_recipe("long")
    assert caught.value.where == "long.toml"


@pytest.mark.parametrize(
    ("argument", "column"),
    [
        (f"train.epochs={LONG}", 14),
        (f"data.size = {nested(500)}", 13 + DEEPEST),
        (f"augment=[{'1,' * MOST_PARTS}]", 10 + 2 * (MOST_PARTS - 2)),
        (f"train.seed={2**64}", 12),
    ],
)
def test_too_much_in_an_override(argument: str, column: int) -> None:
    problem = problem_of('extends = "quickstart"', argument)
    assert (problem.file, problem.column) == ("--set", column)
    assert problem.key == "too large for a recipe"


def test_a_long_key_of_an_override_is_cut() -> None:
    with pytest.raises(UsageError) as caught:
        loads('extends = "quickstart"', "r", (".".join("a" * 20_000) + "=1",))
    assert len(str(caught.value)) < 500


# --- an error is a few short lines


@pytest.mark.parametrize(
    "text",
    [
        'task = "pix2pix/' + "q" * 100_000 + '"',
        "q" * 100_000 + " = 1",
        f"train.epochs = [{'1, ' * 3000}]",
        'generator = "' + "q/" * 50_000 + '"',
        "\n".join(f"unknown_{n} = 1" for n in range(5000)),
        "[train]\n" + "\n".join(f"unknown_{n} = 1" for n in range(5000)),
        f"x = '{'q' * 100_000}' }}",
        "\n".join(f"[[loss]]\nuse = '{n}'" for n in range(2000)),
    ],
)
def test_an_error_shows_a_lines_worth(text: str, capsys, here: Path) -> None:
    (here / "r.toml").write_text(text)
    began = time.monotonic()
    for more in ([], ["--json"]):
        assert main(["check", "--syntax", "r.toml", *more]) == ExitCode.RECIPE
    assert time.monotonic() - began < 30
    err = capsys.readouterr().err
    assert len(err) < 40_000
    assert max(map(len, err.splitlines())) < 700


def test_a_long_line_is_shown_around_the_place() -> None:
    problem = problem_of(f'x = {{ a = "{"l" * 300}", b = {LONG}, c = "{"r" * 300}" }}')
    row = str(problem).splitlines()[1]
    assert "..." in row[:12]
    assert row.endswith("...")
    assert len(row) < 140
    caret = str(problem).splitlines()[2].index("^")
    assert row[caret] == "9"
    assert row[caret - 1] == " "


def test_what_is_quoted_stays_on_its_line() -> None:
    assert one_line("D:\new\x1b[31m") == "D:\\new\\x1b[31m"
    assert one_line("naïve 猫") == "naïve 猫"  # the control
    assert len(one_line("x" * 10_000, 100)) == 100
    problem = problem_of('extends = "quickstart"\ntask = "a\\nb\\u001b[31m/c"')
    assert len(str(problem).splitlines()) == 3 + len(problem.hint.splitlines())
    assert "\\x1b" in str(problem)
    assert "\x1b" not in str(problem)


def test_no_error_breaks_the_terminal(capsys) -> None:
    from ganzoo.cli.console import report_error

    report_error(GanzooError("no folder \x1b[2Ja\nb", where="c\td", hint="one\ntwo\x07"))
    err = capsys.readouterr().err.splitlines()
    assert err[0].endswith("c\\td: no folder \\x1b[2Ja\\nb")
    assert err[1:] == ["  one", "  two\\x07"]


# --- numbers and paths that could only fail later


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("train.threads=1000000000", "must be at most 1024"),
        ("train.workers=100000", "must be at most 1024"),
        ("train.epochs=1000000000000", "must be at most 1000000000"),
        ("train.batch_size=1000000000", "must be at most 1000000"),
        ("train.accumulate=1000000000", "must be at most 1000000"),
        ("train.cache=1000000000000", "must be at most 1000000000"),
        ("checkpoints.keep=1000000000000", "must be at most 1000000000"),
        (f"watch.log={'9' * 400} steps", "must be less than 1,000,000,000,000 steps"),
        (f"watch.samples={'9' * 400}.5 minutes", "must be less than"),
        ("watch.validate=1000000000000 images", "must be less than"),
        ("checkpoints.every=1000000000000 epochs", "must be less than"),
        ('optimizer.lr={from=1e-300,to=1e300,shape="log"}', "so large a factor"),
        ('ema.half_life={from=1e300,to=1e-300,shape="log"}', "so large a factor"),
        ('out="a\\u0000b"', "has a control character in it: \\x00"),
        ('out="a\\nb"', "has a control character in it: \\n"),
        ("out=" + "x" * 300, "too long for a folder"),
        ("out=" + "x/" * 3000, "too long for a folder"),
        ("name=" + "x" * 300, "200 characters at most"),
        ('data.fallback={use="images/side_by_side",root="x\\u0007"}', "has a control character"),
        ("out=\udcff", "is not UTF-8 text"),
    ],
)
def test_values_that_could_only_fail_later_are_refused(setting: str, said: str) -> None:
    assert said in problem_of('extends = "quickstart"', setting).message


@pytest.mark.parametrize(
    "setting",
    [
        "train.threads=1024",
        "train.epochs=1000000000",
        "watch.log=999999999999 steps",
        'optimizer.lr={from=1e-3,to=1e-9,shape="log"}',
        "out=" + "x" * 255,
        "out=größer/猫",
        'summary="two\\nlines\\tand a tab"',
        "name=" + "x" * 200,
    ],
)
def test_values_at_the_limits_are_read(setting: str) -> None:
    assert loads('extends = "quickstart"', "r", (setting,)).document


def test_a_file_of_a_long_name_still_has_a_name(here: Path) -> None:
    (here / f"{'x' * 240}.toml").write_text('extends = "gan_ring"\n')
    assert load_recipe("x" * 240).name == load_recipe("gan_ring").name
    text = to_toml(load_recipe("gan_ring")).replace('name = "gan_ring"', "", 1)
    assert loads(text, "y" * 240).name == "y" * 200


def test_clocks_are_below_what_a_float_counts() -> None:
    assert parse_every("999999999999 steps").count == 999_999_999_999
    with pytest.raises(ValueError, match="must be less than"):
        parse_every("9" * 400 + " steps")


def test_a_scalar_has_finite_values_everywhere() -> None:
    with pytest.raises(ValueError, match="so large a factor"):
        Scalar.model_validate({"from": -1e308, "to": 1e308})
    assert Scalar.model_validate({"from": -1e300, "to": 1e300}).start == -1e300


# --- paths of Windows, and texts in quotes


@pytest.mark.parametrize(
    "spelt",
    [
        *[r'"C:\Users\me"', r'"C:\models"', r'"D:\new\train"', r'"D:\foo\bar"'],
        *[r'"\\host\new"', r'"C:\data\"', r'"C:\\x\new"'],
    ],
)
@pytest.mark.parametrize("at", ["file", "set"])
def test_backslashes_in_double_quotes(spelt: str, at: str) -> None:
    base = '\nextends = "pix2pix_facades"\n'
    problem = (
        problem_of(f"{base}[data]\nroot = {spelt}\n")
        if at == "file"
        else problem_of(base, f"data.root={spelt}")
    )
    assert "in single quotes" in problem.hint
    assert problem.line == (4 if at == "file" else 1)


@pytest.mark.parametrize("spelt", [r"'C:\Users\me'", '"C:/new/train"', r'"C:\\new\\train"'])
def test_paths_of_windows_that_are_spelt_right(spelt: str) -> None:
    recipe = loads(f'extends = "pix2pix_facades"\n[data]\nroot = {spelt}\n')
    assert recipe.document["data"]["root"].startswith("C:")
    assert recipe == loads('extends = "pix2pix_facades"', "recipe", (f"data.root={spelt}",))


def test_another_mistake_has_no_hint_about_backslashes() -> None:
    with pytest.raises(NotReadError) as caught:
        parse('a = "x\\ty"\nb = "a \\" b" c\n')
    assert caught.value.hint == ""


@pytest.mark.parametrize("value", ["2024-05-01", "2024-05-01T07:32:00", "07:32:00"])
def test_a_date_is_text(value: str) -> None:
    assert loads('extends = "quickstart"', "r", (f"summary={value}",)).summary == value


def test_a_number_as_a_name_says_how_to_quote_it() -> None:
    problem = problem_of('extends = "quickstart"', "name=2024")
    assert (
        problem.hint
        == """put it in quotes, and the whole argument in the shell's quotes: --set 'name="2024"'"""
    )
    assert loads('extends = "quickstart"', "r", ('name="2024"',)).name == "2024"
    problem = problem_of('extends = "quickstart"', "data.use=5")
    assert problem_of('extends = "quickstart"\nname = 2024-05-01').hint == "put it in quotes"
    assert problem_of('extends = "quickstart"\nname = []').hint == ""
