from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganzoo.api import TaskOptions
from ganzoo.data.dataset_paths import find_data
from ganzoo.errors import DataMissing, ExitCode, RecipeError, UsageError
from ganzoo.interfaces import Clock
from ganzoo.plugin_system.discovery import PluginRecord, discover
from ganzoo.plugin_system.registry import Registry, current
from ganzoo.recipe import (
    Recipe,
    RecipeProblems,
    load_document,
    load_recipe,
    loads,
    shipped_recipes,
)
from ganzoo.recipe.copy import copied
from ganzoo.recipe.resolved import KEYS, leaves
from ganzoo.recipe.validate import DEFAULT_METRICS
from ganzoo.recipe.write import to_toml
from tests.core_only import CORE_ONLY

TOY = Path(__file__).parent / "toys" / "naming_toy.py"
TOYS = Registry(
    [
        *CORE_ONLY,
        *discover(files=[TOY], environ={}, entry_points=[]),
        PluginRecord(
            namespace="ill",
            distribution="ganzoo-ill",
            version="1",
            module="ill",
            state="quarantined",
            reason="ImportError: y",
        ),
    ]
)

BASE = """\
name = "base"
task = "naming_toy/task"
metric = []

[data]
use = "naming_toy/data"
size = 64
fallback = { use = "naming_toy/data", size = 8 }

[[augment]]
use = "naming_toy/flip"

[[augment]]
use = "naming_toy/flip"
p = 1
on = "evaluation"

[generator]
use = "naming_toy/net"
depth = 5
norm = "none"

[loss]
use = "naming_toy/main"
gan = { use = "naming_toy/square", margin = 2 }

[train]
epochs = 3

[optimizer]
betas = [0.5, 0.9]

[optimizer.schedule]
shape = "linear"
"""


def read(text: str, *overrides: str) -> Recipe:
    return loads(text, "base", overrides, TOYS)


def problems_of(text: str, *overrides: str) -> tuple[RecipeProblems, dict[str, str]]:
    with pytest.raises(RecipeProblems) as caught:
        read(text, *overrides)
    return caught.value, {one.key: one.message for one in caught.value.problems}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_a_whole_recipe() -> None:
    recipe = read(BASE)
    assert recipe.name == "base"
    assert recipe.task.id == "naming_toy/task"
    assert (recipe.data.options.size, recipe.fallback.options.size) == (64, 8)
    assert [entry.on for entry in recipe.augment] == ["train", "evaluation"]
    assert recipe.networks["generator"].options.depth == 5
    assert set(recipe.networks) == {"generator"}
    assert recipe.loss[0].chosen.options.gan.options.margin == 2
    assert recipe.train.epochs == 3
    assert recipe.text == BASE


def test_words_for_nothing() -> None:
    recipe = read(BASE, "generator=none", "data.fallback=none")
    assert recipe.networks == {"generator": None}
    assert recipe.fallback is None
    assert recipe.document["generator"] == "none"


def test_metrics_default_to_the_cores_own() -> None:
    cores = read(BASE.replace("metric = []\n", "")).metrics
    assert tuple(metric.id for metric in cores) == DEFAULT_METRICS
    recipe = read(BASE.replace("metric = []", 'metric = "naming_toy/distance"'))
    assert [metric.id for metric in recipe.metrics] == ["naming_toy/distance"]


def test_players_lie_over_the_optimizer() -> None:
    text = BASE + "[players.critic]\nlr = 1e-3\nschedule = { hold = 0.5 }\n"
    critic = read(text).players["critic"]
    assert critic.chosen.options.settings(Clock(0, 0, 0.0)) == {"lr": 1e-3, "betas": (0.5, 0.9)}
    assert (critic.keys.schedule.id, critic.keys.schedule.options.hold) == ("ganzoo/linear", 0.5)


