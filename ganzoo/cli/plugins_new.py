"""`ganzoo plugins new`: write a plugin that works before its author changes anything."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shlex
from datetime import UTC, datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

import click

import ganzoo
from ganzoo.api import API_VERSION
from ganzoo.cli.installation import installation, pip_url
from ganzoo.errors import EnvironmentFault, UsageError
from ganzoo.plugin_system.installed_plugins import CORE, distribution_of
from ganzoo.plugin_system.registry import current

PLACEHOLDER = "FILL-IN-THE-ADDRESS-OF-GANZOO"
"""The text that replaces ganzoo's address if neither the user nor the metadata contain it."""

KINDS = (
    *("generator", "discriminator", "loss", "task", "data"),
    *("diffaugment", "metric", "callback"),
)
"""The kinds for which there is a template, in the order in which a package lists them."""

USUAL = ("generator", "loss")
STAND_INS = ("data", "metric")
"""The kinds whose table is in every new recipe. If the plugin has no component of such a kind, the
table names another component."""

LAYOUT = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "LICENSE": "LICENSE",
    ".gitignore": "gitignore",
    ".github/workflows/test.yml": "test.yml",
    "src/$package/__init__.py": "init.py",
    "src/$package/options.py": "options.py",
    "src/$package/recipes/demo.toml": "demo.toml",
    "tests/test_conformance.py": "test_conformance.py",
}
"""The files that every new package has: the path in the package, and the name of the template."""


@click.command("new")
@click.argument("name")
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(KINDS),
    multiple=True,
    help="A kind of component in the plugin (default: a generator and a loss).",
)
@click.option(
    "-o",
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The package's folder (default: ganzoo-NAME in the working directory).",
)
@click.option(
    "--ganzoo-url",
    metavar="URL",
    help="The address from which users install ganzoo, for README and CI (default: the origin of "
    "this ganzoo).",
)
def command(name: str, kinds: tuple[str, ...], out: Path | None, ganzoo_url: str | None) -> None:
    """Write a complete package ganzoo-NAME that works without changes.

    It has components with options, a recipe, tests, a README and a CI file. NAME is the namespace
    of its components' ids: `foo` makes the distribution ganzoo-foo, and `foo/generator`.
    """
    namespace = namespace_of(name)
    distribution = distribution_of(namespace)
    folder = Path(distribution) if out is None else out
    if folder.exists() or folder.is_symlink():
        raise UsageError(
            "this exists already, and nothing was overwritten",
            where=str(folder),
            hint="take another name, or another folder with -o DIR",
        )
    url = _address(ganzoo_url)
    package = render(namespace, [kind for kind in KINDS if kind in (kinds or USUAL)], url)
    try:
        for place, text in package.items():
            file = folder / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(f"can't write: {error.strerror}", where=str(folder)) from error
    click.echo(f"wrote {folder}: {len(package)} files")
    click.echo(_next_steps(namespace, folder, url), err=True)


def namespace_of(name: str) -> str:
    """Return the namespace of a NAME; `foo`, `ganzoo-foo` and `ganzoo_foo` have the same one.

    Raises:
        UsageError: it isn't a valid namespace, or it is already taken.
    """
    namespace = re.sub(r"^ganzoo[-_]", "", name).replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", namespace):
        raise UsageError(
            f'"{name}" is not a valid namespace',
            hint="use lower-case letters and digits, a letter first, with single _ between them: "
            "my_gan",
        )
    if namespace == "ganzoo" or keyword.iskeyword(namespace) or keyword.issoftkeyword(namespace):
        owner = "ganzoo itself" if namespace == "ganzoo" else "Python, as a keyword"
        raise UsageError(f'the name "{namespace}" belongs to {owner}', hint="take another name")
    for record in current().records:
        if record.namespace == namespace:
            raise UsageError(
                f'the namespace "{namespace}" is taken by {record.distribution} {record.version}, '
                "which is installed",
                hint="take another name; `ganzoo plugins` lists those that are taken",
            )
    if importlib.util.find_spec(f"ganzoo_{namespace}") is not None:
        raise UsageError(
            f"a Python module ganzoo_{namespace} exists already", hint="take another name"
        )
    return namespace


def _address(given: str | None) -> str:
    """Return the address from which pip can install ganzoo, or the placeholder if none is known.

    Raises:
        UsageError: pip can't install from the given address.
    """
    if given is None:
        return installation().url or PLACEHOLDER
    url = given if given.startswith("file:") else pip_url(given)
    if not url or re.search(r"[\s\"'$`\\]", url):
        raise UsageError(
            f"--ganzoo-url: {given} is not an address that pip can install from",
            hint="such as https://HOST/PATH/ganzoo.git, or git+https://HOST/PATH/ganzoo.git@v0.1.0",
        )
    return url


