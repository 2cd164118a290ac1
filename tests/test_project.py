"""The files around the code: sessions, versions, workflows, templates."""

import functools
import importlib.util
import re
import tomllib
from pathlib import Path

import nox.registry
import pytest
import yaml

import conftest
import ganzoo

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"


@functools.cache
def sessions():
    spec = importlib.util.spec_from_file_location("noxfile", ROOT / "noxfile.py")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return set(nox.registry.get())


@pytest.mark.parametrize(
    "file", [".ci/run", ".github/workflows/ci.yml", ".github/CONTRIBUTING.md", "docs/releasing.md"]
)
def test_sessions_that_are_named_exist(file):
    text = (ROOT / file).read_text("utf-8")
    named = set(re.findall(r"\bnox\"? -s (\w+)", text))
    assert named
    assert named <= sessions()


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert PROJECT["version"] == ganzoo.__version__ == citation["version"]
    assert PROJECT["name"] == ganzoo.DISTRIBUTION
    assert citation["license"] == PROJECT["license"]


def test_the_oldest_torch_that_is_tested_is_the_oldest_that_is_supported():
    (supported,) = [one for one in PROJECT["dependencies"] if re.match(r"torch\b", one)]
    tested = re.search(
        r"^torch==(\S+)\.\*", (ROOT / ".github/oldest.txt").read_text(), re.MULTILINE
    )
    assert supported == f"torch>={tested[1]}"


def test_each_supported_python_is_in_the_workflow():
    workflow = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    versions = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert PROJECT["requires-python"].startswith(f">={versions[0]}")  # or a later patch of it
    named = re.findall(r"Python :: (3\.\d+)", str(PROJECT["classifiers"]))
    assert set(named) <= set(versions)


@pytest.mark.parametrize("file", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=str)
def test_templates_of_issues_are_yaml(file):
    assert yaml.safe_load(file.read_text("utf-8"))


def test_a_quick_file_has_no_slow_test():
    """`-m quick` takes whole files, whatever else a test of them is marked as."""
    files = [*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("plugins/*/tests/test_*.py")]
    quick = [file for file in files if file.name in conftest.QUICK]
    assert len(quick) == len(conftest.QUICK)
    marks = re.compile(r"mark\.(?:slow|long|data|network)\b")
    assert [file.name for file in quick if marks.search(file.read_text("utf-8"))] == []


IMPORTED_AS = {
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
}


@functools.cache
def imported_by_users():
    """What the command line, the engine and the plugins import; not what checks plugins."""
    files = [*(ROOT / "ganzoo").rglob("*.py"), *ROOT.glob("plugins/*/ganzoo_*/**/*.py")]
    files = [file for file in files if "testing" not in file.relative_to(ROOT).parts]
    statement = re.compile(r"^ *(?:from|import) (\w+)", re.MULTILINE)
    return {name for file in files for name in statement.findall(file.read_text("utf-8"))}


def test_each_requirement_is_imported_by_what_users_run():
    names = [re.split(r"[^\w-]", one, maxsplit=1)[0] for one in PROJECT["dependencies"]]
    assert "torch" in names
    assert {IMPORTED_AS.get(name, name) for name in names} <= imported_by_users()
    assert "jsonschema" not in imported_by_users()  # the control: an extra
