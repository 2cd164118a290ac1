"""stdout and stderr that outlive their readers, and print as escapes what their encoding lacks."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from ganzoo.errors import EnvironmentFault


class _Lasting(io.FileIO):
    """A descriptor in whose place the null device comes when it can't be written to any more.

    So a log's reader that is gone, or a terminal that was closed, is no error for whoever prints:
    a training goes on, whether ganzoo, a plugin or a library in C speaks.
    """

    lost: OSError | None = None
    """Why something could not be written; None also where only its reader has left."""

    def write(self, data: Any, /) -> int:
        """Write, or pretend to."""
        try:
            return super().write(data)
        except OSError as error:
            if not self._has_left(error):
                self.lost = self.lost or error
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            return len(data)

    def _has_left(self, error: OSError) -> bool:
        """Whether a pipe's reader has seen enough, or a terminal was closed."""
        closed = error.errno == errno.EIO and stat.S_ISCHR(os.fstat(self.fileno()).st_mode)
        return closed or error.errno == errno.EPIPE


class Lasting(io.TextIOWrapper):
    """Text to a descriptor; see `lost` for what became of it.

    Args:
        descriptor: where to; closed with this only if `owned`.
        like: the stream whose encoding and manners it takes over.
    """

    def __init__(self, descriptor: int, like: TextIO, *, owned: bool = False) -> None:
        self._raw = _Lasting(descriptor, "w", closefd=owned)
        errors = like.errors or "strict"
        super().__init__(
            io.BufferedWriter(self._raw),
            encoding=like.encoding,
            # A name that the encoding lacks is better than none, and than no list of the others.
            errors="backslashreplace" if errors in {"strict", "surrogateescape"} else errors,
            line_buffering=getattr(like, "line_buffering", False),
            write_through=getattr(like, "write_through", False),
        )

    def check(self) -> None:
        """Say that what was written didn't arrive.

        Raises:
            EnvironmentFault: with the cause; not where its reader has left.
        """
        self.flush()
        lost = self._raw.lost
        if lost is None:
            return
        if lost.errno == errno.ENOSPC:
            raise EnvironmentFault("no space is left for what is written")
        raise EnvironmentFault(f"the output can't be written: {lost.strerror}")


@contextmanager
def lasting_streams() -> Iterator[None]:
    """For the while, let stdout and stderr outlive their readers.

    Descriptors that were closed become the null device: else a file that is opened later would get
    their numbers, and what libraries print.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    before = sys.stdout, sys.stderr
    out, err = (_lasting(stream, number) for number, stream in enumerate(before, start=1))
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        for stream in (out, err):
            with suppress(OSError, ValueError):  # somebody else's, such as a test's
                stream.flush()
        sys.stdout, sys.stderr = before


def check_stdout() -> None:
    """Say that a result didn't arrive.

    Raises:
        EnvironmentFault: with the cause; not where its reader has left.
    """
    if isinstance(sys.stdout, Lasting):
        sys.stdout.check()


def _lasting(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is None:  # it was closed when Python began
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  # until the end
    if not _is_plain(stream, descriptor):
        return stream
    with suppress(OSError):
        stream.flush()
    return Lasting(descriptor, stream)


def _is_plain(stream: TextIO, descriptor: int) -> bool:
    """Whether a stream is Python's own on a descriptor, and no test's or Windows' console."""
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    return isinstance(raw, io.FileIO) and not raw.closed and raw.fileno() == descriptor
