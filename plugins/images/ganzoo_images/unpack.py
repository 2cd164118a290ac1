"""Unpacking a tar archive without trusting it: plain files and folders alone, within limits."""

from __future__ import annotations

import errno
import lzma
import tarfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from ganzoo.errors import DataError

MAX_UNPACKED = 2 * 1024**3
"""Bytes that an archive may unpack to; more is taken for an attack or a mistake."""
MAX_MEMBERS = 20_000
"""Files and folders that an archive may hold."""
MAX_DEPTH = 16
"""Folders that a member may lie in."""
_BLOCK = 256 * 1024

# What the system says of names that an archive has chosen badly: a file where a folder is, a name
# that is too long or has a forbidden character. Everything else (a full disk) is the machine's.
_OF_NAMES = frozenset(
    (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)
)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack regular files and folders of a tar archive, and nothing else.

    Every member is judged before its bytes are written; files are written by us, so that neither
    owners, modes nor times of the archive count.

    Raises:
        DataError: naming the member, for an absolute path, `..`, a link, a device, a file where a
            folder is, too many members or too much data; or when the archive is damaged.
        OSError: when the machine can't write what is right with the archive.
    """
    members = unpacked = 0
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                members += 1
                unpacked += member.size
                problem = _unsafe(member)
                if unpacked > MAX_UNPACKED:
                    problem = f"takes the archive beyond {MAX_UNPACKED:,} bytes"
                if members > MAX_MEMBERS:
                    problem = f"takes the archive beyond {MAX_MEMBERS:,} files and folders"
                if problem:
                    raise _refusal(archive, member, problem)
                try:
                    _write(tar, member, folder / member.name)
                except (OSError, ValueError) as error:
                    if isinstance(error, OSError) and error.errno not in _OF_NAMES:
                        raise
                    reason = getattr(error, "strerror", None) or str(error)
                    raise _refusal(archive, member, f"can't be made: {reason}") from error
            _read_on(tar, archive)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        if error.errno is not None:  # the system's; that of gzip and bz2 has no number
            raise
        raise _damaged(archive, error) from error


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    if content is not None:
        with content, place.open("wb") as file:
            while block := content.read(_BLOCK):
                file.write(block)


def _read_on(tar: tarfile.TarFile, archive: Path) -> None:
    """Read what follows the last member, since the checksum of a compressed file is at its end."""
    rest = 0
    while tar.fileobj is not None and (block := tar.fileobj.read(_BLOCK)):
        rest += len(block)
        if rest > MAX_UNPACKED:
            raise DataError("this archive has no end", where=str(archive))


def _refusal(archive: Path, member: tarfile.TarInfo, problem: str) -> DataError:
    return DataError(f"refused to unpack: {member.name!r:.200} {problem}", where=str(archive))


def _damaged(archive: Path, error: Exception) -> DataError:
    return DataError(f"this archive is damaged: {error}", where=str(archive))


def _unsafe(member: tarfile.TarInfo) -> str:
    """What is wrong with a member of an archive; "" if nothing is."""
    if member.issym() or member.islnk():
        return f"is a link to {member.linkname!r}"
    if not (member.isfile() or member.isdir()) or member.size < 0:
        return "is neither a file nor a folder"
    paths = (PurePosixPath(member.name), PureWindowsPath(member.name))
    if any(path.is_absolute() or path.anchor for path in paths):
        return "has an absolute path"
    if any(".." in path.parts for path in paths):
        return "leads out of the folder"
    deep = any(len(path.parts) > MAX_DEPTH + 1 for path in paths)
    return f"lies in more than {MAX_DEPTH} folders" if deep else ""
