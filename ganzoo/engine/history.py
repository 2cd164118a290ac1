"""Reading what finished runs wrote: for means over seeds and for comparisons."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganzoo.observers.metrics_log import FILE


def last_losses(run: Path) -> dict[str, float]:
    """The last logged mean of each loss term, as `loss/player/term`."""
    file = run / FILE
    losses: dict[str, float] = {}
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            losses |= {f"loss/{name}": value for name, value in entry.get("losses", {}).items()}
    return losses


def last_values(document: Mapping[str, Any]) -> dict[str, float]:
    """A run's last losses, and its metrics if it was evaluated.

    Args:
        document: what `ganzoo run --json` printed.
    """
    metrics = {f"metric/{name}": value for name, value in document["metrics"].items()}
    return last_losses(Path(document["run"])) | metrics
