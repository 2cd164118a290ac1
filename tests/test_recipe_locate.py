from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from ganzoo.recipe.toml_positions import locate

TEXT = '''\
# a comment with [brackets] and = signs
name = "x" # trailing
"quoted.key".'other one' = 'y'

[table]  # header
a.b.c = 1
a.b.d = [1, [2, 3], # comment ]
  { deep = "}" , x = 4 }]
  [table . sub]
long = """
first ] line
second \\""" line""""
raw = \'\'\'it's \\\'\'\'
date = 1979-05-27 07:32:00
empty = {}

[[list]]
k = 1
[list.inner]
z = true
[[list.nested]]
[[list]]
k = 2
[[list.nested]]
[[list.nested]]
q = -1.5e3
'''


def leaves(value: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


def nodes(value: Any, path: tuple = ()) -> Iterator[tuple]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list):
            yield from nodes(item, (*path, key))
        else:
            yield (*path, key)


def check(text: str) -> None:
    data = tomllib.loads(text)
    spans = locate(text)
    assert set(spans) == set(nodes(data))
    lines = text.split("\n")
    for path, value in leaves(data):
        span = spans[path]
        raw = text[span.start : span.end]
        assert repr(tomllib.loads(f"v = {raw}")["v"]) == repr(value)  # repr: nan equals nan
        assert lines[span.line - 1][span.column - 1 :].startswith(raw.split("\n")[0])
        assert span.width == len(raw.split("\n")[0])
        key = lines[span.key_line - 1][span.key_column - 1 :][: span.key_width]
        if isinstance(path[-1], str):
            assert path[-1] in tomllib.loads(f"{key} = 0")


def test_every_form_is_located() -> None:
    check(TEXT)


@pytest.mark.parametrize(
    ("path", "key_place", "place"),
    [
        (("name",), (2, 1), (2, 8)),
        (("quoted.key", "other one"), (3, 14), (3, 28)),
        (("table",), (5, 2), (5, 2)),
        (("table", "a", "b"), (6, 3), (6, 3)),
        (("table", "a", "b", "d"), (7, 5), (7, 9)),
        (("table", "a", "b", "d", 1, 1), (7, 17), (7, 17)),
        (("table", "a", "b", "d", 2, "x"), (8, 18), (8, 22)),
        (("table", "sub", "long"), (10, 1), (10, 8)),
        (("list", 1), (22, 3), (22, 3)),
        (("list", 1, "nested", 1, "q"), (26, 1), (26, 5)),
    ],
)
def test_places_by_hand(path: tuple, key_place: tuple, place: tuple) -> None:
    span = locate(TEXT)[path]
    assert (span.key_line, span.key_column) == key_place
    assert (span.line, span.column) == place


text_values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=8)
scalars = st.integers(-(2**60), 2**60) | st.booleans() | st.floats() | text_values | st.datetimes()
keys = st.text("ab._-#= '\"\\é]", min_size=1, max_size=4)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(keys, values, max_size=5))
def test_whatever_tomlkit_writes_is_located(data: dict) -> None:
    check(tomlkit.dumps(data).replace("\r\n", "\n"))


blank = st.sampled_from(["", " ", "\t"])
newline = st.sampled_from(["\n", "\n\n", " # comment ] } =\n", "\n# line\n"])


SPELLINGS = [
    *["1", "-0.5", "inf", "true", '"a]#"', "'b\"'", "1979-05-27T07:32:00Z", "0x1F"],
    *['"""x\n"y" ]"""', "'''\n''z}'''", '""""q"""', '"\\""', "1979-05-27 07:32:00"],
]


@st.composite
def inline(draw: st.DrawFn, depth: int = 2) -> str:
    """A value in an odd but valid spelling."""
    kinds = ["scalar", "array", "table"] if depth else ["scalar"]
    kind = draw(st.sampled_from(kinds))
    space = draw(blank)
    if kind == "scalar":
        return draw(st.sampled_from(SPELLINGS))
    items = draw(st.lists(inline(depth - 1), max_size=3))
    if kind == "array":
        gap = draw(newline)
        comma = draw(st.sampled_from(["", ","])) if items else ""
        return "[" + gap + f",{gap}{space}".join(items) + comma + gap + "]"
    pairs = [f"k{n}{space}.{space}'x'{space}={space}{item}" for n, item in enumerate(items)]
    return "{" + space + f"{space},".join(pairs) + space + "}"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_odd_spellings_are_located(data: st.DataObject) -> None:
    lines = []
    for number in range(data.draw(st.integers(1, 4))):
        header = data.draw(st.sampled_from(["", f"[t{number}]", "[[a]]", f"[[a.b{number}.c]]"]))
        if header.startswith("[[a.") and "[[a]]\n" not in "".join(lines):
            header = ""
        lines.append(header + "\n")
        value, space = data.draw(inline()), data.draw(blank)
        key = data.draw(st.sampled_from([f"k{number}", f'"k {number}"', f"k{number} . x"]))
        lines.append(f"{space}{key}{space}={space}{value}" + data.draw(newline))
    check("".join(lines))
