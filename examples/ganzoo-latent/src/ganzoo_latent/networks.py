"""Encoder and decoder: convolutions between an image and a code of a quarter of its size."""

from __future__ import annotations

from ganzoo.interfaces import NetIO
from torch import Tensor, nn

from ganzoo_latent.options import FACTOR, DecoderOptions, EncoderOptions

NORM_GROUPS = 4


class Encoder(nn.Module):
    """An image to the mean and the log-variance of its code.

    Args:
        options: see `EncoderOptions`.
        io: from an image (C, H, W) to `mean` and `logvar`, both (D, H / 4, W / 4).

    Raises:
        ValueError: something else goes in or out.
    """

    def __init__(self, options: EncoderOptions, io: NetIO) -> None:
        super().__init__()
        channels, *size = io.images_in()
        if list(io.outputs) != ["mean", "logvar"]:
            raise ValueError(f"makes mean and logvar, not {' and '.join(io.outputs) or 'nothing'}")
        shapes = {field.shape for field in io.outputs.values()}
        code, *cells = next(iter(shapes))
        if len(shapes) > 1 or [FACTOR * cell for cell in cells] != size:
            raise ValueError(f"makes a quarter of the size that it takes, {size}, not {shapes}")
        width = options.width
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            _norm(width),
            nn.SiLU(),
            nn.Conv2d(width, 2 * width, 4, 2, padding=1),
            _norm(2 * width),
            nn.SiLU(),
            nn.Conv2d(2 * width, 4 * width, 4, 2, padding=1),
            *(Residual(4 * width) for _ in range(options.blocks)),
            _norm(4 * width),
            nn.SiLU(),
            nn.Conv2d(4 * width, 2 * code, 3, padding=1),
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map N x C x H x W to `mean` and `logvar`, both N x D x H / 4 x W / 4."""
        mean, logvar = self.layers(x).chunk(2, 1)
        return {"mean": mean, "logvar": logvar.clamp(-20, 20)}


class Decoder(nn.Module):
    """A code to an image of four times its height and width.

    Args:
        options: see `DecoderOptions`.
        io: from a code (D, h, w) to an image (C, 4 h, 4 w).

    Raises:
        ValueError: something else goes in or out.
    """

    def __init__(self, options: DecoderOptions, io: NetIO) -> None:
        super().__init__()
        channels, *size = io.images_out()
        if len(io.input.shape) != 3 or [FACTOR * cell for cell in io.input.shape[1:]] != size:
            raise ValueError(f"makes four times the size that it takes, not {size}")
        width = options.width
        self.layers = nn.Sequential(
            nn.Conv2d(io.input.shape[0], 4 * width, 3, padding=1),
            *(Residual(4 * width) for _ in range(options.blocks)),
            _norm(4 * width),
            nn.SiLU(),
            nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, padding=1),
            _norm(2 * width),
            nn.SiLU(),
            nn.ConvTranspose2d(2 * width, width, 4, 2, padding=1),
            _norm(width),
            nn.SiLU(),
            nn.Conv2d(width, channels, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map N x D x h x w to N x C x 4 h x 4 w in [-1, 1]."""
        image: Tensor = self.layers(x)
        return image


class Residual(nn.Module):
    """Two convolutions beside the identity: N x C x H x W to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _norm(width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            _norm(width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add to the input what the layers make of it."""
        changed: Tensor = self.layers(x)
        return x + changed


def _norm(width: int) -> nn.Module:
    """Return a normalisation that looks at one sample at a time."""
    return nn.GroupNorm(NORM_GROUPS, width)