@pytest.mark.parametrize(
    ("overrides", "mode"),
    [
        ([], "running"),
        (["task=naming_toy/paper_task"], "paper"),
        (["task=naming_toy/paper_task", "inference={}"], "paper"),
        (["task=naming_toy/paper_task", "inference.mode=running"], "running"),
        (["inference.mode=paper"], "paper"),
    ],
)
def test_the_mode_is_the_tasks_unless_the_recipe_says_otherwise(
    overrides: list[str], mode: str
) -> None:
    recipe = read(BASE, *overrides)
    assert recipe.inference.mode == recipe.document["inference"]["mode"] == mode
    written = any("mode" in override for override in overrides)
    assert str(recipe.origins["inference", "mode"]) == ("--set" if written else "default")
    check_reloads(recipe)


def test_a_task_can_prefer_only_a_mode_that_exists() -> None:
    with pytest.raises(ValueError, match="default_mode is 'papr', and may be: paper, determ"):
        type("Wrong", (TaskOptions,), {"default_mode": "papr", "__module__": __name__})


def test_one_loss_is_the_same_in_an_array() -> None:
    array = BASE.replace("[loss]", "[[loss]]")
    assert read(array) == read(BASE)
    assert read(array, "loss.weight=3") == read(BASE, "loss.weight=3")


def test_several_losses_need_different_names() -> None:
    text = BASE.replace("[loss]", '[[loss]]\nuse = "naming_toy/hinge"\n[[loss]]')
    assert [entry.name for entry in read(text).loss] == ["hinge", "main"]
    same = text.replace("[[loss]]\nuse", '[[loss]]\nname = "main"\nuse', 1)
    assert "taken" in problems_of(same)[1]["loss.1.name"]


# --- extends


def test_extends_merges_deeply_and_a_new_use_replaces(write: Callable) -> None:
    write("base.toml", BASE)
    child = write(
        "child.toml",
        'extends = "base"\nname = "child"\ngenerator = { use = "naming_toy/net2", layers = [1] }\n'
        'data = { use = "naming_toy/data", root = "x" }\naugment = []\n[train]\nbatch_size = 4\n',
    )
    recipe = load_recipe(child, registry=TOYS)
    assert (recipe.train.epochs, recipe.train.batch_size) == (3, 4)
    options = recipe.networks["generator"].options
    assert (options.depth, options.norm, options.layers) == (4, "batch", (1,))  # defaults again
    assert (recipe.data.options.size, recipe.data.options.root) == (64, "x")  # the same use merges
    assert recipe.fallback is not None
    assert recipe.augment == ()
    assert recipe.name == "child"


@pytest.mark.parametrize(
    ("parent", "child", "depth"),
    [
        ('"naming_toy/net"', '"naming_toy/net2"', 4),
        ('{ use = "naming_toy/net", depth = 2 }', '"naming_toy/net2"', 4),
        ('{ use = "naming_toy/net", depth = 2 }', '"naming_toy/net"', 2),
        ('{ use = "naming_toy/net", depth = 2 }', '{ norm = "none" }', 2),
        ('"naming_toy/net"', "{ depth = 3 }", 3),
        ('{ use = "naming_toy/net", depth = 2 }', '{ use = "naming_toy/net2" }', 4),
        ('"none"', '{ use = "naming_toy/net", depth = 6 }', 6),
    ],
)
def test_use_tables_and_bare_strings(write: Callable, parent: str, child: str, depth: int) -> None:
    rest = 'task = "naming_toy/task"\ndata = { use = "naming_toy/data", size = 1 }\nmetric = []\n'
    write("base.toml", f'{rest}loss = "naming_toy/hinge"\ngenerator = {parent}\n')
    path = write("child.toml", f'extends = "base.toml"\ngenerator = {child}\n')
    generator = load_recipe(path, registry=TOYS).networks["generator"]
    assert generator.options.depth == depth
    same = load_recipe("base.toml", [f"generator={child}"], TOYS).networks["generator"]
    assert same == generator  # --set follows the same rules


