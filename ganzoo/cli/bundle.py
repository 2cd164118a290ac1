"""`ganzoo bundle`: write the networks of applications into one file."""

from __future__ import annotations

from pathlib import Path

import click

from ganzoo.cli import inference_options


@click.command("bundle")
@click.argument("run", metavar="RUN_OR_CHECKPOINT", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="The file to write; its name ends in .safetensors.",
)
@click.option(
    "--application",
    "applications",
    metavar="NAME",
    multiple=True,
    help="Take only the networks that this application needs; can be repeated. Default: the "
    "networks of all applications.",
)
@inference_options.ema
@inference_options.overwrite
@inference_options.as_json
def command(  # click passes by name
    run: Path,
    out: Path,
    applications: tuple[str, ...],
    ema: bool | None,  # noqa: FBT001  # click passes everything by name
    overwrite: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Write the networks of a run's applications into one file.

    RUN_OR_CHECKPOINT is a run directory (its newest checkpoint is used), a checkpoint's folder, or
    another bundle. The file has everything that `ganzoo predict`, `ganzoo sample` and the table
    [start] of a recipe need: weights, options and shapes of the networks, and from which recipe and
    step they come. A file that was damaged later is refused. Networks that no application needs,
    such as discriminators, are left out.
    """
    from ganzoo.cli.console import print_json
    from ganzoo.inference.bundle import bundle

    document = bundle(run, out, applications=applications, ema=ema, overwrite=overwrite)
    if as_json:
        print_json(document)
    else:
        click.echo(document["output"])
    averaged = [role for role, average in document["networks"].items() if average]
    more = f" (averaged: {', '.join(averaged)})" if averaged else ""
    click.echo(
        f"{', '.join(document['networks'])}{more} of {document['weights']}, "
        f"{document['bytes'] / 1e6:,.1f} MB, for: {', '.join(document['applications'])}",
        err=True,
    )
