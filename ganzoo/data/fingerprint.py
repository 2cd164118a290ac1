"""What tells a run's data from others: where they lie may change, what they are may not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ganzoo.data.pipeline import PreparedData
from ganzoo.data.rng import generator_for
from ganzoo.plugin_system.registry import current


def identity_of(data: PreparedData) -> dict[str, Any]:
    """What must stay the same through all parts of a run, for JSON.

    Returns:
        `use`: id of the data component; `stand_in`; `length`: samples; `names`: sha256 of all
        samples' names in their order; `content`: sha256 of the first sample as it is before
        augmentation, since reading all of them would take long.
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
    """How data differ from those that a run began with, in words; empty when they are the same.

    Args:
        before: as `identity_of` gave it then; runs of older versions lack `names` and `content`,
            which aren't compared then. A data component that was renamed since is the same.
        now: as `identity_of` gives it now.
    """
    before = {**before, "use": current().present_id("data", before["use"])}
    if any(before[key] != now[key] for key in ("use", "stand_in", "length")):
        shown = [f"{one['length']} images of {one['use']}" for one in (before, now)]
        return f"the run began with {shown[0]}, and now there are {shown[1]}"
    for key, what in (("names", "names of images differ"), ("content", "the first image differs")):
        if before.get(key, now[key]) != now[key]:
            return f"the run began with other data of {now['use']}: {what}"
    return ""
