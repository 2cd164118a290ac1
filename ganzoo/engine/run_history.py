"""Read the results of earlier runs, for lists, means over seeds, and comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ganzoo.engine import run_record
from ganzoo.engine.run_directory import in_use
from ganzoo.errors import DataError
from ganzoo.files import read_checked
from ganzoo.observers.metrics_log import read_lines
from ganzoo.recipe.resolved import flatten
from ganzoo.run_files import RESOLVED, STATUS, no_run, read_status


class _Score(BaseModel):
    mean: float | None


class _Evaluation(BaseModel):
    metrics: dict[str, _Score]
    better: dict[str, str] = {}  # evaluations of older versions don't have it


_AGAIN = "Remove it, or write it again with `ganzoo evaluate`."


def last_losses(run: Path) -> dict[str, float]:
    """Return the last logged mean of each loss term, divided by its weight.

    The names are `loss/player/term`. Older versions didn't log weights; values of their runs are
    not divided.
    """
    losses: dict[str, float] = {}
    for _, entry in read_lines(run).good:
        for name, value in entry.get("losses", {}).items():
            weight = entry.get("weights", {}).get(name)
            if isinstance(value, int | float):
                known = isinstance(weight, int | float) and weight
                losses[f"loss/{name}"] = value / weight if known else value
    return losses


def last_metrics(run: Path) -> dict[str, float]:
    """Return the means of every evaluation of a run, as `SPLIT_MODE/METRIC`.

    Raises:
        DataError: when a document isn't an evaluation; the error names it.
    """
    return {
        f"{file.stem}/{name}": value["mean"]
        for file in sorted((run / "evaluation").glob("*.json"))
        for name, value in read_checked(file, _Evaluation, _AGAIN)["metrics"].items()
    }


def which_way_is_better(runs: Sequence[Path]) -> dict[str, str]:
    """Return, for each metric with a known direction, which values are better.

    The names are those of `last_metrics`, and the values `lower`, `higher` or similar words.
    """
    return {
        f"{file.stem}/{name}": way
        for run in runs
        for file in sorted((run / "evaluation").glob("*.json"))
        for name, way in read_checked(file, _Evaluation, _AGAIN).get("better", {}).items()
    }


def last_values(document: Mapping[str, Any]) -> dict[str, float]:
    """Return a run's last losses, and its metrics if it was evaluated.

    Args:
        document: the output of `ganzoo run --json`.
    """
    metrics = {f"metric/{name}": value for name, value in document["metrics"].items()}
    return last_losses(Path(document["run"])) | metrics


def summaries(folder: Path) -> list[dict[str, Any]]:
    """Return a row for each run below a folder, oldest first: run, recipe, state, step, data."""
    paths = sorted(folder.rglob(STATUS), key=lambda path: (path.parent.name, str(path)))
    rows = []
    for path in paths:
        if (path.parent / RESOLVED).exists():
            try:
                rows.append(_summary(path.parent, read_status(path.parent)))
            except (DataError, KeyError, TypeError):
                rows.append(
                    {
                        "run": str(path.parent),
                        "recipe": "",
                        "state": "unreadable",
                        "step": 0,
                        "data": "",
                    }
                )
    return rows


def _summary(run: Path, status: Mapping[str, Any]) -> dict[str, Any]:
    data = status["data"]
    return {
        "run": str(run),
        "recipe": run_record.read(run).get("recipe", ""),
        "state": _state(run, status),
        "step": status["step"],
        "data": data["use"] + (" (stand-in)" if data["stand_in"] else ""),
    }


def _state(run: Path, status: Mapping[str, Any]) -> str:
    written = str(status["state"])
    # Older versions had no state "stopped": a run that ended at a limit was "finished".
    if written == "finished" and not status.get("complete", True):
        return "stopped"
    # A process that was killed could not write that it ended.
    return "killed" if written == "running" and not in_use(run) else written


def comparison(runs: Sequence[Path]) -> dict[str, list[Any]]:
    """Return the differences between runs: for each key, one value per run.

    The value is None where a run lacks the key. Recipe keys come first, then parameters and FLOPs
    of one image's forward pass, then progress, last losses and evaluated metrics.

    Raises:
        UsageError: when one isn't a run directory.
    """
    columns = [_column(run) for run in runs]
    keys = dict.fromkeys(key for column in columns for key in column)
    table = {key: [column.get(key) for column in columns] for key in keys}
    return {key: values for key, values in table.items() if any(v != values[0] for v in values)}


def _column(run: Path) -> dict[str, Any]:
    from ganzoo.engine.check import network_costs
    from ganzoo.recipe import load_recipe

    if not (run / RESOLVED).is_file():
        raise no_run(run)
    recipe = load_recipe(run / RESOLVED)
    column: dict[str, Any] = flatten(recipe.document)
    status = read_status(run)
    column["data used"] = status.get("data", {}).get("use")
    try:
        costs = network_costs(recipe, stand_in=status.get("data", {}).get("stand_in"))
    except DataError:  # the data were moved or removed; the run's own counts can still be compared
        for role, count in status.get("parameters", {}).items():
            column[f"{role}: parameters"] = count
    else:
        for role, cost in costs.items():
            column[f"{role}: parameters"] = cost["parameters"]
            column[f"{role}: forward FLOPs"] = cost["flops"]
    column["step"] = status.get("step")
    column["images"] = status.get("images")
    return column | last_losses(run) | last_metrics(run)
