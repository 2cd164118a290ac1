"""`ganzoo doctor`: check versions, the device, plugins and paths."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ganzoo import DISTRIBUTION, FORMER_DISTRIBUTION
from ganzoo.cli.installation import installation
from ganzoo.errors import ExitCode, GanzooError, error_text
from ganzoo.files import expanded

if TYPE_CHECKING:
    from ganzoo.plugin_system.discovery import PluginRecord

SIGNS = {"ok": "  ", "note": "  ", "warning": "! ", "broken": "X "}
COLOURS = {"warning": "yellow", "broken": "red"}
LIBRARIES = ("accelerate", "albumentations", "numpy", "safetensors", "tensorboard", "timm")
LITTLE = 2 * 2**30
"""The number of bytes of free disk space below which a warning is given. Checkpoints and data sets
are large."""
VARIABLES = (
    *("GANZOO_DATA", "GANZOO_CACHE", "GANZOO_DISABLE_PLUGINS", "GANZOO_PLUGIN_AUTOLOAD"),
    *("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PYTORCH_ENABLE_MPS_FALLBACK"),
    *("WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE"),
)
"""The environment variables that change what ganzoo does, either directly or through torch."""


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Args:
        name: what was checked. Programs can rely on these names.
        state: `ok`; `note` (information only); `warning` (it works, but perhaps not as intended);
            or `broken`.
        value: what was found.
        message: what the value means, in one sentence; empty where no explanation is needed.
        hint: what the user can do.
    """

    name: str
    state: Literal["ok", "note", "warning", "broken"]
    value: str
    message: str = ""
    hint: str = ""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> int:  # noqa: FBT001  # click passes by name
    """Show versions, devices, plugins and folders, and what is wrong with them.

    The exit code is 7 if something is broken, and 0 if there are only warnings (!).
    """
    from ganzoo.cli.console import print_json

    options = context.find_root().params
    examined = plugins(options["blocked"], options["plugin_files"])
    findings = [*versions(), *examined, *device(), *paths()]
    broken = [one for one in findings if one.state == "broken"]
    code = int(ExitCode.ENVIRONMENT if broken else ExitCode.DONE)
    if as_json:
        print_json({"healthy": not broken, "findings": [asdict(one) for one in findings]})
        return code
    width = max(len(one.name) for one in findings)
    for one in findings:
        said = "; ".join(part for part in (one.value, one.message) if part)
        line = f"{SIGNS[one.state]}{one.name.ljust(width)}  {said}"
        click.echo(click.style(line, fg=COLOURS.get(one.state)))
        if one.hint:
            click.echo(f"  {' ' * width}    {one.hint}")
    warnings = sum(one.state == "warning" for one in findings)
    counts = [(len(broken), "broken"), (warnings, "with a warning")]
    told = ", ".join(f"{count} {what}" for count, what in counts if count)
    click.echo(told or "no problem was found", err=True)
    return code


