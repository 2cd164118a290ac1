"""`ganzoo evaluate`: score a run on held-out data, together with the controls."""

from __future__ import annotations

from pathlib import Path

import click

from ganzoo.cli import inference_options


@click.command("evaluate")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--split",
    type=click.Choice(("train", "val", "test")),
    default="test",
    show_default=True,
    help="The split of the data to score on.",
)
@inference_options.mode
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="The seed of the dropout and of the inputs that a network draws.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Score only the first N samples.")
@inference_options.device
@inference_options.application("all that the data can judge")
@inference_options.options
@inference_options.ema
@click.option(
    "--set",
    "overrides",
    metavar="data.root=DIR",
    multiple=True,
    help="The folder in which the run's data are now.",
)
@inference_options.as_json
def command(  # click passes by name
    run: Path,
    split: str,
    mode: str | None,
    seed: int,
    limit: int | None,
    device: str,
    application: str | None,
    options: tuple[str, ...],
    ema: bool | None,  # noqa: FBT001  # click passes by name
    overrides: tuple[str, ...],
    as_json: bool,  # noqa: FBT001
) -> None:
    """Score the newest weights of the run directory RUN.

    The generated samples are written to RUN/evaluation/SPLIT_MODE/, and the figures to
    SPLIT_MODE.json beside that folder. An application that draws its inputs generates as many
    samples as each metric needs. The controls are scored with the same formulas. A network has
    learnt something where its score is better than that of the controls that know nothing. Its
    score can't be better than that of the real data.
    """
    from rich.console import Console
    from rich.progress import Progress

    from ganzoo.cli.console import print_json
    from ganzoo.inference.applications import read_settings
    from ganzoo.inference.evaluate import evaluate_run
    from ganzoo.inference.report import print_report

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("samples", total=None)
        document = evaluate_run(
            run,
            split,  # type: ignore[arg-type]  # click checked both against their choices
            mode=mode,  # type: ignore[arg-type]
            seed=seed,
            limit=limit,
            device=device,
            application=application,
            options=read_settings(options),
            ema=ema,
            overrides=overrides,
            done=lambda count, total: progress.update(bar, completed=count, total=total),
        )
    print_report(document)
    if as_json:
        print_json(document)
    else:
        click.echo(document["file"])
