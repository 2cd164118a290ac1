"""`ganzoo plugins check`: check a plugin against the contract.

The command runs the conformance kit without pytest.
"""

from __future__ import annotations

import contextlib
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo.cli.console import print_json
from ganzoo.errors import ExitCode, UsageError
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.plugin_system.registry import Registry, current
from ganzoo.plugin_system.suggestions import did_you_mean

if TYPE_CHECKING:
    from ganzoo.testing import Case
    from ganzoo.testing.verdicts import Outcome, Verdict

NOT_TESTED = 1
"""The exit code where no check fails, and one that concerns a component could not be made."""
COLOURS: dict[Outcome, str] = {
    "passed": "green",
    "failed": "red",
    "advice": "yellow",
    "expected": "yellow",
    "skipped": "yellow",
    "not tested": "red",
}


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
@click.option(
    "--expect",
    "expected",
    metavar="CHECK[:KIND ID]",
    multiple=True,
    help="Expect this check to fail; it is an error if it passes.",
)
@click.option("--fast", is_flag=True, help="Leave out checks that start other processes.")
@click.option("-v", "--verbose", is_flag=True, help="Also list the checks that passed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    name: str,
    wanted: tuple[str, ...],
    settings: tuple[str, ...],
    expected: tuple[str, ...],
    fast: bool,  # noqa: FBT001  # click passes by name
    verbose: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Check the plugin NAME, and each of its components, against the contract.

    NAME is the plugin's namespace. Every component is built with its preset `tiny`, or its
    defaults, and tried on the CPU. Exits 4 if a check fails, and 1 if none fails and one could not
    be made. Advisory checks judge quality, and don't fail.
    """
    from ganzoo.testing.cases import cases, refuse_unknown
    from ganzoo.testing.verdicts import counts, judge, untried

    registry = current()
    found = list(cases(name, registry, _settings(settings, registry)))
    _refuse_illegal_settings(found)
    refuse_unknown(expected, found, "--expect")
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
            verdict = judge(case, verdicts, expected=expected)
            if not as_json and (verbose or verdict.outcome in {"failed", "advice"}):
                _show(verdict)
            verdicts.append(verdict)
    seconds = time.perf_counter() - began
    total = counts(verdicts)
    components = {
        of: counts(one for one in verdicts if one.case.of == of)
        for of in dict.fromkeys(case.of for case in chosen)
    }
    # One check that was asked for may not apply, which doesn't mean that nothing could be tested.
    idle = [] if {case.check.name for case in found} & {*wanted} else untried(verdicts)
    if as_json:
        print_json(
            {
                "plugin": record.namespace,
                "distribution": record.distribution,
                "version": record.version,
                "checks": [_row(one) for one in verdicts],
                "components": components,
                "untried": idle,
                **total,
                "seconds": round(seconds, 3),
            }
        )
    else:
        if not verbose:
            _show_left_out(verdicts)
        _show_counts(components, idle)
        click.echo(f"{_text(total)} in {seconds:.1f} s")
    if total["failed"] or idle:
        raise click.exceptions.Exit(int(ExitCode.PLUGIN))
    if total["not tested"]:
        raise click.exceptions.Exit(NOT_TESTED)


def _show_counts(components: Mapping[str, Mapping[Outcome, int]], idle: Sequence[str]) -> None:
    """Print how many checks each component was put to."""
    from ganzoo.testing.verdicts import RUN

    click.echo("\nchecks run, skipped, expected to fail and not tested:")
    width = max(map(len, components))
    for of, found in components.items():
        run = sum(found[outcome] for outcome in RUN)
        numbers = (run, found["skipped"], found["expected"], found["not tested"])
        line = f"  {of.ljust(width)}" + "".join(f"{number:5}" for number in numbers)
        fault = "  no check of what it does could be made" if of in idle else ""
        click.echo(line + click.style(fault, fg="red"))


def _text(total: Mapping[Outcome, int]) -> str:
    """Return the counts that aren't 0, as the last line has them."""
    names = {"expected": "expected to fail", "advice": "failed an advisory check"}
    return ", ".join(f"{n} {names.get(outcome, outcome)}" for outcome, n in total.items() if n)


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


def _show(verdict: Verdict) -> None:
    """Print the result of a case."""
    case, outcome = verdict.case, verdict.outcome
    word = click.style(outcome, fg=COLOURS[outcome])
    click.echo(f"{word}  {case.check.name}  {case.of}")
    if outcome in {"failed", "advice"}:
        click.echo(f"        {case.check.summary}:")
    for line in verdict.message.splitlines():
        click.echo(f"        {line}")


def _show_left_out(verdicts: Sequence[Verdict]) -> None:
    """Print the checks that weren't made or were expected to fail, each reason once.

    Only what is not tested has all of its reason, such as the paths where data were looked for.
    """
    groups: dict[tuple[Outcome, str], tuple[set[str], set[str]]] = {}
    for one in verdicts:
        if one.outcome in {"skipped", "expected", "not tested"}:
            reason = one.message
            if one.outcome != "not tested":
                reason = reason.partition("\n")[0]
            names, subjects = groups.setdefault((one.outcome, reason), (set(), set()))
            names.add(one.case.check.name)
            subjects.add(one.case.of)
    for (outcome, reason), (names, subjects) in groups.items():
        what = min(names) if len(names) == 1 else f"{len(names)} checks"
        of = min(subjects) if len(subjects) == 1 else f"{len(subjects)} components"
        text = reason.replace("\n", "\n        ")
        click.echo(f"{click.style(outcome, fg=COLOURS[outcome])}  {what}  {of}: {text}")


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
