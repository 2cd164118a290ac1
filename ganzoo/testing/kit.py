"""What a check is, what it is given, and how it says no: the frame of the conformance kit."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ganzoo.api import Chosen, Kind, Options, Scalar
from ganzoo.errors import PluginError, UsageError
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.plugin_system.discovery import PluginRecord
from ganzoo.plugin_system.option_errors import key_of
from ganzoo.plugin_system.registry import Entry, Registry, activate, current

MODULES: tuple[str, ...] = (
    "checks_plugin",
    "checks_options",
    "checks_networks",
    "checks_inference",
    "checks_precision",
    "checks_training",
    "checks_losses",
    "checks_loss_use",
    "checks_data",
    "checks_data_repeats",
    "checks_augments",
    "checks_diffaugments",
    "checks_adaptive_diffaugments",
    "checks_tasks",
    "checks_applications",
    "checks_task_use",
    "checks_task_training",
    "checks_task_runs",
    "checks_metrics",
    "checks_callbacks",
    "checks_optimizers",
    "checks_formats",
)
"""Modules of this package with checks, in the order in which these are made. They are imported when
checks are asked for, since some import torch, and a pytest plugin has to be light."""

TINY = "tiny"
"""Preset with a component's smallest useful settings, which checks use where there is one."""


class CheckFailed(AssertionError):  # noqa: N818  # what pytest shows
    """A component breaks a rule of the contract; the message says which, and what to do."""


class NotApplicable(Exception):  # noqa: N818  # no error: a reason
    """The check can't be made here, or does not concern this component; the message says why."""


def require(condition: object, message: str) -> None:
    """Fail the check unless the condition holds; unlike `assert`, also under `python -O`.

    Raises:
        CheckFailed: with the message.
    """
    if not condition:
        raise CheckFailed(message)


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

    def plugin_arguments(self) -> list[str]:
        """What a `ganzoo` in another process needs to know this plugin: `--plugin FILE`, if any."""
        is_file = self.record.distribution.endswith(".py")
        return ["--plugin", self.record.distribution] if is_file else []


def _keys(model: type[Options]) -> set[str]:
    """Names of options, as recipes write them."""
    return {key_of(name, info) for name, info in model.model_fields.items()}


def schedules(subject: Subject) -> Iterator[tuple[str, float, float]]:
    """Options that may be annealed, by their name in recipes, with two values for each."""
    options = subject.choose().options
    for name, info in type(options).model_fields.items():
        value = getattr(options, name)
        if isinstance(value, Scalar):
            start = value.start or 1.0
            yield key_of(name, info), start, start / 2


def refuse_unread(names: Sequence[str], clock: str) -> NoReturn:
    """Say that none of a component's options that may be annealed changes anything.

    Args:
        names: of the options that could be tried.
        clock: what they are read by.

    Raises:
        CheckFailed: there are some.
        NotApplicable: there are none.
    """
    if not names:
        raise NotApplicable("no option of type Scalar")
    ones = ", ".join(names)
    raise CheckFailed(
        f"{ones} may be set, and changes nothing: read it, as `options.{names[0]}.at({clock})`, or "
        "leave it out; where another option switches it off, switch it on in a preset `tiny`"
    )


Function = Callable[[Subject], None]


@dataclass(frozen=True)
class Check:
    """One requirement of the contract.

    Args:
        name: the name of the function, such as `check_options_round_trip`.
        summary: the first line of the function's docstring, which states the requirement.
        kinds: the kinds of components that it checks; empty for a check of the whole plugin.
        slow: whether it takes more than a few seconds, because it starts other processes.
        function: the check; it raises `CheckFailed` or `NotApplicable`, or returns.
    """

    name: str
    summary: str
    kinds: frozenset[Kind]
    slow: bool
    function: Function


CHECKS: dict[str, Check] = {}
"""Every check of the modules imported so far; `all_checks` imports the rest."""


def check(*kinds: Kind, slow: bool = False) -> Callable[[Function], Function]:
    """Make a function `check_...(subject)` one of the checks.

    Args:
        kinds: of components that it looks at; none: it looks at whole plugins.
        slow: whether it takes more than a few seconds.
    """

    def register(function: Function) -> Function:
        name = function.__name__
        summary = (function.__doc__ or "").partition("\n")[0].rstrip(".")
        if not name.startswith("check_") or not summary or name in CHECKS:
            message = f"{name}: a check has its own name check_... and a docstring"
            raise ValueError(message)
        CHECKS[name] = Check(name, summary, frozenset(kinds), slow, function)
        return function

    return register


def all_checks() -> Mapping[str, Check]:
    """Every check by name, in the order in which they are made; imports torch."""
    for module in MODULES:
        importlib.import_module(f"{__package__}.{module}")
    return CHECKS


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

    def __call__(self, folder: Path) -> None:
        """Make the check.

        Raises:
            CheckFailed: the contract isn't kept.
            NotApplicable: there was nothing to look at.
        """
        subject = Subject(self.registry, self.record, self.entry, folder, self.settings)
        with _active(self.registry):
            try:
                self.check.function(subject)
            except ChoiceError as error:
                raise CheckFailed(
                    f"its options can't be chosen: {error}\n"
                    f"give it a preset `{TINY}` with its smallest useful settings, or say them "
                    "here (`settings`, `--set`)"
                ) from error


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
