"""The discovery of plugins: which are installed, which work, and what is wrong with the others.

A plugin is an entry point of the group `ganzoo.plugins`. Its name is the namespace of the plugin's
components, and its value names a light module, which declares them. A namespace belongs to the one
distribution that declares it. A plugin that can't be used is quarantined: it is left out and its
reason is recorded. This is why pluggy's own loader of entry points isn't used: with it the first
broken plugin ends the program, and duplicates are dropped without a message.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ganzoo.api import Component
from ganzoo.errors import UsageError, error_text
from ganzoo.plugin_system.declarations import RefusedError, ask
from ganzoo.plugin_system.installed_plugins import (
    CORE,
    NAMESPACE,
    Known,
    blocked_by_user,
    hidden,
    installed_plugins,
    name_and_version,
    normalised,
    refusal,
)

SLOW = 0.5
"""The wall-clock time in seconds from which on the import of a plugin is called slow."""


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
        block: distributions or namespaces not to load (`--no-plugin`). Where two distributions
            declare one namespace, this picks the other one.
        files: Python files to load as plugins (`--plugin`); the stem is the namespace.
        environ: the environment variables, by default `os.environ`. `GANZOO_DISABLE_PLUGINS` has
            more names to block, separated by commas. With `GANZOO_PLUGIN_AUTOLOAD=0` only
            ganzoo's own plugins and `files` are loaded.
        entry_points: entry points to use instead of the installed ones.

    Raises:
        UsageError: `block` names a plugin that isn't installed, or a file doesn't exist, has an
            invalid name, or has a name that is already taken.
    """
    environ = os.environ if environ is None else environ
    found = list(installed_plugins(entry_points))
    blocked = blocked_by_user(found, block, environ)
    records: list[PluginRecord] = []
    for plugin in found:
        if why := blocked.get(plugin):
            records.append(PluginRecord(**plugin.known(), state="blocked", reason=why))
        elif why := refusal(plugin, found, blocked):
            records.append(PluginRecord(**plugin.known(), state="quarantined", reason=why))
        else:
            records.append(_load_installed(plugin.known(), plugin.entry.load))
    if entry_points is None:
        declared = {plugin.entry.name for plugin in found}
        records += [
            PluginRecord(**plugin.known(), state="quarantined", reason=why)
            for plugin, why in hidden()
            if plugin.entry.name not in declared
        ]
    for file in files:
        records.append(_load_file(Path(file), {record.namespace for record in records}))
    return tuple(records)


def _load(known: Known, load: Callable[[], Any]) -> PluginRecord:
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


def _load_installed(known: Known, load: Callable[[], Any]) -> PluginRecord:
    """Load an installed plugin, and add notes about what its authors or the user should change."""
    notes: list[str] = []
    start = time.perf_counter()
    record = _load(known, load)
    if (seconds := time.perf_counter() - start) >= SLOW:
        notes.append(f"takes {seconds:.1f} s to import at every start of ganzoo")
    if (
        normalised(known["distribution"]) != CORE
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
    return sorted({name_and_version(dist)[1] for dist in found})


def _load_file(path: Path, taken: set[str]) -> PluginRecord:
    """Load a user's file as a plugin whose namespace is the stem of the file's name.

    The folder is appended to `sys.path`, so that the file can be imported here and in loader
    processes. Installed modules come first, so the file hides none of them.

    Raises:
        UsageError: the file doesn't exist, or its name is invalid or already taken.
    """
    path = path.resolve()
    namespace = path.stem
    if not path.is_file() or path.suffix != ".py":
        raise UsageError(f"--plugin: {path} is not a Python file")
    if not NAMESPACE.fullmatch(namespace):
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
    known: Known = {
        "namespace": namespace,
        "distribution": str(path),
        "version": "",
        "module": namespace,
    }
    return _load(known, lambda: importlib.import_module(namespace))
