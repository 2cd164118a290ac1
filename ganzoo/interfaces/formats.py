"""Formats: what the values of a field mean, in files, in arrays, in tensors and in pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

from ganzoo.interfaces.fields import Field, Shape

Shown = Literal["each", "together", "never"]
"""How samples are drawn: each by `Format.picture`, many together by `Format.plot`, or never."""


class Format(ABC):
    """What a field is: an image, a label map, points, or whatever a plugin adds.

    A format knows four forms of a sample: its file, its array (as data components load it, in the
    field's units), its tensor (as networks see it), and its picture. It holds no state of a data
    set and must pickle, since loader workers use it. Each method gets the field that it is about.

    Args:
        options: the options of the component; a field names a format by its id alone, so that they
            are the defaults.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    """The suffixes, in lower case, of the files that `read` reads. Without any, the format has no
    files, and trained networks can't take it from files or write it to files."""
    shown: ClassVar[Shown] = "each"
    """How samples are drawn."""
    indices: ClassVar[bool] = False
    """Whether tensors are int64 indices, such as classes; otherwise they are float32."""
    pixels: ClassVar[bool] = False
    """Whether the first two axes of an array, and the last two of a tensor, are height and width in
    pixels. Only such samples can be resized, padded and measured as images."""
    examples: ClassVar[tuple[Field, ...]] = ()
    """Small fields of this format, at least one, which `ganzoo plugins check` tries it with."""

    def __init__(self, options: Any = None) -> None:
        self.options = options

    @abstractmethod
    def check(self, field: Field) -> None:
        """Check that a field of this format can be as it is declared.

        Raises:
            ValueError: it can't; the message begins with the faulty part, such as `range`.
        """

    @abstractmethod
    def dtype(self, field: Field) -> str:
        """Return NumPy's name of the type of the arrays that `to_array` returns."""

    @abstractmethod
    def tensor_shape(self, shape: Shape, field: Field) -> Shape:
        """Return the shape of the tensor that an array of this shape becomes.

        Raises:
            DataError: an array of this shape isn't what the field says.
        """

    @abstractmethod
    def to_tensors(self, arrays: np.ndarray | Sequence[np.ndarray], field: Field) -> Tensor:
        """Convert several samples at once to what networks see.

        Each sample gets the same bits, however many there are. If the field has a range, its ends
        become -1 and 1.

        Args:
            arrays: with an axis of samples before the others; or a sequence of one or more arrays
                of one shape.
            field: what they are. Its shape isn't looked at, since samples may differ in size.

        Raises:
            DataError: an array isn't what the field says.
        """

    @abstractmethod
    def to_array(self, tensor: Tensor, field: Field) -> np.ndarray:
        """Convert one sample back to an array in the field's units, of the type `dtype`.

        Arrays of at most 16 bits come back exactly from `to_tensors`; float32 within 2^-22 of the
        width of the range.

        Args:
            tensor: without a batch axis, on any device and of any float type (or int64, if the
                format has `indices`).
            field: what it is.

        Raises:
            DivergedError: a value is not finite.
        """

    def suffix(self, field: Field) -> str:  # noqa: ARG002  # for formats with several
        """Return the suffix of the files that `write` writes, one of `suffixes`."""
        return self.suffixes[0]

    def read(self, path: Path, field: Field) -> np.ndarray:
        """Read a file into an array, as `to_tensors` takes it.

        Raises:
            DataError: naming the file, when it can't be read or isn't what the field says.
        """
        raise NotImplementedError

    def write(
        self, array: np.ndarray, path: Path, field: Field, note: Mapping[str, Any] | None = None
    ) -> None:
        """Write an array into a file, which is complete or absent.

        Args:
            array: as `to_array` returns it.
            path: ends in `suffix(field)`.
            field: what it is.
            note: how it was made, for file types that have a place for it.

        Raises:
            EnvironmentFault: the file can't be written.
        """
        raise NotImplementedError

    def picture(
        self, array: np.ndarray, field: Field, mask: np.ndarray | None = None
    ) -> np.ndarray:
        """Draw one sample, for grids, contact sheets and reports; if `shown` is `each`.

        Args:
            array: as `to_array` returns it.
            field: what it is.
            mask: H x W (or the shape that the field's mask has), 0 where there are no data, which
                the picture makes visible as such. None: there are data everywhere.

        Returns:
            H x W x 3 uint8.
        """
        raise NotImplementedError

    def plot(
        self,
        groups: Mapping[str, np.ndarray],
        field: Field,
        caption: str,
        behind: Sequence[str] = (),
    ) -> np.ndarray:
        """Draw many samples in one picture; if `shown` is `together`.

        Args:
            groups: arrays with an axis of samples first, by name.
            field: what they are.
            caption: the text below the picture.
            behind: names of groups that are drawn first and determine the limits of the picture.

        Returns:
            H x W x 3 uint8.
        """
        raise NotImplementedError
