"""The resolved recipe: a valid recipe as plain data, with the origin of each value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ganzoo.api import Chosen, Kind, Options
from ganzoo.plugin_system.registry import Registry
from ganzoo.recipe.merge import Node, descend
from ganzoo.recipe.model import Origin, Recipe
from ganzoo.recipe.start import Start
from ganzoo.recipe.toml_positions import Keys

NETWORKS: tuple[Kind, ...] = ("generator", "discriminator", "network")
ARRAYS: tuple[Kind, ...] = ("augment", "diffaugment", "metric", "callback")
KEYS = (
    *("name", "summary", "extends", "out", "task", "data"),
    *("augment", *NETWORKS, "networks", "diffaugment", "loss", "metric", "callback"),
    *("start", "train", "optimizer", "players", "ema", "watch", "checkpoints", "inference"),
)
"""Every top-level key of a recipe, in the order of a resolved recipe."""


def document_of(recipe: Recipe) -> dict[str, Any]:
    """Return the whole recipe as plain data with defaults; loading it makes the same recipe."""
    data = recipe.data.as_table()
    if recipe.fallback is not None:
        data["fallback"] = recipe.fallback.as_table()
    document: dict[str, Any] = {
        "name": recipe.name,
        "summary": recipe.summary,
        "out": recipe.out,
        "task": recipe.task.as_table(),
        "data": data,
        "augment": [
            {"use": entry.chosen.id, "on": entry.on} | entry.chosen.as_table()
            for entry in recipe.augment
        ],
        "loss": [
            {"use": entry.chosen.id}
            | ({"name": entry.name} if entry.name else {})
            | entry.chosen.as_table()
            for entry in recipe.loss
        ],
        "diffaugment": [chosen.as_table() for chosen in recipe.diffaugment],
        "metric": [chosen.as_table() for chosen in recipe.metrics],
        "callback": [chosen.as_table() for chosen in recipe.callbacks],
        "train": dump(recipe.train),
        "optimizer": recipe.optimizer.as_table(),
        "ema": dump(recipe.ema),
        "watch": dump(recipe.watch),
        "checkpoints": dump(recipe.checkpoints),
        "inference": dump(recipe.inference),
    }
    for kind, network in recipe.networks.items():
        document[kind] = _network(network)
    if recipe.roles:
        document["networks"] = {name: _network(role.chosen) for name, role in recipe.roles.items()}
    if recipe.start != Start():
        document["start"] = dump(recipe.start)
    if len(recipe.loss) == 1:
        document["loss"] = document["loss"][0]
    if recipe.players:
        document["players"] = {name: player.as_table() for name, player in recipe.players.items()}
    return {key: _whole(document[key]) for key in KEYS if key in document}


def _network(chosen: Chosen | None) -> dict[str, Any] | str:
    return "none" if chosen is None else chosen.as_table()


def dump(model: Options) -> dict[str, Any]:
    """Return a model as plain data, under the keys that recipes use."""
    return model.model_dump(mode="json", by_alias=True)


def _whole(value: Any) -> Any:
    """Return plain data without None, which TOML lacks and which always is an option's default."""
    if isinstance(value, Mapping):
        return {key: _whole(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    return value


def leaves(value: Any, path: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Yield all values that aren't tables or arrays of tables, with their paths."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


def origins_of(document: Mapping[str, Any], tree: Node, registry: Registry) -> dict[Keys, Origin]:
    """Return the origin of each value of a document; `tree` is the recipe as it was written."""
    return {leaf: _origin(leaf, tree, registry) for leaf, _ in leaves(document)}


def _origin(leaf: Keys, tree: Node, registry: Registry) -> Origin:
    node, depth = descend(tree, leaf)
    rest = leaf[depth:]
    if not rest or (rest == ("use",) and isinstance(node.value, str)):
        return node.mark.origin()
    if isinstance(node.value, dict) and {"preset", "use"} <= set(node.value):
        preset = node.value["preset"].value
        for entry in registry.lookup(node.value["use"].value):
            if rest[0] in entry.component.presets.get(preset, {}):
                return Origin(f'preset "{preset}"')
    return Origin("default")


def mistyped(document: Mapping[str, Any], tree: Node) -> Iterator[tuple[Keys, str]]:
    """Yield the place and fault of each value that pydantic converted from another TOML type.

    For example `epochs = true` isn't accepted as 1, nor `epochs = "3"` as 3: both are mistakes.
    """
    for leaf, value in leaves(document):
        node, depth = descend(tree, leaf)
        if depth == len(leaf):
            yield from _mistyped(leaf, value, node)


def _mistyped(leaf: Keys, value: Any, node: Node) -> Iterator[tuple[Keys, str]]:
    written = node.value
    if isinstance(written, list) and isinstance(value, list) and len(written) == len(value):
        for index, (item, inner) in enumerate(zip(value, written, strict=True)):
            yield from _mistyped((*leaf, index), item, inner)
    elif isinstance(written, dict):  # a Scalar whose `from` and `to` are equal
        for end in ("from", "to"):
            if end in written:
                yield from _mistyped((*leaf, end), value, written[end])
    elif isinstance(written, list):
        return
    elif isinstance(value, bool):
        if not isinstance(written, bool):
            yield leaf, "must be true or false"
    elif isinstance(value, int | float) and isinstance(written, bool):
        yield leaf, "must be a number"
    elif isinstance(value, int | float) and isinstance(written, str):
        yield leaf, "must be a number, without quotes"


def flatten(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a document by their dotted keys, such as `train.seed`, `loss.0.use`."""
    return {".".join(map(str, keys)): value for keys, value in leaves(document)}
