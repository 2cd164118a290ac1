"""`ganzoo sample`: generate images or points from noise with trained weights."""

from __future__ import annotations

from pathlib import Path

import click

from ganzoo.cli import inference_options


@click.command("sample")
@click.argument("weights", metavar="RUN_OR_WEIGHTS", type=click.Path(path_type=Path))
@click.option(
    "-n",
    "count",
    metavar="N",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="The number of samples.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="The seed of everything that is drawn. The first samples are the same for every -n.",
)
@click.option(
    "-o",
    "--out",
    metavar="OUT",
    type=click.Path(path_type=Path),
    help="A .png: one picture; a .npy: one array; else a folder, with a file for each sample."
    "  [default: RECIPE_samples.png]",
)
@click.option(
    "--interpolate",
    is_flag=True,
    help="Make rows of 8 samples that go from one latent to another, within one class.",
)
@click.option("--label", metavar="K", type=int, help="The class of all samples, from 0.")
@click.option(
    "--neighbours",
    is_flag=True,
    help="Show each image beside the 3 training images nearest to it, in order to find copies. "
    "The median distance is compared with that of real images held out from training. Needs the "
    "run's data.",
)
@inference_options.mode
@inference_options.device
@inference_options.precision("fp32", " With auto, points are computed in fp32.")
@inference_options.application("the first one that draws its inputs")
@inference_options.options
@inference_options.ema
@inference_options.overwrite
@inference_options.as_json
def command(  # click passes by name
    weights: Path,
    count: int,
    seed: int,
    out: Path | None,
    interpolate: bool,  # noqa: FBT001  # click passes everything by name
    label: int | None,
    neighbours: bool,  # noqa: FBT001
    mode: str | None,
    device: str,
    precision: str,
    application: str | None,
    options: tuple[str, ...],
    ema: bool | None,  # noqa: FBT001
    overwrite: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Generate samples with weights that need no input: from noise, and a class if they take one.

    RUN_OR_WEIGHTS is a run directory (its newest checkpoint is used), a checkpoint's folder, or a
    .safetensors file: a bundle, or the only network that the application needs. Images are shown in
    a grid, with a column for each class if there are at most 16. Points are shown as a scatter
    plot. Of an application that gives several fields, the first one is shown.
    """
    from rich.console import Console
    from rich.progress import Progress

    from ganzoo.cli.console import print_json
    from ganzoo.inference.applications import read_settings
    from ganzoo.inference.sample import sample

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("training images", total=None, visible=neighbours)
        document = sample(
            weights,
            out,
            count=count,
            seed=seed,
            interpolate=interpolate,
            label=label,
            neighbours=neighbours,
            mode=mode,  # type: ignore[arg-type]  # click checked it
            device=device,
            precision=precision,
            application=application,
            options=read_settings(options),
            ema=ema,
            overwrite=overwrite,
            done=lambda made, total: progress.update(bar, completed=made, total=total),
        )
    if as_json:
        print_json(document)
    else:
        click.echo(document["output"])
    click.echo(
        f"{document['n']} samples of {document['weights']}, mode {document['mode']},"
        f" seed {document['seed']}, on {document['device']} in {document['precision']}",
        err=True,
    )
    found = document["neighbours"]
    if found is not None:
        click.echo(
            f"median distance to the nearest training image: {found['median']:.2f}; of real images"
            f" held out from training: {found['held_out']:.2f} (copies are near 0; gray or "
            "blurred samples can also lie below the second value without being copies, so look at "
            "the picture)",
            err=True,
        )
