"""The yardstick: the paper's facades model and its step in plain PyTorch, as anyone would write it.

Nothing of ganzoo is in here. The order of operations is that of the reference implementation
(arXiv 1611.07004, section 3.3): generator forward, discriminator step on the detached image,
generator step through the updated discriminator; `torch.optim.Adam` with its defaults.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention
from torch.nn.parallel import DistributedDataParallel


def _outputs(width: int, depth: int) -> list[int]:
    return [width * min(2**layer, 8) for layer in range(depth)]


class PlainUNet(nn.Module):
    """The paper's U-Net; parameters come in the order of ganzoo's `pix2pix/unet`."""

    def __init__(self, width: int = 64, depth: int = 8, dropout: float = 0.5) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        before, outputs = 3, _outputs(width, depth)
        for index, out in enumerate(outputs):
            layer: list[nn.Module] = [nn.Conv2d(before, out, 4, 2, 1, bias=False)]
            if 0 < index < depth - 1:
                layer.append(nn.BatchNorm2d(out))
            self.encoder.append(nn.Sequential(*layer))
            before = out
        for index, out in enumerate(reversed(outputs[:-1])):
            layer = [nn.ConvTranspose2d(before, out, 4, 2, 1, bias=False), nn.BatchNorm2d(out)]
            if 1 <= index <= 3:
                layer.append(nn.Dropout(dropout))
            self.decoder.append(nn.Sequential(*layer))
            before = 2 * out
        self.decoder.append(nn.Sequential(nn.ConvTranspose2d(before, 3, 4, 2, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """N x 3 x H x W to the same."""
        skips = [self.encoder[0](x)]
        for layer in self.encoder[1:]:
            skips.append(layer(F.leaky_relu(skips[-1], 0.2)))
        x = self.decoder[0](F.relu(skips.pop()))
        for layer in self.decoder[1:]:
            # The reference's leaky ReLU works in place, so what is joined has been through it.
            x = layer(F.relu(torch.cat([F.leaky_relu(skips.pop(), 0.2), x], 1)))
        return torch.tanh(x)


class PlainPatchGAN(nn.Sequential):
    """The PatchGAN of 70 pixels, for images with their source before them."""

    def __init__(self, width: int = 64) -> None:
        super().__init__(
            nn.Conv2d(6, width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(4 * width),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(4 * width, 8 * width, 4, 1, 1, bias=False),
            nn.BatchNorm2d(8 * width),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(8 * width, 1, 4, 1, 1),
        )


def draw_weights(net: nn.Module) -> nn.Module:
    """Initial weights of the reference: N(0, 0.02), batch norm's scale N(1, 0.02)."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
    return net


class PlainStep:
    """The training step.

    Args:
        generator, discriminator: called as in a plain loop; DDP's wrappers will do as well.
        bf16: run the networks under autocast.
    """

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, *, bf16: bool = False
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        # In the generator's turn DDP would wait for gradients of the discriminator's weights.
        wrapped = isinstance(discriminator, DistributedDataParallel)
        self.frozen: nn.Module = discriminator.module if wrapped else discriminator
        self.bf16 = bf16
        self.g_adam = torch.optim.Adam(generator.parameters(), 2e-4, betas=(0.5, 0.999))
        self.d_adam = torch.optim.Adam(discriminator.parameters(), 2e-4, betas=(0.5, 0.999))

    def __call__(self, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Move both players once; returns their terms."""
        with torch.autocast(source.device.type, torch.bfloat16, enabled=self.bf16):
            fake = self.generator(source)
            for parameter in self.discriminator.parameters():
                parameter.requires_grad_(True)
            self.d_adam.zero_grad()
            judged_fake = self._judge(self.discriminator, source, fake.detach(), real=False)
            judged_real = self._judge(self.discriminator, source, target, real=True)
            ((judged_fake + judged_real) * 0.5).backward()
            self.d_adam.step()
            for parameter in self.discriminator.parameters():
                parameter.requires_grad_(False)
            self.g_adam.zero_grad()
            fooled = self._judge(self.frozen, source, fake, real=True)
            l1 = F.l1_loss(fake.float() if self.bf16 else fake, target) * 100
            (fooled + l1).backward()
            self.g_adam.step()
        return {
            "discriminator/real": judged_real.detach() * 0.5,
            "discriminator/fake": judged_fake.detach() * 0.5,
            "generator/gan": fooled.detach(),
            "generator/l1": l1.detach(),
        }

    def _judge(self, judge: nn.Module, source: Tensor, image: Tensor, *, real: bool) -> Tensor:
        logits = judge(torch.cat([source, image], 1))
        goal = torch.ones_like(logits) if real else torch.zeros_like(logits)
        return F.binary_cross_entropy_with_logits(logits, goal)


def make_step(
    *,
    width: int = 64,
    depth: int = 8,
    dropout: float = 0.5,
    device: str = "cpu",
    bf16: bool = False,
) -> PlainStep:
    """Both networks with fresh weights on the device, and their step."""
    generator = draw_weights(PlainUNet(width, depth, dropout)).to(device)
    discriminator = draw_weights(PlainPatchGAN(width)).to(device)
    return PlainStep(generator, discriminator, bf16=bf16)
