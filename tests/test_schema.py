"""The schema says what the loader says, in keywords that Taplo and Tombi read."""

from __future__ import annotations

import copy
import enum
import json
import logging
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    create_model,
)
from typing_extensions import TypedDict

from ganzoo import api
from ganzoo.api import Chosen, Options, Ref, Scalar
from ganzoo.cli import main as cli
from ganzoo.errors import GanzooError
from ganzoo.plugin_system import registry
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.plugin_system.discovery import PluginRecord, discover
from ganzoo.plugin_system.installed_plugins import CORE
from ganzoo.plugin_system.registry import Registry
from ganzoo.recipe import RecipeProblems, load_document, load_recipe, parse_every, shipped_recipes
from ganzoo.recipe.model import SETTINGS
from ganzoo.recipe.option_schema import demands_of, table_of
from ganzoo.recipe.resolved import KEYS
from ganzoo.recipe.schema import FILE, HELP, component_schema, recipe_schema, schema_text
from tests.core_only import CORE_ONLY

ROOT = Path(__file__).parents[1]
TOY = Path(__file__).parent / "toys" / "naming_toy.py"
TOYS = Registry([*CORE_ONLY, *discover(files=[TOY], environ={}, entry_points=[])])
BUILT_IN = Registry(discover(environ={"GANZOO_PLUGIN_AUTOLOAD": "0"}))
NEWER = {
    *("dependentRequired", "dependentSchemas", "prefixItems", "unevaluatedItems"),
    *("unevaluatedProperties", "$defs", "$anchor", "$dynamicRef", "minContains", "maxContains"),
}
"""Keywords of later drafts, which Taplo ignores."""


