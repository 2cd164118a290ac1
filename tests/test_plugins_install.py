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

    `named` is what was asked for, `plan` all that would be installed; `fails` is why nothing can,
    `tells` what goes to stdout then.
    """

    def __init__(self, named, plan=None, fails="", tells=""):
        self.reports = [named, named if plan is None else plan]
        self.fails, self.tells = fails, tells
        self.calls = []
        self.constraints = ""

    def __call__(self, *arguments, quiet=True):
        self.calls.append(arguments)
        if "--dry-run" in arguments:
            if "-c" in arguments:
                self.constraints = Path(arguments[arguments.index("-c") + 1]).read_text()
                if self.fails:
                    return SimpleNamespace(returncode=1, stdout=self.tells, stderr=self.fails)
            items = [{"metadata": one} for one in self.reports.pop(0)]
            report = arguments[arguments.index("--report") + 1]
            Path(report).write_text(json.dumps({"install": items}))
        return SimpleNamespace(returncode=0, stdout="pip 99", stderr="")

    @property
    def installed(self):
        return any("install" in call and "--dry-run" not in call for call in self.calls)


def distribution(name="ganzoo-foo", version="1.0", requires=("torch-ganzoo>=0.1",)):
    return {"name": name, "version": version, "requires_dist": list(requires)}


@pytest.fixture
def install(monkeypatch):
    """Run the command with an actor for pip; gives the exit code."""
    monkeypatch.setattr(plugins_install, "_show", lambda _: None)

    def install(pip, *words):
        monkeypatch.setattr(plugins_install, "_pip", pip)
        return main(["plugins", "install", *(words or ("foo",))])

    return install


def test_a_plugin_that_fits_is_installed(install, capsys):
    pip = Pip([distribution()])
    assert install(pip, "foo", "--", "--no-index", "--find-links", "wheels") == 0
    assert pip.installed
    final = pip.calls[-1]
    assert final[-1] == "ganzoo-foo"
    assert {"--no-index", "--find-links", "wheels", "-c"} <= set(final)
    assert f"torch=={TORCH}" in pip.constraints
    assert "torch-ganzoo==0.1.0" in pip.constraints
    told = capsys.readouterr().err
    for word in (
        "ganzoo 0.1.0 of",
        "pip 99",
        "ganzoo-foo 1.0 needs torch-ganzoo>=0.1",
        "installing",
    ):
        assert word in told


@pytest.mark.parametrize(
    ("requires", "why"),
    [
        (["torch-ganzoo>=0.2"], "needs torch-ganzoo>=0.2, and torch-ganzoo 0.1.0 is installed"),
        (["torch-ganzoo<0.1"], "needs torch-ganzoo<0.1, and torch-ganzoo 0.1.0 is installed"),
        (["ganzoo>=0.1"], "needs ganzoo>=0.1, which is another project's package"),
        (["torch-ganzoo>=0.1", "torch<2"], f"needs torch<2, and torch {TORCH} is installed"),
    ],
)
def test_a_plugin_that_does_not_fit_is_refused_before_anything_changes(
    install, capsys, requires, why
):
    pip = Pip([distribution(requires=requires)])
    assert install(pip) == 4
    assert not pip.installed
    assert why in capsys.readouterr().err


def test_requirements_of_extras_and_other_systems_do_not_count(install):
    others = ['torch<2; extra == "old"', 'ganzoo>=9; sys_platform == "other"']
    assert install(Pip([distribution(requires=others)])) == 0


@pytest.mark.parametrize(
    ("name", "over"), [("torch-ganzoo", "ganzoo"), ("ganzoo", "ganzoo"), ("torch", "torch")]
)
def test_nothing_replaces_ganzoo_or_torch(install, capsys, name, over):
    """PyPI's `ganzoo` is of another name, and has files in the same folder."""
    plan = [distribution(), distribution("einops"), distribution(name, "0.1.0", ())]
    pip = Pip([distribution(requires=["einops"])], plan)
    assert install(pip) == 4
    assert not pip.installed
    assert f"pip would install {name} 0.1.0 over the {over} that is" in capsys.readouterr().err
    assert install(Pip([distribution(requires=["einops"])], plan[:2])) == 0  # the control


