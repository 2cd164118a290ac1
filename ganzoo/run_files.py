"""The files of a run directory: their names, and functions that find, read and check them.

The engine writes these files. Code that only reads them, such as `ganzoo predict`, needs no engine.
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
    """Return the run directory that `--resume` names.

    Args:
        reference: a path, or `last` for the last run in `runs`.
        runs: the folder with the runs of a recipe; None if no recipe was given.

    Raises:
        UsageError: there is no such run, or `last` is given without a recipe.
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


def is_run(path: Path) -> bool:
    """Return whether a path is a run directory; no file has a name that is too long or has NUL."""
    try:
        return (path / RESOLVED).is_file()
    except (OSError, ValueError):
        return False


def no_run(path: Path) -> UsageError:
    """Return the error for a path that should be a run directory but isn't."""
    if not path.exists():
        hint = nearest_folder(path)
        return UsageError("there is no such run directory", where=str(path), hint=hint)
    above = run_above(path)
    hint = f"It is in the run directory {above}: give that." if above else runs_below(path)
    if not hint and path.is_file():
        hint = "Give the run directory (runs/NAME/STAMP) that the file comes from."
    hint = hint or f"It contains no {RESOLVED}."
    return UsageError("this is not a run directory", where=str(path), hint=hint)


def run_above(path: Path) -> Path | None:
    """Return the run directory that a file or folder lies in; None if it lies in none."""
    above = path.resolve().parents
    return next((folder for folder in above if (folder / RESOLVED).is_file()), None)


def runs_below(folder: Path, most: int = 5) -> str:
    """Return a hint with at most `most` runs below a folder, or an empty string."""
    signs = (f"{depth}/{sign}" for depth in ("*", "*/*") for sign in (RESOLVED, CHECKPOINTS))
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
    """Return the content of `status.json` in a run directory; empty if there is no such file.

    Raises:
        DataError: the file is damaged.
    """
    return read_checked(
        path / STATUS,
        _Status,
        "Restore it from a backup. A resume works without it too, but can't check whether data "
        "and checkpoints are still those of the run.",
    )


def checkpoint_folders(root: Path) -> list[Path]:
    """Return the checkpoints in a run's `checkpoints` folder, complete or not, newest first."""
    found = (one for one in root.glob("step_*") if _CHECKPOINT.fullmatch(one.name) and one.is_dir())
    return sorted(found, key=step_of, reverse=True)


def step_of(folder: Path) -> int:
    """Return the step after which a checkpoint was written."""
    return int(folder.name.removeprefix("step_"))


class Written(BaseModel):
    """The hash and size of a file, as recorded in a manifest."""

    model_config = ConfigDict(strict=True)

    sha256: str
    bytes: NonNegativeInt | None = None


class _Manifest(BaseModel):
    files: dict[str, Written]


def read_manifest(folder: Path) -> dict[str, Written]:
    """Return the hash and size of each file of a checkpoint, by the file's name.

    Raises:
        DataError: the manifest is missing or damaged.
    """
    document = read_checked(folder / MANIFEST, _Manifest, "Use another checkpoint.")
    return _Manifest.model_validate(document).files


def damage_of(file: Path, written: Written) -> str:
    """Return how a file differs from its record in the manifest, or an empty string."""
    if not file.is_file():
        return f"it is missing, but {MANIFEST} lists it"
    size = file.stat().st_size
    if written.bytes is not None and size != written.bytes:
        return f"it has {size} bytes, but {MANIFEST} says {written.bytes}"
    if sha256_of(file) != written.sha256:
        return (
            f"its content has changed since it was written (its sha256 differs from that in "
            f"{MANIFEST})"
        )
    return ""
