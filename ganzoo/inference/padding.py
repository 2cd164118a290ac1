"""Images of any size: what networks can't take is padded, and the results are cropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional


def any_size(net: Callable[..., Any], multiple: int) -> Callable[..., Any]:
    """The network for images of any size: what it can't take is padded, and the results cropped.

    Args:
        net: takes images N x C x H x W and label maps N x H x W; other inputs (noise, points) are
            passed on as they are, and so are other outputs.
        multiple: number that H and W must be multiples of, in pixels.
    """

    def call(*given: Tensor) -> Any:
        padded = [_padded(one, multiple) if _is_map(one) else one for one in given]
        output = net(*padded)
        first = next((index for index, one in enumerate(given) if _is_map(one)), None)
        if first is None:
            return output

        def cropped(made: Any) -> Any:
            if not _is_map(made):
                return made
            height, width = (
                round(size * result / whole)
                for size, result, whole in zip(
                    given[first].shape[-2:],
                    made.shape[-2:],
                    padded[first].shape[-2:],
                    strict=True,
                )
            )
            return made[..., :height, :width]

        if isinstance(output, Mapping):
            return {name: cropped(made) for name, made in output.items()}
        return cropped(output)

    return call


def _is_map(value: Any) -> bool:
    """Whether a tensor is a batch of images, or of label maps."""
    if not isinstance(value, Tensor):
        return False
    return value.ndim == 4 or (value.ndim == 3 and not value.is_floating_point())


def _padded(images: Tensor, multiple: int) -> Tensor:
    for axis, places in ((-1, (0, 1)), (-2, (2, 3))):
        size = images.shape[axis]
        missing = -size % multiple
        if missing:
            padding = [0, 0, 0, 0]
            padding[places[1]] = missing
            kind = "reflect" if missing < size else "replicate"
            # torch mirrors only floats; float32, which every device has, holds integers up to 2**24
            floats = images if images.is_floating_point() else images.float()
            images = functional.pad(floats, padding, mode=kind).to(images.dtype)
    return images
