from __future__ import annotations

import importlib
import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import click
import pytest
from pydantic import Field
from typing_extensions import TypedDict

from ganzoo import api
from ganzoo.api import declared_in
from ganzoo.cli import main as cli
from ganzoo.cli.component_source import source_of
from ganzoo.errors import DataMissing, ExitCode
from ganzoo.plugin_system import registry
from ganzoo.recipe import RecipeProblems
from ganzoo.recipe.describe_options import describe

TOYS = Path(__file__).parent / "toys"

RECIPE = """\
task = "naming_toy/task"
metric = []
data = { use = "naming_toy/data", size = 4 }
loss = "naming_toy/hinge"
generator = { use = "naming_toy/net", depth = 3 }
"""


@pytest.fixture(autouse=True)
def _restore_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_active", registry._active)
    monkeypatch.setattr(api, "_resolver", api._resolver)
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def ganzoo(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run a command line with the toy plugin; return exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.toml").write_text(RECIPE)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(["--plugin", str(TOYS / "naming_toy.py"), *arguments])
        return code, *capsys.readouterr()

    return run


def in_a_process(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, **options
    )


def test_help_names_every_command(ganzoo: Callable) -> None:
    code, out, _ = ganzoo("--help")
    assert code == 0
    for name, (_, line) in cli.COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(line)}$", out, re.MULTILINE)


def test_every_command_is_a_documented_click_command() -> None:
    for name in cli.COMMANDS:
        command = cli.cli.get_command(click.Context(cli.cli), name)
        assert isinstance(command, click.Command)
        assert command.help
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, f"{name} {option.opts}"


def test_version(ganzoo: Callable) -> None:
    assert ganzoo("--version")[1] == f"ganzoo {importlib.metadata.version('torch-ganzoo')}\n"


def test_an_unknown_command_is_a_usage_error(ganzoo: Callable) -> None:
    code, out, err = ganzoo("chekc", "--json")
    assert code == ExitCode.USAGE
    assert 'did you mean "check"?' in err
    assert json.loads(out)["error"]["exit_code"] == 2


def test_an_unknown_option_is_a_usage_error(ganzoo: Callable) -> None:
    code, out, err = ganzoo("list", "--jsno", "--json")
    assert code == ExitCode.USAGE
    assert "--jsno" in err
    assert json.loads(out)["error"]["exit_code"] == 2


def test_list(ganzoo: Callable) -> None:
    code, out, _ = ganzoo("list", "generator", "naming_toy/*")
    assert code == 0
    assert out == "generator  naming_toy/net   A net.\ngenerator  naming_toy/net2\n"
    assert ganzoo("list", "*y/hinge")[1].split() == ["loss", "naming_toy/hinge"]
    code, out, err = ganzoo("list", "loss", "nothing")
    assert (code, out, err) == (0, "", "nothing matches\n")
    code, _, err = ganzoo("list", "generatr")
    assert code == 2
    assert 'did you mean "generator"?' in err


def test_list_json(ganzoo: Callable) -> None:
    (entry,) = json.loads(ganzoo("list", "generator", "naming_toy/net", "--json")[1])["components"][
        :1
    ]
    assert entry["id"] == "naming_toy/net"
    assert set(entry) == {
        *("kind", "id", "summary", "paper", "presets", "distribution", "version"),
    }


def test_show(ganzoo: Callable) -> None:
    code, out, _ = ganzoo("show", "naming_toy/net")
    assert code == 0
    assert "depth = 4\n      whole number, >= 1, <= 8\n      How deep." in out
    assert "receptive_field = 70\n      1, 16 or 70" in out
    assert 'layers = "auto"\n      "auto" or array of whole number' in out
    assert 'deep: depth = 7, norm = "none"' in out
    assert str(TOYS / "naming_toy.py") in out
    _, out, _ = ganzoo("show", "naming_toy/main")
    assert 'gan = "naming_toy/hinge"\n      loss: id or table' in out
    _, out, _ = ganzoo("show", "naming_toy/data")
    assert "size (required)" in out


