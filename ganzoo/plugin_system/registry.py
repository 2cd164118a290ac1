"""The registry, which finds the component with a name and checks its options.

Programs call `activate()`. A unit test that builds options by hand needs it too, since options may
name other components.
"""

from __future__ import annotations

import fnmatch
import itertools
import logging
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo import api
from ganzoo.api import KINDS, Component, Kind, set_resolver
from ganzoo.errors import GanzooError, PluginError, RecipeError, error_text
from ganzoo.plugin_system import discovery
from ganzoo.plugin_system.discovery import Entry
from ganzoo.plugin_system.installed_plugins import distribution_of
from ganzoo.plugin_system.suggestions import did_you_mean, quoted, with_article

if TYPE_CHECKING:
    from ganzoo.api import Chosen, Options
    from ganzoo.plugin_system.option_errors import Loc

__all__ = ["Entry", "Registry", "activate", "current"]

CORE_KEYS: dict[Kind, tuple[str, ...]] = {
    "augment": ("on",),
    "data": ("fallback",),
    "loss": ("name",),
    "optimizer": ("clip", "schedule", "begin", "rest_above"),
}
"""For each kind, the keys of a component's table, besides `use`, that aren't options of the
component."""
NESTED: dict[Kind, dict[str, Kind]] = {
    "data": {"fallback": "data"},
    "optimizer": {"schedule": "schedule"},
}
"""For each kind, those of `CORE_KEYS` that name a component, with that one's kind."""
SHORT_KEYS: dict[Kind, str] = {"optimizer": "name", "schedule": "shape"}
"""For each kind, the key that is short for `use` with a component of the core: `name = "sgd"` for
`use = "ganzoo/sgd"`."""
DEFAULTS: dict[Kind, str] = {"optimizer": "ganzoo/adam", "schedule": "ganzoo/constant"}
"""For each kind, the component of a table that names none, where a recipe may leave it out."""

log = logging.getLogger(__name__)


