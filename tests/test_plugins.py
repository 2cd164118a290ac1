from __future__ import annotations

import importlib.metadata
import itertools
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from ganzoo.errors import UsageError
from ganzoo.plugins import PluginRecord, discover

GOOD = """
from ganzoo.api import Component, hookimpl
@hookimpl
def ganzoo_components():
    return [Component(kind="loss", name="good", target="x:y")]
"""
numbers = itertools.count()

Install = Callable[..., None]
Find = Callable[..., dict[str, PluginRecord]]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution with one plugin, as pip would lay it out."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(namespace: str, source: str = GOOD, distribution: str = "", times: int = 1) -> None:
        distribution = distribution or f"ganzoo-{namespace}"
        module = f"plugin_under_test_{next(numbers)}"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        for number in range(times):
            info = tmp_path / f"site{number}" / f"{distribution}-1.0.dist-info"
            info.mkdir(parents=True, exist_ok=True)
            (info / "METADATA").write_text(f"Name: {distribution}\nVersion: 1.0\n")
            with (info / "entry_points.txt").open("a") as file:
                file.write(f"[ganzoo.plugins]\n{namespace} = {module}\n")

    return install


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """Discover what `install` installed; by namespace."""

    def find(*, environ: dict[str, str] | None = None, **arguments: object) -> dict:
        paths = [str(path) for path in sorted(tmp_path.glob("site*"))]
        entry_points = [
            entry
            for dist in importlib.metadata.distributions(path=paths)
            for entry in dist.entry_points
        ]
        records = discover(environ=environ or {}, entry_points=entry_points, **arguments)
        return {record.namespace: record for record in records}

    return find


def test_a_good_plugin_is_ok(install: Install, find: Find) -> None:
    install("toy")
    record = find()["toy"]
    assert (record.state, record.reason, record.distribution, record.version) == (
        *("ok", "", "ganzoo-toy", "1.0"),
    )
    assert [component.name for component in record.components] == ["good"]


API = "from ganzoo.api import Component, hookimpl\n"


@pytest.mark.parametrize(
    ("source", "reason", "has_traceback"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError", True),
        ("syntax error", "SyntaxError", True),
        ("raise SystemExit(3)", "SystemExit: 3", True),
        (API + "@hookimpl\ndef ganzoo_componets(): return []", "ganzoo_componets", True),
        (API + "@hookimpl\ndef ganzoo_components(registry): return []", "registry", True),
        (API + "@hookimpl\ndef ganzoo_step_done(run, step): pass", "ganzoo_step_done", True),
        (API + "def ganzoo_components(): return []", "lacks @hookimpl", False),
        (API + "@hookimpl\ndef ganzoo_components(): raise OSError('boom')", "OSError: boom", True),
        (API + "@hookimpl\ndef ganzoo_components(): return 3", "no list", False),
        (API + "@hookimpl\ndef ganzoo_components(): return ['x']", "no Component", False),
        (API + "@hookimpl\ndef ganzoo_recipes(): return ['x.toml']", "no file", False),
        (
            API + "@hookimpl\ndef ganzoo_components():\n"
            "    yield Component(kind='los', name='x', target='a:b')",
            'unknown kind "los"',
            False,
        ),
        (
            API + "@hookimpl\ndef ganzoo_components():\n"
            "    yield Component(kind='loss', name='X Y', target='a:b')",
            '"X Y"',
            False,
        ),
        (
            API + "@hookimpl\ndef ganzoo_components():\n"
            "    yield Component(kind='loss', name='x', target='a.b')",
            '"a.b" is not like "module:attribute"',
            False,
        ),
        (
            API + "@hookimpl\ndef ganzoo_components():\n"
            "    return [Component(kind='loss', name='x', target='a:b')] * 2",
            'two components of kind loss called "x"',
            False,
        ),
        ("GANZOO_API_VERSION = 99\n" + GOOD, "API version 99", False),
    ],
)
def test_a_broken_plugin_is_quarantined_and_the_rest_works(
    install: Install, find: Find, source: str, reason: str, has_traceback: bool
) -> None:
    install("broken", source)
    install("toy")
    records = find()
    assert records["broken"].state == "quarantined"
    assert reason in records["broken"].reason
    assert bool(records["broken"].traceback) == has_traceback
    assert records["broken"].components == ()
    assert records["toy"].state == "ok"


def test_an_older_api_version_is_fine(install: Install, find: Find) -> None:
    install("toy", "GANZOO_API_VERSION = 1\n" + GOOD)
    assert find()["toy"].state == "ok"