class Limited(api.Options):
    rates: tuple[Annotated[api.Scalar, Field(ge=0, lt=1)], Annotated[api.Scalar, Field(ge=0, lt=1)]]
    clip: Annotated[api.Scalar, Field(gt=0)] | None = None
    mixed: tuple[Annotated[int, Field(ge=1)], str] | Literal["auto"] = "auto"
    free: int | Literal["auto"] = "auto"
    named: TypedDict("Named", {"low": int, "high": int})


def test_limits_of_what_stands_within() -> None:
    scalar = "number or { from, to, begin, until, shape }"
    assert {one.key: one.type for one in describe(Limited)} == {
        "rates": f"array of 2: {scalar} (>= 0, < 1)",
        "clip": f"{scalar} (> 0)",
        "mixed": 'array of 2: whole number (>= 1), text or "auto"',
        "free": 'whole number or "auto"',
        "named": "{ low, high }",
    }


def test_show_json(ganzoo: Callable) -> None:
    (document,) = json.loads(ganzoo("show", "naming_toy/main", "--json")[1])["components"]
    options = {option["key"]: option for option in document["options"]}
    assert options["weight"]["type"] == "number or { from, to, begin, until, shape }"
    assert options["weight"]["default"] == 1.0
    assert (document["kind"], document["revision"]) == ("loss", 1)
    source = (TOYS / "naming_toy.py").read_text().splitlines()
    assert document["source"] == str(TOYS / "naming_toy.py")
    assert source[document["line"] - 1] == "def unused():"
    assert document["recipes"] == []


SOURCE = """\
import sys
sys.exit("imported")
from os.path import join as Joined
if True:
    Net = other = None
else:
    class Net: ...
class Outer:
    size: int = 3
    class Inner:
        def method(self): ...
def Outer2(): ...
"""


DECLARING = """\
from ganzoo.api import Component, component
@component("loss")
def one():
    {body}
class Here: ...
"""


@pytest.mark.parametrize(
    ("body", "file", "line"),
    [
        *(
            (f"from source_toy import {name}; return {name}", "source_toy", line)
            for name, line in (("Net", 7), ("other", 5), ("Joined", 3), ("Outer2", 12))
        ),
        *(
            (f"from source_toy import Outer; return Outer.{name}", "source_toy", line)
            for name, line in (("size", 9), ("Inner.method", 11), ("gone", 8))  # `gone`: of a base
        ),
        ("from source_toy import Net as Other; return Other", "source_toy", 7),
        ("from source_package import toy; return toy.Net", "source_package/toy", 1),
        ("from source_toy import nothing; return nothing", "source_toy", None),
        ("import source_package.toy; return source_package.toy.Net", "source_package/toy", 1),
        ("import source_package.toy as n; return n.Net", "source_package/toy", 1),
        ("from .toy import Net; return Net", "source_package/toy", 1),
        ("from . import toy; return toy.Net", "source_package/toy", 1),
        ("return Here", "declaring_toy", 5),
        # What isn't read from the body: the line of the declaration.
        ("from no_such_module import A; return A", "declaring_toy", 2),
        ("from no_such_package.module import A; return A", "declaring_toy", 2),
        ("return lambda options: 3", "declaring_toy", 2),
        ("return Nowhere", "declaring_toy", 2),
        ("pass", "declaring_toy", 2),
    ],
)
def test_show_finds_a_targets_line_without_importing_it(
    body: str, file: str, line: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source_toy.py").write_text(SOURCE)
    (tmp_path / "source_package").mkdir()
    (tmp_path / "source_package" / "__init__.py").write_text("import sys; sys.exit('imported')")
    (tmp_path / "source_package" / "toy.py").write_text("class Net: ...")
    (tmp_path / "declaring_toy.py").write_text(DECLARING.format(body=body))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "declaring_toy", raising=False)
    module = importlib.import_module("declaring_toy")
    module.__package__ = "source_package"
    (one,) = declared_in(module)
    assert source_of(one) == (str(tmp_path / f"{file}.py"), line)


