"""What the named parts of a sample are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Shape: TypeAlias = tuple[int, ...]
"""The shape of a tensor without the batch axis: (C, H, W) of an image, (H, W) of a label map, (D,)
of points or noise, () of a class index."""

Split = Literal["train", "val", "test"]
"""A part of a data set."""


def alike(one: Shape, other: Shape) -> bool:
    """Return whether two shapes have the same axes and channels; the size of maps may differ."""
    # A shape of two axes is a label map, which has no channels.
    return len(one) == len(other) and (len(one) == 2 or one[:1] == other[:1])


@dataclass(frozen=True)
class Field:
    """What one named part of a sample is, as networks see it.

    NumPy's numbers become Python's, since fields are stored as JSON beside weights.

    Args:
        shape: the shape of the tensor that networks get, without the batch axis.
        format: the id of the component of kind `format` that knows what its values mean, such as
            `ganzoo/image`, `ganzoo/labels`, `ganzoo/points` or `ganzoo/class`; always the whole id.
        range: the values in files that become -1 and 1. None means the whole range of the files'
            type (0 to 255, 0 to 65535, -1 to 1 for floats).
        unit: the unit of the range and of the values in files, such as `HU`.
        dtype: NumPy's name of the type of the values in files. "" means the format's default, which
            is uint8 for an image.
        classes: the number of classes of a class or a label map; 0 if it isn't known.
        palette: the RGB colours (0 to 255) of the classes of a label map, or of an image that is a
            colour-coded label map.
        nodata: the value in files that stands for "no data"; it may be NaN. Networks see the lower
            end of the range there. It needs a mask, which is made of it if the data have none.
        mask: the name of the sample's field that is 0 where there are no data; "" if there are data
            everywhere.
        aligned: whether it belongs to the other fields of the sample. If not, it was drawn
            independently of them (unpaired folders), and nothing may compare the two.
        called: the name that users see, such as `cats`, the name of its folder. "" means the
            field's own name.
    """

    shape: Shape
    format: str
    range: tuple[float, float] | None = None
    unit: str = ""
    dtype: str = ""
    classes: int = 0
    palette: tuple[tuple[int, int, int], ...] = ()
    nodata: float | None = None
    mask: str = ""
    aligned: bool = True
    called: str = ""

    def __post_init__(self) -> None:
        for name in ("shape", "range", "classes", "palette", "nodata"):
            object.__setattr__(self, name, _of_python(getattr(self, name)))


def _of_python(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_of_python, value))
    return value.tolist() if hasattr(value, "tolist") else value
