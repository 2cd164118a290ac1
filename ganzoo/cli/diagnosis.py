"""What is installed, and what is wrong with it, one finding each. Imports none of it."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

import ganzoo
from ganzoo import DISTRIBUTION, FORMER_DISTRIBUTION
from ganzoo.cli.installation import installation
from ganzoo.errors import GanzooError, error_text

if TYPE_CHECKING:
    from ganzoo.plugin_system.registry import Registry

State = Literal["ok", "note", "warning", "broken"]

AUGMENTATIONS = "2.0.8"
"""The last albumentations under MIT."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        name: what was looked at; stable, for programs.
        state: `ok`; `note` (good to know); `warning` (works, perhaps not as meant); `broken`.
        value: what was found.
        message: what that means, in one sentence; empty where the value says it all.
        hint: what to do.
    """

    name: str
    state: State
    value: str
    message: str = ""
    hint: str = ""


def of_installation(block: Sequence[str] = (), files: Sequence[str] = ()) -> Iterator[Finding]:
    """Look at Python, ganzoo, what it is built on, and plugins.

    Args:
        block: plugins not to load, as `ganzoo.plugin_system.registry.activate` takes them.
        files: Python files to load as plugins.
    """
    yield Finding("python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield Finding("system", "ok", platform.platform())
    yield from the_ganzoo()
    yield from requirements()
    yield from albumentations()
    yield from torchvision()
    try:
        from ganzoo.plugin_system.registry import activate

        registry = activate(block=block, files=files)
    except GanzooError:  # of --plugin
        raise
    except Exception as error:  # noqa: BLE001  # of what ganzoo requires, one may be broken
        told = f"ganzoo can't look for them: {error_text(error)}"
        yield Finding("plugins", "broken", "unknown", told, "reinstall ganzoo and what it requires")
        return
    yield from plugins(registry)


def version_of(name: str) -> str:
    """Version of an installed distribution, or ""."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def the_ganzoo() -> Iterator[Finding]:
    """Which ganzoo runs, and whether it is the one that the metadata speak of."""
    here = installation()
    again = (
        f"python -m pip uninstall {FORMER_DISTRIBUTION} {DISTRIBUTION}, until both are gone; "
        "then install it from where you got it"
    )
    faults = []
    if not here.version:
        unknown = "it isn't installed, so that pip would look for it on the package index"
        faults.append((unknown, "install it: python -m pip install . in its checkout"))
    elif here.version != ganzoo.__version__:
        faults.append((f"the code that runs is {ganzoo.__version__}", again))
    # Resolved, since lib and lib64 of an environment may be one folder.
    claims = sorted(
        {
            f"{one.version} in {Path(str(one.locate_file(''))).resolve()}"
            for one in importlib.metadata.distributions(name=DISTRIBUTION)
        }
    )
    if len(claims) > 1:
        told = f"{len(claims)} distributions claim its name: {', '.join(claims)}"
        faults.append((told, f"if the others aren't meant: {again}"))
    if other := version_of(FORMER_DISTRIBUTION):
        told = (
            f"the distribution {FORMER_DISTRIBUTION} {other} is installed too, which is another "
            "project of PyPI or this one under its former name, and has files in the same folder"
        )
        faults.append((told, again))
    if here.version and not _owned(here.place):
        elsewhere = f"the files of {here.place} aren't its distribution's"
        faults.append((elsewhere, "work in another folder, or look at PYTHONPATH"))
    if not faults:
        yield Finding("ganzoo", "ok", str(here))
    for fault, hint in faults:
        yield Finding("ganzoo", "warning", str(here), fault, hint)


def _owned(place: Path) -> bool:
    """Whether the package that runs belongs to the distribution of ganzoo."""
    found = importlib.metadata.distribution(DISTRIBUTION)
    here = installation(found)
    if here.source.startswith("editable, from "):
        return place.resolve().parent == Path(here.source.removeprefix("editable, from ")).resolve()
    own = found.locate_file("ganzoo/__init__.py")
    return Path(str(own)).resolve().parent == place.resolve()


