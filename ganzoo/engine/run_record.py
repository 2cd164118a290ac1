"""What made a run: versions, machine, command, and each part of it after a resume."""

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
    parts: list[_Part] = []


def read(path: Path) -> dict[str, Any]:
    """What the `provenance.json` of a run directory says; nothing where there is none.

    Raises:
        DataError: when it is no such document.
    """
    return read_checked(
        path / FILE,
        _Provenance,
        "Restore it from a backup. Without it a resume works too, but can't tell whether machine "
        "and plugins are still those of the run.",
    )


def furthest_start(path: Path) -> int:
    """The furthest step from which a part of the run went on; 0 where none did."""
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
    """By namespace, the distribution and version of each plugin that brings one of `ids`."""
    registry = current()
    found = {}
    for namespace in sorted({identifier.partition("/")[0] for identifier in ids}):
        record = registry.record_of(f"{namespace}/")
        found[namespace] = f"{record.distribution} {record.version}".rstrip()
    return found


def _named(recipe: Recipe) -> list[Chosen]:
    """Every component that the recipe names outside of options."""
    chosen = [recipe.task, recipe.data, *(e.chosen for e in recipe.augment), *recipe.diffaugment]
    chosen += [net for net in recipe.networks.values() if net is not None]
    chosen += [entry.chosen for entry in recipe.loss]
    chosen += [*recipe.metrics, *recipe.callbacks]
    if recipe.fallback is not None:
        chosen.append(recipe.fallback)
    return chosen


def changed_plugins(path: Path) -> list[str]:
    """What is no more as when the run's last part began, as `ganzoo-foo 0.3 -> ganzoo-foo 0.4`."""
    changed = []
    for namespace, made_with in read(path).get("plugins", {}).items():
        try:
            now = _plugins([namespace])[namespace]
        except PluginError:
            now = "not installed"
        name, _, made_with_version = made_with.rstrip().partition(" ")  # a file has no version
        if name == ganzoo.FORMER_DISTRIBUTION:
            name = ganzoo.DISTRIBUTION
        if now != f"{name} {made_with_version}".rstrip():
            changed.append(f"{made_with} -> {now}")
    return changed


def stored_resolved(path: Path) -> Resolved | None:
    """Device, precision and the rest of a run's first part, if it has begun."""
    parts = read(path).get("parts", [])
    return _Part.model_validate(parts[0], strict=False).resolved if parts else None


def stored_overrides(path: Path) -> list[str]:
    """Every `--set` of the run's parts so far, oldest first."""
    return list(read(path).get("overrides", []))


def edited(path: Path, recipe: Recipe) -> bool:
    """Whether the stored recipe means something else than when the run's last part began."""
    return bool(read(path).get("recipe_sha256", recipe.sha256) != recipe.sha256)


def record(
    path: Path,
    recipe: Recipe,
    resolved: Resolved,
    *,
    from_step: int,
    changes: Sequence[str],
    overrides: Sequence[str],
) -> None:
    """Add this part of the run to `provenance.json`."""
    document = read(path)
    named = _named(recipe)
    document.update(
        recipe=recipe.name,
        recipe_sha256=recipe.sha256,
        overrides=list(overrides),
        components=dict(sorted((item.id, item.component.revision) for item in named)),
        plugins=_plugins(one for item in named for one in item.ids()),
    )
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
    """Add what the last part's steps do in another way than plain PyTorch would."""
    document = read(path)
    if not document.get("parts"):  # a loop without a run directory of its own: a benchmark's
        return
    document["parts"][-1]["fast_paths"] = dict(fast_paths)
    write_json(path / FILE, document)
