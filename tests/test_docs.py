"""The documents say what the code does: commands, options, keys, hooks, files, links."""

import ast
import importlib.util
import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ganzoo import api
from ganzoo.cli.main import COMMANDS, cli
from ganzoo.errors import ExitCode, UsageError
from ganzoo.plugin_system import discovery, registry
from ganzoo.plugin_system.hookspecs import DiscoverySpecs, RunSpecs
from ganzoo.plugin_system.installed_plugins import CORE
from ganzoo.recipe import find_recipe, load_recipe, loads
from ganzoo.recipe.resolved import KEYS

ROOT = Path(__file__).parents[1]
CLI, RECIPES, ARCHITECTURE, README = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("docs/cli.md", "docs/recipes.md", "docs/architecture.md", "README.md")
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def _generator():
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = _generator()
RECORDS = [one for one in discovery.discover() if one.distribution == CORE]
DOCUMENTS = {str(path.relative_to(ROOT)): path for path in generate.documents()}
GUIDE = ("docs/plugin-authors.md", "docs/plugin-reference.md")
"""Their commands and recipes are of plugins that aren't installed; tests/test_guide.py has them."""


@pytest.fixture(autouse=True)
def _activate(monkeypatch):
    # Other tests may have activated toys; the documents are of what is installed.
    monkeypatch.setattr(registry, "_active", None)
    monkeypatch.setattr(api, "_resolver", api._resolver)
    return registry.activate(records=RECORDS)


def documents(*names):
    return pytest.mark.parametrize("name", names or DOCUMENTS)


def text_of(name):
    return DOCUMENTS[name].read_text(encoding="utf-8")


def fenced(text, language):
    return [body for kind, body in FENCE.findall(text) if kind == language]