def test_pips_refusal_is_explained(install, capsys):
    pip = Pip([distribution()], fails="ERROR: ResolutionImpossible: einops needs torch<2")
    assert install(pip) == 4
    told = capsys.readouterr().err
    assert f"can't be installed beside torch-ganzoo 0.1.0 and torch {TORCH}" in told
    assert "einops needs torch<2" in told
    cause = "The conflict is caused by:\n    foo 1 depends on bar>=2\n    baz 1 depends on bar<2\n"
    tells = f"Processing foo\n\n{cause}\nTo fix this you could try to:\n1. loosen\n"
    pip = Pip([distribution()], fails="ERROR: ResolutionImpossible", tells=tells)
    assert install(pip) == 4
    told = capsys.readouterr().err
    assert "baz 1 depends on bar<2" in told
    assert "Processing" not in told
    assert "loosen" not in told
    pip = Pip([distribution()], fails="ERROR: no network")
    assert install(pip) == 7
    assert "no network" in capsys.readouterr().err
    assert not pip.installed


def test_a_distribution_of_another_name_gets_a_warning(install, capsys):
    assert install(Pip([distribution("fancy-gan")]), "./fancy") == 0
    assert "fancy-gan isn't called ganzoo-NAME" in capsys.readouterr().err
    assert install(Pip([distribution()])) == 0
    assert "isn't called" not in capsys.readouterr().err


def test_what_is_installed_already_is_left_alone(install, capsys):
    pip = Pip([distribution()], [])
    assert install(pip) == 0
    assert not pip.installed
    assert "--upgrade" in capsys.readouterr().err


def test_what_would_be_replaced_is_said_before(install, capsys):
    click = importlib.metadata.version("click")
    pip = Pip([distribution()], [distribution(), distribution("click", "1.0", ())])
    assert install(pip) == 0
    assert f"installing: ganzoo-foo 1.0, click 1.0 (instead of {click})" in capsys.readouterr().err


@pytest.mark.parametrize(("plan", "told"), [(None, "ganzoo-foo 1.0"), ([], "nothing")])
def test_a_dry_run_stops_after_the_look(install, capsys, plan, told):
    pip = Pip([distribution()], plan)
    assert install(pip, "foo", "--", "--dry-run") == 0
    assert not pip.installed
    assert f"would install: {told}" in capsys.readouterr().err


def test_a_ganzoo_that_is_not_installed_gets_nothing(install, monkeypatch, capsys):
    """Pip would look for the requirement on the package index."""
    here = Installation("", Path("/somewhere/ganzoo"), "not installed", "")
    monkeypatch.setattr(plugins_install, "installation", lambda: here)
    pip = Pip([distribution()])
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
        changed("src/ganzoo_raises/__init__.py", "GANZOO_API_VERSION = 1", "raise OSError('ouch')"),
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
    assert "already" in install("ganzoo-fits", 0).stderr
    done = install("raises", 4)
    assert "OSError: ouch" in done.stdout
    assert "pip uninstall ganzoo-raises" in done.stderr
    (other,) = wheels.glob("fancy_renamed*.whl")
    done = install(other, 4)
    assert "belongs to the distribution" in done.stdout
    assert "isn't called ganzoo-NAME" in done.stderr
    assert "ganzoo-absent" in install("absent", 7).stderr
    plugins = json.loads(python("-m", "ganzoo", "plugins", "--json"))["plugins"]
    states = {one["namespace"]: one["state"] for one in plugins}
    assert (states["fits"], states["raises"]) == ("ok", "quarantined")
    assert states["images"] == "ok"


def test_a_fresh_ganzoo_says_the_state(capsys):
    plugins_install._show([plugins_install.Found("torch-ganzoo", "0.1.0")])
    told = capsys.readouterr()
    assert "images" in told.out
    assert "ganzoo plugins check images" in told.err
    with pytest.raises(PluginError, match="brings no plugin"):
        plugins_install._show([plugins_install.Found("click", "8")])
