"""Bundles: one file with all networks that applications need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganzoo.errors import EnvironmentFault, UsageError
from ganzoo.inference.application_weights import all_roles, task_of
from ganzoo.inference.applications import available
from ganzoo.inference.find_weights import find_networks
from ganzoo.inference.weights_file import load_all, save_bundle

SUFFIX = ".safetensors"


def bundle(
    run_or_file: Path,
    out: Path,
    *,
    applications: Sequence[str] = (),
    ema: bool | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the networks of applications, all of one checkpoint, into one file.

    Args:
        run_or_file: see `ganzoo.inference.find_weights.find_networks`.
        out: the file.
        applications: those whose networks are taken; empty: all that can be used.
        ema: see `find_networks`.
        overwrite: replace a file that exists.

    Returns:
        `{"output", "weights", "networks": {ROLE: whether it is a moving average}, "applications":
        those that can be used with the file, "recipe", "step", "sha256", "bytes"}`.

    Raises:
        UsageError: there is no such application, or the file exists or has another ending.
        DataError: the weights are damaged.
        EnvironmentFault: the file can't be written.
    """
    if out.suffix != SUFFIX:
        raise UsageError(f"a bundle's name ends in {SUFFIX}", where=str(out))
    if out.is_dir() or (out.exists() and not overwrite):
        hint = "" if out.is_dir() else "Choose another -o, or replace it with --overwrite."
        raise UsageError("exists already", where=str(out), hint=hint)
    files, cards = find_networks(run_or_file, all_roles(applications), ema=ema)
    loaded = {path: load_all(path) for path in set(files.values())}
    networks = {role: loaded[path][role] for role, path in files.items()}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        sha256 = save_bundle(out, networks)
        size = out.stat().st_size
    except OSError as error:
        reason = error.strerror or str(error)
        raise EnvironmentFault(f"can't be written: {reason}", where=str(out)) from error
    first = next(iter(cards.values()))
    paths = set(files.values())
    return {
        "output": str(out),
        "weights": str(next(iter(paths)) if len(paths) == 1 else next(iter(paths)).parent),
        "networks": {role: card.ema for role, card in cards.items()},
        "applications": list(available(task_of(first), cards)),
        "recipe": first.recipe,
        "step": first.step,
        "sha256": sha256,
        "bytes": size,
    }
