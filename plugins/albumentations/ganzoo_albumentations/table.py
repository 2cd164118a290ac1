"""The committed table of albumentations' transforms, read once and without albumentations.

`table.json` is written by `python -m ganzoo_albumentations.generate`. A node says what a value may
be; `type` is one of:

| type | further keys | a recipe writes |
|---|---|---|
| integer, number | min, max (included), above, below (not included) | 3, 0.5 |
| boolean | | true |
| choice | names; codes (key of the table's `codes`, for OpenCV's constants) | "nearest" |
| none | | "none" |
| list | items (a node), size (absent: any), increasing | [0, 1] |
| table | keys (name -> node), all optional | { x = 1 } |
| any | of (nodes; the first whose shape fits is taken) | |
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("table.json")

Node = dict[str, Any]


@cache
def read() -> dict[str, Any]:
    """Return `{"albumentations": version, "codes": {...}, "transforms": {id: {...}}}`."""
    table: dict[str, Any] = json.loads(PATH.read_bytes())
    return table


@cache
def ids_by_class() -> dict[str, str]:
    """Return the id (snake case) of each transform's class."""
    return {entry["class"]: name for name, entry in read()["transforms"].items()}


def fits(node: Node, value: object) -> bool:  # noqa: PLR0911  # one return a type
    """Whether a value has a node's shape; bounds are not looked at."""
    kind = node["type"]
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "none":
        return value == "none"
    if kind == "choice":
        return isinstance(value, str)
    if kind == "table":
        return isinstance(value, dict)
    if kind == "any":
        return any(fits(option, value) for option in node["of"])
    return (
        isinstance(value, list | tuple)
        and len(value) == node.get("size", len(value))
        and all(fits(node["items"], item) for item in value)
    )


def describe(node: Node) -> str:  # noqa: PLR0911  # one return a type
    """Say in words what a value may be: `a number, at least 0`."""
    kind = node["type"]
    if kind == "any":
        plain_first = sorted(node["of"], key=lambda option: option["type"] in {"list", "table"})
        return ", or ".join(describe(option) for option in plain_first)
    if kind == "choice":
        return "one of " + ", ".join(f'"{name}"' for name in node["names"])
    if kind == "none":
        return '"none"'
    if kind == "boolean":
        return "true or false"
    if kind == "table":
        return "a table with " + ", ".join(node["keys"])
    if kind == "list":
        order = ", the first not above the second" if node.get("increasing") else ""
        return f"a list of {node.get('size', 'values')}, each {describe(node['items'])}{order}"
    words = {"min": "at least", "above": "above", "max": "at most", "below": "below"}
    bounds = " and ".join(f"{word} {node[key]}" for key, word in words.items() if key in node)
    name = "an integer" if kind == "integer" else "a number"
    return f"{name} {bounds}" if bounds else name
