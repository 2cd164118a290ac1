"""What the named parts of a sample are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Shape: TypeAlias = tuple[int, ...]
"""(C, H, W): image; (H, W): label map; (D,): points or noise; (): class index."""

Split = Literal["train", "val", "test"]
"""A part of a data set."""


@dataclass(frozen=True)
class Field:
    """What one named part of a sample is, as networks see it.

    Args:
        shape: without the batch axis.
        format: what its values mean: `ganzoo/image`: float in [-1, 1]; `ganzoo/labels`: integer
            map; `ganzoo/points`: float vector; `ganzoo/class`: one integer.
        range: the values in files that meet -1 and 1; None: the whole range of the files' type.
            Others are refused for now, since nothing shows, saves and scores them.
        palette: RGB colours (0 to 255) of the classes, when the image is a colour-coded label map.
        classes: how many there are, of a class or of a label map; 0 if that isn't known.
        aligned: whether it belongs to the sample's other fields. False: drawn apart from them
            (unpaired folders), so that nothing may compare the two.
        called: what a user calls it, such as its folder's name `cats`; "" where that is the
            field's own name.
    """

    shape: Shape
    format: str
    range: tuple[float, float] | None = None
    palette: tuple[tuple[int, int, int], ...] = ()
    classes: int = 0
    aligned: bool = True
    called: str = ""
