"""`ganzoo plugins install`: pip, after a look at what it would do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ganzoo import FORMER_DISTRIBUTION
from ganzoo.cli.console import print_columns
from ganzoo.cli.diagnosis import version_of
from ganzoo.cli.installation import installation
from ganzoo.errors import EnvironmentFault, PluginError, UsageError
from ganzoo.plugin_system.discovery import CORE, GROUP, PREFIX
from ganzoo.plugin_system.registry import current

KEPT = (CORE, "torch")
"""Distributions that no plugin may replace."""

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Found:
    """A distribution that pip has looked at, before anything is installed.

    Args:
        name, version, requires: of its metadata.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@click.command("install")
@click.argument("what", nargs=-1, required=True, metavar="WHAT... [-- PIP-OPTIONS]")
def command(what: tuple[str, ...]) -> None:
    """Install plugins with pip, if they fit this ganzoo.

    WHAT is a name (`ganzoo-foo`, or `foo` for short), a path or a URL. First pip is asked what it
    would do: a plugin that doesn't fit, or that would replace ganzoo or torch, is not installed.
    What follows -- goes to pip: `ganzoo plugins install foo -- --no-index --find-links wheels`.
    """
    first = next((i for i, one in enumerate(what) if one.startswith("-")), len(what))
    wanted, options = [requirement(one) for one in what[:first]], list(what[first:])
    if not wanted:
        raise UsageError("nothing to install", hint="ganzoo plugins install WHAT -- PIP-OPTIONS")
    here = installation()
    if not here.version:
        raise EnvironmentFault(
            f"the ganzoo that runs, {here.place}, isn't installed: pip would look for another one "
            "on the package index",
            hint="install ganzoo first, from its checkout: python -m pip install .",
        )
    click.echo(f"checking: {here}", err=True)
    click.echo(f"checking: {_pip('--version').stdout.strip()}", err=True)
    with tempfile.TemporaryDirectory() as folder:
        kept = _kept_versions()
        constraints = Path(folder, "constraints.txt")
        constraints.write_text("".join(f"{name}=={kept[name]}\n" for name in kept))
        named = _report(["--no-deps", "--ignore-installed", *options, *wanted], Path(folder))
        _check(named, kept)
        options = ["-c", str(constraints), *options]
        plan = _report([*options, *wanted], Path(folder), kept)
        _keep(plan)
        if "--dry-run" in options:
            click.echo(f"would install: {_listed(plan) or 'nothing'}", err=True)
            return
        if plan:
            click.echo(f"installing: {_listed(plan)}", err=True)
            done = _pip("install", "--quiet", *options, *wanted, quiet=False)
            if done.returncode != 0:
                raise EnvironmentFault("pip failed: see above what it says")
        else:
            click.echo(
                "nothing to do: installed already (`-- --upgrade` takes a newer one)", err=True
            )
    _show([*named, *(one for one in plan if one.name.startswith(PREFIX))])


def requirement(what: str) -> str:
    """What pip is asked for: a path or URL as it is, a name with `ganzoo-` before it.

    Raises:
        UsageError: when it is ganzoo itself, or comes with it.
    """
    if "://" in what or os.sep in what or "/" in what or what.endswith((".whl", ".tar.gz", ".zip")):
        return what
    match = _NAME.match(what)
    if what == "." or match is None:
        return what
    name = canonicalize_name(match[0])
    if name in {CORE, FORMER_DISTRIBUTION}:
        raise UsageError(
            f"{name} is no plugin, and no package index has this ganzoo",
            hint="upgrade ganzoo from where you got it; `ganzoo doctor` says where that was",
        )
    namespace = name.removeprefix(PREFIX).replace("-", "_")
    for record in current().records:
        if record.namespace == namespace and canonicalize_name(record.distribution) == CORE:
            raise UsageError(f'the plugin "{namespace}" comes with ganzoo; nothing is to be done')
    return what if name.startswith(PREFIX) else f"{PREFIX}{what}"


def _pip(*arguments: str, quiet: bool = True) -> subprocess.CompletedProcess[str]:
    """Run pip of this Python; its output is kept, or shown on stderr.

    Raises:
        EnvironmentFault: when this Python has no pip.
    """
    command = [sys.executable, "-m", "pip", *arguments]
    environ = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    kept = subprocess.PIPE if quiet else None
    done = subprocess.run(  # noqa: S603  # pip, with the user's own arguments
        command, env=environ, stdout=kept or sys.stderr, stderr=kept, text=True, check=False
    )
    if quiet and done.returncode != 0 and "No module named pip" in done.stderr:
        raise EnvironmentFault(
            f"{sys.executable} has no pip",
            hint=f"{sys.executable} -m ensurepip\n"
            f"or, with uv: uv pip install --python {sys.executable} ...",
        )
    return done


