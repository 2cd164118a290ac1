"""`ganzoo init`: a recipe for a folder of one's own images."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ganzoo.data.pipeline import PreparedData
    from ganzoo.data.proposal import Proposal
    from ganzoo.errors import DataError
    from ganzoo.recipe import Recipe


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    metavar="RECIPE.toml",
    type=click.Path(path_type=Path),
    help="The recipe to write (default: FOLDER's name in the working directory).",
)
@click.option("--base", metavar="RECIPE", help="The recipe to extend, instead of the usual one.")
@click.option("--use", metavar="ID", help="The data component to read the folder with.")
@click.option("--turn", is_flag=True, help="Read the pairs the other way round.")
@click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="A key to write into the recipe's data table, such as data.unmatched=skip.",
)
@click.option("--overwrite", is_flag=True, help="Replace a recipe and picture that exist already.")
def command(  # click passes by name
    folder: Path,
    out: Path | None,
    base: str | None,
    use: str | None,
    turn: bool,  # noqa: FBT001
    overrides: tuple[str, ...],
    overwrite: bool,  # noqa: FBT001
) -> None:
    """Look at FOLDER and write a recipe for it.

    FOLDER holds pairs side by side in each file, or in two folders; or two folders of images of two
    kinds, without pairs. They lie in train, val and test folders, or all in one, which is then
    split 80/10/10. One sample is drawn, beside the recipe, with its direction. Nothing is written
    unless the data can be read by the recipe.
    """
    from ganzoo.data.convert import save_image
    from ganzoo.data.pipeline import unreadable
    from ganzoo.errors import DataError, EnvironmentFault
    from ganzoo.files import write_text
    from ganzoo.recipe import loads
    from ganzoo.recipe.beside import seen_from

    try:
        folder, out = _places(folder, out, overwrite=overwrite)
        component, proposal, others = _choose(folder, use)
    except OSError as error:
        raise unreadable(error, str(folder)) from error
    options = {**proposal.options, **(proposal.turned if turn else {}), **_data_keys(overrides)}
    if "root" in options:
        options["root"] = seen_from(out.parent, Path(options["root"]))
    text = _recipe_text(
        out, base or proposal.extends, {"use": component, **options}, proposal.because
    )
    picture = out.with_name(f"{out.stem}_pair.png")
    recipe = loads(text, str(out), path=out)
    click.echo(f"{proposal.because}.", err=True)
    try:
        splits = _open(recipe)
    except DataError as error:
        raise _with_ways(error, folder, [] if use else others) from error
    called = {name: one.called or name for name, one in splits[-1].fields.items()}
    serves = ", ".join(
        f"{called.get(source, source)} -> {called.get(target, target)}"
        for source, target in recipe.task.load().serves.values()
    )
    drawn = _drawn(splits[-1], serves)
    try:
        write_text(out, text)
    except OSError as error:
        reason = error.strerror or str(error)
        raise EnvironmentFault(f"can't be written: {reason}", where=str(out)) from error
    click.echo(f"wrote {out}")
    save_image(drawn, picture)
    click.echo(f"one sample, {serves}: {picture}")
    if proposal.turned:
        other = proposal.turned
        if turn:
            other = {key: proposal.options.get(key, "") for key in proposal.turned}
        change = ", ".join(f'data.{key} = "{value}"' for key, value in other.items())
        click.echo(f"the other way round: set {change} in {out}", err=True)
    for line in [] if use else others:
        click.echo(f"if that isn't meant: {line}", err=True)
    name = shlex.quote(str(out))
    if misfit := _misfit(recipe, splits[0]):
        click.echo(f"before it can run: {misfit}", err=True)
        click.echo(f"next: change that in {out}; ganzoo check {name}", err=True)
        return
    click.echo(f"next: ganzoo data inspect {name}; ganzoo run {name}", err=True)


def _places(folder: Path, out: Path | None, *, overwrite: bool) -> tuple[Path, Path]:
    """The folder, absolute, and the recipe to write.

    Raises:
        UsageError, DataError: one of them can't be used.
    """
    from ganzoo.errors import DataError, DataMissing, UsageError
    from ganzoo.names import printable
    from ganzoo.wording import nearest_folder

    folder = folder.expanduser()
    if not folder.is_dir():
        what = "this is no folder" if folder.exists() else "there is no such folder"
        raise DataMissing(what, where=str(folder), hint=nearest_folder(folder))
    folder = folder.resolve()
    if printable(str(folder)) != str(folder):
        raise DataError(
            "a recipe can't name this folder, since its path isn't UTF-8",
            where=str(folder),
            hint="Rename it.",
        )
    if out is None:
        out = Path(f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', folder.name).strip('_') or 'my'}.toml")
    out = out.expanduser()
    if out.suffix != ".toml":
        raise UsageError("a recipe's name ends in .toml", where=str(out))
    for path in (out, out.with_name(f"{out.stem}_pair.png")):
        if path.exists() and not overwrite:
            raise UsageError(
                "this file exists",
                where=str(path),
                hint="--overwrite replaces it; -o names another.",
            )
    return folder, out


def _data_keys(overrides: Sequence[str]) -> dict[str, Any]:
    """What `--set` writes into the data table.

    Raises:
        UsageError: a key of another table, or no KEY=VALUE.
    """
    import tomllib

    from ganzoo.errors import UsageError

    keys = {}
    for argument in overrides:
        key, sign, value = argument.partition("=")
        table, _, name = key.strip().partition(".")
        if not sign or table != "data" or not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise UsageError(
                f"--set {argument}: not like data.KEY=VALUE",
                hint="All other keys are set in the recipe, or when it is run.",
            )
        try:
            keys[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            keys[name] = value.strip()
    return keys


def _choose(folder: Path, use: str | None) -> tuple[str, Proposal, list[str]]:
    """The data component for the folder, what it proposes, and what `--use` would do instead."""
    from ganzoo.errors import DataError, UsageError

    known, anyway = _proposals(folder)
    choices = {**anyway, **known}
    if use is not None:
        if use not in choices:
            can = ", ".join(choices)
            raise DataError(
                f"{use} has no recipe for this folder",
                where=str(folder),
                hint=f"These have: {can}." if can else _what_is_there(folder),
            )
        return use, choices[use], []
    ways = {name: f"--use {name}: {one.because}" for name, one in choices.items()}
    if not known:
        told = [f"  {way}." for way in ways.values()]
        raise DataError(
            "no data component recognises this folder",
            where=str(folder),
            hint=f"{_what_is_there(folder)}\n"
            "Expected files that hold two images side by side (twice as wide as high), or two "
            "folders of images, such as A and B: with the same names, if they are pairs, or with "
            "none in common, if not. Either in folders train, val and test, or without.\n"
            + "\n".join(["These can be told to read it:", *told, ""] if told else [])
            + "Images of one kind, or of several classes, need no proposal: extend a recipe that "
            "generates from noise (`ganzoo recipes list`), and name data for such a folder "
            "(`ganzoo list data`).",
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
    """What each data component proposes by itself, and what it would where it is asked for."""
    from ganzoo.api import load_target
    from ganzoo.registry import current

    known: dict[str, Proposal] = {}
    anyway: dict[str, Proposal] = {}
    for entry in current().components("data"):
        try:
            target = load_target(entry.component.target)
        except Exception as error:  # noqa: BLE001  # a broken plugin mustn't stop the others
            click.echo(f"{entry.id} can't be imported, so isn't asked: {error}", err=True)
            continue
        for found, name in ((known, "propose"), (anyway, "propose_anyway")):
            ask = getattr(target, name, None)
            proposal = None if ask is None else ask(folder)
            if proposal is not None:
                found[entry.id] = proposal
    return known, anyway


def _what_is_there(folder: Path) -> str:
    """How many files of which ending the folder and those right in it hold."""
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


def _open(recipe: Recipe) -> list[PreparedData]:
    """Open every split, and say how many samples it has and what there is to know."""
    from ganzoo.data.pipeline import open_data

    splits, said = [], set()
    for split in ("train", "val", "test"):
        data = open_data(recipe, split)
        click.echo(f"{split}: {len(data)} samples")
        for note in data.notes:
            if note not in said:
                click.echo(f"  {note}", err=True)
            said.add(note)
        splits.append(data)
    return splits


def _misfit(recipe: Recipe, data: PreparedData) -> str:
    """Why the recipe's networks can't take the images, and what to set; empty where they can."""
    from ganzoo.engine.build import plan_networks
    from ganzoo.errors import GanzooError

    try:
        plan_networks(recipe, data.fields)
    except GanzooError as error:
        return str(error)
    return ""


def _with_ways(error: DataError, folder: Path, others: Sequence[str]) -> DataError:
    """An error of the data, with what `init` itself can be told."""
    ways = [*([error.hint] if error.hint else []), *others]
    if key := re.search(r'\bdata\.(\w+) = "([^"]+)"', error.hint):
        told = f"ganzoo init {shlex.quote(str(folder))} --set data.{key[1]}={key[2]}"
        ways.append(f"To write such a key: {told}")
    ways.append("No recipe was written.")
    return type(error)(error.message, where=error.where, hint="\n".join(ways))


def _drawn(data: PreparedData, serves: str) -> Any:
    """The first sample with its caption, H x W x 3 uint8."""
    import numpy as np

    from ganzoo.data.inspect import contact_sheet_rows
    from ganzoo.data.pictures import grid

    return np.asarray(grid(contact_sheet_rows(data, 1), f"{data.name(0)}: {serves}"))


def _recipe_text(out: Path, base: str, data: dict[str, Any], because: str) -> str:
    import tomlkit

    from ganzoo.recipe.schema import schema_line

    document = tomlkit.document()
    document.add(tomlkit.comment(f"Written by `ganzoo init`: {because}."))
    document["extends"] = base
    document["name"] = re.sub(r"[^A-Za-z0-9_.-]+", "_", out.stem)
    document["summary"] = f"Images in {data['root']}"
    document["data"] = data
    return schema_line(out.parent) + tomlkit.dumps(document)
