"""Streams for stdout and stderr that cause no errors if their reader is gone.

Characters that their encoding lacks are printed as escapes.
"""

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
    """A file descriptor that is replaced by the null device when writing to it fails.

    So a training continues if the reader of its log is gone or its terminal was closed. This holds
    for the output of ganzoo, of plugins and of libraries in C.
    """

    lost: OSError | None = None
    """Why something could not be written; None also where only its reader has left."""

    def write(self, data: Any, /) -> int:
        """Write data; if that fails, replace the descriptor and return the length of the data."""
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
        """Return whether an error means that a pipe's reader is gone or a terminal was closed."""
        closed = error.errno == errno.EIO and stat.S_ISCHR(os.fstat(self.fileno()).st_mode)
        return closed or error.errno == errno.EPIPE


class Lasting(io.TextIOWrapper):
    """A text stream to a file descriptor whose write errors are reported only by `check`.

    Args:
        descriptor: the file descriptor.
        like: the stream whose encoding, error handling and buffering are adopted.
        owned: whether the descriptor is closed together with this stream.
    """

    def __init__(self, descriptor: int, like: TextIO, *, owned: bool = False) -> None:
        self._raw = _Lasting(descriptor, "w", closefd=owned)
        errors = like.errors or "strict"
        super().__init__(
            io.BufferedWriter(self._raw),
            encoding=like.encoding,
            # A name with escapes is better than an error, which would also lose other output.
            errors="backslashreplace" if errors in {"strict", "surrogateescape"} else errors,
            line_buffering=getattr(like, "line_buffering", False),
            write_through=getattr(like, "write_through", False),
        )

    def check(self) -> None:
        """Check that all output was written.

        Raises:
            EnvironmentFault: some output couldn't be written, for another reason than that its
                reader is gone.
        """
        self.flush()
        lost = self._raw.lost
        if lost is None:
            return
        if lost.errno == errno.ENOSPC:
            raise EnvironmentFault("no space is left for the output")
        raise EnvironmentFault(f"the output can't be written: {lost.strerror}")


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Replace stdout and stderr by `Lasting` streams while the context is open.

    Closed standard descriptors are opened on the null device. Otherwise a file that is opened later
    would get their numbers, and with them the output of libraries.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest free number, which is this one
    before = sys.stdout, sys.stderr
    out, err = (_lasting(stream, number) for number, stream in enumerate(before, start=1))
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        for stream in (out, err):
            with suppress(OSError, ValueError):  # the stream may be that of a test, and closed
                stream.flush()
        sys.stdout, sys.stderr = before


def check_stdout() -> None:
    """Check that the result on stdout was written.

    Raises:
        EnvironmentFault: it couldn't be written, for another reason than that its reader is gone.
    """
    if isinstance(sys.stdout, Lasting):
        sys.stdout.check()


def _lasting(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is None:  # it was closed when Python started
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  # open until the end
    if not _is_plain(stream, descriptor):
        return stream
    with suppress(OSError):
        stream.flush()
    return Lasting(descriptor, stream)


def _is_plain(stream: TextIO, descriptor: int) -> bool:
    """Return whether a stream is Python's own file stream on a descriptor.

    It may instead be the stream of a test, or the console of Windows.
    """
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    return isinstance(raw, io.FileIO) and not raw.closed and raw.fileno() == descriptor
