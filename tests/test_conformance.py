"""The conformance kit: built-in plugins pass it by everyone's door, and each check can fail."""

import dataclasses
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganzoo.cli.main import main
from ganzoo.errors import PluginError, UsageError
from ganzoo.plugin_system import discovery, registry
from ganzoo.plugin_system.installed_plugins import CORE, GROUP
from ganzoo.testing import CheckFailed, NotApplicable, all_checks, cases, parametrize_with_checks
from ganzoo.testing.kit import Unusable
from ganzoo.testing.verdicts import OUTCOMES

ROOT = Path(__file__).parents[1]
TOYS = ROOT / "tests" / "toys"
GOOD, BROKEN = TOYS / "conformance_good.py", TOYS / "conformance_broken_networks.py"
MINE = {"plugin", "options", "networks", "network_training"}
"""Modules `ganzoo.testing.checks_...` whose checks are tried here; the others have their own."""

BUILT_IN = [one for one in discovery.discover() if one.distribution == CORE]
REGISTRY = registry.Registry(
    [*BUILT_IN, *discovery.discover(entry_points=(), files=[GOOD, BROKEN])]
)
import conformance_broken_networks as broken  # noqa: E402  # its folder is on the path now

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:albumentations")
STRICT = pytest.mark.filterwarnings("error::ganzoo.testing.Advice")
FOLDERS = {
    name: {}
    for name in ("images/folder", "images/side_by_side", "images/two_folders", "images/unpaired")
}
"""Settings of the components that read images from folders; a fixture fills them in."""


@pytest.fixture(scope="module", autouse=True)
def _folders(tmp_path_factory):
    """Drawn pairs as files, in the layouts that these components read."""
    root = tmp_path_factory.mktemp("pairs")
    draw = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for number in range(4):
            pair = draw.integers(256, size=(16, 32, 3), dtype=np.uint8)
            for name, image in (("", pair), ("A", pair[:, :16]), ("B", pair[:, 16:])):
                folder = root / ("two" if name else "one") / split / name
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(folder / f"{number}.png")
    for name, settings in FOLDERS.items():
        settings["root"] = str(root / ("one" if name == "images/side_by_side" else "two"))
    FOLDERS["images/folder"]["classes"] = True


def conformance(namespace, **more):
    """What a plugin's author writes, for one of ours."""

    @STRICT
    @parametrize_with_checks(namespace, registry=REGISTRY, **more)
    def test(case, tmp_path):
        case(tmp_path)

    return test


test_albumentations = conformance("albumentations")
test_core = conformance("ganzoo")
test_cyclegan = conformance("cyclegan")
test_facades = conformance("facades")
test_gan = conformance("gan")
test_pix2pix = conformance("pix2pix")
test_r3gan = conformance("r3gan")
test_timm_unet = conformance("timm_unet")
test_good_toy = conformance("conformance_good")


@STRICT
@parametrize_with_checks("images", registry=REGISTRY, settings=FOLDERS)
def test_images(case, tmp_path):
    if case.case.entry and case.case.entry.id == "images/facades" and "_data_" in case.case.id:
        pytest.skip("test_the_facades_keep_the_contract has the whole data set")
    case(tmp_path)


def test_every_built_in_plugin_is_held_to_it():
    names = {"core" if one.namespace == "ganzoo" else one.namespace for one in BUILT_IN}
    assert {f"test_{name}" for name in names} <= set(globals())


# Every check can fail.


def mine(case):
    return case.check.function.__module__.rpartition("checks_")[2] in MINE


def outcome(case, folder):
    folder.mkdir()
    try:
        case(folder)
    except CheckFailed as fault:
        return str(fault)
    except (NotApplicable, Unusable):
        return None
    return ""


TOY_CASES = [one for one in cases("conformance_broken_networks", REGISTRY) if mine(one)]


