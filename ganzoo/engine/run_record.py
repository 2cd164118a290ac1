"""Record how a run was made: versions, machine and command, for each of its parts."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeInt

import ganzoo
from ganzoo.api import Chosen
from ganzoo.engine.accelerate_session import Resolved
from ganzoo.engine.run_directory import now
from ganzoo.errors import PluginError
from ganzoo.files import read_checked, write_json
from ganzoo.plugin_system.registry import current
from ganzoo.recipe.model import Recipe

FILE = "provenance.json"
_PACKAGES = (
    *("torch", "accelerate", "albumentations", "mlxtend", "numpy", "opencv-python-headless"),
    *("pillow", "scikit-learn", "timm"),
)


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    from_step: NonNegativeInt
    resolved: Resolved


class _Provenance(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    recipe: str = ""
    recipe_sha256: str = ""
    overrides: list[str] = []
    plugins: dict[str, str] = {}
    start: dict[str, dict[str, Any]] = {}
    parts: list[_Part] = []


def read(path: Path) -> dict[str, Any]:
    """Return the content of a run directory's `provenance.json`; it is empty without the file.

    Raises:
        DataError: when the file has another form.
    """
    return read_checked(
        path / FILE,
        _Provenance,
        "Restore it from a backup. A resume works without it too, but can't check whether machine "
        "and plugins are still those of the run.",
    )


def furthest_start(path: Path) -> int:
    """Return the largest step from which the run was resumed; 0 if it never was."""
    return max((int(part["from_step"]) for part in read(path).get("parts", [])), default=0)


def _versions() -> dict[str, str]:
    found = {"ganzoo": ganzoo.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _plugins(ids: Iterable[str]) -> dict[str, str]:
    """Return distribution and version of each plugin that provides one of `ids`, by namespace."""
    registry = current()
    found = {}
    for namespace in sorted({identifier.partition("/")[0] for identifier in ids}):
        record = registry.record_of(f"{namespace}/")
        found[namespace] = f"{record.distribution} {record.version}".rstrip()
    return found


def _named(recipe: Recipe) -> list[Chosen]:
    """Return every component that the recipe names outside of options."""
    chosen = [recipe.task, recipe.data, *(e.chosen for e in recipe.augment), *recipe.diffaugment]
    chosen += recipe.named_networks()
    chosen += [entry.chosen for entry in recipe.loss]
    chosen += [*recipe.metrics, *recipe.callbacks]
    if recipe.fallback is not None:
        chosen.append(recipe.fallback)
    return chosen


def changed_plugins(path: Path) -> list[str]:
    """Return the plugins that have changed since the run's last part began.

    Each has the form `ganzoo-foo 0.3 -> ganzoo-foo 0.4`.
    """
    changed = []
    for namespace, made_with in read(path).get("plugins", {}).items():
        try:
            now = _plugins([namespace])[namespace]
        except PluginError:
            now = "not installed"
        # The version is empty for a plugin that is a single file.
        name, _, made_with_version = made_with.rstrip().partition(" ")
        if name == ganzoo.FORMER_DISTRIBUTION:
            name = ganzoo.DISTRIBUTION
        if now != f"{name} {made_with_version}".rstrip():
            changed.append(f"{made_with} -> {now}")
    return changed


def stored_resolved(path: Path) -> Resolved | None:
    """Return device, precision and the other settings of a run's first part, if it has begun."""
    parts = read(path).get("parts", [])
    return _Part.model_validate(parts[0], strict=False).resolved if parts else None


def stored_overrides(path: Path) -> list[str]:
    """Return every `--set` of the run's parts so far, oldest first."""
    return list(read(path).get("overrides", []))


def starting_weights(path: Path) -> dict[str, dict[str, Any]]:
    """Return what the networks of a run began from, by role, as it was recorded."""
    return dict(read(path).get("start", {}))


def edited(path: Path, recipe: Recipe) -> bool:
    """Return whether the stored recipe differs from that of the run's last part."""
    return bool(read(path).get("recipe_sha256", recipe.sha256) != recipe.sha256)


def record(
    path: Path,
    recipe: Recipe,
    resolved: Resolved,
    *,
    from_step: int,
    changes: Sequence[str],
    overrides: Sequence[str],
    started: Mapping[str, Mapping[str, Any]],
) -> None:
    """Add this part of the run to `provenance.json`.

    Args:
        path: the run directory.
        recipe: the recipe of this part.
        resolved: device, precision and the other settings of this part.
        from_step: the step from which it continues; 0 for a new run.
        changes: what a resume changed in the recipe.
        overrides: every `--set` of the run so far.
        started: the weights that networks began from, by role; empty for a resume.
    """
    document = read(path)
    named = _named(recipe)
    document.update(
        recipe=recipe.name,
        recipe_sha256=recipe.sha256,
        overrides=list(overrides),
        components=dict(sorted((item.id, item.component.revision) for item in named)),
        plugins=_plugins(one for item in named for one in item.ids()),
    )
    if started:
        document["start"] = dict(started)
    part: dict[str, Any] = {
        "started": now(),
        "from_step": from_step,
        "command": sys.argv,
        "versions": _versions(),
        "platform": platform.platform(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "resolved": asdict(resolved),
        "changes": list(changes),
    }
    if resolved.device == "cuda":
        part["gpu"] = torch.cuda.get_device_name()
    document.setdefault("parts", []).append(part)
    write_json(path / FILE, document)


def note_fast_paths(path: Path, fast_paths: Mapping[str, Any]) -> None:
    """Add the faster implementations that the last part's steps use in place of plain PyTorch."""
    document = read(path)
    if not document.get("parts"):  # a benchmark uses the loop without recording a run
        return
    document["parts"][-1]["fast_paths"] = dict(fast_paths)
    write_json(path / FILE, document)
