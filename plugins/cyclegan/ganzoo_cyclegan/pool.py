"""A pool of earlier generated images for a discriminator (arXiv 1612.07828, section 2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class ImagePool:
    """Mix earlier generated images into a discriminator's batches, so that it doesn't forget them.

    While the pool isn't full, each image is stored and also returned. After that, each image is
    exchanged for one of the pool with probability 1/2, and otherwise returned unchanged. Random
    numbers come from torch's global generator on the CPU, so that the CPU needn't wait for the
    device.

    Args:
        size: number of images that are kept; with 0 every image is returned unchanged.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def exchange(self, images: Tensor) -> Tensor:
        """Put a batch into the pool, and return a batch of the same shape.

        Args:
            images: N x C x H x W, detached.
        """
        if self.size == 0:
            return images
        shown: list[Tensor] = []
        # The copies have one fixed memory layout. Otherwise results could differ in their bits
        # after a resume, since `load_state_dict` creates contiguous images.
        for image in images.contiguous().clone():
            if len(self.images) < self.size:
                self.images.append(image)
                shown.append(image)
            elif torch.rand((), device="cpu") < 0.5:
                place = int(torch.randint(self.size, (), device="cpu"))
                shown.append(self.images[place])
                self.images[place] = image
            else:
                shown.append(image)
        return torch.stack(shown)

    def state_dict(self) -> dict[str, Any]:
        """Return the images, M x C x H x W, or an empty dictionary while there are none."""
        return {"images": torch.stack(self.images)} if self.images else {}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Restore what `state_dict` returned; images beyond the pool's size are left out."""
        images = state["images"][: self.size].to(device) if "images" in state else ()
        self.images = [image.clone() for image in images]
