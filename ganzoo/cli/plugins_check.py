"""`ganzoo plugins check`: check a plugin against the contract.

The command runs the conformance kit without pytest.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ganzoo.cli.console import print_json
from ganzoo.errors import ExitCode, GanzooError, UsageError, error_text
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.plugin_system.registry import Registry, current
from ganzoo.plugin_system.suggestions import did_you_mean

if TYPE_CHECKING:
    from ganzoo.testing import Case

FRAMES = 3
"""The number of calls inside the plugin, the last ones of a traceback, that are shown."""

Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Verdict:
    """The result of a case."""

    case: Case
    outcome: Outcome
    message: str
    seconds: float


@click.command("check")
@click.argument("name")
@click.option(
    "--only",
    "wanted",
    metavar="CHECK|ID",
    multiple=True,
    help="Run only this check, or check only this component.",
)
@click.option(
    "--set",
    "settings",
    metavar="ID.KEY=VALUE",
    multiple=True,
    help="Check a component with this option, which overrides its preset `tiny`.",
)
@click.option("--fast", is_flag=True, help="Leave out checks that start other processes.")
@click.option("-v", "--verbose", is_flag=True, help="Also list the checks that passed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    name: str,
    wanted: tuple[str, ...],
    settings: tuple[str, ...],
    fast: bool,  # noqa: FBT001  # click passes by name
    verbose: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Check the plugin NAME, and each of its components, against the contract.

    NAME is the plugin's namespace. Every component is built with its preset `tiny`, or its
    defaults, and tried on the CPU. Exits 4 if a check fails.
    """
    from ganzoo.testing import cases

    registry = current()
    found = list(cases(name, registry, _settings(settings, registry)))
    _refuse_illegal_settings(found)
    chosen = [case for case in _only(found, wanted) if not (fast and case.check.slow)]
    if not chosen:
        raise UsageError("nothing is left to check", hint="leave out --fast, or an --only")
    record = chosen[0].record
    began = time.perf_counter()
    origin = f"{record.distribution} {record.version}".strip()
    click.echo(f"{record.namespace} ({origin}): {len(chosen)} checks", err=True)
    verdicts: list[Verdict] = []
    with _one_thread():
        for case in chosen:
            verdict = _judge(case)
            if not as_json and (verbose or verdict.outcome == "failed"):
                _show(verdict, verdicts)
            verdicts.append(verdict)
    seconds = time.perf_counter() - began
    counts = {
        outcome: sum(one.outcome == outcome for one in verdicts)
        for outcome in ("passed", "failed", "skipped")
    }
    if as_json:
        print_json(
            {
                "plugin": record.namespace,
                "distribution": record.distribution,
                "version": record.version,
                "checks": [_row(one) for one in verdicts],
                **counts,
                "seconds": round(seconds, 3),
            }
        )
    else:
        if not verbose:
            _show_skipped(verdicts)
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        click.echo(f"{told} in {seconds:.1f} s")
    if counts["failed"]:
        raise click.exceptions.Exit(int(ExitCode.PLUGIN))


def _row(verdict: Verdict) -> dict[str, Any]:
    case = verdict.case
    return {
        "check": case.check.name,
        "kind": case.entry.component.kind if case.entry else "plugin",
        "id": case.entry.id if case.entry else case.record.namespace,
        "outcome": verdict.outcome,
        "message": verdict.message,
        "seconds": round(verdict.seconds, 3),
    }


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread, since networks of this size are slower with several."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _judge(case: Case) -> Verdict:
    """Run one check in a temporary folder; its output goes to stderr."""
    from ganzoo.testing import CheckFailed, NotApplicable

    outcome: Outcome = "passed"
    message = ""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ganzoo-") as folder:
        try:
            with contextlib.redirect_stdout(sys.stderr):
                case(Path(folder))
        except NotApplicable as reason:
            outcome, message = "skipped", str(reason)
        except (CheckFailed, GanzooError) as fault:
            outcome, message = "failed", str(fault)
        except Exception as error:  # noqa: BLE001  # a plugin's code may raise anything
            outcome, message = "failed", _explained(error, case)
    return Verdict(case, outcome, message, time.perf_counter() - began)


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


