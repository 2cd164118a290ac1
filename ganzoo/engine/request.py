"""A run as asked for: small, plain, and the same in this process or in many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.errors import GanzooError, UsageError
from ganzoo.garbage import unsearched

if TYPE_CHECKING:
    from ganzoo.recipe import Recipe


@dataclass(frozen=True)
class Request:
    """What `ganzoo run` was asked.

    Args:
        recipe: path or name; None to go on with the stored one of `resume`.
        overrides: `KEY=VALUE`, as `--set` takes them.
        out: the run directory itself; None: a new one.
        resume: a run directory, or `last`.
        max_steps, max_seconds: totals at which to stop.
        plugin_files, blocked: as the command line's `--plugin` and `--no-plugin`.
    """

    recipe: str | None
    overrides: tuple[str, ...] = ()
    out: str | None = None
    resume: str | None = None
    max_steps: int | None = None
    max_seconds: float | None = None
    plugin_files: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What came of a request: the exit code, the document of `--json`, and the error if any."""

    exit_code: int
    document: Mapping[str, Any] = field(default_factory=dict)
    error: GanzooError | None = None


def execute(request: Request) -> Answer:
    """Run in this process, alone or as one of several that a launcher started.

    Raises:
        GanzooError: when the run could not begin.
    """
    with unsearched():
        from ganzoo.engine.intervals import Limits
        from ganzoo.engine.run import run

        recipe, resume, overrides = settled(request)
    result = run(
        recipe,
        out=Path(request.out) if request.out else None,
        resume=resume,
        limits=Limits(request.max_steps, request.max_seconds),
        overrides=overrides,
    )
    return Answer(int(result.exit_code), result.document, result.error)


def settled(request: Request) -> tuple[Recipe | None, Path | None, list[str]]:
    """The recipe, the run directory to go on with, and every `--set` in force."""
    from ganzoo.engine import run_record
    from ganzoo.engine.resume import stored_recipe
    from ganzoo.recipe import load_recipe
    from ganzoo.run_files import find_run

    if request.recipe is None and request.resume is None:
        raise UsageError("nothing to run", hint="ganzoo run RECIPE, or ganzoo run --resume RUN")
    recipe = load_recipe(request.recipe, request.overrides) if request.recipe else None
    overrides = list(request.overrides)
    resume = find_run(request.resume, recipe) if request.resume else None
    if resume is not None:
        # What the run was begun with stays set, unless it is said anew.
        overrides = [*run_record.stored_overrides(resume), *overrides]
        if request.recipe is not None:
            recipe = load_recipe(request.recipe, overrides)
        elif request.overrides:
            recipe = stored_recipe(resume, request.overrides)
    return recipe, resume, overrides
