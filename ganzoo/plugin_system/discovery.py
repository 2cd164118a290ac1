"""The discovery of plugins: which are installed, which work, and what is wrong with the others.

A plugin is an entry point of the group `ganzoo.plugins`. Its name is the namespace of the plugin's
components, and its value names a light module with hookimpls. A plugin that can't be used is
quarantined: it is left out and its reason is recorded. This is why pluggy's own loader of entry
points isn't used: with it the first broken plugin ends the program, and duplicates are dropped
without a message.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

import ganzoo
from ganzoo.api import Component
from ganzoo.errors import UsageError, error_text
from ganzoo.plugin_system.declarations import RefusedError, ask

GROUP = "ganzoo.plugins"
CORE = ganzoo.DISTRIBUTION
"""The distribution that may own any namespace. Every other distribution owns the one in its
name."""

PREFIX = "ganzoo-"
"""The beginning of the name of a plugin's distribution. The namespace follows it."""

SLOW = 0.5
"""The wall-clock time in seconds from which on the import of a plugin is called slow."""

_NAMESPACE = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class PluginRecord:
    """What is known about one plugin, for `ganzoo plugins` and for errors that name it.

    Args:
        namespace: the first part of its components' ids.
        distribution, version: the distribution that installed it. For `--plugin` they are the path
            of the file and "".
        module: the value of its entry point, `module` or `module:attribute`.
        state: `ok`; `quarantined` (something is wrong with it); or `blocked` (by the user).
        reason: the reason for the state in one sentence; empty if the state is `ok`.
        traceback: Python's traceback, if the reason is an exception.
        notes: what its authors or the user should change, such as a slow import.
        components, recipes: what its hooks returned; empty unless the state is `ok`.
    """

    namespace: str
    distribution: str
    version: str
    module: str
    state: Literal["ok", "quarantined", "blocked"] = "ok"
    reason: str = ""
    traceback: str = ""
    notes: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()
    recipes: tuple[Traversable, ...] = ()


class Entry(NamedTuple):
    """A component with its id and the plugin that brings it."""

    id: str
    component: Component
    record: PluginRecord


class _Known(TypedDict):
    namespace: str
    distribution: str
    version: str
    module: str


def discover(
    *,
    block: Iterable[str] = (),
    files: Iterable[str | Path] = (),
    environ: Mapping[str, str] | None = None,
    entry_points: Iterable[importlib.metadata.EntryPoint] | None = None,
) -> tuple[PluginRecord, ...]:
    """Load every plugin that isn't blocked, and return the records of all plugins.

    They are sorted by namespace, with those that Python can't see and then `files` at the end.

    Args:
        block: namespaces not to load (`--no-plugin`).
        files: Python files to load as plugins (`--plugin`); the stem is the namespace.
        environ: the environment variables, by default `os.environ`. `GANZOO_DISABLE_PLUGINS` has
            more namespaces to block, separated by commas. With `GANZOO_PLUGIN_AUTOLOAD=0` only
            ganzoo's own plugins and `files` are loaded.
        entry_points: entry points to use instead of the installed ones.

    Raises:
        UsageError: `block` names a plugin that isn't installed, or a file doesn't exist, has an
            invalid name, or has a name that is already taken.
    """
    environ = os.environ if environ is None else environ
    found = list(_installed(entry_points))
    installed = {entry.name for entry, _, _ in found}
    blocked = {
        name.strip(): "GANZOO_DISABLE_PLUGINS"
        for name in environ.get("GANZOO_DISABLE_PLUGINS", "").split(",")
        if name.strip()
    }
    for name in block:
        if name not in installed:
            raise UsageError(
                f'--no-plugin: no plugin "{name}" is installed',
                hint="installed: " + (", ".join(sorted(installed)) or "none"),
            )
        blocked[name] = f"--no-plugin {name}"
    core_only = environ.get("GANZOO_PLUGIN_AUTOLOAD", "1").strip().lower() in {"0", "false", "no"}

    records: list[PluginRecord] = []
    owners: dict[str, str] = {}
    for entry, distribution, version in found:
        known: _Known = {
            "namespace": entry.name,
            "distribution": distribution,
            "version": version,
            "module": entry.value,
        }
        if refusal := _not_the_owner(entry, distribution, owners):
            records.append(PluginRecord(**known, state="quarantined", reason=refusal))
            continue
        owners[entry.name] = distribution
        if why := blocked.get(entry.name):
            records.append(PluginRecord(**known, state="blocked", reason=f"blocked by {why}"))
        elif core_only and _normalised(distribution) != CORE:
            reason = "not loaded because of GANZOO_PLUGIN_AUTOLOAD=0"
            records.append(PluginRecord(**known, state="blocked", reason=reason))
        else:
            records.append(_load_installed(known, entry.load))
    if entry_points is None:
        records += [one for one in _hidden() if one.namespace not in owners]
    for file in files:
        records.append(_load_file(Path(file), {record.namespace for record in records}))
    return tuple(records)


