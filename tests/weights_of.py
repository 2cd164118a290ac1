"""The weights file of one network of a run."""

from __future__ import annotations

from pathlib import Path

from ganzoo.inference.find_weights import find_networks


def weights_of(run_or_file: Path, role: str, *, ema: bool | None = None) -> Path:
    """Return the file; the rest is as in `find_networks`."""
    files, _ = find_networks(run_or_file, lambda *_: (role,), ema=ema)
    return files[role]
