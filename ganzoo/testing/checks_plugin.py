"""Checks of a plugin as a whole: what `ganzoo list` sees, and what was packed."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from ganzoo.api import API_VERSION
from ganzoo.errors import GanzooError
from ganzoo.plugin_system.installed_plugins import CORE
from ganzoo.recipe import load_recipe
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.subject import Subject

HEAVY = (
    *("accelerate", "albumentations", "cv2", "diffusers", "jax", "matplotlib", "numpy", "pandas"),
    *("PIL", "safetensors", "scipy", "skimage", "sklearn", "tensorflow", "timm", "torch"),
    *("torchvision", "transformers"),
)
"""Libraries that must not be imported by what only names components."""

_ARXIV = re.compile(r"\d{4}\.\d{4,5}(v\d+)?|[a-z-]+(\.[A-Z]{2})?/\d{7}")

_PROBE = """
import json, os, sys, traceback
path, heavy, plugin = json.loads(sys.argv[1])
sys.path[:] = path
import importlib.metadata
import ganzoo.plugin_system.registry, ganzoo.recipe
from ganzoo.plugin_system.declarations import ask

class Guard:
    at = ""
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root in heavy:
            frames = [f for f in traceback.extract_stack()[:-1] if "importlib" not in f.filename]
            chain = [f"{f.filename}:{f.lineno}" for f in frames if f.filename != "<string>"]
            print(json.dumps({"at": self.at, "library": root, "chain": chain}), flush=True)
            os._exit(0)

sys.meta_path.insert(0, Guard())
Guard.at = plugin
loaded = importlib.metadata.EntryPoint("", plugin, "").load()
Guard.at = f"the list of components of {plugin}"
components, _ = ask(loaded, plugin.partition(":")[0])
for one in components:
    Guard.at = f"the options of {one.kind} {one.name}"
    one.options_class()
print("{}")
"""


@check()
def check_naming_imports_nothing_heavy(subject: Subject) -> None:
    """The plugin's module, its hooks and its options import no torch, numpy or the like.

    `ganzoo list`, `show` and `check --syntax` import them for every plugin that is installed.
    """
    if subject.plugin_arguments():
        raise NotApplicable("a file given by --plugin is imported by those who name it")
    arguments = json.dumps([sys.path, HEAVY, subject.record.module])
    done = subprocess.run(  # noqa: S603  # this Python, and our own program
        [sys.executable, "-c", _PROBE, arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=subject.folder,
    )
    require(
        done.returncode == 0,
        f"importing it in a fresh process fails:\n{done.stderr.strip()}",
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if found:
        chain = "\n".join(f"  {place}" for place in found["chain"][-4:])
        raise CheckFailed(
            f"{found['at']} imports {found['library']}, by way of\n{chain}\n"
            "import it in the module of the target, which is loaded when the component is used"
        )


@check()
def check_components(subject: Subject) -> None:
    """Components have a summary, and a paper that can be found; renamed ones lead to one."""
    faults = []
    for one in subject.record.components:
        label = f"{one.kind} {subject.id}/{one.name}"
        if one.renamed_to:
            try:
                subject.registry.find(one.kind, f"{subject.id}/{one.name}")
            except GanzooError as error:
                faults.append(f"{label}: {error}")
            continue
        if not one.summary.strip():
            faults.append(f"{label} has no summary for `ganzoo list`: give it a docstring")
        if one.paper and not _ARXIV.fullmatch(one.paper) and not urlparse(one.paper).netloc:
            faults.append(f'{label}: paper = "{one.paper}" is neither an arXiv id nor a URL')
    require(not faults, "\n".join(faults))


@check()
def check_recipes(subject: Subject) -> None:
    """The recipes that the plugin ships are legal, and have a name and a summary of their own."""
    if not subject.record.recipes:
        raise NotApplicable("it ships no recipes")
    faults = []
    for file in subject.record.recipes:
        shipped = f"{subject.id}/{file.name}"
        try:
            load_recipe(file if isinstance(file, Path) else shipped, registry=subject.registry)
        except GanzooError as error:
            faults.append(f"{file.name}: {error}")
            continue
        own = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        faults += [
            f"{file.name} has no {key} of its own: people find it, and its runs, by that"
            for key in ("name", "summary")
            if not own.get(key)
        ]
    require(not faults, "\n".join(faults))


@check()
def check_distribution(subject: Subject) -> None:
    """A published plugin requires ganzoo, and says for which version of its API it was written."""
    record = subject.record
    if record.distribution == CORE or subject.plugin_arguments():
        raise NotApplicable("it isn't a distribution of its own")
    module = importlib.import_module(record.module.partition(":")[0])
    require(
        isinstance(getattr(module, "GANZOO_API_VERSION", None), int),
        f"{module.__name__} doesn't say `GANZOO_API_VERSION = {API_VERSION}`: a ganzoo that speaks "
        "an older one would load it and fail later",
    )
    required = importlib.metadata.requires(record.distribution) or []
    names = {re.split(r"[^\w.-]", one, maxsplit=1)[0].lower() for one in required}
    require(
        CORE in names,
        f'{record.distribution} doesn\'t require ganzoo: add "{CORE}>=0.1" to its dependencies',
    )
