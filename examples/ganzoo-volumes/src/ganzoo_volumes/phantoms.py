"""Drawn phantoms: a body of ellipsoids, as MR shows it and as CT does.

`python -m ganzoo_volumes.phantoms FOLDER` writes a set of them as `.npy` files.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ganzoo.data import write_array

MR_RANGE = (0.0, 1000.0)
CT_RANGE = (-1000.0, 2000.0)


class Tissue(NamedTuple):
    """What a tissue looks like."""

    mr: float
    """Intensity in MR, in arbitrary units."""
    ct: float
    """Attenuation in CT, in HU."""


# Bone is as dark as lung in MR, and far brighter in CT: a network must look at the surroundings.
AIR = Tissue(0, -1000)
FAT = Tissue(800, -100)
MUSCLE = Tissue(400, 50)
LUNG = Tissue(90, -750)
BONE = Tissue(90, 900)
FLUID = Tissue(200, 10)


def draw(
    size: int, noise: float, seed: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw a phantom.

    Args:
        size: the number of voxels along each axis.
        noise: standard deviation of the noise of MR, as a share of the brightest tissue.
        seed: the only source of chance.

    Returns:
        MR in arbitrary units and CT in HU, float32, and the inside of the body, uint8; each
        D x H x W.
    """
    chance = np.random.default_rng(seed)
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    place = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"))
    mr = np.full((size,) * 3, float(AIR.mr))
    ct = np.full((size,) * 3, float(AIR.ct))

    def ellipsoid(centre: tuple[float, float, float], radii: np.ndarray) -> np.ndarray:
        moved = place - np.reshape(centre, (3, 1, 1, 1))
        inside: np.ndarray = ((moved / radii.reshape(3, 1, 1, 1)) ** 2).sum(0) < 1
        return inside

    def fill(inside: np.ndarray, tissue: Tissue) -> None:
        mr[inside], ct[inside] = tissue

    radii = chance.uniform((0.9, 0.65, 0.75), (1.2, 0.8, 0.9))
    body = ellipsoid((0, 0, 0), radii)
    fill(body, FAT)
    fill(ellipsoid((0, 0, 0), radii - chance.uniform(0.06, 0.16)), MUSCLE)
    for side in (-1, 1):
        centre = (chance.uniform(-0.3, 0.3), chance.uniform(-0.2, 0), side * 0.38)
        fill(ellipsoid(centre, chance.uniform((0.3, 0.22, 0.18), (0.6, 0.35, 0.26))), LUNG)
    for _ in range(chance.integers(1, 4)):
        where = chance.uniform(-0.3, 0.3), chance.uniform(-0.4, 0.4), chance.uniform(-0.3, 0.3)
        tissue = FLUID if chance.random() < 0.5 else BONE
        fill(ellipsoid(where, chance.uniform(0.06, 0.16, 3)), tissue)
    spine = (0.0, chance.uniform(0.3, 0.4), chance.uniform(-0.08, 0.08))
    fill(ellipsoid(spine, np.array([3.0, *chance.uniform(0.1, 0.16, 2)])) & body, BONE)
    # The field of the coils makes MR brighter at one side; the scanner changes all of it.
    slope = chance.uniform(-0.15, 0.15, 3)
    mr *= chance.uniform(0.8, 1.1) * (1 + np.tensordot(slope, place, 1))
    mr = np.abs(mr + noise * FAT.mr * chance.standard_normal(mr.shape))
    return (
        mr.clip(*MR_RANGE).astype(np.float32),
        ct.astype(np.float32),
        body.astype(np.uint8),
    )


def write_set(
    folder: Path, size: int, counts: Mapping[str, int], noise: float = 0.02, seed: int = 0
) -> None:
    """Write FOLDER/SPLIT/mr, ct and mask, with a `.npy` file of each phantom.

    Args:
        folder: where the set is written.
        size: the number of voxels along each axis.
        counts: the number of phantoms of train, val and test, in this order.
        noise: see `draw`.
        seed: other phantoms for another seed.
    """
    for number, (split, count) in enumerate(counts.items()):
        for index in range(count):
            parts = draw(size, noise, (seed, number, index, 0))
            for name, array in zip(("mr", "ct", "mask"), parts, strict=True):
                place = folder / split / name
                place.mkdir(parents=True, exist_ok=True)
                write_array(array, place / f"{index:06d}.npy")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a set of phantoms as files: FOLDER/SPLIT/mr, ct and mask."""
    parser = argparse.ArgumentParser("python -m ganzoo_volumes.phantoms", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=32, help="voxels along each axis")
    parser.add_argument("--noise", type=float, default=0.02, help="share of the brightest tissue")
    parser.add_argument("--seed", type=int, default=0)
    for split, count in (("train", 32), ("val", 4), ("test", 8)):
        parser.add_argument(f"--{split}", type=int, default=count, help="number of phantoms")
    chosen = parser.parse_args(arguments)
    counts = {split: getattr(chosen, split) for split in ("train", "val", "test")}
    write_set(chosen.folder, chosen.size, counts, chosen.noise, chosen.seed)
    print(f"wrote {chosen.folder}")  # noqa: T201


if __name__ == "__main__":
    main()
