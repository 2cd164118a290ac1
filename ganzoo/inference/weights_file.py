"""Weights that carry their identity: safetensors with one JSON card in the metadata.

A file made here needs no flag repeated: the card says which component with which options it is,
for which shapes, and how its task uses it. Nothing is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ganzoo.data.rng import isolated
from ganzoo.errors import DataError, GanzooError, PluginError, UsageError
from ganzoo.files import replacing
from ganzoo.inference.bundle_card import bundle_text, cards_in, is_bundle
from ganzoo.inference.weights_card import FORMAT, WeightsCard, seal, sealed
from ganzoo.nn import weights_follow
from ganzoo.process.memory import shortage

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ganzoo.api import Component

METADATA_KEY = "ganzoo"
SEALED_FROM = 2
"""The first format of cards with a hash."""


def save_weights(path: Path, state: Mapping[str, Tensor], card: WeightsCard) -> None:
    """Write a network's state and its card as safetensors, atomically.

    Tensors may live on any device, be views, or share memory (tied weights): each is written whole.
    """
    tensors = writable(state)
    text = sealed(dataclasses.replace(card, format=FORMAT).to_json(), tensors)
    with replacing(path) as temporary:
        # One key: safetensors writes several in an order that changes.
        save_file(tensors, temporary, metadata={METADATA_KEY: text})


def save_bundle(
    path: Path, networks: Mapping[str, tuple[WeightsCard, Mapping[str, Tensor]]]
) -> str:
    """Write several networks of one checkpoint into one file, atomically; return its sha256.

    Args:
        path: the file.
        networks: the card and the state of each, by role. The state of `ROLE` becomes the tensors
            `ROLE/NAME`, and the cards become one, with what is common to all only once.

    Raises:
        DataError: they are networks of different checkpoints.
    """
    tensors = writable(
        {
            f"{role}/{name}": one
            for role, (_, state) in networks.items()
            for name, one in state.items()
        }
    )
    text = sealed(bundle_text({role: card for role, (card, _) in networks.items()}), tensors)
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={METADATA_KEY: text})
    return str(json.loads(text)["sha256"])


def writable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as safetensors takes them; only those that it would refuse are copied.

    It wants them on the CPU, contiguous, and none that shares memory with another (tied weights) or
    is a part of a larger one.
    """
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        whole = tensor.detach().to("cpu").contiguous()
        storage = whole.untyped_storage()
        if storage.data_ptr() in seen or storage.nbytes() != whole.nbytes:
            whole = whole.clone()
        seen.add(whole.untyped_storage().data_ptr())
        found[name] = whole
    return found


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a safetensors file; its many ways to be wrong become one error that names it."""
    if not path.is_file():
        raise UsageError("no such weights file", where=str(path))
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except SafetensorError as error:
        raise DataError(
            f"not a safetensors file, or a damaged one ({error})",
            where=str(path),
            hint="ganzoo reads its own .safetensors weights; pickled files (.pt, .pth) are never"
            " loaded.",
        ) from error


def _card_text(file: Any, path: Path) -> str:
    text: str | None = (file.metadata() or {}).get(METADATA_KEY)
    if text is None:
        raise DataError(
            "a safetensors file without ganzoo's card: it isn't known which network it contains",
            where=str(path),
            hint="Use a file that ganzoo wrote (RUN/checkpoints/step_N/ROLE.safetensors).",
        )
    return text


def _cards(text: str, path: Path) -> dict[str, WeightsCard]:
    try:
        return cards_in(text)
    except GanzooError as error:
        error.where = str(path)
        raise
    except ValueError as error:
        raise DataError(
            "its ganzoo card can't be read", where=str(path), hint=str(error)
        ) from error


def read_cards(path: Path) -> dict[str, WeightsCard]:
    """Read a file's cards alone, by role, without its tensors. A bundle has several.

    Raises:
        UsageError, DataError, EnvironmentFault: as `load_all`.
    """
    with _opened(path) as file:
        return _cards(_card_text(file, path), path)


def load_all(path: Path) -> dict[str, tuple[WeightsCard, dict[str, Tensor]]]:
    """Read a weights file: the card of each network in it, and its tensors on the CPU, by role.

    Raises:
        UsageError: there is no such file.
        DataError: it isn't a safetensors file, is damaged, or has no readable ganzoo card.
        EnvironmentFault: a newer ganzoo wrote it.
    """
    with _opened(path) as file:
        text = _card_text(file, path)
        cards = _cards(text, path)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    card = next(iter(cards.values()))
    if card.format >= SEALED_FROM and seal(text, tensors) != card.sha256:
        raise DataError(
            "its content has changed since ganzoo wrote it: it differs from the sha256 in its card",
            where=str(path),
            hint="Copy it again from its source, or use an earlier checkpoint of its run.",
        )
    if not is_bundle(text):
        return {card.role: (card, tensors)}
    parts: dict[str, dict[str, Tensor]] = {role: {} for role in cards}
    for name, tensor in tensors.items():
        role, _, own = name.partition("/")
        if role not in parts:
            raise DataError(
                f"it has the tensor {name!r} of no network in its card", where=str(path)
            )
        parts[role][own] = tensor
    return {role: (cards[role], parts[role]) for role in cards}


def load_weights(path: Path) -> tuple[WeightsCard, dict[str, Tensor]]:
    """Read the card and the tensors of a file's only network.

    Raises:
        UsageError: the file has several networks.
        UsageError, DataError, EnvironmentFault: as `load_all`.
    """
    every = load_all(path)
    if len(every) > 1:
        raise UsageError(f"it holds the networks {', '.join(every)}", where=str(path))
    return next(iter(every.values()))


def check_revision(card: WeightsCard, component: Component, name: str, or_else: str = "") -> None:
    """Check that weights were saved by the installed revision of their component.

    Args:
        card: the weights' card.
        component: the installed component.
        name: its id.
        or_else: what the user can do besides installing the plugin's other version.

    Raises:
        PluginError: they were saved by another one.
    """
    if component.revision != card.revision:
        raise PluginError(
            f"the weights were saved by revision {card.revision} of {name}; the installed one is "
            f"revision {component.revision}, in which they have another meaning",
            hint=f"Install the plugin's version that made them{or_else}.",
        )


def build_network(
    card: WeightsCard, state: Mapping[str, Tensor] | None = None, *, where: str = ""
) -> nn.Module:
    """Build the network that a card describes, on the CPU, and load `state` into it.

    The random generators are left as they were.

    Raises:
        PluginError: its plugin is missing, or has another revision of the component.
        RecipeError: the installed plugin no longer has the component or one of its options.
        DataError: the network refuses what the card says, or names or shapes of `state` don't fit
            it; all of them are listed.
    """
    from ganzoo.plugin_system import registry

    active = registry.current()
    try:
        # Before its options, which another revision may have renamed.
        component = active.find(card.kind, str(card.network["use"]))
        check_revision(card, component, str(card.network["use"]))
        chosen = active.choose(card.kind, dict(card.network))
    except GanzooError as error:
        error.where = where or error.where
        if card.plugin:
            made_with = f"{card.plugin.get('distribution')} {card.plugin.get('version')}"
            error.hint = f"{error.hint}\nThe weights were made with {made_with}.".strip()
        raise
    follow = nullcontext() if state is None else weights_follow()
    with isolated(), follow:
        try:
            net: nn.Module = chosen.build(card.io)
        except (ValueError, TypeError, RuntimeError) as error:
            if shortage(error):
                raise
            raise DataError(
                f"{chosen.id} can't be built as its card says: {error}", where=where
            ) from error
    if state is not None:
        fill(net, state, chosen.id, where)
    return net


def fill(net: nn.Module, state: Mapping[str, Tensor], what: str, where: str) -> None:
    """Load a state into a network.

    Raises:
        DataError: names or shapes don't fit; all of them are listed, as those of `what`.
    """
    wanted = net.state_dict()
    problems = [f"missing: {name}" for name in wanted if name not in state]
    problems += [f"unexpected: {name}" for name in state if name not in wanted]
    problems += [
        f"shape: {name} is {tuple(state[name].shape)}, the network's is {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    if problems:
        raise DataError(
            f"{len(problems)} tensors don't fit {what}", where=where, hint="\n".join(problems)
        )
    net.load_state_dict(state)
