"""Read cards of older formats: their values as the present format has them."""

from __future__ import annotations

from typing import Any


def modern(values: Any) -> Any:
    """Return the values of a card of format 1 or 2 as those of format 3.

    What isn't as that format had it stays as it is, so that the check of the card refuses it.

    Args:
        values: what the card's JSON holds.
    """
    if not isinstance(values, dict) or not isinstance(values.get("fields"), dict):
        return values
    return {**values, "fields": {name: _field(one) for name, one in values["fields"].items()}}


def _field(old: Any) -> Any:
    """Replace `kind` by the id of a format; `low` and `high` were -1 and 1 in every card."""
    if not isinstance(old, dict) or not isinstance(old.get("kind"), str):
        return old
    field = {key: value for key, value in old.items() if key != "kind"}
    if (field.get("low", -1), field.get("high", 1)) == (-1, 1):
        field = {key: value for key, value in field.items() if key not in ("low", "high")}
    return {**field, "format": f"ganzoo/{old['kind']}"}
