"""The transforms, read from the file `schemas.json` that `write_schemas.py` writes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).with_name("schemas.json")


@cache
def schemas() -> dict[str, Any]:
    """Return the content of `schemas.json`.

    `transforms` has an entry for each id: the name of its `class`, its `kind` ("spatial" or
    "pixel"), the JSON `schema` with which albumentations checks its arguments, the names of its
    `required` arguments, and the `defaults` of the others.
    """
    content: dict[str, Any] = json.loads(SCHEMAS.read_bytes())
    return content
