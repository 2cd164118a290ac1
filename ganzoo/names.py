"""File names as text: what can be printed, written down, compared, and made a file of."""

from __future__ import annotations

import re
from pathlib import PurePath, PureWindowsPath

_FOREIGN_BYTE = re.compile("[\udc80-\udcff]")


def printable(text: str) -> str:
    """Text that every file and terminal of UTF-8 can hold.

    A byte of a file name that isn't UTF-8, which Python keeps as a lone surrogate, becomes `%E9`.
    All other text stays as it is.
    """
    escaped = _FOREIGN_BYTE.sub(lambda found: f"%{ord(found[0]) - 0xDC00:02X}", text)
    return escaped.encode("utf-8", "replace").decode()


def stays_inside(name: str) -> bool:
    """Whether a name can become a file's below a folder and nowhere else, on any system."""
    if not name or "\0" in name:
        return False
    kinds = (PurePath(name), PureWindowsPath(name))
    return bool(kinds[0].parts) and not any(path.anchor or ".." in path.parts for path in kinds)
