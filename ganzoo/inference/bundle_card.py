"""The card of a bundle: several networks of one checkpoint, with what they share only once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pydantic

import ganzoo
from ganzoo.errors import DataError
from ganzoo.inference.weights_card import FORMAT, WeightsCard, checked_version, in_words

_OWN = ("kind", "network", "revision", "io", "size_multiple", "plugin", "ema")
"""What each network has for itself; all other keys of a card are those of the checkpoint."""
_OF_ONE = ("role", "sha256", *_OWN)
_OF_WRITER = ("format", "ganzoo")


class _Bundle(pydantic.BaseModel):
    """What tells a bundle's card from another."""

    model_config = pydantic.ConfigDict(strict=True)

    networks: dict[str, dict[str, Any]] | None = None


def refuse_mixture(cards: Mapping[str, WeightsCard]) -> None:
    """Check that networks were trained together and saved at the same moment.

    Raises:
        DataError: they weren't.
    """
    tables = {role: json.loads(card.to_json()) for role, card in cards.items()}
    first = next(iter(tables))
    for role, table in tables.items():
        keys = sorted(table.keys() - {*_OF_ONE, *_OF_WRITER})
        other = [key for key in keys if table[key] != tables[first].get(key)]
        if other:
            raise DataError(
                f"the weights of {first} and {role} are of different checkpoints: their cards "
                f"differ in {', '.join(other)}",
                hint="Use the files of one checkpoint.",
            )


def bundle_text(cards: Mapping[str, WeightsCard]) -> str:
    """Return the card of a bundle as JSON, without its hash.

    Raises:
        DataError: the networks are of different checkpoints.
    """
    refuse_mixture(cards)
    tables = {role: json.loads(card.to_json()) for role, card in cards.items()}
    shared = {
        key: value for key, value in next(iter(tables.values())).items() if key not in _OF_ONE
    }
    own = {role: {key: table[key] for key in _OWN} for role, table in tables.items()}
    now = {"format": FORMAT, "ganzoo": ganzoo.__version__, "sha256": ""}
    return json.dumps({**shared, **now, "networks": own}, sort_keys=True)


def is_bundle(text: str) -> bool:
    """Whether a card's JSON, which has been checked, is that of a bundle."""
    return "networks" in json.loads(text)


def cards_in(text: str) -> dict[str, WeightsCard]:
    """Read the card of a bundle, or of a single network, by role.

    Raises:
        EnvironmentFault: the format is newer than this ganzoo.
        ValueError: the text isn't a card; its message says what is wrong, one line a key.
    """
    checked_version(text)
    try:
        networks = _Bundle.model_validate_json(text).networks
    except pydantic.ValidationError as error:
        raise ValueError(in_words(error, text)) from error
    if networks is None:
        card = WeightsCard.from_json(text)
        return {card.role: card}
    values = json.loads(text)
    shared = {key: value for key, value in values.items() if key != "networks"}
    if not networks:
        message = "networks: must have at least one"
        raise ValueError(message)
    cards = {}
    for role, own in networks.items():
        unknown = sorted(own.keys() - set(_OWN))
        if unknown:
            message = f"networks.{role[:80]}.{unknown[0][:80]}: unknown option"
            raise ValueError(message)
        try:
            cards[role] = WeightsCard.from_json(json.dumps({**shared, **own, "role": role}))
        except ValueError as error:
            message = f"networks.{role[:80]}: {error}"
            raise ValueError(message) from error
    return cards
