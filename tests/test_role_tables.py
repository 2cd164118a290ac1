"""`[networks.ROLE]`: what the table of one role means, and what is said about a wrong one."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ganzoo.errors import ExitCode
from ganzoo.plugin_system.discovery import discover
from ganzoo.plugin_system.registry import Registry
from ganzoo.recipe import Recipe, RecipeProblems, load_document, loads
from ganzoo.recipe.write import to_toml
from tests.core_only import CORE_ONLY

TOY = Path(__file__).parent / "toys" / "naming_toy.py"
TOYS = Registry([*CORE_ONLY, *discover(files=[TOY], environ={}, entry_points=[])])

BASE = """\
task = "naming_toy/task"
metric = []
data = { use = "naming_toy/data", size = 8 }
loss = "naming_toy/hinge"
discriminator = "naming_toy/judge"

[generator]
use = "naming_toy/net"
depth = 5
dropout = 0.5
"""


def read(tables: str = "", *overrides: str, base: str = BASE) -> Recipe:
    return loads(base + tables, "base", overrides, TOYS)


def options_of(recipe: Recipe, role: str, kind: str = "generator") -> tuple:
    chosen = recipe.network_of(role, kind)
    assert chosen is not None
    options = chosen.options
    return chosen.id.removeprefix("naming_toy/"), options.depth, options.norm, options.dropout


DEFAULT = ("net", 5, "batch", 0.5)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("depth = 3", ("net", 3, "batch", 0.5)),
        ('use = "naming_toy/net"\ndepth = 3', ("net", 3, "batch", 0.5)),
        ('use = "naming_toy/old_net"\ndepth = 3', ("net", 3, "batch", 0.5)),  # its former id
        ('use = "naming_toy/net2"\ndepth = 3', ("net2", 3, "batch", None)),
        ('use = "naming_toy/net2"', ("net2", 4, "batch", None)),
        ('preset = "deep"', ("net", 7, "none", 0.5)),  # over the default table's depth
        ('preset = "deep"\ndepth = 2', ("net", 2, "none", 0.5)),
        ("", DEFAULT),
    ],
)
def test_a_roles_table_is_laid_over_the_default_one(table: str, expected: tuple) -> None:
    recipe = read(f"[networks.generator_ab]\n{table}\n")
    assert options_of(recipe, "generator_ab") == expected
    assert options_of(recipe, "generator_ba") == DEFAULT  # the control
    assert recipe.networks == read().networks
    for again in (load_document(recipe.document, TOYS), loads(to_toml(recipe), "x", registry=TOYS)):
        assert again.roles == recipe.roles
        assert (again.document, again.sha256) == (recipe.document, recipe.sha256)
    assert tomllib.loads(to_toml(recipe)) == recipe.document


@pytest.mark.parametrize(
    ("default", "own", "expected"),
    [
        ("sparse", 'preset = "deep"', ("net", 7, "none", None)),
        ("deep", 'preset = "sparse"', ("net", 4, "instance", 0.25)),
        ("deep", 'use = "naming_toy/old_net"\npreset = "sparse"', ("net", 4, "instance", 0.25)),
        ("deep", "dropout = 0.25", ("net", 7, "none", 0.25)),  # the default's preset stays
        ("sparse", 'preset = "sparse"', ("net", 4, "instance", 0.25)),
    ],
)
def test_a_preset_replaces_the_one_of_the_default_table(default, own, expected) -> None:
    base = BASE.replace("depth = 5\ndropout = 0.5", f'preset = "{default}"')
    recipe = read(f"[networks.generator_ab]\n{own}\n", base=base)
    assert options_of(recipe, "generator_ab") == expected
    assert options_of(recipe, "generator_ba") == options_of(read(base=base), "generator_ba")
    # A recipe that extends the default table gives the same.
    tree = read("", f"generator={{{own.replace(chr(10), ', ')}}}", base=base)
    if "old_net" not in own:
        assert tree.networks["generator"] == recipe.roles["generator_ab"].chosen


def test_a_recipe_without_such_tables_has_the_same_document() -> None:
    assert "networks" not in read().document
    assert "roles" not in read().document["ema"]
    assert read("[networks.generator_ab]\ndepth = 3").sha256 != read().sha256


@pytest.mark.parametrize(
    "overrides",
    [
        ["networks.generator_ab.depth=3"],
        ["networks.generator_ab={depth=3}"],
        ["networks={generator_ab={depth=3}}"],
        ["generator.depth=2", "networks.generator_ab.depth=3"],
        ["networks.generator_ab=naming_toy/net", "networks.generator_ab.depth=3"],
    ],
)
def test_set(overrides: list[str]) -> None:
    assert options_of(read("", *overrides), "generator_ab") == ("net", 3, "batch", 0.5)


def test_a_string_is_a_component_and_none_leaves_a_role_out() -> None:
    recipe = read("", "networks.generator_ab=naming_toy/net2", "networks.discriminator_a=none")
    assert options_of(recipe, "generator_ab") == ("net2", 4, "batch", None)
    assert recipe.network_of("discriminator_a", "discriminator") is None
    assert recipe.network_of("discriminator_b", "discriminator") is not None
    assert recipe.document["networks"]["discriminator_a"] == "none"
    assert load_document(recipe.document, TOYS).roles == recipe.roles


def test_a_role_needs_no_default_table() -> None:
    base = BASE.replace('discriminator = "naming_toy/judge"\n', 'discriminator = "none"\n')
    whole = '[networks.discriminator_a]\nuse = "naming_toy/judge"\ndepth = 2\n'
    recipe = read(whole, base=base)
    assert options_of(recipe, "discriminator_a", "discriminator")[:2] == ("judge", 2)
    assert recipe.network_of("discriminator_b", "discriminator") is None
    with pytest.raises(RecipeProblems) as caught:
        read("[networks.discriminator_a]\ndepth = 2\n", base=base)
    (problem,) = caught.value.problems
    assert (problem.key, problem.message) == ("networks.discriminator_a.use", "is required")


@pytest.mark.parametrize(
    ("role", "table", "kind"),
    [
        ("generator_ab", "depth = 3", "generator"),
        ("discriminator_a", "depth = 3", "discriminator"),
        ("second", 'use = "naming_toy/net2"', "generator"),
        ("second", 'use = "naming_toy/judge"', "discriminator"),
        ("generator_x", 'use = "naming_toy/judge"', "discriminator"),  # the plan refuses it
    ],
)
def test_the_kind_follows_from_component_or_name(role: str, table: str, kind: str) -> None:
    assert read(f"[networks.{role}]\n{table}\n").roles[role].kind == kind


def test_one_default_table_needs_no_name() -> None:
    base = BASE.replace('discriminator = "naming_toy/judge"\n', "")
    recipe = read("[networks.second]\ndepth = 3\n", base=base)
    assert options_of(recipe, "second") == ("net", 3, "batch", 0.5)


@pytest.mark.parametrize(
    ("text", "key", "message", "hint", "underlined"),
    [
        ("[networks.generator_ab]\ndepht = 3", "networks.generator_ab.depht", "unknown option",
         'did you mean "depth"?', "depht"),
        ("[networks.generator_ab]\ndepth = 'a'", "networks.generator_ab.depth",
         "must be a whole number", "", "'a'"),
        ("[networks.generator_ab]\npreset = 'x'", "networks.generator_ab.preset",
         'must be "deep" or "sparse"', "", "'x'"),
        ("[networks.generator_ab]\nepochs = 3", "networks.generator_ab.epochs", "unknown option",
         "did you mean train.epochs?", "epochs"),
        ("[networks.second]\ndepth = 3", "networks.second", "doesn't say which table it changes",
         'add its `use`: "naming_toy/net" ([generator]) or "naming_toy/judge" ([discriminator])',
         "second"),
        ("[networks.second]\nuse = 'naming_toy/hinge'", "networks.second.use",
         '"naming_toy/hinge" is a loss, not a network', "", "'naming_toy/hinge'"),
        ("[networks]\nsecond = 'naming_toy/hinge'", "networks.second",
         '"naming_toy/hinge" is a loss, not a network', "", "'naming_toy/hinge'"),
        ("[networks.generator_ab]\nuse = 3", "networks.generator_ab.use", "must be text", None,
         "3"),
        ("[networks]\nsecond = 3", "networks.second",
         'must be the id of a network, a table, or "none"', "", "3"),
        ("[networks]\ngenerator_ab = 3", "networks.generator_ab",
         "must be the id of a generator, or a table with `use`", "", "3"),
        ("[generator_ab]\ndepth = 3", "generator_ab", "unknown key",
         "the table of a single role is called [networks.generator_ab]", "generator_ab"),
    ],
)  # fmt: skip
def test_problems_at_their_places(
    text: str, key: str, message: str, hint: str | None, underlined: str
) -> None:
    with pytest.raises(RecipeProblems) as caught:
        read(text)
    (problem,) = caught.value.problems
    assert (problem.key, problem.message) == (key, message)
    assert hint is None or problem.hint == hint
    start = problem.column - 1
    assert problem.source_line[start : start + problem.width] == underlined


def test_networks_must_be_a_table() -> None:
    with pytest.raises(RecipeProblems, match="must be a table with a table for each role"):
        read("", "networks=3")


def test_a_problem_of_the_default_table_is_told_once() -> None:
    tables = "norm = 'x'\n[networks.generator_ab]\ndepth = 3\n[networks.generator_ba]\nnorm = 'y'\n"
    with pytest.raises(RecipeProblems) as caught:
        read(tables)
    keys = [problem.key for problem in caught.value.problems]
    assert keys == ["generator.norm", "networks.generator_ba.norm"]


def test_a_value_of_another_type_is_told_once() -> None:
    with pytest.raises(RecipeProblems) as caught:
        read("[networks.generator_ab]\ndropout = 0.1\n", base=BASE.replace("5\n", "true\n", 1))
    assert [problem.key for problem in caught.value.problems] == ["generator.depth"]


def test_a_plugin_that_is_missing_exits_4() -> None:
    with pytest.raises(RecipeProblems) as caught:
        read("[networks.second]\nuse = 'absent/net'\n")
    assert caught.value.exit_code == ExitCode.PLUGIN


def test_origins() -> None:
    recipe = read(
        "[networks.generator_ab]\npreset = 'deep'\n", "networks.generator_ab.receptive_field=16"
    )
    found = {
        keys[2]: str(origin)
        for keys, origin in recipe.origins.items()
        if keys[:2] == ("networks", "generator_ab")
    }
    assert found == {
        "use": "base:8",
        "depth": 'preset "deep"',
        "norm": 'preset "deep"',
        "receptive_field": "--set",
        "layers": "default",
        "dropout": "base:10",
    }
    assert str(recipe.roles["generator_ab"].place) == "base:11"


@pytest.mark.parametrize("default", ["generator = 0", "generator = { depth = 3 }"])
@pytest.mark.parametrize("own", ["{}", '{ preset = "deep" }'])
def test_a_default_table_without_a_component_is_a_problem_of_its_own(
    default: str, own: str
) -> None:
    base = BASE.partition("[generator]")[0] + default + "\n"
    with pytest.raises(RecipeProblems) as caught:
        read(f"networks.generator = {own}\n", base=base)
    first = caught.value.problems[0]
    assert (first.key.split(".")[0], first.line) == ("generator", 7)
