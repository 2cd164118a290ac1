"""Components in the schema of recipes: a few definitions a kind, and one a component.

A recipe that extends another may hold any part of a table, and an array of tables never does. So
values and completeness are said apart, each component's values once. Definitions:

- `KIND`: what may be written for a component of that kind, by itself or over a parent's table;
- `KIND.namespace.name`: the table of one component, which its `use` names;
- `KIND.any`: a table with an option of any of them: all that holds of one without `use`, which
  changes a parent's; of one with `use` it holds too, and names the key that is wrong, where the
  choice among all components would only say that none fits;
- `KIND.nested`: `KIND` without what only a table at the top of a recipe may say;
- `KIND.complete`: what must be there where nothing is inherited; says nothing of values.
"""

from __future__ import annotations

import json
import logging
from functools import cache
from typing import Any, get_args

from ganzoo.api import KINDS, Component, Kind, Options
from ganzoo.errors import PluginError
from ganzoo.plugin_system.registry import CORE_KEYS, Entry, Registry
from ganzoo.recipe.option_schema import Schema, demands_of, pointer, table_of
from ganzoo.recipe.resolved import NETWORKS
from ganzoo.recipe.validate import On

_CORE_SCHEMAS: dict[Kind, Schema] = {
    "augment": {
        "description": "Samples it is applied to: of training, those judged or shown, or both.",
        "enum": list(get_args(On)),
        "default": "train",
    },
    "data": {
        "description": "Stands in where the data are missing, and only then, which is said.",
        "anyOf": [pointer("data.nested"), {"enum": ["none"]}],
        "default": "none",
    },
    "loss": {
        "description": "With several losses, terms are logged as name/term.",
        "type": "string",
    },
}

_USES_NONE: Schema = {
    "type": "object",
    "properties": {"use": {"enum": ["none"]}},
    "required": ["use"],
}
_WORDS = {"description", "default", "title"}
"""Keywords that admit and refuse nothing."""

log = logging.getLogger(__name__)


class Definitions:
    """Makes what stands under the names that the module's docstring lists."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.former = _former_ids(registry)
        self.models = cache(self._models)
        self.tables = cache(self._tables)

    def _models(self, kind: Kind) -> list[tuple[Entry, type[Options]]]:
        """The components of a kind with their options."""
        found = []
        for entry in self.registry.components(kind):
            try:
                found.append((entry, self.registry.options_model(entry)))
            except PluginError as error:
                log.warning("%s is left out: %s", entry.id, error.message)
        return found

    def _tables(self, kind: Kind) -> dict[str, Schema]:
        """The table of each component of a kind, by the definition's name."""
        return {
            _name(entry): component_table(entry, model, self.names(entry))
            for entry, model in self.models(kind)
        }

    def make(self, name: str) -> Schema:
        """A definition by its name."""
        part = name.partition(".")[2]
        makers = {
            "": self.kind,
            "any": self.any,
            "nested": self.nested,
            "complete": self.complete,
        }
        kind = _kind(name)
        return makers[part](kind) if part in makers else self.tables(kind)[name]

    def names(self, entry: Entry) -> list[str]:
        """A component's id, and those it had."""
        return [entry.id, *self.former.get((entry.component.kind, entry.id), ())]

    def kind(self, kind: Kind) -> Schema:
        entries = [entry for entry, _ in self.models(kind)]
        notes = {
            name: entry.component.summary if name == entry.id else f"now called {entry.id}"
            for entry in entries
            for name in self.names(entry)
        }
        tables = [pointer(_name(entry)) for entry in entries]
        if kind in NETWORKS:
            notes["none"] = "The task does without it."
            tables.append(_USES_NONE | {"additionalProperties": False})
        text = {"enum": list(notes), "x-taplo": {"docs": {"enumValues": list(notes.values())}}}
        table = {"type": "object", "not": {"required": ["use"]}}
        return {
            "allOf": [pointer(f"{kind}.any")],
            "anyOf": [*([text] if notes else []), *tables, table],
        }

    def any(self, kind: Kind) -> Schema:
        # Alike but for their words is alike: many components share options.
        keys: dict[str, dict[str, tuple[Schema, Schema]]] = {}
        for name, table in self.tables(kind).items():
            for key, option in table["properties"].items():
                says = json.dumps({word: option[word] for word in option if word not in _WORDS})
                target = pointer(f"{name}/properties/{key}")
                keys.setdefault(key, {}).setdefault(says, (target, option))
        names = [name for entry, _ in self.models(kind) for name in self.names(entry)]
        names += ["none"] if kind in NETWORKS else []
        properties: Schema = {"use": {"enum": names}} if names else {}
        for key, ways in keys.items():
            if key != "use":
                targets, options = zip(*ways.values(), strict=True)
                if len(targets) == 1:
                    properties[key] = targets[0]
                elif all("enum" in option for option in options):
                    names = [name for option in options for name in option["enum"]]
                    properties[key] = {"enum": _distinct(names)}
                else:
                    properties[key] = {"anyOf": list(targets)}
        closed = all("additionalProperties" in table for table in self.tables(kind).values())
        return {"properties": properties} | ({"additionalProperties": False} if closed else {})

    def nested(self, kind: Kind) -> Schema:
        refused = []
        if kind in CORE_KEYS:
            refused.append({"type": "object", "required": [CORE_KEYS[kind]]})
        if kind in NETWORKS:
            refused += [{"enum": ["none"]}, _USES_NONE]
        return {"allOf": [pointer(kind)]} | ({"not": {"anyOf": refused}} if refused else {})

    def complete(self, kind: Kind) -> Schema:
        schema: Schema = {"required": ["use"]}
        not_bare, rules = [], []
        for entry, model in self.models(kind):
            ways = complete_ways(entry.component, model)
            if not ways:
                continue
            names = self.names(entry)
            if "required" in ways[0]:
                not_bare += names
            other = {"not": {"properties": {"use": {"enum": names}}}}
            rules.append({"anyOf": [{"type": "string"}, other, *ways]})
        if not_bare:
            schema["not"] = {"enum": not_bare}
        return schema | ({"allOf": rules} if rules else {})


