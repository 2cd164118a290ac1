"""What the named parts of a sample are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Shape: TypeAlias = tuple[int, ...]
"""(C, H, W): image; (H, W): label map; (D,): points or noise; (): class index."""

Split = Literal["train", "val", "test"]
"""A part of a data set."""


@dataclass(frozen=True)
class Field:
    """What one named part of a sample is, as networks see it.

    NumPy's numbers become Python's, since fields are stored as JSON beside weights.

    Args:
        shape: without the batch axis.
        format: id of the component of kind `format` that knows what its values mean, such as
            `ganzoo/image`, `ganzoo/labels`, `ganzoo/points` or `ganzoo/class`; always the whole id.
        range: the values in files that meet -1 and 1; None: the whole range of the files' type (0
            to 255, 0 to 65535, -1 to 1 for floats).
        unit: the unit of the range and of the values in files, such as `HU`.
        dtype: NumPy's name of the type of the values in files; "": the format's default (uint8 for
            an image).
        classes: how many there are, of a class or of a label map; 0 if that isn't known.
        palette: RGB colours (0 to 255) of the classes of a label map, or of an image that is a
            colour-coded label map.
        nodata: the value in files that stands for "no data"; it may be NaN. Networks see the lower
            end of the range there. It needs a mask, which is made of it if the data have none.
        mask: name of the sample's field that is 0 where there are no data; "" if there are data
            everywhere.
        aligned: whether it belongs to the sample's other fields. False: drawn apart from them
            (unpaired folders), so that nothing may compare the two.
        called: what a user calls it, such as its folder's name `cats`; "" where that is the
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
    if isinstance(value, list | tuple):
        return tuple(map(_of_python, value))
    return _of_python(value.tolist()) if hasattr(value, "tolist") else value
