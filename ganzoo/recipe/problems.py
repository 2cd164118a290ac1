"""The problems of a recipe, each shown at its place in the text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ganzoo.errors import ExitCode, RecipeError, one_line
from ganzoo.recipe.excerpt import excerpt
from ganzoo.recipe.merge import Mark

_SHOWN = 20
"""The largest number of problems of a recipe that are shown."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One problem with its place.

    Texts from the recipe are cut and escaped, so that each of them stays on one line.

    Args:
        file: the path of the recipe, or `--set`.
        line, column: counted from 1; 0 if there is no text. For `--set` the column is that in the
            argument.
        key: the key, with dots, such as `discriminator.receptive_field`.
        message: what is wrong.
        hint: the nearest legal name, or what the user can do.
        source_line: the line with the problem. If it is long, only the part around the column is
            shown.
        width: the number of characters to underline.
        exit_code: 3, or 4 if a plugin is missing or broken.
        rank: the position of the file in the list of all problems.
    """

    file: str
    line: int = 0
    column: int = 0
    key: str = ""
    message: str
    hint: str = ""
    source_line: str = ""
    width: int = 1
    exit_code: ExitCode = ExitCode.RECIPE
    rank: int = 0

    def __post_init__(self) -> None:
        for name, most in (("key", 100), ("message", 300)):
            object.__setattr__(self, name, one_line(getattr(self, name), most))
        hints = [one_line(line) for line in self.hint.splitlines()[:5]]
        object.__setattr__(self, "hint", "\n".join(hints))

    def repeats(self, other: Problem) -> bool:
        """Return whether another problem says the same of the same place in a text."""
        mine, its = ((one.rank, one.line, one.column, one.message) for one in (self, other))
        return self.line > 0 and mine == its

    def as_json(self) -> dict[str, Any]:
        """Return the problem as `--json` prints it; programs can rely on this form."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "key": self.key,
            "message": self.message,
            "hint": self.hint,
            "exit_code": int(self.exit_code),
        }

    def __str__(self) -> str:
        if not self.source_line:
            head = ": ".join(filter(None, (self.file, self.key, self.message)))
            return "\n      ".join([head, *self.hint.splitlines()])
        number, head = self.line, f"{self.file}:{self.line}:{self.column}: {self.key}"
        if self.file == "--set":
            number, head = 0, f"--set: {self.key}"
        line, carets = excerpt(self.source_line, number, self.column, self.width)
        blank = carets.replace("^", " ")
        rows = [head, line, f"{carets} {self.message}"]
        rows += [f"{blank} {hint}" for hint in self.hint.splitlines()]
        return "\n".join(rows)


class RecipeProblems(RecipeError):  # noqa: N818  # `--json` uses this name
    """All problems of a recipe, in the order of its files, lines and columns."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(
            sorted(problems, key=lambda one: (one.rank, one.line, one.column, one.key))
        )
        codes = {problem.exit_code for problem in self.problems}
        count = len(self.problems)
        super().__init__(
            f"the recipe has {count} problem{'s' if count > 1 else ''}",
            exit_code=ExitCode.PLUGIN if codes == {ExitCode.PLUGIN} else ExitCode.RECIPE,
        )

    def __str__(self) -> str:
        rows = [str(problem) for problem in self.problems[:_SHOWN]]
        if (more := len(self.problems) - _SHOWN) > 0:
            rows.append(f"... and {more:,} more")
        return "\n".join(rows)


def at(
    mark: Mark,
    key: str,
    message: str,
    hint: str = "",
    *,
    on_key: bool = False,
    exit_code: ExitCode = ExitCode.RECIPE,
) -> Problem:
    """Return a problem at the place of a mark: at its value, or with `on_key` at its key."""
    source, span = mark.source, mark.span
    if span is None:
        line = column = 0
        text, width = "", 1
    else:
        line, column, width = (
            (span.key_line, span.key_column, span.key_width)
            if on_key
            else (span.line, span.column, span.width)
        )
        text = source.line(line)
    return Problem(
        file=source.name,
        line=line,
        column=column,
        key=key,
        message=message,
        hint=hint,
        source_line=text,
        width=width,
        exit_code=exit_code,
        rank=source.rank,
    )