def test_extends_several(write: Callable) -> None:
    write("base.toml", BASE)
    write("long.toml", "[train]\nepochs = 9\nseed = 1\n")
    write("other.toml", "[train]\nseed = 2\n")
    path = write("child.toml", 'extends = ["base", "long", "other"]')
    train = load_recipe(path, registry=TOYS).train
    assert (train.epochs, train.seed) == (9, 2)


def test_extends_looks_beside_the_file_first(write: Callable) -> None:
    write("base.toml", "this is no recipe")
    write("sub/base.toml", BASE)
    path = write("sub/child.toml", 'extends = "base"\n')
    assert load_recipe(path, registry=TOYS).train.epochs == 3


def test_extends_in_a_circle(write: Callable) -> None:
    write("a.toml", 'extends = "b"')
    write("b.toml", 'extends = "c"')
    write("c.toml", 'extends = "a"')
    with pytest.raises(RecipeProblems, match=r"a\.toml -> b\.toml -> c\.toml -> a\.toml"):
        load_recipe("a.toml", registry=TOYS)
    write("self.toml", 'extends = "self"')
    with pytest.raises(RecipeProblems, match="this recipe itself"):
        load_recipe("self.toml", registry=TOYS)


def test_a_missing_parent_is_shown_at_its_place(write: Callable) -> None:
    path = write("a.toml", 'name = "x"\nextends = ["nowhere"]')
    with pytest.raises(RecipeProblems) as caught:
        load_recipe(path, registry=TOYS)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.column) == ("a.toml", 2, 12)


def test_unknown_recipe() -> None:
    with pytest.raises(RecipeError, match="no recipe") as caught:
        load_recipe("no_such_recipe", registry=TOYS)
    assert caught.value.exit_code == ExitCode.RECIPE


def test_a_plugins_recipes_are_found(write: Callable, tmp_path: Path) -> None:
    file = write("else/where/small.toml", BASE)
    (toy,) = discover(files=[TOY], environ={}, entry_points=[])
    shipping = Registry([*CORE_ONLY, PluginRecord(**{**vars(toy), "recipes": (file,)})])
    for ref in ("naming_toy/small", "small", "small.toml", "recipes/naming_toy/small.toml"):
        assert load_recipe(ref, registry=shipping).path == file
    with pytest.raises(RecipeError, match='did you mean "naming_toy/small"'):
        load_recipe("naming_toy/smal", registry=shipping)


# --- --set


@pytest.mark.parametrize(
    ("overrides", "path", "value"),
    [
        (["train.epochs=7"], ("train", "epochs"), 7),
        (["train.epochs=7", "train.epochs=8"], ("train", "epochs"), 8),
        (["train={epochs=7, seed=1}"], ("train", "batch_size"), 1),
        (["augment.1.p=0.25"], ("augment", 1, "p"), 0.25),
        (["data.root=a b=c"], ("data", "root"), "a b=c"),
        (['data.root="2024"'], ("data", "root"), "2024"),
        (["optimizer.betas=[0, 0.5]"], ("optimizer", "betas"), [0.0, 0.5]),
        (["optimizer.lr={from=2,to=1}"], ("optimizer", "lr", "from"), 2.0),
        (["optimizer.schedule.hold=0.5"], ("optimizer", "schedule", "hold"), 0.5),
        (["generator=naming_toy/net2"], ("generator", "depth"), 4),
        (["generator.use=naming_toy/net2"], ("generator", "depth"), 4),
        (["generator=naming_toy/net2", "generator.depth=6"], ("generator", "depth"), 6),
        (["generator.depth=6", "generator=naming_toy/net2"], ("generator", "depth"), 4),
        (["loss.gan=naming_toy/hinge"], ("loss", "gan", "margin"), 1.0),
        (["loss.gan.margin=5"], ("loss", "gan", "margin"), 5.0),
        (["loss.weight={from=1, to=2}"], ("loss", "weight", "to"), 2.0),
        (["players.critic.lr=1"], ("players", "critic", "lr"), 1.0),
        (["discriminator=naming_toy/judge"], ("discriminator", "depth"), 4),
    ],
)
def test_overrides(overrides: list[str], path: tuple, value: object) -> None:
    recipe = read(BASE, *overrides)
    assert dict(leaves(recipe.document))[path] == value
    assert recipe != read(BASE)


