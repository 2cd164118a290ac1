"""Weights that carry their identity: safetensors with one JSON card in the metadata.

A file made here needs no flag repeated: the card says which component with which options it is,
for which shapes, and how its task uses it. Nothing is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

import ganzoo
from ganzoo.errors import (
    DataError,
    EnvironmentFault,
    GanzooError,
    PluginError,
    UsageError,
)
from ganzoo.files import read_json, replacing
from ganzoo.interfaces import Field, NetIO, Role
from ganzoo.nn import weights_follow

if TYPE_CHECKING:
    from torch import Tensor, nn

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the card; a file with a higher one is refused, not guessed at."""

METADATA_KEY = "ganzoo"


@dataclass(frozen=True, kw_only=True)
class WeightsCard:
    """Everything that is needed to use a weights file, and where it came from.

    Args:
        role: the network's role in its task.
        kind: the kind of its component (`Task.roles[role]`).
        network: the component's table: `use` and every option.
        revision: of the component when the weights were saved; another one is refused.
        io: shapes the network was built for, without the batch axis.
        task: the task's table, for `Task.predict` and `Task.serves`.
        fields: the data's fields as the network saw them, after augmentation.
        data: the data component's table.
        size_multiple: number that an input's height and width must be multiples of, in pixels.
        inference: `mode` and `seed` used unless a flag says otherwise.
        plugin: `distribution` and `version` that the component came from.
        ema: whether these are the moving average of the weights.
        step, images: how far training was.
        recipe, recipe_sha256: name and hash of the resolved recipe.
        ganzoo: version of ganzoo that wrote the file.
        format: version of this card.
    """

    role: str
    kind: Role
    network: Mapping[str, Any]
    revision: int
    io: NetIO
    task: Mapping[str, Any]
    fields: Mapping[str, Field]
    data: Mapping[str, Any] = field(default_factory=dict)
    size_multiple: int = 1
    inference: Mapping[str, Any] = field(default_factory=lambda: {"mode": "paper", "seed": 0})
    plugin: Mapping[str, str] = field(default_factory=dict)
    ema: bool = False
    step: int = 0
    images: int = 0
    recipe: str = ""
    recipe_sha256: str = ""
    ganzoo: str = ganzoo.__version__
    format: int = FORMAT

    def to_json(self) -> str:
        """The card as JSON with sorted keys, so that equal cards give equal files."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> WeightsCard:
        """Read what `to_json` wrote.

        Raises:
            EnvironmentFault: the card's format is newer than this ganzoo.
            ValueError, KeyError, TypeError: the text isn't a card.
        """
        values = json.loads(text)
        if values["format"] > FORMAT:
            raise EnvironmentFault(
                f"weights of format {values['format']}, written by ganzoo"
                f" {values.get('ganzoo', '?')}; this is ganzoo {ganzoo.__version__}, which reads"
                f" format {FORMAT}",
                hint="Upgrade ganzoo to read this file.",
            )
        io = values["io"]
        values["io"] = NetIO(tuple(io["inputs"]), tuple(io["outputs"]), io["classes"])
        values["fields"] = {name: _field(table) for name, table in values["fields"].items()}
        return cls(**values)


def _field(table: Mapping[str, Any]) -> Field:
    lists = {
        "shape": tuple(table["shape"]),
        "palette": tuple(tuple(colour) for colour in table["palette"]),
    }
    return Field(**{**table, **lists})


def save_weights(path: Path, state: Mapping[str, Tensor], card: WeightsCard) -> None:
    """Write a network's state and its card as safetensors, atomically.

    Tensors may live on any device, be views, or share memory (tied weights): each is written whole.
    """
    tensors = writable(state)
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={METADATA_KEY: card.to_json()})


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


def _card(file: Any, path: Path) -> WeightsCard:
    text = (file.metadata() or {}).get(METADATA_KEY)
    if text is None:
        raise DataError(
            "a safetensors file without ganzoo's card: what network it holds isn't known",
            where=str(path),
            hint="Use a file that ganzoo wrote (RUN/checkpoints/step_N/ROLE.safetensors).",
        )
    try:
        return WeightsCard.from_json(text)
    except GanzooError as error:
        error.where = str(path)
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"its ganzoo card can't be read ({error!r})", where=str(path)) from error


def read_card(path: Path) -> WeightsCard:
    """Read a file's card alone, without its tensors.

    Raises:
        UsageError, DataError, EnvironmentFault: as `load_weights`.
    """
    with _opened(path) as file:
        return _card(file, path)


def load_weights(path: Path) -> tuple[WeightsCard, dict[str, Tensor]]:
    """Read a weights file: its card, and its tensors on the CPU.

    Raises:
        UsageError: there is no such file.
        DataError: it isn't a safetensors file, is damaged, or has no readable ganzoo card.
        EnvironmentFault: a newer ganzoo wrote it.
    """
    with _opened(path) as file:
        card = _card(file, path)
        return card, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def build_network(
    card: WeightsCard, state: Mapping[str, Tensor] | None = None, *, where: str = ""
) -> nn.Module:
    """Build the network that a card describes, on the CPU, and load `state` into it.

    The random generators are left as they were.

    Raises:
        PluginError: its plugin is missing, or has another revision of the component.
        RecipeError: the installed plugin no longer has the component or one of its options.
        DataError: names or shapes of `state` don't fit the network; all of them are listed.
    """
    from ganzoo import registry

    active = registry.current()
    try:
        # Before its options, which another revision may have renamed.
        component = active.find(card.kind, str(card.network["use"]))
        if component.revision != card.revision:
            raise PluginError(
                f"the weights were saved by revision {card.revision} of {card.network['use']}; the "
                f"installed one is revision {component.revision}, in which they mean something "
                "else",
                hint="Install the plugin's version that made them.",
            )
        chosen = active.choose(card.kind, dict(card.network))
    except GanzooError as error:
        error.where = where or error.where
        if card.plugin:
            made_with = f"{card.plugin.get('distribution')} {card.plugin.get('version')}"
            error.hint = f"{error.hint}\nThe weights were made with {made_with}.".strip()
        raise
    follow = nullcontext() if state is None else weights_follow()
    with torch.random.fork_rng(devices=[]), follow:
        net: nn.Module = chosen.build(card.io)
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


def find_weights(run_or_file: Path, role: str | None = None, *, ema: bool | None = None) -> Path:
    """Find the weights file that a path means.

    Args:
        run_or_file: a weights file, a checkpoint's folder, or a run directory (its newest complete
            checkpoint, then the ones before it).
        role: the network wanted; None: the one that the run's task serves.
        ema: True or False for the moving average or the plain weights; None takes the average
            where there is one.

    Raises:
        UsageError: nothing there fits, or the task serves several roles and none was named.
        DataError: a file can't be read, of which a role or an average is wanted.
    """
    if run_or_file.is_file():
        _refuse_other(run_or_file, role, ema=ema)
        return run_or_file
    if not run_or_file.is_dir():
        raise UsageError("no such run directory or weights file", where=str(run_or_file))
    folders = _checkpoint_folders(run_or_file)
    if not folders:
        raise UsageError(
            "no complete checkpoint in it",
            where=str(run_or_file),
            hint="Give a run directory (runs/NAME/STAMP), a checkpoint's folder or a weights file.",
        )
    suffixes = {None: (".ema", ""), True: (".ema",), False: ("",)}[ema]
    for folder in folders:
        wanted = role or _served_role(folder)
        for suffix in suffixes:
            path = folder / f"{wanted}{suffix}.safetensors"
            if path.is_file() and _is_whole(path):
                return path
    there = ", ".join(sorted(path.name for path in _weights_in(folders[0])))
    raise UsageError(
        f"no {'averaged ' if ema else ''}weights of {role or 'the served role'} in it",
        where=str(run_or_file),
        hint=f"{folders[0]} holds {there}.",
    )


def _refuse_other(file: Path, role: str | None, *, ema: bool | None) -> None:
    """Say no to a role or an average that a named file doesn't hold, rather than ignore it."""
    if role is None and ema is None:
        return
    card = read_card(file)
    wanted = role or card.role, card.ema if ema is None else ema
    if wanted != (card.role, card.ema):
        names = [
            f"{'averaged' if averaged else 'plain'} weights of {one}"
            for one, averaged in ((card.role, card.ema), wanted)
        ]
        raise UsageError(
            f"it holds the {names[0]}, not the {names[1]}",
            where=str(file),
            hint="Name its checkpoint's folder or its run directory, or leave the option out.",
        )


