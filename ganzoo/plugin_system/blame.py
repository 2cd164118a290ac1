"""Whose code an error came out of, or a program is in: what the user is told of plugins."""

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
    """The plugin in whose code an error arose, in words; empty where that is no plugin's."""
    told = getattr(error, "culprit", "")  # from another process, where its traceback stayed
    if told:
        return str(told)
    found = _ours(_raised_in(error))
    return "" if found is None or found.owner is None else _named(found.owner)


def place_of(error: BaseException) -> str:
    """Function, owner, file and line in which an error arose; empty if that is nobody's here."""
    found = _ours(_raised_in(error))
    return str(found) if found else ""


def where_main_is() -> str:
    """Function, owner, file and line in which the main thread is now; for other threads to ask."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001
    found = _ours(traceback.walk_stack(frame)) if frame else None
    return str(found) if found else "code that is nobody's here"


class _Place(NamedTuple):
    frame: FrameType
    line: int
    owner: PluginRecord | None
    """None: ganzoo itself."""

    def __str__(self) -> str:
        code = self.frame.f_code
        function = code.co_qualname
        if self.frame.f_globals.get("__name__") == "ganzoo.data.loader":
            function = "waiting for a loader worker's data"
        owner = "ganzoo" if self.owner is None else _named(self.owner)
        return f"{function} of {owner}, {code.co_filename}:{self.line}"


def _ours(frames: Iterable[tuple[FrameType, int]]) -> _Place | None:
    """Of frames, from the innermost out, the first that is a plugin's or ganzoo's."""
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
    """Where code that is neither ganzoo's nor torch's was last: `ganzoo_foo.losses, line 12`."""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module.split(".", maxsplit=1)[0] not in _NOBODYS:
            place = f"{module}, line {line}"
    return place


def failed(error: Exception) -> PluginError | None:
    """The error to show in place of one that a plugin's code raised; None if it is ganzoo's own."""
    who = culprit(error)
    if not who:
        return None
    return PluginError(
        f"{who} failed: {error_text(error)}", where=last_line(error), hint="Tell its authors."
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
