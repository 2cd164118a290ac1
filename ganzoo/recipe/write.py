"""The output of a resolved recipe as TOML, with the origin of each value in a comment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomlkit
from tomlkit.items import AoT, Table

from ganzoo.recipe.model import Origin, Recipe
from ganzoo.recipe.toml_positions import Keys


def to_toml(recipe: Recipe) -> str:
    """Return the recipe's document as TOML; loading it makes a recipe with the same `sha256`."""
    return dumps(recipe.document, recipe.origins)


def dumps(table: Mapping[str, Any], origins: Mapping[Keys, Origin] | None = None) -> str:
    """Return plain data as TOML, with the known origins as comments."""
    document = tomlkit.document()
    _fill(document, table, (), origins or {})
    return tomlkit.dumps(document)


def _fill(
    container: tomlkit.TOMLDocument | Table,
    table: Mapping[str, Any],
    path: Keys,
    origins: Mapping[Keys, Origin],
) -> None:
    """Add the values of a table to a container, and after them its inner tables.

    In TOML, every value behind a header belongs to the table of that header.
    """
    for key, value in table.items():
        if not _is_table(value):
            item = tomlkit.item(value)
            if origin := origins.get((*path, key)):
                item.comment(str(origin))
            container.add(key, item)
    for key, value in table.items():
        if isinstance(value, Mapping):
            container.add(key, _table(value, (*path, key), origins))
        elif _is_table(value):
            array = AoT([])
            for index, entry in enumerate(value):
                array.append(_table(entry, (*path, key, index), origins))
            container.add(key, array)


def _table(value: Mapping[str, Any], path: Keys, origins: Mapping[Keys, Origin]) -> Table:
    table = tomlkit.table()
    _fill(table, value, path, origins)
    return table


def _is_table(value: Any) -> bool:
    """Return whether a value is written under a header of its own."""
    return isinstance(value, Mapping) or (
        isinstance(value, list) and value != [] and all(isinstance(one, Mapping) for one in value)
    )
