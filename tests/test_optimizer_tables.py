"""`[optimizer]` and `[players.NAME]`: short keys and `use`, and one table laid over another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ganzoo.cli.main import main
from ganzoo.plugin_system.discovery import discover
from ganzoo.plugin_system.registry import Registry
from ganzoo.recipe import Recipe, RecipeProblems, loads
from ganzoo.recipe.write import to_toml
from tests.core_only import CORE_ONLY

TOY = Path(__file__).parent / "toys" / "naming_toy.py"
TOYS = Registry([*CORE_ONLY, *discover(files=[TOY], environ={}, entry_points=[])])

BASE = """\
task = "naming_toy/task"
metric = []
data = { use = "naming_toy/data", size = 8 }
loss = "naming_toy/hinge"
"""


def read(tables: str, *overrides: str) -> Recipe:
    return loads(BASE + tables, "base", overrides, TOYS)


def optimizer(tables: str, *overrides: str) -> dict:
    return read(tables, *overrides).document["optimizer"]


def problems_of(tables: str, *overrides: str) -> list[tuple[str, int, int, str]]:
    with pytest.raises(RecipeProblems) as caught:
        read(tables, *overrides)
    return [(one.key, one.line, one.column, one.message) for one in caught.value.problems]


CONSTANT = {"use": "ganzoo/constant", "warmup": 0.0}


@pytest.mark.parametrize(
    ("short", "spelled_out"),
    [
        ("", '[optimizer]\nuse = "ganzoo/adam"'),
        ('[optimizer]\nname = "adamw"\nlr = 1', '[optimizer]\nuse = "ganzoo/adamw"\nlr = 1'),
        (
            '[optimizer]\nname = "sgd"\nbetas = [0.25, 0.9]\neps = 1e-3',
            'optimizer = { use = "ganzoo/sgd", momentum = 0.25 }',
        ),
        (
            "optimizer = { name = 'rmsprop', betas = [{ from = 0, to = 0.5 }, 0.9] }",
            "[optimizer]\nuse = 'ganzoo/rmsprop'\nmomentum = { from = 0, to = 0.5 }\nalpha = 0.9",
        ),
        (
            "[optimizer.schedule]\nshape = 'linear'\nhold = 0.5\nevery = 'epoch'\nwarmup = 0.1",
            """[optimizer.schedule]\nuse = 'ganzoo/linear'\nhold = 0.5\nwarmup = 0.1
            every = 'epoch'""",
        ),
        (
            "[optimizer.schedule]\nhold = 0.5\nevery = 'epoch'\nwarmup = 0.1",
            "[optimizer]\nschedule = { use = 'ganzoo/constant', warmup = 0.1 }",
        ),
        ("[optimizer.schedule]\nshape = 'cosine'", "[optimizer]\nschedule = 'ganzoo/cosine'"),
        (
            """optimizer = { name = 'sgd', betas = [0, 0.9] }
            players.a = { name = 'adam', clip = 1 }""",
            """optimizer = { use = 'ganzoo/sgd', momentum = 0 }
            players.a = { use = 'ganzoo/adam', betas = [0, 0.9], clip = 1 }""",
        ),
    ],
)
def test_a_short_key_means_the_same_as_use(short: str, spelled_out: str) -> None:
    assert read(short) == read(spelled_out)
    assert read(short).sha256 == read(spelled_out).sha256


def test_the_defaults() -> None:
    assert optimizer("") == {
        "use": "ganzoo/adam",
        "lr": 2e-4,
        "betas": [0.5, 0.999],
        "eps": 1e-8,
        "weight_decay": 0.0,
        "schedule": CONSTANT,
    }
    assert {str(origin) for path, origin in read("").origins.items() if path[0] == "optimizer"} == {
        "default"
    }


SHORT = "[optimizer]\nlr = 1\nbetas = [0.1, 0.9]\nschedule = { shape = 'linear', hold = 0.5 }\n"
LONG = SHORT.replace("shape = '", "use = 'ganzoo/").replace("lr = 1", "use = 'ganzoo/adam'\nlr = 1")


def test_a_short_key_keeps_the_rest_and_another_use_replaces_it() -> None:
    held = {"use": "ganzoo/cosine", "hold": 0.5, "every": "step", "warmup": 0.0}
    assert optimizer(SHORT, "optimizer.schedule.shape=cosine")["schedule"] == held
    assert optimizer(SHORT, "optimizer.schedule.shape=constant")["schedule"] == CONSTANT
    assert optimizer(SHORT, "optimizer.schedule.use=ganzoo/cosine")["schedule"]["hold"] == 0
    assert optimizer(SHORT, "optimizer.name=sgd")["momentum"] == 0.1
    assert optimizer(SHORT, "optimizer.use=ganzoo/sgd") == {
        "use": "ganzoo/sgd",
        "lr": 2e-4,
        "momentum": 0.5,
        "weight_decay": 0.0,
        "schedule": held | {"use": "ganzoo/linear"},
    }
    assert optimizer(LONG, "optimizer.schedule.hold=0.25")["schedule"]["hold"] == 0.25


@pytest.mark.parametrize("base", [SHORT, LONG])
def test_another_use_keeps_clipping_and_schedule(base: str) -> None:
    """The same id keeps the options too, whether the table names it or not."""
    base += "clip = 2\n"
    for other in (
        "optimizer.use=ganzoo/sgd",
        "optimizer=ganzoo/sgd",
        "optimizer={use='ganzoo/sgd'}",
    ):
        table = optimizer(base, other)
        assert (table["use"], table["lr"], table["clip"]) == ("ganzoo/sgd", 2e-4, 2)
        assert (table["schedule"]["use"], table["schedule"]["hold"]) == ("ganzoo/linear", 0.5)
    assert optimizer(base, "optimizer.use=ganzoo/adam") == optimizer(base)
    assert optimizer(base, "optimizer=ganzoo/adam") == optimizer(base)
    assert optimizer(base, "optimizer.schedule.use=ganzoo/constant")["schedule"] == CONSTANT
    players = base + "[players.a]\nlr = 3\nclip = 4\n"
    for use, rate in (("ganzoo/sgd", 2e-4), ("ganzoo/adam", 3)):
        table = read(players, f"players.a.use={use}").document["players"]["a"]
        assert (table["use"], table["lr"], table["clip"]) == (use, rate, 4)


@pytest.mark.parametrize("base", [SHORT, LONG])
def test_a_short_key_replaces_an_inherited_use(base: str) -> None:
    assert optimizer(base, "optimizer.name=sgd")["momentum"] == 0.1
    assert optimizer(base, "optimizer.schedule.shape=cosine")["schedule"]["hold"] == 0.5
    assert read(base + "[players.a]\nname = 'sgd'").document["players"]["a"]["momentum"] == 0.1
    resolved = loads(to_toml(read(base)), "r", ["optimizer.name=rmsprop"], TOYS)
    assert resolved.document["optimizer"]["alpha"] == 0.9


def test_a_short_key_drops_inherited_options_that_its_component_lacks() -> None:
    steps = optimizer(SHORT, "optimizer.schedule.shape=steps", "optimizer.schedule.at=[0.5]")
    assert steps["schedule"]["at"] == [0.5]
    turned = optimizer(SHORT, "optimizer.schedule.at=[0.5]", "optimizer.schedule.shape=steps")
    assert turned == steps
    sgd = "[optimizer]\nname = 'sgd'\nmomentum = 0.9\n[players.a]\nname = 'adam'\n"
    assert read(sgd).document["players"]["a"]["betas"] == [0.5, 0.999]
    assert optimizer(sgd, "optimizer.name=adam")["betas"] == [0.5, 0.999]
    assert optimizer(SHORT, "optimizer.name=sgd", "optimizer.name=adam") == optimizer(SHORT)
    # An option of the command line is never left out without a message.
    wanted = problems_of(SHORT, "optimizer.momentum=0.9", "optimizer.name=adam")
    assert [(key, message) for key, _, _, message in wanted] == [
        ("optimizer.momentum", "unknown option")
    ]


@pytest.mark.parametrize("player", ["", "[players.a]\n"])
def test_the_last_of_two_names_of_an_option_counts(player: str) -> None:
    """`betas` and `momentum` are one option of SGD under a short key."""

    def momentum(table: str, change: str) -> float:
        where = "players.a." if player else "optimizer."
        rest = player + change.replace("=", " = ") if player else ""
        recipe = read(table + rest, *([] if player else [where + change]))
        one = recipe.players["a"] if player else recipe.optimizer
        return one.chosen.options.momentum.start

    assert momentum("[optimizer]\nname='sgd'\nmomentum=0.9\n", "betas=[0.0, 0.9]") == 0
    assert momentum("[optimizer]\nname='sgd'\nbetas=[0.9, 0.9]\n", "momentum=0.25") == 0.25


@pytest.mark.parametrize("base", [SHORT, LONG])
def test_a_player_with_another_optimizer_keeps_what_is_the_engines(base: str) -> None:
    """Its options are its own; the schedule and the clipping are those of `[optimizer]`."""
    base += "clip = { from = 2, to = 1 }\n"
    for player in ("players.a.use=ganzoo/sgd", "players.a=ganzoo/sgd"):
        table = read(base, player).document["players"]["a"]
        assert table["lr"] == 2e-4
        assert table["momentum"] == 0.5
        assert table["schedule"]["use"] == "ganzoo/linear"
        assert table["clip"]["from"] == 2
    same = read(base, "players.a.use=ganzoo/adam", "players.a.clip={to=0.5}").document["players"]
    assert same["a"]["lr"] == 1
    assert same["a"]["clip"] == {"from": 2, "to": 0.5, "until": 1, "shape": "linear"}
    steps = read(base, "players.a.schedule={use='ganzoo/steps', at=[0.5]}").players["a"]
    assert steps.keys.schedule.options.at == (0.5,)
    assert steps.chosen.options.lr.start == 1


def test_places_and_origins_are_those_of_what_was_written() -> None:
    text = "[optimizer]\nname = 'rmsprop'\nbetas = [0.5, 1.5]\n[players.a]\nlr = -1\n"
    assert problems_of(text) == [
        ("optimizer.alpha", 7, 15, "must be less than 1"),
        ("players.a.lr", 9, 6, "must be greater than 0"),
    ]
    origins = read(SHORT + "[players.a]\neps = 1\n", "optimizer.name=sgd").origins
    assert str(origins["optimizer", "use"]) == "--set"
    assert str(origins["optimizer", "momentum"]) == "base:7"
    assert str(origins["optimizer", "schedule", "use"]) == "base:8"
    assert str(origins["players", "a", "lr"]) == "base:6"
    assert str(origins["optimizer", "weight_decay"]) == "default"


HOLD = "optimizer.schedule.hold"


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("[optimizer]\nname = 'adamm'", "optimizer.use", 'has no optimizer "ganzoo/adamm"'),
        ("[optimizer]\nname = 3", "optimizer.use", "must be text"),
        ("optimizer = 3", "optimizer", "must be the id of an optimizer"),
        ("[players]\na = 3", "players.a", "must be the id of an optimizer"),
        ("[optimizer]\nschedule = 3", "optimizer.schedule", "must be the id of a schedule"),
        ("[optimizer.schedule]\nshape = 'round'", "optimizer.schedule.use", "ganzoo/round"),
        ("[optimizer]\nuse = 'ganzoo/sgd'\nbetas = [0, 0]", "optimizer.betas", "unknown option"),
        ("[optimizer]\nuse = 'ganzoo/linear'", "optimizer.use", "is a schedule, not an optimizer"),
        (
            "[optimizer]\nuse = 'ganzoo/sgd'\nname = 'adam'",
            "optimizer.name",
            "is short for `use`, which this table has too",
        ),
        ("[optimizer]\nname = 'sgd'\nmomentum = 0\nbetas = [0, 0]", "optimizer.betas", "unknown"),
        ("[optimizer]\nname = 'sgd'\nbetas = [0, 7]", "optimizer.betas.1", "less than 1"),
        ("[optimizer]\nname = 'rmsprop'\nbetas = 0.5", "optimizer.betas", "must be"),
        ("[optimizer]\nname = 'sgd'\neps = 'x'", "optimizer.eps", "must be a number"),
        ("[optimizer.schedule]\nhold = 7", "optimizer.schedule.hold", "less than 1"),
        ("[optimizer]\nname = 'sgd'\n[players.a]\neps = 'x'", "players.a.eps", "must be a number"),
        ("[optimizer.schedule]\nshape = 'steps'\nat = [0.5]\nhold = 0.5", HOLD, "unknown"),
        ("[optimizer]\nschedule = 'ganzoo/steps'", "optimizer.schedule", "needs the points"),
        (
            "[optimizer]\nschedule = { use = 'ganzoo/steps', at = [0.5], images = [9] }",
            "optimizer.schedule",
            "needs the points",
        ),
    ],
)
def test_what_is_wrong_is_said_at_its_key(text: str, key: str, message: str) -> None:
    found = {at: said for at, _, _, said in problems_of(text)}
    assert message in found[key]


def test_a_misspelt_key_of_the_engine_is_named() -> None:
    with pytest.raises(RecipeProblems, match='did you mean "clip"'):
        read("[optimizer]\nclpi = 1")
    with pytest.raises(RecipeProblems, match='did you mean "schedule"'):
        read("[players.a]\nschedul = {}")


def test_show_says_which_recipes_use_an_optimizer_and_a_schedule(
    capsys: pytest.CaptureFixture[str],
) -> None:
    used = {}
    for name in ("adam", "linear", "cosine"):
        assert main(["show", f"ganzoo/{name}", "--json"]) == 0
        used[name] = json.loads(capsys.readouterr().out)["components"][0]["recipes"]
    assert {"quickstart", "gan_ring"} <= {*used["linear"]} < {*used["adam"]}
    assert used["cosine"] == []
