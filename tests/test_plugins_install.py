"""`ganzoo plugins install`: what is looked at before anything changes, and what is said after."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from ganzoo.cli import plugins_install
from ganzoo.cli.installation import Installation
from ganzoo.cli.main import main
from ganzoo.cli.plugins_install import requirement
from ganzoo.cli.plugins_new import render
from ganzoo.errors import PluginError, UsageError

TORCH = importlib.metadata.version("torch")


@pytest.mark.parametrize(
    ("what", "asked"),
    [
        ("foo", "ganzoo-foo"),
        ("ganzoo-foo", "ganzoo-foo"),
        ("Ganzoo_Foo", "Ganzoo_Foo"),
        ("foo==1.2", "ganzoo-foo==1.2"),
        ("ganzoo-foo[extra]>=1", "ganzoo-foo[extra]>=1"),
        ("./foo", "./foo"),
        (".", "."),
        ("foo-1.0-py3-none-any.whl", "foo-1.0-py3-none-any.whl"),
        ("git+https://h.example/foo.git", "git+https://h.example/foo.git"),
    ],
)
def test_what_pip_is_asked_for(what, asked):
    assert requirement(what) == asked


@pytest.mark.parametrize(
    "what", ["ganzoo", "GanZoo==0.0.1", "torch-ganzoo", "images", "ganzoo-timm_unet"]
)
def test_what_is_no_plugin_of_others_is_refused(what):
    with pytest.raises(UsageError):
        requirement(what)


# What pip would do decides; pip is an actor here.


class Pip:
    """Answers as pip would, and remembers what it was asked.

    `plan` is all that would be installed, the distribution that was asked for first; `fails` is why
    nothing can be.
    """

    def __init__(self, *plan, fails=""):
        self.plan, self.fails = plan, fails
        self.calls = []
        self.constraints = ""

    def __call__(self, *arguments, **_):
        self.calls.append(arguments)
        self.constraints = Path(arguments[arguments.index("-c") + 1]).read_text()
        if self.fails:
            return SimpleNamespace(returncode=1, stdout="", stderr=self.fails)
        if "--report" in arguments:
            items = [
                {"metadata": {"name": name, "version": "1.0"}, "requested": number == 0}
                for number, name in enumerate(self.plan)
            ]
            report = arguments[arguments.index("--report") + 1]
            Path(report).write_text(json.dumps({"install": items}))
        return SimpleNamespace(returncode=0, stdout="", stderr="")

    @property
    def installed(self):
        return any("--dry-run" not in call for call in self.calls)


@pytest.fixture
def install(monkeypatch):
    """Run the command with an actor for pip; gives the exit code."""
    monkeypatch.setattr(plugins_install, "_show", lambda _: None)

    def install(pip, *words):
        monkeypatch.setattr(plugins_install, "_pip", pip)
        return main(["plugins", "install", *(words or ("foo",))])

    return install


def test_a_plugin_that_fits_is_installed(install):
    pip = Pip("ganzoo-foo", "einops")
    assert install(pip, "foo", "--", "--no-index", "--find-links", "wheels") == 0
    assert pip.installed
    final = pip.calls[-1]
    assert final[-1] == "ganzoo-foo"
    assert {"--no-index", "--find-links", "wheels", "-c"} <= set(final)
    assert pip.constraints == f"torch-ganzoo==0.1.0\ntorch=={TORCH}\n"


@pytest.mark.parametrize(
    ("name", "over"), [("torch-ganzoo", "ganzoo"), ("ganzoo", "ganzoo"), ("torch", "torch")]
)
def test_nothing_replaces_ganzoo_or_torch(install, capsys, name, over):
    """PyPI's `ganzoo` is of another name, and has files in the same folder."""
    pip = Pip("ganzoo-foo", "einops", name)
    assert install(pip) == 4
    assert not pip.installed
    assert f"pip would install {name} 1.0 over the {over} that is" in capsys.readouterr().err


def test_pips_refusal_is_explained(install, capsys):
    pip = Pip(fails="ERROR: ResolutionImpossible: einops needs torch<2")
    assert install(pip) == 4
    told = capsys.readouterr().err
    assert f"can't be installed beside torch-ganzoo 0.1.0 and torch {TORCH}" in told
    assert "einops needs torch<2" in told
    pip = Pip(fails="ERROR: no network")
    assert install(pip) == 7
    assert "no network" in capsys.readouterr().err
    assert not pip.installed


