"""The pages for plugin authors, done: each of their files written as shown, each command run.

The pages are `docs/plugin-authors.md` and then `docs/plugin-reference.md`. A file in them is a
block under a line with its name in backticks and a colon; commands are the blocks of `sh`; what
can't be run here (uploads, other people's addresses, parts of files) is a block of `text`.
"""

import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ganzoo.cli.main import main

ROOT = Path(__file__).parents[1]
GUIDE = "\n".join(
    (ROOT / "docs" / name).read_text(encoding="utf-8")
    for name in ("plugin-authors.md", "plugin-reference.md")
)
BLOCK = re.compile(r"^(?:`([^`\n]+)`:\n\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OURS = re.compile(
    r"(torch_)?ganzoo|pip\b|_?pytest|mypy|ruff|build\b|pyproject_hooks|twine|.*__mypyc|.*\.pth$"
)
"""Entries of site-packages that the guide's own commands must bring."""


def blocks(text=GUIDE):
    """(language, file or None, text) of every block, in their order; generated ones aside."""
    text = re.sub(r"<!-- generated: .*?<!-- end -->", "", text, flags=re.DOTALL)
    return [(kind, name or None, body) for name, kind, body in BLOCK.findall(text)]


def files(text=GUIDE):
    """The guide's files by their place in the package; those of one file alone by their name."""
    return {name: body for _, name, body in blocks(text) if name}


def commands(text=GUIDE):
    """Every line of the `sh` blocks."""
    return [
        line for kind, _, body in blocks(text) if kind == "sh" for line in body.splitlines() if line
    ]


def write(folder, which=None):
    for name, body in files().items():
        if which is None or which(name):
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(body, encoding="utf-8")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The guide's package with its files, and metadata on Python's path, as if installed."""
    monkeypatch.chdir(tmp_path)
    (new,) = [line for line in commands() if line.startswith("ganzoo plugins new sketch")]
    assert main(new.split()[1:]) == 0
    folder = tmp_path / "ganzoo-sketch"
    write(folder, lambda name: "/" in name)
    metadata = tmp_path / "site" / "ganzoo_sketch-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: ganzoo-sketch\nVersion: 0.1.0\n"
        "Requires-Dist: torch-ganzoo>=0.1\n"
    )
    (metadata / "entry_points.txt").write_text("[ganzoo.plugins]\nsketch = ganzoo_sketch\n")
    path = [tmp_path / "site", folder / "src"]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, path)))
    return folder


def run(folder, *words, code=0):
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


# What the guide holds.


def test_blocks_are_files_commands_or_text():
    for kind, name, body in blocks():
        assert kind in {"sh", "text"} or name, f"a block of {kind} without a file's name: {body}"
    assert len(files()) >= 8
    assert {Path(name).suffix for name in files()} == {".py", ".toml"}


def test_every_file_is_read_from_the_guide():
    text = "`a.py`:\n\n```python\nx = 1\n```\n\n```sh\nls\n```\n"
    assert blocks(text) == [("python", "a.py", "x = 1\n"), ("sh", None, "ls\n")]
    assert blocks("```python\nx = 1\n```\n") == [("python", None, "x = 1\n")]  # no name: caught


def test_the_table_of_files_is_what_the_template_writes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["plugins", "new", "sketch"]) == 0
    folder = tmp_path / "ganzoo-sketch"
    written = {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()}
    table = GUIDE.partition("| file | what it is |")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) == written
    replaced = {name for name in files() if "/" in name}
    assert replaced - written == {"src/ganzoo_sketch/recipes/facades.toml"}  # the one that is new


# What it says works, without an installation.


def test_names_recipes_and_options_are_what_the_guide_says(package):
    out = run(package, "-m", "ganzoo", "list", "--json")
    assert '"sketch/resnet"' in out
    assert '"sketch/edges"' in out
    for recipe in ("sketch/demo", "sketch/facades"):
        run(package, "-m", "ganzoo", "check", recipe, "--syntax")
    # The control: what the options refuse.
    run(
        package,
        "-m",
        "ganzoo",
        "check",
        "sketch/demo",
        "--syntax",
        "--set=generator.widht=4",
        code=3,
    )


def test_an_option_of_another_name_goes_on_by_a_validator(package):
    """What "Changing what is published" says of options."""
    check = ("-m", "ganzoo", "check", "sketch/demo", "--syntax", "--set=generator.layers=2")
    run(package, *check, code=3)
    options = package / "src" / "ganzoo_sketch" / "options.py"
    text = options.read_text()
    validator = """    @model_validator(mode="before")
    @classmethod
    def _old_names(cls, given):
        return {"blocks" if key == "layers" else key: value for key, value in given.items()}

    def size_multiple"""
    changed = text.replace("import Field\n", "import Field, model_validator\n")
    options.write_text(changed.replace("    def size_multiple", validator))
    run(package, *check)


def test_the_authors_own_tests_pass(package):
    run(package, "-m", "pytest", "-q", "tests/test_generator.py", "tests/test_loss.py")


def test_the_light_module_is_light(package):
    code = """
