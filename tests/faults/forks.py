"""Children of a process that has torch already: one begins in milliseconds, and may be killed."""

from __future__ import annotations

import faulthandler
import functools
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from conftest import TINY


@functools.cache
def warm() -> None:
    """Import here, once, what every child would import for itself when it trains."""
    from ganzoo.engine.run import run
    from ganzoo.observers import Voice
    from ganzoo.recipe import loads

    with tempfile.TemporaryDirectory() as folder:
        voice = Voice(quiet=True)
        run(loads(TINY), out=Path(folder) / "run", voice=voice, observers=[])


class Child:
    """A forked process.

    Args:
        work: what it does; its answer is the exit code, and 99 that it raised.
        said: the file that gets its stdout and stderr; None: they stay.
    """

    def __init__(self, work: Callable[[], int | None], said: Path | None = None) -> None:
        self.said = said
        self.code: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._be(work)

    def _be(self, work: Callable[[], int | None]) -> None:
        code = 99
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if self.said is not None:
                file = os.open(self.said, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
                to(file)
            faulthandler.enable(2)
            code = work() or 0
        except BaseException:  # noqa: BLE001  # nothing may reach the parent's code
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            os._exit(code)

    def send(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def ended(self) -> bool:
        """Whether it is over."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def wait(self, seconds: float = 60) -> int:
        """Its exit code, or minus the signal that ended it."""
        self.until(lambda: False, seconds, to_end=True)
        assert self.code is not None
        return self.code

    def text(self) -> str:
        """What it said so far."""
        assert self.said is not None
        return self.said.read_text("utf-8", "replace") if self.said.exists() else ""

    def until(
        self, happened: Callable[[], object], seconds: float = 60, *, to_end: bool = False
    ) -> None:
        """Wait for something that it does; one that lasts longer says where it is, and is ended."""
        end = time.monotonic() + seconds
        while not happened():
            if self.ended():
                if to_end:
                    return
                message = f"it ended before that, with {self.code}: {self.said and self.text()}"
                raise AssertionError(message)
            if time.monotonic() > end:
                self.send(signal.SIGABRT)  # at which faulthandler prints every thread's stack
                os.waitpid(self.pid, 0)
                message = f"it lasted longer than {seconds} s: {self.said and self.text()}"
                raise TimeoutError(message)
            time.sleep(0.01)


def to(descriptor: int) -> None:
    """Let stdout and stderr of this process be a descriptor, as its shell would."""
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(  # noqa: SIM115
        2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1
    )
