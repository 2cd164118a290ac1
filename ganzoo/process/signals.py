"""The handling of signals that ask a program to end.

After the first one the program ends at the end of a step; a second one ends it at once.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ganzoo.errors import ExitCode

HEEDED = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU")
    if hasattr(signal, name)  # Windows has only the first two
)
"""The signals that terminals, users and schedulers send to a program that should end soon."""

INSISTENT = (signal.SIGINT, signal.SIGTERM)
"""The signals whose second one ends the process at once. Schedulers repeat the other signals, or
send them before one of these."""

TOGETHER = 0.5
"""Signals that arrive within this many seconds count as one. `timeout` and some schedulers send
their signal twice: to the process and to its group."""

PATIENCE = 5.0
"""The time in seconds that a step may take after the first signal. After that time, the user is
shown what the process is doing."""


class StopFlag:
    """A flag that the first signal sets; training then finishes its step and saves."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


class Insistence:
    """A detector of the second SIGINT or SIGTERM; signals within `TOGETHER` count as one."""

    def __init__(self) -> None:
        self._first: float | None = None

    def heard(self, number: int) -> bool:
        """Record a signal that arrived now, and return whether ganzoo must end at once."""
        if number not in INSISTENT:
            return False
        if self._first is None:
            self._first = time.monotonic()
            return False
        return time.monotonic() - self._first >= TOGETHER


@contextmanager
def stop_on_signals(say: Callable[[str], None], where: Callable[[], str]) -> Iterator[StopFlag]:
    """Turn the signals of `HEEDED` into a flag.

    A second SIGINT or SIGTERM ends the process at once, with exit code 130.

    A thread receives the signals. So they also work while the main thread runs the code of a
    library or waits for data that never arrive. An ignored SIGHUP stays ignored, as `nohup` needs.

    Args:
        say: a function that shows a sentence to the user.
        where: a function that returns what the main thread is doing, in words. It is used if a step
            doesn't end soon.
    """
    flag = StopFlag()

    def handle(number: int, _frame: object) -> None:
        flag.signal = flag.signal or number

    heard, told = os.pipe()
    os.set_blocking(told, False)
    watcher = threading.Thread(target=_watch, args=(heard, say, where), daemon=True)
    watcher.start()
    with handled(handle):
        wakeup = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        try:
            yield flag
        finally:
            signal.set_wakeup_fd(wakeup)
            os.write(told, b"\0")  # no signal has the number 0, which ends the thread
            watcher.join(PATIENCE)
            os.close(told)


@contextmanager
def handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Set a handler for the signals of `HEEDED` while the context is open.

    An ignored SIGHUP stays ignored.
    """
    before: Mapping[int, Any] = {number: signal.getsignal(number) for number in HEEDED}
    hangup = getattr(signal, "SIGHUP", None)
    mine = [n for n in HEEDED if n != hangup or before[n] is not signal.SIG_IGN]
    for number in mine:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, before[number])


def _watch(heard: int, say: Callable[[str], None], where: Callable[[], str]) -> None:
    """Receive signals from a pipe until a 0 arrives.

    Python's C handler of a signal writes the signal's number to the pipe.
    """
    insistence, asked = Insistence(), False
    patience: float | None = None
    while True:
        if not select.select([heard], [], [], patience)[0]:
            patience = None
            say(f"still in {where()}; press Ctrl-C again to exit now, without a checkpoint")
            continue
        for number in os.read(heard, 64):
            if number == 0:
                os.close(heard)
                return
            if number not in HEEDED:  # a signal that another handler is for
                continue
            if insistence.heard(number):
                say(f"exited at once, without a checkpoint, in {where()}")
                leave(ExitCode.INTERRUPTED)
            elif not asked:
                patience, asked = PATIENCE, True
                say("stopping after this step, with a checkpoint (press Ctrl-C again to exit now)")


def leave(code: int) -> None:
    """End this process and its loader processes at once, whatever they are doing."""
    for child in multiprocessing.active_children():
        with contextlib.suppress(OSError):
            child.kill()
    os._exit(code)


def left_to_parent() -> None:
    """Ignore the signals of `HEEDED` in a loader process, since its parent handles them."""
    signal.set_wakeup_fd(-1)  # the inherited descriptor belongs to the parent
    for number in HEEDED:
        signal.signal(number, signal.SIG_IGN)
