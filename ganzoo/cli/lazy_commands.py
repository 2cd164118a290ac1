"""Command groups that import the module of a command only when the command is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from ganzoo.errors import UsageError


class NamingGroup(click.Group):
    """A command group that lists its commands, or the nearest one, after an unknown command."""

    other_words: Mapping[str, str] = {}
    """The hint for words that are no commands here and may be expected to be."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            from ganzoo.plugin_system.suggestions import did_you_mean

            hint = self.other_words.get(args[0], "") or did_you_mean(args[0], known)
            hint = hint or f"commands: {', '.join(known)}"
            raise UsageError(f'there is no command "{ctx.command_path} {args[0]}"', hint=hint)
        return super().resolve_command(ctx, args)


class LazyGroup(NamingGroup):
    """A group that imports a command's module only when the command is used.

    Args:
        table: the module of each command, and its line in `--help`.
        other_words: see `NamingGroup`.
    """

    def __init__(
        self,
        *args: Any,
        table: Mapping[str, tuple[str, str]],
        other_words: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.table = table
        self.other_words = other_words or {}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self.table:
            return None
        module = importlib.import_module(self.table[cmd_name][0])
        command: click.Command = module.command
        command.name = cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])
