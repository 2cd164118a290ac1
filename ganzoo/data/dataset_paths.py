"""Where a data set lies: where the recipe says, then `$GANZOO_DATA`, then the cache."""

from __future__ import annotations

import os
from pathlib import Path, PureWindowsPath

import platformdirs

from ganzoo.errors import DataMissing
from ganzoo.plugin_system.suggestions import nearest_folder


def cache_folder() -> Path:
    """The cache folder: `$GANZOO_CACHE`, or the user's cache folder; it need not exist yet."""
    chosen = os.environ.get("GANZOO_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("ganzoo"))


def data_cache() -> Path:
    """The part of the cache that holds data sets."""
    return cache_folder() / "data"


def places(name: str, root: str | None) -> list[Path]:
    """Folders that `find_data` looks at, in its order.

    Args:
        name: the set's own name (`streets`), or "" if it has none beyond `root`.
        root: the recipe's `data.root`: absolute, or relative to the working directory; a relative
            one is also looked up below `$GANZOO_DATA` and the cache.
    """
    chosen = Path(root).expanduser() if root else None
    found = [] if chosen is None else [chosen.absolute()]
    inside = [chosen] if chosen is not None and not chosen.is_absolute() else []
    inside += [Path(name)] if name else []
    shared = os.environ.get("GANZOO_DATA")
    for base in ([Path(shared).expanduser().absolute()] if shared else []) + [data_cache()]:
        found += [base / part for part in inside]
    return list(dict.fromkeys(found))


def find_data(name: str, root: str | None, hint: str = "") -> Path:
    """The first existing folder among `places`.

    Args:
        name: the set's own name, or "".
        root: the recipe's `data.root`, or None.
        hint: further ways to get the data, one a line.

    Raises:
        DataMissing: naming every place looked at, and the ways to get the data.
    """
    candidates = places(name, root)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    looked = "\n".join(
        "; ".join(filter(None, (f"  looked at {candidate}", nearest_folder(candidate))))
        for candidate in candidates
    )
    shared = os.environ.get("GANZOO_DATA")
    label = name or root or "data"
    if root and PureWindowsPath(root).drive and os.name != "nt":
        ways = ["That is a path of Windows, and this isn't Windows: set data.root to a path here."]
    elif root and Path(root).expanduser().is_absolute():
        ways = ["Set data.root to the folder where the set is now (--set data.root=FOLDER)."]
    else:
        like = Path("path", "to", label)
        ways = [
            f"Set data.root to the folder of the set (--set data.root={like}),",
            f"or put it below $GANZOO_DATA (now {shared})."
            if shared
            else f"or point GANZOO_DATA at the folder that holds {label}.",
        ]
    raise DataMissing(
        f"the data set '{label}' isn't there",
        hint="\n".join([looked, *ways, *([hint] if hint else [])]),
    )
