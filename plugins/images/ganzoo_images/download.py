"""Fetching an archive: resumable, with a progress bar, and within limits of bytes and time."""

from __future__ import annotations

import math
import queue
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Protocol

from ganzoo.errors import DataError, DataMissing
from ganzoo_images.unpack import unpack

CONNECT_SECONDS = 5.0
"""Longest wait for the name lookup and connection, and between two blocks of data."""
RETRY_SECONDS = 60.0
"""Time for which a server that couldn't be reached isn't asked again by this process: a run opens
several splits, and each would wait."""
ATTEMPTS = 5
"""Times that a dropped connection is taken up again without any new byte coming in."""
MAX_DOWNLOADED = 256 * 1024**2
"""Bytes that an archive may have; more is taken for an attack or a mistake. Facades are 29 MB."""
SLOW_SECONDS = 30.0
SLOW_BYTES = 128 * 1024
"""A server that sends less than `SLOW_BYTES` within `SLOW_SECONDS` is given up; together with
`MAX_DOWNLOADED` this limits the time that a download can take."""
_BLOCK = 256 * 1024


class _TooMuch(Exception):  # noqa: N818  # internal; `download` says it as a DataError
    """More bytes came, or are announced, than an archive may have."""


class _TooSlow(Exception):  # noqa: N818  # internal; `download` says it as a DataMissing
    """Hardly any bytes came within `SLOW_SECONDS`."""


class _Pace:
    """How many bytes came lately, over all connections of a download."""

    def __init__(self) -> None:
        self.since, self.bytes = time.monotonic(), 0

    def count(self, received: int) -> None:
        self.bytes += received
        now = time.monotonic()
        if now - self.since < SLOW_SECONDS:
            return
        if self.bytes < SLOW_BYTES:
            raise _TooSlow
        self.since, self.bytes = now, 0


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
        DataMissing: when the server can't be reached, answers with an error, is too slow, or breaks
            off `ATTEMPTS` times in a row without sending anything new.
        DataError: when it sends more than `MAX_DOWNLOADED` bytes, which are removed.
    """
    since, reason = _unreachable.get(url, (-math.inf, ""))
    if time.monotonic() - since < RETRY_SECONDS:
        raise DataMissing(reason)
    idle, pace = 0, _Pace()
    while True:
        before = _size(part)
        try:
            if _receive(url, part, progress, pace):
                return
            reason = "the connection was dropped"
        except _TooMuch as error:
            part.unlink(missing_ok=True)
            raise DataError(
                f"{url}: the server sends more than {MAX_DOWNLOADED:,} bytes",
                hint="That can't be the set, so what came was removed.",
            ) from error
        except _TooSlow as error:
            raise DataMissing(
                f"{url}: fewer than {SLOW_BYTES:,} bytes came within {SLOW_SECONDS:g} seconds "
                f"({_kept(part)})"
            ) from error
        except urllib.error.HTTPError as error:
            raise DataMissing(f"{url}: the server answers {error.code} {error.reason}") from error
        except (OSError, HTTPException) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            reason = str(cause) or type(cause).__name__
            if before == 0 and not part.exists():
                # Nothing ever came: the machine is offline, and a stand-in shouldn't wait.
                _unreachable[url] = time.monotonic(), f"{url}: {reason}"
                raise DataMissing(f"{url}: {reason}") from error
        idle = 0 if _size(part) > before else idle + 1
        if idle >= ATTEMPTS:
            raise DataMissing(f"{url}: {reason} ({_kept(part)})")
        time.sleep(min(0.1 * 2**idle, 2.0))


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _kept(part: Path) -> str:
    return f"{_size(part):,} bytes are kept, the next attempt goes on there"


def _receive(url: str, part: Path, progress: _Progress | None, pace: _Pace) -> bool:
    """One connection. Return whether the file is complete."""
    have = _size(part)
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
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdecimal() else None
        if (total or 0) > MAX_DOWNLOADED:
            raise _TooMuch
        with part.open("ab" if resumed else "wb") as file:
            # `read` would wait until a whole block is there, however slowly it comes.
            while block := response.read1(_BLOCK):
                have += len(block)
                if have > MAX_DOWNLOADED:
                    raise _TooMuch
                file.write(block)
                if progress:
                    progress(have, total)
                pace.count(len(block))
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
