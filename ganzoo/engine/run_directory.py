"""Make a run directory, lock it for one process, and keep its status up to date."""

from __future__ import annotations

import errno
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ganzoo.errors import DataError, EnvironmentFault, UsageError
from ganzoo.files import (
    FULL,
    cannot_write,
    is_leftover,
    remove_leftovers,
    write_json,
    write_text,
)
from ganzoo.recipe.model import Recipe
from ganzoo.recipe.write import to_toml
from ganzoo.run_files import RESOLVED, STATUS, read_status

try:
    import fcntl
except ImportError:  # on Windows there is no lock, so two processes may use one directory
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


def now() -> str:
    """Return the present time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def reserve(recipe: Recipe, out: Path | None) -> Path:
    """Make the directory of a new run; `begin` writes into it after it is locked.

    Args:
        recipe: the recipe that will be run.
        out: the directory itself; by default `OUT/NAME/STAMP` with the recipe's `out` and name.

    Raises:
        UsageError: when `out` contains anything except the files of an interrupted start.
        EnvironmentFault: when it can't be written.
    """
    with writing(out or Path(recipe.out)):
        if out is None:
            return _first_free(
                Path(recipe.out) / recipe.name, datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
            )
        _refuse_taken(out)
        out.mkdir(parents=True, exist_ok=True)
        return out


def begin(recipe: Recipe, path: Path) -> None:
    """Write the recipe into the directory of a new run, which this process has locked.

    Raises:
        UsageError: when another process has begun a run in it since `reserve`.
        EnvironmentFault: when it can't be written.
    """
    _refuse_taken(path)
    with writing(path):
        if recipe.text:
            write_text(path / "recipe.toml", recipe.text)
        write_text(path / RESOLVED, to_toml(recipe))


def _refuse_taken(path: Path) -> None:
    """Check that a path is free, is an empty folder, or contains only an interrupted start.

    An interrupted start ended before `RESOLVED` was written. It can't be resumed, and only the
    recipe's text is overwritten.

    Raises:
        UsageError: when the path contains anything else.
    """
    if path.is_dir():
        left = {file.name for file in path.iterdir() if not is_leftover(file)}
        taken = not left <= {LOCK, "recipe.toml"}
    else:
        taken = path.exists()
    if taken:
        raise UsageError(
            "the run directory isn't empty",
            where=str(path),
            hint=f"To continue this run, use --resume {shlex.quote(str(path))}; otherwise give "
            "another --out.",
        )


def tidy(path: Path) -> None:
    """Remove the temporary files that killed processes left in a run directory."""
    remove_leftovers(path, *(folder for folder in path.rglob("*") if folder.is_dir()))
    for folder in path.glob("checkpoints/step_*.tmp"):
        shutil.rmtree(folder, ignore_errors=True)


def _first_free(parent: Path, stamp: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1000):
        path = parent / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise UsageError("too many runs were started in one second", where=str(parent))


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Lock a run directory for this process; the system releases the lock when the process ends.

    Raises:
        UsageError: when another process is training in it.
        EnvironmentFault: when it can't be written.
    """
    with writing(path):
        file = (path / LOCK).open("w")
    with file:
        try:
            # Loader workers would inherit a lock of flock, and keep it after a kill -9 of this
            # process. They don't inherit a lock of lockf.
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
        return f"Its process id was {read_status(path)['pid']}."
    except (DataError, KeyError):
        return "Its process id isn't known."


def in_use(path: Path) -> bool:
    """Return whether another process is training in a run directory.

    The process that trains in it must not call this function.
    """
    try:
        with claimed(path):
            return False
    except UsageError:
        return True
    except EnvironmentFault:
        return False


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Replace the errors of the operating system in a block that writes into a run directory.

    Raises:
        EnvironmentFault: in place of each OSError.
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
    """Return the fault that explains an OSError of the run directory's disk; None for others."""
    inside = False
    if isinstance(error.filename, str | Path):
        inside = Path(error.filename).absolute().is_relative_to(path.absolute())
    full = error.errno in (*FULL, errno.EROFS, errno.EIO)
    return _unusable(path, error) if inside or full else None


class Status:
    """The file `status.json`, with the state of a run for other processes."""

    def __init__(self, path: Path) -> None:
        self._file = path / STATUS
        self.document = read_status(path)

    def update(self, **values: Any) -> None:
        """Set keys and write the file."""
        self.document.update(values, updated=now())
        write_json(self._file, self.document)
