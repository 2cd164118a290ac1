"""`ganzoo show`: a component, and each of its options."""

from __future__ import annotations

import importlib.util
import json
import textwrap
from dataclasses import asdict
from typing import Any

import click

from ganzoo.cli.console import print_json
from ganzoo.recipe.describe import OptionHelp, describe
from ganzoo.registry import Entry, Registry, current


@click.command()
@click.argument("name", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(name: str, as_json: bool) -> None:  # noqa: FBT001  # click passes by name
    """Explain the component ID (namespace/name): options, defaults, limits, presets, source."""
    registry = current()
    found = [_document(registry, entry) for entry in registry.lookup(name)]
    if as_json:
        print_json({"components": found})
        return
    for document in found:
        _print(document)


def _document(registry: Registry, entry: Entry) -> dict[str, Any]:
    component, record = entry.component, entry.record
    return {
        "id": entry.id,
        "kind": component.kind,
        "summary": component.summary,
        "paper": component.paper,
        "revision": component.revision,
        "distribution": record.distribution,
        "version": record.version,
        "source": _source(component.target),
        "options": [asdict(option) for option in describe(registry.options_model(entry))],
        "presets": {name: dict(options) for name, options in component.presets.items()},
    }


def _source(target: str) -> str:
    """The file of a target, found without running it (only its parent packages are imported)."""
    module = target.partition(":")[0]
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:
        spec = None
    return (spec.origin or "") if spec else ""


def _print(document: dict[str, Any]) -> None:
    click.echo(f"{document['id']} ({document['kind']}): {document['summary']}")
    for key in ("paper", "source"):
        if document[key]:
            click.echo(f"  {key}: {document[key]}")
    click.echo(
        f"  from: {document['distribution']} {document['version']}".rstrip()
        + f", revision {document['revision']}"
    )
    click.echo("\noptions:" if document["options"] else "\nIt has no options.")
    for option in document["options"]:
        _print_option(OptionHelp(**option))
    if document["presets"]:
        click.echo('\npresets (preset = "NAME"):')
    for name, options in document["presets"].items():
        values = ", ".join(f"{key} = {json.dumps(value)}" for key, value in options.items())
        click.echo(f"  {name}: {values}")


def _print_option(option: OptionHelp) -> None:
    if option.required:
        default = " (required)"
    else:
        default = "" if option.default is None else f" = {json.dumps(option.default)}"
    limits = f", {option.limits}" if option.limits else ""
    click.echo(f"  {option.key}{default}")
    click.echo(f"      {option.type}{limits}")
    if option.help:
        click.echo(textwrap.indent(textwrap.fill(option.help, 88), "      "))
