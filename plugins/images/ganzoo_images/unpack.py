"""Unpack a tar archive from an untrusted source: no links, no paths outside, within limits."""

from __future__ import annotations

import errno
import lzma
import tarfile
import zlib
from pathlib import Path

from ganzoo.errors import DataError

MAX_UNPACKED = 2 * 1024**3
"""The largest number of bytes of an archive's unpacked content. More is taken for an attack or a
mistake."""
MAX_MEMBERS = 20_000
"""The largest number of files and folders in an archive."""
MAX_DEPTH = 16
"""The largest number of folders, one inside the other, in which a member may lie."""
_BLOCK = 256 * 1024

# System errors that are caused by the names in an archive: a file where a folder is, or a name that
# is too long or has a forbidden character. All other system errors, such as a full disk, aren't the
# archive's fault.
_OF_NAMES = frozenset(
    (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)
)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the regular files and folders of a tar archive.

    Files that were unpacked before an error aren't removed.

    Raises:
        DataError: when the archive is damaged, has too many members or too many bytes, or has a
            member that is a link or a device, would lie outside of `folder`, or has a name that the
            system rejects.
        OSError: when the machine can't write a valid member, for example on a full disk.
    """
    unpacked = 0
    try:
        with tarfile.open(archive, "r:*") as tar:
            for members, member in enumerate(tar, start=1):
                unpacked += max(member.size, 0)
                if problem := _beyond_limits(member, members, unpacked):
                    raise _refusal(archive, member, problem)
                try:
                    tar.extract(member, folder, filter="data")
                except (OSError, ValueError, OverflowError, tarfile.FilterError) as error:
                    if isinstance(error, OSError) and error.errno not in _OF_NAMES:
                        raise
                    raise _refusal(archive, member, f"can't be made: {error}") from error
            # A compressed file has its checksum at the end, after the last member. Reading to the
            # end checks it.
            while tar.fileobj is not None and (block := tar.fileobj.read(_BLOCK)):
                unpacked += len(block)
                if unpacked > MAX_UNPACKED:
                    raise DataError("this archive has no end", where=str(archive))
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        if error.errno is not None:  # a system error; gzip and bz2 raise OSError without errno
            raise
        raise _damaged(archive, error) from error


def _beyond_limits(member: tarfile.TarInfo, members: int, unpacked: int) -> str:
    """Return why a member is refused regardless of its name, or an empty string."""
    if member.issym() or member.islnk():
        return f"is a link to {member.linkname!r}"
    if unpacked > MAX_UNPACKED:
        return f"takes the archive beyond {MAX_UNPACKED:,} bytes"
    if members > MAX_MEMBERS:
        return f"takes the archive beyond {MAX_MEMBERS:,} files and folders"
    deep = len(Path(member.name).parts) > MAX_DEPTH + 1
    return f"lies in more than {MAX_DEPTH} folders" if deep else ""


def _refusal(archive: Path, member: tarfile.TarInfo, problem: str) -> DataError:
    return DataError(f"refused to unpack: {member.name!r:.200} {problem}", where=str(archive))


def _damaged(archive: Path, error: Exception) -> DataError:
    return DataError(f"this archive is damaged: {error}", where=str(archive))
