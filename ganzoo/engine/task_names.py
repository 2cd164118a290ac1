"""Check the names that a task gives its networks, players and applications."""

from __future__ import annotations

from collections.abc import Iterator

from ganzoo.errors import PluginError
from ganzoo.interfaces import Task
from ganzoo.recipe.start import ROLE, Start

ACCURACY = "accuracy"
"""The name under which the accuracy of discriminators is kept for the log."""


def check_names(component: str, task: type[Task]) -> None:
    """Check that names can be used for files, for keys of `[start]` and in the log.

    Raises:
        PluginError: when a name can't be used for these, when an application takes, gives or calls
            nothing, or when it calls a role that the task doesn't have.
    """
    for fault in _wrong_names(task):
        raise PluginError(
            f"{component} {fault}",
            hint="The error is in its plugin: report it to its authors.",
        )


def _wrong_names(task: type[Task]) -> Iterator[str]:
    for what, names in (("a network", task.roles), ("an application", task.applications)):
        for name in names:
            if not ROLE.fullmatch(name):
                yield f"names {what} {name!r}: only letters, digits, - and _ are allowed"
    for role in task.roles:
        if role in Start.model_fields:
            yield f"names a network {role!r}, which is the name of a setting of [start]"
    if ACCURACY in task.players:
        yield f"names a player {ACCURACY!r}, under which the accuracy of discriminators is logged"
    for name, one in task.applications.items():
        if not (one.takes and one.gives and one.roles):
            yield f"declares an application {name!r} that takes, gives or calls nothing"
        for role in one.roles:
            if role not in task.roles:
                yield f"declares an application {name!r} that calls {role!r}, which is no role"
