"""Check the fields that a data component declares, and that its samples contain them all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ganzoo.api import Chosen
from ganzoo.errors import PluginError
from ganzoo.interfaces import Field


def fields_of(data: Chosen, given: Any) -> Mapping[str, Field]:
    """Return the fields that a data component declares, after checking them.

    Args:
        data: the data component.
        given: the value of its `fields`.

    Raises:
        PluginError: when the value isn't a mapping of names to fields, when it is empty, or when an
            field has a range of its own.
    """
    whole = isinstance(given, Mapping) and all(isinstance(one, Field) for one in given.values())
    if not whole or not given:
        raise PluginError(
            f"the `fields` of {data.id} must be a dict of Field objects by name",
            hint=f"`ganzoo show {data.id}` names its plugin.",
        )
    for name, field in given.items():
        if field.range is not None:
            raise PluginError(
                f"{data.id} has values from {field.range[0]:g} to {field.range[1]:g} as {name!r}, "
                "but ganzoo shows, saves and scores only the whole range of a file's type",
                hint="Its `fields` must have no `range`, and its floats must be scaled to -1 to 1. "
                f"`ganzoo show {data.id}` names its plugin.",
            )
    fields: Mapping[str, Field] = given
    return fields


def no_sample(made: Any, maker: object, names: Collection[str], data: str) -> PluginError:
    """Return the error for a value that isn't a sample.

    Args:
        made: the value.
        maker: the source or the augmentation that returned it.
        names: the names of the fields that a sample contains.
        data: the data component's id; empty for an augmentation.
    """
    given = f"a {type(made).__name__}, not a sample"
    if isinstance(made, Mapping):
        given = f"samples without {', '.join(sorted(set(names) - made.keys()))}"
    return PluginError(
        f"{data or f'the augment {type(maker).__name__}'} returns {given}",
        where=type(maker).__module__,
        hint=f"A sample must have an array for each field: {', '.join(sorted(names))}. Report "
        "this to its authors.",
    )