@pytest.mark.parametrize("argument", ["train.epochs", "=3", "a..b=1", "a b=1", "[a]=1", "x\ny=1"])
def test_what_is_no_override(argument: str) -> None:
    with pytest.raises(UsageError, match="it must have the form KEY=VALUE"):
        read(BASE, argument)


@pytest.mark.parametrize(
    ("argument", "message", "underlined"),
    [
        ("train.epochs=x", "must be a whole number", "x"),
        ("train.epochs=0", "must be at least 1", "0"),
        ("train.epochs=true", "must be a number", "true"),
        ('train.epochs="3"', "must be a number, without quotes", '"3"'),
        ("data.strict=1", "must be true or false", "1"),
        ("data.root=5", "must be text", "5"),
        ("trian.epochs=3", "unknown key", "trian.epochs"),
        ("train.epoch=3", "unknown option", "train.epoch"),
        ("train={epoch=3}", "unknown option", "epoch"),
        ("optimizer.betas=[0, 2]", "must be less than 1", "2"),
        ("optimizer.lr={from=1,to=0}", "must be greater than 0", "{from=1,to=0}"),
        ("optimizer.clip=-1", "must be greater than 0", "-1"),
        ("ema.half_life={from=1}", "is required", "ema.half_life"),
        ("train.epochs={from=1,to=2}", "must be a whole number", "{from=1,to=2}"),
        ("augment.2.p=1", "give an index from 0 to 1", "augment.2.p"),
        ("callback.0.x=1", "the recipe has no callback", "callback.0.x"),
        ("generator=naming_toy/nt", "has no generator", "naming_toy/nt"),
        ("loss.gan=naming_toy/squar", "has no loss", "naming_toy/squar"),
        ("extends=other", "can't be set", "extends"),
        ("watch.log=5 parsecs", "must be like", "5 parsecs"),
    ],
)
def test_problems_point_into_the_override(argument: str, message: str, underlined: str) -> None:
    error, _ = problems_of(BASE, "train.seed=1", argument)
    (problem,) = error.problems
    assert message in problem.message
    assert problem.file == "--set"
    assert argument[problem.column - 1 :][: problem.width] == underlined


# --- problems

BAD = """\
name = "a b"
modle = 3
task = "naming_toy/tusk"
generator = "ill/net"
metric = []
callback = [3]

[data]
use = "naming_toy/data"

[[augment]]
use = "naming_toy/flip"
p = 2
on = "tests"

[loss]
use = "naming_toy/main"
gan = { use = "naming_toy/square", margin = -1 }
weight = { from = 1, until = 0.5 }

[train]
epochs = "many"
workers = 1.5
precision = "fp8"

[players]
critic = { lr = -1 }
"""

EXPECTED = """\
bad:1:8 name: must have only letters
bad:2:1 modle: unknown key
bad:3:8 task: the plugin "naming_toy" has no task
bad:4:13 generator: the plugin "ill" is quarantined
bad:6:13 callback.0: must be the id of a callback, or a table
bad:8:2 data.size: is required
bad:13:5 augment.0.p: must be at most 1
bad:14:6 augment.0.on: must be "train", "evaluation" or "always"
bad:18:45 loss.gan.margin: must be greater than 0
bad:19:1 loss.weight.to: is required
bad:22:10 train.epochs: must be a whole number
bad:23:11 train.workers: must be a whole number or "auto"
bad:24:13 train.precision: must be "auto", "fp64", "fp32", "bf16" or "fp16"
bad:27:17 players.critic.lr: must be greater than 0
"""


