"""`ganzoo init`: a recipe for a folder of one's own images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ganzoo.data.proposal import Proposal


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    metavar="RECIPE.toml",
    required=True,
    type=click.Path(path_type=Path),
    help="The recipe to write.",
)
@click.option("--base", metavar="RECIPE", help="The recipe to extend, instead of the usual one.")
@click.option("--use", metavar="ID", help="The data component, where several fit the folder.")
@click.option("--turn", is_flag=True, help="Read the pairs the other way round.")
@click.option("--overwrite", is_flag=True, help="Replace a recipe that exists already.")
def command(  # click passes by name
    folder: Path,
    out: Path,
    base: str | None,
    use: str | None,
    turn: bool,  # noqa: FBT001
    overwrite: bool,  # noqa: FBT001
) -> None:
    """Look at FOLDER and write a recipe for it.

    FOLDER holds pairs side by side in each file, or in two folders; or two folders of images of two
    kinds, without pairs. They lie in train, val and test folders, or all in one, which is then
    split 80/10/10. One sample is drawn, beside the recipe, with its direction.
    """
    import numpy as np

    from ganzoo.data.convert import save_image
    from ganzoo.data.inspect import contact_sheet_rows
    from ganzoo.data.pictures import grid
    from ganzoo.data.pipeline import open_data
    from ganzoo.errors import DataMissing, UsageError
    from ganzoo.recipe import load_recipe

    if out.suffix != ".toml":
        raise UsageError("a recipe's name ends in .toml", where=str(out))
    if out.exists() and not overwrite:
        raise UsageError("this file exists", where=str(out), hint="--overwrite replaces it.")
    if not folder.is_dir():
        raise DataMissing("there is no such folder", where=str(folder))
    folder = folder.expanduser().resolve()
    component, proposal = _choose(folder, use)
    options = {**proposal.options, **(proposal.turned if turn else {})}
    text = _recipe_text(
        out, base or proposal.extends, {"use": component, **options}, proposal.because
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    click.echo(f"{proposal.because}.", err=True)
    click.echo(f"wrote {out}")

    # From here on a mistake of the data is the user's to mend; the recipe stands.
    recipe = load_recipe(out)
    for split in ("train", "val", "test"):
        data = open_data(recipe, split)
        click.echo(f"{split}: {len(data)} samples")
        for note in data.notes:
            click.echo(f"  {note}", err=True)
    picture = out.with_name(f"{out.stem}_pair.png")
    serves = ", ".join(
        f"{source} -> {target}" for source, target in recipe.task.load().serves.values()
    )
    caption = f"{data.name(0)}: {serves}"
    save_image(np.asarray(grid(contact_sheet_rows(data, 1), caption)), picture)
    click.echo(f"one sample, {serves}: {picture}")
    if proposal.turned:
        other = proposal.turned
        if turn:
            other = {key: proposal.options[key] for key in proposal.turned}
        change = ", ".join(f'data.{key} = "{value}"' for key, value in other.items())
        click.echo(f"the other way round: set {change} in {out}", err=True)
    click.echo(f"next: ganzoo data inspect {out}; ganzoo run {out}", err=True)


def _choose(folder: Path, use: str | None) -> tuple[str, Proposal]:
    """The data component that knows the folder, and what it proposes."""
    from ganzoo.api import load_target
    from ganzoo.errors import DataError, UsageError
    from ganzoo.registry import current

    found: dict[str, Proposal] = {}
    asked = []
    for entry in current().components("data"):
        try:
            propose = getattr(load_target(entry.component.target), "propose", None)
        except Exception as error:  # noqa: BLE001  # a broken plugin mustn't stop the others
            click.echo(f"{entry.id} can't be imported, so isn't asked: {error}", err=True)
            continue
        if propose is None:
            continue
        asked.append(entry.id)
        proposal = propose(folder)
        if proposal is not None:
            found[entry.id] = proposal
    if use is not None:
        if use not in found:
            raise DataError(
                f"{use} doesn't know what to make of this folder",
                where=str(folder),
                hint=f"Components that do: {', '.join(found) or 'none'}.",
            )
        return use, found[use]
    if not found:
        raise DataError(
            "no data component knows what to make of this folder",
            where=str(folder),
            hint="Expected files that hold two images side by side (twice as wide as high), or two "
            "folders of images, such as A and B: with the same names, if they are pairs, or with "
            "none in common, if not. Either in folders train, val and test, or without.\n"
            f"Asked: {', '.join(asked)}.\n"
            "Images of one kind, or of several classes, need no proposal: extend a recipe that "
            "generates from noise (`ganzoo recipes list`), and name data for such a folder "
            "(`ganzoo list data`).",
        )
    if len(found) > 1:
        raise UsageError(
            "several data components fit this folder",
            where=str(folder),
            hint="\n".join(f"--use {name}: {one.because}." for name, one in found.items()),
        )
    return next(iter(found.items()))


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
