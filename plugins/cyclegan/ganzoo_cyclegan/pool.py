"""A history of generated images for a discriminator (arXiv 1612.07828, section 2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class ImagePool:
    """Shows a discriminator images of the past beside those just made, so that it doesn't forget.

    While the pool fills, what comes in goes out too. From then on each image is, with probability
    1/2, swapped for one of the pool's, and otherwise goes through. Random numbers come from torch's
    global generator, on the CPU, so that they cost no wait for the device.

    Args:
        size: images kept; 0: every image goes through.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def exchange(self, images: Tensor) -> Tensor:
        """Put a batch in and take one of the same shape out.

        Args:
            images: N x C x H x W, detached.
        """
        if self.size == 0:
            return images
        shown: list[Tensor] = []
        # Copies in one memory layout: after a resume the same images must give the same bits.
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
        """The images, M x C x H x W; nothing while there are none."""
        return {"images": torch.stack(self.images)} if self.images else {}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take back what `state_dict` gave; images beyond the pool's size are left out."""
        images = state["images"][: self.size].to(device) if "images" in state else ()
        self.images = [image.clone() for image in images]