@pytest.mark.parametrize("name", broken.BREAKS)
def test_a_broken_component_fails_its_check_and_no_other(name, tmp_path):
    verdicts = {
        case.check.name: outcome(case, tmp_path / case.check.name)
        for case in TOY_CASES
        if case.entry is not None and case.entry.id == name
    }
    failed = {check for check, message in verdicts.items() if message}
    assert failed == {broken.BREAKS[name]} | broken.FOLLOWS.get(name, set())


def test_a_target_that_is_no_module_is_named(tmp_path):
    name = "check_shapes:generator conformance_broken_networks/bare"
    (case,) = (one for one in TOY_CASES if one.id == name)
    said = outcome(case, tmp_path / "bare")
    assert "it builds a Bare, which is no torch.nn.Module" in said
    assert "__init__" not in said.splitlines()[1]


PICKY = """
from functools import partial
from pathlib import Path
from conformance_good_algorithms import Labelled, given
from ganzoo.api import Component, Options, hookimpl

class Picky(Labelled):
    def __init__(self, options, io):
        if io.vector_in() != 4:
            raise ValueError("takes four numbers")
        super().__init__(options, io)

@hookimpl
def ganzoo_components():
    target = partial(given, Picky)
    return [Component(kind="generator", name="one", target=target, options=Options, summary="x")]

@hookimpl
def ganzoo_recipes():
    return [Path(__file__).with_name(name) for name in {recipes}]
"""


@pytest.mark.parametrize("shipped", [True, False, None])
def test_networks_of_other_shapes_get_those_of_their_recipe(shipped, tmp_path):
    name = f"picky_{shipped}".lower()  # a module's name is taken once
    cloud = (TOYS / "conformance_recipes" / "cloud.toml").read_text()
    old = "conformance_good_algorithms/labelled"
    # The first one is the generator; None stands for a recipe that doesn't name the network.
    own = cloud if shipped is None else cloud.replace(old, f"{name}/one", 1)
    (tmp_path / "own.toml").write_text(own.replace('"cloud"', '"own"', 1))
    file = tmp_path / f"{name}.py"
    file.write_text(PICKY.format(recipes=[] if shipped is False else ["own.toml"]))
    files = [TOYS / "conformance_good_algorithms.py", file]
    records = [*BUILT_IN, *discovery.discover(entry_points=(), files=files)]
    found = cases(name, registry.Registry(records))
    names = {"check_shapes", "check_gradients", "check_classes_matter", "check_overfits"}
    said = {
        case.check.name: outcome(case, tmp_path / case.check.name)
        for case in found
        if case.check.name in names
    }
    if shipped:
        assert said == dict.fromkeys(names, "")
    else:
        fault = said.pop("check_shapes")
        assert "takes four numbers" in fault
        missing = "no recipe uses picky_none/one" if shipped is None else "ships no recipe"
        assert missing in fault
        assert set(said.values()) == {None}  # one cause, one failure


PLUGIN = '''
from ganzoo.api import Component, component, hookimpl
{before}
@component("callback", {more})
def a():
    """Reads a."""
    from json import loads
    return loads
{after}
'''
RECIPE = 'from pathlib import Path\n@hookimpl\ndef ganzoo_recipes():\n    yield Path("{}")\n'

BROKEN_PLUGINS = {
    "heavy": ("check_naming_imports_nothing_heavy", {"before": "import numpy"}),
    "paper": ("check_components", {"more": 'paper="a paper by somebody"'}),
    "lost": (
        "check_components",
        {
            "after": "@hookimpl\ndef ganzoo_components():\n"
            '    yield Component(kind="callback", name="b", renamed_to="outside/c")'
        },
    ),
    "recipe": ("check_recipes", {"after": RECIPE.format(ROOT / "pyproject.toml")}),
    "unversioned": ("check_distribution", {}),
}


