"""The wheel: what is in it, what isn't, that it runs without pix2pix, and editable installs."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]


def files_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def folders_of(checkout):
    """Where every file of the import packages and the recipes must be in a wheel."""
    sources = {checkout / "ganzoo": "ganzoo", checkout / "recipes": "ganzoo/recipes"}
    sources |= {folder: folder.name for folder in checkout.glob("plugins/*/ganzoo_*")}
    return {
        (PurePosixPath(place) / file.relative_to(folder).as_posix()).as_posix()
        for folder, place in sources.items()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_the_wheel_holds_the_folders_and_nothing_else(wheel, checkout):
    assert files_of(wheel) == folders_of(checkout)


def test_what_must_be_in_it_is_in_it(wheel):
    """Also where the comparison of folders would agree that something is missing."""
    files = files_of(wheel)
    assert {
        "ganzoo/py.typed",
        "ganzoo/data/read_image.py",  # a `data/` in .gitignore would drop it
        "ganzoo/recipes/pix2pix_facades.toml",
        "ganzoo/testing/template/common/gitignore.tmpl",
        "ganzoo/recipes/recipe.schema.json",
        "ganzoo/recipes/paper/table1_l1.toml",
        "ganzoo_albumentations/schemas.json",
        "ganzoo_gan/__init__.py",
        "ganzoo_images/__init__.py",
        "ganzoo_pix2pix/unet.py",
        "ganzoo_timm_unet/__init__.py",
    } <= files
    assert [name for name in files if name.startswith("ganzoo/testing/template/")]
    assert not {name.split("/")[0] for name in files} & {"plugins", "recipes", "tests"}
    with zipfile.ZipFile(wheel) as archive:
        texts = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
        assert [archive.read(name) for name in texts] == [(ROOT / "LICENSE").read_bytes()]


def test_a_dropped_folder_is_noticed(packaging, checkout, tmp_path):
    """hatchling drops a wrong path in silence: the negative control of the comparison."""
    sources = tmp_path / "checkout"
    shutil.copytree(checkout, sources)
    pyproject = sources / "pyproject.toml"
    text = pyproject.read_text()
    wrong = text.replace('"plugins/gan/ganzoo_gan"', '"plugins/gan/ganzoo_gam"')
    assert wrong != text
    pyproject.write_text(wrong)
    missing = folders_of(sources) - files_of(*packaging.build(tmp_path, sources))
    assert missing
    assert all(name.startswith("ganzoo_gan/") for name in missing)


def test_entry_points_are_the_folders_of_plugins(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        entries = configparser.ConfigParser()
        entries.read_string(archive.read(name).decode())
    plugins = {folder.name for folder in (ROOT / "plugins").iterdir() if folder.is_dir()}
    assert dict(entries["ganzoo.plugins"]) == {
        "ganzoo": "ganzoo.plugin_system.builtin",
        **{name: f"ganzoo_{name}" for name in plugins},
    }
    assert dict(entries["console_scripts"]) == {"ganzoo": "ganzoo.cli.main:main"}


def test_what_the_wheel_says_of_itself(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (folder,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
    about = PathDistribution(zipfile.Path(wheel, f"{folder}/")).metadata
    assert wheel.name == "torch_ganzoo-0.1.0-py3-none-any.whl"
    assert (about["Name"], about["Version"]) == ("torch-ganzoo", "0.1.0")
    assert about["License-Expression"] == "MIT"
    assert about["Requires-Python"] == ">=3.11.4"
    import ganzoo

    assert ganzoo.__version__ == "0.1.0"


BY_NAME = re.compile(r"pip3? install\b[^\n`]*?(?<![\w/.-])torch-ganzoo(?![\w.]| @|\.git)")


@pytest.mark.parametrize(
    ("text", "by_name"),
    [
        ("pip install torch-ganzoo", True),
        ("python -m pip install -U 'torch-ganzoo[test]'", True),
        ('pip install "torch-ganzoo @ git+https://h.example/x.git"', False),
        ("pip install git+https://h.example/torch-ganzoo.git", False),
    ],
)
def test_what_installs_ganzoo_by_its_name_alone(text, by_name):
    assert bool(BY_NAME.search(text)) == by_name


def test_nothing_installs_ganzoo_by_its_name_alone():
    """Until a release, anybody may own that name on a package index."""
    kinds = {".md", ".py", ".tmpl", ".toml", ".yml", ".cff"}
    folders = [ROOT / name for name in ("ganzoo", "plugins", "recipes", "docs", ".github")]
    files = [file for folder in folders for file in folder.rglob("*") if file.suffix in kinds]
    files += [ROOT / "README.md", ROOT / ".ci" / "run", ROOT / "pyproject.toml"]
    assert len(files) > 200
    assert [str(file) for file in files if BY_NAME.search(file.read_text("utf-8"))] == []


# Installed apart.


def without(sources, plugin):
    """Delete a plugin, the recipes that name it and its lines of pyproject from the sources."""
    shutil.rmtree(sources / "plugins" / plugin)
    for recipe in sources.glob("recipes/**/*.toml"):
        if plugin in recipe.read_text() or (plugin == "pix2pix" and recipe.parent.name == "paper"):
            recipe.unlink()
    pyproject = sources / "pyproject.toml"
    lines = pyproject.read_text().splitlines()
    kept = [line for line in lines if not re.search(f"plugins/{plugin}|ganzoo_{plugin}", line)]
    assert len(lines) - len(kept) == 5  # package, folder, source, entry point, types
    pyproject.write_text("\n".join(kept))
    return sources


TOY_RECIPE = """
name = "toy"
task = "one_file_gan/duel"
generator = "one_file_gan/painter"
discriminator = "one_file_gan/critic"
loss = "gan/lsgan"

