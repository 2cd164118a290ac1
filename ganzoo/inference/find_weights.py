"""From a run directory, a checkpoint's folder or a file to weights that are what was written."""

from __future__ import annotations

import logging
from pathlib import Path

from ganzoo.errors import DataError, UsageError
from ganzoo.inference.trained_network import direction
from ganzoo.inference.weights_file import read_card
from ganzoo.plugin_system.suggestions import nearest_folder
from ganzoo.run_files import (
    CHECKPOINTS,
    MANIFEST,
    checkpoint_folders,
    damage_of,
    read_manifest,
    runs_below,
)

log = logging.getLogger(__name__)


def find_weights(run_or_file: Path, role: str | None = None, *, ema: bool | None = None) -> Path:
    """Find the weights file that a path means.

    Wherever a checkpoint's manifest lies beside the file, it has been compared with it.

    Args:
        run_or_file: a weights file, a checkpoint's folder, or a run directory (its newest complete
            checkpoint, then the ones before it).
        role: the network wanted; None: the one that the run's task serves.
        ema: True or False for the moving average or the plain weights; None takes the average
            where there is one.

    Raises:
        UsageError: nothing there fits, or the task serves several roles and none was named.
        DataError: what was named is damaged, or can't be read.
    """
    if run_or_file.is_file():
        _refuse_damaged(run_or_file)
        _refuse_other(run_or_file, role, ema=ema)
        return run_or_file
    if not run_or_file.is_dir():
        hint = nearest_folder(run_or_file)
        raise UsageError("no such run directory or weights file", where=str(run_or_file), hint=hint)
    # A folder with weights in it is a checkpoint itself, whether or not its manifest came along.
    alone = bool(_weights_in(run_or_file))
    folders = [run_or_file] if alone else checkpoint_folders(run_or_file / CHECKPOINTS)
    lacks = {folder: "" if alone else _lack(folder) for folder in folders}
    complete = [folder for folder in folders if not lacks[folder]]
    if not complete:
        raise UsageError(
            "no complete checkpoint in it",
            where=str(run_or_file),
            hint=runs_below(run_or_file)
            or "Give a run directory (runs/NAME/STAMP), a checkpoint's folder or a weights file.",
        )
    suffixes = {None: (".ema", ""), True: (".ema",), False: ("",)}[ema]
    faults: list[str] = []
    for folder in complete:
        wanted = role or _served_role(folder, faults)
        for suffix in suffixes:
            path = folder / f"{wanted}{suffix}.safetensors"
            if not path.is_file() and not _listed(path):
                continue
            fault = damage(path)
            if not fault:
                newer = folders[: folders.index(folder)]
                left_out = [f"{one}: {lacks[one]}" for one in newer if lacks[one]]
                for one in [*left_out, *faults]:
                    log.warning("%s; an older checkpoint is used", one)
                return path
            faults.append(f"{path}: {fault}")
            break  # the plain weights beside a damaged average are other weights
    if faults:
        raise DataError(
            "no weights in it are intact", where=str(run_or_file), hint="\n".join(faults)
        )
    there = ", ".join(sorted(path.name for path in _weights_in(complete[0])))
    raise UsageError(
        f"no {'averaged ' if ema else ''}weights of {role or 'the served role'} in it",
        where=str(run_or_file),
        hint=f"{complete[0]} holds {there}.",
    )


def _lack(folder: Path) -> str:
    """Return what a checkpoint's folder lacks for its weights to be used, or an empty string."""
    if not (folder / MANIFEST).is_file():
        return f"its {MANIFEST} is missing"
    return "" if _weights_in(folder) else "its weights are missing"


def _refuse_damaged(file: Path) -> None:
    fault = damage(file)
    if not fault:
        return
    folder = file.resolve().parent
    hint = f"Put weights that {MANIFEST} doesn't list into a separate folder."
    if folder.parent.name == CHECKPOINTS:
        hint = (
            f"Give the run directory, {folder.parent.parent}: then its newest intact "
            "checkpoint is used."
        )
    raise DataError(fault, where=str(file), hint=hint)


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
            hint="Give its checkpoint's folder or its run directory, or leave the option out.",
        )


def _weights_in(folder: Path) -> list[Path]:
    return [p for p in folder.glob("*.safetensors") if p.stem != "training_state"]


def damage(file: Path) -> str:
    """How a weights file differs from what the manifest beside it says; empty where it doesn't.

    Also empty without a manifest: such a file has only the hash in its own card, which
    `load_weights` compares.
    """
    if not file.with_name(MANIFEST).is_file():
        return ""
    try:
        written = read_manifest(file.parent)[file.name]
    except (DataError, KeyError):
        return f"{MANIFEST} beside it is damaged, or doesn't list it"
    return damage_of(file, written)


def _listed(file: Path) -> bool:
    """Whether the manifest beside it says that a file was written."""
    try:
        return file.name in read_manifest(file.parent)
    except DataError:
        return False


def _served_role(folder: Path, faults: list[str]) -> str:
    """The role that is meant where none was named; empty where no card there can be read."""
    from ganzoo.plugin_system import registry

    for file in sorted(_weights_in(folder)):
        try:
            card = read_card(file)
        except DataError as error:
            faults.append(f"{file}: {error.message}")
            continue
        task = registry.current().choose("task", dict(card.task))
        serves = task.load().serves
        if len(serves) == 1:
            return str(next(iter(serves)))
        lines = [f"  --role {role}  ({direction(task, role, card.fields)})" for role in serves]
        raise UsageError(
            f"its task serves {len(serves)} networks, and none of them was chosen",
            where=str(folder),
            hint="\n".join(["Choose one:", *lines]),
        )
    return ""