def commands_in(text):
    """Every `ganzoo ...` of the shell blocks, as its words; comments and the rest left out."""
    found = []
    for block in fenced(text, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            for part, group in itertools.groupby(words, lambda word: word in {"&&", ";", "|"}):
                one = list(group)
                if not part and one and one[0] == "ganzoo":
                    found.append(one[1:])
                elif not part and "torchrun" in one and "ganzoo" in one:
                    found.append(one[one.index("ganzoo") + 1 :])
    return found


def _rest(context):
    name = "_protected_args" if hasattr(context, "_protected_args") else "protected_args"
    return getattr(context, name) + context.args  # renamed in click 8.2


def parsed(words):
    """The command and its parameters, by click itself; nothing is run."""
    group, name = cli, "ganzoo"
    context = cli.make_context(name, list(words))
    rest = _rest(context)
    while isinstance(group, click.Group):
        name, command, rest = group.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
        group, rest = command, _rest(context)
    return name, context.params


# What is generated is up to date.


@documents("README.md", "docs/cli.md", "docs/recipes.md")
def test_generated_parts_are_what_the_code_says(name):
    text = text_of(name)
    assert generate.regenerated(text) == text, "run `python docs/generate.py`"


def test_every_part_stands_in_some_document():
    """A new command has no place in cli.md until somebody gives it one."""
    placed = [part for name in DOCUMENTS for _, part, _ in generate.PART.findall(text_of(name))]
    assert sorted(placed) == sorted(generate.parts())


def test_a_stale_part_is_noticed():
    stale = CLI.replace("`--max-steps N`", "`--most-steps N`")
    assert stale != CLI
    assert generate.regenerated(stale) == CLI


# Everything is documented.


def test_every_command_has_a_section_with_all_its_options():
    sections = set(re.findall(r"^## (.*)$", CLI, re.MULTILINE))
    named = dict(generate.commands())
    assert {name.split()[1] for name in named} == set(COMMANDS)
    for name, command in named.items():
        assert name in sections
        section = CLI.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                for option in (*parameter.opts, *parameter.secondary_opts):
                    assert f"`{option}" in section, f"{name} {option}"


def test_every_exit_code_has_a_meaning():
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", CLI, re.MULTILINE)
    assert [(int(code), name) for code, name, _ in rows] == [
        (int(code), code.name) for code in ExitCode
    ]


def test_every_key_of_a_recipe_is_documented():
    top = RECIPES.partition("## Top-level keys")[2].partition("## Settings")[0]
    for key in KEYS:
        assert re.search(rf"`\[*(?:\w+\.)?{key}[\].`]", top), key
    for kind, keys in registry.CORE_KEYS.items():
        for key in keys:
            assert f"`{kind}.{key}`" in top


def test_every_kind_and_hook_is_documented():
    for kind in api.KINDS:
        assert f"`{kind}`" in ARCHITECTURE
    hooks = [name for spec in (DiscoverySpecs, RunSpecs) for name in vars(spec)]
    hooks = [name for name in hooks if name.startswith("ganzoo_")]
    assert len(hooks) == 9
    for name in hooks:
        assert f"`{name}`" in ARCHITECTURE


def test_every_variable_of_the_environment_is_documented():
    sources = [*(ROOT / "ganzoo").rglob("*.py"), *(ROOT / "plugins").glob("*/ganzoo_*/**/*.py")]
    text = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    names = set(re.findall(r"\bGANZOO_[A-Z_]+\b", text))
    names |= set(re.findall(r"(?:environ(?:\.get\(|\[)|_number\(environ, )\"([A-Z_]+)\"", text)) - {
        "NO_ALBUMENTATIONS_UPDATE"
    }
    assert {"GANZOO_DATA", "GANZOO_CACHE", "WORLD_SIZE"} <= names
    for name in names:
        assert f"`{name}`" in CLI + ARCHITECTURE, name


def _keys_written_by(path, function):
    """The keys of all dict displays in a function, read from its source."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            displays = [one for one in ast.walk(node) if isinstance(one, ast.Dict)]
            keys = [
                key.value for one in displays for key in one.keys if isinstance(key, ast.Constant)
            ]
            return {key for key in keys if isinstance(key, str)}
    raise AssertionError(f"{path} has no {function}")


@pytest.mark.parametrize(
    ("section", "path", "function"),
    [
        ("ganzoo run", "ganzoo/engine/loop.py", "_document"),
        ("ganzoo run", "ganzoo/cli/run.py", "_summary"),
        ("ganzoo check", "ganzoo/engine/check.py", "inspect_recipe"),
        ("ganzoo check", "ganzoo/engine/check.py", "_describe"),
        ("ganzoo check", "ganzoo/recipe/problems.py", "as_json"),
        ("ganzoo list", "ganzoo/cli/list.py", "command"),
        ("ganzoo show", "ganzoo/cli/show.py", "_document"),
        ("ganzoo recipes list", "ganzoo/cli/recipes.py", "_rows"),
        ("ganzoo recipes diff", "ganzoo/cli/recipes.py", "diff"),
        ("ganzoo plugins", "ganzoo/cli/plugins.py", "_list"),
        ("ganzoo plugins check", "ganzoo/cli/plugins_check.py", "command"),
        ("ganzoo plugins check", "ganzoo/cli/plugins_check.py", "_row"),
        ("ganzoo data inspect", "ganzoo/cli/data.py", "_document"),
        ("ganzoo predict", "ganzoo/inference/predict.py", "predict"),
        ("ganzoo sample", "ganzoo/inference/sample.py", "sample"),
        ("ganzoo sample", "ganzoo/inference/sample.py", "_neighbours"),
        ("ganzoo evaluate", "ganzoo/inference/evaluate.py", "evaluate_run"),
        ("ganzoo evaluate", "ganzoo/inference/evaluate.py", "_evaluate_part"),
        ("ganzoo evaluate", "ganzoo/inference/report.py", "results_of"),
        ("ganzoo runs list", "ganzoo/engine/run_history.py", "summaries"),
        ("ganzoo runs compare", "ganzoo/cli/runs.py", "compare"),
        ("ganzoo doctor", "ganzoo/cli/doctor.py", "command"),
        ("Exit codes", "ganzoo/cli/console.py", "error_document"),
    ],
)
def test_the_documents_of_json_are_documented(section, path, function):
    text = CLI.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    keys = _keys_written_by(path, function)
    assert keys
    missing = [key for key in keys if f'"{key}"' not in text and f"`{key}`" not in text]
    assert not missing


def test_every_plugin_is_on_the_map():
    packages = sorted((ROOT / "plugins").glob("*/ganzoo_*/__init__.py"))
    assert packages
    for package in packages:
        assert f"../plugins/{package.parents[1].name}/README.md" in ARCHITECTURE


def parts_without_a_row(text, folder):
    """The modules and packages of a folder that a document's tables of files don't name."""
    rows = re.findall(r"^\| (.+?) \|", text, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`ganzoo/(\w+)", row)}
    parts = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    return sorted(part for part in parts - named if not part.startswith("__"))


def test_every_part_of_the_core_is_on_the_map(tmp_path):
    assert parts_without_a_row(ARCHITECTURE, ROOT / "ganzoo") == []
    (tmp_path / "engine").mkdir()
    (tmp_path / "forgotten.py").touch()
    assert parts_without_a_row(ARCHITECTURE, tmp_path) == ["forgotten"]


def missing_files(text):
    """Python files that a document names by their path, and that don't exist."""
    named = re.findall(r"`((?:[a-z_]\w*/)+\w+\.py)`", FENCE.sub("", generate.PART.sub("", text)))
    places = (ROOT, ROOT / "ganzoo", *(ROOT / "plugins").iterdir())
    return [name for name in named if not any((place / name).is_file() for place in places)]


@documents(*(name for name in DOCUMENTS if name not in GUIDE))
def test_files_in_the_documents_exist(name):
    assert missing_files(text_of(name)) == []


def test_a_file_that_has_moved_is_noticed():
    assert missing_files("`ganzoo/api.py` and `cli/run.py`, once `engine/runner.py`") == [
        "engine/runner.py"
    ]


# Commands can be meant.


@documents(*(name for name in DOCUMENTS if name not in GUIDE))
def test_commands_of_the_shell_blocks_parse_and_their_recipes_are_right(name):
    text = text_of(name)
    # What `init` writes: the file that -o names, or one of the folder's name.
    written = {
        words[words.index("-o") + 1] if "-o" in words else f"{Path(words[1]).name}.toml"
        for words in commands_in(text)
        if words[:1] == ["init"]
    }
    for words in commands_in(text):
        command, parameters = parsed(words)
        recipe = parameters.get("recipe")
        if recipe is None or recipe in written:
            continue
        assert command in {"run", "check", "inspect", "copy", "show"}
        path = ROOT / recipe if "recipes/" in recipe else recipe
        load_recipe(path, parameters.get("overrides", ()))


@documents()
def test_commands_in_sentences_exist(name):
    prose = FENCE.sub("", generate.PART.sub("", text_of(name)))
    for span in re.findall(r"`((?:ganzoo|python -m ganzoo) [^`]+)`", prose):
        words = span.removeprefix("python -m ").split()[1:]
        words = words[2:] if words[0] in {"--plugin", "--no-plugin"} else words
        if words[0] in {"COMMAND", "..."}:
            continue
        assert words[0] in COMMANDS, span
        names = [one for one, _ in generate.commands() if one.startswith(f"ganzoo {words[0]}")]
        helps = generate.parts()["ganzoo"]() + "".join(generate.parts()[one]() for one in names)
        own = span.partition(" -- ")[0]  # what follows is another program's
        for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", own):
            assert f"`{option}" in helps, span


@documents(*(name for name in DOCUMENTS if name not in GUIDE))
def test_recipes_in_the_documents_are_right(name):
    """A block without `extends` is a piece of a recipe, and right if it is laid over facades'."""
    for block in fenced(text_of(name), "toml"):
        whole = (
            block
            if re.search(r"^extends", block, re.MULTILINE)
            else (f'extends = "pix2pix_facades.toml"\n{block}')
        )
        assert loads(whole, name).name


@pytest.mark.parametrize(
    "words",
    [
        ["evalute", "RUN"],
        ["run", "recipes/quickstart.toml", "--max-step", "5"],
        ["predict", "RUN", "IN"],
        ["run", "recipes/quickstart.toml", "--max-steps", "many"],
    ],
)
def test_a_wrong_command_is_caught(words):
    with pytest.raises((click.UsageError, UsageError)):
        parsed(words)


def test_commands_are_found_in_the_readme():
    first = [words[0] for words in commands_in(README)]
    assert first[0] == "run"
    assert {"run", "predict", "evaluate", "init", "data", "runs"} <= set(first)
    assert len(first) > 12


def test_the_readmes_recipes_are_those_of_the_checkout():
    quickstart = find_recipe("recipes/quickstart.toml", registry.current())
    assert Path(str(quickstart)).read_text() == (ROOT / "recipes" / "quickstart.toml").read_text()


# Links lead somewhere.


def _anchors(text):
    """What GitHub makes of headings: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@documents()
def test_links_and_pictures_exist(name):
    path, text = DOCUMENTS[name], text_of(name)
    missing = []
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        aim = (path.parent / file) if file else path
        if not aim.exists() or (anchor and anchor not in _anchors(aim.read_text(encoding="utf-8"))):
            missing.append(target)
    assert not missing


def test_decisions_are_listed():
    for record in (ROOT / "docs" / "adr").glob("*.md"):
        assert f"(adr/{record.name})" in ARCHITECTURE


def test_documents_are_generated_without_torch():
    code = (
        "import runpy, sys; made = runpy.run_path('docs/generate.py')['parts'](); "
        "[make() for make in made.values()]; sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