import sys, ganzoo_sketch, ganzoo_sketch.options
assert 'torch' not in sys.modules
import ganzoo_sketch.loss  # the control
assert 'torch' in sys.modules
"""
    run(package, "-c", code)


@pytest.mark.slow
def test_the_demo_steps(package):
    run(package, "-m", "ganzoo", "run", "sketch/demo", "--max-steps", "1", "--out", "here")
    assert (package / "here" / "checkpoints" / "step_1").is_dir()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_kit_and_mypy_find_nothing(package):
    run(package, "-m", "ganzoo", "plugins", "check", "sketch")
    run(package, "-m", "mypy")
    loss = package / "src/ganzoo_sketch/loss.py"
    loss.write_text(loss.read_text().replace('"l1": l1 *', '"l1": 2 * l1 *'))
    out = run(package, "-m", "ganzoo", "plugins", "check", "sketch")  # the control
    assert "check_loss_known_values" in out
    assert "should be 50" in out


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_files_without_a_package_pass_the_kit(tmp_path):
    write(tmp_path, lambda name: "/" not in name)
    files = sorted(tmp_path.glob("*.py"))
    assert files
    for file in files:
        run(tmp_path, "-m", "ganzoo", "--plugin", file.name, "plugins", "check", file.stem)
        run(tmp_path, "-m", "mypy", "--strict", file.name)


# All of it, word for word.


def script(text=GUIDE):
    """A shell script of the guide: its commands, and its files where they stand."""
    lines = []
    for kind, name, body in blocks(text):
        if name:
            lines += [f"cat > {name} <<'END-OF-FILE'", body.rstrip("\n"), "END-OF-FILE"]
        elif kind == "sh":
            for line in filter(None, body.splitlines()):
                # Not `set -e`, which overlooks what fails before an &&.
                lines += [f"echo {shlex.quote(f'$ {line}')}", f"{{ {line}; }} || exit 1"]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("command", "code"), [("true && true", 0), ("false && true", 1), ("cat x.py && nosuch", 1)]
)
def test_the_script_stops_at_a_command_that_fails(tmp_path, command, code):
    guide = f"`x.py`:\n\n```python\nx = 1\n```\n\n```sh\n{command}\ncat x.py\n```\n"
    done = subprocess.run(
        ["bash", "-c", script(guide)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert (tmp_path / "x.py").read_text() == "x = 1\n"
    assert done.stdout.endswith("$ cat x.py\nx = 1\n") == (code == 0)


@pytest.fixture
def libraries(tmp_path):
    """torch and the like for the guide's environments, which would take gigabytes each else."""
    folder = tmp_path / "libraries"
    folder.mkdir()
    torch = Path(importlib.metadata.distribution("torch").locate_file(""))
    for entry in torch.iterdir():
        if not OURS.match(entry.name):
            (folder / entry.name).symlink_to(entry)
    return folder


@pytest.mark.network
@pytest.mark.timeout(2400)
def test_the_guide_from_an_empty_folder(tmp_path, libraries, checkout):
    empty = tmp_path / "empty"
    empty.mkdir()
    environ = {k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "PYTHONHOME"}}
    environ |= {"GANZOO": str(checkout), "PYTHONPATH": str(libraries)}
    python = Path(sys.base_prefix) / "bin"
    environ["PATH"] = f"{python}{os.pathsep}{os.defpath}"
    (tmp_path / "guide.sh").write_text(script())
    with (tmp_path / "guide.log").open("w") as log:
        done = subprocess.run(
            ["bash", str(tmp_path / "guide.sh")],
            cwd=empty,
            env=environ,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    said = (tmp_path / "guide.log").read_text()
    assert done.returncode == 0, said[-6000:]
    (wheel,) = (empty / "ganzoo-sketch" / "dist").glob("*.whl")
    assert wheel.name == "ganzoo_sketch-0.1.0-py3-none-any.whl"
    held = zipfile.ZipFile(wheel).namelist()
    assert "ganzoo_sketch/recipes/facades.toml" in held
    assert not [name for name in held if name.endswith("recipe.schema.json")]