def test_all_problems_at_once_each_at_its_place() -> None:
    with pytest.raises(RecipeProblems) as caught:
        loads(BAD, "bad", registry=TOYS)
    error = caught.value
    expected = EXPECTED.splitlines()
    found = [
        f"{one.file}:{one.line}:{one.column} {one.key}: {one.message}" for one in error.problems
    ]
    assert len(found) == len(expected), "\n".join(found)
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(start), line
    assert error.exit_code == ExitCode.RECIPE  # with a broken plugin and others: 3
    for one in error.problems:
        document = one.as_json()
        assert set(document) == {
            *("file", "line", "column", "key", "message", "hint", "exit_code"),
        }
    hints = {one.key: one.hint for one in error.problems}
    assert hints["task"] == 'did you mean "naming_toy/task"?'
    assert hints["augment.0.on"] == ""


def test_only_broken_plugins_exit_4() -> None:
    error, _ = problems_of(BASE, "generator=ill/net", "loss.gan=nowhere/x")
    assert error.exit_code == ExitCode.PLUGIN


def test_how_a_problem_looks() -> None:
    error, _ = problems_of(BASE.replace('norm = "none"', 'norm = "non"'))
    assert str(error) == (
        "base:21:8: generator.norm\n"
        '   21 | norm = "non"\n'
        '      |        ^^^^^ must be "batch", "instance" or "none"\n'
        '      |              did you mean "none"?'
    )
    error, _ = problems_of(BASE, "generator.norm=non")
    assert str(error) == (
        "--set: generator.norm\n"
        "      --set generator.norm=non\n"
        '                           ^^^ must be "batch", "instance" or "none"\n'
        '                               did you mean "none"?'
    )


def test_required_parts() -> None:
    _, found = problems_of("metric = []")
    assert found == {"task": "is required", "data": "is required", "loss": "is required"}


@pytest.mark.parametrize(
    ("text", "place"),
    [("a = 1\nb = ]", (2, 5)), ("a = 1\na = 2\n", (2, 6)), ('a = "x', (1, 7)), ("[a", (1, 3))],
)
def test_syntax_errors_have_a_place(text: str, place: tuple) -> None:
    (problem,) = problems_of(text)[0].problems
    assert (problem.line, problem.column) == place


def test_files_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="not UTF-8"):
        load_recipe(tmp_path / "x.toml", registry=TOYS)


def test_problems_in_a_parent_name_the_parents_file(write: Callable) -> None:
    write("base.toml", BASE.replace("epochs = 3", "epochs = 0"))
    write("child.toml", 'extends = "base"\nnmae = "child"')
    with pytest.raises(RecipeProblems) as caught:
        load_recipe("child.toml", registry=TOYS)
    places = [(one.file, one.line, one.key) for one in caught.value.problems]
    assert places == [("child.toml", 2, "nmae"), ("base.toml", 28, "train.epochs")]


plain_values = st.recursive(
    st.sampled_from([0, 1.5, True, "", "none", "naming_toy/main", "naming_toy/flip", "x/y"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["use", "preset", "gan", "parts", "on", "name", "fallback", "lr", "p"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*KEYS, "x"]), plain_values))
def test_whatever_is_written_the_outcome_is_a_recipe_or_problems(document: dict) -> None:
    document.pop("extends", None)
    try:
        recipe = load_document({**read(BASE).document, **document}, TOYS)
    except RecipeProblems as error:
        assert error.problems  # noqa: PT017  # either outcome is right
    else:
        check_reloads(recipe)


# --- resolved recipes


