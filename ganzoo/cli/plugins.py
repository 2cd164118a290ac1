"""`ganzoo plugins`: list the installed plugins, and what is wrong with them."""

from __future__ import annotations

import click

from ganzoo.cli.console import print_columns, print_json
from ganzoo.cli.lazy_commands import LazyGroup
from ganzoo.plugin_system.registry import current

COMMANDS: dict[str, tuple[str, str]] = {
    "new": ("ganzoo.cli.plugins_new", "Write a new plugin that works without changes."),
    "check": ("ganzoo.cli.plugins_check", "Check a plugin against the contract."),
    "install": ("ganzoo.cli.plugins_install", "Install plugins with pip, after a check."),
}
"""The module of each subcommand, which has a click command called `command`, and its help."""


@click.group(cls=LazyGroup, table=COMMANDS, invoke_without_command=True)
@click.option("-v", "--verbose", is_flag=True, help="Show tracebacks.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(context: click.Context, verbose: bool, as_json: bool) -> None:  # noqa: FBT001  # click passes by name
    """List plugins with their state: ok, quarantined (something is wrong) or blocked (by you).

    The subcommands are for people who write or install plugins.
    """
    if context.invoked_subcommand is None:
        _list(verbose=verbose, as_json=as_json)


def _list(*, verbose: bool, as_json: bool) -> None:
    records = current().records
    if as_json:
        print_json(
            {
                "plugins": [
                    {
                        "namespace": record.namespace,
                        "distribution": record.distribution,
                        "version": record.version,
                        "module": record.module,
                        "state": record.state,
                        "reason": record.reason,
                        "traceback": record.traceback,
                        "notes": list(record.notes),
                        "components": [
                            {"kind": one.kind, "id": f"{record.namespace}/{one.name}"}
                            for one in record.components
                        ],
                    }
                    for record in records
                ]
            }
        )
        return
    if not records:
        click.echo("no plugin is installed", err=True)
        return
    print_columns(
        [
            (
                record.namespace,
                f"{record.distribution} {record.version}".strip(),
                record.state,
                record.reason or f"{len(record.components)} components",
            )
            for record in records
        ]
    )
    for record in records:
        for note in record.notes:
            click.echo(f"note: {record.namespace} ({record.distribution}) {note}")
    for record in records:
        if verbose and record.traceback:
            click.echo(f"\n{record.namespace} ({record.module}):\n{record.traceback}")
