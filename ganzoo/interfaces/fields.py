"""What the named parts of a sample are, and the shapes that networks are built for."""

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


@dataclass(frozen=True)
class NetIO:
    """Shapes that a network is built for; stored whole in the metadata of its weights.

    Args:
        inputs: shape of one input, without the batch axis.
        outputs: shape of one output; `(1,)` for a discriminator, which chooses the size of its map.
        classes: number of classes of a conditional network, 0 if it has none.
    """

    inputs: Shape
    outputs: Shape
    classes: int = 0


def image_shape(shape: Shape, what: str = "takes") -> tuple[int, int, int]:
    """A shape as (C, H, W), for networks whose inputs or outputs must be images.

    Args:
        shape: of `NetIO`.
        what: the message's verb: `takes` or `makes`.

    Raises:
        ValueError: it isn't an image's; the engine shows it as a recipe's mistake.
    """
    if len(shape) != 3:
        message = f"{what} images (C, H, W), not {shape}"
        raise ValueError(message)
    return shape


def refuse_classes(io: NetIO) -> None:
    """Say no to class indices, for networks that would ignore them in silence.

    Raises:
        ValueError: the network is to be conditional; the engine shows it as a recipe's mistake.
    """
    if io.classes:
        message = f"doesn't use classes, but the task has {io.classes} of them"
        raise ValueError(message)
