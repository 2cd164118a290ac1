from __future__ import annotations

import importlib.metadata
import itertools
import pickle
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from ganzoo.api import API_VERSION
from ganzoo.cli import doctor
from ganzoo.errors import PluginError, UsageError
from ganzoo.plugin_system import discovery
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.plugin_system.discovery import PluginRecord, discover
from ganzoo.plugin_system.installed_plugins import CORE
from ganzoo.plugin_system.registry import Registry

GOOD = """
from ganzoo.api import component
@component("loss")
def good():
    import no_such_module_at_all
"""
numbers = itertools.count()

Install = Callable[..., None]
Find = Callable[..., dict[str, PluginRecord]]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution with one plugin, as pip would lay it out."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(
        namespace: str,
        source: str = GOOD,
        distribution: str = "",
        times: int = 1,
        attribute: str = "",
    ) -> None:
        distribution = distribution or f"ganzoo-{namespace}"
        module = f"plugin_under_test_{next(numbers)}"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        for number in range(times):
            info = tmp_path / f"site{number}" / f"{distribution.replace('-', '_')}-1.0.dist-info"
            info.mkdir(parents=True, exist_ok=True)
            (info / "METADATA").write_text(f"Name: {distribution}\nVersion: 1.0\n")
            with (info / "entry_points.txt").open("a") as file:
                value = f"{module}:{attribute}" if attribute else module
                file.write(f"[ganzoo.plugins]\n{namespace} = {value}\n")

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


API = "from ganzoo.api import Component, component, hookimpl\n"


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
        (API + "@hookimpl\ndef ganzoo_components(): return 3", "not a list", False),
        (API + "@hookimpl\ndef ganzoo_components(): return ['x']", "not a Component", False),
        (API + "@hookimpl\ndef ganzoo_recipes(): return ['x.toml']", "not a readable file", False),
        (
            API + "@hookimpl\ndef ganzoo_components():\n"
            "    yield Component(kind='los', name='x', target=lambda: print)",
            'unknown kind "los"',
            False,
        ),
        (
            API + "@hookimpl\ndef ganzoo_components():\n"
            "    yield Component(kind='loss', name='X Y', target=lambda: print)",
            '"X Y"',
            False,
        ),
        (
            API + "@hookimpl\ndef ganzoo_components():\n"
            "    return [Component(kind='loss', name='x', target=lambda: print)] * 2",
            'two components of kind loss called "x"',
            False,
        ),
        (
            API + "@component('loss')\ndef x(): pass\n@hookimpl\ndef ganzoo_components():\n"
            "    yield Component(kind='loss', name='x', target=lambda: print)",
            'two components of kind loss called "x"',
            False,
        ),
        (API + "@component('los')\ndef x(): pass", 'unknown kind "los"', False),
        (
            API + "@component('loss')\ndef x(options, io=1): pass",
            'component "x": the function of its target is called without arguments, but needs opt',
            False,
        ),
        (
            API + "@component('loss', lambda this: this)\ndef x(): pass",
            'component "x": the function of its options is called without arguments, but needs th',
            False,
        ),
        (API + "@component('loss', 'a:b')\ndef x(): pass", "options is 'a:b', not a func", False),
        (API + "@component('loss')\nclass X: pass", "decorates a function that returns", True),
        (API + "@component\ndef x(): pass", '@component needs a kind: @component("loss")', True),
        ("GANZOO_API_VERSION = 99\n" + GOOD, "API version 99; this ganzoo has", False),
        ("GANZOO_API_VERSION = '1'\n" + GOOD, "'1', which is not a whole number", False),
        ("class Stop(BaseException): pass\nraise Stop('here')", "Stop: here", True),
        ("class Mute(Exception):\n    def __str__(self): 1 / 0\nraise Mute", "Mute", True),
        ("raise ValueError('one\\n  two')", "ValueError: one two", True),
        ("raise ValueError('a\\x1b\\ud800b')", "ValueError: a ?b", True),
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
    records["broken"].traceback.encode()
    assert records["toy"].state == "ok"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("name=3", "name is 3"),
        ("summary='two\\nlines'", "not one line of text"),
        ("summary='\\x1b[31mred'", "not one line of text"),
        ("summary='\\ud800'", "not one line of text"),
        ("target=None", "target is None"),
        ("target='a:b'", "target is 'a:b', not a function"),
        ("target=list", "target is <class 'list'>, not a function"),
        ("options=3", "options is 3, not a function"),
        ("revision='2'", "revision is '2'"),
        ("presets=['tiny']", "presets must be tables"),
        ("presets={'tiny': 3}", "presets must be tables"),
        ("presets={'tiny': {1: 2}}", "presets must be tables"),
        (
            "presets={'tiny': {'on': {'a': object()}}}",
            'the preset "tiny" holds a value that no recipe',
        ),
        ("renamed_to='elsewhere'", 'renamed_to "elsewhere" must have the form namespace/name'),
    ],
)
def test_a_component_of_wrong_types_is_refused(
    install: Install, find: Find, arguments: str, reason: str
) -> None:
    good = (
        "kind='loss', name='x', target=lambda: print, presets={'tiny': {'on': [{'a': 1.5}, True]}}"
    )
    code = (
        API + "@hookimpl\ndef ganzoo_components(): return [Component(**{**dict(%s), **dict(%s)})]"
    )
    install("good", code % (good, ""))
    install("bad", code % (good, arguments))
    records = find()
    assert records["good"].state == "ok"
    assert records["bad"].state == "quarantined"
    assert reason in records["bad"].reason


