"""Fetching an archive: resumable, with a progress bar, and unpacked without trusting it."""

from __future__ import annotations

import math
import queue
import shutil
import tarfile
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Protocol

from ganzoo.errors import DataError, DataMissing

CONNECT_SECONDS = 5.0
"""Longest wait for the name lookup and connection, and between two blocks of data."""
RETRY_SECONDS = 60.0
"""Time for which a server that couldn't be reached isn't asked again by this process: a run opens
several splits, and each would wait."""
ATTEMPTS = 5
"""Times that a dropped connection is taken up again without any new byte coming in."""
MAX_UNPACKED = 2 * 1024**3
"""Bytes that an archive may unpack to; more is taken for an attack or a mistake."""
_BLOCK = 256 * 1024


class _Progress(Protocol):
    def __call__(self, done: int, total: int | None) -> None: ...


def fetch(url: str, target: Path, check: Callable[[Path], None]) -> None:
    """Download a tar archive of one folder and put its contents at `target`, whole or not at all.

    The download goes to `NAME.part` beside the target and is taken up there after a dropped
    connection, now or in a later call. Several processes may ask at once: one of them works.

    Args:
        url: http or https address of the archive.
        target: the folder to make.
        check: raises DataError unless the unpacked folder is what it should be.

    Raises:
        DataMissing: when the server can't be reached or breaks off for good.
        DataError: when the archive is damaged, unsafe or not what was expected.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.with_name(target.name + ".lock")):
            if target.is_dir():
                return  # another process was faster
            part = target.with_name(target.name + ".part")
            with _bar(target.name) as progress:
                download(url, part, progress)
            _unpack_to(part, target, check)
            part.unlink()
    except OSError as error:
        raise DataMissing(f"{url}: {error}") from error


_unreachable: dict[str, tuple[float, str]] = {}


def download(url: str, part: Path, progress: _Progress | None = None) -> None:
    """Fetch `url` into `part`, going on where an earlier attempt stopped.

    Raises:
        DataMissing: when the server can't be reached, answers with an error, or breaks off
            `ATTEMPTS` times in a row without sending anything new.
    """
    since, reason = _unreachable.get(url, (-math.inf, ""))
    if time.monotonic() - since < RETRY_SECONDS:
        raise DataMissing(reason)
    idle = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            if _receive(url, part, progress):
                return
            reason = "the connection was dropped"
        except urllib.error.HTTPError as error:
            raise DataMissing(f"{url}: the server answers {error.code} {error.reason}") from error
        except (OSError, HTTPException) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            reason = str(cause) or type(cause).__name__
            if before == 0 and not part.exists():
                # Nothing ever came: the machine is offline, and a stand-in shouldn't wait.
                _unreachable[url] = time.monotonic(), f"{url}: {reason}"
                raise DataMissing(f"{url}: {reason}") from error
        after = part.stat().st_size if part.exists() else 0
        idle = 0 if after > before else idle + 1
        if idle >= ATTEMPTS:
            raise DataMissing(
                f"{url}: {reason} ({after:,} bytes are kept, the next attempt goes on there)"
            )
        time.sleep(min(0.1 * 2**idle, 2.0))


def _receive(url: str, part: Path, progress: _Progress | None) -> bool:
    """One connection. Return whether the file is complete."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "ganzoo"})  # noqa: S310  # the options admit http and https only
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = _within(CONNECT_SECONDS, lambda: _open(request))
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing after what we have: complete, or of another file
            if error.headers.get("Content-Range", "") == f"bytes */{have}":
                return True
            part.unlink()
            return False
        raise
    with response:
        resumed = response.status == 206
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink()
            return False
        have = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            while block := response.read(_BLOCK):
                file.write(block)
                have += len(block)
                if progress:
                    progress(have, total)
        # Without a length, the end of the stream is all there is to go by; unpacking will tell.
        return total is None or have == total


def _open(request: urllib.request.Request) -> HTTPResponse:
    response: HTTPResponse = urllib.request.urlopen(request, timeout=CONNECT_SECONDS)  # noqa: S310
    return response


def _within(seconds: float, call: Callable[[], HTTPResponse]) -> HTTPResponse:
    """Call in a thread, since the time a name lookup takes can't be limited otherwise."""
    answers: queue.Queue[Any] = queue.Queue()

    def work() -> None:
        try:
            answers.put(call())
        except BaseException as error:  # noqa: BLE001  # raised again below, in the caller's thread
            answers.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds + 1)
    except queue.Empty:
        message = f"no answer within {seconds:g} seconds"
        raise TimeoutError(message) from None
    if isinstance(answer, BaseException):
        raise answer
    return answer  # type: ignore[no-any-return]


def unpack(archive: Path, folder: Path) -> None:
    """Unpack regular files and folders of a tar archive, and nothing else.

    Every member is judged before its bytes are written; files are written by us, so that neither
    owners, modes nor times of the archive count.

    Raises:
        DataError: naming the member, for an absolute path, `..`, a link, a device, or too much
            data; or when the archive is damaged.
    """
    unpacked = 0
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                problem = _unsafe(member)
                unpacked += member.size
                if not problem and unpacked > MAX_UNPACKED:
                    problem = f"takes the archive beyond {MAX_UNPACKED:,} bytes"
                if problem:
                    raise DataError(
                        f"refused to unpack: {member.name!r} {problem}", where=str(archive)
                    )
                place = folder / member.name
                if member.isdir():
                    place.mkdir(parents=True, exist_ok=True)
                    continue
                place.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                if content is not None:
                    with content, place.open("wb") as file:
                        shutil.copyfileobj(content, file)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"this archive is damaged: {error}", where=str(archive)) from error


def _unsafe(member: tarfile.TarInfo) -> str:
    """What is wrong with a member of an archive; "" if nothing is."""
    if member.issym() or member.islnk():
        return f"is a link to {member.linkname!r}"
    if not (member.isfile() or member.isdir()):
        return "is neither a file nor a folder"
    for path in (PurePosixPath(member.name), PureWindowsPath(member.name)):
        if path.is_absolute() or path.anchor:
            return "has an absolute path"
        if ".." in path.parts:
            return "leads out of the folder"
    return ""


def _unpack_to(archive: Path, target: Path, check: Callable[[Path], None]) -> None:
    temporary = target.with_name(target.name + ".unpacking")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        unpack(archive, temporary)
        inside = list(temporary.iterdir())
        whole = inside[0] if len(inside) == 1 and inside[0].is_dir() else temporary
        check(whole)
        whole.rename(target)
    except DataError as error:
        archive.unlink()  # else the next attempt would stumble over the same bytes
        raise DataError(
            error.message,
            where=error.where,
            hint="\n".join(filter(None, [error.hint, "The download was removed; try again."])),
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock that the system frees when the process dies; without such locks, go on."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _bar(name: str) -> Iterator[_Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("downloading {task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True))
    task = bar.add_task(name, total=None)

    def progress(done: int, total: int | None) -> None:
        bar.start()  # not before the first bytes: offline there is nothing to show
        bar.update(task, completed=done, total=total)

    try:
        yield progress
    finally:
        if bar.live.is_started:  # else rich would print an empty line
            bar.stop()
