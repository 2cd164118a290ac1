"""Numbers that change with training: `Scalar`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from ganzoo.api import Options, Scalar


@dataclass(frozen=True)
class At:
    progress: float


shares = st.floats(0, 1)
values = st.floats(1e-6, 1e6)
shapes = st.sampled_from(["linear", "cosine", "log", "step"])


@st.composite
def tables(draw: st.DrawFn) -> dict[str, object]:
    begin, until = sorted(draw(st.lists(shares, min_size=2, max_size=2, unique=True)))
    shape = draw(shapes)
    if shape == "step":
        begin, until = 0.0, draw(st.floats(0, 1, exclude_min=True, exclude_max=True))
    ends = {"from": draw(values), "to": draw(values)}
    return {**ends, "begin": begin, "until": until, "shape": shape}


@given(tables(), shares)
def test_it_moves_between_begin_and_until_alone(table: dict, progress: float) -> None:
    scalar = Scalar.model_validate(table)
    value = scalar.at(At(progress))
    if progress >= table["until"]:
        assert value == table["to"]
    elif progress <= table["begin"] or table["shape"] == "step":
        assert value == table["from"]
    low, high = sorted((table["from"], table["to"]))
    assert low * (1 - 1e-9) <= value <= high * (1 + 1e-9)


@given(tables(), shares, shares)
def test_it_never_turns_back(table: dict, one: float, other: float) -> None:
    scalar = Scalar.model_validate(table)
    first, second = (scalar.at(At(progress)) for progress in sorted((one, other)))
    slack = 1e-9 * max(table["from"], table["to"])
    if table["from"] <= table["to"]:
        assert first <= second + slack
    else:
        assert first >= second - slack


@given(tables())
def test_what_is_written_is_read_as_the_same(table: dict) -> None:
    scalar = Scalar.model_validate(table)
    written = scalar.model_dump()
    again = Scalar.model_validate(written)
    assert [again.at(At(p / 20)) for p in range(21)] == [scalar.at(At(p / 20)) for p in range(21)]
    if isinstance(written, dict):
        assert again == scalar
        assert ("begin" in written) == (table["begin"] > 0)  # documents of before stay as they are


@given(tables(), shares)
def test_a_beginning_shifts_the_curve(table: dict, progress: float) -> None:
    """With a beginning it has the values that the same curve has over the shares behind that."""
    scalar = Scalar.model_validate(table)
    whole = Scalar.model_validate({**table, "begin": 0.0, "until": table["until"]})
    if table["begin"] == 0:
        assert scalar.at(At(progress)) == whole.at(At(progress))
        return
    begin, until = table["begin"], table["until"]
    inside = begin + progress * (until - begin)
    if until - begin > 1e-3 and begin < inside < until:
        expected = whole.at(At((inside - begin) / (until - begin) * until))
        assert scalar.at(At(inside)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(values, shares)
def test_a_plain_number_stays(value: float, progress: float) -> None:
    assert Scalar(value).at(At(progress)) == value
    assert Scalar(value) == Scalar.model_validate(value)
    assert Scalar(value).model_dump() == value


class Limited(Options):
    weight: Annotated[Scalar, Field(ge=0, lt=2)] = Scalar(1.0)


def test_limits_hold_for_numbers_in_python_and_in_tables() -> None:
    assert Limited().weight.at(At(0.5)) == 1
    assert Limited.model_validate({"weight": {"from": 0, "to": 1}}).weight.at(At(0.5)) == 0.5
    for wrong in (Scalar(-1.0), -1, {"from": 0, "to": 2}):
        with pytest.raises(ValidationError):
            Limited.model_validate({"weight": wrong})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"begin": 0.5, "until": 0.5}, "`begin` must be less than `until`"),
        ({"begin": 0.5, "until": 0.25}, "`begin` must be less than `until`"),
        ({"begin": 1}, "less than 1"),
        ({"begin": -0.1}, "greater than or equal to 0"),
        ({"shape": "step"}, "needs `until`"),
        ({"shape": "step", "begin": 0.2, "until": 0.5}, "no `begin`"),
        ({"shape": "stairs"}, "'step'"),
        ({"too": 3}, "Extra inputs"),
    ],
)
def test_what_a_table_may_not_say(table: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Scalar.model_validate({"from": 1, "to": 2, **table})
    Scalar.model_validate({"from": 1, "to": 2})  # the control


def test_the_examples_of_the_documentation() -> None:
    late = Scalar.model_validate({"from": 0, "to": 1, "begin": 0.1, "until": 0.2})
    assert [late.at(At(p)) for p in (0, 0.1, 0.2, 1)] == [0, 0, 1, 1]
    assert late.at(At(0.15)) == pytest.approx(0.5)
    step = Scalar.model_validate({"from": 3, "to": 1, "until": 0.5, "shape": "step"})
    assert [step.at(At(p)) for p in (0, 0.499, 0.5, 1)] == [3, 3, 1, 1]
