"""Type annotations of options, read once for all who ask."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge
from pydantic import Field

from ganzoo.api import Chosen, Options, Ref
from ganzoo.plugin_system.option_types import option_type, read_type


class Inner(Options):
    width: int = 1


Loss = Annotated[Chosen, Ref("loss")]


class Outer(Options):
    inner: Inner = Inner()
    loss: Loss
    losses: list[Loss] | None = None


@pytest.mark.parametrize(
    ("annotation", "form", "parts"),
    [
        (int, "other", []),
        (Any, "other", []),
        (dict[str, Inner], "other", []),
        (Literal["a", "b"], "choice", []),
        (Inner, "table", []),
        (Loss, "component", []),
        (list[int], "list", ["other"]),
        (tuple[Inner, ...], "list", ["table"]),
        (tuple[int, Literal[1]], "tuple", ["other", "choice"]),
        (int | Inner | None, "union", ["other", "table"]),
        (list, "other", []),
    ],
)
def test_forms(annotation, form, parts):
    written = read_type(annotation)
    assert written.form == form
    assert [part.form for part in written.parts] == parts


def test_fields():
    inner, loss, losses = (option_type(info) for info in Outer.model_fields.values())
    assert list(inner.models()) == [Inner]
    assert not inner.names_component
    assert loss.ref == Ref("loss")
    assert not list(loss.models())  # a component's options are another model's
    assert losses.names_component
    assert losses.ref is None


def test_limits_inside_of_others_are_found():
    written = read_type(list[Annotated[int, Field(ge=3), "other"]])
    assert written.parts[0].metadata == (Ge(3), "other")
    nested = read_type(Annotated[Annotated[int, Ge(1)], Ge(2)])
    assert nested.metadata == (Ge(1), Ge(2))
