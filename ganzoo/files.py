"""Safe reading and writing of files: a file is replaced as a whole, or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from ganzoo.errors import DataError, EnvironmentFault, GanzooError, UsageError, one_line

if TYPE_CHECKING:
    from pydantic import BaseModel

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The system's errors for a disk, a quota or a limit on the size of a file that leaves no room."""

REFUSED = (errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM)
"""The system's errors for a file that can't be written, or not even read, whatever the program
does."""

_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_TEMPORARY = re.compile(r"\..+\.([0-9]{1,10})\.tmp", re.DOTALL)


def split_suffix(name: str, suffixes: Iterable[str]) -> tuple[str, str]:
    """Split the name of a file before its suffix: `a.nii.gz` into `a` and `.nii.gz`.

    Args:
        name: of a file, without its folder.
        suffixes: those that are known, in lower case; the longest one that fits counts. If none
            fits, the suffix begins at the last dot, as that of `Path.suffix`.
    """
    lower = name.lower()
    fitting = [one for one in suffixes if lower.endswith(one) and len(one) < len(name)]
    suffix = max(fitting, key=len, default=Path(name).suffix)
    stem = name[: len(name) - len(suffix)]
    return stem, name[len(stem) :]


def expanded(path: str | Path) -> Path:
    """Return a path in which `~` and `~USER` are replaced by the user's home folder.

    A user that doesn't exist leaves it as it is, as in a shell, so that the path isn't found.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111  # pathlib's raises a bare RuntimeError


@contextmanager
def naming(path: Path, *aliases: Path) -> Iterator[None]:
    """Let the operating system's errors inside the block, which writes `path`, name this file.

    An error that names no file, or one of `aliases`, is raised again with the name. An error of a
    library that quotes one of the system, such as SafetensorError, becomes an OSError with the
    name.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename not in (None, *map(str, aliases), *aliases):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    except Exception as error:
        quoted = _OS_ERROR.search(str(error))
        if quoted is None:
            raise
        number = int(quoted[1])
        raise OSError(number, os.strerror(number), str(path)) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success that file is synced and replaces `path`.

    After an error, or if the process is killed, the old file at `path` is unchanged. The new file
    has the permissions of any new file in this folder.

    Raises:
        OSError: the disk is full, or the file can't be written; the error names `path`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with naming(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Some writers, such as safetensors, make files that only their owner may read.
            temporary.touch()
            permissions = temporary.stat().st_mode
            yield temporary
            temporary.chmod(permissions)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def remove_leftovers(*folders: Path) -> None:
    """Remove temporary files in folders whose writers were killed.

    Files of a process that still runs on this machine are kept, since it may be writing them.
    """
    for folder in folders:
        for file in folder.glob(".*.tmp"):
            if is_leftover(file):
                with suppress(OSError):  # the folder may be read-only
                    file.unlink()


def is_leftover(file: Path) -> bool:
    """Return whether a file is a temporary one of `replacing` whose writer was killed."""
    made = _TEMPORARY.fullmatch(file.name)
    return made is not None and not _runs(int(made[1]))


def _runs(process: int) -> bool:
    """Return whether another process with this id is running."""
    if process == os.getpid():
        return False  # this process has the same id as the former writer, by chance
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def cannot_write(error: OSError, path: Path, needed: int | None = None) -> EnvironmentFault:
    """Return the error to show to the user if a file couldn't be written.

    Args:
        error: the error of the system.
        path: the file or folder to be written; it is used if the error names none.
        needed: the bytes to be written; None if they aren't known.
    """
    path = Path(os.fsdecode(error.filename)) if error.filename else path
    message = f"can't be written: {error.strerror or error}"
    if error.errno in FULL:
        takes = f"it takes {needed:,} bytes, and " if needed is not None else ""
        message += f" ({takes}{_room(error, path)})"
        hint = "Free some space or raise the limit, or write to another place."
    else:
        hint = "Check its permissions, or write to another place."
    return EnvironmentFault(message, where=str(path), hint=hint)


