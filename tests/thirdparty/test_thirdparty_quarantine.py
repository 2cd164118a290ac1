"""Plugins that can't be used, each a distribution of its own, all installed beside one that can."""

from __future__ import annotations

import json

import pytest

GOOD = """
from importlib import import_module
from ganzoo.api import component, hookimpl

@component("generator", lambda: import_module(f"{__name__}_options").NetOptions)
def net():
    return import_module(f"{__name__}_net").Net
"""
NET = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, options, io):
        super().__init__(nn.Conv2d(io.images_in()[0], io.images_out()[0], 3, padding=1), nn.Tanh())
"""
OPTIONS = "from ganzoo.api import NetOptions\n"
WHOLE = {"": GOOD, "_net": NET, "_options": OPTIONS}

LEAVES = "import sys\nsys.exit(0)\n"
CHATTY = {
    **{suffix: f"print('chat{suffix}')\n{source}" for suffix, source in WHOLE.items()},
    "_options": "print('chat_options')\n" + OPTIONS,
}
SCRIBBLES = """
from pathlib import Path
from ganzoo.api import hookimpl

@hookimpl
def ganzoo_recipes():
    return sorted(Path(__file__).parent.glob("scribble_*.toml"))
"""
SCRIBBLED = {
    "scribble_syntax.toml": b"name = \n[[[",
    "scribble_bytes.toml": bytes(range(128, 256)),
    "scribble_types.toml": b"summary = 3\nextends = 7\n",
    "scribble_circle.toml": b'extends = "scribbler/scribble_circle"\n',
}

# What each brings, and why it is quarantined.
REFUSED = {
    "raises": ("raise RuntimeError('no luck today')\n", "RuntimeError: no luck today"),
    "importing": ("import no_such_module\n", "ModuleNotFoundError: No module named"),
    "quits": ("import sys\nsys.exit(0)\n", "SystemExit: 0"),
    "newer": ("GANZOO_API_VERSION = 3\n" + GOOD, "API version 3; this ganzoo has API version 2"),
    "older": ("GANZOO_API_VERSION = 1\n" + GOOD, 'docs/contract-2.md, "From contract 1 to 2"'),
    "misspelt": (GOOD + "@hookimpl\ndef ganzoo_recipse(): return []", "ganzoo_recipse"),
    "unmarked": (GOOD + "def ganzoo_recipes(): return []", "lacks @hookimpl"),
    "unkind": (GOOD.replace('"generator"', '"generater"'), 'unknown kind "generater"'),
    "needy": (GOOD.replace("net()", "net(options, io)"), "but needs options, io"),
    "lost_recipe": (
        GOOD + "\nfrom pathlib import Path\n@hookimpl\ndef ganzoo_recipes():\n"
        "    return [Path(__file__).parent / 'forgotten.toml']\n",
        "forgotten.toml, which is not a TOML file",
    ),
}
# What loads, with something to be said of it.
NOTED = {
    "mute": ("", "contains neither components nor recipes"),
    "slow": (
        "import time\ntime.sleep(0.6)\nprint('loud and clear')\n" + GOOD,
        "s to import at every start of ganzoo",
    ),
}


@pytest.fixture(scope="module")
def ward(room, packaging, wheel, toy_wheel, write_distribution, tmp_path_factory):
    """An environment with ganzoo, the toy, and everything that ails plugins."""
    folder = tmp_path_factory.mktemp("quarantine")
    sources = [
        write_distribution(folder / name, f"ganzoo-{name.replace('_', '-')}", {**WHOLE, "": source})
        for name, (source, _) in (REFUSED | NOTED).items()
    ]
    optionless = {"": GOOD, "_net": NET}
    targetless = {"": GOOD, "_options": OPTIONS}
    sources += [
        write_distribution(folder / "thief", "ganzoo-thief", WHOLE, namespace="pix2pix"),
        write_distribution(folder / "mine", "zoo-of-mine", WHOLE, namespace="mine"),
        write_distribution(folder / "rival", "ganzoo-rival", WHOLE),
        write_distribution(folder / "copy", "zoo-of-rivals", WHOLE, namespace="rival"),
        write_distribution(folder / "optionless", "ganzoo-optionless", optionless),
        write_distribution(folder / "targetless", "ganzoo-targetless", targetless),
        write_distribution(folder / "pointless", "ganzoo-pointless", WHOLE, target="nowhere_at"),
        write_distribution(folder / "toy_box", "ganzoo-toy-box", WHOLE),
        write_distribution(folder / "leaver", "ganzoo-leaver", {**WHOLE, "_options": LEAVES}),
        write_distribution(folder / "chatty", "ganzoo-chatty", CHATTY),
        write_distribution(folder / "scribbler", "ganzoo-scribbler", {"": SCRIBBLES}),
    ]
    for name, text in SCRIBBLED.items():
        (folder / "scribbler" / name).write_bytes(text)
    wheels = packaging.build(folder, *sources)
    return room(folder / "environment", wheel, toy_wheel, *wheels)


@pytest.fixture(scope="module")
def records(ward):
    return ward.plugins()


def record_of(records, namespace):
    """The one record of a namespace, whose distribution is named after it."""
    (record,) = records[namespace]
    assert record["distribution"] == f"ganzoo-{namespace.replace('_', '-')}"
    assert record["version"] == "1.5"
    return record


@pytest.mark.parametrize("name", REFUSED)
def test_the_culprit_is_named_with_distribution_version_and_reason(records, name):
    record = record_of(records, name)
    assert record["state"] == "quarantined"
    assert REFUSED[name][1] in record["reason"]
    assert record["components"] == []


def test_an_exception_comes_with_its_traceback(ward, records):
    trace = record_of(records, "raises")["traceback"]
    assert f"{ward.site}/ganzoo_raises.py" in trace
    assert "RuntimeError: no luck today" in trace
    text = ward.ganzoo("plugins", "--verbose").stdout
    assert trace.strip() in text
    assert "ganzoo-raises 1.5" in text
    assert trace.strip() not in ward.ganzoo("plugins").stdout


def test_nobody_takes_what_is_anothers(ward, records):
    owner, thief = sorted(records["pix2pix"], key=lambda record: record["state"])
    assert (owner["distribution"], owner["state"]) == ("torch-ganzoo", "ok")
    assert (thief["distribution"], thief["state"]) == ("ganzoo-thief", "quarantined")
    assert "reserved for torch-ganzoo: `pip uninstall ganzoo-thief`" in thief["reason"]
    ids = {one["id"] for one in ward.document("list", "generator")["components"]}
    assert "pix2pix/unet" in ids
    assert "pix2pix/net" not in ids


def test_a_distribution_of_any_name_has_its_namespace(ward, records):
    (mine,) = records["mine"]
    assert (mine["distribution"], mine["state"]) == ("zoo-of-mine", "ok")
    assert "zoo-of-mine 1.5" in ward.ganzoo("show", "mine/net").stdout


def test_of_two_claims_neither_loads_until_one_is_left_out_or_removed(ward, records):
    assert [one["state"] for one in records["rival"]] == ["quarantined"] * 2
    for one in records["rival"]:
        for name in ("ganzoo-rival", "zoo-of-rivals"):
            assert f"`pip uninstall {name}`" in one["reason"]
    error = ward.document("show", "rival/net", code=4)["error"]
    assert "`pip uninstall zoo-of-rivals`" in error["message"]
    picks = ("--no-plugin", "zoo-of-rivals", "show", "rival/net")
    assert "ganzoo-rival 1.5" in ward.ganzoo(*picks).stdout


def test_an_entry_point_to_nothing(records):
    assert "No module named 'nowhere_at'" in record_of(records, "pointless")["reason"]


@pytest.mark.parametrize("name", NOTED)
def test_what_loads_with_a_remark(records, name):
    record = record_of(records, name)
    assert record["state"] == "ok"
    assert any(NOTED[name][1] in note for note in record["notes"]), record["notes"]


def test_a_remark_is_shown_with_the_distribution(ward):
    assert "note: mute (ganzoo-mute) contains neither" in ward.ganzoo("plugins").stdout


def test_a_distribution_with_hyphens_owns_its_namespace(ward, records):
    record = record_of(records, "toy_box")
    assert (record["state"], record["notes"]) == ("ok", [])
    assert record["components"] == [{"kind": "generator", "id": "toy_box/net"}]
    assert "ganzoo-toy-box 1.5" in ward.ganzoo("show", "toy_box/net").stdout


def test_the_rest_works_and_each_culprit_is_said_once_on_stderr(ward):
    done = ward.ganzoo("list", "--json")
    ids = {one["id"] for one in json.loads(done.stdout)["components"]}
    assert {"toy/painter", "toy_box/net", "slow/net", "pix2pix/unet"} <= ids
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning:")]
    culprits = {*REFUSED, "pix2pix", "pointless"}
    assert len(warnings) == len(culprits) + 2
    assert sum('the plugin "rival" of' in line for line in warnings) == 2
    for name in culprits:
        assert sum(f'the plugin "{name}" of' in line for line in warnings) == 1
    assert "loud and clear" in done.stderr
    ward.ganzoo("check", "toy/painter", "--syntax")


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        *((name, cause) for name, (_, cause) in REFUSED.items()),
        ("rival", "`pip uninstall ganzoo-rival`"),
        ("optionless", "No module named 'ganzoo_optionless_options'"),
    ],
)
def test_a_recipe_that_needs_it_ends_with_the_cause(ward, tmp_path, name, cause):
    recipe = tmp_path / "mine.toml"
    recipe.write_text(f'extends = "quickstart"\ngenerator = "{name}/net"\n')
    (problem,) = ward.document("check", recipe, "--syntax", code=4)["problems"]
    assert cause in problem["message"]
    assert (problem["line"], problem["key"]) == (2, "generator")


def test_a_missing_target_is_the_plugins_fault(ward, tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text('extends = "toy/painter"\ngenerator = "targetless/net"\n')
    (problem,) = ward.document("check", recipe, code=4)["problems"]
    assert "targetless/net can't be imported: ModuleNotFoundError" in problem["message"]


def test_a_module_that_leaves_is_the_plugins_fault(ward):
    error = ward.document("show", "leaver/net", code=4)["error"]
    assert "options of leaver/net can't be imported: SystemExit" in error["message"]


def test_what_a_plugin_prints_stays_out_of_the_document(ward):
    done = ward.ganzoo("show", "chatty/net", "--json")
    assert json.loads(done.stdout)["components"][0]["id"] == "chatty/net"
    assert {"chat", "chat_options"} <= set(done.stderr.splitlines())
    assert "chat_options" in ward.ganzoo("show", "chatty/net").stdout  # where nobody parses it


def test_broken_recipes_of_a_plugin_break_nothing_else(ward):
    assert record_of(ward.plugins(), "scribbler")["state"] == "ok"
    listed = {row["name"] for row in ward.document("recipes", "list")["recipes"]}
    assert {"quickstart", "toy/painter"} <= listed
    text = ward.ganzoo("recipes", "list")
    assert "toy/painter" in text.stdout
    assert "scribbler/scribble_syntax can't be read" in text.stderr
    for name in SCRIBBLED:
        recipe = f"scribbler/{name.removesuffix('.toml')}"
        assert ward.ganzoo("check", recipe, "--syntax", code=3).stderr.count("error:") == 1


def test_blocked_plugins_stay_out(ward, tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text('extends = "quickstart"\ngenerator = "toy_box/net"\n')
    ward.ganzoo("check", recipe, "--syntax")
    done = ward.ganzoo("--no-plugin", "toy_box", "check", recipe, "--syntax", code=4)
    assert "blocked by --no-plugin toy_box" in done.stderr
    disabled = {"GANZOO_DISABLE_PLUGINS": "raises,slow,toy_box"}
    done = ward.ganzoo("check", recipe, "--syntax", code=4, environ=disabled)
    assert "blocked by GANZOO_DISABLE_PLUGINS" in done.stderr
    assert "no luck today" not in done.stderr
    assert "loud and clear" not in done.stderr
    core = ward.plugins(environ={"GANZOO_PLUGIN_AUTOLOAD": "0"})
    states = {(r["distribution"] == "torch-ganzoo", r["state"]) for rs in core.values() for r in rs}
    assert states == {(True, "ok"), (False, "blocked")}
    assert core["raises"][0]["state"] == "blocked"