def _distinct(values: list[Any]) -> list[Any]:
    """Values without repetition; `true` and 1 are two."""
    return [json.loads(one) for one in dict.fromkeys(map(json.dumps, values))]


def _kind(name: str) -> Kind:
    """The kind that a definition's name begins with."""
    return next(kind for kind in KINDS if kind == name.partition(".")[0])


def _name(entry: Entry) -> str:
    return f"{entry.component.kind}.{entry.id.replace('/', '.', 1)}"


def component_table(entry: Entry, model: type[Options], names: list[str]) -> Schema:
    """What may stand in a component's table, at the top of a recipe; only `use` is required."""
    component, table = entry.component, table_of(model)
    properties: Schema = {"use": {"enum": names, "description": component.summary}}
    if component.presets and "preset" not in table["properties"]:
        presets = list(component.presets)
        text = "A named set of options as the table's base."
        properties["preset"] = {"enum": presets, "description": text}
    if component.kind in CORE_KEYS:
        properties[CORE_KEYS[component.kind]] = _CORE_SCHEMAS[component.kind]
    paper = f" ({component.paper})" if component.paper else ""
    about = {"title": entry.id, "description": f"{component.summary}{paper}"}
    return {**table, **about, "properties": properties | table["properties"], "required": ["use"]}


def complete_ways(component: Component, model: type[Options]) -> list[Schema]:
    """Ways in which a component's table is complete: by itself, or with a preset; [] if always."""
    demands = demands_of(model)
    if not demands:
        return []
    ways = [demands]
    for name, preset in component.presets.items():
        missing = demands_of(model, preset)
        if missing.get("required") != demands.get("required"):
            named = {"preset": {"enum": [name]}, **missing.get("properties", {})}
            ways.append({"required": ["preset", *missing.get("required", [])], "properties": named})
    return ways


def _former_ids(registry: Registry) -> dict[tuple[Kind, str], list[str]]:
    """The ids that each component had, which recipes may still name."""
    renamed = {
        (one.kind, f"{record.namespace}/{one.name}"): one.renamed_to
        for record in registry.records
        for one in record.components
        if one.renamed_to
    }
    former: dict[tuple[Kind, str], list[str]] = {}
    for (kind, old), new in renamed.items():
        passed, name = {old}, new
        while (kind, name) in renamed and name not in passed:
            passed.add(name)
            name = renamed[kind, name]
        former.setdefault((kind, name), []).append(old)
    return former