def test_origins_of_all_values(write: Callable) -> None:
    write("base.toml", BASE)
    write("child.toml", 'extends = "base"\ngenerator = "naming_toy/net2"\n[train]\nseed = 5\n')
    overrides = ["watch.log=9 steps", "players.critic.eps=1e-3", "discriminator=naming_toy/judge"]
    recipe = load_recipe("child.toml", overrides, TOYS)
    assert set(recipe.origins) == {path for path, _ in leaves(recipe.document)}
    origins = {".".join(map(str, path)): str(origin) for path, origin in recipe.origins.items()}
    assert origins["name"] == "base.toml:1"
    assert origins["generator.use"] == "child.toml:2"
    assert origins["generator.depth"] == "default"
    assert origins["train.seed"] == "child.toml:4"
    assert origins["train.epochs"] == "base.toml:28"
    assert origins["train.batch_size"] == "default"
    assert origins["watch.log"] == "--set"
    assert origins["discriminator.use"] == "--set"
    assert origins["discriminator.depth"] == "default"
    assert origins["loss.gan.margin"] == "base.toml:25"
    assert origins["players.critic.eps"] == "--set"
    assert origins["players.critic.betas"] == "base.toml:31"
    assert origins["players.critic.lr"] == "default"


def test_origin_of_a_presets_value() -> None:
    recipe = read(BASE, 'generator={use="naming_toy/net2"}', "discriminator=naming_toy/judge")
    assert str(recipe.origins["generator", "depth"]) == "default"
    recipe = read(BASE.replace("depth = 5", 'preset = "deep"'))
    assert str(recipe.origins["generator", "depth"]) == 'preset "deep"'
    assert recipe.document["generator"]["depth"] == 7
    assert "preset" not in recipe.document["generator"]
    assert str(recipe.origins["generator", "norm"]) == "base:21"


def check_reloads(recipe: Recipe) -> None:
    text = to_toml(recipe)
    for again in (loads(text, "x", registry=TOYS), load_document(recipe.document, TOYS)):
        assert again == recipe
        assert again.sha256 == recipe.sha256
    assert tomllib.loads(text) == recipe.document


SETS = {
    "generator": ["none", "naming_toy/net2", '{use="naming_toy/net", layers=[1, 2], dropout=0.5}'],
    "discriminator": ["none", '{use="naming_toy/judge", receptive_field=16}'],
    "loss": ["naming_toy/hinge", '["naming_toy/hinge", {use="naming_toy/main", name="m-1"}]'],
    "loss.gan": ["naming_toy/hinge", '{use="naming_toy/main", parts=["naming_toy/hinge"]}'],
    "loss.weight": ["0.1", '{from=10, to=1, until=0.5, shape="log"}'],
    "loss.parts": ["[]", '["naming_toy/hinge", {use="naming_toy/square", margin=0.1}]'],
    "data.root": ['"a\\"b\\\\c # d\\n"', "'é'"],
    "data.fallback": ["none"],
    "augment": ["[]", '[{use="naming_toy/flip", on="always", p=0.1}]'],
    "metric": ['["naming_toy/distance"]'],
    "optimizer.clip": ["1", "0.5", "{from=2, to=1, shape='cosine'}"],
    "optimizer.betas": ["[{from=0, to=0.9}, 0.99]"],
    "ema.half_life": ["{from=1, to=1e4, shape='log'}"],
    "networks.generator_ab": [
        "none",
        "naming_toy/net2",
        "{use='naming_toy/net', depth=2, preset='deep'}",
    ],
    "ema": ["{enabled=true, roles=['generator_ab']}"],
    "players.critic": ["{}", "{lr=1e-5, clip=2, schedule={warmup=0.1}}"],
    "watch.validate": ["2 epochs"],
    "summary": ["'x = 1 # y'"],
}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_resolved_recipe_makes_the_same_recipe(data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.sampled_from(sorted(SETS)), unique=True))
    # A whole table first, then what goes into it; options of `main` only where it is the loss.
    keys = sorted(key for key in keys if not ("loss" in keys and key.startswith("loss.")))
    recipe = read(BASE, *(f"{key}={data.draw(st.sampled_from(SETS[key]))}" for key in keys))
    check_reloads(recipe)


