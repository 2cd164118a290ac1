"""From a run directory, a checkpoint's folder or a file to weights that are what was written."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from ganzoo.engine.run_directory import runs_below
from ganzoo.errors import DataError, UsageError
from ganzoo.files import read_json
from ganzoo.inference.trained_network import direction
from ganzoo.inference.weights_file import read_card
from ganzoo.plugin_system.option_errors import nearest_folder

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"


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
    folders = _checkpoint_folders(run_or_file)
    if not folders:
        raise UsageError(
            "no complete checkpoint in it",
            where=str(run_or_file),
            hint=runs_below(run_or_file)
            or "Give a run directory (runs/NAME/STAMP), a checkpoint's folder or a weights file.",
        )
    suffixes = {None: (".ema", ""), True: (".ema",), False: ("",)}[ema]
    faults: list[str] = []
    for folder in folders:
        wanted = role or _served_role(folder, faults)
        for suffix in suffixes:
            path = folder / f"{wanted}{suffix}.safetensors"
            if not path.is_file() and not _listed(path):
                continue
            fault = damage(path)
            if not fault:
                for one in [*_incomplete(run_or_file, folder), *faults]:
                    log.warning("%s; an older checkpoint is used", one)
                return path
            faults.append(f"{path}: {fault}")
            break  # the plain weights beside a damaged average are other weights
    if faults:
        raise DataError(
            "no weights in it are whole", where=str(run_or_file), hint="\n".join(faults)
        )
    there = ", ".join(sorted(path.name for path in _weights_in(folders[0])))
    raise UsageError(
        f"no {'averaged ' if ema else ''}weights of {role or 'the served role'} in it",
        where=str(run_or_file),
        hint=f"{folders[0]} holds {there}.",
    )


def _refuse_damaged(file: Path) -> None:
    fault = damage(file)
    if not fault:
        return
    folder = file.resolve().parent
    hint = f"Weights that {MANIFEST} doesn't know belong into a folder of their own."
    if folder.parent.name == "checkpoints":
        hint = f"Name the run, {folder.parent.parent}: its newest whole checkpoint is used then."
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
            hint="Name its checkpoint's folder or its run directory, or leave the option out.",
        )


def _weights_in(folder: Path) -> list[Path]:
    return [p for p in folder.glob("*.safetensors") if p.stem != "training_state"]


def damage(file: Path) -> str:
    """How a weights file differs from what the manifest beside it says; empty where it doesn't.

    Also empty without a manifest: such a file has only the hash in its own card, which
    `load_weights` compares.
    """
    manifest = file.with_name(MANIFEST)
    if not manifest.is_file():
        return ""
    try:
        written = read_json(manifest)["files"][file.name]["sha256"]
    except (DataError, KeyError, TypeError):
        return f"{MANIFEST} beside it is damaged, or doesn't list it"
    if not file.is_file():
        return f"it is missing, and {MANIFEST} lists it"
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return "" if digest == written else f"it isn't what {MANIFEST} says (its sha256 differs)"


def _checkpoint_folders(path: Path) -> list[Path]:
    """Complete checkpoints, the newest first, as a resume takes them."""
    if _weights_in(path):
        return [path]
    steps = {
        int(folder.name.removeprefix("step_")): folder
        for folder in (path / "checkpoints").glob("step_*")
        if folder.name.removeprefix("step_").isdecimal() and (folder / MANIFEST).is_file()
    }
    return [steps[step] for step in sorted(steps, reverse=True) if _weights_in(steps[step])]


def _incomplete(path: Path, used: Path) -> list[str]:
    """Checkpoints newer than the one that is used which were left out, each with what it lacks."""
    if used == path:
        return []
    left_out = []
    for folder in sorted(used.parent.glob("step_*")):
        number = folder.name.removeprefix("step_")
        if not number.isdecimal() or int(number) <= int(used.name.removeprefix("step_")):
            continue
        if not (folder / MANIFEST).is_file():
            left_out.append(f"{folder}: its {MANIFEST} is missing")
        elif not _weights_in(folder):
            left_out.append(f"{folder}: its weights are missing")
    return left_out


def _listed(file: Path) -> bool:
    """Whether the manifest beside it says that a file was written."""
    try:
        files = read_json(file.with_name(MANIFEST)).get("files")
    except DataError:
        return False
    return isinstance(files, dict) and file.name in files


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
            f"its task serves {len(serves)} networks, and which is meant isn't said",
            where=str(folder),
            hint="\n".join(["Name one:", *lines]),
        )
    return ""