RECIPES = """
from pathlib import Path
from ganzoo.api import hookimpl
@hookimpl
def ganzoo_recipes():
    return [Path(__file__).parent / name for name in {names!r}]
"""


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["a.toml", "b.toml"], ""),
        (["a.toml", "missing.toml"], "missing.toml, which is not a TOML file"),
        (["a.txt"], "a.txt, which is not a TOML file"),
        (["a.toml", "sub/a.toml"], 'two recipes called "a.toml"'),
    ],
)
def test_recipes_are_files(
    install: Install, find: Find, tmp_path: Path, names: list[str], reason: str
) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.toml", "b.toml", "a.txt", "sub/a.toml"):
        (tmp_path / name).write_text("")
    install("toy", RECIPES.format(names=names))
    record = find()["toy"]
    assert reason in record.reason
    assert (record.state == "ok") == (not reason) == (len(record.recipes) == len(names))


def test_an_entry_point_may_name_an_object_but_no_class(install: Install, find: Find) -> None:
    source = API + "class Door:\n    @hookimpl\n    def ganzoo_components(self):\n"
    source += "        return [Component(kind='loss', name='x', target=lambda: print)]\n"
    source += "door, number = Door(), 3\n"
    for namespace, attribute in (
        ("it", "door"),
        ("its", "Door"),
        ("no", "nothing"),
        ("n", "number"),
    ):
        install(namespace, source, attribute=attribute)
    records = find()
    assert [component.name for component in records["it"].components] == ["x"]
    assert "the class Door" in records["its"].reason
    assert "AttributeError" in records["no"].reason
    assert records["n"].notes == ("contains neither components nor recipes",)


DECLARING = """
from ganzoo.api import component, Options
class Choices(Options):
    number: int = 3
class Loss: pass
@component("loss", Choices, paper="1234.5678", revision=2, presets={"tiny": {"number": 1}})
def plain():
    \"\"\"One line,
    and the next.

    What a reader of the source sees.
    \"\"\"
    return Loss
@component("metric", lambda: Choices, name="plain")
def another():
    return Loss
def forgotten(): return Loss
"""


