"""A discriminator on the feature maps of one of timm's image models."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo.interfaces import NetIO, refuse_classes
from ganzoo.nn import norm_2d, uses_bias
from ganzoo_timm_unet.encoder import Encoder
from ganzoo_timm_unet.options import TimmPatchOptions

LEAK = 0.2  # slope of the leaky ReLU for negative values


class TimmPatch(nn.Module):
    """Discriminator: a head on every level of an encoder's feature maps, which judges patches.

    As in Projected GANs (arXiv 2111.01007) there is one head for each level, and the features may
    be those of a frozen pretrained network. Gradients pass through them to the image. Unlike there,
    the features aren't mixed by random projections between channels and levels, and each head
    returns a map of logits instead of a single one.

    Args:
        options: see `TimmPatchOptions`.
        io: shape (C, H, W) of the input, including the source's channels where the task adds them.

    Raises:
        ValueError: when the input isn't an image, or there are classes.
        GanzooError: the same errors as `Encoder`.
    """

    def __init__(self, options: TimmPatchOptions, io: NetIO) -> None:
        super().__init__()
        refuse_classes(io)
        self.encoder = Encoder(options, io.images_in())
        self.frozen = options.frozen
        self.heads = nn.ModuleList(_head(c, options) for c in self.encoder.channels)
        if self.frozen:
            self.encoder.requires_grad_(False)
            self.encoder.eval()

    def train(self, mode: bool = True) -> TimmPatch:  # noqa: FBT001, FBT002  # nn.Module's own
        """Set the mode; a frozen encoder stays in evaluation mode, with constant statistics."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map N x C x H x W in [-1, 1] to logits N x 1 x h x w, one map a level, finest first.

        Args:
            x: images of any size, unless the encoder has a fixed size; they come after the source's
                channels where the task adds these.
        """
        maps = self.encoder(self.encoder.pad(x))
        return [head(features) for head, features in zip(self.heads, maps, strict=True)]


def _head(channels: int, options: TimmPatchOptions) -> nn.Sequential:
    first = nn.Conv2d(
        channels,
        options.width,
        3,
        padding=1,
        bias=options.norm == "spectral" or uses_bias(options.norm),
    )
    last = nn.Conv2d(options.width, 1, 3, padding=1)
    act = nn.LeakyReLU(LEAK, inplace=True)
    if options.norm == "spectral":
        return nn.Sequential(spectral_norm(first), act, spectral_norm(last))
    return nn.Sequential(first, norm_2d(options.norm, options.width), act, last)
