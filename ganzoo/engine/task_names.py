"""Check the names that a task gives its networks and applications."""

from __future__ import annotations

from collections.abc import Iterator

from ganzoo.errors import PluginError
from ganzoo.interfaces import Task
from ganzoo.recipe.start import ROLE, Start


def check_names(component: str, task: type[Task]) -> None:
    """Check that roles and applications can be names of files, and roles keys of `[start]`.

    Raises:
        PluginError: they can't, or an application lacks something or uses what is no role.
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
    for name, one in task.applications.items():
        if not (one.takes and one.gives and one.roles):
            yield f"declares an application {name!r} that takes, gives or calls nothing"
        for role in one.roles:
            if role not in task.roles:
                yield f"declares an application {name!r} that calls {role!r}, which is no role"
