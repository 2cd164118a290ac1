"""The paper's facades model for several benchmarks: its recipe, its files, and the plain loop's way
to read them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

RECIPE = """
extends = "pix2pix_facades.toml"
name = "facades"
[data]
use = "{use}"
root = "{root}"
direction = "right_to_left"
[[augment]]
use = "images/resize"
size = {large}
[[augment]]
use = "albumentations/random_crop"
height = {size}
width = {size}
[[augment]]
use = "albumentations/horizontal_flip"
p = 0.5
[generator]
depth = {depth}
width = {width}
[discriminator]
width = {width}
[train]
device = "cpu"
workers = 0
batch_size = {batch}
precision = "{precision}"
[ema]
enabled = false
"""
"""The paper's, at the size that is asked for."""


def plain_pair(file: Path, size: int, random: Random) -> tuple[Any, Any]:
    """A label map and a photograph as the reference reads them, with Pillow and torch alone.

    Open, split, resize both, cut out, mirror, normalise to [-1, 1].

    Args:
        file: photograph | label map.
        size: pixels that are cut out of a picture enlarged by 286 / 256.
        random: of the place and the mirroring.

    Returns:
        Two tensors of 3 x size x size.
    """
    import numpy as np
    import torch
    from PIL import Image

    with Image.open(file) as opened:
        both = opened.convert("RGB")
    half, large = both.width // 2, size * 286 // 256
    x, y = random.randint(0, large - size), random.randint(0, large - size)
    mirrored = random.random() > 0.5
    pair = []
    for left in (half, 0):
        image = both.crop((left, 0, left + half, both.height))
        image = image.resize((large, large), Image.Resampling.BICUBIC)
        image = image.crop((x, y, x + size, y + size))
        if mirrored:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        pair.append(pixels.contiguous().float().div(255).sub(0.5).div(0.5))
    return pair[0], pair[1]


def plain_batches(root: Path, size: int, batch: int = 1) -> Iterator[tuple[Any, Any]]:
    """Batches of label maps and photographs without end, as `plain_pair` makes them.

    Args:
        root: folder of the training files.
        size: as of `plain_pair`.
        batch: pairs of a batch.
    """
    from torch.utils.data import DataLoader, Dataset

    class Pairs(Dataset[tuple[Any, Any]]):
        def __init__(self) -> None:
            self.files = sorted(path for path in root.iterdir() if path.is_file())
            self.random = Random()

        def __len__(self) -> int:
            return len(self.files)

        def __getitem__(self, index: int) -> tuple[Any, Any]:
            return plain_pair(self.files[index], size, self.random)

    loader = DataLoader(Pairs(), batch_size=batch, shuffle=True, drop_last=True)
    while True:
        yield from loader


def depth_of(size: int) -> int:
    """Layers of the U-Net's encoder that bring images of this side down to one pixel."""
    return size.bit_length() - 1


def prepare(folder: Path, *, size: int, width: int, batch: int = 1) -> dict[str, Any]:
    """What a measuring process needs to know: `root` of the files, and the recipe's `text`.

    The files are the real facades if `$GANZOO_DATA` has them, else pictures of blocks
    in `folder`.

    Args:
        folder: for what must lie on disk.
        size: pixels of an image's side, a power of 2.
        width: channels of both networks' first layers.
        batch: images of a process's batch.
    """
    root = _root(folder, size, count=16)
    text = RECIPE.format(
        use="images/side_by_side" if root == folder else "images/facades",
        root=root,
        large=size * 286 // 256,
        size=size,
        depth=depth_of(size),
        width=width,
        batch=batch,
        precision="{precision}",
    )
    return {"root": str(root), "recipe": text, "size": size, "width": width, "batch": batch}


def _root(folder: Path, size: int, count: int) -> Path:
    """The folder of facades: the real set, or pictures of blocks written to `folder`."""
    real = Path(os.environ.get("GANZOO_DATA", "")) / "facades"
    if size >= 256 and (real / "train").is_dir():
        return real
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        (folder / split).mkdir()
        for index in range(count):
            blocks = rng.integers(0, 256, (size // 8, size // 4, 3), dtype=np.uint8)
            picture = Image.fromarray(blocks).resize((2 * size, size), Image.Resampling.NEAREST)
            picture.save(folder / split / f"{index:03d}.png")
    return folder
