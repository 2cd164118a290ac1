"""Print messages for the user to stderr, and write them to the run's log.txt."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console
from rich.text import Text


class Voice:
    """Print messages for the user, on the main process only.

    Args:
        quiet: whether to print nothing (on other ranks, and in tests).
        console: where to print; by default stderr.
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self.quiet = quiet
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._log: Path | None = None
        self._waiting: list[str] = []

    def log_to(self, path: Path) -> None:
        """Also write all messages, earlier ones included, to a file."""
        if self.quiet:
            return
        self._log = path
        for line in self._waiting:
            self._write(line)
        self._waiting.clear()

    def say(self, text: str) -> None:
        """Print an ordinary message."""
        self._speak(text, "")

    def warn(self, text: str) -> None:
        """Print a warning, which the user should not overlook."""
        self._speak(text, "yellow")

    def note(self, text: str) -> None:
        """Write a message only to the log, because it is printed elsewhere."""
        if not self.quiet:
            self._write(text)

    def _speak(self, text: str, style: str) -> None:
        if self.quiet:
            return
        self.console.print(Text(text, style=style))
        self._write(text)

    def _write(self, text: str) -> None:
        if self._log is None:
            self._waiting.append(text)
            return
        try:
            with self._log.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text + "\n")
        except OSError as error:  # the user is warned once, and the training continues
            self._log, path = Path(os.devnull), self._log
            self.warn(f"{path} can't be written any more: {error.strerror}")
