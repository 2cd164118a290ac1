"""What data components say and give: fields that ganzoo knows, samples that hold them all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ganzoo.api import Chosen
from ganzoo.errors import PluginError
from ganzoo.interfaces import Field


def fields_of(data: Chosen, given: Any) -> Mapping[str, Field]:
    """What a data component says of its samples.

    Raises:
        PluginError: that is something else, or a range of images that ganzoo can't show.
    """
    whole = isinstance(given, Mapping) and all(isinstance(one, Field) for one in given.values())
    if not whole or not given:
        raise PluginError(
            f"the `fields` of {data.id} aren't a Field by name",
            hint=f"`ganzoo show {data.id}` says whose it is.",
        )
    for name, field in given.items():
        if field.kind == "image" and (field.low, field.high) != (-1, 1):
            raise PluginError(
                f"{data.id} has images from {field.low:g} to {field.high:g} as {name!r}, and "
                "ganzoo shows, saves and scores images from -1 to 1 alone",
                hint=f"Its `fields` must say low = -1 and high = 1, and floats be scaled to that. "
                f"`ganzoo show {data.id}` says whose it is.",
            )
    fields: Mapping[str, Field] = given
    return fields


def no_sample(made: Any, maker: object, names: Collection[str], data: str) -> PluginError:
    """The error for a sample that is none.

    Args:
        made: what was given.
        maker: the source or the augment that gave it.
        names: of the fields that it should hold.
        data: the data component's id; empty for an augment.
    """
    given = f"a {type(made).__name__}, not a sample"
    if isinstance(made, Mapping):
        given = f"samples without {', '.join(sorted(set(names) - made.keys()))}"
    return PluginError(
        f"{data or f'the augment {type(maker).__name__}'} gives {given}",
        where=type(maker).__module__,
        hint=f"A sample has an array for each field: {', '.join(sorted(names))}. Tell its authors.",
    )
