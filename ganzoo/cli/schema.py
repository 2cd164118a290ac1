"""`ganzoo schema`: write the JSON Schema by which editors complete and check recipes."""

from __future__ import annotations

from pathlib import Path

import click

from ganzoo.errors import UsageError
from ganzoo.files import write_text
from ganzoo.plugin_system.registry import current
from ganzoo.recipe.schema import FILE, recipe_schema, schema_text


@click.command()
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write, replacing it; default: standard output.",
)
def command(out: Path | None) -> None:
    """Write the JSON Schema (Draft 7) of recipes, with the options of every plugin installed.

    An editor with Taplo or Tombi completes and checks a recipe whose first line names the file,
    such as `#:schema ./recipe.schema.json`.
    """
    text = schema_text(recipe_schema(current()))
    if out is None:
        click.echo(text, nl=False)
        return
    if out.is_dir():  # click accepts an empty name, which is the working directory
        raise UsageError("is a folder, not a file to write", where=str(out))
    try:
        write_text(out, text)
    except OSError as error:
        raise UsageError(f"can't be written: {error.strerror}", where=str(out)) from error
    click.echo(f"wrote {out}", err=True)
    if out.name == FILE:
        click.echo(f"a recipe beside it begins with: #:schema ./{FILE}", err=True)
