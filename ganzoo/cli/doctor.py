"""`ganzoo doctor`: what this installation is, and what is wrong with it."""

from __future__ import annotations

from dataclasses import asdict

import click

from ganzoo.errors import ExitCode

SIGNS = {"ok": "  ", "note": "  ", "warning": "! ", "broken": "X "}
COLOURS = {"warning": "yellow", "broken": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> int:  # noqa: FBT001  # click passes by name
    """Show versions, devices, plugins and folders, and what is wrong with them.

    Exits 7 if something is broken; with nothing but warnings (!) 0.
    """
    from ganzoo.cli.console import print_json
    from ganzoo.cli.diagnosis import of_installation
    from ganzoo.cli.machine import of_machine

    options = context.find_root().params
    findings = [*of_installation(options["blocked"], options["plugin_files"]), *of_machine()]
    broken = [one for one in findings if one.state == "broken"]
    warnings = [one for one in findings if one.state == "warning"]
    if as_json:
        listed = [asdict(one) for one in findings]
        print_json({"healthy": not broken, "findings": listed})
        return int(ExitCode.ENVIRONMENT if broken else ExitCode.DONE)
    width = max(len(one.name) for one in findings)
    for one in findings:
        said = "; ".join(part for part in (one.value, one.message) if part)
        line = f"{SIGNS[one.state]}{one.name.ljust(width)}  {said}"
        click.echo(click.style(line, fg=COLOURS.get(one.state)))
        if one.hint:
            click.echo(f"  {' ' * width}    {one.hint}")
    counts = [(len(broken), "broken"), (len(warnings), "to look at")]
    told = ", ".join(f"{count} {what}" for count, what in counts if count)
    click.echo(told or "all is well", err=True)
    return int(ExitCode.ENVIRONMENT if broken else ExitCode.DONE)
