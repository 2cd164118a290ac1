"""Find a data set's folder: at the recipe's path, in `$GANZOO_DATA`, or in the cache."""

from __future__ import annotations

import os
from pathlib import Path, PureWindowsPath

import platformdirs

from ganzoo.errors import DataMissing
from ganzoo.files import expanded
from ganzoo.plugin_system.suggestions import nearest_folder


def cache_folder() -> Path:
    """Return the folder of the cache, which need not exist yet.

    It is `$GANZOO_CACHE`, or by default the user's cache folder for ganzoo.
    """
    chosen = os.environ.get("GANZOO_CACHE")
    return expanded(chosen) if chosen else Path(platformdirs.user_cache_dir("ganzoo"))


def data_cache() -> Path:
    """Return the folder of the cache that contains data sets."""
    return cache_folder() / "data"


def places(name: str, root: str | None) -> list[Path]:
    """Return the folders in which `find_data` searches, in the order of the search.

    Args:
        name: the data set's own name (`streets`), or "" if it has no name besides `root`.
        root: the recipe's `data.root`: absolute, or relative to the working directory. A relative
            path is also searched below `$GANZOO_DATA` and the cache.
    """
    chosen = expanded(root) if root else None
    found = [] if chosen is None else [chosen.absolute()]
    inside = [chosen] if chosen is not None and not chosen.is_absolute() else []
    inside += [Path(name)] if name else []
    shared = os.environ.get("GANZOO_DATA")
    for base in ([expanded(shared).absolute()] if shared else []) + [data_cache()]:
        found += [base / part for part in inside]
    return list(dict.fromkeys(found))


def find_data(name: str, root: str | None, hint: str = "") -> Path:
    """Return the first of `places` that exists.

    Args:
        name: the data set's own name, or "".
        root: the recipe's `data.root`, or None.
        hint: further ways to get the data, one per line.

    Raises:
        DataMissing: when there is none. The error lists every folder searched, and the ways to get
            the data.
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
        ways = ["That is a Windows path: set data.root to a path on this system."]
    elif root and expanded(root).is_absolute():
        ways = ["Set data.root to the folder where the data set is now (--set data.root=FOLDER)."]
    else:
        like = Path("path", "to", label)
        ways = [
            f"Set data.root to the folder of the data set (--set data.root={like}),",
            f"or put it below $GANZOO_DATA (now {shared})."
            if shared
            else f"or set GANZOO_DATA to the folder that contains {label}.",
        ]
    raise DataMissing(
        f"the data set '{label}' wasn't found",
        hint="\n".join([looked, *ways, *([hint] if hint else [])]),
    )