def _installed(
    entry_points: Iterable[importlib.metadata.EntryPoint] | None,
) -> Iterator[tuple[importlib.metadata.EntryPoint, str, str]]:
    """Yield each entry point once, with the name and version of its distribution.

    They are sorted by name. Of several with the same name, that of the core comes first.

    An editable install can list an entry point twice, so entry points with the same name, value and
    distribution count as one. A checkout that was installed under ganzoo's former name counts as
    ganzoo until it is installed again.
    """
    if entry_points is None:
        entry_points = importlib.metadata.entry_points(group=GROUP)
    names: dict[int, tuple[str, str]] = {}  # metadata are slow to read, so once per distribution
    seen: dict[tuple[str, str, str], tuple[importlib.metadata.EntryPoint, str, str]] = {}
    entry_points = list(entry_points)
    for entry in entry_points:
        if id(entry.dist) not in names:
            names[id(entry.dist)] = _name_and_version(entry.dist)
    installed = {_normalised(name) for name, _ in names.values()}
    for entry in entry_points:
        name, version = names[id(entry.dist)]
        if _normalised(name) == ganzoo.FORMER_DISTRIBUTION:
            if CORE in installed:
                continue
            name = CORE
        seen.setdefault((entry.name, _normalised(name), entry.value), (entry, name, version))
    yield from sorted(
        seen.values(), key=lambda one: (one[0].name, _normalised(one[1]) != CORE, one[0].value)
    )


def _hidden() -> Iterator[PluginRecord]:
    """Yield records of plugins that other metadata of the same distribution hide from Python.

    An interrupted installation or uninstallation can leave metadata without entry points. Python
    lists entry points only of the first metadata on `sys.path` with a distribution's name, so those
    of the actual plugin are missing.
    """
    first: dict[str, tuple[Path, bool]] = {}
    for dist in importlib.metadata.distributions():
        path = Path(str(getattr(dist, "_path", "")))  # only Python's own finders set it
        name = _normalised(path.stem.partition("-")[0])
        if name != CORE and not name.startswith(PREFIX):
            continue
        entries = [one for one in dist.entry_points if one.group == GROUP]
        hider, has_plugins = first.setdefault(name, (path, bool(entries)))
        if has_plugins:
            continue
        distribution, version = _name_and_version(dist)
        for entry in entries:
            yield PluginRecord(
                namespace=entry.name,
                distribution=distribution,
                version=version,
                module=entry.value,
                state="quarantined",
                reason=f"hidden by {hider}, which comes first and declares no plugin: remove it",
            )


def _name_and_version(dist: importlib.metadata.Distribution | None) -> tuple[str, str]:
    """Return a distribution's name and version, or substitutes where its metadata lack them."""
    metadata: Mapping[str, Any] = {}
    if dist is not None:
        metadata = dist.metadata or {}  # type: ignore[assignment]  # a Message, or None
    return metadata.get("Name") or "unknown", metadata.get("Version") or ""


def distribution_of(namespace: str) -> str:
    """Return the distribution that owns a namespace: `ganzoo-my-gan` owns `my_gan`."""
    return f"{PREFIX}{_normalised(namespace)}"


