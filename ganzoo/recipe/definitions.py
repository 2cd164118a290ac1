"""The definitions of components in the schema of recipes: a few for each kind, one per component.

A recipe that extends another may have any part of a table, but never a part of an array of tables.
So values and completeness have separate definitions, and the values of each component are defined
once. The definitions are:

- `KIND`: what may be written for a component of that kind, on its own or as a change of a table
  that is inherited;
- `KIND.namespace.name`: the table of the one component that its `use` names;
- `KIND.any`: a table with the options of any component of the kind. For a table without `use`,
  which changes an inherited one, this is the only rule. It also applies to a table with `use`:
  an editor can then name the wrong key, while the choice among all components only fails as a
  whole;
- `KIND.nested`: `KIND` without what is allowed only in a table at the top of a recipe;
- `KIND.complete`: which keys must be present if nothing is inherited. It restricts no values.
"""

from __future__ import annotations

import json
import logging
from functools import cache
from typing import Any, get_args

from ganzoo.api import KINDS, Component, Kind, Options
from ganzoo.errors import PluginError
from ganzoo.plugin_system.registry import CORE_KEYS, DEFAULTS, SHORT_KEYS, Entry, Registry
from ganzoo.recipe.model import OptimizerKeys
from ganzoo.recipe.option_schema import Schema, demands_of, pointer, table_of
from ganzoo.recipe.resolved import NETWORKS
from ganzoo.recipe.validate import On

_ON: Schema = {
    "description": "Samples to which it is applied: those of training, those evaluated or shown, "
    "or both.",
    "enum": list(get_args(On)),
    "default": "train",
}
_FALLBACK: Schema = {
    "description": "Data that are used only if these data are missing; the log says so.",
    "anyOf": [pointer("data.nested"), {"enum": ["none"]}],
    "default": "none",
}
_NAME: Schema = {
    "description": "With several losses, terms are logged as name/term.",
    "type": "string",
}
_CORE_SCHEMAS: dict[Kind, Schema] = {
    "augment": {"on": _ON},
    "data": {"fallback": _FALLBACK},
    "loss": {"name": _NAME},
    "optimizer": table_of(OptimizerKeys)["properties"],
}
"""For each kind, the schemas of the core's keys in a component's table."""

_USES_NONE: Schema = {
    "type": "object",
    "properties": {"use": {"enum": ["none"]}},
    "required": ["use"],
}
_WORDS = {"description", "default", "title"}
"""The keywords that don't change which values are valid."""

log = logging.getLogger(__name__)


class Definitions:
    """A builder of the definitions that the module's docstring lists."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.former = _former_ids(registry)
        self.models = cache(self._models)
        self.tables = cache(self._tables)

    def _models(self, kind: Kind) -> list[tuple[Entry, type[Options]]]:
        """Return the components of a kind with their options models."""
        found = []
        for entry in self.registry.components(kind):
            try:
                found.append((entry, self.registry.options_model(entry)))
            except PluginError as error:
                log.warning("%s is left out: %s", entry.id, error.message)
        return found

    def _tables(self, kind: Kind) -> dict[str, Schema]:
        """Return the table of each component of a kind, by the name of its definition."""
        return {
            _name(entry): component_table(entry, model, self.names(entry))
            for entry, model in self.models(kind)
        }

    def make(self, name: str) -> Schema:
        """Return the definition with a name."""
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
        """Return the id of a component, followed by its former ids."""
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
            notes["none"] = "The task works without it."
            tables.append(_USES_NONE | {"additionalProperties": False})
        text = {"enum": list(notes), "x-taplo": {"docs": {"enumValues": list(notes.values())}}}
        table = {"type": "object", "not": {"required": ["use"]}}
        return {
            "allOf": [pointer(f"{kind}.any")],
            "anyOf": [*([text] if notes else []), *tables, table],
        }

    def any(self, kind: Kind) -> Schema:
        # Options that differ only in the keywords of _WORDS count as equal: many are shared.
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
        if kind in SHORT_KEYS:
            core = [entry.component.name for entry, _ in self.models(kind) if _of_core(entry)]
            about = f"Short for `use`, with the core's own {kind}s."
            properties[SHORT_KEYS[kind]] = {"enum": core, "description": about}
        closed = all("additionalProperties" in table for table in self.tables(kind).values())
        return {"properties": properties} | ({"additionalProperties": False} if closed else {})

    def nested(self, kind: Kind) -> Schema:
        refused = []
        if kind in CORE_KEYS:
            refused += [{"type": "object", "required": [key]} for key in CORE_KEYS[kind]]
        if kind in NETWORKS:
            refused += [{"enum": ["none"]}, _USES_NONE]
        return {"allOf": [pointer(kind)]} | ({"not": {"anyOf": refused}} if refused else {})

    def complete(self, kind: Kind) -> Schema:
        default = DEFAULTS.get(kind)
        schema: Schema = {} if default else {"required": ["use"]}
        not_bare, rules = [], []
        for entry, model in self.models(kind):
            ways = complete_ways(entry.component, model)
            if not ways:
                continue
            names = self.names(entry)
            if "required" in ways[0]:
                not_bare += names
            this: Schema = {"properties": {"use": {"enum": names}}}
            if default and entry.id != default:
                this["required"] = ["use"]
            other = {"not": this}
            rules.append({"anyOf": [{"type": "string"}, other, *ways]})
        if not_bare:
            schema["not"] = {"enum": not_bare}
        return schema | ({"allOf": rules} if rules else {})


def _distinct(values: list[Any]) -> list[Any]:
    """Return values without duplicates; `true` and 1 are different values."""
    return [json.loads(one) for one in dict.fromkeys(map(json.dumps, values))]


def _of_core(entry: Entry) -> bool:
    return entry.id.startswith("ganzoo/")


def _kind(name: str) -> Kind:
    """Return the kind with which the name of a definition begins."""
    return next(kind for kind in KINDS if kind == name.partition(".")[0])


def _name(entry: Entry) -> str:
    return f"{entry.component.kind}.{entry.id.replace('/', '.', 1)}"


def component_table(entry: Entry, model: type[Options], names: list[str]) -> Schema:
    """Return what a component's table at the top of a recipe may contain; it requires only `use`.

    Args:
        entry: the component.
        model: its options.
        names: the ids that `use` may have: the present one, and former ones.
    """
    component, table = entry.component, table_of(model)
    properties: Schema = {"use": {"enum": names, "description": component.summary}}
    if component.presets and "preset" not in table["properties"]:
        presets = list(component.presets)
        text = "A named set of options, which the table's own keys override."
        properties["preset"] = {"enum": presets, "description": text}
    if component.kind in CORE_KEYS:
        properties |= _CORE_SCHEMAS[component.kind]
    paper = f" ({component.paper})" if component.paper else ""
    about = {"title": entry.id, "description": f"{component.summary}{paper}"}
    return {**table, **about, "properties": properties | table["properties"], "required": ["use"]}


def complete_ways(component: Component, model: type[Options]) -> list[Schema]:
    """Return the ways to complete a component's table: without a preset, or with one of them.

    The list is empty if the table is always complete.
    """
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
    """Return the former ids of each component, which recipes may still name."""
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
