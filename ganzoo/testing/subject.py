"""What a check is given: a component at its smallest, or a plugin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganzoo.api import Chosen, Kind, Options
from ganzoo.errors import error_text
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.plugin_system.discovery import PluginRecord
from ganzoo.plugin_system.option_errors import key_of
from ganzoo.plugin_system.registry import Entry, Registry
from ganzoo.testing.kit import LOADS, Unusable

TINY = "tiny"
"""Preset with a component's smallest useful settings, which checks use where there is one."""


@dataclass(frozen=True)
class Subject:
    """What is checked: one component, or a whole plugin.

    Args:
        registry: everything that is installed.
        record: the plugin.
        entry: the component; None where the check is of the plugin as a whole.
        settings: options by component id, for what neither defaults nor the preset `tiny` can
            know, such as where files are.
        folder: an empty folder for the files of this check.
    """

    registry: Registry
    record: PluginRecord
    entry: Entry | None
    folder: Path
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The component's id, or the plugin's namespace."""
        return self.entry.id if self.entry else self.record.namespace

    @property
    def component(self) -> Entry:
        """The component.

        Raises:
            TypeError: in a check of a whole plugin.
        """
        if self.entry is None:
            message = f"{self.id} is a plugin, not a component"
            raise TypeError(message)
        return self.entry

    def table(self, kind: Kind, name: str) -> dict[str, Any]:
        """A recipe's table for a component, at its smallest: preset `tiny`, then the settings."""
        entry = self.registry.entry(kind, name)
        preset = {"preset": TINY} if TINY in entry.component.presets else {}
        return {"use": name, **preset, **self.settings_of(entry)}

    def settings_of(self, entry: Entry) -> dict[str, Any]:
        """The settings of a component's id, less those that another kind of this id is meant by."""
        settings = dict(self.settings.get(entry.id, {}))
        others = {
            key
            for other in self.registry.lookup(entry.id)
            if settings and other != entry
            for key in _keys(self.registry.options_model(other))
        }
        strange = others - _keys(self.registry.options_model(entry)) if others else set()
        return {key: value for key, value in settings.items() if key not in strange}

    def choose(self, **changes: Any) -> Chosen:
        """The component with its smallest settings and these changes.

        Raises:
            ChoiceError: when they aren't legal.
        """
        kind = self.component.component.kind
        return self.registry.choose(kind, self.table(kind, self.id) | changes)

    def load(self) -> None:
        """Import the component and choose its smallest options, which every check relies on.

        Raises:
            Unusable: it can't be done.
        """
        component = self.component.component
        try:
            component.load()
        except Exception as error:
            message = f"{component.place}: {error_text(error)}"
            raise Unusable(message, reported_by=LOADS) from error
        try:
            self.choose()
        except ChoiceError as error:
            message = (
                f"its options can't be chosen: {error}\n"
                f"give it a preset `{TINY}` with its smallest useful settings, or say them here "
                "(`settings`, `--set`)"
            )
            raise Unusable(message, reported_by=LOADS) from error

    def plugin_arguments(self) -> list[str]:
        """What a `ganzoo` in another process needs to know this plugin: `--plugin FILE`, if any."""
        is_file = self.record.distribution.endswith(".py")
        return ["--plugin", self.record.distribution] if is_file else []


def _keys(model: type[Options]) -> set[str]:
    """Names of options, as recipes write them."""
    return {key_of(name, info) for name, info in model.model_fields.items()}
