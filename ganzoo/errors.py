"""The errors a user may meet, each with a cause, a place, a next step and an exit code."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any, Protocol

_FOREIGN_BYTE = re.compile("[\udc80-\udcff]")


class ExitCode(IntEnum):
    """What the process returns to the shell; `docs/cli.md` explains each."""

    DONE = 0
    BUG = 1
    USAGE = 2
    RECIPE = 3
    PLUGIN = 4
    DATA = 5
    DIVERGED = 6
    ENVIRONMENT = 7
    INTERRUPTED = 130


def printable(text: str) -> str:
    """Return text that can be written to every file and terminal of UTF-8.

    A byte of a file name that isn't UTF-8, which Python keeps as a lone surrogate, becomes `%E9`.
    All other text stays as it is.
    """
    escaped = _FOREIGN_BYTE.sub(lambda found: f"%{ord(found[0]) - 0xDC00:02X}", text)
    return escaped.encode("utf-8", "replace").decode()


def one_line(text: str, most: int = 300) -> str:
    """Return text as a message may quote it: escaped, and cut after `most` signs."""
    cut = text if len(text) <= most else text[: most - 3] + "..."
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in cut
    )


class Place(Protocol):
    """A place in the text of a recipe. As a string it is the file and the line."""

    @property
    def excerpt(self) -> str:
        """The line with carets below the place; empty if there is no line."""


class GanzooError(Exception):
    """A mistake or a condition that the user can do something about.

    File names in it may hold anything: what isn't UTF-8 is escaped here, so that logs, JSON and
    terminals can hold every error.

    Args:
        message: what is wrong, in one sentence.
        hint: what to do next; may have several lines.
        where: the file, line, column or sample name concerned; or a place in a recipe, whose line
            is then shown.
        exit_code: what the process ends with.
    """

    exit_code: ExitCode = ExitCode.BUG

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        where: str | Place = "",
        exit_code: ExitCode | None = None,
    ) -> None:
        self.message = printable(message)
        self.hint = printable(hint)
        self.where = printable(str(where))
        self.excerpt = "" if isinstance(where, str) else printable(where.excerpt)
        super().__init__(self.message)
        if exit_code is not None:
            self.exit_code = exit_code

    def __reduce__(self) -> tuple[Any, ...]:
        # Loader workers send their errors to the main process.
        arguments = (type(self), self.message, self.hint, self.where, self.exit_code)
        return _rebuild, arguments, {"excerpt": self.excerpt}

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return "\n".join(filter(None, (head, self.excerpt, self.hint)))


def _rebuild(
    kind: type[GanzooError], message: str, hint: str, where: str, exit_code: ExitCode
) -> GanzooError:
    return kind(message, hint=hint, where=where, exit_code=exit_code)


def error_text(error: BaseException, *, kind: bool = True) -> str:
    """Return any exception as one line of at most 300 characters: `ValueError: no such size`.

    Args:
        error: the exception; a `GanzooError` is its message alone.
        kind: whether the line begins with the exception's class; without it, it does so only
            where there is no message.
    """
    name = type(error).__name__
    try:
        message = printable(error.message if isinstance(error, GanzooError) else str(error))
    except Exception:  # noqa: BLE001  # a plugin's exception may fail to say what it is
        message = ""
    # Line ends and codes for the terminal become spaces.
    message = " ".join("".join(sign if sign.isprintable() else " " for sign in message).split())
    if not message:
        return name
    if kind and not isinstance(error, GanzooError):
        message = f"{name}: {message}"
    return one_line(message)


class UsageError(GanzooError):
    """A command line that ganzoo can't carry out."""

    exit_code = ExitCode.USAGE


class RecipeError(GanzooError):
    """A recipe that can't be run."""

    exit_code = ExitCode.RECIPE


class PluginError(GanzooError):
    """A plugin that is missing or broken."""

    exit_code = ExitCode.PLUGIN


class DataError(GanzooError):
    """Data that are broken, of the wrong size, or don't fit the task."""

    exit_code = ExitCode.DATA


class DataMissing(DataError):  # noqa: N818  # what is wrong, which no suffix tells better
    """Data that aren't there; the only error that a recipe's `data.fallback` answers."""


class DivergedError(GanzooError):
    """Training that produced a value which is not finite."""

    exit_code = ExitCode.DIVERGED


class EnvironmentFault(GanzooError):  # noqa: N818  # EnvironmentError is OSError
    """A machine that can't do what was asked: device, precision, missing extra, full disk."""

    exit_code = ExitCode.ENVIRONMENT
