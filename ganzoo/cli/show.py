"""`ganzoo show`: explain a component and each of its options."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import click

from ganzoo.api import KINDS, TAGS, Kind
from ganzoo.cli.component_source import source_of
from ganzoo.cli.console import print_json
from ganzoo.errors import GanzooError
from ganzoo.plugin_system.registry import CORE_KEYS, NESTED, Entry, Registry, current
from ganzoo.recipe import shipped_recipes
from ganzoo.recipe.describe_options import OptionHelp, describe
from ganzoo.recipe.load import read_merged
from ganzoo.recipe.merge import Source, build, plain
from ganzoo.recipe.optimizer_tables import with_whole_optimizers
from ganzoo.recipe.resolved import NETWORKS
from ganzoo.recipe.role_tables import with_whole_roles
from ganzoo.recipe.validate import DEFAULT_METRICS


@click.command()
@click.argument("name", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(name: str, as_json: bool) -> None:  # noqa: FBT001  # click passes by name
    """Explain the component ID (namespace/name): options, defaults, limits, presets, source.

    The recipes that use it are listed too: those shipped with ganzoo and with plugins, with all
    defaults filled in.
    """
    registry = current()
    entries = registry.lookup(name)
    used = _uses_of_recipes(registry)
    found = [_document(registry, entry, used) for entry in entries]
    if as_json:
        print_json({"components": found})
        return
    for document in found:
        _print(document)


def _document(
    registry: Registry, entry: Entry, used: Mapping[str, set[tuple[str, str]]]
) -> dict[str, Any]:
    component, record = entry.component, entry.record
    source, line = source_of(component)
    return {
        "id": entry.id,
        "kind": component.kind,
        "summary": component.summary,
        "paper": component.paper,
        "revision": component.revision,
        "tags": list(component.tags),
        "distribution": record.distribution,
        "version": record.version,
        "source": source,
        "line": line,
        "options": [asdict(option) for option in describe(registry.options_model(entry))],
        "presets": {name: dict(options) for name, options in component.presets.items()},
        "recipes": [
            name
            for name, uses in used.items()
            if {(component.kind, entry.id), ("", entry.id)} & uses
        ],
    }


def _uses_of_recipes(registry: Registry) -> dict[str, set[tuple[str, str]]]:
    """Return the kinds and ids of the components that each shipped recipe uses.

    The kind is empty for a component that is named in the options of another one. The recipes
    aren't validated as a whole: only their components matter, and many recipes share them.
    """
    known: dict[str, set[tuple[str, str]]] = {}

    def uses(kind: Kind, value: Any) -> set[tuple[str, str]]:
        key = json.dumps([kind, value], default=str)
        if key not in known:
            chosen = registry.choose(kind, value)
            _, *inner = chosen.ids()
            known[key] = {(kind, chosen.id), *(("", one) for one in inner)}
        return known[key]

    used, failed = {}, []
    for name, file in shipped_recipes(registry).items():
        try:
            recipe = read_merged(file, registry, places=False)
            used[name] = set().union(*(uses(*one) for one in _components(recipe, registry)))
        except GanzooError:
            failed.append(name)
    if failed:
        click.echo(f"not checked, since they have problems: {', '.join(failed)}", err=True)
    return used


def _components(recipe: Mapping[str, Any], registry: Registry) -> Iterator[tuple[Kind, Any]]:
    """Yield the kind and the value of each component that a recipe names.

    Keys in the table of a component that belong to the core are left out.
    """
    tree = with_whole_optimizers(build(recipe, Source("recipe"), {}), registry)
    whole, kinds = with_whole_roles(tree, registry)
    recipe = plain(whole)
    for kind in KINDS:
        value = recipe.get(kind, list(DEFAULT_METRICS) if kind == "metric" else [])
        for one in value if isinstance(value, list) else [value]:
            if kind in NETWORKS and one in ("none", {"use": "none"}):
                continue
            yield from _with_nested(kind, one)
    for role, kind in kinds.items():
        yield kind, recipe["networks"][role]
    for player in recipe.get("players", {}).values():
        yield from _with_nested("optimizer", player)


def _with_nested(kind: Kind, value: Any) -> Iterator[tuple[Kind, Any]]:
    """Yield a component without the core's keys, and the components that these keys name."""
    if not isinstance(value, Mapping) or kind not in CORE_KEYS:
        yield kind, value
        return
    yield kind, {key: item for key, item in value.items() if key not in CORE_KEYS[kind]}
    for key, inner in NESTED.get(kind, {}).items():
        if value.get(key, "none") != "none":
            yield inner, value[key]


def _print(document: dict[str, Any]) -> None:
    click.echo(f"{document['id']} ({document['kind']}): {document['summary']}")
    if document["paper"]:
        click.echo(f"  paper: {document['paper']}")
    for tag in document["tags"]:
        click.echo(f"  tag: {tag} ({TAGS[tag]})")
    if document["source"]:
        line = f":{document['line']}" if document["line"] else ""
        click.echo(f"  source: {document['source']}{line}")
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
    if document["recipes"]:
        click.echo("\nrecipes that use it:")
    for name in document["recipes"]:
        click.echo(f"  {name}")


def _print_option(option: OptionHelp) -> None:
    if option.required:
        default = " (required)"
    else:
        default = "" if option.default is None else f" = {json.dumps(option.default)}"
    limits = f", {option.limits}" if option.limits else ""
    click.echo(f"  {option.key}{default}")
    click.echo(f"      {option.type}{limits}")
    if option.help:
        width = min(88, max(20, shutil.get_terminal_size((94, 0)).columns - 6))
        click.echo(textwrap.indent(textwrap.fill(option.help, width), "      "))
