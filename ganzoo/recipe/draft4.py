"""Options as JSON Schema: what may be written for a type, in the words of Draft 4.

Draft 4 is what Taplo, the language server of TOML, reads. It knows no `const`, `prefixItems` or
numeric `exclusiveMinimum`, and ignores what stands beside a `$ref`.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ganzoo.api import Ref, Scalar
from ganzoo.plugin_system.option_errors import key_of
from ganzoo.recipe.describe_options import default_of, flat

Schema = dict[str, Any]

_PLAIN: dict[Any, Schema] = {
    Any: {},
    object: {},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    list: {"type": "array"},
    tuple: {"type": "array"},
    set: {"type": "array"},
    frozenset: {"type": "array"},
    dict: {"type": "object"},
}
_ARRAYS = {list, tuple, set, frozenset, Sequence, Iterable}
_UNIONS = {Union, types.UnionType}
_NUMBERS = {
    "ge": ("minimum", None),
    "gt": ("minimum", "exclusiveMinimum"),
    "le": ("maximum", None),
    "lt": ("maximum", "exclusiveMaximum"),
    "multiple_of": ("multipleOf", None),
}
_LENGTHS = {"min_length": ("minLength", "minItems"), "max_length": ("maxLength", "maxItems")}


def pointer(name: str) -> Schema:
    """The schema that stands under a name in `definitions`."""
    return {"$ref": f"#/definitions/{name}"}


def table_of(model: type[BaseModel]) -> Schema:
    """What may stand in a model's table; nothing in it is required (see `demands_of`)."""
    schema: Schema = {
        "type": "object",
        "properties": {
            key_of(name, info): _option(info) for name, info in model.model_fields.items()
        },
    }
    if model.model_config.get("extra") == "forbid":
        schema["additionalProperties"] = False
    return schema


def _option(info: FieldInfo) -> Schema:
    schema = value_of(info.annotation, info.metadata)
    notes: Schema = {}
    if info.description:
        notes["description"] = " ".join(info.description.split())
        # Taplo completes by the arms, and shows what they say; a pointer can't say anything.
        for arm in schema.get("anyOf", []):
            if "$ref" not in arm:
                arm.setdefault("description", notes["description"])
    default = default_of(info)
    if default is not None:
        notes["default"] = default
    return {**notes, **({"allOf": [schema]} if "$ref" in schema else schema)}


def value_of(annotation: Any, metadata: Sequence[Any] = ()) -> Schema:  # noqa: PLR0911  # a case a line
    """What may be written for a type with its limits.

    An option that names a component points to the definition `KIND.nested`. A type that this
    module doesn't know is pydantic's to describe; if it can't, anything may be written.
    """
    metadata = flat(metadata)
    stated = _stated(metadata)
    if stated is not None:
        return stated
    origin, arms = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return value_of(arms[0], [*arms[1:], *metadata])
    if origin in _UNIONS:
        return _any_of([value_of(arm, metadata) for arm in arms if arm is not type(None)])
    if origin is Literal:
        return {"enum": list(arms)}
    if origin in _ARRAYS:
        return _array(origin, arms) | _limits(metadata, "array")
    if origin in {dict, Mapping}:
        return {"type": "object", "additionalProperties": value_of(arms[1])}
    return _class(annotation, metadata)


def _stated(metadata: Iterable[Any]) -> Schema | None:
    """What the metadata themselves say may be written, if they do."""
    for one in metadata:
        if isinstance(one, Ref):
            return pointer(f"{one.kind}.nested")
        if isinstance(one, WithJsonSchema):
            return draft4(one.json_schema or {})
        written = getattr(one, "json_schema_input_type", PydanticUndefined)
        if written is not PydanticUndefined:  # a validator that takes other types than it makes
            return value_of(written)
    return None


def _class(annotation: Any, metadata: Sequence[Any]) -> Schema:
    if annotation is Scalar:
        return _scalar(metadata)
    if annotation in _PLAIN:
        return _PLAIN[annotation] | _limits(metadata, _PLAIN[annotation].get("type"))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return {"enum": [member.value for member in annotation]}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return table_of(annotation)
    return _as_pydantic_says(annotation, metadata)


def _limits(metadata: Iterable[Any], kind: str | None) -> Schema:
    found: Schema = {}
    for one in metadata:
        if kind in {"integer", "number"}:
            for name, (word, exclusive) in _NUMBERS.items():
                limit = getattr(one, name, None)
                if limit is not None:
                    found[word] = limit
                    if exclusive:
                        found[exclusive] = True
        for name, words in _LENGTHS.items():
            limit = getattr(one, name, None)
            if limit is not None and kind in {"string", "array"}:
                found[words[kind == "array"]] = limit
        pattern = getattr(one, "pattern", None)
        if kind == "string" and pattern is not None:
            found["pattern"] = getattr(pattern, "pattern", pattern)
    return found


