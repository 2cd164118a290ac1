"""The named inputs and outputs of a network, as its task declares them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ganzoo.interfaces.fields import Field, Shape


@dataclass(frozen=True)
class NetIO:
    """What a network is called with, and what it returns; stored in the metadata of its weights.

    The engine holds each call to it: the number of inputs, and the shapes of inputs and outputs.

    Args:
        inputs: the inputs by name, at least one. A network gets them by position, in this order.
        outputs: the outputs by name. A network returns one output as a tensor, and several as a
            mapping by these names. They are empty for a discriminator: it returns logits, and
            chooses the size of their maps.
    """

    inputs: Mapping[str, Field]
    outputs: Mapping[str, Field] = field(default_factory=dict)

    @property
    def input(self) -> Field:
        """The first input, for networks that take only this one and perhaps class indices.

        Raises:
            ValueError: there are other inputs; the engine shows it as a recipe's mistake.
        """
        first, *rest = self.inputs.values()
        if _is_class(first) or not all(map(_is_class, rest)):
            message = (
                f"takes one input, with class indices after it at most, not {_names(self.inputs)}"
            )
            raise ValueError(message)
        return first

    @property
    def output(self) -> Field:
        """The output, for networks that make only one.

        Raises:
            ValueError: there are several, or none; the engine shows it as a recipe's mistake.
        """
        if len(self.outputs) != 1:
            message = f"makes one output, not {_names(self.outputs)}"
            raise ValueError(message)
        return next(iter(self.outputs.values()))

    @property
    def classes(self) -> int:
        """The number of classes of the input that is a class index; 0 if there is none.

        Raises:
            ValueError: several inputs are; the engine shows it as a recipe's mistake.
        """
        found = {name: one for name, one in self.inputs.items() if _is_class(one)}
        if len(found) > 1:
            message = f"takes one class index, not {_names(found)}"
            raise ValueError(message)
        return sum(one.classes for one in found.values())

    def images_in(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of `input`, for networks that take images.

        Raises:
            ValueError: as `input`; or it isn't an image's shape.
        """
        return _image(self.input.shape, "takes")

    def images_out(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of `output`, for networks that make images.

        Raises:
            ValueError: as `output`; or it isn't an image's shape.
        """
        return _image(self.output.shape, "makes")

    def vector_in(self) -> int:
        """The length of `input`, for networks that take points or noise.

        Raises:
            ValueError: as `input`; or it isn't a vector's shape.
        """
        return _length(self.input.shape, "takes")

    def vector_out(self) -> int:
        """The length of `output`, for networks that make points.

        Raises:
            ValueError: as `output`; or it isn't a vector's shape.
        """
        return _length(self.output.shape, "makes")


def refuse_classes(io: NetIO) -> None:
    """Raise an error if there are class indices, for networks that don't use any.

    Raises:
        ValueError: the network is to be conditional; the engine shows it as a recipe's mistake.
    """
    if io.classes:
        message = f"doesn't use classes, but the task has {io.classes} of them"
        raise ValueError(message)


def _is_class(one: Field) -> bool:
    return one.format == "ganzoo/class"


def _names(fields: Mapping[str, Field]) -> str:
    return " and ".join(fields) or "none"


def _image(shape: Shape, verb: str) -> tuple[int, int, int]:
    if len(shape) != 3:
        message = f"{verb} images (C, H, W), not {shape}"
        raise ValueError(message)
    return shape


def _length(shape: Shape, verb: str) -> int:
    if len(shape) != 1:
        what = f"images {shape}" if len(shape) == 3 else f"the shape {shape}"
        message = f"{verb} points or noise (D,), not {what}"
        raise ValueError(message)
    return shape[0]