def test_show_names_the_recipes_that_use_it(ganzoo: Callable) -> None:
    def recipes(name: str) -> set[str]:
        return {
            recipe
            for one in json.loads(ganzoo("show", name, "--json")[1])["components"]
            for recipe in one["recipes"]
        }

    assert {"quickstart", "pix2pix_facades"} <= recipes("pix2pix/unet")  # one by `extends`
    assert "paper/table2_encoder_decoder_l1" not in recipes("pix2pix/unet")
    assert recipes("pix2pix/encoder_decoder") == {
        "paper/table2_encoder_decoder_l1",
        "paper/table2_encoder_decoder_l1_cgan",
    }
    assert "pix2pix_facades" in recipes("gan/vanilla")  # an option's value
    assert "quickstart" in recipes("gan/lsgan")
    assert "quickstart" in recipes("ganzoo/psnr")  # the core's default
    assert "pix2pix_facades" in recipes("facades/procedural")  # the stand-in
    assert "pix2pix_facades" not in recipes("gan/lsgan")
    assert "\nrecipes that use it:\n  cyclegan_catdog\n" in ganzoo("show", "pix2pix/patchgan")[1]
    code, _, err = ganzoo("--no-plugin", "images", "show", "pix2pix/patchgan")
    assert code == 0
    assert "not checked, since they have problems: " in err
    assert ", paper/table1_cgan, " in err


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("naming_toy/nett", 3, 'did you mean "naming_toy/net'),
        ("net", 3, 'did you mean "naming_toy/net"'),
        ("nowhere/net", 4, 'no plugin "nowhere" is installed'),
    ],
)
def test_show_what_is_not_there(ganzoo: Callable, name: str, code: int, text: str) -> None:
    found, _, err = ganzoo("show", name)
    assert found == code
    assert text in err


def test_plugins(ganzoo: Callable, tmp_path: Path) -> None:
    broken = tmp_path / "broken_toy_plugin.py"
    broken.write_text("1 / 0\n")
    code, out, err = ganzoo("--plugin", str(broken), "plugins")
    assert code == 0
    assert re.search(r"^naming_toy .* ok +18 components$", out, re.MULTILINE)
    assert re.search(r"^broken_toy_plugin .* quarantined +ZeroDivisionError", out, re.MULTILINE)
    assert "Traceback" not in out
    assert "warning" not in err
    assert "Traceback" in ganzoo("--plugin", str(broken), "plugins", "--verbose")[1]
    table = json.loads(ganzoo("--plugin", str(broken), "plugins", "--json")[1])["plugins"]
    states = {entry["namespace"]: entry["state"] for entry in table}
    assert (states["naming_toy"], states["broken_toy_plugin"]) == ("ok", "quarantined")
    # every other command says it once, and works
    code, _, err = ganzoo("--plugin", str(broken), "list", "loss")
    assert code == 0
    assert err.count('warning: the plugin "broken_toy_plugin"') == len(err.splitlines()) == 1


def test_blocked_plugins(ganzoo: Callable) -> None:
    assert "ganzoo/l1" in ganzoo("list", "metric")[1]
    assert "ganzoo/l1" not in ganzoo("--no-plugin", "ganzoo", "list", "metric")[1]
    code, _, err = ganzoo("--no-plugin", "no_such", "list")
    assert code == 2
    assert "installed:" in err


def test_check_syntax(ganzoo: Callable) -> None:
    code, out, err = ganzoo("check", "--syntax", "toy.toml")
    assert (code, out) == (0, "")
    assert "no problems" in err
    code, out, _ = ganzoo("check", "--syntax", "--json", "toy")
    nothing = {"networks": {}, "machine": {}, "time": {}, "problems": [], "notes": []}
    assert json.loads(out) == nothing


