"""What tests share: toy plugins, built wheels, and environments to install them in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("ganzoo", "plugins", "recipes", "LICENSE", "README.md", "pyproject.toml")
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info", ".*_cache", ".hypothesis")


@pytest.fixture
def toy_plugin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugins in `tests/toys` that the test's module names as TOY, during a test.

    TOY is a name or a tuple of names, without `.py`.
    """
    from ganzoo import api
    from ganzoo.plugin_system import registry

    before = registry.current()
    monkeypatch.setattr(registry, "_active", before)
    monkeypatch.setattr(api, "_resolver", before.choose)
    toy = request.module.TOY
    names = (toy,) if isinstance(toy, str) else toy
    registry.activate(files=[ROOT / "tests" / "toys" / f"{name}.py" for name in names])


def copy_of_the_sources(target: Path) -> Path:
    """A copy of what a build reads, so that nobody's edits change it under the tests."""
    target.mkdir()
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=IGNORED)
        else:
            shutil.copy(ROOT / name, target / name)
    return target


BUILD = """
import os, sys, hatchling.build
function, target, *folders = sys.argv[1:]
for folder in folders:
    os.chdir(folder)
    print(getattr(hatchling.build, function)(target))
"""


def build(target: Path, *sources: Path, editable: bool = False) -> list[Path]:
    """What pip asks of the build backend, without pip's isolation and hence without network."""
    function = "build_editable" if editable else "build_wheel"
    command = [sys.executable, "-c", BUILD, function, target, *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [target / name for name in done.stdout.split()]


class Environment:
    """A virtual environment with some wheels in it; the libraries are those of the tests'."""

    def __init__(self, folder: Path, *wheels: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.folder = folder
        self.python = folder / "bin" / "python"
        (self.site,) = folder.glob("lib/python*/site-packages")
        # A path that a .pth file names is searched last and its own .pth files aren't read, so
        # that an editable ganzoo beside the libraries stays out.
        libraries = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        (self.site / "zz_libraries.pth").write_text("\n".join(libraries))
        self.install(*wheels)

    def install(self, *wheels: Path) -> None:
        """Install wheels, over what is there of the same name."""
        # A ganzoo beside the libraries isn't the environment's own, hence the force.
        self.pip("install", "--no-index", "--no-deps", "--force-reinstall", "--no-compile", *wheels)

    def uninstall(self, *names: str) -> None:
        """Uninstall distributions."""
        self.pip("uninstall", "--yes", *names)

    def pip(self, *arguments: str | Path) -> None:
        """Run the tests' own pip on this environment."""
        pip = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check"]
        command = [*pip, "--python", self.python, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def run(
        self,
        *arguments: object,
        cwd: Path | None = None,
        code: int = 0,
        environ: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run Python there; it must end with this exit code."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [str(self.python), *map(str, arguments)],
            cwd=cwd or self.folder,
            env={**inherited, **(environ or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def __call__(self, *arguments: object, cwd: Path | None = None) -> str:
        """Run Python there; return what it prints."""
        return self.run(*arguments, cwd=cwd).stdout


@pytest.fixture(scope="session")
def packaging() -> SimpleNamespace:
    """The functions above, for tests (which can't import one another's modules)."""
    return SimpleNamespace(
        copy_of_the_sources=copy_of_the_sources, build=build, Environment=Environment
    )


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources."""
    return copy_of_the_sources(tmp_path_factory.mktemp("packaging") / "checkout")


@pytest.fixture(scope="session")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of ganzoo."""
    return build(tmp_path_factory.mktemp("wheel"), checkout)[0]
