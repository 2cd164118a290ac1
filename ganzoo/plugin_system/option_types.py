"""The values that a recipe may write for an option, read from its type annotation."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ganzoo.api import Ref

Form = Literal["component", "table", "choice", "union", "list", "tuple", "other"]
"""The form of an option's value. `component`: an id, or a table with `use`. `table`: the table of a
model. `choice`: one of several values. `list`: an array of any length. `tuple`: an array with a
type for each place."""


@dataclass(frozen=True)
class OptionType:
    """The type of an option, or of a part of it.

    Args:
        form: the form of the value in a recipe.
        type: the annotation without what `Annotated` adds.
        metadata: what `Annotated` adds, such as limits.
        parts: the alternatives of a union, without None, or the types of an array's entries.
    """

    form: Form
    type: Any
    metadata: tuple[Any, ...] = ()
    parts: tuple[OptionType, ...] = ()

    @property
    def ref(self) -> Ref | None:
        """The marker of an option that names a component, or None."""
        return next((one for one in self.metadata if isinstance(one, Ref)), None)

    @property
    def names_component(self) -> bool:
        """Whether the value, or a part of it, names a component."""
        return self.form == "component" or any(part.names_component for part in self.parts)

    def models(self) -> Iterator[type[BaseModel]]:
        """Yield the models of the tables that the value, or a part of it, may be."""
        if self.form == "table":
            yield self.type
        for part in self.parts:
            yield from part.models()


def option_type(info: FieldInfo) -> OptionType:
    """Return the type of a field of an options model."""
    return read_type(info.annotation, info.metadata)


def read_type(annotation: Any, metadata: Iterable[Any] = ()) -> OptionType:  # noqa: PLR0911  # a case a line
    """Return the option type that an annotation describes.

    Args:
        annotation: the type.
        metadata: its metadata, if they were taken out of its `Annotated`.
    """
    metadata = tuple(_flat(metadata))
    if any(isinstance(one, Ref) for one in metadata):
        return OptionType("component", annotation, metadata)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return OptionType("table", annotation, metadata)
    origin, arms = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return read_type(arms[0], (*arms[1:], *metadata))
    if origin is Literal:
        return OptionType("choice", annotation, metadata)
    if origin in {Union, types.UnionType}:
        parts = tuple(read_type(arm) for arm in arms if arm is not type(None))
        return OptionType("union", annotation, metadata, parts)
    if origin in {list, tuple} and arms:
        parts = tuple(read_type(arm) for arm in arms if arm is not ...)
        fixed = origin is tuple and arms[-1] is not ...
        return OptionType("tuple" if fixed else "list", annotation, metadata, parts)
    return OptionType("other", annotation, metadata)


def _flat(metadata: Iterable[Any]) -> Iterator[Any]:
    """Yield metadata, with each `Field(...)` replaced by the metadata inside it."""
    for one in metadata:
        if isinstance(one, FieldInfo):
            yield from one.metadata
        else:
            yield one
