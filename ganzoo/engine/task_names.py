"""Check the names that a task gives its networks, players, applications and their inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ganzoo.api import Chosen
from ganzoo.errors import PluginError
from ganzoo.inference.applications import available, fields_of, lacking
from ganzoo.interfaces import Field, NetIO, Task
from ganzoo.recipe.start import ROLE, Start

ACCURACY = "accuracy"
"""The name under which the accuracy of discriminators is kept for the log."""


def check_names(component: str, task: type[Task]) -> None:
    """Check that names can be used for files, for keys of `[start]` and in the log.

    Raises:
        PluginError: when a name can't be used for these, when an application takes, gives or calls
            nothing, or when it calls a role that the task doesn't have or draws what it doesn't
            take.
    """
    for fault in _wrong_names(task):
        raise PluginError(
            f"{component} {fault}",
            hint="The error is in its plugin: report it to its authors.",
        )


def check_inputs(task: Chosen, fields: Mapping[str, Field], io: Mapping[str, NetIO]) -> None:
    """Check that it is known what each application takes whose networks are there.

    Args:
        task: the task.
        fields: the fields of the data.
        io: the inputs and outputs of the networks, by role.

    Raises:
        PluginError: when an input is not drawn, and neither one of the data's fields nor an input
            of the application's networks; or when files can't give the mask of an input that no
            data have.
    """
    hint = "The error is in its plugin: report it to its authors."
    for name, one in available(task, io).items():
        known = fields_of(one, fields, io)
        for missing in lacking(one, fields):
            if missing not in known:
                raise PluginError(
                    f"{task.id} declares an application {name!r} that takes {missing!r}, which is "
                    "neither one of the data's fields nor an input of its networks, and isn't in "
                    "`draws`",
                    hint=f"The data have {', '.join(fields)}. If the application needs one of the "
                    f"data's fields, the task must name it in `needs`. {hint}",
                )
            mask = known[missing].mask
            if mask and (mask not in known or known[missing].nodata is None):
                # Files give a mask by the value that stands for "no data", and in no other way.
                raise PluginError(
                    f"{task.id} declares an application {name!r} that takes {missing!r}, whose mask"
                    f" {mask!r} "
                    + ("files can't give: it has no `nodata`" if mask in known else "isn't known"),
                    hint=hint,
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
    yield from _wrong_applications(task)


def _wrong_applications(task: type[Task]) -> Iterator[str]:
    for name, one in task.applications.items():
        if not (one.takes and one.gives and one.roles):
            yield f"declares an application {name!r} that takes, gives or calls nothing"
        for role in one.roles:
            if role not in task.roles:
                yield f"declares an application {name!r} that calls {role!r}, which is no role"
        for drawn in one.draws:
            if drawn not in one.takes:
                yield (
                    f"declares an application {name!r} that draws {drawn!r}, which it doesn't take"
                )
