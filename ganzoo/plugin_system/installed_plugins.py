"""The plugins that are installed: their entry points, and the owners of their namespaces.

A namespace belongs to the one distribution that declares it. Those of ganzoo itself are reserved.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import ganzoo
from ganzoo.errors import UsageError

GROUP = "ganzoo.plugins"
CORE = ganzoo.DISTRIBUTION
"""The distribution whose namespaces are reserved: no other distribution can have one of them."""

PREFIX = "ganzoo-"
"""The beginning of the usual name of a plugin's distribution. The namespace follows it."""

UNKNOWN = "unknown"
"""The name of a distribution whose metadata have none."""

NAMESPACE = re.compile(r"[a-z][a-z0-9_]*")
"""What a namespace looks like."""


class Known(TypedDict):
    namespace: str
    distribution: str
    version: str
    module: str


class Installed(NamedTuple):
    entry: importlib.metadata.EntryPoint
    distribution: str
    version: str

    @property
    def of_core(self) -> bool:
        return normalised(self.distribution) == CORE

    def known(self) -> Known:
        return {
            "namespace": self.entry.name,
            "distribution": self.distribution,
            "version": self.version,
            "module": self.entry.value,
        }


def blocked_by_user(
    found: Iterable[Installed], block: Iterable[str], environ: Mapping[str, str]
) -> dict[Installed, str]:
    """Return the plugins that the user doesn't want to load, each with the reason.

    Raises:
        UsageError: `block` names neither a namespace nor a distribution of `found`.
    """
    blocked: dict[Installed, str] = {}
    if environ.get("GANZOO_PLUGIN_AUTOLOAD", "1").strip().lower() in {"0", "false", "no"}:
        reason = "not loaded because of GANZOO_PLUGIN_AUTOLOAD=0"
        blocked.update((plugin, reason) for plugin in found if not plugin.of_core)
    names = [
        (name.strip(), "GANZOO_DISABLE_PLUGINS")
        for name in environ.get("GANZOO_DISABLE_PLUGINS", "").split(",")
    ]
    for name, by in (*names, *((name, f"--no-plugin {name}") for name in block)):
        # Distributions are searched first, because a namespace that two of them declare doesn't say
        # which of the two is meant.
        named = [one for one in found if normalised(one.distribution) == normalised(name)]
        named = named or [one for one in found if one.entry.name == name]
        if not named and by != "GANZOO_DISABLE_PLUGINS":
            raise UsageError(
                f'--no-plugin: no plugin "{name}" is installed',
                hint="installed: "
                + (", ".join(sorted({one.entry.name for one in found})) or "none"),
            )
        blocked.update((plugin, f"blocked by {by}") for plugin in named)
    return blocked


def installed_plugins(
    entry_points: Iterable[importlib.metadata.EntryPoint] | None,
) -> Iterator[Installed]:
    """Yield each entry point once, with the name and version of its distribution.

    They are sorted by name. Of several with the same name, that of the core comes first.

    An editable install can list an entry point twice, so entry points with the same name, value and
    distribution count as one. A checkout that was installed under ganzoo's former name counts as
    ganzoo until it is installed again.
    """
    if entry_points is None:
        entry_points = importlib.metadata.entry_points(group=GROUP)
    names: dict[int, tuple[str, str]] = {}  # metadata are slow to read, so once per distribution
    seen: dict[tuple[str, str, str], Installed] = {}
    entry_points = list(entry_points)
    for entry in entry_points:
        if id(entry.dist) not in names:
            names[id(entry.dist)] = name_and_version(entry.dist)
    installed = {normalised(name) for name, _ in names.values()}
    for entry in entry_points:
        name, version = names[id(entry.dist)]
        if normalised(name) == ganzoo.FORMER_DISTRIBUTION:
            if CORE in installed:
                continue
            name = CORE
        key = (entry.name, normalised(name), entry.value)
        seen.setdefault(key, Installed(entry, name, version))
    yield from sorted(
        seen.values(), key=lambda one: (one.entry.name, not one.of_core, one.entry.value)
    )


