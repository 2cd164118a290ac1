"""`ganzoo init`: write a recipe for a folder of the user's own images."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ganzoo.cli.init_sized import Sized
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
@click.option("--turn", is_flag=True, help="Read the pairs in the opposite direction.")
@click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="A key to write into the recipe's data table, such as data.unmatched=skip.",
)
@click.option(
    "--size",
    metavar="PIXELS",
    type=click.IntRange(min=8, max=4096),
    help="The side of the training images. [default: a size that this machine can train]",
)
@click.option(
    "--for",
    "duration",
    metavar="10m",
    help="How long a training may take here (90s, 10m, 1h30m). [default: 10m]",
)
@click.option("--overwrite", is_flag=True, help="Replace a recipe and picture that exist already.")
def command(  # click passes by name
    folder: Path,
    out: Path | None,
    base: str | None,
    use: str | None,
    turn: bool,  # noqa: FBT001
    overrides: tuple[str, ...],
    size: int | None,
    duration: str | None,
    overwrite: bool,  # noqa: FBT001
) -> None:
    """Inspect FOLDER and write a recipe for it.

    FOLDER holds pairs side by side in each file, or in two folders; or two folders of images of two
    kinds, without pairs; or images of one kind. The images are in folders train, val and test, or
    all in one folder, which is then split 80/10/10. A few training steps are measured, in order to
    propose sizes of images and networks with which a first training takes about ten minutes on this
    machine. One sample is saved as a picture beside the recipe, with its direction. Nothing is
    written unless the recipe can read the data.
    """
    from ganzoo.cli.init_folder import choose_component
    from ganzoo.cli.init_sized import Sized, sized
    from ganzoo.cli.init_text import recipe_text
    from ganzoo.data.pipeline import unreadable
    from ganzoo.engine.intervals import parse_duration
    from ganzoo.errors import DataError, UsageError
    from ganzoo.recipe import loads
    from ganzoo.recipe.relative_paths import seen_from

    seconds = parse_duration(duration) if duration else None
    if base and (size or seconds):
        raise UsageError(
            "the recipe of --base is used unchanged: leave out --size and --for",
            hint="It sets its own sizes; `ganzoo check` shows how long a training takes.",
        )
    try:
        folder, out = _places(folder, out, overwrite=overwrite)
        component, proposal, others = choose_component(folder, use)
    except OSError as error:
        raise unreadable(error, str(folder)) from error
    others = [] if use else others
    options = {**proposal.options, **(proposal.turned if turn else {}), **_data_keys(overrides)}
    if "root" in options:
        options["root"] = seen_from(out.parent, Path(options["root"]))
    data = {"use": component, **options}
    head = recipe_text(out, base or proposal.extends, data, proposal.because)
    click.echo(f"{proposal.because}.", err=True)

    def load(text: str) -> Recipe:
        return loads(text, str(out), path=out)

    try:
        made = Sized(head)
        if proposal.sizing is not None and not base:
            made = sized(head, load, proposal.sizing, size, seconds)
        recipe = load(made.text)
        splits = _open(recipe)
    except DataError as error:
        raise _with_ways(error, folder, others) from error
    _write(out, made.text, splits[-1], _directions(recipe, splits[-1]))
    if proposal.turned:
        _tell_other_way(out, proposal, turn=turn)
    for line in others:
        click.echo(f"if this is not what you want: {line}", err=True)
    for line in made.said:
        click.echo(line, err=True)
    _tell_next(out, recipe, splits[0], made)


def _directions(recipe: Recipe, data: PreparedData) -> str:
    """Return which fields become which, under the names that the folders have."""
    from ganzoo.inference.applications import direction

    every = recipe.task.load().applications.values()
    return ", ".join(direction(one, data.fields) for one in every)


def _write(out: Path, text: str, data: PreparedData, directions: str) -> None:
    """Write the recipe, and a picture of one sample beside it.

    Raises:
        EnvironmentFault: the recipe can't be written.
    """
    from ganzoo.data.write_image import save_image
    from ganzoo.errors import EnvironmentFault
    from ganzoo.files import write_text

    drawn, picture = _drawn(data, directions), _picture(out)
    try:
        write_text(out, text)
    except OSError as error:
        reason = error.strerror or str(error)
        raise EnvironmentFault(f"can't be written: {reason}", where=str(out)) from error
    click.echo(f"wrote {out}")
    save_image(drawn, picture)
    click.echo(f"one sample, {directions}: {picture}")


def _picture(out: Path) -> Path:
    return out.with_name(f"{out.stem}_pair.png")


def _tell_other_way(out: Path, proposal: Proposal, *, turn: bool) -> None:
    """Print how the direction of the pairs can be changed in the recipe."""
    other = proposal.turned
    if turn:
        other = {key: proposal.options.get(key, "") for key in proposal.turned}
    change = ", ".join(f'data.{key} = "{value}"' for key, value in other.items())
    click.echo(f"for the opposite direction, set {change} in {out}", err=True)


def _tell_next(out: Path, recipe: Recipe, data: PreparedData, made: Sized) -> None:
    """Print the commands to use next, and the one to use after the training."""
    from ganzoo.engine.intervals import in_words
    from ganzoo.inference.applications import draws_all

    name = shlex.quote(str(out))
    if misfit := _misfit(recipe, data):
        click.echo(f"what must change before it can run: {misfit}", err=True)
        click.echo(f"next: change that in {out}; ganzoo check {name}", err=True)
        return
    if any(map(draws_all, recipe.task.load().applications.values())):
        run = shlex.quote(f"{recipe.out}/{recipe.name}/STAMP")
        click.echo(f"after the training: ganzoo sample {run}", err=True)
    stop = "" if made.limit is None else f"--max-time {in_words(made.limit)} "
    click.echo(f"next: ganzoo data inspect {name}; ganzoo run {stop}{name}", err=True)


def _places(folder: Path, out: Path | None, *, overwrite: bool) -> tuple[Path, Path]:
    """Return the absolute path of the folder, and the path of the recipe to write.

    Raises:
        UsageError, DataError: one of the two paths can't be used.
    """
    from ganzoo.errors import DataError, DataMissing, UsageError, printable
    from ganzoo.files import expanded
    from ganzoo.plugin_system.suggestions import nearest_folder

    folder = expanded(folder)
    if not folder.is_dir():
        what = "this is not a folder" if folder.exists() else "there is no such folder"
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
    out = expanded(out)
    if out.suffix != ".toml":
        raise UsageError("a recipe's name ends in .toml", where=str(out))
    for path in (out, _picture(out)):
        if path.exists() and not overwrite:
            raise UsageError(
                "this file exists",
                where=str(path),
                hint="--overwrite replaces it; -o names another.",
            )
    return folder, out


def _data_keys(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the keys and values that `--set` adds to the data table.

    Raises:
        UsageError: an argument isn't like KEY=VALUE, or its key is of another table.
    """
    import tomllib

    from ganzoo.errors import UsageError

    keys = {}
    for argument in overrides:
        key, sign, value = argument.partition("=")
        table, _, name = key.strip().partition(".")
        if not sign or table != "data" or not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise UsageError(
                f"--set {argument}: it must have the form data.KEY=VALUE",
                hint="All other keys are set in the recipe, or when it is run.",
            )
        try:
            keys[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            keys[name] = value.strip()
    return keys


def _open(recipe: Recipe) -> list[PreparedData]:
    """Open every split, and print the number of its samples and the notes about its data."""
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
    """Return why the recipe's networks can't use the images and what to change.

    The text is empty if they can.
    """
    from ganzoo.engine.plan import plan_networks
    from ganzoo.errors import GanzooError

    try:
        plan_networks(recipe, data.fields)
    except GanzooError as error:
        return str(error)
    return ""


def _with_ways(error: DataError, folder: Path, others: Sequence[str]) -> DataError:
    """Return a data error whose hint also lists options of `init` that may help."""
    ways = [*([error.hint] if error.hint else []), *others]
    if key := re.search(r'\bdata\.(\w+) = "([^"]+)"', error.hint):
        told = f"ganzoo init {shlex.quote(str(folder))} --set data.{key[1]}={key[2]}"
        ways.append(f"To write such a key: {told}")
    ways.append("No recipe was written.")
    error.hint = "\n".join(ways)
    return error


def _drawn(data: PreparedData, directions: str) -> Any:
    """Return a picture of the first sample with its caption, H x W x 3 uint8."""
    import numpy as np

    from ganzoo.data.contact_sheet import grid
    from ganzoo.data.inspect import contact_sheet_rows

    return np.asarray(grid(contact_sheet_rows(data, 1), f"{data.name(0)}: {directions}"))