def outside_plugin(folder, monkeypatch, *, requires="torch-ganzoo>=0.1", **parts):
    """A registry with an installed distribution of another author: a module with its metadata."""
    parts = {"before": "", "more": "", "after": "", **parts}
    (folder / "outside.py").write_text(PLUGIN.format(**parts))
    info = folder / "ganzoo_outside-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Name: ganzoo-outside\nVersion: 1.0\nRequires-Dist: {requires}\n"
    )
    (info / "entry_points.txt").write_text(f"[{GROUP}]\noutside = outside\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "outside", raising=False)
    found = importlib.metadata.distribution("ganzoo-outside").entry_points
    return registry.Registry([*BUILT_IN, *discovery.discover(entry_points=found)])


API = {"before": "GANZOO_API_VERSION = 2\n"}


def failures(made, tmp_path):
    whole = [one for one in cases("outside", made) if one.entry is None]
    verdicts = {case.check.name: outcome(case, tmp_path / case.check.name) for case in whole}
    return {check: message for check, message in verdicts.items() if message}


@pytest.mark.parametrize(("check", "parts"), BROKEN_PLUGINS.values(), ids=BROKEN_PLUGINS)
def test_a_broken_plugin_fails_its_check_and_no_other(check, parts, tmp_path, monkeypatch):
    before = parts.get("before", "")
    if check != "check_distribution":
        before = API["before"] + before
    made = outside_plugin(tmp_path, monkeypatch, **{**parts, "before": before})
    assert set(failures(made, tmp_path)) == {check}


def test_a_sound_plugin_fails_nothing(tmp_path, monkeypatch):
    assert failures(outside_plugin(tmp_path, monkeypatch, **API), tmp_path) == {}


def test_a_plugin_that_requires_no_ganzoo_is_caught(tmp_path, monkeypatch):
    made = outside_plugin(tmp_path, monkeypatch, requires="numpy", **API)
    (message,) = failures(made, tmp_path).values()
    assert '"torch-ganzoo>=0.1"' in message


def test_who_imports_torch_is_named(tmp_path, monkeypatch):
    (tmp_path / "helper.py").write_text("\n\nimport torch\n")
    made = outside_plugin(tmp_path, monkeypatch, before=API["before"] + "import helper\n")
    message = failures(made, tmp_path)["check_naming_imports_nothing_heavy"]
    assert "outside imports torch" in message
    assert re.search(r"outside.py:4\n.*helper.py:3\n", message)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('extends = "pix2pix_facades"\nsummary = "x"', "no name of its own"),
        ('extends = "pix2pix_facades"\nname = "x"', "no summary of its own"),
        ('extends = "pix2pix_facades"\nname = "x"\nsummary = "y"\nlos = 1', "los"),
        ('extends = "pix2pix_facades"\nname = "x"\nsummary = "y"', None),
    ],
)
def test_what_is_wrong_with_a_shipped_recipe_is_said(text, complaint, tmp_path, monkeypatch):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    found = failures(
        outside_plugin(tmp_path, monkeypatch, after=RECIPE.format(file), **API), tmp_path
    )
    assert set(found) == ({"check_recipes"} if complaint else set())
    assert complaint is None or complaint in found["check_recipes"]


def test_every_check_has_a_broken_toy():
    caught = {*broken.BREAKS.values(), *(check for check, _ in BROKEN_PLUGINS.values())}
    known = all_checks().values()
    mine = {one.name for one in known if one.function.__module__.rpartition("checks_")[2] in MINE}
    assert caught == mine


def test_no_module_of_checks_is_forgotten():
    files = (ROOT / "ganzoo" / "testing").glob("checks_*.py")
    made = {one.function.__module__.rpartition(".")[2] for one in all_checks().values()}
    assert made == {file.stem for file in files}


# parametrize_with_checks, as pytest runs it.

AUTHOR = """
from pathlib import Path
from ganzoo.plugin_system.discovery import discover
from ganzoo.plugin_system.registry import Registry
from ganzoo.testing import parametrize_with_checks

REGISTRY = Registry(discover(files=[Path({good!r}), Path({broken!r})]))

@parametrize_with_checks("{namespace}", registry=REGISTRY, expected_failures={expected})
def test_conformance(case, tmp_path):
    case(tmp_path)
"""