class Registry:
    """The components of all working plugins, and the reasons why other plugins don't work.

    Args:
        records: the records of `ganzoo.plugin_system.discovery.discover`.
    """

    def __init__(self, records: Iterable[discovery.PluginRecord]) -> None:
        self.records = tuple(records)
        self._by_namespace: dict[str, discovery.PluginRecord] = {}
        for record in self.records:
            known = self._by_namespace.get(record.namespace)
            if known is None or known.state != "ok":
                self._by_namespace[record.namespace] = record
        self._entries: dict[tuple[str, str], Entry] = {}
        for record in self.records:
            for component in record.components:
                entry = Entry(f"{record.namespace}/{component.name}", component, record)
                self._entries[component.kind, entry.id] = entry
        self._told: set[str] = set()

    def components(self, kind: Kind | None = None, pattern: str | None = None) -> tuple[Entry, ...]:
        """Return components sorted by kind and id, without former ids of renamed components.

        Args:
            kind: the kind of the components; None for all kinds.
            pattern: the pattern of the ids, such as `gan/*` or `*flip*`. Without a wildcard it
                matches every id that contains it.
        """
        if pattern is not None and not any(sign in pattern for sign in "*?["):
            pattern = f"*{pattern}*"
        return tuple(
            sorted(
                (
                    entry
                    for (its_kind, its_id), entry in self._entries.items()
                    if kind in {None, its_kind}
                    and (pattern is None or fnmatch.fnmatchcase(its_id, pattern))
                    and not entry.component.renamed_to
                ),
                key=lambda entry: (KINDS.index(entry.component.kind), entry.id),
            )
        )

    def find(self, kind: Kind, name: str) -> Component:
        """Return the component of a kind with this id.

        A former id leads to the renamed component, with one warning for each former id.

        Raises:
            RecipeError: an installed plugin has no such component; the hint has the nearest ids
                (exit code 3).
            PluginError: the plugin is missing, blocked or quarantined; the message has the cause
                (exit code 4).
        """
        return self.entry(kind, name).component

    def entry(self, kind: Kind, name: str) -> Entry:
        """Return the same as `find`, together with the present id and the plugin's record."""
        ids = self._renamed(kind, name)
        if ids[-1] in ids[:-1]:
            authors = self._entries[kind, name].record.distribution
            raise PluginError(
                f"{name} was renamed in a circle: {' -> '.join(ids)}",
                hint=f"report this to the authors of {authors}",
            )
        for former, present in itertools.pairwise(ids):
            if former not in self._told:
                self._told.add(former)
                log.warning("%s is now called %s", former, present)
        entry = self._entries.get((kind, ids[-1]))
        if entry is None:
            raise self._unknown(kind, ids[-1])
        return entry

    def _renamed(self, kind: Kind, name: str) -> list[str]:
        """Return an id and the ids that it was renamed to; in a circle, one of them is twice."""
        ids = [name]
        while (entry := self._entries.get((kind, ids[-1]))) and entry.component.renamed_to:
            again = entry.component.renamed_to in ids
            ids.append(entry.component.renamed_to)
            if again:
                break
        return ids

    def present_id(self, kind: Kind, name: str) -> str:
        """Return the present id for a stored one, which differs if the component was renamed."""
        return self._renamed(kind, name)[-1]

    def record_of(self, name: str) -> discovery.PluginRecord:
        """Return the record of the plugin that owns an id's namespace, whatever its state is.

        Raises:
            PluginError: no such plugin is installed.
        """
        namespace = name.partition("/")[0]
        record = self._by_namespace.get(namespace)
        if record is None:
            distribution = distribution_of(namespace)
            near = did_you_mean(namespace, self._by_namespace)
            source = (
                f"it is usually in the distribution {distribution} (`ganzoo plugins install "
                f"{distribution}`); a plugin file of your own needs --plugin FILE; "
                "`ganzoo plugins` lists what is installed"
            )
            raise PluginError(
                f'no plugin "{namespace}" is installed', hint=f"{near}\n{source}".strip()
            )
        return record

    def lookup(self, name: str) -> tuple[Entry, ...]:
        """Return the components of all kinds with this id.

        Raises:
            RecipeError, PluginError: there is none; the reasons are those of `find`.
        """
        kinds = [its_kind for its_kind in KINDS if (its_kind, name) in self._entries]
        if not kinds:
            raise self._unknown(None, name)
        return tuple(self.entry(kind, name) for kind in kinds)

    def _unknown(self, kind: Kind | None, name: str) -> GanzooError:
        """Return the error that explains why there is no component of a kind with a name."""
        noun, command = kind or "component", f"ganzoo list {kind or ''}".strip()
        ids = [entry.id for entry in self.components(kind)]
        nearest = _nearest(name, ids)
        if "/" not in name:
            return RecipeError(
                f"{quoted(name)} is not the id of {with_article(noun)}: ids have the form "
                "namespace/name",
                hint=nearest or f"`{command}` lists them",
            )
        try:
            record = self.record_of(name)
        except PluginError as error:
            return error
        if record.state != "ok":
            return PluginError(
                f'the plugin "{record.namespace}" is {record.state}: {record.reason}',
                hint="`ganzoo plugins --verbose` shows the details",
            )
        kinds = [its_kind for its_kind, its_id in self._entries if its_id == name]
        if kinds:
            return RecipeError(
                f"{quoted(name)} is {with_article(kinds[0])}, not {with_article(noun)}",
                hint=f"`{command}` lists what fits",
            )
        return RecipeError(
            f'the plugin "{record.namespace}" has no {noun} {quoted(name)}',
            hint=nearest or f"`{command}` lists them",
        )

    def options_model(self, entry: Entry) -> type[Options]:
        """Import and return the options class of a component.

        Raises:
            PluginError: the class can't be imported, isn't a subclass of `Options` (of
                `OptimizerOptions` for an optimizer), or has an option whose key belongs to the
                core.
        """
        where = f"{entry.record.distribution}, {entry.component.place}"
        try:
            model = entry.component.options_class()
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"the options of {entry.id} can't be imported: {error_text(error)}",
                where=where,
                hint=f"reinstall {entry.record.distribution}, or report this to its authors",
            ) from error
        base = api.OptimizerOptions if entry.component.kind == "optimizer" else api.Options
        if not (isinstance(model, type) and issubclass(model, base)):
            raise PluginError(
                f"the options of {entry.id} are not a subclass of ganzoo.api.{base.__name__}",
                where=where,
            )
        kind = entry.component.kind
        taken = {"use", *CORE_KEYS.get(kind, ()), SHORT_KEYS.get(kind)}
        for key in (info.alias or name for name, info in model.model_fields.items()):
            if key in taken:
                raise PluginError(
                    f'the option "{key}" of {entry.id} could never be set: '
                    f"it is a key of every {entry.component.kind}'s table",
                    where=where,
                    hint=f"report this to the authors of {entry.record.distribution}",
                )
        return model

    def choose(self, kind: Kind, value: str | Mapping[str, Any], loc: Loc = ()) -> Chosen:
        """Return the component that a string or table names, with validated options.

        Args:
            kind: the kind that the component must have.
            value: `"namespace/name"`, or a table with `use`, options and optionally `preset`.
            loc: the place of the table, which is put before the location of each problem.

        Raises:
            ChoiceError: the table or one nested in it has problems; the error has all of them.
        """
        from ganzoo.plugin_system.component_choice import choose  # imports pydantic, which is slow

        return choose(self, kind, value, loc)


def _nearest(name: str, ids: Iterable[str]) -> str:
    """Return `did you mean ...?` for ids whose last part is similar to that of a name, or "".

    Ids of the plugin that the name begins with come first.
    """
    namespace, _, last = name.rpartition("/")
    by_last: dict[str, list[str]] = {}
    for one in ids:
        by_last.setdefault(one.rpartition("/")[2], []).append(one)
    near = [one for like in get_close_matches(last, by_last) for one in by_last[like]]
    near.sort(key=lambda one: not one.startswith(f"{namespace}/"))
    return f"did you mean {' or '.join(map(quoted, near[:3]))}?" if near else ""


_active: Registry | None = None


def activate(
    *,
    block: Iterable[str] = (),
    files: Iterable[str | Path] = (),
    records: Iterable[discovery.PluginRecord] | None = None,
) -> Registry:
    """Discover plugins once, and use their components for options that name components.

    A second call without arguments returns the active registry. A call with arguments makes a new
    registry and activates it.

    Args:
        block: plugins not to load, as `ganzoo.plugin_system.discovery.discover` takes them.
        files: Python files to load as plugins.
        records: records to use instead of a discovery.
    """
    global _active  # noqa: PLW0603  # one registry a process
    block, files = tuple(block), tuple(files)
    if _active is None or block or files or records is not None:
        if records is None:
            records = discovery.discover(block=block, files=files)
        _active = Registry(records)
        set_resolver(_active.choose)
    return _active


def current() -> Registry:
    """Return the active registry; without one, the default registry is activated first."""
    return activate()
