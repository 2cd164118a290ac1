"""Applications of a task: which of them is meant, what it draws, and its options."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import ValidationError

from ganzoo.api import Chosen, Options
from ganzoo.errors import PluginError, UsageError
from ganzoo.interfaces import Application, Field, NetIO
from ganzoo.plugin_system.option_errors import explain
from ganzoo.plugin_system.suggestions import did_you_mean
from ganzoo.recipe.override import read_setting

Command = Literal["predict", "sample", ""]
"""What an application is wanted for: to take files, to draw its inputs, or either."""

LABEL = "label"
"""The name under which tasks draw class indices."""


def available(task: Chosen, roles: Collection[str]) -> dict[str, Application]:
    """Return the applications of a task whose networks are all among these roles."""
    every: Mapping[str, Application] = task.load().applications
    return {name: one for name, one in every.items() if set(one.roles) <= set(roles)}


def pick(
    task: Chosen,
    fields: Mapping[str, Field],
    roles: Collection[str],
    name: str | None = None,
    command: Command = "",
) -> str:
    """Return the application that is meant: the named one, or the first one that suits a command.

    Args:
        task: the task.
        fields: the fields of the data.
        roles: the networks that are there.
        name: what the user named.
        command: what it is for. If none suits it, the first application is returned, so that the
            command can say what it does instead.

    Raises:
        UsageError: there is no such application, or a network that it needs isn't there.
    """
    every: Mapping[str, Application] = task.load().applications
    if name is not None and name not in every:
        raise UsageError(
            f"{task.id} has no application {name!r}",
            hint="\n".join(filter(None, (did_you_mean(name, every), _listed(every, fields)))),
        )
    there = available(task, roles)
    drawing = command == "sample"
    suiting = [one for one in there if command and draws_all(there[one]) == drawing]
    first = [name] if name is not None else [*suiting, *there, *every]
    if not first:
        raise UsageError(f"{task.id} has no applications: its networks can't be used")
    if first[0] in there:
        return first[0]
    needed = " and ".join(every[first[0]].roles)
    raise UsageError(
        f"the application {first[0]} of {task.id} needs the weights of {needed}, and here are only "
        f"those of {' and '.join(sorted(roles)) or 'none'}",
        hint="Give a run directory, a checkpoint's folder with all of these weights, or a bundle "
        "that has them (`ganzoo bundle RUN -o FILE`).",
    )


def _listed(every: Mapping[str, Application], fields: Mapping[str, Field]) -> str:
    lines = [f"  --application {name}  ({direction(one, fields)})" for name, one in every.items()]
    return "\n".join(["Its applications are:", *lines])


def draws_all(application: Application) -> bool:
    """Return whether an application draws all of its inputs, and takes none from data or files."""
    return not taken_by(application)


def taken_by(application: Application) -> list[str]:
    """Return the names of the inputs that are taken from data or files, and not drawn."""
    return [name for name in application.takes if name not in application.draws]


def from_files(application: Application, fields: Mapping[str, Field]) -> list[str]:
    """Return the names of the inputs that are taken and aren't the masks of other inputs."""
    given = taken_by(application)
    masks = {fields[name].mask for name in given}
    return [name for name in given if name not in masks] or given


def lacking(application: Application, fields: Mapping[str, Field]) -> list[str]:
    """Return the names of the inputs that are neither drawn nor fields of the data.

    They are inputs of its networks, which only files can give.
    """
    return [name for name in taken_by(application) if name not in fields]


def beside_files(application: Application, fields: Mapping[str, Field]) -> str:
    """Return a hint for an application that takes more than files give.

    Args:
        application: the application.
        fields: the fields of the data that its networks were trained on.
    """
    if lacking(application, fields):
        return "Neither files nor the run's data give all of them."
    return "`ganzoo evaluate RUN` gives it every field of the run's data."


def label_classes(io: Iterable[NetIO]) -> int:
    """Return how many classes the index has that tasks draw as `label`; 0 if that isn't known.

    It is the input of that name; without one, the only input that is a class index.

    Args:
        io: the inputs and outputs of an application's networks.
    """
    counts = {
        name: field.classes
        for its in io
        for name, field in its.inputs.items()
        if field.format == "ganzoo/class"
    }
    if LABEL in counts:
        return counts[LABEL]
    return next(iter(counts.values())) if len(counts) == 1 else 0


def direction(application: Application, fields: Mapping[str, Field]) -> str:
    """Return what an application turns into what, as the data's user calls it: `cats -> dogs`."""

    def called(names: Sequence[str]) -> str:
        return " and ".join((fields[one].called if one in fields else "") or one for one in names)

    return f"{called(application.takes)} -> {called(application.gives)}"


def fields_of(
    application: Application, fields: Mapping[str, Field], io: Mapping[str, NetIO]
) -> dict[str, Field]:
    """Return the data's fields, and those of an application that only its networks know.

    Args:
        application: the application.
        fields: of the data, as the networks see them.
        io: the inputs and outputs of the networks, by role.
    """
    own: dict[str, Field] = {}
    for role in application.roles:
        for side, names in (
            (io[role].inputs, application.takes),
            (io[role].outputs, application.gives),
        ):
            own |= {name: side[name] for name in names if name in side and name not in own}
    return own | dict(fields)


def read_settings(arguments: Sequence[str]) -> dict[str, Any]:
    """Return what several `--option KEY=VALUE` say, the last one of a key.

    Raises:
        UsageError: one isn't like that, or its value can't be read.
    """
    return dict(read_setting("--option", argument) for argument in arguments)


def choices_of(task: Chosen, name: str, given: Mapping[str, Any]) -> Options:
    """Return the options of an application, checked.

    Args:
        task: the task.
        name: of the application.
        given: values by key; the other options have their defaults.

    Raises:
        UsageError: a key or a value isn't legal; all problems are listed.
        PluginError: an option has no default.
    """
    model: type[Options] = task.load().applications[name].options
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        problems = explain(error, model, given)
    lacking = [problem.loc[0] for problem in problems if problem.loc[0] not in given]
    if lacking:
        raise PluginError(
            f"the option {lacking[0]!r} of the application {name} of {task.id} has no default",
            hint="Each option of an application needs one; report this to the plugin's authors.",
        )
    lines = [
        f"{'.'.join(map(str, one.loc))}: {one.message}" + (f" ({one.hint})" if one.hint else "")
        for one in problems
    ]
    raise UsageError(
        f"--option of the application {name} of {task.id}: {'; '.join(lines)}",
        hint=_known_options(model),
    )


def _known_options(model: type[Options]) -> str:
    lines = [
        f"  {name} = {info.get_default(call_default_factory=True)!r}  {info.description or ''}"
        for name, info in model.model_fields.items()
    ]
    return "\n".join(["Its options and their defaults:", *lines]) if lines else ""
