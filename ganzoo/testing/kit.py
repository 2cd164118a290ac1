"""What a check is, what it is given, and how it says no: the frame of the conformance kit."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ganzoo.api import KINDS, TAGS, Kind
from ganzoo.errors import error_text

if TYPE_CHECKING:
    from ganzoo.testing.subject import Subject

Function: TypeAlias = "Callable[[Subject], None]"
"""A check as it is written."""

MODULES: tuple[str, ...] = (
    "checks_plugin",
    "checks_options",
    "checks_networks",
    "checks_network_training",
    "checks_losses",
    "checks_loss_values",
    "checks_data",
    "checks_augments",
    "checks_diffaugments",
    "checks_tasks",
    "checks_metrics",
    "checks_callbacks",
    "checks_optimizers",
    "checks_schedules",
    "checks_formats",
)
"""Modules of this package with checks, in the order in which these are made. They are imported when
checks are asked for, since some import torch, and a pytest plugin has to be light."""

LOADS = "check_loads"
"""The check that reports a component that can't be loaded, or whose options can't be chosen."""


class CheckFailed(AssertionError):  # noqa: N818  # what pytest shows
    """A component breaks a rule of the contract; the message says which, and what to do."""


class NotApplicable(Exception):  # noqa: N818  # no error: a reason
    """The check does not concern this component; the message says why."""


class NotTested(Exception):  # noqa: N818  # no error: a reason
    """The check concerns this component and could not be made here; the message says why.

    The data of a recipe are missing, for example. It is no fault of the component, and no sign that
    the component is sound: reports count it apart, and do not end with success.
    """


class Unusable(Exception):  # noqa: N818  # no error: a reason
    """What several checks begin with fails; the message says why, and `reported_by` which tells.

    One cause gives one failure: the check `reported_by` fails, or is not tested where something is
    missing here, and the others are not tested.
    """

    def __init__(self, message: str, *, reported_by: str) -> None:
        super().__init__(message)
        self.reported_by = reported_by

    @property
    def pointer(self) -> str:
        """For the reports of the other checks: who tells, and the first line of it."""
        return f"{self.reported_by} reports: {str(self).partition(chr(10))[0]}"


def require(condition: object, message: str) -> None:
    """Fail the check unless the condition holds; unlike `assert`, also under `python -O`.

    Raises:
        CheckFailed: with the message.
    """
    if not condition:
        raise CheckFailed(message)


def told(error: Exception) -> str:
    """Return an exception of a plugin's code as text, and where it was raised."""
    *_, call = traceback.extract_tb(error.__traceback__)
    return f"{error_text(error)}\n  {call.filename}:{call.lineno} in {call.name}: {call.line}"


@dataclass(frozen=True)
class Check:
    """One requirement of the contract.

    Args:
        name: the name of the function, such as `check_options_round_trip`.
        summary: the first line of the function's docstring, which states the requirement.
        kinds: the kinds of components that it checks; empty for a check of the whole plugin.
        slow: whether it takes more than a few seconds, because it starts other processes.
        advisory: whether it judges the component's quality, and not what others rely on; its
            failure is reported and isn't the plugin's.
        unless: the tag of components that need not pass it; empty for none.
        function: the check; it raises one of this module's exceptions, or returns.
    """

    name: str
    summary: str
    kinds: frozenset[Kind]
    slow: bool
    advisory: bool
    unless: str
    function: Function

    @property
    def of_one_kind(self) -> bool:
        """Whether it looks at what the component does, and not at its options alone."""
        return bool(self.kinds) and self.kinds != set(KINDS)


CHECKS: dict[str, Check] = {}
"""Every check of the modules imported so far; `all_checks` imports the rest."""


def check(
    *kinds: Kind, slow: bool = False, advisory: bool = False, unless: str = ""
) -> Callable[[Function], Function]:
    """Make a function `check_...(subject)` one of the checks.

    Args:
        kinds: of components that it looks at; none: it looks at whole plugins.
        slow: whether it takes more than a few seconds.
        advisory: whether a failure is advice, since no other component relies on what is checked.
        unless: the tag (of `ganzoo.api.TAGS`) of components that need not pass it.
    """

    def register(function: Function) -> Function:
        name = function.__name__
        summary = (function.__doc__ or "").partition("\n")[0].rstrip(".")
        if not name.startswith("check_") or not summary or name in CHECKS:
            message = f"{name}: a check has its own name check_... and a docstring"
            raise ValueError(message)
        if unless and unless not in TAGS:
            message = f"{name}: there is no tag {unless!r}"
            raise ValueError(message)
        CHECKS[name] = Check(name, summary, frozenset(kinds), slow, advisory, unless, function)
        return function

    return register


def all_checks() -> Mapping[str, Check]:
    """Every check by name, in the order in which they are made; imports torch."""
    for module in MODULES:
        importlib.import_module(f"{__package__}.{module}")

    def place(one: Check) -> int:  # another module may have been imported before the first one
        return MODULES.index(one.function.__module__.rpartition(".")[2])

    return {one.name: one for one in sorted(CHECKS.values(), key=place)}