def render(namespace: str, kinds: list[str], url: str) -> dict[str, str]:
    """Return the texts of the package's files, by their paths in the package's folder.

    Args:
        namespace: the namespace of the plugin.
        kinds: the kinds of its components.
        url: the address from which pip can install ganzoo, or the placeholder.
    """
    template = files("ganzoo") / "testing" / "template"
    names = {
        "namespace": namespace,
        "package": f"ganzoo_{namespace}",
        "distribution": distribution_of(namespace),
    }

    def fragment(kind: str, name: str) -> str:
        return _filled(template / kind / f"{name}.tmpl", names).rstrip("\n")

    tables = [fragment(kind, "recipe") for kind in kinds]
    tables += [fragment("common", kind) for kind in STAND_INS if kind not in kinds]
    options = "\n\n\n".join(fragment(kind, "options") for kind in kinds)
    values = {
        **names,
        "what": _listed([f"a {kind}" if kind != "data" else "data" for kind in kinds]),
        "first": kinds[0],
        "example": fragment(kinds[0], "recipe"),
        "imports": _imports(options),
        "components": "\n\n\n".join(fragment(kind, "component") for kind in kinds),
        "options": options,
        "tables": "\n\n".join(tables),
        "rows": "\n".join(
            f"| `{namespace}/{kind}` | {kind} | {_summary(fragment(kind, 'component'))} |"
            for kind in kinds
        ),
        "requirement": f"{CORE} @ {url}",
        "ganzoo": _link(url),
        "version": ".".join(ganzoo.__version__.split(".")[:2]),
        "api_version": str(API_VERSION),
        "year": str(datetime.now(UTC).year),
    }
    package = {
        Template(place).substitute(values): _filled(template / "common" / f"{name}.tmpl", values)
        for place, name in LAYOUT.items()
    }
    package[f"src/{values['package']}/py.typed"] = ""
    for kind in kinds:
        package[f"src/{values['package']}/{kind}.py"] = _filled(
            template / kind / "module.py.tmpl", values
        )
        package[f"tests/test_{kind}.py"] = _filled(template / kind / "test.py.tmpl", values)
    return package


def _filled(file: Traversable, values: dict[str, str]) -> str:
    """Return the text of a template file with its $names replaced by values."""
    return Template(file.read_text(encoding="utf-8")).substitute(values)


def _summary(component: str) -> str:
    """Return the summary in the source of a component."""
    (summary,) = re.findall(r'"""(.*)"""', component)
    return str(summary)


def _imports(options: str) -> str:
    """Return the import lines that the source of the options needs."""
    bases = [
        name for name in ("NetOptions", "Options", "Scalar") if re.search(rf"\b{name}\b", options)
    ]
    lines = [f"from ganzoo.api import {', '.join(bases)}"]
    if "Field(" in options:
        lines += ["from pydantic import Field"]
    return "\n".join(lines)


def _listed(words: list[str]) -> str:
    """Return words as a list in English: `a`, `a and b`, or `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _link(url: str) -> str:
    """Return the word ganzoo, as a Markdown link if its address is that of a web page."""
    parts = urlsplit(url.removeprefix("git+"))
    if parts.scheme not in {"http", "https"} or not parts.path.partition("@")[0].endswith(".git"):
        return "ganzoo"
    path = parts.path.partition("@")[0].removesuffix(".git")
    return f"[ganzoo]({parts.scheme}://{parts.netloc}{path})"


def _next_steps(namespace: str, folder: Path, url: str) -> str:
    steps = [
        f"cd {shlex.quote(str(folder))}",
        'python -m pip install -e ".[test]"',
        "pytest",
        f"ganzoo plugins check {namespace}",
        f"ganzoo run {namespace}/demo --max-steps 3",
    ]
    lines = ["next, in this order:", *(f"  {step}" for step in steps)]
    if url == PLACEHOLDER:
        lines += [
            "The address that your users can install ganzoo from isn't known here, and no package",
            f"index has it: README.md and .github/workflows/test.yml say {PLACEHOLDER}.",
            "Fill it in before you publish, or start again with --ganzoo-url URL.",
        ]
    else:
        lines += [f"README.md and CI tell your users to install ganzoo from {url}"]
    return "\n".join(lines)