@pytest.fixture
def authors_pytest(tmp_path, capsys):
    """Runs pytest on a text, in this process (starting one takes seconds), as in an own project."""

    def run(text, *arguments):
        file = tmp_path / f"{tmp_path.name}.py"  # a module's name is taken once
        file.write_text(text)
        words = [str(file), "-rA", "-s", "-p", "no:cacheprovider", "--import-mode=importlib"]
        words += ["-c", os.devnull, "--rootdir", str(tmp_path)]
        if "ganzoo" not in importlib.metadata.entry_points(group="pytest11").names:
            words += ["-p", "ganzoo.testing.pytest_plugin"]
        capsys.readouterr()
        return pytest.main([*words, *arguments]), capsys.readouterr().out

    return run


def test_failures_skips_and_expected_failures(authors_pytest):
    """One run of pytest: each outcome, under its name."""
    prefix, namespace = "check_other_sizes", "conformance_broken_networks"
    expected = {
        f"{prefix}:generator {namespace}/one_size": "a linear layer",
        f"{prefix}:generator {namespace}/weak": "no reason left",
    }
    text = AUTHOR.format(good=str(GOOD), broken=str(BROKEN), namespace=namespace, expected=expected)
    code, said = authors_pytest(text, "-k", "check_other_sizes or check_recipes")
    lines = said.splitlines()
    assert code == 1

    def has(word, component):
        name = f"::test_conformance[{prefix}-generator {namespace}/{component}]"
        return any(line.startswith(word) and name in line for line in lines)

    assert has("XFAIL", "one_size")
    assert has("FAILED", "understated")
    assert has("FAILED", "weak")  # it passes the check, and so its excuse is stale
    assert "[XPASS(strict)] no reason left" in said
    assert has("PASSED", "uncopied")
    assert "NOT TESTED: check_shapes reports: it takes none" in said  # cropped
    assert any(line.startswith("SKIPPED") and "it ships no recipes" in line for line in lines)
    assert "used for 3 x 17 x 17 -> 3 x 17 x 17 it fails" in said
    assert "Traceback" not in said
    assert "checks_networks.py" not in said  # a reason, and no view of the kit's inside
    assert re.search(rf"^ganzoo: \S+ \({re.escape(str(ROOT / 'ganzoo'))}\)$", said, re.MULTILINE)


def test_what_is_expected_hides_nothing_that_is_not_tested(authors_pytest):
    """Expecting the check that reports a cause, or one that can't be made, or does not apply."""
    name = "generator conformance_broken_networks/bare"
    expected = {
        f"check_shapes:{name}": "it is no module",
        f"check_bf16_is_near_fp32:{name}": "and so this can't be made",
        f"check_receptive_field:{name.replace('bare', 'weak')}": "none is declared",
    }
    namespace = "conformance_broken_networks"
    text = AUTHOR.format(good=str(GOOD), broken=str(BROKEN), namespace=namespace, expected=expected)
    words = "(bare and (shapes or bf16 or gradients)) or (weak and receptive)"
    code, said = authors_pytest(text, "-k", words)
    assert code == 1
    assert re.search(r"^XFAIL .*check_shapes-.*/bare", said, re.MULTILINE)
    for check in ("bf16_is_near_fp32", "gradients"):
        assert f"NOT TESTED: {name}: check_{check}: check_shapes reports: it takes none" in said
    assert "does not apply (none is declared): expect that no longer" in said
    assert re.search("3 failed, .*1 xfailed", said)


def test_advice_is_a_warning_or_a_failure_as_the_author_wants(authors_pytest):
    namespace = "conformance_broken_networks"
    text = AUTHOR.format(good=str(GOOD), broken=str(BROKEN), namespace=namespace, expected={})
    words = ("-k", f"check_overfits and {namespace}/weak")
    code, said = authors_pytest(text, *words)
    assert (code, "1 passed" in said) == (0, True)
    assert "Advice: generator conformance_broken_networks/weak fails check_overfits" in said
    code, said = authors_pytest(text, *words, "-W", "error::ganzoo.testing.Advice")
    assert (code, "1 failed" in said) == (1, True)
    assert "During handling" not in said


