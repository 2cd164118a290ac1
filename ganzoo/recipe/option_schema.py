"""The JSON Schema of a component's options: that of pydantic, in a form that TOML editors read.

The draft is 7, the newest one that Taplo and Tombi read in the same way. Taplo doesn't know
`prefixItems`, and Tombi reads an array of `items` by the draft that the schema names. Taplo ignores
the keywords beside a `$ref`, so models are written out at each place where they are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import to_jsonable_python

from ganzoo.options import COMPONENT

Schema = dict[str, Any]

_LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
"""Pydantic's names of limits, with the names that a schema uses. They are needed for types whose
schema pydantic doesn't know."""
_VALUES = {"const", "default", "enum", "examples"}
"""The keywords that contain values and not schemas."""
_NAMED = {"properties", "patternProperties"}


class _Generator(GenerateJsonSchema):
    """The schema generator of pydantic, adapted to recipes."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  # an attribute of instances there

    def nullable_schema(self, schema: Any) -> Schema:
        return self.generate_inner(schema["schema"])  # TOML has no null

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Schema:
        del schema, error_info
        return {}  # a schema without rules for this type is better than no schema

    def encode_default(self, dft: Any) -> Any:
        return to_jsonable_python(dft)  # pydantic would build a validator for each default

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


def pointer(name: str) -> Schema:
    """Return a reference to the schema with a name in `definitions`."""
    return {"$ref": f"#/definitions/{name}"}


def table_of(model: type[BaseModel]) -> Schema:
    """Return the schema of a model's table with no key required (see `demands_of`)."""
    table: Schema = _without_demands(_whole(model))
    return table


def demands_of(model: type[BaseModel], given: Iterable[str] = ()) -> Schema:
    """Return a schema of the keys that a complete table of a model and its inner tables must have.

    It is empty if no key is required. It restricts no values, and allows anything that isn't a
    table. An option that names a component must be complete by the definition `KIND.complete`.

    Args:
        model: the options.
        given: keys that a preset already has.
    """
    schema = _whole(model)
    missing = [key for key in schema.get("required", ()) if key not in given]
    return _demands({**schema, "required": missing})


@lru_cache
def _whole(model: type[BaseModel]) -> Schema:
    schema = model.model_json_schema(schema_generator=_Generator)
    return _written_out(schema, schema.get("$defs", {}))


def _written_out(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], inside: tuple[str, ...] = ()
) -> Schema:
    """Return a schema of pydantic in which each reference is replaced by its definition.

    Args:
        schema: the schema, or a part of it.
        definitions: its `$defs`. A definition inside itself is replaced by an empty schema.
        inside: the names of the definitions that contain this part.
    """
    if name := schema.get("$ref", "").rpartition("/")[2]:
        target = {} if name in inside else definitions[name]
        schema = {**target, **{key: schema[key] for key in schema if key != "$ref"}}
        inside = (*inside, name)

    def inner(value: Any) -> Any:
        if isinstance(value, list):
            return [inner(one) for one in value]
        return _written_out(value, definitions, inside) if isinstance(value, dict) else value

    made: Schema = {}
    for key, value in schema.items():
        if key in _VALUES:
            made |= {} if value is None else {key: value}
        elif key in _NAMED:
            made[key] = {name: inner(one) for name, one in value.items()}
        elif key == "prefixItems":
            made["items"] = inner(value)
        elif key == COMPONENT:
            made["allOf"] = [pointer(f"{value}.nested")]
        elif key not in {"$defs", "title"}:
            made[key] = inner(value)
    if "description" in made:
        made["description"] = " ".join(made["description"].split())
    _tell_arms(made)
    return made


def _tell_arms(schema: Schema) -> None:
    """Copy the limits and the description of a value to its alternatives.

    Taplo uses the alternatives for completion, and shows their descriptions.
    """
    limits = {name: schema.pop(key) for key, name in _LIMITS.items() if key in schema}
    for arm in schema.get("anyOf", ()):
        if "description" in schema and "allOf" not in arm:
            arm.setdefault("description", schema["description"])
        ends = [arm.get("properties", {}).get(end, {}) for end in ("from", "to")]
        for number in (arm, *ends):
            if number.get("type") in {"integer", "number"}:
                number.update(limits)


def _without_demands(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_demands(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: one if key in _VALUES else _without_demands(one)
        for key, one in value.items()
        if key != "required" or not isinstance(one, list)
    }


def _demands(schema: Any) -> Schema:
    if not isinstance(schema, dict):
        return {}
    for one in schema.get("allOf", ()):
        if one.get("$ref", "").endswith(".nested"):
            return {"$ref": one["$ref"].removesuffix("nested") + "complete"}
    arms = [demands for arm in schema.get("anyOf", ()) if (demands := _demands(arm))]
    if len(arms) == 1:
        return arms[0]
    inner = {key: _demands(one) for key, one in schema.get("properties", {}).items()}
    inner = {key: demands for key, demands in inner.items() if demands}
    items = schema.get("items")
    each = [_demands(one) for one in items] if isinstance(items, list) else _demands(items)
    found = {"required": schema.get("required"), "properties": inner}
    found["items"] = each if each != [{}] * len(each) else None
    return {key: value for key, value in found.items() if value}
