"""`ganzoo recipes`: list, copy, show and compare recipes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ganzoo.cli.console import print_columns, print_json
from ganzoo.cli.lazy_commands import NamingGroup
from ganzoo.errors import RecipeError, UsageError
from ganzoo.files import expanded
from ganzoo.plugin_system.registry import Registry, current
from ganzoo.recipe import Recipe, find_recipe, load_recipe, shipped_recipes
from ganzoo.recipe.resolved import flatten


@click.group(cls=NamingGroup)
def command() -> None:
    """List, copy, show and compare recipes."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_recipes(*, as_json: bool) -> None:
    """List the shipped recipes: ganzoo's, and those of plugins."""
    rows = _rows(current())
    if as_json:
        print_json({"recipes": rows})
    elif rows:
        print_columns([(row["name"], row["summary"], _extending(row["extends"])) for row in rows])
    else:
        click.echo("ganzoo and the installed plugins ship no recipes", err=True)


def _extending(extends: list[str]) -> str:
    return f"extends {', '.join(extends)}" if extends else ""


def _rows(registry: Registry) -> list[dict[str, Any]]:
    from ganzoo.recipe.load import read_text
    from ganzoo.recipe.parse import NotReadError, parse

    owners = {
        f"{record.namespace}/{recipe.name.removesuffix('.toml')}": record.namespace
        for record in registry.records
        for recipe in record.recipes
    }
    rows = []
    for name, file in shipped_recipes(registry).items():
        try:
            table, _ = parse(read_text(file), places=False)
        except (RecipeError, NotReadError) as error:
            click.echo(f"warning: the recipe {name} can't be read: {error}", err=True)
            continue
        extends = table.get("extends", [])
        rows.append(
            {
                "name": name,
                "summary": str(table.get("summary", "")),
                "extends": list(map(str, extends if isinstance(extends, list) else [extends])),
                "plugin": owners.get(name, "ganzoo"),
            }
        )
    return rows


@command.command("copy")
@click.argument("recipe")
@click.option(
    "-o",
    "--out",
    metavar="FILE.toml",
    type=click.Path(path_type=Path),
    help="The file to write (default: the recipe's file name, in the working directory).",
)
@click.option(
    "--flat",
    is_flag=True,
    help="Write the recipes that it extends into the copy; comments are lost.",
)
def copy(recipe: str, out: Path | None, *, flat: bool) -> None:
    """Copy RECIPE, a shipped recipe's name or a path, in order to change it.

    The copy has the same meaning in every folder: a recipe that it extends is found by its name. An
    existing file is never replaced.
    """
    from ganzoo.files import write_text
    from ganzoo.recipe.copy import copied
    from ganzoo.recipe.schema import FILE, schema_line

    registry = current()
    file = find_recipe(recipe, registry)
    out = Path(file.name) if out is None else out
    if out.is_dir():
        out /= file.name
    if out.suffix != ".toml":
        raise UsageError("a recipe's name ends in .toml", where=str(out))
    if out.exists():
        raise UsageError("this file exists", where=str(out), hint="choose another name with -o")
    try:
        write_text(out, copied(file, out.parent, registry, flat=flat))
    except OSError as error:
        raise UsageError(f"can't be written: {error.strerror}", where=str(out)) from error
    click.echo(out)
    if not schema_line(out.parent):
        schema = out.with_name(FILE)
        click.echo(
            f"for completion in an editor: `ganzoo schema -o {schema}`, and as the recipe's first "
            f"line: #:schema ./{FILE}",
            err=True,
        )


@command.command("show")
@click.argument("recipe")
@click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Change a key of the recipe."
)
@click.option(
    "--origin",
    is_flag=True,
    help="Show beside each value the file and the line from which it came.",
)
def show(recipe: str, overrides: tuple[str, ...], *, origin: bool) -> None:
    """Print every key of RECIPE as TOML, with what it extends and all defaults filled in.

    RECIPE is a shipped recipe's name, a path, or a run directory. The output is a recipe too.
    """
    from ganzoo.recipe.write import dumps

    loaded = _load(recipe, overrides)
    click.echo(dumps(loaded.document, loaded.origins if origin else None), nl=False)


@command.command("diff")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def diff(first: str, second: str, *, as_json: bool) -> None:
    """Show the keys in which two recipes differ, with all defaults filled in.

    A and B are shipped recipes' names, paths, or run directories.
    """
    flat = [flatten(_load(one).document) for one in (first, second)]
    keys = dict.fromkeys([*flat[0], *flat[1]])
    found = {key: [table.get(key) for table in flat] for key in keys}
    found = {key: values for key, values in found.items() if values[0] != values[1]}
    if as_json:
        print_json({"recipes": [first, second], "differences": found})
    elif found:
        rows = [(key, *map(_shown, values)) for key, values in found.items()]
        print_columns([("", first, second), *rows])
    else:
        click.echo("nothing differs", err=True)


def _shown(value: Any) -> str:
    return "-" if value is None else json.dumps(value, ensure_ascii=False)


def _load(ref: str, overrides: tuple[str, ...] = ()) -> Recipe:
    """Load a recipe by its name or path, or the resolved recipe of a run directory.

    Raises:
        RecipeProblems: the recipe has problems.
        RecipeError: there is no such recipe.
    """
    folder = expanded(ref)
    if folder.is_dir():
        from ganzoo.run_files import RESOLVED

        if (folder / RESOLVED).is_file():
            return load_recipe(folder / RESOLVED, overrides)
    return load_recipe(ref, overrides)
