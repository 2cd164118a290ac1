"""A JSON Schema of recipes with the options of every installed plugin, for use in editors.

`ganzoo.recipe.definitions` describes the definitions for the components of each kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ganzoo.api import KINDS
from ganzoo.plugin_system.registry import CORE_KEYS, NESTED, Entry, Registry
from ganzoo.recipe.definitions import Definitions, complete_ways, component_table
from ganzoo.recipe.model import SETTINGS
from ganzoo.recipe.option_schema import Schema, demands_of, pointer, table_of
from ganzoo.recipe.resolved import ARRAYS, KEYS, NETWORKS
from ganzoo.recipe.validate import NAME, OF_PLAYERS

DRAFT = "http://json-schema.org/draft-07/schema#"
FILE = "recipe.schema.json"
"""The usual name of the schema. Shipped recipes expect it in their own folder."""

HELP = {
    "name": "Part of the run directory's path; default: the file's name.",
    "summary": "One line that describes the recipe.",
    "extends": "The recipe that this one changes, or several recipes: later ones override earlier "
    "ones.",
    "out": "Folder of the run directories: OUT/NAME/STAMP.",
    "task": "The training algorithm.",
    "data": "Where samples come from.",
    "augment": "Augmentations, applied in their order to each sample.",
    "diffaugment": "Augmentations, applied in their order to everything that a discriminator sees "
    "in training.",
    "generator": 'The network of all roles of this kind, or "none".',
    "discriminator": 'The network of all roles of this kind, or "none".',
    "network": 'The network of all roles of this kind, or "none".',
    "networks": "Changes of a network's table for single roles of the task: [networks.ROLE].",
    "loss": "What is minimised; several ([[loss]]) are summed.",
    "metric": "The metrics of an evaluation; with an empty array, only those that the data "
    "propose.",
    "callback": "Components whose hooks are called during the run.",
    "optimizer": "How weights are changed; by default with Adam. Each player has its own.",
    "players": "Changes of [optimizer] for single players of the task: [players.NAME].",
}
"""The description of each top-level key, except settings, which are described by their models."""


def recipe_schema(registry: Registry) -> Schema:
    """Return the schema of a recipe file, in JSON Schema Draft 7, without an import of any target.

    A component whose options can't be imported is left out, with a warning.
    """
    whole: Schema = {
        "title": "ganzoo recipe",
        "description": "The description of a run: task, data, networks, loss, training.",
        "type": "object",
        "properties": {key: {"description": HELP.get(key, ""), **_top(key)} for key in KEYS},
        "additionalProperties": False,
        "anyOf": [{"required": ["extends"]}, _complete_recipe()],
    }
    return _document(registry, whole)


def component_schema(registry: Registry, entry: Entry) -> Schema:
    """Return the Draft 7 schema of one component's table: `use`, `preset` if any, and its options.

    Raises:
        PluginError: the options can't be imported.
    """
    kind, component = entry.component.kind, entry.component
    model = registry.options_model(entry)
    table = component_table(entry, model, [entry.id])
    if kind in CORE_KEYS:
        for key in CORE_KEYS[kind]:
            del table["properties"][key]
    return _document(registry, table | {"anyOf": complete_ways(component, model) or [{}]})


def schema_text(schema: Schema) -> str:
    """Return a schema as JSON with one definition or key per line, so that a diff is readable."""

    def rows(table: Mapping[str, Any], indent: str) -> str:
        lines = (
            f"{indent}{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
            for key, value in table.items()
        )
        return ",\n".join(lines)

    head = {key: value for key, value in schema.items() if key != "definitions"}
    body = rows(schema["definitions"], "  ")
    return f'{{\n{rows(head, " ")},\n "definitions": {{\n{body}\n }}\n}}\n'


def schema_line(folder: Path) -> str:
    """Return the first line of a recipe in a folder with a schema, which it names; else ""."""
    return f"#:schema ./{FILE}\n" if (folder / FILE).is_file() else ""


def _top(key: str) -> Schema:
    """Return the schema of a top-level key in a recipe that extends another."""
    text: Schema = {"type": "string"}
    fixed: dict[str, Schema] = {
        "name": text | {"pattern": f"^{NAME.pattern}$"},
        "summary": text,
        "out": text,
        "extends": {"anyOf": [text, {"type": "array", "items": text}]},
    }
    if key in SETTINGS:
        return table_of(SETTINGS[key])
    if key == "players":
        return {"type": "object", "additionalProperties": pointer("optimizer")}
    if key == "networks":
        any_kind: Schema = {"anyOf": [pointer(kind) for kind in NETWORKS]}
        return {"type": "object", "additionalProperties": any_kind}
    if key in {"loss", *ARRAYS}:
        array: Schema = {"items": {"allOf": [pointer(key), pointer(f"{key}.complete")]}}
        array |= {"minItems": 1} if key == "loss" else {}
        one_or_many = {"anyOf": [{"type": "array"}, pointer(key)]}
        return {"allOf": [pointer(f"{key}.any")], **one_or_many, **array}
    if key == "optimizer":
        of_players = [{"type": "object", "required": [name]} for name in OF_PLAYERS]
        return {"allOf": [pointer(key)], "not": {"anyOf": of_players}}
    return fixed.get(key) or {"allOf": [pointer(key)]}


def _complete_recipe() -> Schema:
    """Return a schema of the keys that a recipe must have if it extends no other."""
    demands = {key: demands_of(model) for key, model in SETTINGS.items()}
    demands |= {key: pointer(f"{key}.complete") for key in KEYS if key in KINDS}
    for key, nested in NESTED.items():
        inside = {inner: pointer(f"{kind}.complete") for inner, kind in nested.items()}
        demands[key] = {"allOf": [demands[key], {"properties": inside}]}
    return {
        "required": ["task", "data", "loss"],
        "properties": {key: demand for key, demand in demands.items() if demand},
    }


def _document(registry: Registry, schema: Schema) -> Schema:
    """Return the schema with all definitions that it refers to, directly or indirectly."""
    maker = Definitions(registry)
    found: dict[str, Schema] = {}
    todo = [schema]
    while todo:
        for name in _pointed_to(todo.pop()):
            if name not in found:
                found[name] = maker.make(name)
                todo.append(found[name])
    return {"$schema": DRAFT, **schema, "definitions": dict(sorted(found.items()))}


def _pointed_to(schema: Any) -> Iterator[str]:
    """Yield the names of the definitions that a schema refers to, as a whole or in part."""
    if isinstance(schema, dict):
        target = schema.get("$ref")
        if isinstance(target, str):
            yield target.split("/")[2]
        for value in schema.values():
            yield from _pointed_to(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _pointed_to(value)
