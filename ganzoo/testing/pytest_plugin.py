"""For everyone's pytest where ganzoo is installed: a mark, a line of the header, two fixtures.

It imports neither torch nor any plugin, because every run of pytest there loads it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ganzoo

if TYPE_CHECKING:
    from ganzoo.engine.run_view import Result
    from ganzoo.plugin_system.registry import Registry

SLOW = "slow: takes more than a few seconds; `-m 'not slow'` leaves it out"


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark `slow` known, which `parametrize_with_checks` sets; it may be known already."""
    if not any(str(line).startswith("slow:") for line in config.getini("markers")):
        config.addinivalue_line("markers", SLOW)


def pytest_report_header() -> str:
    """Which ganzoo this is; plugins aren't looked for, since most runs of pytest are of others."""
    return f"ganzoo: {ganzoo.__version__} ({Path(ganzoo.__file__).parent})"


@pytest.fixture
def ganzoo_registry() -> Registry:
    """All that is installed: `ganzoo_registry.choose("generator", "foo/net").build(io)`."""
    from ganzoo.plugin_system.registry import current

    return current()


@pytest.fixture
def ganzoo_run(tmp_path: Path) -> Callable[..., Result]:
    """A function that runs a recipe on the CPU, says nothing, and returns its result.

    `ganzoo_run(recipe, *overrides, max_steps=2)`: the recipe is a path, the name of a shipped one,
    or a recipe's text; overrides are `KEY=VALUE` as after `--set`. The run directory is new, below
    the test's `tmp_path`. A run that fails raises its error.
    """
    started: list[Path] = []

    def run(recipe: str | Path, *overrides: str, max_steps: int | None = 2) -> Result:
        from ganzoo.engine.intervals import Limits
        from ganzoo.engine.run import run as execute
        from ganzoo.observers import Voice
        from ganzoo.recipe import load_recipe, loads

        changes = ("train.device=cpu", *overrides)
        is_text = isinstance(recipe, str) and ("\n" in recipe or "=" in recipe)
        loaded = loads(str(recipe), "recipe", changes) if is_text else load_recipe(recipe, changes)
        out = tmp_path / f"run_{len(started)}"
        started.append(out)
        result = execute(
            loaded,
            out=out,
            limits=Limits(steps=max_steps),
            voice=Voice(quiet=True),
            overrides=changes,
        )
        if result.error is not None:
            raise result.error
        return result

    return run
