"""How errors and tables look."""

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
    """Shows on stderr what ganzoo and plugins log from INFO up; libraries keep their manners."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.name.startswith("ganzoo")

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


def show_notes() -> None:
    """Let the log's notes, such as "training a small net, once", reach the user."""
    root = logging.getLogger()
    if not any(isinstance(handler, _Notes) for handler in root.handlers):
        root.addHandler(_Notes())
        root.setLevel(logging.INFO)


_results: TextIO | None = None


@contextlib.contextmanager
def results_apart() -> Iterator[None]:
    """While it lasts only `print_json` reaches stdout.

    What plugins print goes to stderr, and so does what their processes and libraries print.
    """
    global _results  # noqa: PLW0603  # one command a process
    with _stdout_for_results() as _results, contextlib.redirect_stdout(sys.stderr):
        try:
            yield
        finally:
            _results = None


@contextlib.contextmanager
def _stdout_for_results() -> Iterator[TextIO]:
    """A way to stdout that nobody else has: descriptor 1 is stderr's for the while."""
    shared = sys.stdout
    try:
        real = (shared.fileno(), sys.stderr.fileno()) == (1, 2)
    except (AttributeError, OSError, ValueError):  # a test's, or closed
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
    """The one document of `--json`, on stdout; with JSON's own escapes where it isn't UTF-8."""
    encoding = getattr(_results or sys.stdout, "encoding", None) or "utf-8"
    ascii_only = codecs.lookup(encoding).name != "utf-8"
    click.echo(to_json(document, indent=2, ascii_only=ascii_only), file=_results)


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Rows on stdout, with columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def error_document(error: GanzooError) -> dict[str, Any]:
    """An error for `--json`."""
    from ganzoo.recipe.problems import RecipeProblems

    if isinstance(error, RecipeProblems):
        return {"problems": [problem.as_json() for problem in error.problems]}
    return {
        "error": {
            "message": error.message,
            "hint": error.hint,
            "where": error.where,
            "exit_code": int(error.exit_code),
        }
    }


def report_error(error: GanzooError, *, as_json: bool = False, debug: bool = False) -> None:
    """Explain an error on stderr: where, what and what to do next."""
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True)
    click.echo(f"{_error()}: {_explained(error)}", err=True)
    if as_json:
        print_json(error_document(error))


_MOST = 1000
"""Signs of an error's message that are shown: what is quoted in it may have any length."""


def _error() -> str:
    """The word that errors begin with; red, except where https://no-color.org is asked for."""
    return "error" if os.environ.get("NO_COLOR") else click.style("error", fg="red", bold=True)


def _explained(error: GanzooError) -> str:
    from ganzoo.recipe.problems import RecipeProblems

    if isinstance(error, RecipeProblems):
        return "\n".join(filter(None, (error.message, str(error), error.hint)))
    # Names of files may have line ends and codes for the terminal in them.
    head = ": ".join(one_line(part, _MOST) for part in (error.where, error.message) if part)
    return head + "".join(f"\n  {one_line(line, _MOST)}" for line in error.hint.splitlines())


def report_usage(error: click.ClickException, *, as_json: bool = False) -> None:
    """What click says of a command line that can't be meant."""
    error.show()
    if as_json:
        message = error.format_message()
        document = {"message": message, "hint": "", "where": "", "exit_code": error.exit_code}
        print_json({"error": document})


def report_bug(error: Exception, *, as_json: bool = False) -> None:
    """An error that nobody foresaw, with its traceback and its owner."""
    sys.stderr.write("".join(traceback.format_exception(error)))
    message = f"this is a bug in {culprit(error) or 'ganzoo'}: {error_text(error)}"
    hint = "please report it with the traceback above and the command"
    click.echo(f"{_error()}: {message}\n  {hint}", err=True)
    if as_json:
        document = {"message": message, "hint": hint, "where": "", "exit_code": int(ExitCode.BUG)}
        print_json({"error": document})


def report_interrupt(error: BaseException) -> None:
    """Say that Ctrl-C ended the command, and what it ended where that was a plugin."""
    told = str(error) or (f"in {place_of(error)}" if culprit(error) else "")
    click.echo(f"interrupted {told}".rstrip(), err=True)
