"""The results of checks that are made without pytest, and what they add up to."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
import traceback
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ganzoo.errors import GanzooError, error_text
from ganzoo.testing.cases import Case
from ganzoo.testing.kit import CheckFailed, NotApplicable, NotTested, Unusable

FRAMES = 3
"""The number of calls inside the plugin, the last ones of a traceback, that are shown."""

Outcome = Literal["passed", "failed", "advice", "expected", "skipped", "not tested"]
"""What became of a check: `advice` is the failure of an advisory check, `expected` a failure that
was announced; `skipped` does not concern the component; `not tested` concerns it, and could not be
made."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
RUN: tuple[Outcome, ...] = ("passed", "failed", "advice")
"""The outcomes of checks that were made, apart from those that are expected to fail."""


@dataclass(frozen=True)
class Verdict:
    """The result of a case."""

    case: Case
    outcome: Outcome
    message: str
    seconds: float


def judge(case: Case, before: Sequence[Verdict], *, expected: Collection[str]) -> Verdict:
    """Run one check in a temporary folder; its output goes to stderr.

    Args:
        case: the check of a component.
        before: the results so far. One cause gives one failure: what fails for the reason of one of
            these is not tested.
        expected: names of checks that are expected to fail, as in `Case.names`; if it is one of
            them, it has to. The name of every component's check is also that of a check that does
            not apply to some of them.
    """
    excused = not case.names.isdisjoint(expected)
    began = time.perf_counter()
    outcome, message = _made(case)
    if excused and outcome in {"failed", "advice"}:
        outcome = "expected"
    elif outcome == "skipped" and case.id in expected:
        outcome, message = "failed", f"it does not apply ({message}): expect that no longer"
    elif excused and outcome == "passed":
        outcome, message = "failed", "it passes, and is expected to fail: expect that no longer"
    elif outcome == "failed":
        failed = (one for one in before if one.outcome == "failed" and one.case.of == case.of)
        if first := next((one for one in failed if one.message == message), None):
            outcome, message = "not tested", f"{first.case.check.name} fails for the same reason"
    return Verdict(case, outcome, message, time.perf_counter() - began)


def _made(case: Case) -> tuple[Outcome, str]:
    """Make the check; what became of it, whatever is expected, and why."""
    outcome: Outcome = "passed"
    message = ""
    try:
        with (
            tempfile.TemporaryDirectory(prefix="ganzoo-") as folder,
            contextlib.redirect_stdout(sys.stderr),
        ):
            case(Path(folder))
    except NotApplicable as reason:
        outcome, message = "skipped", str(reason)
    except NotTested as reason:
        outcome, message = "not tested", str(reason)
    except Unusable as reason:
        outcome, message = "not tested", reason.pointer
    except CheckFailed as fault:
        outcome, message = ("advice" if case.check.advisory else "failed"), str(fault)
    except GanzooError as fault:
        outcome, message = "failed", str(fault)
    except Exception as error:  # noqa: BLE001  # a plugin's code may raise anything
        outcome, message = "failed", _explained(error, case)
    return outcome, message


def _explained(error: Exception, case: Case) -> str:
    """Return an exception as text, with the last calls inside the plugin that led to it."""
    package = case.record.module.partition(":")[0].partition(".")[0]
    calls = traceback.extract_tb(error.__traceback__)
    own = [
        call
        for call, (frame, _) in zip(calls, traceback.walk_tb(error.__traceback__), strict=True)
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == package
    ]
    lines = [
        f"  {call.filename}:{call.lineno} in {call.name}: {call.line}"
        for call in own[-FRAMES:] or calls[-1:]
    ]
    notes = getattr(error, "__notes__", [])
    return "\n".join([error_text(error), *notes, *lines])


def counts(verdicts: Iterable[Verdict]) -> dict[Outcome, int]:
    """Return the number of checks for each outcome, zeros included."""
    found = dict.fromkeys(OUTCOMES, 0)
    for one in verdicts:
        found[one.outcome] += 1
    return found


def untried(verdicts: Iterable[Verdict]) -> list[str]:
    """Return the components for which no check of what they do could be made."""
    tried: dict[str, bool] = {}
    for one in verdicts:
        if one.case.check.of_one_kind:
            made = one.outcome not in {"skipped", "not tested"}
            tried[one.case.of] = tried.get(one.case.of, False) or made
    return [of for of, was in tried.items() if not was]