def test_decorated_functions_are_components(install: Install, find: Find) -> None:
    install("toy", DECLARING)
    record = find()["toy"]
    loss, metric = record.components
    assert (loss.kind, loss.name, loss.summary) == ("loss", "plain", "One line, and the next.")
    assert (loss.paper, loss.revision, loss.presets) == ("1234.5678", 2, {"tiny": {"number": 1}})
    assert (metric.kind, metric.name, metric.summary, metric.presets) == ("metric", "plain", "", {})
    module = sys.modules[record.module]
    assert loss.load() is metric.load() is module.Loss
    assert loss.options_class() is metric.options_class() is module.Choices
    assert loss.place == f"{module.__file__}:6"
    for one in record.components:
        assert pickle.loads(pickle.dumps(one)) is one


def test_a_submodule_of_the_functions_name_takes_nothing_away(
    install: Install, find: Find, tmp_path: Path
) -> None:
    """Python makes a submodule an attribute of its package, in place of the function."""
    package = f"package_under_test_{next(numbers)}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "unet.py").write_text("class UNet: pass\n")
    source = f"from {package}.unet import UNet\n    return UNet"
    (tmp_path / package / "__init__.py").write_text(
        f"from ganzoo.api import component\n@component('generator')\ndef unet():\n    {source}\n"
    )
    install("toy")
    file = tmp_path / "site0" / "ganzoo_toy-1.0.dist-info" / "entry_points.txt"
    file.write_text(f"[ganzoo.plugins]\ntoy = {package}\n")
    (one,) = find()["toy"].components
    assert one.load().__name__ == "UNet"
    assert sys.modules[package].unet is not one  # the submodule is there now
    assert find()["toy"].components == (one,)
    assert pickle.loads(pickle.dumps(one)) is one


def test_a_decorated_function_of_another_module_counts_where_it_is_imported(
    install: Install, find: Find, tmp_path: Path
) -> None:
    """But one of another package, such as another plugin's, doesn't."""
    package = f"package_under_test_{next(numbers)}"
    declaring = "from ganzoo.api import component\n@component('loss')\ndef {}(): return print\n"
    (tmp_path / package).mkdir()
    (tmp_path / package / "losses.py").write_text(declaring.format("mine"))
    (tmp_path / f"other_{package}.py").write_text(declaring.format("theirs"))
    (tmp_path / package / "__init__.py").write_text(
        f"from {package}.losses import mine\nfrom other_{package} import theirs\n"
        + declaring.format("first")
    )
    install("toy")
    file = tmp_path / "site0" / "ganzoo_toy-1.0.dist-info" / "entry_points.txt"
    file.write_text(f"[ganzoo.plugins]\ntoy = {package}\n")
    components = find()["toy"].components
    assert [one.name for one in components] == ["first", "mine"]
    assert pickle.loads(pickle.dumps(components[1])) is components[1]


LOOP = """
def found(x): return print
def ganzoo_components():
    def inner(): return print
    return [Component(kind={kind!r}, name="x", target={target})]
"""


@pytest.mark.parametrize(
    ("kind", "target", "state"),
    [
        ("data", "lambda: print", "quarantined"),
        ("augment", "inner", "quarantined"),
        ("format", "partial(inner)", "quarantined"),
        ("data", "partial(found, 3)", "ok"),
        ("loss", "inner", "ok"),
    ],
)
def test_loader_processes_can_import_what_they_are_sent(
    kind: str, target: str, state: str, install: Install, find: Find
) -> None:
    source = LOOP.format(kind=kind, target=target).replace("def ganzoo", "@hookimpl\ndef ganzoo")
    install("toy", API + "from functools import partial\n" + source)
    record = find()["toy"]
    assert record.state == state
    assert ("can't import its target" in record.reason) == (state == "quarantined")


def test_a_plugin_of_contract_1_is_sent_to_the_page(install: Install, find: Find) -> None:
    door = "class Door: pass\ndoor = Door()\n"
    install("toy", "GANZOO_API_VERSION = 1\n" + GOOD + door, attribute="door")
    text = API + "@hookimpl\ndef ganzoo_components():\n"
    install("old", text + "    return [Component(kind='loss', name='x', target='a.b:C')]\n")
    records = find()
    for name in ("toy", "old"):
        assert records[name].state == "quarantined"
        assert 'docs/contract-2.md, "From contract 1 to 2"' in records[name].reason
    assert "target is 'a.b:C', not a function" in records["old"].reason


