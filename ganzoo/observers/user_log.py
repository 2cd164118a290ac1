"""Sentences for the user: to stderr, and to the run's log.txt."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console
from rich.text import Text


class Voice:
    """Says things once, on the main process only.

    Args:
        quiet: say nothing (other ranks, and tests).
        console: where to; stderr by default.
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self.quiet = quiet
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._log: Path | None = None
        self._waiting: list[str] = []

    def log_to(self, path: Path) -> None:
        """Also write everything said, before and from now on, to a file."""
        if self.quiet:
            return
        self._log = path
        for line in self._waiting:
            self._write(line)
        self._waiting.clear()

    def say(self, text: str) -> None:
        """An ordinary sentence."""
        self._speak(text, "")

    def warn(self, text: str) -> None:
        """Something that the user should not overlook."""
        self._speak(text, "yellow")

    def note(self, text: str) -> None:
        """Into the log alone: something that is said on the console elsewhere."""
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
        except OSError as error:  # said once; no reason to end a training
            self._log, path = Path(os.devnull), self._log
            self.warn(f"{path} can't be written any more: {error.strerror}")
