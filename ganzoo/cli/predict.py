"""`ganzoo predict`: images through trained weights."""

from __future__ import annotations

from pathlib import Path

import click

MODES = ("paper", "deterministic", "running")
"""As in `ganzoo.inference.modes`, which imports torch; a test compares them."""

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
"""`auto` and those of `ganzoo.inference.precision`, likewise."""

PRECISION_HELP = (
    "The number format of multiplications. auto: as in training, which is bf16 where the hardware"
    " multiplies it, fp16 on older NVIDIA GPUs, and fp32 elsewhere. 16 bits move images by a few of"
    " 255 levels. fp16 needs CUDA."
)


MODE_HELP = (
    "paper: statistics of each image and seeded dropout, as in training with one image a batch;"
    " deterministic: the same without dropout, for one result whatever the seed; running: the"
    " statistics stored in training, for networks trained with larger batches, and for parts of one"
    " picture or frames of a film, which should look alike. Without batch norm and dropout all"
    " three are the same. Default: what the recipe said."
)


@click.command("predict")
@click.argument("weights", metavar="RUN_OR_WEIGHTS", type=click.Path(path_type=Path))
@click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    metavar="OUT",
    required=True,
    type=click.Path(path_type=Path),
    help="A folder, in which names and subfolders are kept, or a .png for a single file.",
)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    help=MODE_HELP,
)
@click.option("--seed", type=int, help="Seed of the dropout in the mode paper.  [default: 0]")
@click.option(
    "--device",
    type=click.Choice(("auto", "cpu", "cuda", "mps")),
    default="auto",
    show_default=True,
    help="Where to compute.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    help=PRECISION_HELP,
)
@click.option(
    "--size",
    metavar="PIXELS",
    type=click.IntRange(min=1),
    help="Bring the longer side of each image to so many pixels first: to what the network was"
    " trained at, or lower where there is too little memory.  [default: the image's own]",
)
@click.option(
    "--role",
    metavar="NAME",
    help="The network to use, of a run that serves several. Without it they are listed, with what"
    " each turns into what, such as cats -> dogs.",
)
@click.option(
    "--ema/--no-ema",
    default=None,
    help="The moving average of the weights, or the plain ones. Default: the average if there.",
)
@click.option("--overwrite", is_flag=True, help="Replace results that exist already.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(  # click passes by name
    weights: Path,
    inputs: tuple[Path, ...],
    out: Path,
    mode: str | None,
    seed: int | None,
    device: str,
    precision: str,
    size: int | None,
    role: str | None,
    ema: bool | None,  # noqa: FBT001  # click passes everything by name
    overwrite: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Generate an image for each file IN, or for each image file below a folder IN.

    RUN_OR_WEIGHTS is a run directory (its newest checkpoint is used), a checkpoint's folder or a
    .safetensors file that ganzoo wrote. Any size goes: it is padded and cropped back. A file that
    can't be read is reported at the end (exit 5), and the others are done.
    """
    from ganzoo.cli.console import print_json, report_error
    from ganzoo.errors import DataError
    from ganzoo.inference.predict import predict

    count = 0

    def done(_: object) -> None:
        nonlocal count
        count += 1
        if count % 50 == 0:
            click.echo(f"{count} images", err=True)

    document = predict(
        weights,
        inputs,
        out,
        mode=mode,  # type: ignore[arg-type]  # click checked it against MODES
        seed=seed,
        device=device,
        precision=precision,
        size=size,
        role=role,
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
    click.echo(
        f"{len(document['outputs'])} images, {document['direction']}, with {document['weights']},"
        f" mode {document['mode']}{seeded}, on {document['device']} in {document['precision']}",
        err=True,
    )
    failed = document["failed"]
    if failed:
        lines = "\n".join(f"  {entry['input']}: {entry['reason']}" for entry in failed)
        total = len(failed) + len(document["outputs"])
        error = DataError(f"{len(failed)} of {total} inputs can't be used", hint=lines)
        if not as_json:
            raise error
        report_error(error)  # raised, it would put a second document on stdout
        raise click.exceptions.Exit(int(error.exit_code))