def test_a_dry_run_is_pips_own(install):
    pip = Pip("ganzoo-foo")
    assert install(pip, "foo", "--", "--dry-run") == 0
    assert not pip.installed


def test_a_ganzoo_that_is_not_installed_gets_nothing(install, monkeypatch, capsys):
    """Pip would look for the requirement on the package index."""
    here = Installation("", Path("/somewhere/ganzoo"), "not installed", "")
    monkeypatch.setattr(plugins_install, "installation", lambda: here)
    pip = Pip("ganzoo-foo")
    assert install(pip) == 7
    assert pip.calls == []
    assert "/somewhere/ganzoo, isn't installed" in capsys.readouterr().err


def test_a_python_without_pip(monkeypatch, capsys):
    lacking = SimpleNamespace(returncode=1, stdout="", stderr="/x/python: No module named pip")
    monkeypatch.setattr(plugins_install.subprocess, "run", lambda *_, **__: lacking)
    assert main(["plugins", "install", "foo"]) == 7
    told = capsys.readouterr().err
    assert "has no pip" in told
    assert "ensurepip" in told


def test_an_option_of_pip_needs_two_hyphens_before_it(capsys):
    assert main(["plugins", "install", "foo", "--no-index"]) == 2
    assert main(["plugins", "install", "--", "--no-index"]) == 2
    assert "nothing to install" in capsys.readouterr().err


# For real, in an environment of its own.


def wheel_of(packaging, folder, namespace, change=lambda package: package):
    package = change(render(namespace, ["loss"], "git+https://h.example/ganzoo.git"))
    sources = folder / "sources" / namespace
    for place, text in package.items():
        (sources / place).parent.mkdir(parents=True, exist_ok=True)
        (sources / place).write_text(text)
    return packaging.build(folder, sources)[0]


def changed(place, before, after):
    def change(package):
        assert before in package[place]
        return package | {place: package[place].replace(before, after)}

    return change


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_plugins_are_installed_for_real(packaging, wheel, tmp_path):
    """One that works, one that fails to import, one of another's name, one that isn't there."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel_of(packaging, wheels, "fits")
    wheel_of(
        packaging,
        wheels,
        "raises",
        changed("src/ganzoo_raises/__init__.py", "GANZOO_API_VERSION = 2", "raise OSError('ouch')"),
    )
    wheel_of(
        packaging,
        wheels,
        "renamed",
        changed("pyproject.toml", 'name = "ganzoo-renamed"', 'name = "fancy-renamed"'),
    )
    python = packaging.Environment(tmp_path / "environment", wheel)
    offline = ("--", "--no-index", "--find-links", wheels)

    def install(what, code):
        words = ("plugins", "install", what, *offline)
        return python.run("-m", "ganzoo", *words, code=code, cwd=tmp_path)

    done = install("fits", 0)
    assert done.stdout.split() == ["fits", "ganzoo-fits", "0.1.0", "ok", "1", "components"]
    assert "ganzoo plugins check fits" in done.stderr
    assert "already" in install("ganzoo-fits", 0).stderr  # pip's own words
    done = install("raises", 4)
    assert "OSError: ouch" in done.stdout
    assert "pip uninstall ganzoo-raises" in done.stderr
    (other,) = wheels.glob("fancy_renamed*.whl")
    done = install(other, 0)
    assert done.stdout.split()[:3] == ["renamed", "fancy-renamed", "0.1.0"]
    assert "ganzoo-absent" in install("absent", 7).stderr
    plugins = json.loads(python("-m", "ganzoo", "plugins", "--json"))["plugins"]
    states = {one["namespace"]: one["state"] for one in plugins}
    assert (states["fits"], states["raises"]) == ("ok", "quarantined")
    assert states["images"] == "ok"


def test_a_fresh_ganzoo_says_the_state(capsys):
    plugins_install._show(["torch-ganzoo"])
    told = capsys.readouterr()
    assert "images" in told.out
    assert "ganzoo plugins check images" in told.err
    with pytest.raises(PluginError, match="contains no plugin"):
        plugins_install._show(["click"])
