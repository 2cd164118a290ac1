"""`ganzoo plugins new`: what it writes, what it refuses, and that every kind works as written."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

from ganzoo.cli.installation import installation, pip_url
from ganzoo.cli.main import main
from ganzoo.cli.plugins_new import KINDS, PLACEHOLDER, render
from ganzoo.errors import PluginError
from ganzoo.plugin_system import registry
from ganzoo.plugin_system.discovery import discover
from ganzoo.recipe import load_recipe
from ganzoo.testing import NotApplicable, cases

URL = "git+https://zoo.example/cages/ganzoo.git@0123abc"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everything(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_text()
        for file in folder.rglob("*")
        if file.is_file()
    }


# What is written.


def test_a_package_is_complete(here, capsys):
    assert main(["plugins", "new", "my_gan", "--ganzoo-url", URL]) == 0
    files = everything(here / "ganzoo-my-gan")
    assert set(files) == {
        *("pyproject.toml", "README.md", "LICENSE", ".gitignore", ".github/workflows/test.yml"),
        *("src/ganzoo_my_gan/__init__.py", "src/ganzoo_my_gan/py.typed"),
        *("src/ganzoo_my_gan/options.py", "src/ganzoo_my_gan/recipes/demo.toml"),
        *("src/ganzoo_my_gan/generator.py", "src/ganzoo_my_gan/loss.py"),
        *("tests/test_conformance.py", "tests/test_generator.py", "tests/test_loss.py"),
    }
    about = tomllib.loads(files["pyproject.toml"])
    assert about["project"]["name"] == "ganzoo-my-gan"
    assert about["project"]["entry-points"] == {"ganzoo.plugins": {"my_gan": "ganzoo_my_gan"}}
    assert about["project"]["dependencies"] == ["torch-ganzoo>=0.1"]
    assert {one.partition(">")[0] for one in about["project"]["optional-dependencies"]["test"]} >= {
        "pytest",
        "mypy",
    }
    for name, text in files.items():
        assert text or name.endswith("py.typed"), name
        assert not re.search(r"\$\w|\$\{", text), name
    told = capsys.readouterr()
    assert "ganzoo-my-gan" in told.out
    steps = ["cd ganzoo-my-gan", "pip install -e", "pytest", "ganzoo plugins check my_gan"]
    places = [told.err.index(step) for step in steps]
    assert places == sorted(places)


def test_strangers_are_told_to_install_ganzoo_first(here):
    """No package index has ganzoo, so the order matters, in CI too."""
    assert main(["plugins", "new", "toy", "--ganzoo-url", URL]) == 0
    for name in ("README.md", ".github/workflows/test.yml"):
        text = (here / "ganzoo-toy" / name).read_text()
        lines = re.findall(r"pip install (.*)", text)
        assert lines[0] == f'"torch-ganzoo @ {URL}"', name
        assert len(lines) > 1
    assert (
        "[ganzoo](https://zoo.example/cages/ganzoo)"
        in (here / "ganzoo-toy" / "README.md").read_text()
    )


def test_what_pip_says_in_the_wrong_order_is_explained(here):
    assert main(["plugins", "new", "toy", "--ganzoo-url", URL]) == 0
    (requirement,) = tomllib.loads((here / "ganzoo-toy" / "pyproject.toml").read_text())["project"][
        "dependencies"
    ]
    said = f"No matching distribution found for {requirement}"  # by pip 23 to 26
    assert said in (here / "ganzoo-toy" / "README.md").read_text()


def test_without_an_address_the_author_is_told_to_fill_it_in(here, capsys, monkeypatch):
    monkeypatch.setattr(
        "ganzoo.cli.plugins_new.installation", lambda: installation(distribution(None))
    )
    assert main(["plugins", "new", "toy"]) == 0
    text = (here / "ganzoo-toy" / "README.md").read_text()
    assert PLACEHOLDER in text
    assert not re.search(r"git\+|github\.com", text)
    assert PLACEHOLDER in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ganzoo-my-gan", "ganzoo_my_gan", "my-gan", "my_gan"])
def test_spellings_of_one_name(here, name):
    assert main(["plugins", "new", name, "-o", "there"]) == 0
    assert (here / "there" / "src" / "ganzoo_my_gan" / "__init__.py").is_file()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Foo", "is not a valid namespace"),
        ("1foo", "is not a valid namespace"),
        ("foo__bar", "is not a valid namespace"),
        ("foo.bar", "is not a valid namespace"),
        ("../foo", "is not a valid namespace"),
        ("", "is not a valid namespace"),
        ("ganzoo", "ganzoo itself"),
        ("lambda", "keyword"),
        ("match", "keyword"),
        ("images", "taken by torch-ganzoo"),
        ("ganzoo-timm-unet", "taken by torch-ganzoo"),
    ],
)
def test_names_that_are_refused(here, capsys, name, why):
    assert main(["plugins", "new", name]) == 2
    assert why in capsys.readouterr().err
    assert not list(here.iterdir())


def test_a_module_of_that_name_is_refused(here, capsys, monkeypatch):
    (here / "ganzoo_taken_module.py").write_text("")
    monkeypatch.syspath_prepend(here)
    assert main(["plugins", "new", "taken_module"]) == 2
    assert "exists already" in capsys.readouterr().err


def test_nothing_is_overwritten(here, capsys):
    (here / "ganzoo-toy").mkdir()
    (here / "ganzoo-toy" / "README.md").write_text("mine")
    assert main(["plugins", "new", "toy"]) == 2
    assert "nothing was overwritten" in capsys.readouterr().err
    assert everything(here) == {"ganzoo-toy/README.md": "mine"}
    (here / "file").write_text("mine")
    assert main(["plugins", "new", "toy", "-o", "file"]) == 2
    assert main(["plugins", "new", "toy", "-o", "file/below"]) == 7
    assert main(["plugins", "new", "toy", "-o", "free/below"]) == 0


# Where ganzoo comes from.


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://h.example/a/ganzoo.git", "git+https://h.example/a/ganzoo.git"),
        ("git+https://h.example/a/ganzoo.git@v1", "git+https://h.example/a/ganzoo.git@v1"),
        ("https://me:secret@h.example/ganzoo.git", "git+https://h.example/ganzoo.git"),
        ("git@h.example:a/ganzoo.git", "git+ssh://git@h.example/a/ganzoo.git"),
        ("ssh://git@h.example/a/ganzoo.git", "git+ssh://git@h.example/a/ganzoo.git"),
        ("https://h.example/ganzoo-0.1.0.tar.gz", "https://h.example/ganzoo-0.1.0.tar.gz"),
        ("/srv/ganzoo.git", ""),
        ("../ganzoo", ""),
        ("file:///srv/ganzoo.git", ""),
        ("C:/ganzoo", ""),
        ("", ""),
    ],
)
def test_addresses_for_pip(address, url):
    assert pip_url(address) == url


@pytest.mark.parametrize("url", ["here", "/srv/x", "https://h.example/x.git; rm $HOME", "https://"])
def test_addresses_that_are_refused(here, capsys, url):
    assert main(["plugins", "new", "toy", "--ganzoo-url", url]) == 2
    assert "not an address" in capsys.readouterr().err
    assert not list(here.iterdir())


def distribution(document):
    """A ganzoo with this direct_url.json."""

    class Installed(importlib.metadata.Distribution):
        def read_text(self, filename):
            if filename == "METADATA":
                return "Name: torch-ganzoo\nVersion: 0.1.0\n"
            return None if document is None else json.dumps(document)

        def locate_file(self, path):
            return path

    return Installed()


def test_a_repository_that_pip_installed_from():
    vcs = {"vcs": "git", "commit_id": "a" * 40, "requested_revision": "main"}
    found = distribution({"url": "https://h.example/ganzoo.git", "vcs_info": vcs})
    assert installation(found).url == f"git+https://h.example/ganzoo.git@{'a' * 40}"
    assert "https://h.example/ganzoo.git at aaaaaaaaaaaa" in str(installation(found))


def test_wheels_have_an_address_only_if_strangers_have_it():
    public = {"url": "https://h.example/ganzoo-0.1.0.whl", "archive_info": {}}
    assert installation(distribution(public)).url == "https://h.example/ganzoo-0.1.0.whl"
    private = {"url": "file:///tmp/ganzoo-0.1.0.whl", "archive_info": {}}
    assert installation(distribution(private)).url == ""
    assert installation(distribution(None)).url == ""


@pytest.mark.skipif(shutil.which("git") is None, reason="git isn't there")
def test_a_checkout_has_its_origin_and_not_anothers(tmp_path):
    def git(*words):
        subprocess.run(["git", "-C", tmp_path, *words], check=True, capture_output=True)

    def url(folder):
        found = distribution({"url": folder.as_uri(), "dir_info": {"editable": True}})
        return installation(found).url

    assert url(tmp_path) == ""
    git("init")
    assert url(tmp_path) == ""  # no remote
    git("remote", "add", "origin", "git@h.example:a/ganzoo.git")
    assert url(tmp_path) == "git+ssh://git@h.example/a/ganzoo.git"
    (tmp_path / "inside").mkdir()
    assert url(tmp_path / "inside") == ""  # a folder in somebody else's checkout
    git("remote", "set-url", "origin", "/srv/ganzoo.git")
    assert url(tmp_path) == ""  # means nothing elsewhere


# As written, it works: without pip first.


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Write a package and load it as if it were installed; gives its record and a registry."""
    monkeypatch.setattr(registry, "_active", None)

    def load(namespace, kinds, break_it=lambda package: package):
        package = break_it(render(namespace, list(kinds), URL))
        folder = tmp_path / namespace
        for place, text in package.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_text(text)
        monkeypatch.syspath_prepend(folder / "src")
        info = folder / "src" / f"ganzoo_{namespace}-0.1.0.dist-info"
        info.mkdir()
        about = tomllib.loads(package["pyproject.toml"])["project"]
        lines = [f"Name: {about['name']}", f"Version: {about['version']}"]
        lines += [f"Requires-Dist: {one}" for one in about["dependencies"]]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        entry = f"[ganzoo.plugins]\n{namespace} = ganzoo_{namespace}\n"
        (info / "entry_points.txt").write_text(entry)
        records = discover(environ={})
        active = registry.activate(records=records)
        return active.record_of(f"{namespace}/"), active

    yield load
    for name in [name for name in sys.modules if name.startswith("ganzoo_new_")]:
        del sys.modules[name]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_loads_and_its_recipe_is_right(loaded, kind):
    record, active = loaded(f"new_{kind}", [kind])
    assert (record.state, record.reason) == ("ok", "")
    assert [(one.kind, one.name) for one in record.components] == [(kind, kind)]
    (recipe,) = record.recipes
    read = load_recipe(recipe, registry=active)
    assert f"new_{kind}/{kind}" in json.dumps(read.document)
    (component,) = record.components
    active.choose(kind, f"new_{kind}/{kind}").load()
    assert component.summary


