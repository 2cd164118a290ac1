"""Download an archive: resume broken downloads, show progress, and limit bytes and time."""

from __future__ import annotations

import hashlib
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from ganzoo.errors import DataError, DataMissing
from ganzoo_images.unpack import unpack

CONNECT_SECONDS = 5.0
"""The longest wait in seconds, both for a connection to one address and between two blocks of data.
The system's name lookup has its own limit."""
ATTEMPTS = 10
"""The largest number of connections for one download."""
MAX_DOWNLOADED = 256 * 1024**2
"""The largest number of bytes of an archive. A larger archive is taken for an attack or a mistake.
The archive of the facades has 29 MB."""
SLOW_SECONDS = 30.0
SLOW_BYTES = 128 * 1024
"""A download fails if the server sends less than `SLOW_BYTES` within `SLOW_SECONDS`. Together with
`MAX_DOWNLOADED` and `ATTEMPTS`, this limits the time that a download can take."""
_BLOCK = 256 * 1024

Progress = Callable[[int, int | None], None]
"""A function that is called with the number of bytes received so far, and with the total number, or
with None if that is unknown."""


def fetch(url: str, target: Path, check: Callable[[Path], None], sha256: str | None = None) -> None:
    """Download a tar archive of one folder and unpack it to `target`, completely or not at all.

    The download is stored in `NAME.part` beside the target. After a dropped connection it is
    resumed there, in the same call or in a later one. Several processes may call this at once: one
    of them downloads, and the others wait for it.

    Args:
        url: http or https address of the archive.
        target: the folder to create.
        check: a function that raises DataError unless the unpacked folder has the expected content.
        sha256: the archive's hash in lower-case hexadecimal digits; None if it isn't known.

    Raises:
        DataMissing: when the server can't be reached, or when it breaks off in every attempt.
        DataError: when the archive is damaged, unsafe or doesn't have the expected content.
    """
    part, temporary = (target.with_name(target.name + end) for end in (".part", ".unpacking"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.with_name(target.name + ".lock")):
            if target.is_dir():
                return  # another process was faster
            with _bar(target.name) as progress:
                download(url, part, progress)
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            try:
                _check_hash(part, sha256)
                unpack(part, temporary)
                inside = list(temporary.iterdir())
                whole = inside[0] if len(inside) == 1 and inside[0].is_dir() else temporary
                check(whole)
                whole.rename(target)
            except DataError as error:
                part.unlink()  # else the next attempt would fail on the same bytes
                hint = "\n".join(filter(None, [error.hint, "The download was removed; try again."]))
                raise DataError(error.message, where=error.where, hint=hint) from error
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            part.unlink()
    except OSError as error:
        raise DataMissing(f"{url}: {error}") from error


def download(url: str, part: Path, progress: Progress | None = None) -> None:
    """Download `url` into `part`, and continue where an earlier attempt stopped.

    Raises:
        DataMissing: when the server can't be reached, answers with an error, is too slow, or breaks
            off `ATTEMPTS` times.
        DataError: when the server sends more than `MAX_DOWNLOADED` bytes. These are removed.
    """
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(min(0.1 * 2 ** (attempt - 1), 2.0))
        try:
            if _receive(url, part, progress):
                return
            reason = "the connection was dropped"
        except urllib.error.HTTPError as error:
            raise DataMissing(f"{url}: the server answers {error.code} {error.reason}") from error
        except (OSError, HTTPException) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            reason = str(cause) or type(cause).__name__
            if not part.exists():
                # No byte was received, so the machine is probably offline. Further attempts would
                # only delay the recipe's fallback data.
                raise DataMissing(f"{url}: {reason}") from error
    raise DataMissing(f"{url}: {reason} ({_kept(part)})")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _kept(part: Path) -> str:
    return f"{_size(part):,} bytes are kept, and the next attempt continues there"


def _receive(url: str, part: Path, progress: Progress | None) -> bool:
    """Read one connection to its end. Return whether the file is complete."""
    have = _size(part)
    headers = {"User-Agent": "ganzoo"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310  # http or https
        response = urllib.request.urlopen(request, timeout=CONNECT_SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        # The server has no bytes after these: the file is complete, or it belongs to another
        # archive.
        complete: bool = error.headers.get("Content-Range", "") == f"bytes */{have}"
        if not complete:
            part.unlink()
        return complete
    with response:
        resumed = response.status == 206
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink()
            return False
        have = have if resumed else 0
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdecimal() else None
        if (total or 0) > MAX_DOWNLOADED:
            raise _too_much(url, part)
        with part.open("ab" if resumed else "wb") as file:
            counted_from, counted = time.monotonic(), have
            # `read` would wait for a whole block, and a slow server would go unnoticed.
            while block := response.read1(_BLOCK):
                have += len(block)
                if have > MAX_DOWNLOADED:
                    raise _too_much(url, part)
                file.write(block)
                if progress:
                    progress(have, total)
                if time.monotonic() - counted_from > SLOW_SECONDS:
                    if have - counted < SLOW_BYTES:
                        file.flush()
                        raise DataMissing(
                            f"{url}: fewer than {SLOW_BYTES:,} bytes arrived within "
                            f"{SLOW_SECONDS:g} seconds ({_kept(part)})"
                        )
                    counted_from, counted = time.monotonic(), have
    # Without a length only the end of the stream is known; a cut file then fails when it is
    # unpacked.
    return total is None or have == total


def _too_much(url: str, part: Path) -> DataError:
    part.unlink(missing_ok=True)
    return DataError(
        f"{url}: the server sends more than {MAX_DOWNLOADED:,} bytes",
        hint="That can't be the data set, so the download was removed.",
    )


def _check_hash(archive: Path, wanted: str | None) -> None:
    if wanted is None:
        return
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        raise DataError(f"the archive's sha256 is {found}, not {wanted}", where=str(archive))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a file lock, which the system frees when the process dies; do nothing on Windows."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _bar(name: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import DownloadColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (*Bar.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
    bar = Bar(*columns, console=Console(stderr=True))
    task = bar.add_task(f"downloading {name}", total=None)

    def progress(done: int, total: int | None) -> None:
        bar.start()  # not before the first bytes: offline there is nothing to show
        bar.update(task, completed=done, total=total)

    try:
        yield progress
    finally:
        if bar.live.is_started:  # else rich would print an empty line
            bar.stop()