@pytest.mark.parametrize("distribution", ["ganzoo-toy-box", "GanZoo_Toy.Box", "ganzoo"])
def test_owners_of_a_namespace(install: Install, find: Find, distribution: str) -> None:
    install("toy_box", distribution=distribution)
    assert find()["toy_box"].state == "ok"


@pytest.mark.parametrize("distribution", ["toy", "ganzoo-toys", "ganzootoy", "evil-ganzoo-toy"])
def test_strangers_get_no_namespace(install: Install, find: Find, distribution: str) -> None:
    install("toy", distribution=distribution)
    record = find()["toy"]
    assert record.state == "quarantined"
    assert "belongs to the distribution ganzoo-toy" in record.reason
    assert record.components == ()


def test_a_namespace_is_one_lower_case_word(install: Install, find: Find) -> None:
    install("Toy-x")
    assert "no namespace" in find()["Toy-x"].reason


def test_the_core_wins_a_clash(install: Install, tmp_path: Path) -> None:
    install("toy", distribution="ganzoo-toy")
    install("toy", distribution="ganzoo")
    entry_points = [
        entry
        for dist in importlib.metadata.distributions(path=[str(tmp_path / "site0")])
        for entry in dist.entry_points
    ]
    for order in (entry_points, entry_points[::-1]):
        core, other = discover(environ={}, entry_points=order)
        assert (core.distribution, core.state) == ("ganzoo", "ok")
        assert (other.distribution, other.state) == ("ganzoo-toy", "quarantined")
        assert "already taken by ganzoo" in other.reason


def test_the_same_entry_point_twice_is_one_plugin(install: Install, find: Find) -> None:
    install("toy", times=2)
    records = discover(
        environ={},
        entry_points=[
            entry
            for dist in importlib.metadata.distributions(
                path=[str(path) for path in Path(sys.path[0]).glob("site*")]
            )
            for entry in dist.entry_points
        ],
    )
    assert [record.state for record in records] == ["ok"]


EXPLODES = "raise AssertionError('was imported')"


def test_blocked_plugins_are_not_imported(install: Install, find: Find) -> None:
    install("one", EXPLODES)
    install("two", EXPLODES)
    install("three")
    records = find(block=["one"], environ={"GANZOO_DISABLE_PLUGINS": "two, unknown"})
    assert {name: record.state for name, record in records.items()} == {
        "one": "blocked",
        "two": "blocked",
        "three": "ok",
    }
    assert "--no-plugin one" in records["one"].reason
    assert "GANZOO_DISABLE_PLUGINS" in records["two"].reason


def test_blocking_what_is_not_there_is_a_mistake(install: Install, find: Find) -> None:
    install("toy")
    with pytest.raises(UsageError, match="installed: toy"):
        find(block=["tory"])


def test_autoload_off_leaves_the_core(install: Install, find: Find) -> None:
    install("mine", EXPLODES)
    install("builtin", distribution="ganzoo")
    records = find(environ={"GANZOO_PLUGIN_AUTOLOAD": "0"})
    assert (records["mine"].state, records["builtin"].state) == ("blocked", "ok")
    assert find(environ={"GANZOO_PLUGIN_AUTOLOAD": "1"})["mine"].state == "quarantined"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def test_a_file_is_a_plugin(folder: Path) -> None:
    file = folder / f"my_gan_{next(numbers)}.py"
    file.write_text(GOOD)
    (record,) = discover(files=[file], environ={}, entry_points=[])
    assert (record.namespace, record.state) == (file.stem, "ok")
    assert record.distribution == str(file)
    assert file.stem in sys.modules  # its targets, and pickles of its classes, import


def test_a_broken_file_is_quarantined(folder: Path) -> None:
    file = folder / f"my_gan_{next(numbers)}.py"
    file.write_text("1 / 0")
    (record,) = discover(files=[file], environ={}, entry_points=[])
    assert record.state == "quarantined"
    assert "ZeroDivisionError" in record.traceback


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("json.py", "a Python module"),
        ("toy.py", "taken by an installed plugin"),
        ("My-gan.py", "no namespace"),
        ("missing.py", "no Python file"),
        ("notes.txt", "no Python file"),
    ],
)
def test_files_that_cannot_be_plugins(
    folder: Path, install: Install, find: Find, name: str, message: str
) -> None:
    install("toy")
    if name != "missing.py":
        (folder / name).write_text(GOOD)
    with pytest.raises(UsageError, match=message):
        find(files=[folder / name])