[data]
use = "facades/procedural"
size = 32
train = 4
val = 1
test = 1

[train]
epochs = 1
precision = "fp32"
device = "cpu"
threads = 1
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_core_works_without_pix2pix(packaging, tmp_path):
    sources = without(packaging.copy_of_the_sources(tmp_path / "checkout"), "pix2pix")
    python = packaging.Environment(tmp_path / "environment", *packaging.build(tmp_path, sources))
    where = "import ganzoo, importlib.util as u; print(ganzoo.__file__, u.find_spec({!r}))"
    file, spec = python("-c", where.format("ganzoo_pix2pix")).split()
    assert Path(file).is_relative_to(python.folder)
    assert spec == "None"

    ids = set(re.findall(r'"id": "([^"]+)"', python("-m", "ganzoo", "list", "--json")))
    assert {"gan/lsgan", "facades/procedural", "ganzoo/l1"} <= ids
    assert not [one for one in ids if "pix2pix" in one]
    plugins = python("-m", "ganzoo", "plugins", "--json")
    assert "quarantined" not in plugins
    assert "pix2pix" not in plugins

    recipe = tmp_path / "toy.toml"
    recipe.write_text(TOY_RECIPE)
    toy = ROOT / "tests" / "toys" / "one_file_gan.py"
    out = tmp_path / "run"
    command = ("--plugin", toy, "run", recipe, "--max-steps", 2, "--out", out, "--json")
    document = json.loads(python("-m", "ganzoo", *command, cwd=tmp_path))
    assert (document["outcome"], document["step"]) == ("stopped", 2)
    assert set(document["weights"]) == {"generator", "discriminator"}
    assert (out / "metrics.jsonl").stat().st_size > 0


def test_the_rest_works_without_a_plugin(packaging, tmp_path):
    sources = without(packaging.copy_of_the_sources(tmp_path / "checkout"), "timm_unet")
    python = packaging.Environment(tmp_path / "environment", *packaging.build(tmp_path, sources))
    recipes, plugins = python("-c", NAMES).splitlines()
    assert {"pix2pix_facades", "quickstart"} <= set(recipes.split())
    assert set(plugins.split()) == {
        f"{folder.name}=ok" for folder in (sources / "plugins").iterdir() if folder.is_dir()
    } | {"ganzoo=ok"}
    python("-m", "ganzoo", "check", "quickstart", "--syntax")
    recipe = tmp_path / "mine.toml"
    recipe.write_text('extends = "quickstart"\ngenerator = "timm_unet/unet"\n')
    done = python.run("-m", "ganzoo", "check", recipe, "--syntax", code=4)
    assert 'no plugin "timm_unet" is installed' in done.stderr


NAMES = """
from ganzoo.recipe import shipped_recipes
from ganzoo.plugin_system.registry import activate
registry = activate()
print(*shipped_recipes(registry))
print(*(record.namespace + "=" + record.state for record in registry.records))
"""


@pytest.mark.parametrize("editable", [False, True], ids=["wheel", "editable"])
def test_an_installation_finds_recipes_and_plugins(packaging, checkout, tmp_path, editable):
    built = packaging.build(tmp_path, checkout, editable=editable)
    python = packaging.Environment(tmp_path / "environment", *built)
    origin = "import ganzoo, ganzoo_gan; print(ganzoo.__file__, ganzoo_gan.__file__, sep='\\n')"
    place = checkout if editable else python.folder
    for file in python("-c", origin).splitlines():
        assert Path(file).is_relative_to(place)
    recipes, plugins = (line.split() for line in python("-c", NAMES).splitlines())
    assert {"pix2pix_facades", "paper/table1_l1"} <= set(recipes)
    expected = {folder.name for folder in (ROOT / "plugins").iterdir() if folder.is_dir()}
    assert set(plugins) == {f"{name}=ok" for name in {"ganzoo", *expected}}
