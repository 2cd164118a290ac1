"""From a run directory, a checkpoint's folder or a file to weights that are what was written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from ganzoo.errors import DataError, GanzooError, UsageError
from ganzoo.inference.bundle_card import refuse_mixture
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.inference.weights_file import read_cards
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

Roles = Callable[[WeightsCard, Collection[str]], Sequence[str]]
"""From the card of one of a checkpoint's networks and the roles of all to the roles wanted."""


def find_networks(
    run_or_file: Path, roles: Roles, *, ema: bool | None = None
) -> tuple[dict[str, Path], dict[str, WeightsCard]]:
    """Find the weights files of several networks of one checkpoint, and their cards, by role.

    Wherever a checkpoint's manifest lies beside a file, it has been compared with it.

    Args:
        run_or_file: a weights file, a checkpoint's folder, or a run directory (its newest complete
            checkpoint, then the ones before it).
        roles: says which networks are wanted. Its errors get `run_or_file` as their place.
        ema: True or False for the moving average or the plain weights; None takes the average
            where there is one.

    Raises:
        UsageError: nothing there fits.
        DataError: what was named is damaged, or can't be read.
    """

    def wanted_of(card: WeightsCard, there: Collection[str]) -> Sequence[str]:
        try:
            return roles(card, there)
        except GanzooError as error:
            error.where = error.where or str(run_or_file)
            raise

    if run_or_file.is_file():
        _refuse_damaged(run_or_file)
        cards = read_cards(run_or_file)
        wanted = wanted_of(next(iter(cards.values())), set(cards))
        _refuse_other(run_or_file, cards, wanted, ema=ema)
        return dict.fromkeys(wanted, run_or_file), {role: cards[role] for role in wanted}

    def known(folders: Sequence[Path]) -> Sequence[str]:
        return wanted_of(_any_card(folders), _roles_in(folders))

    files = _in_folder(run_or_file, known, ema=ema)
    return files, _cards_of(files)


def _in_folder(
    folder: Path, roles: Callable[[Sequence[Path]], Sequence[str]], *, ema: bool | None
) -> dict[str, Path]:
    """Find weights below a run directory or a checkpoint's folder, as in `find_networks`.

    Args:
        folder: the run directory or the checkpoint's folder.
        roles: from the folders of complete checkpoints to the roles wanted.
        ema: see `find_networks`.
    """
    if not folder.is_dir():
        hint = nearest_folder(folder)
        raise UsageError("no such run directory or weights file", where=str(folder), hint=hint)
    # A folder with weights in it is a checkpoint itself, whether or not its manifest came along.
    alone = bool(_weights_in(folder))
    folders = [folder] if alone else checkpoint_folders(folder / CHECKPOINTS)
    lacks = {one: "" if alone else _lack(one) for one in folders}
    complete = [one for one in folders if not lacks[one]]
    if not complete:
        raise UsageError(
            "no complete checkpoint in it",
            where=str(folder),
            hint=runs_below(folder)
            or "Give a run directory (runs/NAME/STAMP), a checkpoint's folder or a weights file.",
        )
    wanted = roles(complete)
    faults: list[str] = []
    for one in complete:
        files = _intact(one, wanted, faults, ema=ema)
        if files is None:
            continue
        newer = folders[: folders.index(one)]
        left_out = [f"{each}: {lacks[each]}" for each in newer if lacks[each]]
        for each in [*left_out, *faults]:
            log.warning("%s; an older checkpoint is used", each)
        return files
    if faults:
        raise DataError(
            f"no checkpoint in it has intact weights of {' and '.join(wanted)}",
            where=str(folder),
            hint="\n".join(faults),
        )
    there = ", ".join(sorted(path.name for path in _weights_in(complete[0])))
    raise UsageError(
        f"no {'averaged ' if ema else ''}weights of {' and '.join(wanted)} in it",
        where=str(folder),
        hint=f"{complete[0]} holds {there}.",
    )


def _intact(
    folder: Path, wanted: Sequence[str], faults: list[str], *, ema: bool | None
) -> dict[str, Path] | None:
    """Return a checkpoint's files of the roles; None if one of them is missing or damaged."""
    files: dict[str, Path] = {}
    for role in wanted:
        for suffix in {None: (".ema", ""), True: (".ema",), False: ("",)}[ema]:
            path = folder / f"{role}{suffix}.safetensors"
            if not path.is_file() and not _listed(path):
                continue
            fault = damage(path)
            if fault:
                faults.append(f"{path}: {fault}")
            else:
                files[role] = path
            break  # the plain weights beside a damaged average are other weights
    return files if len(files) == len(wanted) else None


def _cards_of(files: Mapping[str, Path]) -> dict[str, WeightsCard]:
    """Return the cards of files.

    Raises:
        DataError: a file can't be read or holds another network, or they are of several
            checkpoints.
    """
    cards = {}
    for role, path in files.items():
        its = read_cards(path)
        if set(its) != {role}:
            raise DataError(
                f"its card says that it holds {' and '.join(its)}, not {role}", where=str(path)
            )
        cards[role] = its[role]
    try:
        refuse_mixture(cards)
    except DataError as error:
        error.where = str(next(iter(files.values())).parent)
        raise
    return cards


def _any_card(folders: Sequence[Path]) -> WeightsCard:
    """Return the card of the first file that can be read.

    Raises:
        DataError: none can.
    """
    unread = []
    for folder in folders:
        for file in sorted(_weights_in(folder)):
            try:
                return next(iter(read_cards(file).values()))
            except DataError as error:
                unread.append(f"{file}: {error.message}")
    raise DataError(
        "no weights in it are intact", where=str(folders[0].parent), hint="\n".join(unread)
    )


def _roles_in(folders: Sequence[Path]) -> set[str]:
    """Return the roles of which there are weights, or were when a manifest was written."""
    names = {path.name for folder in folders for path in _weights_in(folder)}
    for folder in folders:
        try:
            names |= {name for name in read_manifest(folder) if name.endswith(".safetensors")}
        except DataError:  # a damaged one, or none
            continue
    stems = {name.removesuffix(".safetensors").removesuffix(".ema") for name in names}
    return stems - {"training_state"}


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


def _refuse_other(
    file: Path, cards: Mapping[str, WeightsCard], wanted: Sequence[str], *, ema: bool | None
) -> None:
    """Say no to a role or an average that a named file doesn't hold, rather than ignore it."""

    def named(role: str, averaged: bool) -> str:  # noqa: FBT001
        return f"{'averaged' if averaged else 'plain'} weights of {role}"

    held = {role: card.ema for role, card in cards.items()}
    for role in wanted:
        average = held.get(role, False) if ema is None else ema
        if held.get(role) != average:
            there = " and the ".join(named(*one) for one in held.items())
            raise UsageError(
                f"it holds the {there}, not the {named(role, average)}",
                where=str(file),
                hint="Give its checkpoint's folder or its run directory, or leave the option out.",
            )


def _weights_in(folder: Path) -> list[Path]:
    return [p for p in folder.glob("*.safetensors") if p.stem != "training_state"]


def damage(file: Path) -> str:
    """How a weights file differs from what the manifest beside it says; empty where it doesn't.

    Also empty without a manifest: such a file has only the hash in its own card, which
    `load_all` compares.
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