def _report(
    arguments: list[str], folder: Path, kept: Mapping[str, str] | None = None
) -> list[Found]:
    """What pip would install, with its metadata; nothing is installed.

    Raises:
        PluginError: no set of packages leaves those in `kept` as they are.
        EnvironmentFault: pip fails for another reason, such as no network.
    """
    file = folder / "report.json"
    file.unlink(missing_ok=True)
    done = _pip("install", "--dry-run", "--report", str(file), *arguments)
    if done.returncode != 0 or not file.is_file():
        told = "\n".join(done.stderr.strip().splitlines()[-12:])
        if kept and re.search("ResolutionImpossible|conflict", done.stderr):
            versions = " and ".join(f"{name} {version}" for name, version in kept.items())
            cause = re.search(
                r"^The conflict is caused by:\n(?: .*\n?)+", done.stdout, re.MULTILINE
            )
            raise PluginError(
                f"it can't be installed beside {versions}; pip says",
                hint=cause[0].rstrip() if cause else told,
            )
        raise EnvironmentFault("pip can't get it; it says", hint=told)
    items: list[Any] = json.loads(file.read_text(encoding="utf-8"))["install"]
    metadata = [item["metadata"] for item in items]
    return [
        Found(canonicalize_name(one["name"]), one["version"], tuple(one.get("requires_dist", ())))
        for one in metadata
    ]


def _kept_versions() -> dict[str, str]:
    """Versions of what must stay as it is."""
    return {name: version for name in KEPT if (version := version_of(name))}


def _check(named: Iterable[Found], kept: Mapping[str, str]) -> None:
    """Look at what is to be installed, and say what is found.

    Raises:
        PluginError: it doesn't fit what is installed.
    """
    for one in named:
        if not one.name.startswith(PREFIX):
            click.echo(
                f"warning: {one.name} isn't called ganzoo-NAME, so it can't own a namespace: "
                "ganzoo won't load a plugin of it",
                err=True,
            )
        needs = [Requirement(text) for text in one.requires]
        active = [
            need for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})
        ]
        for need in active:
            if canonicalize_name(need.name) == FORMER_DISTRIBUTION:
                raise PluginError(
                    f"{one} needs {need}, which is another project's package on PyPI: nothing was "
                    "changed",
                    hint=f"ask the plugin's authors to require {CORE}, as this ganzoo is called",
                )
            version = kept.get(canonicalize_name(need.name))
            if version is None or need.url:
                continue
            if not need.specifier.contains(version, prereleases=True):
                raise PluginError(
                    f"{one} needs {need}, and {need.name} {version} is installed: "
                    "nothing was changed",
                    hint="take another version of the plugin, such as "
                    f"`ganzoo plugins install '{one.name}<{one.version}'`, or another {need.name}",
                )
        ours = [str(need) for need in active if canonicalize_name(need.name) == CORE]
        needed = f"needs {ours[0]}" if ours else "doesn't say which ganzoo it needs"
        click.echo(f"checking: {one} {needed}", err=True)


def _listed(plan: Iterable[Found]) -> str:
    """What pip would install, and which versions it would replace."""
    words = []
    for one in plan:
        there = version_of(one.name)
        words.append(f"{one} (instead of {there})" if there else str(one))
    return ", ".join(words)


def _keep(plan: Iterable[Found]) -> None:
    """Refuse a plan that touches what must stay.

    Raises:
        PluginError: it does.
    """
    for one in plan:
        if one.name in {*KEPT, FORMER_DISTRIBUTION}:
            replaced = "torch" if one.name == "torch" else "ganzoo"
            raise PluginError(
                f"pip would install {one} over the {replaced} that is installed: "
                "nothing was changed",
                hint="something in its plan asks for it, or the options for pip do",
            )


def _show(installed: Iterable[Found]) -> None:
    """State of the plugins that were installed, as a fresh ganzoo sees them.

    Raises:
        PluginError: one doesn't work.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-m", "ganzoo", "plugins", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise PluginError(
            "installed, and now ganzoo doesn't start: see above",
            hint="python -m pip uninstall " + " ".join({one.name for one in installed}),
        )
    names = {one.name for one in installed}
    records = [
        one
        for one in json.loads(done.stdout)["plugins"]
        if canonicalize_name(one["distribution"]) in names
    ]
    if records:
        print_columns(
            [
                (
                    one["namespace"],
                    f"{one['distribution']} {one['version']}",
                    one["state"],
                    one["reason"] or f"{len(one['components'])} components",
                )
                for one in records
            ]
        )
    silent = names - {canonicalize_name(one["distribution"]) for one in records}
    broken = {one["distribution"] for one in records if one["state"] == "quarantined"}
    if silent or broken:
        what = f"brings no plugin (no entry point of the group {GROUP})"
        raise PluginError(
            f"{min(broken)} is installed and can't be used: it is quarantined"
            if broken
            else f"{min(silent)} is installed, and {what}",
            hint=("`ganzoo plugins --verbose` shows all that is known of it\n" if broken else "")
            + f"to remove it: python -m pip uninstall {' '.join(sorted(silent | broken))}",
        )
    for one in records:
        if one["state"] == "ok":
            click.echo(f"next: ganzoo plugins check {one['namespace']}; ganzoo list", err=True)
