"""Options' help texts are the docstrings under their fields, as pydantic would find them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, ClassVar, Generic, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model

from ganzoo.api import Options, Scalar
from ganzoo.docstrings import docstrings_of

T = TypeVar("T")


def texts(model: type[BaseModel]) -> dict[str, str | None]:
    return {name: info.description for name, info in model.model_fields.items()}


class Plain(Options):
    """Its own docstring is no field's."""

    kind: ClassVar[str] = "plain"
    """Of a class variable: no field's."""
    first: int = 1
    """First, in
    two lines."""
    silent: int = 2
    stated: int = Field(default=3, description="stated")
    """Not this one."""
    inner: Annotated[float, Field(ge=0, description="within")] = 0.0
    last: str = ""
    other = "no annotation"  # type: ignore[assignment]  # pydantic would refuse it as a field
    """Below what is no field."""

    model_config = ConfigDict(ignored_types=(str,))


class Twin(BaseModel):
    """The same by pydantic's own way."""

    model_config = ConfigDict(use_attribute_docstrings=True, ignored_types=(str,))

    kind: ClassVar[str] = "plain"
    """Of a class variable: no field's."""
    first: int = 1
    """First, in
    two lines."""
    silent: int = 2
    stated: int = Field(default=3, description="stated")
    """Not this one."""
    inner: Annotated[float, Field(ge=0, description="within")] = 0.0
    last: str = ""
    other = "no annotation"
    """Below what is no field."""


class Child(Plain):
    silent: int = 4
    """The child says it."""
    first: int = 5
    added: int = 6
    """Added."""


class Late(Options):
    """Its schema is made when it is first used."""

    model_config = ConfigDict(defer_build=True)

    value: Forward | None = None
    """Of a type that is defined below."""


class Forward(Options):
    """Defined after its use."""

    x: int = 0
    """Inner."""


class Box(Options, Generic[T]):
    content: T
    """What is in it."""


def test_texts_are_those_that_pydantic_finds() -> None:
    assert texts(Plain) == texts(Twin)
    assert texts(Plain)["first"] == "First, in\ntwo lines."
    assert texts(Plain)["silent"] is None  # the control: nothing is taken from a neighbour
    assert texts(Scalar)["until"] == "Share of the planned images at which `to` is reached."


def test_a_schema_by_pydantic_has_them() -> None:
    properties = Plain.model_json_schema()["properties"]
    assert properties["first"]["description"] == "First, in\ntwo lines."
    assert "description" not in properties["silent"]
    late = Late.model_json_schema()
    assert late["properties"]["value"]["description"] == "Of a type that is defined below."
    assert late["$defs"]["Forward"]["properties"]["x"]["description"] == "Inner."


def test_a_child_has_its_parents_texts_but_of_what_it_declares_again() -> None:
    assert texts(Child) == {
        **texts(Plain),
        "silent": "The child says it.",
        "first": None,
        "added": "Added.",
    }


def test_texts_are_there_before_the_first_use() -> None:
    assert texts(Late) == {"value": "Of a type that is defined below."}


def test_classes_within_functions_generic_ones_and_made_ones() -> None:
    class Local(Options):
        value: int = 0
        """Local."""

    assert texts(Local) == {"value": "Local."}
    assert texts(Box[int]) == {"content": "What is in it."}
    made = create_model("Plain", __base__=Options, first=(int, Field(default=0)))
    assert texts(made) == {"first": None}


def load(path: Path, source: str) -> ModuleType:
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


TWO = """
from ganzoo.api import Options
if {newer}:
    class Ours(Options):
        value: int = 0
        '''Newer.'''
        more: int = 0
else:
    class Ours(Options):
        value: int = 0
        '''Older.'''
"""


@pytest.mark.parametrize(("newer", "text"), [(True, "Newer."), (False, "Older.")])
def test_of_two_definitions_the_one_that_was_run(
    tmp_path: Path, newer: bool, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "two_ways", raising=False)
    module = load(tmp_path / "two_ways.py", TWO.format(newer=newer))
    assert module.Ours.model_fields["value"].description == text
    del sys.modules["two_ways"]


def test_without_a_source_there_are_none() -> None:
    space = {"__name__": "a_module_of_no_file", "Options": Options}
    exec("class Nowhere(Options):\n    value: int = 0\n    '''Text.'''\n", space)
    assert texts(space["Nowhere"]) == {"value": None}  # type: ignore[arg-type]
    assert docstrings_of(int) == {}
