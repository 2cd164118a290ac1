"""`ganzoo run`: train a model from a recipe."""

from __future__ import annotations

import math
import os
import statistics
import sys
from collections.abc import Sequence
from typing import Any

import click

from ganzoo.errors import UsageError


@click.command()
@click.argument("recipe", required=False)
@click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Change a key of the recipe."
)
@click.option("--resume", metavar="RUN|last", help="Continue a run directory, or the last one.")
@click.option("--out", metavar="DIR", help="The run directory itself (default: OUT/NAME/STAMP).")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    help="The number of processes, one for each device.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), help="train.device.")
@click.option("--max-steps", type=click.IntRange(min=1), help="Stop at this total number of steps.")
@click.option("--max-time", metavar="10m", help="Stop after this time (90s, 10m, 1h30m).")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    help="The number of runs, each with its own seed.",
)
@click.option("--dry-run", is_flag=True, help="Check the recipe and stop before the first step.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_context
def command(  # click gives every option of a command to one function
    context: click.Context,
    recipe: str | None,
    overrides: tuple[str, ...],
    resume: str | None,
    out: str | None,
    processes: int,
    device: str | None,
    max_steps: int | None,
    max_time: str | None,
    seeds: int,
    dry_run: bool,  # noqa: FBT001  # click passes by name
    as_json: bool,  # noqa: FBT001
) -> None:
    """Train RECIPE in a new run directory.

    RECIPE is a path or the name of a shipped recipe. Ctrl-C finishes the step, writes a checkpoint
    and exits with 130; --resume continues, with the same results bit for bit. --max-steps and
    --max-time are totals over all parts of a run and never change a schedule.
    """
    from ganzoo.cli.console import error_document, print_json, report_error
    from ganzoo.engine.intervals import parse_duration
    from ganzoo.engine.launch import Request, launch
    from ganzoo.engine.ranks import place

    _refuse_contradictions(recipe, resume=resume, out=out, seeds=seeds, dry_run=dry_run)
    launched = place().world
    if processes > 1 and launched > 1:
        raise UsageError(
            f"a launcher has already started {launched} processes: leave --processes out"
        )
    if device is not None:
        overrides = (*overrides, f"train.device={device}")
    if dry_run:
        from ganzoo.cli.check import command as check

        context.invoke(check, recipe=recipe, overrides=overrides, syntax=False, as_json=as_json)
        return
    settings = context.find_root().params
    answers = []
    for seed in _seeds(recipe, overrides, seeds):
        request = Request(
            recipe=recipe,
            overrides=overrides if seed is None else (*overrides, f"train.seed={seed}"),
            out=out,
            resume=resume,
            max_steps=max_steps,
            max_seconds=parse_duration(max_time) if max_time else None,
            plugin_files=tuple(map(str, settings.get("plugin_files") or ())),
            blocked=tuple(settings.get("blocked") or ()),
        )
        answer = launch(request, processes)
        answers.append(answer)
        if answer.error is not None:
            report_error(answer.error)
        if answer.exit_code:
            break
    document = dict(answers[0].document) if seeds == 1 else _summary(answers)
    if as_json:
        failure = answers[-1].error
        if not document and failure is not None:
            document = error_document(failure)  # the run failed before it had a document
        print_json(document)
    elif seeds > 1:
        for name, value in document["metrics"].items():
            click.echo(f"{name}: {value['mean']:.6g} ± {value['sd']:.2g} over {value['n']} seeds")
    _leave(answers[-1].exit_code, launched)


def _refuse_contradictions(
    recipe: str | None, *, resume: str | None, out: str | None, seeds: int, dry_run: bool
) -> None:
    if resume is not None and (out is not None or seeds > 1):
        raise UsageError(
            "--resume continues in the run's own directory: leave --out and --seeds out"
        )
    if resume is not None and dry_run:
        raise UsageError("--dry-run checks a recipe: leave --resume out")
    if out is not None and seeds > 1:
        raise UsageError("--seeds makes several run directories: leave --out out")
    if recipe is None and (dry_run or seeds > 1):
        raise UsageError("--dry-run and --seeds need a RECIPE")


def _seeds(recipe: str | None, overrides: Sequence[str], count: int) -> list[int | None]:
    """Return `count` seeds from the recipe's seed upwards; for one run, None keeps its seed."""
    if count == 1:
        return [None]
    from ganzoo.recipe import load_recipe

    first = load_recipe(str(recipe), overrides).train.seed
    return [first + number for number in range(count)]


def _summary(answers: Sequence[Any]) -> dict[str, Any]:
    """Return means and standard deviations over the seeds.

    They are computed for the last losses and for the figures of an evaluation, if there was one.
    """
    from ganzoo.engine.run_history import last_values

    documents = [answer.document for answer in answers]
    tables = [last_values(document) for document in documents if document]
    names = sorted(set.intersection(*(set(table) for table in tables))) if tables else []
    metrics = {}
    for name in names:
        # A training in another process reports a value that isn't finite as null.
        values = [math.nan if table[name] is None else table[name] for table in tables]
        numbers = all(map(math.isfinite, values))
        metrics[name] = {
            "mean": statistics.fmean(values),
            "sd": _deviation(values) if numbers else math.nan,
            "n": len(values),
            "values": values,
        }
    return {"runs": documents, "metrics": metrics}


def _deviation(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def _leave(code: int, launched: int) -> None:
    if launched > 1:
        # Processes under torchrun skip the exit of the interpreter, where gloo may abort: see
        # ganzoo.engine.launch.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    if code:
        raise click.exceptions.Exit(code)