def _normalised(distribution: str) -> str:
    """Return a distribution's name in the normalised form of the packaging standards."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _not_the_owner(
    entry: importlib.metadata.EntryPoint, distribution: str, owners: Mapping[str, str]
) -> str:
    """Return why a distribution's entry point can't be used, or an empty string.

    Its namespace may be invalid, owned by another distribution or taken, or its value invalid.
    """
    namespace = entry.name
    if not _NAMESPACE.fullmatch(namespace):
        return (
            f'"{namespace}" is not a valid namespace: use lower-case letters, digits and _, '
            "a letter first"
        )
    owner = distribution_of(namespace)
    if _normalised(distribution) not in {CORE, owner}:
        return (
            f'the namespace "{namespace}" belongs to the distribution {owner}, '
            f"not to {distribution}"
        )
    if namespace in owners:
        return f'the namespace "{namespace}" is already taken by {owners[namespace]}'
    if entry.pattern.match(entry.value) is None:
        return f'its entry point "{entry.value}" is not like "module" or "module:object"'
    return ""


def _load(known: _Known, load: Callable[[], Any]) -> PluginRecord:
    """Import a plugin and call its hooks; any error becomes the reason in its record."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is reserved for the command's result
            components, recipes = ask(load(), known["module"].partition(":")[0])
    except RefusedError as error:
        return PluginRecord(**known, state="quarantined", reason=str(error))
    except KeyboardInterrupt as error:  # the message tells the user which plugin is slow
        name = f'{known["namespace"]}" ({known["distribution"]})'
        message = f'while the plugin "{name} was imported'
        raise KeyboardInterrupt(message) from error
    except BaseException as error:  # noqa: BLE001  # a plugin may raise anything on import
        return PluginRecord(
            **known,
            state="quarantined",
            reason=error_text(error),
            traceback=traceback.format_exc().encode(errors="backslashreplace").decode(),
        )
    return PluginRecord(**known, components=components, recipes=recipes)


def _load_installed(known: _Known, load: Callable[[], Any]) -> PluginRecord:
    """Load an installed plugin, and add notes about what its authors or the user should change."""
    notes: list[str] = []
    start = time.perf_counter()
    record = _load(known, load)
    if (seconds := time.perf_counter() - start) >= SLOW:
        notes.append(f"takes {seconds:.1f} s to import at every start of ganzoo")
    if (
        _normalised(known["distribution"]) != CORE
        and len(versions := _installed_versions(known["distribution"])) > 1
    ):
        notes.append(
            f"is installed as {' and as '.join(versions)}: uninstall it until none is left"
        )
    if record.state == "ok" and not (record.components or record.recipes):
        notes.append("contains neither components nor recipes")
    return replace(record, notes=tuple(notes))


def _installed_versions(distribution: str) -> list[str]:
    """Return the versions in a distribution's metadata; a failed installation leaves several."""
    found = importlib.metadata.distributions(name=distribution)
    return sorted({_name_and_version(dist)[1] for dist in found})


def _load_file(path: Path, taken: set[str]) -> PluginRecord:
    """Load a user's file as a plugin whose namespace is the stem of the file's name.

    The folder is appended to `sys.path`, so that targets such as `my_gan:Net` can be imported here
    and in loader processes. Installed modules come first, so the file hides none of them.

    Raises:
        UsageError: the file doesn't exist, or its name is invalid or already taken.
    """
    path = path.resolve()
    namespace = path.stem
    if not path.is_file() or path.suffix != ".py":
        raise UsageError(f"--plugin: {path} is not a Python file")
    if not _NAMESPACE.fullmatch(namespace):
        raise UsageError(
            f'--plugin: "{namespace}" is not a valid namespace',
            hint="rename the file: use lower-case letters, digits and _, a letter first",
        )
    if namespace in taken:
        raise UsageError(
            f'--plugin: the namespace "{namespace}" is taken by an installed plugin',
            hint="rename the file",
        )

    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    importlib.invalidate_caches()
    spec = importlib.util.find_spec(namespace)
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != path:
        raise UsageError(
            f'--plugin: a Python module "{namespace}" exists already', hint="rename the file"
        )
    known: _Known = {
        "namespace": namespace,
        "distribution": str(path),
        "version": "",
        "module": namespace,
    }
    return _load(known, lambda: importlib.import_module(namespace))