def test_all_kinds_at_once(loaded):
    record, active = loaded("new_everything", KINDS)
    assert (record.state, record.reason) == ("ok", "")
    assert [one.kind for one in record.components] == list(KINDS)
    document = json.dumps(load_recipe(record.recipes[0], registry=active).document)
    assert all(f"new_everything/{kind}" in document for kind in KINDS)


def changed(place, before, after):
    def change(package):
        assert before in package[place]
        return package | {place: package[place].replace(before, after)}

    return change


def fast_cases(namespace, active):
    return [case for case in cases(namespace, active) if not case.check.slow]


def made(case, folder):
    folder.mkdir()
    try:
        case(folder)
    except NotApplicable:
        return False
    return True


def test_a_loss_conforms_as_written(loaded, tmp_path):
    _, active = loaded("new_conforming", ["loss"])
    todo = fast_cases("new_conforming", active)
    done = [case.check.name for i, case in enumerate(todo) if made(case, tmp_path / f"case{i}")]
    assert "check_naming_imports_nothing_heavy" in done
    assert any("loss" in name for name in done)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"l1": weight * functional', '"l1": functional'),
        ("softplus(sign * logits).mean()", "softplus(sign * logits).sum()"),
    ],
)
def test_the_known_values_tell_another_formula(loaded, tmp_path, before, after):
    place = "src/ganzoo_new_formula/loss.py"
    _, active = loaded("new_formula", ["loss"], changed(place, before, after))
    (known,) = [
        case
        for case in cases("new_formula", active)
        if case.check.name == "check_loss_known_values"
    ]
    with pytest.raises(AssertionError, match="should be"):
        made(known, tmp_path / "case")


