"""Adaptive discriminator augmentation (arXiv 2006.06676): a probability that follows overfitting.

A discriminator that overfits is sure of the real images, so that the mean sign of its logits for
them, r_t = E[sign(D(real))] (equation 1), approaches 1. Every `interval` batches the probability p
of all transformations is raised if r_t was above the target since the last change, and otherwise
lowered (section 3.1). The size of a change is the number of real images since the last one, divided
by `speed`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ganzoo.interfaces import Clock, DiscriminatorOutput
from ganzoo_gan.ada_colour import draw_colours, recolour
from ganzoo_gan.ada_geometry import draw_geometry, warp
from ganzoo_gan.ada_options import ADAOptions


class ADA(nn.Module):
    """The transformations of a policy, each with the probability `p` for each image.

    `p` is a tensor on the device, so that no step waits for its value. All random numbers are
    drawn from torch's global generator on the images' device. They are drawn even while `p` is 0;
    an image without a transformation is returned bit for bit.
    """

    needs_decides = True  # the sign of a logit says whether an image is taken for real

    p: Tensor
    signs: Tensor
    images: Tensor
    batches: Tensor

    def __init__(self, options: ADAOptions) -> None:
        super().__init__()
        self.options = options
        self.register_buffer("p", torch.tensor(options.p))
        # Since the last change of p: the sum of the signs' means over images, the number of real
        # images and of batches.
        self.register_buffer("signs", torch.zeros(()))
        self.register_buffer("images", torch.zeros((), dtype=torch.int64))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, images: Tensor, clock: Clock) -> Tensor:  # noqa: ARG002  # p isn't its function
        """Return changed images of the same shape and dtype.

        Args:
            images: N x C x H x W in [-1, 1].
            clock: not needed.

        Raises:
            ValueError: when the input isn't a batch of images.
        """
        if images.ndim != 4:
            message = f"gan/ada changes images (N x C x H x W), not {tuple(images.shape)}"
            raise ValueError(message)
        count, _, height, width = images.shape
        policy = self.options.policy
        inverse, moved = draw_geometry(policy, count, (height, width), self.p)
        colours, recoloured = draw_colours(policy, count, self.p)
        exact = images if images.dtype == torch.float64 else images.float()
        made = torch.where(_per_image(moved), warp(exact, inverse), exact)
        made = torch.where(_per_image(recoloured), recolour(made, colours), made)
        return made.to(images.dtype)

    def observe(
        self,
        real: DiscriminatorOutput,
        fake: DiscriminatorOutput,  # noqa: ARG002  # the heuristic needs the real images alone
        clock: Clock,  # noqa: ARG002
    ) -> Mapping[str, Tensor]:
        """Count the signs of a batch, and change `p` if it is time to.

        Means are taken over the patches of each scale, and then over the scales.

        Returns:
            `p`, and `r`, the mean sign of this batch.
        """
        options = self.options
        signs = [logits.sign().float().mean() for logits in real.logits]
        mean = torch.stack(signs).mean()
        count = len(real.logits[0])
        self.signs += mean * count
        self.images += count
        self.batches += 1
        due = self.batches >= options.interval
        change = (self.signs / self.images - options.target).sign() * self.images / options.speed
        self.p.copy_(torch.where(due, (self.p + change).clamp(0, options.p_max), self.p))
        for since in (self.signs, self.images, self.batches):
            since.masked_fill_(due, 0)
        return {"p": self.p, "r": mean}


def _per_image(chosen: Tensor) -> Tensor:
    return chosen[:, None, None, None]
