"""`ganzoo check`: check a recipe and show the networks that it would train."""

from __future__ import annotations

from typing import Any

import click

from ganzoo.cli.console import error_document, print_columns, print_json, report_error
from ganzoo.errors import ExitCode, GanzooError

_NO_PLACE = {"file": "", "line": 0, "column": 0, "key": "", "where": "", "excerpt": ""}
"""The default values for a problem that has no place in a recipe's text. With them, all problems in
the JSON report have the same keys."""


@click.command()
@click.argument("recipe")
@click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Change a key of the recipe."
)
@click.option("--syntax", is_flag=True, help="Check only the recipe itself and build nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    recipe: str,
    overrides: tuple[str, ...],
    syntax: bool,  # noqa: FBT001  # click passes by name
    as_json: bool,  # noqa: FBT001
) -> None:
    """Check RECIPE and show the networks that it would train.

    RECIPE is a path or the name of a shipped recipe. All problems are shown at once, each with its
    line and column. Without --syntax, ganzoo also opens the data, builds the networks and makes a
    few steps, in order to estimate how long a training takes on this machine.
    """
    from ganzoo.recipe import load_recipe

    report: dict[str, Any] = {
        "networks": {},
        "machine": {},
        "time": {},
        "problems": [],
        "notes": [],
    }
    try:
        checked = load_recipe(recipe, overrides)
        if not syntax:
            from ganzoo.engine.check import inspect_recipe

            report |= inspect_recipe(checked, timed=True)
    except GanzooError as error:
        report_error(error)
        document = error_document(error)
        report["problems"] = document.get("problems") or [document["error"]]
    else:
        for problem in report["problems"]:
            shown = GanzooError(
                problem["message"],
                hint=problem["hint"],
                where=problem["where"],
                exit_code=ExitCode(problem["exit_code"]),
            )
            shown.excerpt = problem["excerpt"]
            report_error(shown)
    codes = {problem["exit_code"] for problem in report["problems"]}
    if not codes and not as_json:  # the result is printed before the notes
        click.echo(f"{recipe}: no problems", err=True)
    for note in report["notes"]:
        click.echo(f"note: {note}", err=True)
    if as_json:
        report["problems"] = [_NO_PLACE | problem for problem in report["problems"]]
        print_json(report)
    elif report["networks"]:
        _show(report)
    if codes:
        # The lowest exit code: mistakes in the recipe come before faults of plugins or data.
        raise click.exceptions.Exit(min(codes))


def _show(report: dict[str, Any]) -> None:
    """Print the networks, and on which device and how long a run on this machine would train."""
    print_columns([_row(role, network) for role, network in report["networks"].items()])
    if report["machine"]:
        click.echo("A run here trains on {device} in {precision}.".format(**report["machine"]))
    if report["time"]:
        click.echo(_time(report["time"], report["machine"]["precision"]))


def _time(found: dict[str, Any], precision: str) -> str:
    from ganzoo.engine.intervals import rounded

    return (
        f"A step takes about {rounded(found['step'])} here in {precision}; the whole plan of "
        f"{found['steps']:,} steps about {rounded(found['whole'])}."
    )


def _row(role: str, network: dict[str, Any]) -> tuple[str, ...]:
    inputs = " + ".join(_shape(shape) or "class" for shape in network["inputs"].values())
    outputs = " + ".join(_shape(shape) or "1" for shape in network["outputs"].values())
    field = network.get("receptive_field")
    return (
        role,
        network["id"],
        f"{network['parameters']:,} parameters",
        f"{inputs} -> {outputs or '?'}",
        "" if field is None else f"receptive field {field}",
    )


def _shape(shape: list[int]) -> str:
    return "x".join(map(str, shape))
