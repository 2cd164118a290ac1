"""Who may import whom, read from the sources; what must stay light, tried; and the core's words."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the bottom up; a part may import its own layer and those below.
LAYERS = (
    ("api", "errors", "files", "options", "process"),
    ("plugin_system",),
    ("recipe",),
    ("interfaces", "run_files"),
    ("data", "metrics", "nn", "optimizers"),
    ("formats",),
    ("inference",),
    ("observers",),
    ("engine",),
    ("testing",),
    ("cli", "__main__"),
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}

DOORS = {
    f"ganzoo.{part}" for part in ("api", "errors", "interfaces", "nn", "data", "metrics", "testing")
}
"""What a plugin may import of the core."""

HOMES = {
    "accelerate": ("ganzoo/engine/", "ganzoo/observers/tensorboard.py"),
    "albumentations": ("plugins/albumentations/ganzoo_albumentations/",),
}
"""Libraries that one part of the repository hides from the rest."""

HEAVY = ("torch", "numpy", "PIL", "cv2", "skimage", "albumentations", "accelerate", "safetensors")

ALGORITHM = re.compile(
    r"pix2pix|u-?net\b|\bvanilla\b|hinge|spade\b|wasserstein"
    r"|(?:patch|cycle|star|style|progressive|pro|big|gau|info|relativistic|recycle)[ -]?gan\b"
    r"|\b(?:c|dc|ls|w|sn|sa|ac|ra|rp|r3|disco|dual|bicycle)-?gan|diff-augment",
    re.IGNORECASE,
)
"""Names of algorithms and of parts of them; what the core does must need none of these words."""

CORE = sorted((ROOT / "ganzoo").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").glob("*/ganzoo_*/**/*.py"))


def module_name(file: Path) -> str:
    """The dotted name under which a source file is imported."""
    below = file.relative_to(ROOT).parts
    parts = [*(below if below[0] == "ganzoo" else below[2:])]
    parts[-1] = parts[-1].removesuffix(".py")
    return ".".join(parts).removesuffix(".__init__")


MODULES = {module_name(file) for file in (*CORE, *PLUGINS)}


def imports(source: str, *, declarations: bool = True) -> Iterator[str]:
    """Modules that a source imports at any depth, except for type checkers only.

    Of `from a import b` it is `a.b` where that is a module of this repository, else `a`. Without
    `declarations`, functions that `@component` decorates are left out: what such a function imports
    is what it names.
    """
    todo: list[ast.AST] = [ast.parse(source)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            todo += node.orelse
            continue
        if not declarations and declares(node):
            continue
        todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide a module's place"
            assert node.module is not None
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}"
                yield deeper if deeper in MODULES else node.module


def declares(node: ast.AST) -> bool:
    """Whether a node is a function that `@component` decorates."""
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(one, ast.Call) and ast.unparse(one.func) == "component"
        for one in node.decorator_list
    )


def level(module: str) -> int:
    """The layer of one of the core's modules; the package itself is below all."""
    parts = module.split(".")
    return LEVEL[parts[1]] if len(parts) > 1 else -1


def core_faults(module: str, source: str) -> list[str]:
    """Imports that a module of the core may not have."""
    return [
        name
        for name in imports(source, declarations=False)
        if name.startswith("ganzoo_")
        or (name.split(".")[0] == "ganzoo" and level(name) > level(module))
    ]


def plugin_faults(module: str, source: str) -> list[str]:
    """Imports that a module of a plugin may not have: past the doors, or of another plugin."""
    own = module.split(".", maxsplit=1)[0]
    return [
        name
        for name in imports(source)
        if name.split(".")[0].startswith("ganzoo")
        and name not in DOORS
        and name.split(".")[0] != own
    ]


def strays(file: str, source: str) -> list[str]:
    """Libraries that a file imports although they live elsewhere."""
    roots = {name.split(".")[0] for name in imports(source)}
    return [name for name, homes in HOMES.items() if name in roots and not file.startswith(homes)]


def faulty(files, look):
    """The files in which `look(file, source)` finds something, and what."""
    found = {file.relative_to(ROOT).as_posix(): look(file, file.read_text()) for file in files}
    return {name: faults for name, faults in found.items() if faults}


def test_the_core_imports_downwards_and_no_plugin():
    assert faulty(CORE, lambda file, source: core_faults(module_name(file), source)) == {}


def test_plugins_use_the_public_doors():
    assert faulty(PLUGINS, lambda file, source: plugin_faults(module_name(file), source)) == {}


def test_hidden_libraries_stay_in_their_homes():
    everything = (*CORE, *PLUGINS)
    assert faulty(everything, lambda f, text: strays(f.relative_to(ROOT).as_posix(), text)) == {}
    for name, homes in HOMES.items():  # each is imported at home, or this test looks at nothing
        sources = [f.read_text() for h in homes for f in (*CORE, *PLUGINS) if h in f.as_posix()]
        assert any(name in {i.split(".")[0] for i in imports(source)} for source in sources)


def graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Which of the modules imports which of the others, inside functions too."""
    return {
        module: set(imports(source, declarations=False)) & (sources.keys() - {module})
        for module, source in sources.items()
    }


def part(module: str) -> str:
    """The top-level part of the core that a module belongs to; a plugin's modules are parts."""
    top, *rest = module.split(".")
    return ".".join([top, *rest[:1]]) if top == "ganzoo" else module


def parts_of(modules: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same of parts."""
    found: dict[str, set[str]] = {}
    for module, imported in modules.items():
        others = {part(name) for name in imported} - {part(module)}
        found.setdefault(part(module), set()).update(others)
    return found


def circle(imported: Mapping[str, set[str]]) -> list[str]:
    """Names of which each imports the next, and the last the first; empty where there are none."""
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        return list(error.args[1][:-1])[::-1]
    return []


def test_no_modules_and_no_parts_import_each_other_in_a_circle():
    modules = graph({module_name(file): file.read_text() for file in (*CORE, *PLUGINS)})
    assert len(modules) > 200
    assert circle(modules) == []
    assert circle(parts_of(modules)) == []


@pytest.mark.parametrize(
    ("engine", "observer", "of_modules", "of_parts"),
    [
        ("import ganzoo.observers.a", "def f():\n    import ganzoo.engine.a", True, True),
        ("import ganzoo.observers.a", "def f():\n    import ganzoo.engine.b", False, True),
        ("import ganzoo.observers.a", "if TYPE_CHECKING: import ganzoo.engine.a", False, False),
        ("def f():\n    import ganzoo.observers.a", "", False, False),
    ],
)
def test_a_circle_is_caught(engine, observer, of_modules, of_parts):
    names = ("ganzoo.engine.a", "ganzoo.engine.b", "ganzoo.observers.a")
    modules = graph(dict(zip(names, (engine, "", observer), strict=True)))
    assert (set(circle(modules)) == {names[0], names[2]}) == of_modules
    assert (set(circle(parts_of(modules))) == {"ganzoo.engine", "ganzoo.observers"}) == of_parts


def test_every_part_of_the_core_has_a_layer():
    parts = {module.split(".")[1] for module in MODULES if module.startswith("ganzoo.")}
    assert parts == set(LEVEL)
    assert {module.split(".")[0] for module in MODULES} >= {"ganzoo", "ganzoo_gan"}


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        ("ganzoo.recipe.load", "from ganzoo.engine.run import run", "ganzoo.engine.run"),
        ("ganzoo.recipe.load", "def f():\n    import ganzoo.cli.run", "ganzoo.cli.run"),
        (
            "ganzoo.api",
            "from ganzoo.plugin_system import registry",
            "ganzoo.plugin_system.registry",
        ),
        (
            "ganzoo.metrics.image",
            "from ganzoo.observers import user_log",
            "ganzoo.observers.user_log",
        ),
        ("ganzoo.inference.predict", "import ganzoo.observers.base", "ganzoo.observers.base"),
        ("ganzoo.observers.base", "def f():\n    import ganzoo.engine.run", "ganzoo.engine.run"),
        ("ganzoo.cli.run", "import ganzoo_gan.losses", "ganzoo_gan.losses"),
        ("ganzoo.api", "if TYPE_CHECKING: pass\nelse: import ganzoo.nn", "ganzoo.nn"),
    ],
)
def test_an_import_upwards_is_caught(module, source, fault):
    assert core_faults(module, source) == [fault]
    # The controls: the same for type checkers only, and from the top layer.
    indented = "\n".join(f"    {line}" for line in source.splitlines())
    assert core_faults(module, f"if TYPE_CHECKING:\n{indented}") == []
    assert core_faults("ganzoo.cli.main", source) == [fault] * fault.startswith("ganzoo_")


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("from ganzoo.data.rng import isolated", "ganzoo.data.rng"),
        ("from ganzoo.data.read_image import decode_image", "ganzoo.data.read_image"),
        ("from ganzoo.data import read_image", "ganzoo.data.read_image"),
        ("from ganzoo.plugin_system import registry", "ganzoo.plugin_system.registry"),
        ("import ganzoo_images", "ganzoo_images"),
    ],
)
def test_a_plugin_past_the_doors_is_caught(source, fault):
    assert plugin_faults("ganzoo_toy.task", source) == [fault]
    assert plugin_faults("ganzoo_toy.task", "from ganzoo.data import decode_image") == []
    assert plugin_faults("ganzoo_toy.task", "from ganzoo_toy.options import A\nimport torch") == []


def test_what_a_declaration_imports_is_no_fault():
    plain = "def l1():\n    from ganzoo.metrics.image import L1\n    return L1"
    module, imported = "ganzoo.plugin_system.builtin", "ganzoo.metrics.image"
    sources = {module: f'@component("metric")\n{plain}', imported: f"import {module}"}
    assert core_faults(module, sources[module]) == []
    assert circle(graph(sources)) == []
    sources[module] = f'@cache("metric")\n{plain}'  # the control
    assert core_faults(module, sources[module]) == [imported]
    assert set(circle(graph(sources))) == {module, imported}


def test_a_stray_library_is_caught():
    source = "def f():\n    from accelerate.utils import set_seed"
    assert strays("ganzoo/cli/run.py", source) == ["accelerate"]
    assert strays("ganzoo/engine/accelerate_session.py", source) == []


# Naming is not importing.

LIGHT = sorted(
    module
    for module in MODULES
    if (
        module.split(".")[0] == "ganzoo"
        and ("." not in module or LEVEL[module.split(".")[1]] <= LEVEL["interfaces"])
    )
    or module.startswith("ganzoo.cli")
    or (module.startswith("ganzoo_") and ("." not in module or module.endswith("options")))
)

PROBE = """
import importlib, sys
heavy, light = (argument.split(",") for argument in sys.argv[1:])
def look(what):
    for name in heavy:
        if name in sys.modules:
            sys.exit(f"{what} imports {name}")
for module in light:
    importlib.import_module(module)
    look(module)
if "ganzoo.plugin_system.discovery" in light:
    from ganzoo.plugin_system.discovery import discover
    for record in discover():
        for component in record.components:
            component.options_class()
            look(f"the options of {record.namespace}/{component.name}")
    print(sum(len(record.components) for record in discover()))
"""


def probe(modules, *paths):
    """Import modules one by one in a process of their own, and stop at the first heavy one."""
    paths = (*paths, ROOT, *sorted((ROOT / "plugins").iterdir()))
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, "-c", PROBE, ",".join(HEAVY), ",".join(modules)]
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=False)


def test_naming_is_not_importing():
    """Nor is validating: the options models of every component load without anything heavy."""
    assert {
        "ganzoo.plugin_system.registry",
        "ganzoo.recipe.load",
        "ganzoo.cli.run",
        "ganzoo_gan",
    } <= set(LIGHT)
    done = probe(LIGHT)
    assert done.stderr == ""
    assert int(done.stdout) > 20  # components whose options were loaded


def test_a_heavy_import_is_caught(tmp_path):
    (tmp_path / "sneaky.py").write_text("import ganzoo.api\nfrom middle import np\n")
    (tmp_path / "middle.py").write_text("import numpy as np\n")
    assert probe(["ganzoo.api", "sneaky"], tmp_path).stderr.strip() == "sneaky imports numpy"


# A file holds one idea, and is read in one go.

LONGEST = 350
"""Lines of a Python file below `ganzoo/` and `plugins/`, tests included."""


def test_no_file_is_too_long_to_read():
    files = [file for top in ("ganzoo", "plugins") for file in (ROOT / top).rglob("*.py")]
    lines = {file.relative_to(ROOT).as_posix(): file.read_text().count("\n") for file in files}
    assert len(lines) > 300
    assert {name: count for name, count in lines.items() if count > LONGEST} == {}


# The core knows no algorithm.


def test_the_core_names_no_algorithm():
    """Not even in a comment: what would explain the core by one of them belongs to a plugin."""

    def named(_, source):
        lines = enumerate(source.splitlines(), 1)
        return [f"{number}: {line}" for number, line in lines if ALGORITHM.search(line)]

    assert faulty(CORE, named) == {}


@pytest.mark.parametrize(
    "words",
    [
        '"pix2pix/unet"',
        "class UNet:",
        "# as in CycleGAN",
        "the PatchGAN",
        "WGAN-GP",
        "DCGAN's rule",
        "lsgan",
        "StyleGAN 2",
        "hinge_loss",
        "R3GAN",
        "r3-gan",
        "gan/rpgan",
        "RpGAN",
        "Diff-Augment",
    ],
)
def test_an_algorithm_is_recognised(words):
    assert ALGORITHM.search(words)


@pytest.mark.parametrize(
    "words", ["a zoo of GANs", "ganzoo_gan", "began", "organ", "[[diffaugment]]"]
)
def test_other_words_are_no_algorithm(words):
    assert not ALGORITHM.search(words)


# A run imports what it needs.

FIRST_STEP = """
import os
import sys

from ganzoo.api import component, hookimpl


@component("callback")
def tell():
    return Tell


class Tell:
    def __init__(self, options):
        pass

    @hookimpl(trylast=True)
    def ganzoo_step_done(self, run, step):
        print(*sorted(sys.modules), sep=chr(10), flush=True)
        os._exit(0)
"""


@pytest.mark.parametrize(
    ("change", "imported"),
    [
        ((), ()),
        (('augment={use="albumentations/horizontal_flip", p=0.5}',), ("albumentations",)),
    ],
)
def test_a_run_imports_what_its_recipe_names(tmp_path, change, imported):
    """The compiler of torch takes as long to import as half of torch, albumentations a third."""
    plugin = tmp_path / "telling.py"
    plugin.write_text(FIRST_STEP)
    command = [sys.executable, "-m", "ganzoo", "--plugin", str(plugin), "run", "quickstart"]
    small = ("data.train=4", "data.size=128", "generator.width=2", "discriminator.width=2")
    for one in (*small, "callback=telling/tell", *change):
        command += ["--set", one]
    command += ["--device", "cpu", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    modules = set(done.stdout.split())
    assert "torch" in modules, done.stderr
    costly = {"albumentations", "torch._dynamo", "torch.distributed.tensor", "timm", "sklearn"}
    assert modules & costly == set(imported)
