from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganzoo import api
from ganzoo.errors import ExitCode, PluginError, RecipeError
from ganzoo.plugin_system import registry
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.plugin_system.discovery import PluginRecord, discover
from ganzoo.plugin_system.registry import Registry

TOY = Path(__file__).parent / "toys" / "naming_toy.py"


@pytest.fixture(scope="module")
def toys() -> Iterator[Registry]:
    broken = {"distribution": "ganzoo-x", "version": "1", "module": "x"}
    before = registry._active
    yield registry.activate(
        records=[
            *discover(files=[TOY], environ={}, entry_points=[]),
            PluginRecord(namespace="ill", state="quarantined", reason="ImportError: y", **broken),
            PluginRecord(namespace="shut", state="blocked", reason="blocked by you", **broken),
        ]
    )
    registry._active = before
    if before is not None:
        api.set_resolver(before.choose)


def test_components_by_kind_and_pattern(toys: Registry) -> None:
    ids = [entry.id for entry in toys.components("generator")]
    assert ids == ["naming_toy/net", "naming_toy/net2"]  # sorted, without the renamed ones
    assert [entry.id for entry in toys.components("loss", "*/h*")] == ["naming_toy/hinge"]
    assert [entry.id for entry in toys.components(None, "judg")] == ["naming_toy/judge"]
    assert toys.components("loss", "h*") == ()  # a wildcard pattern has to match the whole id


def test_find(toys: Registry) -> None:
    assert toys.find("loss", "naming_toy/hinge").name == "hinge"
    assert toys.record_of("naming_toy/hinge").namespace == "naming_toy"


@pytest.mark.parametrize(
    ("kind", "name", "error", "text"),
    [
        ("loss", "naming_toy/hing", RecipeError, 'did you mean "naming_toy/hinge"?'),
        ("loss", "hinge", RecipeError, 'did you mean "naming_toy/hinge"?'),
        ("loss", "naming_toy/net", RecipeError, "is a generator, not a loss"),
        ("loss", "naming_toy/qqqq", RecipeError, "`ganzoo list loss`"),
        ("loss", "nowhere/hinge", PluginError, 'no plugin "nowhere" is installed'),
        ("loss", "namingtoy/hinge", PluginError, 'did you mean "naming_toy"?'),
        ("loss", "namingtoy/hinge", PluginError, "`ganzoo plugins install ganzoo-namingtoy`"),
        ("loss", "ill/hinge", PluginError, "quarantined: ImportError: y"),
        ("loss", "shut/hinge", PluginError, "blocked by you"),
        ("generator", "naming_toy/circle", PluginError, "in a circle"),
    ],
)
def test_not_found(toys: Registry, kind: str, name: str, error: type, text: str) -> None:
    with pytest.raises(error) as caught:
        toys.find(kind, name)
    assert text in str(caught.value)
    assert caught.value.exit_code == (3 if error is RecipeError else 4)


