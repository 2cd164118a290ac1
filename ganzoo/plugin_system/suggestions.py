"""Suggestions of the nearest legal name for a misspelt one. This module doesn't import pydantic."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return `did you mean "this"?` for the nearest candidates, or an empty string."""
    near = difflib.get_close_matches(word, sorted(set(candidates)), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(quoted(name) for name in near)}?" if near else ""


def nearest_folder(folder: Path) -> str:
    """Return `did you mean "my_photos"?` with folders similar to a missing one, or ""."""
    try:
        beside = [one.name for one in folder.parent.iterdir() if one.is_dir()]
    except OSError:
        return ""
    return did_you_mean(folder.name, beside)


def quoted(name: str) -> str:
    """Return a name in double quotes, as TOML writes it."""
    return f'"{name}"'


def with_article(noun: str) -> str:
    """Return `a task` or `an optimizer`."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