def refusal(error: OSError) -> GanzooError | None:
    """Return the error to show for an error of the system that no other code has handled.

    Returns:
        A `UsageError` for a name that no file can have; an `EnvironmentFault` if the system refused
        to read or write a file; None for all other errors.
    """
    if error.filename is None:
        return None
    path = Path(os.fsdecode(error.filename))
    if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        return UsageError(f'"{one_line(str(path), 60)}" can\'t be a path: {error.strerror}')
    if error.errno in (*FULL, errno.EROFS):
        return cannot_write(error, path)
    if error.errno in REFUSED:
        return EnvironmentFault(
            f"can't be used: {error.strerror}", where=str(path), hint="Check its permissions."
        )
    return None


def _room(error: OSError, path: Path) -> str:
    """Return how much the disk, or the limit on the size of a file, allows, in words."""
    if error.errno == errno.EFBIG:
        import resource  # all systems with EFBIG have this module

        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if limit != resource.RLIM_INFINITY:
            return f"a file may have {limit:,} bytes (ulimit -f)"
        return "a file of that size can't be on this disk"
    there = next((one for one in (path, *path.absolute().parents) if one.exists()), Path())
    return f"{shutil.disk_usage(there).free:,} bytes are free"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 hash of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically: a reader sees the old file or the new one, never a part."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def to_json(document: Any, *, indent: int | None = None, ascii_only: bool = True) -> str:
    """Return a document as JSON.

    JSON has no NaN and no infinity, so they become `null`. Values of other types that JSON lacks,
    such as paths, become text.
    """
    return json.dumps(
        _sayable(document), indent=indent, ensure_ascii=ascii_only, allow_nan=False, default=str
    )


def _sayable(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _sayable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(item) for item in value]
    return value


def spelt(value: Any) -> Any:
    """Return plain data in which numbers that JSON lacks are like `{"__float__": "inf"}`."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"__float__": str(value)}
    if isinstance(value, dict):
        return {key: spelt(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [spelt(item) for item in value]
    return value


def unspelt(value: Any) -> Any:
    """Return the plain data that `spelt` was given.

    Older versions wrote `Infinity` and the like, which Python's JSON reader understands.
    """
    if isinstance(value, dict):
        if value.keys() == {"__float__"}:
            return float(value["__float__"])
        return {key: unspelt(item) for key, item in value.items()}
    return [unspelt(item) for item in value] if isinstance(value, list) else value


def write_json(path: Path, document: Any) -> None:
    """Write a document as JSON atomically, in the form of `to_json`."""
    write_text(path, to_json(document, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; an absent file counts as an empty object.

    Raises:
        DataError: the file can't be read, or holds anything else; the error names the file.
    """
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:  # the path is a folder, or reading isn't permitted
        raise DataError(f"can't be read: {error.strerror}", where=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"is damaged: {error}", where=str(path)) from error
    if not isinstance(document, dict):
        raise DataError("is damaged: it holds no JSON object", where=str(path))
    return document


def read_checked(path: Path, shape: type[BaseModel], hint: str) -> dict[str, Any]:
    """Read a JSON object and check its values by a model; an absent file counts as empty.

    Args:
        path: the file.
        shape: the model with the keys and their types; it decides whether other keys are allowed.
        hint: what the user can do if the file is wrong.

    Raises:
        DataError: the file or one of its values is wrong; the error names the file and the first
            wrong key.
    """
    from pydantic import ValidationError

    try:
        document = read_json(path)
        shape.model_validate_json(json.dumps(document))  # as JSON, a tuple may be an array
    except DataError as error:
        error.hint = hint
        raise
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise DataError(f"is damaged: {key}: {first['msg']}", where=str(path), hint=hint) from error
    return document


def stays_inside(name: str) -> bool:
    """Return whether a name, joined to a folder, leads below the folder on every system."""
    if not name or "\0" in name:
        return False
    kinds = (PurePath(name), PureWindowsPath(name))
    return bool(kinds[0].parts) and not any(path.anchor or ".." in path.parts for path in kinds)
