"""`ganzoo runs`: list runs, and compare them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from ganzoo.cli.console import print_columns, print_json
from ganzoo.cli.lazy_commands import NamingGroup
from ganzoo.errors import UsageError


@click.group(cls=NamingGroup)
def command() -> None:
    """List runs, and compare them."""


@command.command("list")
@click.argument("folder", default="runs")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def list_runs(folder: str, *, as_json: bool) -> None:
    """List the runs below FOLDER (default: runs), oldest first."""
    from ganzoo.engine.run_history import summaries

    rows = summaries(Path(folder))
    if as_json:
        print_json({"runs": rows})
        return
    if not rows:
        raise UsageError(
            "there are no runs in this folder", where=folder, hint="ganzoo run RECIPE makes one."
        )
    shown = [
        [row["run"], row["recipe"], row["state"], f"{row['step']:,}", row["data"]] for row in rows
    ]
    print_columns([["run", "recipe", "state", "step", "data"], *shown])


@command.command("compare")
@click.argument("runs", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def compare(runs: tuple[str, ...], *, as_json: bool) -> None:
    """Show what differs between RUNS: recipe keys, parameters, FLOPs, losses and metrics."""
    from ganzoo.engine.run_history import comparison, which_way_is_better

    if len(runs) < 2:
        raise UsageError("a comparison needs two runs or more")
    paths = [Path(run) for run in runs]
    table = comparison(paths)
    ways = which_way_is_better(paths)
    better = {key: ways[key] for key in table if key in ways}
    if as_json:
        print_json({"runs": list(runs), "differences": table, "better": better})
        return
    if not table:
        click.echo("nothing differs", err=True)
        return
    shown = [[key, better.get(key, ""), *map(_shown, values)] for key, values in table.items()]
    print_columns([["", "better", *runs], *shown])
    for run in runs:
        if not list((Path(run) / "evaluation").glob("*.json")):
            quoted = shlex.quote(run)
            click.echo(f"{run} has no metrics yet: ganzoo evaluate {quoted}", err=True)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
