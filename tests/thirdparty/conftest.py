"""A toy from outside, and the rooms that it is installed in: ganzoo is a wheel there, as for users.

The libraries are those of the tests', seen through a .pth file, so that nothing is downloaded.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

collect_ignore = ["ganzoo_toy"]  # its own tests are run where it is installed

TOY = Path(__file__).parent / "ganzoo_toy"

PYPROJECT = """
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "{version}"
dependencies = ["torch-ganzoo>=0.1"]

[project.entry-points."ganzoo.plugins"]
{namespace} = "{target}"

[tool.hatch.build.targets.wheel]
include = ["/*.py", "/scribble_*.toml"]
"""


@pytest.fixture(scope="session")
def toy_sources(tmp_path_factory):
    """A copy of the toy, which a build may write beside."""
    target = tmp_path_factory.mktemp("toy") / "ganzoo_toy"
    return shutil.copytree(TOY, target, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))


@pytest.fixture(scope="session")
def toy_wheel(packaging, toy_sources, tmp_path_factory):
    return packaging.build(tmp_path_factory.mktemp("toy_wheel"), toy_sources)[0]


@pytest.fixture(scope="session")
def write_distribution():
    """Write the sources of a small distribution with one plugin; returns their folder."""

    def write(folder, name, modules, *, namespace="", target="", version="1.5"):
        module = name.replace("-", "_")
        folder.mkdir(parents=True)
        namespace = namespace or module.removeprefix("ganzoo_")
        fields = {"name": name, "version": version, "namespace": namespace}
        (folder / "pyproject.toml").write_text(PYPROJECT.format(target=target or module, **fields))
        for suffix, source in modules.items():
            (folder / f"{module}{suffix}.py").write_text(source)
        return folder

    return write


@pytest.fixture(scope="session")
def room(packaging):
    """An environment with the command `ganzoo` in it."""

    class Room(packaging.Environment):
        def ganzoo(self, *arguments, code=0, cwd=None, environ=None):
            """Run the command; it must end with this exit code."""
            script = self.folder / "bin" / "ganzoo"
            return self.run(script, *arguments, code=code, cwd=cwd, environ=environ)

        def document(self, *arguments, **options):
            """What the command prints with --json."""
            return json.loads(self.ganzoo(*arguments, "--json", **options).stdout)

        def plugins(self, **options):
            """What it knows of each plugin; several of one namespace in a list."""
            records = {}
            for record in self.document("plugins", **options)["plugins"]:
                records.setdefault(record["namespace"], []).append(record)
            return records

    return Room
