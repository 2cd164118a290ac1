"""The owner of the code that raised an error or is running, for messages about plugins."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Iterable
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

from ganzoo.errors import PluginError, error_text

if TYPE_CHECKING:
    from ganzoo.plugin_system.discovery import PluginRecord

_NOBODYS = frozenset({"ganzoo", "torch", "pluggy", "importlib", "contextlib"})


def culprit(error: BaseException) -> str:
    """Return the plugin whose code raised an error, in words; empty if it wasn't a plugin."""
    told = getattr(error, "culprit", "")  # set in another process, which kept the traceback
    if told:
        return str(told)
    found = _ours(_raised_in(error))
    return "" if found is None or found.owner is None else _named(found.owner)


def place_of(error: BaseException) -> str:
    """Return the innermost call in a plugin or ganzoo that led to an error; empty if none did.

    The text has its function, owner, file and line.
    """
    found = _ours(_raised_in(error))
    return str(found) if found else ""


def where_main_is() -> str:
    """Return the innermost call in a plugin or ganzoo in which the main thread is now.

    The text has its function, owner, file and line. It is for use in other threads.
    """
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001
    found = _ours(traceback.walk_stack(frame)) if frame else None
    return str(found) if found else "code of an unknown owner"


class _Place(NamedTuple):
    frame: FrameType
    line: int
    owner: PluginRecord | None
    """The plugin that contains the code; None means ganzoo itself."""

    def __str__(self) -> str:
        code = self.frame.f_code
        function = code.co_qualname
        if self.frame.f_globals.get("__name__") == "ganzoo.data.loader":
            function = "waiting for a loader worker's data"
        owner = "ganzoo" if self.owner is None else _named(self.owner)
        return f"{function} of {owner}, {code.co_filename}:{self.line}"


def _ours(frames: Iterable[tuple[FrameType, int]]) -> _Place | None:
    """Return the first of `frames`, innermost first, that is in the code of a plugin or ganzoo."""
    from ganzoo.plugin_system import registry

    owners = {
        record.module.partition(":")[0].partition(".")[0]: record
        for record in registry.current().records
    }
    for frame, line in frames:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package == "ganzoo" or package in owners:
            return _Place(frame, line, None if package == "ganzoo" else owners[package])
    return None


def _raised_in(error: BaseException) -> Iterable[tuple[FrameType, int]]:
    return reversed(list(traceback.walk_tb(error.__traceback__)))


def _named(record: PluginRecord) -> str:
    version = f" {record.version}" if record.version else ""
    return f'the plugin "{record.namespace}" ({record.distribution}{version})'


def last_line(error: BaseException) -> str:
    """Return the innermost line that led to an error, such as `ganzoo_foo.losses, line 12`.

    Lines in ganzoo, torch and the other packages of `_NOBODYS` are skipped.
    """
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module.split(".", maxsplit=1)[0] not in _NOBODYS:
            place = f"{module}, line {line}"
    return place


def in_plugin_of(component: str) -> str:
    """Return the hint that an error is in the plugin of a component, which is given by its id."""
    return f"The error is in its plugin; `ganzoo show {component}` names it."


def failed(error: Exception) -> PluginError | None:
    """Return the error to show if a plugin's code raised this one; None if ganzoo's code did."""
    who = culprit(error)
    if not who:
        return None
    return PluginError(
        f"{who} failed: {error_text(error)}",
        where=last_line(error),
        hint="Report this to its authors.",
    )


def left_by(error: SystemExit) -> PluginError:
    """Return the error to show if a plugin's code calls `sys.exit()`, which would end ganzoo."""
    who = culprit(error) or "code that is not ganzoo's"
    code = "" if error.code is None else repr(error.code)
    return PluginError(
        f"{who} calls sys.exit({code}), which would end ganzoo",
        where=last_line(error),
        hint="It must raise an error instead; report this to its authors.",
    )