def test_a_broken_template_would_be_caught(loaded, tmp_path):
    """The negative control: a plugin that doesn't load, and one that imports torch to be named."""

    def misspelt(package):
        place = "src/ganzoo_new_misspelt/__init__.py"
        return package | {place: package[place].replace("ganzoo_recipes", "ganzoo_recipse")}

    def heavy(package):
        place = "src/ganzoo_new_heavy/options.py"
        return package | {place: package[place] + "\nimport torch\n"}

    record, active = loaded("new_misspelt", ["loss"], misspelt)
    assert record.state == "quarantined"
    with pytest.raises(PluginError):
        list(cases("new_misspelt", active))
    _, active = loaded("new_heavy", ["loss"], heavy)
    (light,) = [
        case
        for case in cases("new_heavy", active)
        if case.check.name == "check_naming_imports_nothing_heavy"
    ]
    with pytest.raises(AssertionError, match="torch"):
        made(light, tmp_path / "case")


# Installed for real.


@pytest.fixture(scope="module")
def environment(packaging, wheel, tmp_path_factory):
    return packaging.Environment(tmp_path_factory.mktemp("author") / "environment", wheel)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "kinds",
    [
        pytest.param((), marks=pytest.mark.slow, id="usual"),
        pytest.param(KINDS, marks=pytest.mark.slow, id="all"),
        # Each takes a minute, and its files are those of "all" but for a few lines.
        *(pytest.param((kind,), marks=pytest.mark.long, id=kind) for kind in KINDS),
    ],
)
def test_a_new_plugin_is_green(environment, tmp_path, kinds):
    """What the command says to do next, in a real environment, before anything is changed."""
    namespace = f"new_{'_'.join(kinds) or 'usual'}" if len(kinds) < 2 else "new_all"
    chosen = [word for kind in kinds for word in ("--kind", kind)]

    def ganzoo(*words, cwd):
        return environment.run("-m", "ganzoo", *words, cwd=cwd)

    ganzoo("plugins", "new", namespace, "-o", "package", *chosen, cwd=tmp_path)
    package = tmp_path / "package"
    editable = ("--no-build-isolation", "--no-deps", "--no-index", "-e")
    try:
        environment.run("-m", "pip", "install", *editable, ".", cwd=package)
        ganzoo("check", f"{namespace}/demo", cwd=package)
        ganzoo("plugins", "check", namespace, "--fast", cwd=package)  # pytest makes all of them
        run = ("run", f"{namespace}/demo", "--max-steps", 3, "--device", "cpu", "--json")
        document = json.loads(ganzoo(*run, cwd=package).stdout)
        assert (document["outcome"], document["step"]) == ("stopped", 3)
        tests = environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=package).stdout
        assert re.search(r"\d+ passed", tests)
        known = ("--cache-dir", environment.folder / "mypy")  # torch is read once
        environment.run("-m", "mypy", "--strict", *known, "src", cwd=package)
        for words in (("check",), ("format", "--check")):
            ruff = [sys.executable, "-m", "ruff", *words, "--no-cache"]
            subprocess.run(ruff, cwd=package, check=True, capture_output=True)
    finally:
        distribution = f"ganzoo-{namespace.replace('_', '-')}"
        environment.run("-m", "pip", "uninstall", "-y", distribution)
