"""Files that appear whole or not at all: how ganzoo writes what must not be lost."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from ganzoo.errors import DataError, EnvironmentFault

if TYPE_CHECKING:
    from pydantic import BaseModel

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says when a disk, a quota or a limit on the size of a file leaves no room."""

REFUSED = (errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM)
"""What it says when a file can't be written, or not even read, whatever the program does."""

_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_TEMPORARY = re.compile(r"\..+\.([0-9]{1,10})\.tmp", re.DOTALL)


@contextmanager
def naming(path: Path, *aliases: Path) -> Iterator[None]:
    """Let the system's errors in a block that writes `path` name this file.

    An error that names no file, or one of `aliases`, gets the name. So does an error of another
    library that quotes the system's (safetensors' SafetensorError): it becomes an OSError.
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
    """Give a temporary path beside `path`; on success it is synced to disk and takes its place.

    An error, or a process killed in the middle, leaves what was at `path` as it was. The file gets
    the permissions that any new file has here.

    Raises:
        OSError: naming `path`, when the disk is full or the file can't be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with naming(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Some writers (safetensors) make files that only their owner may read; these keep ours.
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
    """Remove the temporary files in folders whose writers were killed.

    Those of a process that still runs on this machine stay, since it may be writing them.
    """
    for folder in folders:
        for file in folder.glob(".*.tmp"):
            if is_leftover(file):
                with suppress(OSError):  # a folder that may only be read
                    file.unlink()


def is_leftover(file: Path) -> bool:
    """Whether this is a temporary file of `replacing` whose writer was killed."""
    made = _TEMPORARY.fullmatch(file.name)
    return made is not None and not _runs(int(made[1]))


def _runs(process: int) -> bool:
    """Whether another process has this id."""
    if process == os.getpid():
        return False  # a process of the past had the id that this one has now
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def cannot_write(error: OSError, path: Path, needed: int | None = None) -> EnvironmentFault:
    """What an error of the system means to the user whose file couldn't be written.

    Args:
        error: what the system said.
        path: the file or folder that was to be written, if the error names none.
        needed: bytes that it takes, where that is known.
    """
    path = Path(os.fsdecode(error.filename)) if error.filename else path
    message = f"can't be written: {error.strerror or error}"
    if error.errno in FULL:
        takes = f"it takes {needed:,} bytes, and " if needed is not None else ""
        message += f" ({takes}{_room(error, path)})"
        hint = "Free some space or raise the limit, or write to another place."
    else:
        hint = "See to its permissions, or write to another place."
    return EnvironmentFault(message, where=str(path), hint=hint)


def refusal(error: OSError) -> EnvironmentFault | None:
    """What an error of the system means that nobody on its way knew more of.

    Returns:
        None where it isn't the machine that refuses a file.
    """
    if error.filename is None:
        return None
    path = Path(os.fsdecode(error.filename))
    if error.errno in (*FULL, errno.EROFS):
        return cannot_write(error, path)
    if error.errno in REFUSED:
        return EnvironmentFault(
            f"can't be used: {error.strerror}", where=str(path), hint="See to its permissions."
        )
    return None


def _room(error: OSError, path: Path) -> str:
    """How much the disk, or the limit on the size of a file, leaves; in words."""
    if error.errno == errno.EFBIG:
        import resource  # only systems that have it say EFBIG

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
    """Write a text file so that a reader sees the old or the new one, never a part."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def to_json(document: Any, *, indent: int | None = None, ascii_only: bool = True) -> str:
    """A document as JSON; NaN and infinity, which it has no word for, become `null`.

    Whatever else it has no word for (a path) becomes text.
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
    """Plain data with `{"__float__": "inf"}` for the numbers that JSON has no word for."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"__float__": str(value)}
    if isinstance(value, dict):
        return {key: spelt(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [spelt(item) for item in value]
    return value


def unspelt(value: Any) -> Any:
    """Plain data as they were; Python reads what older versions wrote, `Infinity`, by itself."""
    if isinstance(value, dict):
        if value.keys() == {"__float__"}:
            return float(value["__float__"])
        return {key: unspelt(item) for key, item in value.items()}
    return [unspelt(item) for item in value] if isinstance(value, list) else value


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document atomically, as `to_json` has it."""
    write_text(path, to_json(document, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; an absent file is an empty one.

    Raises:
        DataError: naming the file, when it holds anything else.
    """
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:  # a folder in its place, or no right to read it
        raise DataError(f"can't be read: {error.strerror}", where=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"is damaged: {error}", where=str(path)) from error
    if not isinstance(document, dict):
        raise DataError("is damaged: it holds no JSON object", where=str(path))
    return document


def read_checked(path: Path, shape: type[BaseModel], hint: str) -> dict[str, Any]:
    """Read a JSON object whose values must be of a model's types; an absent file is an empty one.

    Args:
        path: the file.
        shape: keys and their types; it says itself what becomes of other keys.
        hint: what to do with a file that is wrong.

    Raises:
        DataError: naming the file, and the first key whose value is wrong.
    """
    from pydantic import ValidationError

    try:
        document = read_json(path)
        shape.model_validate_json(json.dumps(document))  # as JSON, in which tuples are arrays
    except DataError as error:
        error.hint = hint
        raise
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise DataError(f"is damaged: {key}: {first['msg']}", where=str(path), hint=hint) from error
    return document


def stays_inside(name: str) -> bool:
    """Whether a name can become a file's below a folder and nowhere else, on any system."""
    if not name or "\0" in name:
        return False
    kinds = (PurePath(name), PureWindowsPath(name))
    return bool(kinds[0].parts) and not any(path.anchor or ".." in path.parts for path in kinds)
