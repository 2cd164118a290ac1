"""A check for control characters in a recipe's texts, mostly from paths in double quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ganzoo.plugin_system.option_errors import QUOTES
from ganzoo.recipe.merge import Node
from ganzoo.recipe.parse import BACKSLASHES
from ganzoo.recipe.toml_positions import Keys

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LAYOUT = "\n\r\t"
"""The control characters that a text may contain, unless it is a path."""
_WINDOWS = re.compile(r"[A-Za-z]:|\\")
"""The beginning of a file's path on Windows."""
_PATHS: tuple[Keys, ...] = (("out",), ("name",))


def unusable_texts(node: Node, path: Keys = ()) -> Iterator[tuple[Keys, str, str]]:
    r"""Yield each text that no option can use: its place, what is wrong and what to do.

    TOML reads the `\n` of "D:\new" in double quotes as a line feed, so a path of Windows can hold a
    control character by mistake. In texts that aren't paths, line feeds and tabs are allowed.
    """
    value = node.value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from unusable_texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unusable_texts(item, (*path, index))
    elif isinstance(value, str):
        is_path = path in _PATHS or _WINDOWS.match(value) is not None
        signs = [one for one in _CONTROL.findall(value) if is_path or one not in _LAYOUT]
        if signs:
            shown = signs[0].encode("unicode_escape").decode()
            yield path, f"has a control character in it: {shown}", BACKSLASHES
        elif not _encodable(value):
            yield (
                path,
                "is not UTF-8 text",
                "rename the file or folder, or give a path that doesn't contain its name",
            )


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def quotes_for(node: Node) -> str:
    """Return how to write a value as text at its place; empty for tables and arrays."""
    if isinstance(node.value, dict | list):
        return ""
    if node.mark.source.name != "--set":
        return QUOTES
    key, _, text = node.mark.source.text.partition("=")
    told = "put it in quotes, and the whole argument in the shell's quotes"
    return f"""{told}: --set '{key}="{text}"'"""
