"""The output of the command line: JSON documents, tables and error messages."""

from __future__ import annotations

import codecs
import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import click

from ganzoo.errors import ExitCode, GanzooError, error_text, one_line
from ganzoo.files import to_json
from ganzoo.plugin_system.blame import culprit, place_of
from ganzoo.process.streams import Lasting


class _Notes(logging.StreamHandler[Any]):
    """A log handler that shows the log records of ganzoo and of its plugins on stderr.

    Log records of other libraries are left out.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return record.name.startswith("ganzoo")

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


def show_notes() -> None:
    """Show log records of level INFO and above, such as "training a small net, once"."""
    root = logging.getLogger()
    if not any(isinstance(handler, _Notes) for handler in root.handlers):
        root.addHandler(_Notes())
        root.setLevel(logging.INFO)


_results: TextIO | None = None


@contextlib.contextmanager
def results_apart() -> Iterator[None]:
    """Reserve stdout for `print_json` while the context is open.

    The output of plugins, and of their processes and libraries, goes to stderr.
    """
    global _results  # noqa: PLW0603  # one command a process
    with _stdout_for_results() as _results, contextlib.redirect_stdout(sys.stderr):
        try:
            yield
        finally:
            _results = None


@contextlib.contextmanager
def _stdout_for_results() -> Iterator[TextIO]:
    """Yield a private stream to stdout; until it is closed, file descriptor 1 leads to stderr."""
    shared = sys.stdout
    try:
        real = (shared.fileno(), sys.stderr.fileno()) == (1, 2)
    except (AttributeError, OSError, ValueError):  # a test replaced a stream, or it is closed
        real = False
    if not real:
        yield shared
        return
    shared.flush()
    with Lasting(os.dup(1), shared, owned=True) as own:
        os.dup2(2, 1)
        try:
            yield own
            own.check()
        finally:
            own.flush()
            os.dup2(own.fileno(), 1)


def print_json(document: Any) -> None:
    """Print the document of `--json` on stdout.

    Where stdout isn't UTF-8, characters outside of ASCII are written as JSON escapes.
    """
    encoding = getattr(_results or sys.stdout, "encoding", None) or "utf-8"
    ascii_only = codecs.lookup(encoding).name != "utf-8"
    click.echo(to_json(document, indent=2, ascii_only=ascii_only), file=_results)


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print rows on stdout, with each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def error_document(error: GanzooError) -> dict[str, Any]:
    """Return an error as the document that `--json` prints."""
    from ganzoo.recipe.problems import RecipeProblems

    if isinstance(error, RecipeProblems):
        return {"problems": [problem.as_json() for problem in error.problems]}
    return {
        "error": {
            "message": error.message,
            "hint": error.hint,
            "where": error.where,
            "excerpt": error.excerpt,
            "exit_code": int(error.exit_code),
        }
    }


def report_error(error: GanzooError, *, as_json: bool = False, debug: bool = False) -> None:
    """Print an error on stderr: where it is, what is wrong, and what the user can do."""
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True)
    click.echo(f"{_error()}: {_explained(error)}", err=True)
    if as_json:
        print_json(error_document(error))


_MOST = 1000
"""The largest number of characters that are shown of each part of an error message. The text that a
message quotes may have any length."""


def _error() -> str:
    """Return the word "error", in red unless NO_COLOR is set (https://no-color.org)."""
    return "error" if os.environ.get("NO_COLOR") else click.style("error", fg="red", bold=True)


def _explained(error: GanzooError) -> str:
    from ganzoo.recipe.problems import RecipeProblems

    if isinstance(error, RecipeProblems):
        return "\n".join(filter(None, (error.message, str(error), error.hint)))
    # File names may contain line breaks and terminal escape sequences.
    head = ": ".join(one_line(part, _MOST) for part in (error.where, error.message) if part)
    head = "\n".join(filter(None, (head, error.excerpt)))
    return head + "".join(f"\n  {one_line(line, _MOST)}" for line in error.hint.splitlines())


def report_usage(error: click.ClickException, *, as_json: bool = False) -> None:
    """Print the message of click about an invalid command line."""
    error.show()
    if as_json:
        shown = GanzooError(error.format_message(), exit_code=ExitCode(error.exit_code))
        print_json(error_document(shown))


def report_bug(error: Exception, *, as_json: bool = False) -> None:
    """Print an unexpected error with its traceback, and the plugin or package that caused it."""
    sys.stderr.write("".join(traceback.format_exception(error)))
    message = f"this is a bug in {culprit(error) or 'ganzoo'}: {error_text(error)}"
    hint = "please report it with the traceback above and the command"
    click.echo(f"{_error()}: {message}\n  {hint}", err=True)
    if as_json:
        print_json(error_document(GanzooError(message, hint=hint)))


def report_interrupt(error: BaseException) -> None:
    """Print that Ctrl-C ended the command, and where, if it interrupted the code of a plugin."""
    told = str(error) or (f"in {place_of(error)}" if culprit(error) else "")
    click.echo(f"interrupted {told}".rstrip(), err=True)
