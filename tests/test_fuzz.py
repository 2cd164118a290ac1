"""Fuzzed recipes (`tests/faults/fuzz.py`), and that its judge sees each kind of fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from ganzoo.cli.main import main as ganzoo
from ganzoo.errors import ExitCode
from tests.faults import fuzz
from tests.faults.fuzz import Case, check


def run(count: int, seed: int) -> None:
    found = fuzz.fuzz(count, seed)
    assert not found.faults, [(fault, case.sets) for case, fault in found.faults[:3]]
    assert set(found.exit_codes) >= {ExitCode.DONE, ExitCode.RECIPE}  # the control: both happen


def test_some_fuzzed_recipes() -> None:
    run(20, seed=20)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_more_fuzzed_recipes() -> None:
    run(500, seed=21)


def test_cases_depend_on_the_seed_alone() -> None:
    def seen(seed: int) -> list[Case]:
        cases: list[Case] = []

        def command(arguments: list[str]) -> int:
            sets = arguments[4:-1:2]
            cases.append(Case(Path(arguments[2]).read_bytes(), tuple(sets)))
            click.echo(json.dumps({"problems": [{"message": "x", "file": "y"}]}))
            return ExitCode.RECIPE

        fuzz.fuzz(10, seed, texts=['extends = "quickstart"\n'], command=command)
        return cases

    assert seen(1) == seen(1)
    assert seen(1) != seen(2)


def _says(text: str, code: int, document: object = None) -> Callable[[list[str]], int]:
    def command(_: list[str]) -> int:
        click.echo(text, err=True)
        click.echo(json.dumps({"problems": document or []}))
        return code

    return command


def _raises(_: list[str]) -> int:
    message = "mine"
    raise KeyError(message)


def _never_ends(_: list[str]) -> int:
    while True:
        pass


PLACED = [{"message": "no", "file": "x", "where": ""}]


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (_raises, "KeyError"),
        (_never_ends, "took more than"),
        (_says("Traceback (most recent call last)", 3, PLACED), "Traceback"),
        (_says("x\n" * 100_000, 3, PLACED), "signs of output"),
        (_says("x" * 5000, 3, PLACED), "a line too long"),
        (_says("a bell \x07", 3, PLACED), "raw signs"),
        (_says("a bug", 1, PLACED), "exit 1"),
        (_says("what?", 2), "what\\?"),
        (_says("no", 3), "without a reason"),
        (_says("no", 3, [{"message": "no", "file": "", "where": ""}]), "no place"),
        (_says("fine", 0), "accepted, and then refused"),
    ],
)
def test_each_kind_of_fault_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable, fault: str
) -> None:
    monkeypatch.setattr(fuzz, "CPU_SECONDS", 0.2)
    case = Case(b'extends = "quickstart"\nunknown = 1\n')
    with pytest.raises(AssertionError, match=fault):
        check(case, tmp_path, command)
    assert check(case, tmp_path, _says("no", 3, PLACED)) == ExitCode.RECIPE


def test_a_recipe_that_is_right_is_right(tmp_path: Path) -> None:
    assert check(Case(b'extends = "quickstart"\n', ("train.epochs=3",)), tmp_path, ganzoo) == 0


def test_the_command_prints_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.main(["--count", "5", "--seed", "3"]) == 0
    assert capsys.readouterr().out.startswith("5 recipes (seed 3) in ")
