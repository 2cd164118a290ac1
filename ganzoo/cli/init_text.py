"""The text of the recipe that `ganzoo init` writes.

It has a setting for this machine, and the published setting in comments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PAPER = "# ---- The published setting"
"""The beginning of the line below which everything is commented out."""
HERE = "# ---- For this machine"
"""The beginning of the line above the tables for this machine. They end at `PAPER`, and the tables
below `PAPER` would replace them."""


def recipe_text(out: Path, base: str, data: Mapping[str, Any], because: str) -> str:
    """Return the first part of a recipe: the recipe that it extends, and its data.

    Args:
        out: the file that will be written.
        base: the recipe that it extends.
        data: its data table.
        because: a description of the folder's content.
    """
    from ganzoo.recipe.schema import schema_line
    from ganzoo.recipe.write import dumps

    head = {
        "extends": base,
        "name": re.sub(r"[^A-Za-z0-9_.-]+", "_", out.stem),
        "summary": f"Images in {data['root']}",
        "data": data,
    }
    return f"{schema_line(out.parent)}# Written by `ganzoo init`: {because}.\n{dumps(head)}"


def here_text(tables: Mapping[str, Any], comments: Sequence[str]) -> str:
    """Return the tables chosen for this machine, below the comments about the measurements."""
    from ganzoo.recipe.write import dumps

    told = "".join(f"# {line}\n" for line in comments)
    return f"\n{HERE} ----\n{told}\n{dumps(tables)}"


def paper_text(name: str, tables: Mapping[str, Any], time: str) -> str:
    """Return the tables of the published setting as comments.

    Args:
        name: the name of the setting.
        tables: its tables.
        time: a text about how long it would take on this machine.
    """
    from ganzoo.recipe.write import dumps

    lines = "".join(f"# {line}\n" if line else "#\n" for line in dumps(tables).splitlines())
    return (
        f"\n{PAPER} ({name}): {time} ----\n"
        f"## To train it, delete everything from `{HERE[2:]}` to here, and the first `# ` of each "
        f"line below.\n{lines}"
    )


def nice(steps: float) -> int:
    """Return the largest 1, 2 or 5 followed by zeros that isn't above `steps`; at least 1."""
    whole = max(1, int(steps))
    power = int("1" + "0" * (len(str(whole)) - 1))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= whole)