def test_an_object_as_a_plugin_has_the_decorated_functions_of_its_module(
    install: Install, find: Find
) -> None:
    install("toy", GOOD + "class Door: pass\ndoor = Door()\n", attribute="door")
    assert [one.name for one in find()["toy"].components] == ["good"]


def test_a_body_that_fails_takes_down_the_use_of_its_component_alone(
    install: Install, find: Find
) -> None:
    source = API + "@component('loss')\ndef empty(): pass\n@component('loss')\ndef lost():\n"
    source += "    import no_such_module_at_all\n@component('loss', lambda: empty)\ndef odd(): "
    install("toy", source + "return print")
    records = find()
    assert records["toy"].state == "ok"
    registry = Registry(records.values())
    for name, reason in (
        ("empty", "TypeError: its function returned None, not a class or a function"),
        ("lost", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
    ):
        chosen = registry.choose("loss", f"toy/{name}")
        with pytest.raises(PluginError) as caught:
            chosen.load()
        assert caught.value.message == f"toy/{name} can't be imported: {reason}"
        assert caught.value.where == chosen.component.place
    with pytest.raises(ChoiceError, match=r"not a subclass of ganzoo\.api\.Options"):
        registry.choose("loss", "toy/odd")


def test_half_removed_metadata_take_nobody_down(
    install: Install, find: Find, tmp_path: Path
) -> None:
    install("toy")
    install("half")
    (tmp_path / "site0" / "ganzoo_half-1.0.dist-info" / "METADATA").unlink()
    records = find()
    assert records["toy"].state == "ok"
    assert records["half"].state == "quarantined"
    assert "its distribution has no name" in records["half"].reason


def test_an_entry_point_that_names_nothing(install: Install, find: Find, tmp_path: Path) -> None:
    install("toy")
    file = tmp_path / "site0" / "ganzoo_toy-1.0.dist-info" / "entry_points.txt"
    file.write_text("[ganzoo.plugins]\ntoy = not a module!\n")
    assert '"not a module!" is not like "module"' in find()["toy"].reason


def test_two_versions_of_one_distribution_are_noted(
    install: Install, find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("toy")
    install("other")
    monkeypatch.syspath_prepend(tmp_path / "site0")
    older = tmp_path / "site0" / "ganzoo_toy-0.9.dist-info"
    older.mkdir()
    (older / "METADATA").write_text("Name: ganzoo-toy\nVersion: 0.9\n")
    records = find()
    assert "is installed as 0.9 and as 1.0" in records["toy"].notes[0]
    assert records["other"].notes == ()


LEFTOVER = "ganzoo_toy-0.0.1.dist-info"


@pytest.mark.parametrize("content", [{}, {"METADATA": "Name: ganzoo-toy\nVersion: 0.0.1\n"}])
def test_a_plugin_behind_leftover_metadata_is_named(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: dict[str, str]
) -> None:
    install("toy")
    monkeypatch.syspath_prepend(tmp_path / "site0")
    records = {one.namespace: one for one in discover(environ={})}
    assert records["toy"].state == "ok"  # the control
    leftover = tmp_path / "before" / LEFTOVER
    leftover.mkdir(parents=True)
    for name, text in content.items():
        (leftover / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "before")
    records = {one.namespace: one for one in discover(environ={})}
    assert records["toy"].state == "quarantined"
    assert (records["toy"].distribution, records["toy"].version) == ("ganzoo-toy", "1.0")
    assert f"hidden by {leftover}" in records["toy"].reason
    assert records["images"].state == "ok"
    # What doctor, lists and errors say all comes from the record.
    (finding,) = [one for one in doctor.states(list(records.values())) if "toy" in one.value]
    assert finding.state == "warning"
    assert str(leftover) in finding.message


def test_a_newer_version_before_an_older_one_hides_nothing(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment with another below it: what the newer one no longer has isn't missed."""
    install("toy")
    install("gone", distribution="ganzoo-toy")
    newer = tmp_path / "before" / "ganzoo_toy-2.0.dist-info"
    newer.mkdir(parents=True)
    (newer / "METADATA").write_text("Name: ganzoo-toy\nVersion: 2.0\n")
    text = (tmp_path / "site0" / "ganzoo_toy-1.0.dist-info" / "entry_points.txt").read_text()
    (newer / "entry_points.txt").write_text("".join(text.splitlines(keepends=True)[:2]))
    monkeypatch.syspath_prepend(tmp_path / "site0")
    monkeypatch.syspath_prepend(tmp_path / "before")
    assert "gone" not in {one.namespace for one in discover(environ={})}


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_plugin_prints_at_import_goes_to_stderr(
    install: Install, find: Find, capsys: pytest.CaptureFixture[str], fails: bool
) -> None:
    install("loud", "print('hello')\n" + ("1 / 0" if fails else GOOD))
    install("toy")
    records = find()
    assert records["loud"].state == ("quarantined" if fails else "ok")
    assert records["toy"].state == "ok"
    written = capsys.readouterr()
    assert (written.out, written.err) == ("", "hello\n")


def test_a_slow_import_is_noted(
    install: Install, find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "SLOW", 0.2)
    install("slow", "import time\ntime.sleep(0.2)\n" + GOOD)
    install("toy")
    records = find()
    assert records["slow"].notes[0].endswith(" s to import at every start of ganzoo")
    assert records["toy"].notes == ()


def test_the_present_api_version_is_loaded_stated_or_not(install: Install, find: Find) -> None:
    assert "GANZOO_API_VERSION" not in GOOD
    install("toy", f"GANZOO_API_VERSION = {API_VERSION}\n" + GOOD)
    install("silent", GOOD)
    assert {record.state for record in find().values()} == {"ok"}


def test_the_page_that_an_older_plugin_is_sent_to_exists(install: Install, find: Find) -> None:
    install("toy", "GANZOO_API_VERSION = 1\n" + GOOD)
    reason = find()["toy"].reason
    page, title = re.search(r'(docs/\S+), "([^"]+)"', reason).groups()
    text = (Path(__file__).parents[1] / page).read_text(encoding="utf-8")
    assert text.startswith(f"# {title}\n")


@pytest.mark.parametrize("distribution", ["ganzoo-toy", "toy", "zoo_of_mine", "Torch_GanZoo"])
def test_a_namespace_belongs_to_the_one_distribution_that_declares_it(
    install: Install, find: Find, distribution: str
) -> None:
    install("toy", distribution=distribution)
    record = find()["toy"]
    assert (record.state, record.distribution) == ("ok", distribution)


@pytest.fixture
def claims(install: Install, tmp_path: Path) -> Callable[..., list[PluginRecord]]:
    """Discover a namespace that two distributions declare, one of them with its name."""
    install("other")
    install("toy", distribution="ganzoo-toy")
    install("toy", distribution="toy")

    def claims(*block: str, **environ: str) -> list[PluginRecord]:
        entry_points = [
            entry
            for dist in importlib.metadata.distributions(path=[str(tmp_path / "site0")])
            for entry in dist.entry_points
        ]
        seen = []
        for order in (entry_points, entry_points[::-1]):
            other, *both = discover(block=block, environ=environ, entry_points=order)
            assert (other.namespace, other.state) == ("other", "ok")
            seen.append(sorted(both, key=lambda one: one.distribution))
        assert [(one.state, one.distribution) for one in seen[0]] == [
            (one.state, one.distribution) for one in seen[1]
        ]
        return seen[0]

    return claims


def test_of_two_claims_neither_loads(claims: Callable[..., list[PluginRecord]]) -> None:
    both = claims()
    assert [one.distribution for one in both] == ["ganzoo-toy", "toy"]
    for one in both:
        assert (one.state, one.components) == ("quarantined", ())
        assert "`pip uninstall ganzoo-toy`" in one.reason
        assert "`pip uninstall toy`" in one.reason
        assert "--no-plugin" in one.reason
    with pytest.raises(PluginError, match="`pip uninstall ganzoo-toy`"):
        Registry(both).find("loss", "toy/good")


@pytest.mark.parametrize(("left_out", "picked"), [("ganzoo-toy", "toy"), ("toy", "ganzoo-toy")])
def test_no_plugin_picks_one_of_two_claims(
    claims: Callable[..., list[PluginRecord]], left_out: str, picked: str
) -> None:
    """`toy` is the name of a distribution here, not the namespace of both."""
    for both in (claims(left_out), claims(GANZOO_DISABLE_PLUGINS=left_out)):
        states = {one.distribution: one.state for one in both}
        assert states == {left_out: "blocked", picked: "ok"}
        for order in (both, both[::-1]):
            registry = Registry(order)
            assert registry.record_of("toy/good").distribution == picked
            assert registry.find("loss", "toy/good").name == "good"


def test_a_distribution_that_declares_a_namespace_twice(
    install: Install, find: Find, tmp_path: Path
) -> None:
    install("toy")
    file = tmp_path / "site0" / "ganzoo_toy-1.0.dist-info" / "entry_points.txt"
    file.write_text(file.read_text() + "toy = json\n")
    assert find()["toy"].reason == 'ganzoo-toy declares the namespace "toy" twice: install it again'


def test_a_namespace_is_one_lower_case_word(install: Install, find: Find) -> None:
    install("Toy-x")
    assert "not a valid namespace" in find()["Toy-x"].reason


def test_names_of_the_core_are_reserved(install: Install, tmp_path: Path) -> None:
    install("toy", distribution="ganzoo-toy")
    install("toy", distribution="torch-ganzoo")
    entry_points = [
        entry
        for dist in importlib.metadata.distributions(path=[str(tmp_path / "site0")])
        for entry in dist.entry_points
    ]
    for order in (entry_points, entry_points[::-1]):
        for block, state in (((), "ok"), (("torch-ganzoo",), "blocked")):
            core, other = discover(block=block, environ={}, entry_points=order)
            assert (core.distribution, core.state) == ("torch-ganzoo", state)
            assert (other.distribution, other.state) == ("ganzoo-toy", "quarantined")
            assert "reserved for torch-ganzoo: `pip uninstall ganzoo-toy`" in other.reason


def test_the_name_ganzoo_is_reserved_even_where_the_core_declares_nothing(
    install: Install, find: Find
) -> None:
    install("ganzoo", distribution="evil")
    assert "reserved for torch-ganzoo: `pip uninstall evil`" in find()["ganzoo"].reason


def test_an_installation_under_the_former_name_counts_until_there_is_another(
    install: Install, find: Find, tmp_path: Path
) -> None:
    install("toy", distribution="ganzoo")
    (record,) = find().values()
    assert (record.distribution, record.state) == (CORE, "ok")
    entries = tmp_path / "site0" / "ganzoo-1.0.dist-info" / "entry_points.txt"
    entries.write_text("[ganzoo.plugins]\ntoy = a_module_of_before\ngone = a_module_of_before\n")
    assert find()["toy"].state == "quarantined"  # the control
    install("toy", distribution="torch-ganzoo")
    records = find()
    assert records.keys() == {"toy"}
    assert (records["toy"].distribution, records["toy"].state) == (CORE, "ok")


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
    install("builtin", distribution="torch-ganzoo")
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
        ("My-gan.py", "not a valid namespace"),
        ("missing.py", "not a Python file"),
        ("notes.txt", "not a Python file"),
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
