"""The run directory: where it is, what it says of the run, and how files get into it whole."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from ganzoo.errors import DataError, EnvironmentFault, UsageError
from ganzoo.files import FULL, cannot_write, read_checked, write_json, write_text
from ganzoo.recipe.model import Recipe
from ganzoo.recipe.write import to_toml

try:
    import fcntl
except ImportError:  # Windows, where nothing keeps two processes apart
    fcntl = None  # type: ignore[assignment]

RESOLVED = "recipe.resolved.toml"
STATUS = "status.json"


def now() -> str:
    """The present time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def create(recipe: Recipe, out: Path | None) -> Path:
    """Make a new run directory and put the recipe into it.

    Args:
        recipe: what will be run.
        out: the directory itself; by default `OUT/NAME/STAMP` with the recipe's `out` and name.

    Raises:
        UsageError: when `out` already holds something.
        EnvironmentFault: when it can't be written.
    """
    with writing(out or Path(recipe.out)):
        return _create(recipe, out)


def _create(recipe: Recipe, out: Path | None) -> Path:
    if out is not None:
        path = out
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(
                "the run directory isn't empty",
                where=str(path),
                hint=f"To go on with that run: --resume {path}; else name another --out.",
            )
        path.mkdir(parents=True, exist_ok=True)
    else:
        parent = Path(recipe.out) / recipe.name
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        path = _first_free(parent, stamp)
    if recipe.text:
        write_text(path / "recipe.toml", recipe.text)
    write_text(path / RESOLVED, to_toml(recipe))
    return path


def _first_free(parent: Path, stamp: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1000):
        path = parent / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise UsageError("too many runs in one second", where=str(parent))


def find(reference: str, recipe: Recipe | None) -> Path:
    """The run directory that `--resume` means: a path, or `last` of the recipe's name.

    Raises:
        UsageError: when there is no such run.
    """
    if reference != "last":
        path = Path(reference)
        if not (path / RESOLVED).exists():
            raise UsageError(
                "this is no run directory", where=reference, hint=f"It holds no {RESOLVED}."
            )
        return path
    if recipe is None:
        raise UsageError("--resume last needs a RECIPE", hint="ganzoo run RECIPE --resume last")
    parent = Path(recipe.out) / recipe.name
    runs = sorted(
        (path for path in parent.glob("*") if (path / RESOLVED).exists()),
        key=lambda path: (path / RESOLVED).stat().st_mtime_ns,
    )
    if not runs:
        raise UsageError(f"{recipe.name} has no run to resume", where=str(parent))
    return runs[-1]


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Keep a run directory to this process for the while; the system ends it with the process.

    Raises:
        UsageError: when another process is training in it.
    """
    with writing(path):
        file = (path / ".lock").open("w")
    with file:
        try:
            # Not flock, which loader workers would inherit and hold beyond a kill -9 of this one.
            if fcntl is not None:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise UsageError(
                "another process is training in this run directory",
                where=str(path),
                hint=f"{_holder(path)} Wait for it, or stop it with Ctrl-C or SIGTERM.",
            ) from error
        except OSError:
            pass  # a file system without locks
        yield


def _holder(path: Path) -> str:
    try:
        return f"Its id was {read_status(path)['pid']}."
    except (DataError, KeyError):
        return "Its id isn't written."


def in_use(path: Path) -> bool:
    """Whether some process is training in a run directory; not to be asked by that process."""
    try:
        with claimed(path):
            return False
    except UsageError:
        return True
    except EnvironmentFault:
        return False


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Explain the system's refusals in a block that writes into a run directory.

    Raises:
        EnvironmentFault: instead of each OSError.
    """
    try:
        yield
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> EnvironmentFault:
    fault = cannot_write(error, path)
    fault.message = f"the run directory {fault.message}"
    fault.hint = f"{fault.hint.removesuffix('.')} (--out)."
    return fault


def fault_of(path: Path, error: OSError) -> EnvironmentFault | None:
    """What an error of the operating system means, if it comes from the run directory's disk."""
    inside = False
    if isinstance(error.filename, str | Path):
        inside = Path(error.filename).absolute().is_relative_to(path.absolute())
    full = error.errno in (*FULL, errno.EROFS, errno.EIO)
    return _unusable(path, error) if inside or full else None


class _Data(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    use: str
    stand_in: bool
    length: NonNegativeInt


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


class Status:
    """`status.json`: the state of a run for whoever looks from outside."""

    def __init__(self, path: Path) -> None:
        self._file = path / STATUS
        self.document = read_status(path)

    def update(self, **values: Any) -> None:
        """Set keys and write the file."""
        self.document.update(values, updated=now())
        write_json(self._file, self.document)


def flatten(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested document as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in document.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{name}."))
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            for index, item in enumerate(value):
                flat.update(flatten(item, f"{name}.{index}."))
        else:
            flat[name] = value
    return flat
