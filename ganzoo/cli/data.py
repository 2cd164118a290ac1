"""`ganzoo data inspect`: inspect the data of a recipe before any training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo.cli.lazy_commands import NamingGroup

if TYPE_CHECKING:
    from ganzoo.data.inspect import Report


@click.group("data", cls=NamingGroup)
def command() -> None:
    """Inspect data sets."""


@command.command("inspect")
@click.argument("recipe")
@click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Change a key of the recipe."
)
@click.option(
    "-o",
    "--out",
    metavar="SHEET.png",
    type=click.Path(path_type=Path),
    help="The file of the contact sheet (default: NAME_data.png in the working directory).",
)
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    default="train",
    show_default=True,
    help="The split that the contact sheet shows.",
)
@click.option(
    "--rows",
    type=click.IntRange(1, 64),
    default=6,
    show_default=True,
    help="The number of rows of the sheet.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Decode at most this many samples of each split (default: all).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_context
def inspect(  # click passes by name
    context: click.Context,
    recipe: str,
    overrides: tuple[str, ...],
    out: Path | None,
    split: str,
    rows: int,
    limit: int | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Count and decode the data of RECIPE, list what is wrong, and draw a contact sheet.

    The sheet shows samples after augmentation, as the networks receive them. Points are shown as a
    scatter plot. For a sample that can't be used, the sheet has a row with the reason. Files whose
    largest value is far below the maximum of their type are listed, because they are read as almost
    black. The exit code is 5 if anything is wrong with the data.
    """
    from ganzoo.cli.console import print_json
    from ganzoo.data.inspect import contact_sheet, inspect_data
    from ganzoo.data.write_image import save_image
    from ganzoo.errors import ExitCode
    from ganzoo.recipe import load_recipe

    loaded = load_recipe(recipe, overrides)
    with _bar() as progress:
        report = inspect_data(loaded, limit, progress)
    sheet = None
    if split in report.prepared:
        import numpy as np

        caption = f"{loaded.name} · {report.use} · {split}, after augmentation"
        if report.stand_in:
            caption += " · STAND-IN DATA"
        broken = report.splits[split].broken
        picture = contact_sheet(report.prepared[split], rows, caption, broken)
        if picture is not None:
            sheet = out or Path(f"{loaded.name}_data.png")
            save_image(np.asarray(picture), sheet)
    if as_json:
        print_json(_document(loaded.name, report, sheet))
    else:
        _print(report, sheet, limit)
        if sheet is None and split not in report.prepared:
            click.echo(f"no contact sheet: the {split} split can't be used as it is")
    if report.problems:
        context.exit(ExitCode.DATA)


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that updates a progress bar on stderr.

    The bar is removed at the end. No bar is shown where stderr isn't a terminal, since each update
    would add a line there.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("decoding", total=None)

        def progress(split: str, done: int, total: int) -> None:
            bar.update(task, description=f"decoding {split}", completed=done, total=total)

        yield progress


def _document(name: str, report: Report, sheet: Path | None) -> dict[str, Any]:
    return {
        "recipe": name,
        "data": report.use,
        "stand_in": report.stand_in,
        "notes": report.notes,
        "splits": {
            split: {
                "count": found.count,
                "sizes": {field: dict(sizes) for field, sizes in found.sizes.items()},
                "fields": found.fields,
                "files": found.files,
                "ranges": found.ranges,
                "dark": {
                    field: {name: one._asdict() for name, one in files.items()}
                    for field, files in found.dark.items()
                },
            }
            for split, found in report.splits.items()
        },
        "problems": [vars(problem) for problem in report.problems],
        "contact_sheet": None if sheet is None else str(sheet),
    }


def _print(report: Report, sheet: Path | None, limit: int | None) -> None:
    from ganzoo.data.value_ranges import dark_files

    for note in report.notes:
        click.echo(note, err=True)
    click.echo(f"data {report.use}{' (STAND-IN)' if report.stand_in else ''}")
    for split, found in report.splits.items():
        part = "" if limit is None or limit >= found.count else f", {limit} of them decoded"
        files = ", ".join(f"{count} {name}" for name, count in found.files.items())
        click.echo(f"{split}: {found.count} samples{f' ({files})' if files else ''}{part}")
        for field, sizes in found.sizes.items():
            seen = ", ".join(f"{size} ({count})" for size, count in sizes.most_common(5))
            more = f" and {len(sizes) - 5} more sizes" if len(sizes) > 5 else ""
            becomes = f" -> {found.fields[field]}" if field in found.fields else ""
            values = "{} to {}".format(*found.ranges[field]) if field in found.ranges else ""
            within = f", values {values}" if values else ""
            click.echo(f"  {field}: {seen}{more}{within}{becomes}")
            if said := dark_files(found.dark.get(field, {}), sizes.total()):
                click.echo(f"  {field}: {said}")
    for problem in report.problems:
        click.echo(f"PROBLEM in {problem.split}: {problem.reason}")
    if sheet is not None:
        click.echo(f"contact sheet: {sheet}")
    if report.problems:
        click.echo("next: correct or remove what is wrong, then inspect the data again", err=True)