def schemas_in(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all in it; names of options aren't taken for keywords."""
    yield schema
    for key, value in schema.items():
        if key in {"properties", "definitions", "patternProperties"}:
            inner = list(value.values())
        elif key in {"items", "additionalItems", "additionalProperties", "not"}:
            inner = value if isinstance(value, list) else [value]
        else:
            inner = value if key in {"anyOf", "allOf", "oneOf"} else []
        for one in inner:
            if isinstance(one, dict):
                yield from schemas_in(one)


def faults_of_draft(schema: dict[str, Any]) -> list[str]:
    """Return what a reader of Draft 7 would not understand, or pass over."""
    faults = []
    for one in schemas_in(schema):
        faults += sorted(NEWER & set(one))
        if "$ref" in one and len(one) > 1:
            faults.append(f"beside $ref: {sorted(one)}")
        faults += [
            f"{key} is no number"
            for key in ("exclusiveMinimum", "exclusiveMaximum")
            if isinstance(one.get(key), bool)
        ]
    return faults


def validator(schema: dict[str, Any]) -> jsonschema.Draft7Validator:
    jsonschema.Draft7Validator.check_schema(schema)
    assert faults_of_draft(schema) == []
    return jsonschema.Draft7Validator(schema)


SCHEMA = recipe_schema(BUILT_IN)
VALID = validator(SCHEMA)
VALID_TOY = validator(recipe_schema(TOYS))


# It is a schema that Taplo and Tombi read.


@pytest.mark.parametrize(
    "fault",
    [
        {"properties": {"x": {"$defs": {}}}},
        {"definitions": {"a": {"$ref": "#/definitions/b", "default": 1}}},
        {"anyOf": [{"type": "number", "minimum": 0, "exclusiveMinimum": True}]},
        {"items": [{"prefixItems": []}]},
    ],
)
def test_a_newer_keyword_would_be_noticed(fault: dict) -> None:
    assert faults_of_draft(fault)
    assert not faults_of_draft({"properties": {"$defs": {"const": 1}}})


def test_every_pointer_leads_somewhere() -> None:
    for one in schemas_in(SCHEMA):
        if "$ref" in one:
            place: Any = SCHEMA
            for part in one["$ref"].removeprefix("#/").split("/"):
                place = place[part]
            assert isinstance(place, dict)


def test_every_key_and_option_is_explained() -> None:
    assert set(HELP) | set(SETTINGS) == set(KEYS)
    unexplained = [
        f"{name}.{key}"
        for name, table in SCHEMA["definitions"].items()
        if "title" in table
        for key, option in table["properties"].items()
        if not option.get("description")
    ]
    assert unexplained == []
    train = SCHEMA["properties"]["train"]
    assert train["description"].startswith("Length of")
    assert train["properties"]["epochs"]["default"] == 200


def test_ids_carry_their_summaries() -> None:
    text = SCHEMA["definitions"]["metric"]["anyOf"][0]
    notes = dict(zip(text["enum"], text["x-taplo"]["docs"]["enumValues"], strict=True))
    assert notes["ganzoo/psnr"] == "Peak signal-to-noise ratio in dB."


# The shipped one.


def test_the_shipped_schema_is_what_the_code_makes() -> None:
    made = schema_text(SCHEMA)
    shipped = (ROOT / "recipes" / FILE).read_text(encoding="utf-8")
    assert json.loads(made) == SCHEMA
    assert shipped == made, (
        f"run `GANZOO_PLUGIN_AUTOLOAD=0 ganzoo schema -o recipes/{FILE}` in the checkout"
    )
    changed = {**SCHEMA, "title": "another"}
    assert schema_text(changed) != made


RECIPES = sorted((ROOT / "recipes").rglob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid_and_names_the_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    first = text.partition("\n")[0]
    assert (path.parent / first.removeprefix("#:schema ")).resolve() == ROOT / "recipes" / FILE
    assert not list(VALID.iter_errors(tomllib.loads(text)))
    resolved = json.loads(json.dumps(load_recipe(path, registry=BUILT_IN).document))
    assert not list(VALID.iter_errors(resolved))


# Recipes that are wrong, each in one way: beside it the keyword that refuses it, and where.

BROKEN = {
    "unknown top-level key": ("epoch = 3", "additionalProperties", ""),
    "unknown key of settings": ("[train]\nepoch = 3", "additionalProperties", "train"),
    "unknown key of an inner table": (
        "[optimizer.schedule]\nhld = 0",
        "additionalProperties",
        "optimizer.schedule",
    ),
    "unknown key of a player": ("[players.g]\nrate = 1", "additionalProperties", "players.g"),
    "unknown option": ("[generator]\ndpth = 3", "additionalProperties", "generator"),
    "unknown option with use": (
        '[generator]\nuse = "pix2pix/unet"\ndpth = 3',
        "additionalProperties",
        "generator",
    ),
    "unknown option of an item": (
        '[[augment]]\nuse = "images/resize"\nsiez = 3',
        "additionalProperties",
        "augment.0",
    ),
    "unknown option of a nested component": (
        '[loss]\ngan = { use = "gan/lsgan", no_such = 1 }',
        "additionalProperties",
        "loss.gan",
    ),
    "another component's option": (
        '[generator]\nuse = "pix2pix/encoder_decoder"\nskip_relu = true',
        "anyOf",
        "generator",
    ),
    "wrong type": ('[train]\nepochs = "3"', "type", "train.epochs"),
    "wrong type of a switch": ("[ema]\nenabled = 1", "type", "ema.enabled"),
    "wrong type of an option": (
        '[generator]\nbottleneck_norm = "yes"',
        "type",
        "generator.bottleneck_norm",
    ),
    "wrong type in an array": ('[optimizer]\nbetas = ["0.5", 0.9]', "anyOf", "optimizer.betas.0"),
    "a switch in an array": (
        "[generator]\ndropout_layers = [true]",
        "anyOf",
        "generator.dropout_layers",
    ),
    "table expected": ("train = 3", "type", "train"),
    "out of limits": ("[train]\nepochs = 0", "minimum", "train.epochs"),
    "an excluded limit": ("[optimizer]\neps = 0", "exclusiveMinimum", "optimizer.eps"),
    "option out of limits": ("[generator]\ndropout = 1.0", "exclusiveMaximum", "generator.dropout"),
    "no such choice": ('[ema]\n[watch]\nevaluate = "all"', "enum", "watch.evaluate"),
    "no such number": ("[discriminator]\nreceptive_field = 71", "enum", "discriminator."),
    "too few": ("[optimizer]\nbetas = [0.5]", "minItems", "optimizer.betas"),
    "unknown id": ('[generator]\nuse = "pix2pix/unett"', "enum", "generator.use"),
    "unknown bare id": ('task = "pix2pix/pared"', "anyOf", "task"),
    "id of another kind": ('generator = "pix2pix/patchgan"', "anyOf", "generator"),
    "unknown nested id": ('[loss]\ngan = "gan/vanila"', "anyOf", "loss.gan"),
    "task can't be none": ('task = "none"', "anyOf", "task"),
    "none with options": ('generator = { use = "none", depth = 3 }', "anyOf", "generator"),
    "unknown preset": ('[generator]\npreset = "torch8"', "enum", "generator.preset"),
    "another's preset": ('[discriminator]\npreset = "torch7"', "enum", "discriminator.preset"),
    "bad interval": ('[watch]\nlog = "5 weeks"', "pattern", "watch.log"),
    "interval without unit": ("[checkpoints]\nevery = 500", "type", "checkpoints.every"),
    "no interval at all": ('[watch]\nlog = "0 steps"', "pattern", "watch.log"),
    "Scalar of text": ('[loss]\nl1 = "ten"', "anyOf", "loss.l1"),
    "Scalar's unknown key": ("[loss]\nl1 = { from = 1, too = 2 }", "anyOf", "loss.l1"),
    "Scalar's path": (
        '[loss]\nl1 = { from = 1, to = 2, shape = "round" }',
        "anyOf",
        "loss.l1",
    ),
    "Scalar's end beyond the limit": (
        "[optimizer]\nlr = { from = 1, to = 0 }",
        "anyOf",
        "optimizer.lr",
    ),
    "Scalar of an item without an end": (
        '[[loss]]\nuse = "pix2pix/cgan_l1"\nl1 = { from = 1 }',
        "anyOf",
        "loss.0",
    ),
    "when to augment": (
        '[[augment]]\nuse = "images/resize"\nsize = 3\non = "sometimes"',
        "enum",
        "augment.0.on",
    ),
    "fallback": ('[data]\nfallback = "images/no"', "anyOf", "data.fallback"),
    "fallback of a fallback": (
        '[data]\nfallback = { use = "images/facades", fallback = "none" }',
        "anyOf",
        "data.fallback",
    ),
    "name of a nested loss": (
        '[loss]\ngan = { use = "gan/lsgan", name = "x" }',
        "not",
        "loss.gan",
    ),
    "name with a slash": ('name = "a/b"', "pattern", "name"),
    "item without use": ("[[augment]]\nsize = 3", "required", "augment.0"),
    "item without what is required": (
        '[[augment]]\nuse = "albumentations/random_crop"\nheight = 3',
        "anyOf",
        "augment.0",
    ),
    "bare item without what is required": (
        'augment = ["albumentations/random_crop"]',
        "not",
        "augment.0",
    ),
    "negative weight": ("[loss]\nl1 = -1", "anyOf", "loss.l1"),
    "weight that becomes negative": (
        "[loss]\nl1 = { from = 1, to = -1 }",
        "anyOf",
        "loss.l1",
    ),
    "no rate": ("[optimizer]\nlr = 0", "anyOf", "optimizer.lr"),
    "no clipping": ("[optimizer]\nclip = 0", "anyOf", "optimizer.clip"),
    "no half-life": ("[ema]\nhalf_life = { from = 0, to = 9 }", "anyOf", "ema.half_life"),
    "no loss at all": ("loss = []", "minItems", "loss"),
    "a number for a component": ("generator = 3", "anyOf", "generator"),
    "extends of a number": ("extends = 3", "anyOf", "extends"),
}
EXTENDS = 'extends = "pix2pix_facades"\n'


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_recipe_is_refused_for_its_reason(what: str, tmp_path: Path) -> None:
    text, keyword, place = BROKEN[what]
    whole = text if text.startswith("extends") else EXTENDS + text
    errors = list(VALID.iter_errors(tomllib.loads(whole)))
    reasons = {(one.validator, ".".join(map(str, one.absolute_path))) for one in errors}
    place = "discriminator.receptive_field" if place == "discriminator." else place
    assert (keyword, place) in reasons, reasons
    path = tmp_path / "broken.toml"
    path.write_text(whole)
    with pytest.raises(RecipeProblems):
        load_recipe(path, registry=BUILT_IN)


PARTS = {
    "single keys": "[generator]\ndepth = 7\n[discriminator]\nreceptive_field = 16",
    "of a Scalar": "[loss.l1]\nuntil = 0.5\nto = 3\nfrom = 7",
    "annealed": '[loss]\nl1 = { from = 100, to = 10, until = 0.5, shape = "cosine" }',
    "annealed settings": "[optimizer]\nbetas = [{ from = 0.5, to = 0.9 }, 0.999]",
    "without networks": 'discriminator = "none"\n[loss]\ngan_weight = 0',
    "none as a table": 'discriminator = { use = "none" }\n[loss]\ngan_weight = 0',
    "no fallback": '[data]\nfallback = "none"',
    "another fallback": '[data]\nfallback = { use = "facades/procedural", size = 64 }',
    "bare": 'generator = "pix2pix/encoder_decoder"\nmetric = "ganzoo/l1"',
    "arrays of names": 'metric = ["ganzoo/l1", { use = "ganzoo/ssim" }]\naugment = []',
    "a single table of an array": '[augment]\nuse = "images/resize"\nsize = [30, 40]',
    "preset": '[generator]\npreset = "torch7"\ndropout = 0.25',
    "several losses": '[[loss]]\nuse = "pix2pix/cgan_l1"\n[[loss]]\nuse = "gan/lsgan"\nname = "b"',
    "nested": '[loss]\ngan = { use = "gan/lsgan" }',
    "players": "[players.generator]\nlr = 1e-4\nschedule = { hold = 0.25 }",
    "every": '[watch]\nlog = " 5 steps"\nsamples = "never"\nvalidate = "0.5 minutes"',
    "fewer words": "[optimizer]\nclip = 1\n",
    "a table in a table": '[[augment]]\nuse = "images/resize"\nsize = 9\nfilters.source = "box"',
}


@pytest.mark.parametrize("what", PARTS)
def test_a_part_of_a_recipe_is_admitted_where_it_extends(what: str, tmp_path: Path) -> None:
    path = tmp_path / "part.toml"
    path.write_text(EXTENDS + PARTS[what])
    load_recipe(path, registry=BUILT_IN)
    errors = [one.message for one in VALID.iter_errors(tomllib.loads(path.read_text()))]
    assert errors == []


WHOLE = """\
task = "naming_toy/task"
metric = []
data = { use = "naming_toy/data", size = 64, fallback = { use = "naming_toy/data", size = 8 } }
augment = [{ use = "naming_toy/flip", on = "evaluation" }, "naming_toy/flip"]
generator = { use = "naming_toy/net", depth = 5, layers = [1, 2] }
discriminator = { use = "naming_toy/judge", receptive_field = 16 }
loss = { use = "naming_toy/main", gan = { use = "naming_toy/square", margin = 2 }, \
weight = { from = 1, to = 2 }, parts = ["naming_toy/hinge"] }
train = { epochs = 3 }
optimizer = { betas = [0.5, 0.9], lr = 1e-3, schedule = { shape = "linear" } }
watch = { log = "3 steps" }
"""

# What is missing where nothing is inherited; without `extends` the loader says the same.
INCOMPLETE = {
    "task": ("task", None),
    "loss": ("loss", None),
    "data": ("data", None),
    "use": ("generator", {"depth": 3}),
    "size of the data": ("data", {"use": "naming_toy/data"}),
    "size of bare data": ("data", "naming_toy/data"),
    "size of the fallback": (
        "data",
        {"use": "naming_toy/data", "size": 3, "fallback": "naming_toy/data"},
    ),
    "end of a Scalar": ("loss", {"use": "naming_toy/main", "weight": {"from": 1}}),
    "use of a nested component": ("loss", {"use": "naming_toy/main", "gan": {"margin": 2}}),
    "use in a nested array": ("loss", {"use": "naming_toy/main", "parts": [{"margin": 2}]}),
    "end of the rate": ("optimizer", {"lr": {"from": 1}}),
}


@pytest.mark.parametrize("what", INCOMPLETE)
def test_what_is_missing(what: str) -> None:
    key, value = INCOMPLETE[what]
    document = tomllib.loads(WHOLE)
    load_document(document, TOYS)
    assert VALID_TOY.is_valid(document)
    document.pop(key, None)
    if value is not None:
        document[key] = value
    assert not VALID_TOY.is_valid(document)
    with pytest.raises(RecipeProblems):
        load_document(document, TOYS)
    assert VALID_TOY.is_valid({**document, "extends": "another"})


def test_former_names_are_admitted_and_say_the_present_one() -> None:
    document = {**tomllib.loads(WHOLE), "generator": {"use": "naming_toy/old_net", "depth": 3}}
    assert VALID_TOY.is_valid(document)
    assert VALID_TOY.is_valid({**document, "generator": "naming_toy/old_net"})
    assert not VALID_TOY.is_valid({**document, "generator": "naming_toy/circle"})
    text = VALID_TOY.schema["definitions"]["generator"]["anyOf"][0]
    notes = dict(zip(text["enum"], text["x-taplo"]["docs"]["enumValues"], strict=True))
    assert notes["naming_toy/old_net"] == "now called naming_toy/net"


def test_a_preset_may_bring_what_is_required() -> None:
    presets = {"small": {"size": 8}, "strict": {"strict": True}}
    sized = replace(TOYS.find("data", "naming_toy/data"), name="sized", presets=presets)
    record = PluginRecord(
        namespace="p", distribution="ganzoo-p", version="1", module="p", components=(sized,)
    )
    installed = Registry([*TOYS.records, record])
    valid = validator(recipe_schema(installed))
    for preset, legal in (("small", True), ("strict", False)):
        document = {**tomllib.loads(WHOLE), "data": {"use": "p/sized", "preset": preset}}
        assert valid.is_valid(document) == legal
        if legal:
            load_document(document, installed)
        else:
            with pytest.raises(RecipeProblems):
                load_document(document, installed)


# Whatever the loader takes, the schema takes. (It can't refuse all that the loader refuses.)

VALUES = st.one_of(
    st.sampled_from(["none", "auto", "batch", "naming_toy/net", "naming_toy/hinge", "3 steps", ""]),
    st.integers(-2, 80),
    st.floats(-2, 2).filter(lambda value: value != int(value)),  # 3.0 for 3: see docs/recipes.md
    st.booleans(),
    st.sampled_from([[], [1, 2], {}, {"use": "naming_toy/net"}, {"from": 1, "to": 0.5}, [{}]]),
)


def places(table: Any, keys: tuple = ()) -> Iterator[tuple]:
    items = table.items() if isinstance(table, dict) else enumerate(table)
    for key, value in items:
        yield (*keys, key)
        if isinstance(value, dict | list):
            yield from places(value, (*keys, key))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_what_the_loader_takes_the_schema_takes(data: st.DataObject) -> None:
    document = tomllib.loads(WHOLE)
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(sorted(places(document), key=str)))
        inner = copy.deepcopy(document)
        at = inner
        for key in way:
            at = at[key]
        if data.draw(st.booleans()):
            at[last] = data.draw(VALUES)
        else:
            del at[last]
        document = inner
    try:
        load_document(document, TOYS)
    except RecipeProblems:
        return
    assert not list(VALID_TOY.iter_errors(document)), document


@pytest.mark.parametrize(
    "text",
    [
        "5 steps",
        "1 step",
        " 010 epochs ",
        "5.0 images",
        "0.50 minutes",
        "2minutes",
        "never",
        "7epoch",
    ],
)
def test_intervals(text: str) -> None:
    valid = validator(table_of(SETTINGS["watch"])["properties"]["log"])
    parse_every(text)
    assert valid.is_valid(text)


@pytest.mark.parametrize(
    "text",
    ["", "5", "0 steps", "0.0 minutes", "1.5 epochs", "5 weeks", "-1 steps", "nevermore", "steps"],
)
def test_what_is_no_interval(text: str) -> None:
    valid = validator(table_of(SETTINGS["watch"])["properties"]["log"])
    with pytest.raises(ValueError):
        parse_every(text)
    assert not valid.is_valid(text)


# One component.


@pytest.mark.parametrize("where", [BUILT_IN, TOYS], ids=["built in", "toys"])
def test_defaults_and_presets_of_every_component_are_valid(where: Registry) -> None:
    looked_at = 0
    for entry in where.components():
        try:
            model = where.options_model(entry)
        except GanzooError:
            continue
        if entry.id == "naming_toy/rude":
            continue
        valid = validator(component_schema(where, entry))
        required = [key for key, info in model.model_fields.items() if info.is_required()]
        given = {} if not required else _made_up(entry, required)
        for preset in (None, *entry.component.presets):
            table = {"use": entry.id, **given, **({"preset": preset} if preset else {})}
            try:
                chosen = where.choose(entry.component.kind, table)
            except ChoiceError:
                continue  # a made-up value doesn't fit, or one of several must be given
            written = json.loads(json.dumps(chosen.as_table()))
            written = {key: value for key, value in written.items() if value is not None}
            assert [one.message for one in valid.iter_errors(written)] == [], entry.id
            assert not list(valid.iter_errors(table))
            assert not valid.is_valid({**written, "no_such_option": 1})
            looked_at += 1
        assert not valid.is_valid({**given}), entry.id
    assert looked_at > (100 if where is BUILT_IN else 8)


def _made_up(entry: registry.Entry, required: list[str]) -> dict[str, Any]:
    if entry.id.startswith("albumentations/"):
        return dict.fromkeys(required, 32)
    return (
        {"root": "x", "size": 8}
        if "root" in required and "size" in required
        else dict.fromkeys(required, 8 if required == ["size"] else "x")
    )


def test_a_components_schema_has_no_key_of_the_core() -> None:
    (entry,) = TOYS.lookup("naming_toy/flip")
    valid = validator(component_schema(TOYS, entry))
    assert valid.is_valid({"use": "naming_toy/flip", "p": 0.5})
    assert not valid.is_valid({"use": "naming_toy/flip", "on": "always"})
    assert not valid.is_valid({"p": 0.5})
    (entry,) = TOYS.lookup("naming_toy/main")
    valid = validator(component_schema(TOYS, entry))
    assert valid.is_valid({"use": "naming_toy/main", "extra": "naming_toy/hinge"})
    assert not valid.is_valid({"use": "naming_toy/main", "extra": {"margin": 1}})


# What plugins may think of.


class Colour(enum.Enum):
    RED = "red"


class Made(TypedDict, total=False):
    size: int


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    deep: int


class Tree(BaseModel):
    children: list[Tree] = []


class Endless(TypedDict):
    more: list[Tree]


@pytest.mark.parametrize(
    ("annotation", "legal", "illegal"),
    [
        (int | None, [1], ["a", 1.5, None]),
        (dict[str, int], [{"a": 1}], [{"a": "b"}, 3]),
        (list[Annotated[float, Field(lt=1)]], [[0.5], []], [[1], 0.5]),
        (Annotated[list[int], Field(min_length=1)], [[1]], [[]]),
        (tuple[int, str], [[1, "a"]], [[1], [1, 2], [1, "a", 3]]),
        (tuple[int, ...], [[], [1, 2]], [["a"]]),
        (Literal["a", 3], ["a", 3], ["b"]),
        (Colour, ["red"], ["RED"]),
        (Annotated[str, Field(pattern="^x", max_length=3)], ["xab"], ["ab", "xabc"]),
        (Annotated[int, Field(multiple_of=4)], [8], [6]),
        (Made, [{"size": 3}, {}], [{"size": "a"}, 3]),
        (Inner | int, [{"deep": 1}, 3, {}], [{"shallow": 1}, "a"]),
        (Annotated[Scalar, Field(ge=0)], [0, {"from": 0, "to": 1}], [-1, {"from": -1, "to": 1}]),
        (Annotated[Scalar, Field(gt=0)] | None, [1], [0, "a"]),
        (Scalar | Literal["auto"], ["auto", 1], ["other"]),
        (Any, [1, "a", {}], []),
        (bool, [True], [1, "true"]),
        (Path, ["a/b"], [3]),
        (Annotated[int, BeforeValidator(int)], [1], ["1"]),
        (Annotated[int, BeforeValidator(int, json_schema_input_type=str)], ["1"], [1]),
        (Annotated[int, PlainValidator(int)], ["1", 1], []),
        (Annotated[int, WithJsonSchema({"const": 3})], [3], [4]),
        (Endless, [{"more": [{"children": [{"children": 3}]}]}], [{"more": 3}]),
        (type, [1, "whatever"], []),  # nobody can say: anything goes
    ],
    ids=str,
)
def test_types(annotation: Any, legal: list[Any], illegal: list[Any]) -> None:
    config = ConfigDict(arbitrary_types_allowed=True)
    made = create_model("Made", option=(annotation, ...), __config__=config)
    valid = validator(table_of(made)["properties"]["option"])
    assert [value for value in legal if not valid.is_valid(value)] == []
    assert [value for value in illegal if valid.is_valid(value)] == []


def test_a_model_that_admits_more_says_so() -> None:
    class Open(BaseModel):
        deep: int = 1

    assert validator(table_of(Open)).is_valid({"other": 1})
    assert not validator(table_of(Inner)).is_valid({"other": 1})


def test_completeness_says_nothing_of_values() -> None:
    class Whole(Options):
        inner: Inner
        scalars: tuple[Scalar, ...] = ()
        pair: tuple[int, Scalar] = (1, Scalar(1))
        loss: Annotated[Chosen, Ref("loss")] | None = None

    demands = demands_of(Whole)
    assert demands["required"] == ["inner"]
    assert demands["properties"]["inner"] == {"required": ["deep"]}
    assert demands["properties"]["scalars"] == {"items": {"required": ["from", "to"]}}
    assert demands["properties"]["pair"] == {"items": [{}, {"required": ["from", "to"]}]}
    assert demands["properties"]["loss"] == {"$ref": "#/definitions/loss.complete"}
    assert "required" not in demands_of(Whole, given={"inner"})
    assert demands_of(Options) == {}


LINTERS = {"taplo": ["taplo", "lint"], "tombi": ["tombi", "lint", "--offline"]}
WRONG = ["[train]\nepoch = 3", '[train]\nepochs = "3"', "[optimizer]\neps = 0"]
"""An unknown key, a wrong type, and a value out of its limits."""


@pytest.mark.parametrize("tool", LINTERS)
def test_the_editors_tools_agree(tool: str, tmp_path: Path) -> None:
    """Run the tools themselves where they are installed (`pip install taplo tombi`)."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")

    def admits(*files: Path) -> bool:
        command = [*LINTERS[tool], *map(str, files)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    assert admits(*RECIPES)
    for text in WRONG:
        file = tmp_path / "wrong.toml"
        file.write_text(f"#:schema {(ROOT / 'recipes' / FILE).as_uri()}\n{EXTENDS}{text}\n")
        assert not admits(file), text


# The command.


@pytest.fixture
def ganzoo(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_active", None)
    monkeypatch.setattr(api, "_resolver", api._resolver)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(list(arguments))
        return code, *capsys.readouterr()

    return run


def test_a_third_partys_options_appear_when_it_is_installed(ganzoo: Any) -> None:
    assert "naming_toy" not in schema_text(SCHEMA)
    code, out, _ = ganzoo("--plugin", str(TOY), "schema")
    assert code == 0
    valid = validator(json.loads(out))
    document = {"extends": "quickstart", "generator": {"use": "naming_toy/net", "depth": 3}}
    assert valid.is_valid(document)
    assert not VALID.is_valid(document)
    document["generator"]["depth"] = 9
    assert not valid.is_valid(document)


def test_options_that_cannot_be_imported_are_left_out_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        schema = recipe_schema(TOYS)
    assert "naming_toy/lost is left out" in caplog.text
    assert "naming_toy/lost" not in schema_text(schema)
    assert "naming_toy/main" in schema_text(schema)


def test_the_schema_goes_where_it_is_told(ganzoo: Any, tmp_path: Path) -> None:
    for _ in range(2):  # it is made, so it may be made again
        code, out, err = ganzoo("schema", "-o", "sub/recipe.schema.json")
        assert (code, out) == (0, "")
        assert "wrote sub/recipe.schema.json" in err
        assert "#:schema ./recipe.schema.json" in err
    validator(json.loads((tmp_path / "sub" / "recipe.schema.json").read_text()))
    assert ganzoo("schema", "-o", ".")[0] == 2


@pytest.mark.parametrize("out", ["", "file/x.json"])
def test_where_the_schema_cannot_go(ganzoo: Any, tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = ganzoo("schema", "-o", out)
    assert (code, "bug" in err) == (2, False)
    assert ("can't be written" in err) == bool(out)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_the_core_knows_its_recipes() -> None:
    assert len(RECIPES) == len([n for n in shipped_recipes(BUILT_IN) if "/" not in n]) + len(
        list((ROOT / "recipes" / "paper").glob("*.toml"))
    )
    assert {record.distribution for record in BUILT_IN.records if record.components} == {CORE}
