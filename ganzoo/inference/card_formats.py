"""The formats of the fields that a weights card describes."""

from __future__ import annotations

from ganzoo.data.formats import check_masks, checked_formats
from ganzoo.errors import DataError
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.interfaces import Format


def card_formats(card: WeightsCard) -> dict[str, Format]:
    """Build the formats of all fields of a card, by name, and check its fields.

    Raises:
        DataError: a field can't be as the card says.
        GanzooError: a format or its plugin is missing.
    """
    try:
        for fields in (card.io.inputs, card.io.outputs):
            checked_formats(fields)
        formats = checked_formats(card.fields)
        check_masks(card.fields, formats)
    except ValueError as error:
        raise DataError(f"its card describes a field that can't be: {error}") from error
    return formats
