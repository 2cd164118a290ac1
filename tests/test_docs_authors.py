"""Nothing that a plugin's author may use is undocumented: names, hooks, kinds, checks, errors."""

import ast
import dataclasses
import importlib
import importlib.util
import inspect
import re
import sys
from pathlib import Path

import pytest

from ganzoo import errors
from ganzoo.api import KINDS
from ganzoo.plugin_system.hookspecs import DiscoverySpecs, RunSpecs

ROOT = Path(__file__).parents[1]
PAGES = ("plugin-authors.md", "plugin-reference.md", "contract-2.md")
GUIDE = "\n".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in PAGES)
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def _generator():
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = _generator()
public_names = sys.modules["public_names"]  # the generator has imported it


def section(name):
    return GUIDE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def test_generated_parts_of_the_guide_are_what_the_code_says():
    assert generate.regenerated(GUIDE) == GUIDE, "run `python docs/generate.py`"


def test_the_doors_are_those_that_plugins_may_use():
    source = (ROOT / "tests" / "test_layers.py").read_text(encoding="utf-8")
    layers = source.partition("DOORS = {")[2].partition("\n}")[0].partition(" in (")[2]
    assert set(re.findall(r'"(\w+)"', layers)) == set(generate.DOORS)
    for door in generate.DOORS:
        assert f"`ganzoo.{door}`" in GUIDE
        assert f"`ganzoo.{door}`" in ARCHITECTURE


@pytest.mark.parametrize("door", generate.DOORS)
def test_every_public_name_has_a_docstring(door):
    found = public_names.public_names(door)
    assert found
    assert [name for name, text in found.items() if not text.strip()] == []


@pytest.mark.parametrize("door", generate.DOORS)
def test_the_names_that_are_read_are_those_that_are_imported(door):
    """The table is made from the sources; here the modules themselves are asked."""
    module = importlib.import_module(f"ganzoo.{door}")
    names = getattr(module, "__all__", None)
    if names is None:
        names = [
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
        ]
    read = set(public_names.public_names(door))
    assert set(names) <= read
    assert all(hasattr(module, name) for name in read)


@pytest.mark.parametrize("door", generate.DOORS)
def test_methods_of_public_classes_are_documented(door):
    module = importlib.import_module(f"ganzoo.{door}")
    for name in public_names.public_names(door):
        kind = getattr(module, name)
        if not inspect.isclass(kind) or not kind.__module__.startswith("ganzoo"):
            continue
        for attribute, value in vars(kind).items():
            function = getattr(value, "__func__", getattr(value, "fget", value))
            if attribute.startswith("_") or not inspect.isfunction(function):
                continue
            said = function.__doc__ or (kind.__doc__ or "").count(f"{attribute}:")
            assert said, f"ganzoo.{door}.{name}.{attribute}"


def test_signatures_are_those_of_the_modules():
    """They are read from the sources; here `inspect` is asked."""
    for door in ("api", "interfaces"):
        module = importlib.import_module(f"ganzoo.{door}")
        shown = "".join(
            re.findall(r"```python\n(.*?)```", public_names.signatures(door), re.DOTALL)
        )
        nodes = {one.name: one for one in ast.parse(shown).body if hasattr(one, "name")}
        assert set(nodes) <= set(module.__all__)
        for name in module.__all__:
            assert re.search(rf"^(?:class |def )?{name}\b", shown, re.MULTILINE), name
        for name, node in nodes.items():
            value = getattr(module, name)
            if isinstance(node, ast.FunctionDef):
                assert parameters(node) == list(inspect.signature(value).parameters)
                continue
            methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
            for one in methods:
                function = inspect.getattr_static(value, one.name)
                function = getattr(function, "fget", getattr(function, "__func__", function))
                assert parameters(one) == list(inspect.signature(function).parameters), name
            if dataclasses.is_dataclass(value):
                fields = [one.target.id for one in node.body if isinstance(one, ast.AnnAssign)]
                assert fields == [one.name for one in dataclasses.fields(value)]


