"""Identify the data of a run. Their folder may change in a resume, and their content may not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ganzoo.data.pipeline import PreparedData
from ganzoo.data.rng import generator_for
from ganzoo.plugin_system.registry import current


def identity_of(data: PreparedData) -> dict[str, Any]:
    """Return the properties of data that must be the same in all parts of a run, for JSON.

    Returns:
        A dict with these keys:

        - `use`: the id of the data component.
        - `stand_in`: whether it is the recipe's fallback.
        - `length`: the number of samples.
        - `names`: the sha256 of all samples' names in their order.
        - `content`: the sha256 of the first sample before augmentation. Reading all samples would
          take too long.
    """
    names = hashlib.sha256()
    for index in range(len(data)):
        names.update(data.name(index).encode("utf-8", "surrogatepass") + b"\0")
    content = hashlib.sha256()
    sample = data.source.load(0, generator_for(0, data.split, 0, 0))
    for name in sorted(sample):
        array = np.ascontiguousarray(sample[name])
        content.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    return {
        "use": data.chosen.id,
        "stand_in": data.stand_in,
        "length": len(data),
        "names": names.hexdigest(),
        "content": content.hexdigest(),
    }


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return how data differ from those that a run began with, or an empty string.

    A data component that has been renamed since then counts as the same.

    Args:
        before: the result of `identity_of` when the run began. Runs of older versions lack `names`
            and `content`, which aren't compared then.
        now: the result of `identity_of` now.
    """
    before = {**before, "use": current().present_id("data", before["use"])}
    if any(before[key] != now[key] for key in ("use", "stand_in", "length")):
        shown = [f"{one['length']} images of {one['use']}" for one in (before, now)]
        return f"the run began with {shown[0]}, but now there are {shown[1]}"
    for key, what in (("names", "names of images differ"), ("content", "the first image differs")):
        if before.get(key, now[key]) != now[key]:
            return f"the run began with other data of {now['use']}: {what}"
    return ""
