"""Every check of a plugin and of each of its components, ready to be made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganzoo.errors import PluginError, UsageError
from ganzoo.plugin_system.discovery import PluginRecord
from ganzoo.plugin_system.registry import Entry, Registry, activate, current
from ganzoo.plugin_system.suggestions import did_you_mean
from ganzoo.testing.kit import LOADS, Check, CheckFailed, NotApplicable, Unusable, all_checks
from ganzoo.testing.subject import Subject


@contextmanager
def _active(registry: Registry) -> Iterator[None]:
    """Let options that name components, and weights, be resolved by this registry for a while."""
    before = current().records
    if before == registry.records:
        yield
        return
    activate(records=registry.records)
    try:
        yield
    finally:
        activate(records=before)


@dataclass(frozen=True)
class Case:
    """A check of one component (or of the plugin); call it with an empty folder to make it."""

    check: Check
    registry: Registry
    record: PluginRecord
    entry: Entry | None
    settings: Mapping[str, Mapping[str, Any]]

    @property
    def id(self) -> str:
        """`check_name:kind namespace/name`; unique among a plugin's cases."""
        return f"{self.check.name}:{self.of}"

    @property
    def of(self) -> str:
        """What is checked, as messages say it: `generator foo/painter`, or `plugin foo`."""
        if self.entry is None:
            return f"plugin {self.record.namespace}"
        return f"{self.entry.component.kind} {self.entry.id}"

    @property
    def names(self) -> frozenset[str]:
        """How expected failures name it: the check of every component, or of this one."""
        return frozenset({self.check.name, self.id})

    def __call__(self, folder: Path) -> None:
        """Make the check.

        Raises:
            CheckFailed: the contract isn't kept.
            NotApplicable: there was nothing to look at, or the component has the check's tag.
            NotTested: something is missing here.
            Unusable: another check fails for the cause that this one can't be made for.
        """
        tags = self.entry.component.tags if self.entry else ()
        if self.check.unless in tags:
            raise NotApplicable(f"it has the tag {self.check.unless}")
        subject = Subject(self.registry, self.record, self.entry, folder, self.settings)
        with _active(self.registry):
            try:
                if self.entry is not None and self.check.name != LOADS:
                    subject.load()
                self.check.function(subject)
            except Unusable as fault:
                if fault.reported_by == self.check.name:
                    raise CheckFailed(str(fault)) from fault
                raise


def refuse_unknown(expected: Iterable[str], found: Sequence[Case], where: str) -> None:
    """Refuse names of expected failures that no case has.

    Args:
        expected: names of checks, or `check_name:kind namespace/name`.
        found: the plugin's cases.
        where: what named them, for the message.

    Raises:
        UsageError: one is unknown.
    """
    known = {name for case in found for name in case.names}
    for name in expected:
        if name not in known:
            raise UsageError(
                f'{where}: the plugin has no check "{name}"',
                hint=did_you_mean(name, known)
                or "`ganzoo plugins check NAME --verbose` lists them",
            )


def cases(
    namespace: str,
    registry: Registry,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[Case]:
    """Every check of a plugin and of each of its components.

    Args:
        namespace: the plugin's.
        registry: `ganzoo.plugin_system.registry.current()`.
        settings: options by component id, over the preset `tiny`.

    Raises:
        PluginError: the plugin isn't installed, or doesn't work.
        UsageError: settings for a component that it doesn't have.
    """
    record = registry.record_of(f"{namespace}/")
    if record.state != "ok":
        raise PluginError(
            f'the plugin "{namespace}" is {record.state}: {record.reason}',
            hint=record.traceback or "`ganzoo plugins --verbose` shows the details",
        )
    entries = [entry for entry in registry.components() if entry.record is record]
    unknown = set(settings or {}) - {entry.id for entry in registry.components()}
    if unknown:
        raise UsageError(f"settings for {min(unknown)}, which isn't installed")
    for one in all_checks().values():
        subjects = (
            [None] if not one.kinds else [e for e in entries if e.component.kind in one.kinds]
        )
        for entry in subjects:
            yield Case(one, registry, record, entry, settings or {})