def _weights_in(folder: Path) -> list[Path]:
    return [p for p in folder.glob("*.safetensors") if p.stem != "training_state"]


def _is_whole(path: Path) -> bool:
    """Whether a file is what its checkpoint's manifest says; said when it isn't."""
    manifest = path.with_name("manifest.json")
    if not manifest.is_file():
        return True  # weights that someone put into a folder of their own
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        written = read_json(manifest)["files"][path.name]["sha256"]
    except (DataError, KeyError, TypeError):
        log.warning("%s doesn't vouch for %s; looking at older checkpoints", manifest, path.name)
        return False
    whole: bool = digest == written
    if not whole:
        log.warning("%s is damaged (its sha256 differs); looking at older checkpoints", path)
    return whole


def _checkpoint_folders(path: Path) -> list[Path]:
    """Complete checkpoints, the newest first, as a resume takes them."""
    if _weights_in(path):
        return [path]
    steps = {
        int(folder.name.removeprefix("step_")): folder
        for folder in (path / "checkpoints").glob("step_*")
        if folder.name.removeprefix("step_").isdigit() and (folder / "manifest.json").is_file()
    }
    return [steps[step] for step in sorted(steps, reverse=True) if _weights_in(steps[step])]


def _served_role(folder: Path) -> str:
    from ganzoo import registry

    card = read_card(min(_weights_in(folder)))
    serves = registry.current().choose("task", dict(card.task)).load().serves
    if len(serves) == 1:
        return str(next(iter(serves)))
    raise UsageError(
        f"its task serves {len(serves)} networks: {', '.join(serves)}",
        where=str(folder),
        hint="Name one with --role.",
    )
