"""Options of ganzoo-volumes's components: what a recipe may set.

The text under a field is its help in `ganzoo show`. This module must not import torch.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ganzoo.api import NetOptions, Options, TaskOptions


class UNetOptions(NetOptions):
    """How large the generator is."""

    width: int = Field(default=16, ge=1)
    """Channels at full size; they double with each level."""
    levels: int = Field(default=3, ge=1, le=6)
    """Number of times that depth, height and width are halved."""


class PatchOptions(NetOptions):
    """How large the discriminator is."""

    width: int = Field(default=16, ge=1)
    """Channels after the first layer; they double with each layer."""
    layers: int = Field(default=2, ge=1, le=5)
    """Number of layers that halve depth, height and width."""

    def receptive_field(self) -> int:
        """4 voxels of the last layer; a layer of 4 voxels with stride 2 makes 2r + 2 of r."""
        return (6 << self.layers) - 2


class PairedOptions(TaskOptions):
    """What the discriminator sees."""

    conditional: bool = True
    """The discriminator sees the source beside the volume that it judges; false: that volume
    alone."""


class PhantomsOptions(Options):
    """What is drawn, and how much of it."""

    size: int = Field(default=32, ge=16, le=256)
    """Number of voxels along each of the three axes."""
    seed: int = Field(default=0, ge=0)
    """Seed of all phantoms: a phantom depends on this seed, its split and its index alone."""
    noise: float = Field(default=0.02, ge=0)
    """Standard deviation of the noise of the source, as a share of its brightest tissue."""
    pairs: Literal["own", "others"] = "own"
    """`own`: source and target show one phantom. `others`: the source shows another phantom than
    the target, so that nothing of an individual target can be learned from it. This is a
    control."""
    train: int = Field(default=32, ge=1)
    """Number of training samples."""
    val: int = Field(default=4, ge=1)
    """Number of validation samples."""
    test: int = Field(default=8, ge=1)
    """Number of test samples."""


class FoldersOptions(Options):
    """Where the volumes are, and what their values mean."""

    root: str
    """Folder of the set: absolute, or relative to the recipe's file, to the working directory, to
    `$GANZOO_DATA` or to ganzoo's cache, whichever has it first. It has a folder for each split,
    called train, val and test, with a folder for each of source, target and mask."""
    source: str = "mr"
    """Name of the folder of the source volumes in the folder of a split."""
    target: str = "ct"
    """Name of the folder of the target volumes."""
    mask: str = "mask"
    """Name of the folder of the masks, which are 0 outside the body. With an empty text, losses and
    scores count every voxel."""
    files: Literal[".npy", ".nii", ".nii.gz"] = ".npy"
    """The files that are read. NIfTI files need nibabel: pip install 'ganzoo-volumes[nifti]'."""
    source_range: tuple[float, float] = (0.0, 1000.0)
    """The values of the source that networks see as -1 and 1."""
    source_unit: str = ""
    """Unit of the source; an empty text stands for arbitrary units, as those of MR."""
    target_range: tuple[float, float] = (-1000.0, 2000.0)
    """The values of the target that networks see as -1 and 1. A network with a range that is too
    narrow can't make the brightest bones."""
    target_unit: str = "HU"
    """Unit of the target, its scores and the volumes that are written."""

    @model_validator(mode="after")
    def ranges_rise(self) -> FoldersOptions:
        """Refuse a range whose end isn't above its beginning."""
        for name in ("source_range", "target_range"):
            low, high = getattr(self, name)
            if not low < high:
                raise ValueError(f"{name} must rise, but is {low:g} to {high:g}")
        return self
