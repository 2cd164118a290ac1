"""The choice of a data component that can read the folder given to `ganzoo init`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganzoo.errors import error_text

if TYPE_CHECKING:
    from ganzoo.data.proposal import Proposal


def choose_component(folder: Path, use: str | None) -> tuple[str, Proposal, list[str]]:
    """Choose the data component that reads the folder.

    Args:
        folder: the folder given to `ganzoo init`.
        use: the id of the component that the user chose; None to choose by the folder's content.

    Returns:
        The component's id, its proposal, and a line for each other component that `--use` could
        name.

    Raises:
        DataError: no component recognises the folder, or the one of `use` has no proposal for it.
        UsageError: several components recognise it.
    """
    from ganzoo.errors import DataError, UsageError

    known, anyway = _proposals(folder)
    choices = {**anyway, **known}
    if use is not None:
        if use not in choices:
            can = ", ".join(choices)
            raise DataError(
                f"{use} can't propose a recipe for this folder",
                where=str(folder),
                hint=f"These can: {can}." if can else _what_is_there(folder),
            )
        return use, choices[use], []
    ways = {name: f"--use {name}: {one.because}" for name, one in choices.items()}
    if not known:
        told = [f"  {way}." for way in ways.values()]
        raise DataError(
            "no data component recognises this folder",
            where=str(folder),
            hint=f"{_what_is_there(folder)}\n"
            "Expected are files that hold two images side by side (twice as wide as high), or two "
            "folders of images, such as A and B. Their files have the same names if they are "
            "pairs, and no name in common if they aren't. Both may be in folders train, val and "
            "test.\n"
            + "\n".join(
                ["These components can read it if you name one of them:", *told, ""] if told else []
            )
            + "A folder with images of one kind, and without subfolders, is possible too. For "
            "images of several classes, extend a recipe that generates from noise (`ganzoo "
            "recipes list`), and name data for such a folder (`ganzoo list data`).",
        )
    if len(known) > 1:
        raise UsageError(
            "several data components fit this folder",
            where=str(folder),
            hint="\n".join(f"{ways[name]}." for name in known),
        )
    ((name, proposal),) = known.items()
    return name, proposal, [way for other, way in ways.items() if other != name]


def _proposals(folder: Path) -> tuple[dict[str, Proposal], dict[str, Proposal]]:
    """Return two tables of proposals by component id.

    The first has the components that recognise the folder. The second has those that can read it
    only if the user chooses them by `--use`.
    """
    from ganzoo.plugin_system.registry import current

    known: dict[str, Proposal] = {}
    anyway: dict[str, Proposal] = {}
    for entry in current().components("data"):
        try:
            target = entry.component.load()
        except Exception as error:  # noqa: BLE001  # other plugins work if one is broken
            click.echo(
                f"{entry.id} can't be imported and is left out: {error_text(error)}", err=True
            )
            continue
        for found, name in ((known, "propose"), (anyway, "propose_anyway")):
            ask = getattr(target, name, None)
            proposal = None if ask is None else ask(folder)
            if proposal is not None:
                found[entry.id] = proposal
    return known, anyway


def _what_is_there(folder: Path) -> str:
    """Return the number of files of each type in the folder and in its direct subfolders."""
    from collections import Counter

    lines = []
    folders = sorted(one for one in folder.iterdir() if one.is_dir() and one.name[:1] != ".")
    for place in (folder, *folders[:10]):
        files = (one for one in place.iterdir() if one.is_file() and one.name[:1] != ".")
        endings = Counter(one.suffix.lower() or one.name for one in files)
        inner = sum(one.is_dir() for one in place.iterdir()) if place != folder else 0
        what = [f"{count} {ending}" for ending, count in endings.most_common(5)]
        what += [f"{inner} folders"] if inner else []
        name = "in it" if place == folder else f"in {place.name}"
        if what or place != folder:
            lines.append(f"  {name}: {', '.join(what) or 'nothing'}")
    if len(folders) > 10:
        lines.append(f"  and {len(folders) - 10} more folders")
    return "\n".join(["There are:", *lines]) if lines else "It is empty."
