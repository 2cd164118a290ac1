"""Whose code an error came out of: what the user is told where a plugin is at fault."""

from __future__ import annotations

import traceback

from ganzoo.errors import PluginError

_NOBODYS = frozenset({"ganzoo", "torch", "pluggy", "importlib", "contextlib"})


def culprit(error: BaseException) -> str:
    """The plugin in whose code an error arose, in words; empty where that is no plugin's."""
    from ganzoo import registry

    told = getattr(error, "culprit", "")  # from another process, where its traceback stayed
    if told:
        return str(told)
    modules = {
        record.module.partition(":")[0].partition(".")[0]: record
        for record in registry.current().records
    }
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package == "ganzoo":
            break
        if package in modules:
            record = modules[package]
            return f'the plugin "{record.namespace}" ({record.distribution} {record.version})'
    return ""


def last_line(error: BaseException) -> str:
    """Where code that is neither ganzoo's nor torch's was last: `ganzoo_foo.losses, line 12`."""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module.split(".", maxsplit=1)[0] not in _NOBODYS:
            place = f"{module}, line {line}"
    return place


def in_words(error: BaseException) -> str:
    """An exception's kind and its first line."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def failed(error: Exception) -> PluginError | None:
    """The error to show in place of one that a plugin's code raised; None if it is ganzoo's own."""
    who = culprit(error)
    if not who:
        return None
    return PluginError(
        f"{who} failed: {in_words(error)}", where=last_line(error), hint="Tell its authors."
    )


def left_by(error: SystemExit) -> PluginError:
    """What `sys.exit()` in a plugin's code means, which would end ganzoo."""
    who = culprit(error) or "code that is not ganzoo's"
    code = "" if error.code is None else repr(error.code)
    return PluginError(
        f"{who} calls sys.exit({code}), which would end ganzoo",
        where=last_line(error),
        hint="It must raise an error instead; tell its authors.",
    )
