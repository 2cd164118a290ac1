"""A training on drawn facades, as long as there is time for: images a second, and its losses."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict

from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.engine.run_record import stored_resolved
from ganzoo.engine.run_view import Result
from ganzoo.observers import Voice
from tests.gpu.loops import papers_recipe
from tests.gpu.parts import Setup
from tests.gpu.report import Figure

FOLDER = "training"
_SECONDS = 60.0


def rows() -> Mapping[str, Callable[[Setup], Figure]]:
    """One row."""
    return {"drawn facades, 60 s at most": _train}


def train(setup: Setup, seconds: float, name: str = FOLDER, *sets: str) -> Result:
    """Train for so long, into a folder of that name.

    Raises:
        GanzooError: what ended the run early.
    """
    size = 2 if setup.small else 16
    result = run(
        papers_recipe(
            setup,
            f"train.batch_size={size}",
            "watch.log=10 steps",
            "watch.samples=never",
            "checkpoints.every=never",
            *sets,
        ),
        out=setup.folder / name,
        limits=Limits(seconds=seconds),
        voice=Voice(quiet=True),
    )
    if result.error is not None:
        raise result.error
    return result


def _train(setup: Setup) -> Figure:
    # Building the run and writing its checkpoint take time too.
    began = time.monotonic()
    result = train(setup, min(_SECONDS, max(3.0, setup.seconds - 15)), FOLDER, "data.train=2000")
    whole = time.monotonic() - began
    text = (result.path / "metrics.jsonl").read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    curve = [{"step": line["step"], **line["losses"]} for line in lines if "losses" in line]
    resolved = asdict(stored_resolved(result.path))
    images, rate = result.document["images"], result.document["images_per_second"]
    term = "generator/l1"
    text = (
        f"{images} images, {rate:.0f} images/s in {resolved['precision']} with "
        f"{resolved['workers']} workers ({whole:.0f} s with start and checkpoint); "
        f"{term} {curve[0][term]:.1f} to {curve[-1][term]:.1f}"
    )
    return Figure(text, {"images_per_second": rate, "resolved": resolved, "curve": curve})
