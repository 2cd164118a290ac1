"""What a part of the GPU check says: rows, and the table and the document made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["passed", "failed", "not possible"]


class NotPossibleError(Exception):
    """This machine has not what a row asks for; the message says what."""


@dataclass(frozen=True)
class Figure:
    """What a row found.

    Args:
        text: the figure in words, with its unit.
        values: the same as plain data, for the JSON document.
        fault: why the row failed; empty where it passed.
    """

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the report.

    Args:
        part, name: what was tried.
        status: `not possible` where the machine lacks something or no time was left.
        text: the figure in words; empty where there is none.
        why: why it failed or wasn't possible.
        values: figures as plain data.
    """

    part: str
    name: str
    status: Status
    text: str = ""
    why: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The row as a line of text."""
        said = "; ".join(filter(None, (self.text, self.why)))
        return f"{self.status:12}  {self.part}: {self.name}: {said}"


def document(machine: Mapping[str, Any], rows: Iterable[Row], seconds: float) -> dict[str, Any]:
    """The JSON document."""
    return {
        "machine": dict(machine),
        "seconds": round(seconds, 1),
        "rows": [asdict(row) for row in rows],
    }


def table(machine: Mapping[str, Any], rows: Iterable[Row]) -> str:
    """The Markdown table for docs/performance.md, with the machine before it."""
    about = ", ".join(f"{key} {value}" for key, value in machine.items())
    lines = [f"`python -m tests.gpu`: {about}", "", "| part | what | result | figure |"]
    lines.append("| --- | --- | --- | --- |")
    for row in rows:
        said = "; ".join(filter(None, (row.text, row.why))).replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {row.part} | {row.name} | {row.status} | {said} |")
    return "\n".join(lines)
