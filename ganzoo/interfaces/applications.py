"""Applications: the uses of a task's trained networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ganzoo.api import Options


@dataclass(frozen=True)
class Application:
    """One use of trained networks, by its name in `Task.applications`.

    Args:
        takes: the names of the fields that go in, at least one: fields of the data, inputs of its
            networks, which `ganzoo predict` reads from files, or fields in `draws`.
        gives: the names of the fields that come out, at least one: fields of the data, or outputs
            of its networks. `ganzoo evaluate` scores those that the data have.
        roles: the networks that it calls, at least one.
        options: its own options, which the command line sets by `--option KEY=VALUE`. Each needs a
            default value.
        draws: those of `takes` that `Task.draw` makes, such as noise. If it makes all of them,
            `ganzoo sample` runs the application, otherwise `ganzoo predict` does.
    """

    takes: tuple[str, ...]
    gives: tuple[str, ...]
    roles: tuple[str, ...]
    options: type[Options] = Options
    draws: tuple[str, ...] = ()


def roles_in_use(applications: Mapping[str, Application]) -> tuple[str, ...]:
    """Return every role that an application uses, each once."""
    return tuple(dict.fromkeys(role for one in applications.values() for role in one.roles))