def _version(name: str) -> str:
    """Return the version of a distribution, or "" if it isn't installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def versions() -> Iterator[Finding]:
    """Check Python, ganzoo and its dependencies; only their metadata are read."""
    yield Finding("python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield Finding("system", "ok", platform.platform())
    here = installation()
    if not here.version:
        told = "it isn't installed, so pip would look for it on the package index"
        hint = "install it: python -m pip install . in its checkout"
        yield Finding("ganzoo", "warning", str(here), told, hint)
    elif other := _version(FORMER_DISTRIBUTION):
        told = (
            f"the distribution {FORMER_DISTRIBUTION} {other} is installed too: it is another "
            "project on PyPI or this one under its former name, and its files are in the same "
            "folder"
        )
        hint = (
            f"python -m pip uninstall {FORMER_DISTRIBUTION} {DISTRIBUTION}, then install it again"
        )
        yield Finding("ganzoo", "warning", str(here), told, hint)
    else:
        yield Finding("ganzoo", "ok", str(here))
    for need, fault in unmet(DISTRIBUTION) if here.version else ():
        yield Finding("requirements", "broken", need, fault, f"python -m pip install '{need}'")
    for name in LIBRARIES:
        if found := _version(name):
            yield Finding(name, "ok", found)
    if rival := _version("albumentationsx"):
        told = "it has the same import name as albumentations, and its licence is the AGPL"
        hint = "python -m pip uninstall albumentationsx, then install albumentations again"
        yield Finding("albumentations", "warning", f"AlbumentationsX {rival}", told, hint)


def unmet(distribution: str) -> Iterator[tuple[str, str]]:
    """Yield the requirements of a distribution that aren't met.

    Each is a pair of the requirement, as pip takes it, and a sentence for the user.
    """
    for text in importlib.metadata.requires(distribution) or []:
        need = Requirement(text)
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        found, wanted = _version(need.name), f"{need.name}{need.specifier}"
        if not found:
            yield wanted, f"{wanted} is missing"
        elif not need.specifier.contains(found, prereleases=True):
            yield wanted, f"{wanted} isn't met by {found}"


def plugins(block: Sequence[str] = (), files: Sequence[str] = ()) -> Iterator[Finding]:
    """Load the plugins and check their states.

    Args:
        block: plugins not to load, as `ganzoo.plugin_system.registry.activate` takes them.
        files: Python files to load as plugins.
    """
    try:
        from ganzoo.plugin_system.registry import activate

        records = activate(block=block, files=files).records
    except GanzooError:  # a file given by --plugin can't be loaded
        raise
    except Exception as error:  # noqa: BLE001  # a dependency of ganzoo may be broken
        told = f"ganzoo can't look for plugins: {error_text(error)}"
        yield Finding("plugins", "broken", "unknown", told, "reinstall ganzoo and what it requires")
        return
    yield from states(records)


def states(records: Sequence[PluginRecord]) -> Iterator[Finding]:
    """Check the states of the plugins that discovery found."""
    for one in records:
        value = f"{one.namespace} ({one.distribution} {one.version})".replace(" )", ")")
        hint = "`ganzoo plugins --verbose` shows the details"
        if one.state == "quarantined":
            yield Finding("plugins", "warning", value, f"quarantined: {one.reason}", hint)
        elif one.state == "blocked":
            yield Finding("plugins", "note", value, one.reason)
    working = [one for one in records if one.state == "ok"]
    if not any(canonicalize_name(one.distribution) == DISTRIBUTION for one in working):
        told, hint = "no component of ganzoo itself can be used", "reinstall ganzoo"
        yield Finding("plugins", "broken", "no plugin of ganzoo itself", told, hint)
    yield Finding("plugins", "ok", f"{len(working)} of {len(records)} in use")


def device() -> Iterator[Finding]:
    """Check torch and its devices, and what the setting `auto` selects on this machine."""
    try:
        import torch
    except Exception as error:  # noqa: BLE001  # a broken build may raise any exception
        told = f"it can't be imported: {error_text(error)}"
        hint = "reinstall torch; https://pytorch.org explains how for this machine"
        yield Finding("torch", "broken", _version("torch") or "none", told, hint)
        return
    yield Finding("torch", "ok", f"{torch.__version__} of {Path(torch.__file__).parent}")
    available = torch.cuda.is_available()
    if torch.version.cuda and shutil.which("nvidia-smi") and not available:
        told = "there is an NVIDIA driver, but torch finds no CUDA device"
        hint = f"compare `nvidia-smi` with the CUDA of torch: {torch.version.cuda}"
        yield Finding("device", "warning", "cpu", told, hint)
    # A driver that is too old for this torch is counted, but none of its devices can be used.
    for index in range(torch.cuda.device_count() if available else 0):
        about = torch.cuda.get_device_properties(index)
        memory = f"{about.total_memory / 2**30:.0f} GiB"
        yield Finding("device", "ok", f"cuda:{index}: {about.name}, {memory}")
    try:
        from ganzoo.engine.accelerate_session import resolve
        from ganzoo.recipe.model import Train

        auto = resolve(Train())
    except GanzooError as error:
        yield Finding("auto", "warning", "", error.message, error.hint)
    except Exception as error:  # noqa: BLE001  # accelerate may be broken too
        told = f"the engine can't be imported: {error_text(error)}"
        yield Finding("auto", "broken", "", told, "reinstall ganzoo and what it requires")
    else:
        yield Finding("device", "ok", f"auto selects {auto.device}")
        yield Finding("precision", "ok", f"auto selects {auto.precision}")
        yield Finding("threads", "ok", f"auto selects {auto.threads}")


def paths() -> Iterator[Finding]:
    """Check the folders of data, caches and runs, and list relevant environment variables."""
    shared = os.environ.get("GANZOO_DATA", "")
    if shared and not expanded(shared).is_dir():
        hint = "set GANZOO_DATA to the folder that holds data sets, or unset it"
        yield Finding("data", "warning", shared, "GANZOO_DATA doesn't name a folder", hint)
    else:
        yield Finding("data", "ok" if shared else "note", shared or "GANZOO_DATA isn't set")
    try:
        from ganzoo.data import cache_folder
    except Exception:  # noqa: BLE001  # it needs torch; `device` reports a missing torch
        yield Finding("cache", "note", "unknown", "not checked, since torch can't be imported")
    else:
        yield _writable("cache", cache_folder(), "set GANZOO_CACHE to a folder you may write to")
    yield _writable("runs", Path.cwd() / "runs", "work in a folder that you may write to")
    for name in VARIABLES:
        if name in os.environ:
            yield Finding("environment", "note", f"{name}={os.environ[name]}")


def _writable(name: str, folder: Path, hint: str) -> Finding:
    """Check that a folder, or its nearest existing parent, can be written to."""
    base = folder.absolute()
    while not base.exists():
        base = base.parent
    if not base.is_dir() or not os.access(base, os.W_OK | os.X_OK):
        return Finding(name, "warning", str(folder), "it can't be written to", hint)
    free = shutil.disk_usage(base).free
    message = f"{free / 2**30:.1f} GiB free"
    if free < LITTLE:
        return Finding(
            name, "warning", str(folder), message, "free some space, or choose another disk"
        )
    return Finding(name, "ok", str(folder), message)