def unmet(distribution: str) -> list[tuple[str, str]]:
    """What a distribution requires and isn't there: for pip, and in words."""
    faults = []
    for text in importlib.metadata.requires(distribution) or []:
        need = Requirement(text)
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        found, wanted = version_of(need.name), f"{need.name}{need.specifier}"
        if not found:
            faults.append((wanted, f"{wanted} is missing"))
        elif not need.specifier.contains(found, prereleases=True):
            faults.append((wanted, f"{wanted} isn't met by {found}"))
    return faults


def requirements() -> Iterator[Finding]:
    """What ganzoo is built on, and its optional extra."""
    if version_of(DISTRIBUTION):
        for need, fault in unmet(DISTRIBUTION):
            yield Finding("requirements", "broken", need, fault, f"python -m pip install '{need}'")
    for name in ("accelerate", "timm", "numpy", "safetensors"):
        if found := version_of(name):
            yield Finding(name, "ok", found)
    extra = version_of("tensorboard")
    message = "" if extra else "not installed: needed for watch.tensorboard = true alone"
    yield Finding("tensorboard", "ok" if extra else "note", extra or "none", message)


def albumentations() -> Iterator[Finding]:
    """Which of the two packages of this import name is there."""
    remedy = (
        "python -m pip uninstall albumentationsx albumentations; "
        f"python -m pip install albumentations=={AUGMENTATIONS}"
    )
    if rival := version_of("albumentationsx"):
        yield Finding(
            "albumentations",
            "warning",
            f"AlbumentationsX {rival}",
            "it has the same import name and its licence is the AGPL",
            remedy,
        )
        return
    found = version_of("albumentations")
    if found == AUGMENTATIONS:
        yield Finding("albumentations", "ok", found)
    elif found:
        message = f"ganzoo's table of transforms was made from {AUGMENTATIONS}"
        yield Finding("albumentations", "warning", found, message, remedy)


def torchvision() -> Iterator[Finding]:
    """Whether torchvision, where it is, was built for this torch; timm imports it."""
    found = version_of("torchvision")
    if not found:
        return
    wants = [
        Requirement(text)
        for text in importlib.metadata.requires("torchvision") or []
        if canonicalize_name(Requirement(text).name) == "torch"
    ]
    torch = version_of("torch")
    for want in wants:
        if torch and not want.specifier.contains(torch, prereleases=True):
            yield Finding(
                "torchvision",
                "warning",
                found,
                f"it was built for {want}, and torch {torch} is installed: timm may not import",
                "python -m pip install --upgrade torchvision",
            )
            return
    ours, theirs = _local(torch), _local(found)
    if ours and theirs and ours != theirs:
        message = f"it was built for {theirs}, and torch for {ours}"
        hint = "install both from one index of https://pytorch.org"
        yield Finding("torchvision", "warning", found, message, hint)
        return
    yield Finding("torchvision", "ok", found)


def _local(version: str) -> str:
    """`cu128` of `2.9.0+cu128`."""
    try:
        return Version(version).local or ""
    except InvalidVersion:
        return ""


def plugins(registry: Registry) -> Iterator[Finding]:
    """Plugins that can't be used, and those whose requirements aren't met."""
    working = [one for one in registry.records if one.state == "ok"]
    if not any(canonicalize_name(one.distribution) == DISTRIBUTION for one in working):
        yield Finding(
            "plugins",
            "broken",
            "none of ganzoo's own",
            "no component of ganzoo itself can be used",
            "reinstall ganzoo; `ganzoo plugins --verbose` shows what is known",
        )
    for one in registry.records:
        value = f"{one.namespace} ({one.distribution} {one.version})".replace(" )", ")")
        if one.state == "quarantined":
            hint = "`ganzoo plugins --verbose` shows all that is known of it"
            yield Finding("plugins", "warning", value, f"quarantined: {one.reason}", hint)
        elif one.state == "blocked":
            yield Finding("plugins", "note", value, one.reason)
    names = {canonicalize_name(one.distribution) for one in registry.records if one.version}
    for name in sorted(names - {DISTRIBUTION}):
        for _, fault in unmet(name) if version_of(name) else []:
            hint = f"ganzoo plugins install {name} -- --upgrade"
            yield Finding("plugins", "warning", name, f"it needs {fault}", hint)
    yield Finding("plugins", "ok", f"{len(working)} of {len(registry.records)} in use")
