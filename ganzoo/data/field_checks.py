"""Check the fields that a data component declares, and that its samples contain them all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from ganzoo.api import Chosen
from ganzoo.data.formats import check_masks, checked_formats, with_masks
from ganzoo.errors import GanzooError, PluginError
from ganzoo.interfaces import Field, Format

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def fields_of(data: Chosen, given: Any) -> tuple[dict[str, Field], dict[str, Format]]:
    """Return the fields that a data component declares, and their formats, after checking both.

    Args:
        data: the data component.
        given: the value of its `fields`.

    Returns:
        Fields and formats by name; with the masks that are made of `nodata`.

    Raises:
        PluginError: when the value isn't a mapping of names to fields, when it is empty, or when a
            field can't be as it is declared.
    """
    whole = isinstance(given, Mapping) and all(isinstance(one, Field) for one in given.values())
    if not whole or not given:
        raise PluginError(
            f"the `fields` of {data.id} must be a dict of Field objects by name",
            hint=f"`ganzoo show {data.id}` names its plugin.",
        )
    try:
        fields = with_masks(given)
        formats = checked_formats(fields)
        check_masks(fields, formats)
    except (ValueError, GanzooError) as error:
        raise PluginError(
            f"{data.id} declares a field that can't be used: {error}",
            hint=f"`ganzoo show {data.id}` names its plugin.",
        ) from error
    return fields, formats


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


def check_arrays(
    data: Chosen,
    held: Mapping[str, np.ndarray],
    count: int,
    first: Mapping[str, Tensor],
    to_tensor: Callable[[str, np.ndarray], Tensor],
) -> None:
    """Compare a source's `arrays` with its first sample; the conformance checks compare all.

    Args:
        data: the data component.
        held: its arrays by field, one row a sample.
        count: the number of samples.
        first: the first sample's tensors.
        to_tensor: converts the array of a field with a name.

    Raises:
        PluginError: when they don't contain it.
    """
    import torch

    for name, expected in first.items():
        rows = held.get(name)
        if (
            rows is None
            or len(rows) != count
            or not torch.equal(to_tensor(name, rows[0]), expected)
        ):
            raise PluginError(
                f"{data.id} has `arrays` that don't contain what it returns as {name!r}",
                hint="They need a row for each sample, equal to what `load` returns; report "
                "this to its authors.",
            )