def test_check_shows_all_problems(ganzoo: Callable, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(RECIPE.replace("depth", "dpeth").replace("metric", "mertic"))
    code, out, err = ganzoo("check", "bad.toml", "--syntax", "--json", "--set", "train.epochs=0")
    assert code == ExitCode.RECIPE
    problems = json.loads(out)["problems"]
    places = [(one["file"], one["line"], one["column"], one["key"]) for one in problems]
    assert places == [
        ("bad.toml", 2, 1, "mertic"),
        ("bad.toml", 5, 39, "generator.dpeth"),
        ("--set", 1, 14, "train.epochs"),
    ]
    assert problems[1]["hint"] == 'did you mean "depth"?'
    assert "bad.toml:5:39: generator.dpeth" in err
    (problem,) = json.loads(ganzoo("check", "none.toml", "--json")[1])["problems"]
    assert set(problems[0]) <= set(problem)


def test_check_without_syntax_asks_the_engine(
    ganzoo: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inspect(recipe: object, *, timed: bool) -> dict:
        assert timed
        network = {
            "id": "naming_toy/net",
            "parameters": 1234,
            "inputs": {"source": [3, 8, 8], "label": []},
            "outputs": {"logits": [1, 2, 2]},
            "receptive_field": 70,
        }
        problem = {"message": "no data", "where": "toys", "hint": "get it"}
        problem |= {"excerpt": "    1 | toys", "exit_code": 5}
        machine = {"device": "cuda", "precision": "fp16"}
        found = {"networks": {"generator": network}, "machine": machine}
        found["time"] = {"step": 0.15, "steps": 80_000, "whole": 12_003.0}
        return {**found, "problems": [problem], "notes": ["a note"]}

    module = type(sys)("ganzoo.engine.check")
    module.inspect_recipe = inspect
    monkeypatch.setitem(sys.modules, "ganzoo.engine.check", module)
    code, out, err = ganzoo("check", "toy")
    assert code == ExitCode.DATA
    assert "1,234 parameters  3x8x8 + class -> 1x2x2  receptive field 70" in out
    assert "toys: no data\n    1 | toys\n  get it" in err
    assert "note: a note" in err
    assert "A run here trains on cuda in fp16." in out
    assert "A step takes about 0.15 s here in fp16; the whole plan of 80,000 steps" in out
    assert "steps about 3 h 20 min." in out


def test_errors_become_json_and_exit_codes(
    ganzoo: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ganzoo.cli import list as listing

    def fail(error: BaseException) -> None:
        def raise_it(*_: object) -> None:
            raise error

        monkeypatch.setattr(listing, "current", raise_it)

    fail(DataMissing("no data", where="here", hint="get it"))
    code, out, err = ganzoo("list", "--json")
    assert code == ExitCode.DATA
    assert json.loads(out)["error"] == {
        "message": "no data",
        "where": "here",
        "hint": "get it",
        "excerpt": "",
        "exit_code": 5,
    }
    assert err.endswith("error: here: no data\n  get it\n")
    assert "Traceback" not in err
    assert "Traceback" in ganzoo("--debug", "list")[2]

    fail(RecipeProblems([]))
    assert json.loads(ganzoo("list", "--json")[1]) == {"problems": []}

    fail(ValueError("oops"))
    code, out, err = ganzoo("list", "--json")
    assert code == ExitCode.BUG
    assert "Traceback" in err
    assert "bug in ganzoo: ValueError: oops" in json.loads(out)["error"]["message"]

    fail(KeyboardInterrupt())
    assert ganzoo("list")[0] == ExitCode.INTERRUPTED


def test_a_plugins_bug_is_called_so(ganzoo: Callable, tmp_path: Path) -> None:
    faulty = tmp_path / "wordless_toy.py"
    faulty.write_text(
        "from typing import Any\n"
        "from ganzoo.api import Options, component\n"
        "class Thing:\n"
        "    def __str__(self): raise KeyError('mine')\n"
        "class Choices(Options):\n"
        "    thing: Any = Thing()\n"
        "@component('loss', Choices)\n"
        "def x(): return Thing\n"
    )
    code, _, err = ganzoo("--plugin", str(faulty), "show", "wordless_toy/x")
    assert code == ExitCode.BUG
    assert 'this is a bug in the plugin "wordless_toy"' in err


def test_with_json_what_a_plugins_processes_print_is_no_result(tmp_path: Path) -> None:
    plugin = tmp_path / "shouting.py"
    plugin.write_text("import os\nos.system('echo from a child')\nprint('from the plugin')\n")
    command = [sys.executable, "-m", "ganzoo", "--plugin", str(plugin), "list", "loss"]
    done = [
        subprocess.run([*command, *more], capture_output=True, text=True, check=True)
        for more in (["--json"], [])
    ]
    assert json.loads(done[0].stdout)["components"]
    assert {"from a child", "from the plugin"} <= set(done[0].stderr.splitlines())
    assert "from a child" in done[1].stdout  # the control: it does print


def test_a_closed_pipe_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ganzoo", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [["schema"], ["list", "--json"]])
def test_a_full_disk_is_no_bug(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ganzoo", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == ExitCode.ENVIRONMENT
    assert done.stderr == "error: no space is left for the output\n"


def test_list_of_what_is_no_kind(ganzoo: Callable) -> None:
    code, out, err = ganzoo("list", "fli")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "`ganzoo list '*fli*'` lists ids that contain it" in err
    assert "naming_toy/flip" in ganzoo("list", "*fli*")[1]
    code, _, err = ganzoo("list", "generaotr")
    assert (code, "contain" in err) == (ExitCode.USAGE, False)
    assert 'did you mean "generator"?' in err


def test_help_of_options_fits_the_terminal(
    ganzoo: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_line(columns: str) -> str:
        monkeypatch.setenv("COLUMNS", columns)
        lines = ganzoo("show", "albumentations/horizontal_flip")[1].splitlines()
        (at,) = [number for number, line in enumerate(lines) if line.startswith("  p = ")]
        return lines[at + 2]

    assert len(first_line("30")) <= 30 < len(first_line("100"))


@pytest.mark.parametrize(("wish", "red"), [("1", False), ("", True)])
def test_errors_are_red_unless_colours_are_unwanted(
    monkeypatch: pytest.MonkeyPatch, wish: str, red: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", wish)
    said: list[str] = []
    monkeypatch.setattr(click, "echo", lambda text, **_: said.append(text))
    assert cli.main(["show", "nope"]) == ExitCode.RECIPE
    assert ("\x1b[" in said[0]) == red
    assert "error" in said[0]


HEAVY = ("torch", "numpy", "PIL", "cv2", "albumentations", "accelerate", "rich", "tomlkit")
LIGHT = (
    ["--help"],
    ["list"],
    ["show", "ganzoo/l1"],
    ["schema"],
    ["recipes", "list"],
    ["recipes", "diff", "quickstart", "pix2pix_facades"],
    ["plugins"],
    ["--plugin", str(TOYS / "naming_toy.py"), "check", "--syntax", "toy.toml"],
)


@pytest.mark.parametrize("arguments", LIGHT, ids=lambda value: " ".join(value[-3:]))
def test_naming_is_not_importing(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(RECIPE)
    code = (
        f"import sys; from ganzoo.cli.main import main; code = main({arguments!r});"
        f"print([name for name in {(*HEAVY, 'pydantic')!r} if name in sys.modules]); sys.exit(code)"
    )
    done = in_a_process("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # Listing needs no options, whose library takes longer to import than `ganzoo list` may run.
    options = [] if arguments[0] in ("--help", "list", "plugins") else ["pydantic"]
    assert done.stdout.splitlines()[-1] == str(options)


@pytest.mark.parametrize("word", [*cli.OTHER_WORDS, "trian", "runn", "nonsense"])
def test_a_command_that_isnt_there_names_those_that_do_its_work(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([word, "recipes/quickstart.toml"]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    first, hint = err.splitlines()
    assert first == f'error: there is no command "ganzoo {word}"'
    assert not out
    expected = {"runn": 'did you mean "run"', "trian": "commands: run", "nonsense": "commands: run"}
    assert hint.strip().startswith(expected.get(word, cli.OTHER_WORDS.get(word, "-")))


def test_other_programs_words_are_no_commands_and_name_true_ones() -> None:
    assert not cli.OTHER_WORDS.keys() & cli.COMMANDS.keys()
    for word, hint in cli.OTHER_WORDS.items():
        named = re.findall(r"`ganzoo (\S+) ([^`]*)`", hint)
        assert named, word
        for command, arguments in named:
            found = cli.cli.get_command(click.Context(cli.cli), command)
            assert found is not None
            options = {one for parameter in found.params for one in parameter.opts}
            assert set(re.findall(r"(?<!\S)--?[a-z]+", arguments)) <= options, (word, command)


@pytest.mark.parametrize(
    ("group", "word", "hint"),
    [
        ("data", "my.toml", "commands: inspect"),
        ("runs", "compar", 'did you mean "compare"?'),
        ("recipes", "facades", "commands: "),
        ("plugins", "instal", 'did you mean "install"?'),
    ],
)
def test_a_group_names_its_commands(
    group: str, word: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([group, word]) == ExitCode.USAGE
    first, second = capsys.readouterr().err.splitlines()
    assert first == f'error: there is no command "ganzoo {group} {word}"'
    assert second.strip().startswith(hint)