def parameters(node):
    given = node.args
    names = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    return [one.arg for one in names if one]


def test_a_signature_has_comments_defaults_and_only_what_is_public(tmp_path, monkeypatch):
    (tmp_path / "ganzoo").mkdir()
    (tmp_path / "ganzoo" / "door.py").write_text(SOURCE)
    monkeypatch.setattr(public_names, "ROOT", tmp_path)
    assert public_names.signatures("door") == SHOWN


SOURCE = '''
@dataclass
class Point:
    """Where it is. And more.

    Args:
        x, y: in pixels; from
            the left and the top.
        name: what it is called.
    """

    x: float
    y: float
    name: str = ""

    @final
    def moved(self, by: 'Point', *, twice=False) -> 'Point':
        """Move it. Always."""
        return self

    def _hidden(self): ...
'''
SHOWN = """```python
@dataclass
class Point:
    # Where it is.

    # `x`, `y`: In pixels; from the left and the top.
    x: float

    y: float

    # What it is called.
    name: str = ""

    # Move it.
    def moved(self, by: "Point", *, twice=False) -> "Point": ...
```
"""


def test_a_name_without_a_docstring_is_noticed(tmp_path, monkeypatch):
    (tmp_path / "ganzoo").mkdir()
    source = 'X = 1\n"""What X is."""\nY = 2\n\ndef z():\n    return 1\n\n_hidden = 3\n'
    (tmp_path / "ganzoo" / "door.py").write_text(source)
    monkeypatch.setattr(public_names, "ROOT", tmp_path)
    assert public_names.public_names("door") == {"X": "What X is.", "Y": "", "z": ""}


def test_every_kind_has_a_row_and_a_place():
    rows = re.findall(r"^\| `(\w+)` \|", section("Kinds"), re.MULTILINE)
    assert rows == list(KINDS)
    examples = GUIDE.partition("## The kinds one by one")[2].partition("## What the engine does")[0]
    shown = set(re.findall(r"^### (\w+)$", examples, re.MULTILINE))
    shown |= set(re.findall(r'component\(\s*"(\w+)"', GUIDE))
    assert set(KINDS) <= shown


def test_every_hook_is_documented():
    hooks = [name for spec in (DiscoverySpecs, RunSpecs) for name in vars(spec)]
    for name in hooks:
        if name.startswith("ganzoo_"):
            assert f"`{name}(" in section("Hooks")


def test_every_check_of_the_kit_is_documented():
    from ganzoo.testing import all_checks

    rows = re.findall(r"^\| `(check_\w+)` \|", section("Checks"), re.MULTILINE)
    assert rows == list(all_checks())
    assert len(rows) > 40
    for mentioned in set(re.findall(r"`(check_\w+)`", GUIDE)):
        assert mentioned in rows


def test_every_error_has_a_row_with_its_exit_code():
    rows = dict(re.findall(r"^\| (`.+?`) \| .+ \| (\d+) \|$", section("Errors"), re.MULTILINE))
    codes = {name: code for names, code in rows.items() for name in re.findall(r"`(\w+)`", names)}
    for name, kind in vars(errors).items():
        if inspect.isclass(kind) and issubclass(kind, errors.GanzooError):
            if kind is errors.GanzooError:
                assert "`GanzooError`" in section("Errors")
            else:
                assert codes[name] == str(int(kind.exit_code)), name
    assert codes["ValueError"] == str(int(errors.ExitCode.RECIPE))  # `build_network` makes it so


def test_the_policy_of_the_api_version_is_stated():
    from ganzoo.api import API_VERSION

    text = section("API version")
    assert f"`GANZOO_API_VERSION = {API_VERSION}`" in text
    for word in ("only adds", "deprecated", "minor release", "quarantined"):
        assert word in text
    assert "## Deprecated" in ARCHITECTURE
