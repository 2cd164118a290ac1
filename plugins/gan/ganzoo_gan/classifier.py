"""A small classifier of digits, with which the metrics judge generated digits."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from ganzoo.data import isolated
from ganzoo.errors import DataError
from ganzoo.interfaces import Split
from ganzoo.metrics import judge_file, kept_judge
from ganzoo_gan.data_options import SIZES, DigitClassifierOptions, Source
from ganzoo_gan.digits import CLASSES, labelled

log = logging.getLogger(__name__)

BATCH = 64
"""The number of digits in a training step."""
_AT_ONCE = 1024
"""The number of digits that are classified at once. It limits the memory that is needed."""


class DigitClassifier(nn.Module):
    """Three convolutions and two linear layers; images of more than 16 pixels are halved first.

    Shape:
        N x 1 x S x S in [-1, 1], S = 8, 16, 28 or 32, to N x 10 logits.

    Args:
        size: S.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.halve = size > 16
        small = size // 2 if self.halve else size
        last = small // 2 // (2 if small > 8 else 1)
        self.layers = nn.Sequential(
            _block(1, 16),
            nn.MaxPool2d(2),
            _block(16, 32),
            _block(32, 32),
            nn.MaxPool2d(2) if small > 8 else nn.Identity(),
            nn.Flatten(),
            nn.Linear(32 * last**2, 64),
            nn.ReLU(inplace=True),
            nn.Linear(64, CLASSES),
        )

    def forward(self, digits: Tensor) -> Tensor:
        """Return the logits of the ten classes."""
        if self.halve:
            digits = F.avg_pool2d(digits, 2)
        logits: Tensor = self.layers(digits)
        return logits


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def digits_of(source: Source, size: int, split: Split) -> tuple[Tensor, Tensor]:
    """Return a split's digits, N x 1 x S x S in [-1, 1], and their classes, N.

    Raises:
        DataError: when the source has no digits of this size.
    """
    _check_size(source, size)
    digits = labelled(source, size, split)
    images = torch.tensor(digits.images)[:, None].float() / 127.5 - 1
    return images, torch.tensor(digits.labels)


def _check_size(source: Source, size: int) -> None:
    if size not in SIZES[source]:
        *most, last = map(str, SIZES[source])
        raise DataError(
            f"no net can judge digits of {size} pixels: those of {source} come with "
            f"{', '.join(most)} or {last}",
            hint="`source` of the metric must be that of the data.",
        )


def check_digits(images: Tensor, options: DigitClassifierOptions, channels: tuple[int, ...]) -> int:
    """Check that a classifier can judge images N x C x S x S channel by channel, and return S.

    Args:
        images: the generated images.
        options: they name the source.
        channels: the counts of channels that are allowed.

    Raises:
        DataError: when the images have another shape, or a size that the source doesn't have.
    """
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[1] not in channels or shape[2] != shape[3]:
        wanted = " or ".join(map(str, channels))
        raise DataError(
            f"digits are square images of {wanted} channels, but these are {shape}",
            hint="This metric works only for digits: leave it out of [[metric]].",
        )
    _check_size(options.source, shape[2])
    return shape[2]


def classify(net: DigitClassifier, digits: Tensor) -> Tensor:
    """Return the most likely class of each digit: N x 1 x S x S in [-1, 1] to N int64."""
    with torch.no_grad():
        found = [net(part.float().cpu()).argmax(1) for part in torch.split(digits, _AT_ONCE)]
    return torch.cat(found)


def train(
    options: DigitClassifierOptions, size: int, *, shuffled_labels: bool = False
) -> DigitClassifier:
    """Train on the source's training digits; the caller's random state doesn't change.

    The training uses AdamW with a one-cycle learning rate (arXiv 1708.07120) and cross-entropy. The
    digits get small random rotations, scalings and shifts, and random backgrounds, contrasts and
    noise.

    Args:
        options: source, seed and steps.
        size: height and width of the digits.
        shuffled_labels: shuffle the labels first. The classifier then can't learn more than chance,
            and serves as a comparison.
    """
    images, labels = digits_of(options.source, size, "train")
    with isolated(options.seed), torch.enable_grad(), _one_thread():
        if shuffled_labels:
            labels = labels[torch.randperm(len(labels))]
        net = DigitClassifier(size).train()
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 1e-2, total_steps=options.steps + 1
        )
        for _ in range(options.steps):
            chosen = torch.randint(len(images), (BATCH,))
            loss = F.cross_entropy(net(_worn(_moved(images[chosen]))), labels[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return net.eval()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch on one thread, so that results don't depend on a machine's number of cores.

    The order of sums depends on the number of threads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _moved(digits: Tensor) -> Tensor:
    """Rotate digits by up to 12 degrees, scale them by up to 10 %, shift them by up to 7 %."""
    count = len(digits)
    angle, scale = math.radians(12) * _spread(count), 1 + 0.1 * _spread(count)
    cosine, sine = scale * torch.cos(angle), scale * torch.sin(angle)
    # Coordinates are in [-1, 1], so 0.14 is 7 % of a side.
    across, down = 0.14 * _spread(count), 0.14 * _spread(count)
    rows = torch.stack((cosine, -sine, across, sine, cosine, down), 1).view(-1, 2, 3)
    grid = F.affine_grid(rows, list(digits.shape), align_corners=False)
    # Outside the image `grid_sample` fills with 0. Black is -1, so the images are shifted by 1
    # before the resampling and back after it.
    return F.grid_sample(digits + 1, grid, align_corners=False) - 1


def _worn(digits: Tensor) -> Tensor:
    """Give digits less contrast, a background that isn't black, and noise.

    Real digits have none of these, but the digits of a generator early in training do. Without this
    augmentation, a classifier assigns every sample on dark gray to one class, and a generator of
    all modes would be judged as collapsed.
    """
    shape = (len(digits), 1, 1, 1)
    dark, bright = -1 + 0.8 * torch.rand(shape), 1 - 0.5 * torch.rand(shape)
    noise = 0.3 * torch.rand(shape) * torch.randn(digits.shape)
    return (dark + (bright - dark) * (digits + 1) / 2 + noise).clamp(-1, 1)


def _spread(count: int) -> Tensor:
    return 2 * torch.rand(count) - 1


def trained(
    options: DigitClassifierOptions, size: int, *, shuffled_labels: bool = False
) -> DigitClassifier:
    """Return the classifier for digits of `size` pixels, from the cache or newly trained.

    A newly trained classifier is saved in the cache. A damaged file of the cache is replaced.

    Raises:
        DataError: when the source has no digits of this size.
    """
    _check_size(options.source, size)

    def train_now() -> DigitClassifier:
        what = " with shuffled labels, for comparison" if shuffled_labels else ""
        log.info(
            "training a digit classifier (%s)%s: this takes some seconds", options.source, what
        )
        return train(options, size, shuffled_labels=shuffled_labels)

    file = cache_file(options, size, shuffled_labels=shuffled_labels)
    return kept_judge(file if options.use_cache else None, lambda: DigitClassifier(size), train_now)


def cache_file(options: DigitClassifierOptions, size: int, *, shuffled_labels: bool) -> Path:
    """Return a trained classifier's file; its name hashes source, seed, steps, size and code."""
    folder = Path(__file__).parent
    settings = f"{options.source} {options.seed} {options.steps} {size} {shuffled_labels}"
    return judge_file(
        "digit_classifier", settings, (folder / "classifier.py", folder / "digits.py")
    )