def test_spelling_does_not_change_the_hash_and_meaning_does() -> None:
    recipe = read(BASE)
    assert read(BASE.replace("epochs = 3", "epochs = 3\nbatch_size = 1")).sha256 == recipe.sha256
    assert read(BASE.replace("epochs = 3", "epochs = 4")).sha256 != recipe.sha256
    # Keys that came later: their defaults are what runs did before.
    assert read(BASE.replace("epochs = 3", "epochs = 3\ntf32 = false")).sha256 == recipe.sha256
    assert read(BASE.replace("epochs = 3", "epochs = 3\ntf32 = true")).sha256 != recipe.sha256


def test_averaged_roles_without_an_average_are_refused() -> None:
    with pytest.raises(RecipeProblems) as caught:
        read(BASE + "\n[ema]\nroles = ['generator_ab']\n")
    (problem,) = caught.value.problems
    assert (problem.key, problem.hint) == ("ema.roles", "set ema.enabled = true")
    assert problem.source_line == "roles = ['generator_ab']"
    # The controls: an average, and one that is switched off.
    for enabled in ("true", "false"):
        check_reloads(read(BASE, f"ema={{enabled={enabled}, roles=['generator_ab']}}"))


def test_a_flat_copy_keeps_the_meaning_of_its_parents_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, child, there = tmp_path / "base", tmp_path / "child", tmp_path / "there"
    for folder in (base / "pictures", base / "runs" / "one", child / "runs" / "two", there):
        folder.mkdir(parents=True)
    start = '[start]\ngenerator_ab = "runs/one:generator"\ngenerator_ba = "runs/one"\n'
    text = BASE.replace("size = 64", 'size = 64\nroot = "pictures"') + start
    (base / "base.toml").write_text(text)
    file = child / "child.toml"
    file.write_text('extends = "../base/base.toml"\nstart.generator_ba = "runs/two"\n')
    monkeypatch.chdir("/")
    meant = load_recipe(file, registry=TOYS)
    assert meant.data.options.root == str(base / "pictures")
    for flat in (True, False):
        (there / "copy.toml").write_text(copied(file, there, TOYS, flat=flat))
        again = load_recipe(there / "copy.toml", registry=TOYS)
        assert again.start.sources == meant.start.sources == {
            "generator_ab": f"{base}/runs/one:generator",
            "generator_ba": f"{child}/runs/two",
        }  # fmt: skip
        assert again.data == meant.data


def test_a_home_of_nobody_is_a_folder_that_is_not_there(tmp_path: Path) -> None:
    base = BASE.replace("size = 64", 'size = 64\nroot = "~nobody99/x"')
    file = tmp_path / "recipe.toml"
    file.write_text(f'{base}[start]\ngenerator_ab = "~nobody99/x"\n')
    assert load_recipe(file, registry=TOYS).start.sources == {"generator_ab": "~nobody99/x"}
    with pytest.raises(DataMissing, match="'~nobody99/x' wasn't found"):
        find_data("", "~nobody99/x")
    with pytest.raises(RecipeError, match="no recipe"):
        load_recipe("~nobody99/x", registry=TOYS)


def test_a_documents_problems_name_it() -> None:
    document = copy.deepcopy(dict(read(BASE).document))
    document["train"]["epochs"] = 0
    with pytest.raises(RecipeProblems, match=r"document: train\.epochs: must be at least 1"):
        load_document(document, TOYS)


def test_each_line_of_a_resolved_recipe_says_its_origin() -> None:
    lines = to_toml(read(BASE, "train.seed=3")).splitlines()
    assert "epochs = 3 # base:28" in lines
    assert "seed = 3 # --set" in lines
    assert all(" # " in line for line in lines if " = " in line)


@pytest.mark.parametrize("ref", sorted(shipped_recipes(current())))
def test_every_shipped_recipe_is_valid_from_any_folder(
    ref: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe(f"recipes/{ref}.toml", registry=current())
    assert load_recipe(ref, registry=current()) == recipe
    again = loads(to_toml(recipe), registry=current())
    assert again.sha256 == recipe.sha256
