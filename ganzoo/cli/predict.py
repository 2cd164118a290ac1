"""`ganzoo predict`: generate results from files with trained weights."""

from __future__ import annotations

from pathlib import Path

import click

from ganzoo.cli import inference_options


@click.command("predict")
@click.argument("weights", metavar="RUN_OR_WEIGHTS", type=click.Path(path_type=Path))
@click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    metavar="OUT",
    required=True,
    type=click.Path(path_type=Path),
    help="A folder for the results, which keep their names and subfolders. For one input file with "
    "one result, also a file name with the right ending, such as .png.",
)
@inference_options.mode
@click.option("--seed", type=int, help="Seed of the dropout in the mode paper.  [default: 0]")
@inference_options.device
@inference_options.precision("auto")
@click.option(
    "--size",
    metavar="PIXELS",
    type=click.IntRange(min=1),
    help="Resize the longer side of each image to this number of pixels first: to the size of the "
    "training images, or to a smaller size if there is too little memory.  [default: the image's "
    "own]",
)
@inference_options.application("the first one that takes files")
@inference_options.options
@inference_options.ema
@inference_options.overwrite
@inference_options.as_json
def command(  # click passes by name
    weights: Path,
    inputs: tuple[Path, ...],
    out: Path,
    mode: str | None,
    seed: int | None,
    device: str,
    precision: str,
    size: int | None,
    application: str | None,
    options: tuple[str, ...],
    ema: bool | None,  # noqa: FBT001  # click passes everything by name
    overwrite: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Generate a result for each file IN, or for each file below a folder IN.

    RUN_OR_WEIGHTS is a run directory (its newest checkpoint is used), a checkpoint's folder, or a
    .safetensors file: a bundle, or the only network that the application needs. Images may have any
    size: they are padded, and the results are cropped back. An application that gives several
    fields writes a file for each, such as NAME.FIELD.png. A file that can't be read is reported at
    the end (exit 5), and the other files are processed.
    """
    from ganzoo.cli.console import print_json, report_error
    from ganzoo.errors import DataError
    from ganzoo.inference.applications import read_settings
    from ganzoo.inference.predict import predict

    count = 0

    def done(_: object) -> None:
        nonlocal count
        count += 1
        if count % 50 == 0:
            click.echo(f"{count} inputs", err=True)

    document = predict(
        weights,
        inputs,
        out,
        mode=mode,  # type: ignore[arg-type]  # click checked it
        seed=seed,
        device=device,
        precision=precision,
        size=size,
        application=application,
        options=read_settings(options),
        ema=ema,
        overwrite=overwrite,
        done=done,
    )
    if as_json:
        print_json(document)
    else:
        for entry in document["outputs"]:
            click.echo(entry["output"])
    seeded = f", seed {document['seed']}" if document["mode"] == "paper" else ""
    used = len({entry["input"] for entry in document["outputs"]})
    click.echo(
        f"{used} input{'s' * (used != 1)}, {document['direction']}, with {document['weights']},"
        f" mode {document['mode']}{seeded}, on {document['device']} in {document['precision']}",
        err=True,
    )
    failed = document["failed"]
    if failed:
        lines = "\n".join(f"  {entry['input']}: {entry['reason']}" for entry in failed)
        error = DataError(f"{len(failed)} of {len(failed) + used} inputs can't be used", hint=lines)
        if not as_json:
            raise error
        report_error(error)  # raising it would print a second document on stdout
        raise click.exceptions.Exit(int(error.exit_code))
