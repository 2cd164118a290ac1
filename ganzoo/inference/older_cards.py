"""Read cards of older formats: their values as the present format has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INPUT, OUTPUT = "input", "output"
"""Names of a network's input and output in cards that stored only their shapes."""

_FORMATS = {3: "ganzoo/image", 2: "ganzoo/labels", 1: "ganzoo/points"}
"""What a tensor was, by its axes without the batch axis."""


def modern(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a card of format 1 or 2 as those of format 3.

    What isn't as that format had it stays as it is, so that the check of the card refuses it.

    Args:
        values: what the card's JSON holds.
    """
    card = dict(values)
    if isinstance(card.get("fields"), dict):
        card["fields"] = {name: _field(one) for name, one in card["fields"].items()}
    io = card.get("io")
    if isinstance(io, dict) and set(io) == {"inputs", "outputs", "classes"}:
        card["io"] = _by_name(io, judges=card.get("kind") == "discriminator")
    return card


def _field(old: Any) -> Any:
    """Replace `kind` by the id of a format; `low` and `high` were -1 and 1 in every card."""
    if not isinstance(old, dict) or not isinstance(old.get("kind"), str):
        return old
    field = {key: value for key, value in old.items() if key != "kind"}
    if (field.get("low", -1), field.get("high", 1)) == (-1, 1):
        field = {key: value for key, value in field.items() if key not in ("low", "high")}
    return {**field, "format": f"ganzoo/{old['kind']}"}


def _by_name(io: Mapping[str, Any], *, judges: bool) -> dict[str, Any]:
    """Give inputs and outputs names and fields.

    These cards had one shape that goes in, one that comes out (`[1]` for a discriminator), and the
    number of classes, 0 for none. Class indices came after the input.
    """
    inputs = {INPUT: _of_shape(io["inputs"])}
    if io["classes"]:
        inputs["label"] = {"shape": [], "format": "ganzoo/class", "classes": io["classes"]}
    return {"inputs": inputs, "outputs": {} if judges else {OUTPUT: _of_shape(io["outputs"])}}


def _of_shape(shape: Any) -> Any:
    found = _FORMATS.get(len(shape)) if isinstance(shape, list) else None
    return {"shape": shape, "format": found} if found else shape