def _show(verdict: Verdict, before: Sequence[Verdict]) -> None:
    """Print the result of a case, without a reason that its component was already given for."""
    colour = {"passed": "green", "failed": "red", "skipped": "yellow"}[verdict.outcome]
    case = verdict.case
    click.echo(f"{click.style(verdict.outcome, fg=colour)}  {case.check.name}  {case.of}")
    if verdict.outcome == "failed":
        click.echo(f"        {case.check.summary}:")
        if any((one.case.of, one.message) == (case.of, verdict.message) for one in before):
            click.echo("        for the same reason as above")
            return
    for line in verdict.message.splitlines():
        click.echo(f"        {line}")


def _show_skipped(verdicts: Sequence[Verdict]) -> None:
    """Print the skipped checks, with each reason and the number of components that it is for."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in verdicts:
        if one.outcome == "skipped":
            groups.setdefault((one.case.check.name, one.message), []).append(one.case.of)
    for (name, reason), subjects in groups.items():
        of = subjects[0] if len(subjects) == 1 else f"{len(subjects)} components"
        click.echo(f"{click.style('skipped', fg='yellow')}  {name}  {of}: {reason}")


def _only(found: Sequence[Case], wanted: Sequence[str]) -> list[Case]:
    """Return the cases of the named checks and components.

    Without a named check all checks remain, and without a named component all components.

    Raises:
        UsageError: a name is neither a check nor a component.
    """
    names = {case.check.name for case in found}
    subjects = {_subject(case) for case in found}
    for one in wanted:
        if one not in names | subjects:
            raise UsageError(
                f"--only {one}: neither a check nor a component of this plugin",
                hint=did_you_mean(one, names | subjects)
                or f"components: {', '.join(sorted(subjects))}",
            )
    return [
        case
        for case in found
        if (case.check.name in wanted or not names & set(wanted))
        and (_subject(case) in wanted or not subjects & set(wanted))
    ]


def _subject(case: Case) -> str:
    return case.entry.id if case.entry else case.record.namespace


def _refuse_illegal_settings(found: Sequence[Case]) -> None:
    """Check that the components accept the options of `--set`, which are no fault of the plugin.

    Raises:
        ChoiceError: a component refuses them.
    """
    from ganzoo.testing import Subject

    seen: set[str] = set()
    for case in found:
        if case.entry is None or case.of in seen or case.entry.id not in case.settings:
            continue
        seen.add(case.of)
        try:
            Subject(case.registry, case.record, case.entry, Path(), case.settings).choose()
        except ChoiceError as error:
            error.where = f"--set {case.entry.id}"
            raise


def _settings(arguments: Iterable[str], registry: Registry) -> dict[str, dict[str, Any]]:
    """Return the options of `--set` by component id.

    A value is read as TOML; a value that isn't valid TOML is taken as text.

    Raises:
        UsageError: an argument isn't like `ID.KEY=VALUE`, or no component has that id.
    """
    ids = {entry.id for entry in registry.components()}
    settings: dict[str, dict[str, Any]] = {}
    for argument in arguments:
        left, sign, text = argument.partition("=")
        name = max((one for one in ids if left.startswith(f"{one}.")), key=len, default="")
        key = left[len(name) + 1 :].strip()
        if not (sign and name and key):
            raise UsageError(
                f"--set {argument}: it must have the form ID.KEY=VALUE, with the id of a component",
                hint=did_you_mean(left.rpartition(".")[0], ids)
                or "for example --set foo/generator.width=8",
            )
        try:
            value = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        *tables, last = key.split(".")
        table = settings.setdefault(name, {})
        for part in tables:
            table = table.setdefault(part, {})
        table[last] = value
    return settings