def test_expected_failures_name_checks_that_exist():
    with pytest.raises(UsageError, match="has no check") as caught:
        parametrize_with_checks(
            "conformance_good", registry=REGISTRY, expected_failures={"check_overfit": "why"}
        )
    assert "check_overfits" in caught.value.hint
    known = {"check_overfits": "why", "check_overfits:generator conformance_good/painter": "why"}
    parametrize_with_checks("conformance_good", registry=REGISTRY, expected_failures=known)


def test_only_a_working_plugin_and_its_components_are_checked():
    with pytest.raises(PluginError, match="no plugin"):
        parametrize_with_checks("conformance_god", registry=REGISTRY)
    with pytest.raises(UsageError, match="settings for conformance_good/painer"):
        parametrize_with_checks(
            "conformance_good", registry=REGISTRY, settings={"conformance_good/painer": {}}
        )


def test_slow_checks_are_marked():
    params = parametrize_with_checks("pix2pix", registry=REGISTRY).args[1]
    marked = {param.id for param in params if any(one.name == "slow" for one in param.marks)}
    slow = {one.name for one in all_checks().values() if one.slow and "task" in one.kinds}
    assert {name.partition("-")[0] for name in marked} == slow != set()


def test_the_pytest_plugin_imports_neither_torch_nor_plugins():
    code = (
        "import sys; from ganzoo.testing import pytest_plugin as p; p.pytest_report_header(); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'ganzoo_gan', 'ganzoo_pix2pix')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    control = code.replace("p.pytest_report_header()", "import ganzoo_gan")
    assert subprocess.run([sys.executable, "-c", control], check=False).returncode == 1


FIXTURES = """
def test_run(ganzoo_run, ganzoo_registry, tmp_path):
    recipe = {recipe!r}
    result = ganzoo_run(recipe, "train.epochs=9", max_steps=1)
    assert result.document["step"] == 1 and result.path.parent == tmp_path
    assert ganzoo_run(recipe).path != result.path
    assert ganzoo_registry.find("metric", "ganzoo/l1")
"""


def test_fixtures_for_authors(authors_pytest, tiny):
    code, said = authors_pytest(FIXTURES.format(recipe=tiny.read_text()))
    assert code == 0, said


# `ganzoo plugins check`.


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs the command line with the toys; returns its exit code and output."""
    monkeypatch.setattr(registry, "_active", None)

    def run(*arguments):
        monkeypatch.setattr(registry, "_active", None)
        words = ["--plugin", str(GOOD), "--plugin", str(BROKEN), "plugins", "check", *arguments]
        code = main(words)
        return code, capsys.readouterr()

    yield run
    registry.activate(records=BUILT_IN)


def test_the_command_passes_what_is_good(command):
    code, said = command("conformance_good", "--only", "conformance_good/painter", "--fast")
    assert code == 0
    assert re.fullmatch(r"\d+ passed, \d+ skipped in [\d.]+ s", said.out.splitlines()[-1])
    assert "none is declared" in said.out
    assert "failed" not in said.out


def test_one_check_that_does_not_apply_is_no_failure(command):
    words = ("--only", "check_receptive_field", "--only", "conformance_good/painter")
    code, said = command("conformance_good", *words, "--json")
    document = json.loads(said.out)
    assert (code, document["skipped"], document["untried"]) == (0, 1, [])
    name = "check_receptive_field:generator conformance_good/painter"
    code, said = command("conformance_good", *words, "--expect", name)
    assert code == 4
    assert "it does not apply (none is declared): expect that no longer" in said.out
    code, _ = command("conformance_good", *words, "--expect", "check_receptive_field")
    assert code == 0


def test_the_command_says_what_fails_and_why(command):
    name = "conformance_broken_networks/one_size"
    code, said = command("conformance_broken_networks", "--only", name, "--only", "check_loads")
    assert (code, said.out.splitlines()[-1][:8]) == (0, "1 passed")
    code, said = command("conformance_broken_networks", "--only", name, "--fast")
    assert code == 4
    assert f"failed  check_other_sizes  generator {name}\n" in said.out
    assert "let forward raise a ValueError" in said.out
    assert said.out.count("failed  ") == 1


def test_the_document_of_the_command(command):
    code, said = command("conformance_broken_networks", "--only", "check_other_sizes", "--json")
    document = json.loads(said.out)
    assert code == 4
    assert set(document) == {
        *("plugin", "distribution", "version", "checks", "components", "untried", "seconds"),
        *OUTCOMES,
    }
    sums = {one: sum(row[one] for row in document["components"].values()) for one in OUTCOMES}
    assert sums == {one: document[one] for one in OUTCOMES}
    outcomes = [row["outcome"] for row in document["checks"]]
    assert document["failed"] == outcomes.count("failed") == 2  # one size, understated
    assert document["passed"] == outcomes.count("passed") > 10
    for row in document["checks"]:
        assert set(row) == {"check", "kind", "id", "outcome", "message", "seconds"}
        assert bool(row["message"]) == (row["outcome"] != "passed")


def test_an_exception_is_a_failure_with_the_plugins_own_lines(command, monkeypatch):
    """One that no check foresees; the place is the plugin's, not the kit's."""
    monkeypatch.setattr(broken.Weak, "state_dict", broken.crash, raising=False)
    name = "conformance_broken_networks/weak"
    code, said = command(
        "conformance_broken_networks", "--only", name, "--only", "check_weights_round_trip"
    )
    assert code == 4
    assert "ZeroDivisionError" in said.out
    assert f"{BROKEN}:" in said.out
    assert "in crash: return 1 / 0" in said.out
    assert "Traceback" not in said.out


def test_a_reason_is_given_once_for_each_component(command, monkeypatch):
    monkeypatch.setattr(broken.Weak, "forward", broken.crash)
    name = "conformance_broken_networks/weak"
    checks = ("check_shapes", "check_seeds_decide", "check_gradients")
    words = ("--only", name, *(word for check in checks for word in ("--only", check)))
    code, said = command("conformance_broken_networks", *words, "--verbose")
    assert code == 4
    assert said.out.count("it takes none of the shapes") == 3
    assert said.out.count("failed  ") == 1
    assert said.out.count("check_shapes reports: it takes none of the shapes") == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["conformance_god"], 4, "no plugin"),
        (["conformance_good", "--only", "check_overfit"], 2, "check_overfits"),
        (["conformance_good", "--set", "painter.width=3"], 2, "ID.KEY=VALUE"),
        (["conformance_good", "--set", "conformance_good/painter.width=0"], 3, "at least 1"),
        (["conformance_good", "--set", "conformance_good/painter.edges.reach=9"], 3, "edges.reach"),
    ],
)
def test_a_wrong_command_line_is_no_fault_of_the_plugin(command, arguments, code, words):
    exit_code, said = command(*arguments)
    assert (exit_code, said.out) == (code, "")
    assert words in said.err


def test_settings_reach_the_component(command):
    words = ("conformance_good", "--only", "conformance_good/painter", "--only", "check_loads")
    setting = ("--set", "conformance_good/painter.edges.reach=2", "--set")
    assert command(*words, *setting, "conformance_good/painter.width=3")[0] == 0


def test_a_record_of_another_state_is_refused():
    sick = dataclasses.replace(BUILT_IN[0], state="quarantined", reason="it is ill", components=())
    with pytest.raises(PluginError, match="it is ill"):
        list(cases(sick.namespace, registry.Registry([sick])))


WITHOUT = """
import sys
sys.modules["jsonschema"] = None
from ganzoo.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("check", "quickstart", "--syntax"), 0),
        (("plugins", "check", "images", "--only", "check_loads"), 7),
    ],
)
def test_only_the_checks_of_plugins_need_the_extra(words, code):
    command = [sys.executable, "-c", WITHOUT, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert ("python -m pip install 'jsonschema>=4.20'" in done.stderr) == (code == 7)