def hidden() -> Iterator[tuple[Installed, str]]:
    """Yield plugins that other metadata of the same distribution hide from Python, each with why.

    An interrupted installation or uninstallation can leave metadata without entry points. Python
    lists entry points only of the first metadata on `sys.path` with a distribution's name, so those
    of the actual plugin are missing.
    """
    metadata: dict[str, list[importlib.metadata.Distribution]] = {}
    for dist in importlib.metadata.distributions():
        if name := normalised(_path_of(dist).stem.partition("-")[0]):
            metadata.setdefault(name, []).append(dist)
    for first, *others in metadata.values():
        if not others or any(one.group == GROUP for one in first.entry_points):
            continue
        for dist in others:
            distribution, version = name_and_version(dist)
            for entry in dist.entry_points:
                if entry.group == GROUP:
                    why = f"hidden by {_path_of(first)}, which comes first and declares no plugin"
                    yield Installed(entry, distribution, version), f"{why}: remove it"


def _path_of(dist: importlib.metadata.Distribution) -> Path:
    """Return the folder of a distribution's metadata; only Python's own finders tell it."""
    return Path(str(getattr(dist, "_path", "")))


def name_and_version(dist: importlib.metadata.Distribution | None) -> tuple[str, str]:
    """Return a distribution's name and version, or substitutes where its metadata lack them."""
    metadata: Mapping[str, Any] = {}
    if dist is not None:
        metadata = dist.metadata or {}  # type: ignore[assignment]  # a Message, or None
    return metadata.get("Name") or UNKNOWN, metadata.get("Version") or ""


def distribution_of(namespace: str) -> str:
    """Return the usual distribution of a namespace: `ganzoo-my-gan` of `my_gan`."""
    return f"{PREFIX}{normalised(namespace)}"


def normalised(distribution: str) -> str:
    """Return a distribution's name in the normalised form of the packaging standards."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def refusal(plugin: Installed, found: Iterable[Installed], blocked: Mapping[Installed, str]) -> str:
    """Return why an entry point can't be used, or an empty string.

    Its namespace may be invalid, reserved or declared by another distribution too, its value may be
    invalid, or the metadata of its distribution damaged.
    """
    namespace, value = plugin.entry.name, plugin.entry.value
    if not NAMESPACE.fullmatch(namespace):
        return (
            f'"{namespace}" is not a valid namespace: use lower-case letters, digits and _, '
            "a letter first"
        )
    if plugin.distribution == UNKNOWN:
        return "its distribution has no name, so its installation is incomplete: install it again"
    if plugin.entry.pattern.match(value) is None:
        return f'its entry point "{value}" is not like "module" or "module:object"'
    claims = [one for one in found if one.entry.name == namespace]
    reserved = namespace == "ganzoo" or any(one.of_core for one in claims)
    if reserved and not plugin.of_core:
        return (
            f'the namespace "{namespace}" is reserved for {CORE}: '
            f"`pip uninstall {plugin.distribution}` removes this plugin"
        )
    rivals = [one for one in claims if one.of_core or not reserved]
    return _clash([one.distribution for one in rivals if one not in blocked], namespace)


def _clash(claims: Sequence[str], namespace: str) -> str:
    """Return why a namespace that these distributions declare is nobody's, or an empty string."""
    rivals = list(dict.fromkeys(claims))
    if len(rivals) > 1:
        remove = " or ".join(f"`pip uninstall {one}`" for one in rivals)
        return (
            f'the namespace "{namespace}" is declared by {" and by ".join(rivals)}, and none of '
            f"them is loaded: {remove} removes one, and --no-plugin {rivals[-1]} leaves one out"
        )
    if len(claims) > 1:
        return f'{rivals[0]} declares the namespace "{namespace}" twice: install it again'
    return ""
