"""`ganzoo list`: list the components that recipes can name."""

from __future__ import annotations

import click

from ganzoo.api import KINDS
from ganzoo.cli.console import print_columns, print_json
from ganzoo.errors import UsageError
from ganzoo.plugin_system.registry import current
from ganzoo.plugin_system.suggestions import did_you_mean


def _instead_of(kind: str) -> str:
    """Return a hint for a word that is no kind: the nearest kind, or a search among the ids."""
    hint = did_you_mean(kind, KINDS) or f"kinds: {', '.join(KINDS)}"
    named = kind and current().components(pattern=kind)
    return f"{hint}\n`ganzoo list '*{kind}*'` lists ids that contain it" if named else hint


@click.command()
@click.argument("kind", required=False)
@click.argument("pattern", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(kind: str | None, pattern: str | None, as_json: bool) -> None:  # noqa: FBT001
    """List components by KIND (generator, loss, data, ...) and PATTERN ('gan/*', 'flip').

    Without a wildcard, PATTERN may occur anywhere in the id.
    """
    if kind is not None and kind not in KINDS:
        if pattern is not None or not any(sign in kind for sign in "*?[/"):
            raise UsageError(f'no kind of component is called "{kind}"', hint=_instead_of(kind))
        kind, pattern = None, kind
    entries = current().components(kind, pattern)
    if as_json:
        print_json(
            {
                "components": [
                    {
                        "kind": entry.component.kind,
                        "id": entry.id,
                        "summary": entry.component.summary,
                        "paper": entry.component.paper,
                        "presets": list(entry.component.presets),
                        "distribution": entry.record.distribution,
                        "version": entry.record.version,
                    }
                    for entry in entries
                ]
            }
        )
    elif entries:
        print_columns(
            [(entry.component.kind, entry.id, entry.component.summary) for entry in entries]
        )
    else:
        click.echo("nothing matches", err=True)
