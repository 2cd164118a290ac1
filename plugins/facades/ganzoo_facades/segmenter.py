"""A small segmentation network that recovers the labels of procedural facades, and its training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from ganzoo.data import isolated
from ganzoo_facades.options import LabelRecoveryOptions, ProceduralFacadesOptions
from ganzoo_facades.procedural import CLASSES, ProceduralFacades

LARGEST = 128
"""The side length in pixels above which pictures are shrunk before they are segmented."""
BATCH = 8
"""The number of pictures of up to 64 pixels in a step. Larger pictures take four times as long, and
a step has half as many of them."""


def _block(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Segmenter(nn.Module):
    """Encoder-decoder with additive skips, after U-Net (arXiv 1505.04597), on 2 x 2 blocks.

    Blocks of 2 x 2 pixels are moved into channels, and back into pixels at the end. This keeps the
    position of every edge at a quarter of the cost. The innermost level is dilated and also gets
    the mean of the whole image, since a shop and a window differ mostly in their position.

    Args:
        width: channels of the outermost level; the next ones have two and four times as many.

    Shape:
        N x 3 x H x W in [-1, 1], H and W even, to N x 12 x H x W logits.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(_block(12 + 8, w), _block(w, w))
        self.down1 = nn.Sequential(_block(w, 2 * w, stride=2), _block(2 * w, 2 * w))
        self.down2 = nn.Sequential(_block(2 * w, 4 * w, stride=2), _block(4 * w, 4 * w))
        self.inner = nn.ModuleList(
            [_block(4 * w, 4 * w, dilation=2), _block(4 * w, 4 * w, dilation=4)]
        )
        self.whole = nn.Linear(4 * w, 4 * w)
        self.up2 = nn.Sequential(nn.Conv2d(4 * w, 2 * w, 1), _block(2 * w, 2 * w))
        self.up1 = nn.Sequential(nn.Conv2d(2 * w, w, 1), _block(w, w))
        self.head = nn.Conv2d(w, 4 * len(CLASSES), 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of the classes for every pixel."""
        folded = F.pixel_unshuffle(image, 2)
        x1 = self.stem(torch.cat((folded, _position(folded)), 1))
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        for block in self.inner:
            x3 = x3 + block(x3)
        x3 = x3 + self.whole(x3.mean((2, 3)))[:, :, None, None]
        x2 = x2 + _grow(self.up2[0](x3), x2)
        x2 = self.up2[1](x2)
        x1 = x1 + _grow(self.up1[0](x2), x1)
        return F.pixel_shuffle(self.head(self.up1[1](x1)), 2)


def _grow(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[2:], mode="nearest")


def _position(x: Tensor) -> Tensor:
    """Return each cell's coordinates in [-1, 1], and three sine waves of each: N x 8 x H x W."""
    rows = torch.linspace(-1, 1, x.shape[2]).view(1, 1, -1, 1).expand(len(x), 1, *x.shape[2:])
    columns = torch.linspace(-1, 1, x.shape[3]).view(1, 1, 1, -1).expand(len(x), 1, *x.shape[2:])
    waves = [torch.sin(torch.pi * k * axis) for k in (1, 2, 4) for axis in (rows, columns)]
    return torch.cat((rows, columns, *waves), 1)


def segmented_size(height: int, width: int) -> tuple[int, int]:
    """Return the size at which an image is segmented: even, and at most 128 pixels a side."""
    factor = min(1.0, LARGEST / max(height, width))
    return 2 * max(1, round(height * factor / 2)), 2 * max(1, round(width * factor / 2))


def fit_image(image: Tensor) -> Tensor:
    """Shrink photographs N x 3 x H x W to the size at which they are segmented, by area."""
    size = segmented_size(image.shape[2], image.shape[3])
    return image if image.shape[2:] == size else F.interpolate(image, size, mode="area")


def fit_labels(labels: Tensor) -> Tensor:
    """Shrink label maps N x H x W to the size at which they are segmented, by nearest pixel."""
    size = segmented_size(labels.shape[1], labels.shape[2])
    if labels.shape[1:] == size:
        return labels
    return F.interpolate(labels[:, None].float(), size, mode="nearest")[:, 0].to(labels.dtype)


def training_set(options: LabelRecoveryOptions, size: int) -> tuple[Tensor, Tensor]:
    """Return procedural training photographs (N x 3 x S x S, uint8) and labels (N x S x S, uint8).

    `size` is at most 128, since larger images are shrunk to 128 before they are segmented.
    """
    count = options.images
    source = ProceduralFacades(
        ProceduralFacadesOptions(size=size, seed=options.seed, train=count), "train"
    )
    photographs, labels = [], []
    for index in range(count):
        sample = source.load(index)
        photographs.append(torch.from_numpy(sample["target"]).permute(2, 0, 1))
        labels.append(torch.from_numpy(sample["labels"]))
    return torch.stack(photographs), torch.stack(labels)


def train(options: LabelRecoveryOptions, size: int) -> Segmenter:
    """Train a network for images of `size` pixels; the caller's random state doesn't change.

    The training uses AdamW with a one-cycle learning rate (arXiv 1708.07120), cross-entropy over
    pixels, flips, and a random gain for each channel.
    """
    photographs, labels = training_set(options, size)
    # Rare classes get a slightly larger weight; otherwise a short training doesn't learn them.
    share = torch.bincount(labels.flatten().long(), minlength=len(CLASSES)) / labels.numel()
    weight = share.clamp_min(1e-4) ** -0.15
    # Large images get half the steps and half the batch, so that the training time is about the
    # same for every size.
    small = photographs.shape[2] <= LARGEST // 2
    steps, batch = (options.steps, BATCH) if small else ((options.steps + 1) // 2, BATCH // 2)
    with isolated(options.seed), torch.enable_grad():
        net = Segmenter(options.width).to(memory_format=torch.channels_last).train()
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=steps + 1)
        for _ in range(steps):
            chosen = torch.randint(len(photographs), (batch,))
            image, truth = photographs[chosen].float() / 127.5 - 1, labels[chosen].long()
            if torch.rand(()) < 0.5:
                image, truth = image.flip(3), truth.flip(2)
            gain = 1 + 0.12 * torch.randn(len(image), 3, 1, 1)
            image = ((image + 1) * gain - 1).clamp(-1, 1)
            logits = net(image.contiguous(memory_format=torch.channels_last))
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(logits, truth, weight).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return net.eval()