def _scalar(metadata: Sequence[Any]) -> Schema:
    """A number, or a table whose two ends keep the number's limits."""
    table = table_of(Scalar)
    number = value_of(float, metadata)
    for end in ("from", "to"):
        table["properties"][end] |= number
    return {"anyOf": [number, table]}


def _array(origin: Any, arms: tuple[Any, ...]) -> Schema:
    if origin is tuple and arms[-1:] != (...,):
        items: Schema = {"items": [value_of(arm) for arm in arms], "additionalItems": False}
        return {"type": "array", "minItems": len(arms), "maxItems": len(arms)} | items
    return {"type": "array", "items": value_of(arms[0])}


def _any_of(arms: list[Schema]) -> Schema:
    return arms[0] if len(arms) == 1 else {"anyOf": arms}


def _as_pydantic_says(annotation: Any, metadata: Sequence[Any]) -> Schema:
    typed: Any = Annotated[(annotation, *metadata)] if metadata else annotation
    try:
        schema = TypeAdapter(typed).json_schema()
    except Exception:  # noqa: BLE001  # an editor that knows less is better than no schema
        return {}
    return draft4(schema, schema.get("$defs", {}))


def demands_of(model: type[BaseModel], given: Iterable[str] = ()) -> Schema:
    """What a complete table of a model must have, its inner tables too; {} if nothing.

    It says nothing of values, and holds of whatever is no table. An option that names a component
    must be complete by the definition `KIND.complete`.

    Args:
        model: the options.
        given: keys that a preset has already.
    """
    fields = {key_of(name, info): info for name, info in model.model_fields.items()}
    required = [key for key, info in fields.items() if info.is_required() and key not in given]
    inner = {key: _demands(info.annotation, info.metadata) for key, info in fields.items()}
    inner = {key: demands for key, demands in inner.items() if demands}
    return ({"required": required} if required else {}) | ({"properties": inner} if inner else {})


def _demands(annotation: Any, metadata: Sequence[Any] = ()) -> Schema:  # noqa: PLR0911  # a case a line
    for one in flat(metadata):
        if isinstance(one, Ref):
            return pointer(f"{one.kind}.complete")
    origin, arms = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return demands_of(annotation)
    if origin is Annotated:
        return _demands(arms[0], arms[1:])
    if origin in _UNIONS:
        found = [demands for arm in arms if (demands := _demands(arm))]
        return found[0] if len(found) == 1 else {}
    if origin in _ARRAYS:
        each = [_demands(arm) for arm in arms if arm is not ...]
        if origin is not tuple or arms[-1:] == (...,):
            return {"items": each[0]} if each[0] else {}
        return {"items": each} if any(each) else {}
    return {}


_INNER = {"items": "items", "prefixItems": "items", "additionalProperties": "additionalProperties"}
_INNER |= {name: name for name in ("anyOf", "oneOf", "allOf", "not")}
_AS_THEY_ARE = (
    *("description", "default", "type", "enum", "pattern", "required", "format"),
    *("minimum", "maximum", "multipleOf", "minLength", "maxLength"),
    *("minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
)


def draft4(
    schema: Mapping[str, Any] | bool,  # noqa: FBT001  # later drafts have true and false as schemas
    definitions: Mapping[str, Any] | None = None,
    inside: tuple[str, ...] = (),
) -> Schema:
    """A schema of a later draft as one of Draft 4; what that can't say is left out.

    Args:
        schema: as pydantic makes it.
        definitions: its `$defs`, which are put where they are used; one that contains itself says
            nothing there.
        inside: definitions that are being put in.
    """
    definitions = definitions or {}
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in inside:
            return {}
        return draft4(definitions[name], definitions, (*inside, name))

    made = {key: schema[key] for key in _AS_THEY_ARE if key in schema}
    if "const" in schema:
        made["enum"] = [schema["const"]]
    for end in ("Minimum", "Maximum"):
        if f"exclusive{end}" in schema:
            made |= {end.lower(): schema[f"exclusive{end}"], f"exclusive{end}": True}
    for key, name in _INNER.items():
        if key in schema:
            made[name] = _inner(schema[key], definitions, inside)
    for key in ("properties", "patternProperties"):
        tables = schema.get(key, {})
        made |= {key: {name: draft4(tables[name], definitions, inside) for name in tables}}
    return {key: value for key, value in made.items() if value not in ([], {})}


def _inner(value: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    """A keyword's schema, or schemas; null, which TOML hasn't, is no alternative."""
    if isinstance(value, list):
        return [draft4(one, definitions, inside) for one in value if one != {"type": "null"}]
    return value if isinstance(value, bool) else draft4(value, definitions, inside)
