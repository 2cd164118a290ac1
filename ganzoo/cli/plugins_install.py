"""`ganzoo plugins install`: install plugins with pip without a change of ganzoo or torch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
from packaging.utils import canonicalize_name

from ganzoo import FORMER_DISTRIBUTION
from ganzoo.cli.console import print_columns
from ganzoo.cli.installation import installation
from ganzoo.errors import EnvironmentFault, PluginError, UsageError
from ganzoo.plugin_system.installed_plugins import CORE, GROUP, PREFIX
from ganzoo.plugin_system.registry import current

KEPT = (CORE, "torch")
"""The distributions that no plugin may replace."""

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@click.command("install")
@click.argument("what", nargs=-1, required=True, metavar="WHAT... [-- PIP-OPTIONS]")
def command(what: tuple[str, ...]) -> None:
    """Install plugins with pip, if they fit this ganzoo.

    WHAT is a name (`ganzoo-foo`, or `foo` for short), a path or a URL. First, ganzoo asks pip what
    it would install. A plugin that doesn't fit, or that would replace ganzoo or torch, is not
    installed. The options after -- are passed to pip: `ganzoo plugins install foo -- --no-index
    --find-links wheels`.
    """
    first = next((i for i, one in enumerate(what) if one.startswith("-")), len(what))
    wanted, options = [requirement(one) for one in what[:first]], list(what[first:])
    if not wanted:
        raise UsageError("nothing to install", hint="ganzoo plugins install WHAT -- PIP-OPTIONS")
    here = installation()
    if not here.version:
        raise EnvironmentFault(
            f"the running ganzoo, {here.place}, isn't installed: pip would look for another one "
            "on the package index",
            hint="install ganzoo first, from its checkout: python -m pip install .",
        )
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder, "constraints.txt")
        constraints.write_text("".join(f"{name}=={kept}\n" for name, kept in _kept().items()))
        arguments = ["-c", str(constraints), *options, *wanted]
        plan = _plan(arguments, Path(folder, "report.json"))
        done = _pip("install", *arguments, stdout=sys.stderr)
        if done.returncode != 0:
            raise EnvironmentFault("pip failed: see its output above")
    if not plan:
        click.echo(
            "nothing was installed: it is installed already (`-- --upgrade` takes a newer version, "
            "and `ganzoo plugins` shows its state)",
            err=True,
        )
    elif "--dry-run" not in options:
        _show(plan)


def requirement(what: str) -> str:
    """Return what pip is asked to install: a path or URL unchanged, a name with prefix `ganzoo-`.

    Raises:
        UsageError: the name is that of ganzoo itself, or of a plugin that comes with it.
    """
    if "://" in what or os.sep in what or "/" in what or what.endswith((".whl", ".tar.gz", ".zip")):
        return what
    match = _NAME.match(what)
    if what == "." or match is None:
        return what
    name = canonicalize_name(match[0])
    if name in {CORE, FORMER_DISTRIBUTION}:
        raise UsageError(
            f"{name} is not a plugin, and this ganzoo is on no package index",
            hint="upgrade ganzoo from the place where you got it; `ganzoo doctor` shows that place",
        )
    namespace = name.removeprefix(PREFIX).replace("-", "_")
    for record in current().records:
        if record.namespace == namespace and canonicalize_name(record.distribution) == CORE:
            raise UsageError(
                f'the plugin "{namespace}" is part of ganzoo and needs no installation'
            )
    return what if name.startswith(PREFIX) else f"{PREFIX}{what}"


def _kept() -> dict[str, str]:
    """Return the installed versions of the distributions that pip must not change."""
    kept = {}
    for name in KEPT:
        try:
            kept[name] = version(name)
        except PackageNotFoundError:
            continue
    return kept


def _pip(*arguments: str, **streams: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, text=True, check=False, **streams)  # noqa: S603  # runs pip only


def _plan(arguments: Sequence[str], report: Path) -> list[str]:
    """Return the names of the plugins among the distributions that pip would install.

    Raises:
        PluginError: pip would replace ganzoo or torch, or finds a conflict with them.
        EnvironmentFault: pip fails for another reason, such as no network, or there is no pip.
    """
    done = _pip("install", "--dry-run", "--report", str(report), *arguments, capture_output=True)
    if "No module named pip" in done.stderr:
        raise EnvironmentFault(
            f"{sys.executable} has no pip",
            hint=f"{sys.executable} -m ensurepip\n"
            f"or, with uv: uv pip install --python {sys.executable} ...",
        )
    if done.returncode != 0 or not report.is_file():
        told = "\n".join([*done.stdout.splitlines()[-12:], *done.stderr.splitlines()[-12:]])
        if re.search("ResolutionImpossible|conflict", done.stderr):
            kept = " and ".join(f"{name} {kept}" for name, kept in _kept().items())
            raise PluginError(
                f"it can't be installed beside {kept}; the output of pip is", hint=told
            )
        raise EnvironmentFault("pip can't get it; the output of pip is", hint=told)
    items: list[Any] = json.loads(report.read_text(encoding="utf-8"))["install"]
    found = {canonicalize_name(one["metadata"]["name"]): one for one in items}
    for name in found.keys() & {*KEPT, FORMER_DISTRIBUTION}:
        raise PluginError(
            f"pip would install {name} {found[name]['metadata']['version']} over the "
            f"{'torch' if name == 'torch' else 'ganzoo'} that is installed: nothing was changed",
            hint="a package in pip's plan requires it, or the options for pip do",
        )
    return [name for name, one in found.items() if one["requested"] or name.startswith(PREFIX)]


def _show(installed: Iterable[str]) -> None:
    """Print the state of the installed plugins, as reported by a new ganzoo process.

    Raises:
        PluginError: a plugin can't be used, or ganzoo no longer starts.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-m", "ganzoo", "plugins", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    names = set(installed)
    remove = f"to remove it: python -m pip uninstall {' '.join(sorted(names))}"
    if done.returncode != 0:
        raise PluginError(
            "the plugin was installed, but now ganzoo doesn't start: see above", hint=remove
        )
    records = json.loads(done.stdout)["plugins"]
    mine = [one for one in records if canonicalize_name(one["distribution"]) in names]
    if mine:
        print_columns(
            [
                (
                    one["namespace"],
                    f"{one['distribution']} {one['version']}",
                    one["state"],
                    one["reason"] or f"{len(one['components'])} components",
                )
                for one in mine
            ]
        )
    for name in sorted(names - {canonicalize_name(one["distribution"]) for one in mine}):
        lack = (
            f"{name} is installed, but contains no plugin (it has no entry point of the group "
            f"{GROUP})"
        )
        raise PluginError(lack, hint=remove)
    for one in mine:
        if one["state"] == "quarantined":
            lack = f"{one['distribution']} is installed but can't be used: it is quarantined"
            raise PluginError(lack, hint=f"`ganzoo plugins --verbose` shows the details\n{remove}")
        if one["state"] == "ok":
            click.echo(f"next: ganzoo plugins check {one['namespace']}; ganzoo list", err=True)