def test_a_renamed_component_is_followed_and_said_once(
    toys: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert toys.choose("generator", "naming_toy/old_net").id == "naming_toy/net"
        toys.find("generator", "naming_toy/old_net")
    assert caplog.messages == ["naming_toy/old_net is now called naming_toy/net"]


def test_choose_fills_in_defaults_and_nested_components(toys: Registry) -> None:
    chosen = toys.choose("loss", "naming_toy/main")
    assert chosen.options.gan.id == "naming_toy/hinge"
    assert chosen.options.gan.options.margin == 1
    table = {
        "use": "naming_toy/main",
        "gan": {"use": "naming_toy/main", "gan": {"use": "naming_toy/square", "margin": 3}},
        "parts": ["naming_toy/hinge", {"use": "naming_toy/square"}],
        "extra": "naming_toy/square",
    }
    options = toys.choose("loss", table).options
    assert options.gan.options.gan.options.margin == 3
    assert [part.id for part in options.parts] == ["naming_toy/hinge", "naming_toy/square"]
    assert options.extra.id == "naming_toy/square"


def test_choosing_what_as_table_says_gives_the_same(toys: Registry) -> None:
    table = {
        "use": "naming_toy/main",
        "parts": ["naming_toy/hinge"],
        "weight": {"from": 1, "to": 2},
    }
    chosen = toys.choose("loss", table)
    assert toys.choose("loss", chosen.as_table()) == chosen
    assert toys.choose("loss", "naming_toy/main") != chosen


def test_a_preset_lies_under_the_tables_own_keys(toys: Registry) -> None:
    table = {"use": "naming_toy/net", "preset": "deep", "depth": 2}
    options = toys.choose("generator", table).options
    assert (options.depth, options.norm) == (2, "none")


def problems(toys: Registry, kind: str, value: object, loc: tuple = ()) -> dict[tuple, str]:
    with pytest.raises(ChoiceError) as caught:
        toys.choose(kind, value, loc)
    return {
        one.loc: f"{one.message}; {one.hint}; {int(one.exit_code)}" for one in caught.value.problems
    }


def test_all_problems_of_a_table_at_once(toys: Registry) -> None:
    found = problems(
        toys,
        "generator",
        {
            "use": "naming_toy/net",
            "preset": "dep",
            "depth": 9,
            "norm": "bach",
            "receptive_field": 71,
            "side": 70,
            "layers": [1, "x"],
            "dropout": 1,
        },
        ("generator",),
    )
    assert found == {
        ("generator", "preset"): 'must be "deep" or "sparse"; did you mean "deep"?; 3',
        ("generator", "depth"): "must be at most 8; ; 3",
        ("generator", "norm"): 'must be "batch", "instance" or "none"; did you mean "batch"?; 3',
        ("generator", "receptive_field"): "must be 1, 16 or 70; ; 3",
        ("generator", "side"): "unknown option; "
        "known: depth, dropout, layers, norm, receptive_field; 3",
        ("generator", "layers", 1): "must be a whole number; ; 3",
        ("generator", "dropout"): "must be less than 1; ; 3",
    }


def test_nested_problems_keep_their_place_and_hide_nothing(toys: Registry) -> None:
    found = problems(
        toys,
        "loss",
        {
            "use": "naming_toy/main",
            "gan": {"use": "naming_toy/main", "gan": {"use": "naming_toy/square", "margin": 0}},
            "parts": ["naming_toy/hinge", "ill/x", 3],
            "extra": {"margin": 2},
            "weight": "much",
            "wait": 1,
        },
    )
    assert found[("gan", "gan", "margin")] == "must be greater than 0; ; 3"
    assert found[("parts", 1)].endswith("; 4")
    assert found[("parts", 2)].startswith("must be the id of a loss")
    assert found[("extra", "use")].startswith("is required")
    assert found[("weight",)].startswith("must be a number, or a table")
    assert found[("wait",)].startswith("unknown option; did you mean")
    assert len(found) == 6


def test_a_rule_of_the_whole_table(toys: Registry) -> None:
    assert problems(toys, "loss", {"use": "naming_toy/main", "weight": 7}, ("loss",)) == {
        ("loss",): "weight must not be 7; ; 3"
    }


def test_exit_code_is_4_only_when_plugins_are_all_that_is_wrong(toys: Registry) -> None:
    def code(table: dict) -> ExitCode:
        with pytest.raises(ChoiceError) as caught:
            toys.choose("loss", {"use": "naming_toy/main", **table})
        return caught.value.exit_code

    assert code({"gan": "ill/x"}) == ExitCode.PLUGIN
    assert code({"gan": "ill/x", "wait": 1}) == ExitCode.RECIPE


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lost", "can't be imported: ModuleNotFoundError"),
        ("odd", "not a subclass of ganzoo.api.Options"),
        ("taken", 'the option "name" of naming_toy/taken could never be set'),
        ("rude", "can't check its options: KeyError: 'rude'"),
    ],
)
def test_broken_options_are_the_plugins_fault(toys: Registry, name: str, text: str) -> None:
    (found,) = problems(toys, "loss", f"naming_toy/{name}").values()
    assert text in found
    assert found.endswith("; 4")


def test_plain_construction_resolves_names(toys: Registry) -> None:
    model = toys.options_model(toys.entry("loss", "naming_toy/main"))
    assert model().gan.id == "naming_toy/hinge"
    with pytest.raises(ChoiceError, match="did you mean"):
        model(gan="naming_toy/hing")


def test_activate_returns_the_active_registry(toys: Registry) -> None:
    assert registry.activate() is toys
    assert registry.current() is toys
