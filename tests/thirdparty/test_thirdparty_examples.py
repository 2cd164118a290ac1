"""The packages below `examples/`, as a user installs and tries them, beside each other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # each trains for half a minute

ROOT = Path(__file__).parents[2]
EXAMPLES = {"volumes": "volumes/phantoms", "waves": "waves/tones", "latent": "latent/shapes"}
"""The packages `ganzoo-NAME`, with a recipe of each that needs no files."""


@pytest.fixture(scope="module")
def installed(room, wheel, packaging, tmp_path_factory):
    """One environment with all of them, each from its wheel."""
    sources = tmp_path_factory.mktemp("examples")
    unwanted = shutil.ignore_patterns("__pycache__", ".*_cache", "*.egg-info")
    wheels = [
        packaging.build(
            tmp_path_factory.mktemp("wheel"),
            shutil.copytree(ROOT / "examples" / f"ganzoo-{name}", sources / name, ignore=unwanted),
        )[0]
        for name in EXAMPLES
    ]
    environment = room(tmp_path_factory.mktemp("installed") / "environment", wheel, *wheels)
    environment.sources = sources
    return environment


def test_every_example_is_tried():
    assert {one.name for one in (ROOT / "examples").glob("ganzoo-*")} == {
        f"ganzoo-{name}" for name in EXAMPLES
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_own_tests_pass(installed, name):
    """Conformance, learning with a control, resume and use of the result."""
    words = ("-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", installed.sources / name)
    said = installed(*words, cwd=installed.sources / name)
    assert " passed" in said


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_recipe_runs(installed, name, tmp_path):
    run = ("run", EXAMPLES[name], "--max-steps", 50, "--set", "train.threads=1")
    document = installed.document(*run, "--out", tmp_path / "run")
    assert document["step"] == 50
