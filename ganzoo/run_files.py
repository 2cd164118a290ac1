"""The files of a run directory: their names, which checkpoints there are, and how both are read.

The engine writes them; what only reads them, such as `ganzoo predict`, needs no engine.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from ganzoo.errors import UsageError
from ganzoo.files import read_checked, sha256_of
from ganzoo.plugin_system.suggestions import nearest_folder

RESOLVED = "recipe.resolved.toml"
STATUS = "status.json"
CHECKPOINTS = "checkpoints"
MANIFEST = "manifest.json"
_CHECKPOINT = re.compile("step_(0|[1-9][0-9]{0,17})")


def find_run(reference: str, runs: Path | None) -> Path:
    """The run directory that `--resume` means: a path, or `last` of a folder of runs.

    Raises:
        UsageError: when there is no such run.
    """
    if reference != "last":
        path = Path(reference)
        if not (path / RESOLVED).is_file():
            raise no_run(path)
        return path
    if runs is None:
        raise UsageError("--resume last needs a RECIPE", hint="ganzoo run RECIPE --resume last")
    found = sorted(
        (path for path in runs.glob("*") if (path / RESOLVED).exists()),
        key=lambda path: (path / RESOLVED).stat().st_mtime_ns,
    )
    if not found:
        raise UsageError(f"{runs.name} has no run to resume", where=str(runs))
    return found[-1]


def no_run(path: Path) -> UsageError:
    """The error for a path that should be a run directory and is none."""
    if not path.exists():
        hint = nearest_folder(path)
        return UsageError("there is no such run directory", where=str(path), hint=hint)
    hint = runs_below(path) or f"It holds no {RESOLVED}."
    return UsageError("this is no run directory", where=str(path), hint=hint)


def runs_below(folder: Path, most: int = 5) -> str:
    """Which runs lie in a folder that is none, as a hint; empty where there are none."""
    signs = (f"{depth}/{sign}" for depth in ("*", "*/*") for sign in (RESOLVED, "checkpoints"))
    found = {path.parent for sign in signs for path in folder.glob(sign)}
    runs = sorted(found, key=lambda run: (run.name, str(run)), reverse=True)
    if not runs:
        return ""
    more = f"\n  and {len(runs) - most} more" if len(runs) > most else ""
    return "Runs in it, the newest first:\n" + "\n".join(f"  {run}" for run in runs[:most]) + more


class _Data(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    use: str
    stand_in: bool
    length: NonNegativeInt
    names: str = ""
    content: str = ""


class _Status(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    state: str = ""
    step: NonNegativeInt = 0
    images: NonNegativeInt = 0
    complete: bool = False
    checkpoint: Annotated[str, Field(pattern="^(step_[0-9]{1,18})?$")] = ""
    pid: int = 0
    data: _Data | None = None
    metrics_lines: NonNegativeInt = 0


def read_status(path: Path) -> dict[str, Any]:
    """What the `status.json` of a run directory says; nothing where there is none.

    Raises:
        DataError: when it is no such document.
    """
    return read_checked(
        path / STATUS,
        _Status,
        "Restore it from a backup. Without it a resume works too, but can't tell whether data and "
        "checkpoints are still those of the run.",
    )


def checkpoint_folders(root: Path) -> list[Path]:
    """Return the checkpoints in a run's `checkpoints` folder, whole or not, the newest first."""
    found = (one for one in root.glob("step_*") if _CHECKPOINT.fullmatch(one.name) and one.is_dir())
    return sorted(found, key=step_of, reverse=True)


def step_of(folder: Path) -> int:
    """Return the step after which a checkpoint was written."""
    return int(folder.name.removeprefix("step_"))


class Written(BaseModel):
    """What a manifest says of a file."""

    model_config = ConfigDict(strict=True)

    sha256: str
    bytes: NonNegativeInt | None = None


class _Manifest(BaseModel):
    files: dict[str, Written]


def read_manifest(folder: Path) -> dict[str, Written]:
    """Return what was written into a checkpoint's folder, by the file's name.

    Raises:
        DataError: the manifest is missing or damaged.
    """
    document = read_checked(folder / MANIFEST, _Manifest, "Use another checkpoint.")
    return _Manifest.model_validate(document).files


def damage_of(file: Path, written: Written) -> str:
    """Return how a file differs from what was written, or an empty string."""
    if not file.is_file():
        return f"it is missing, and {MANIFEST} lists it"
    size = file.stat().st_size
    if written.bytes is not None and size != written.bytes:
        return f"it has {size} bytes, and {MANIFEST} says {written.bytes}"
    if sha256_of(file) != written.sha256:
        return f"it isn't what was written (its sha256 differs from that in {MANIFEST})"
    return ""
