"""Options of the plugin's components that read files. Imports no torch, numpy or Pillow."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from ganzoo.api import Options

Channels = Literal["rgb", "gray", "rgba"]
CHANNEL_COUNT = {"gray": 1, "rgb": 3, "rgba": 4}
"""The number of channels for each value of `Channels`."""
Direction = Literal["left_to_right", "right_to_left"]
Filter = Literal["nearest", "box", "bilinear", "bicubic", "lanczos"]
Side = Annotated[int, Field(ge=1, le=65536)]

FACADES_URL = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/facades.tar.gz"
"""The address at which pix2pix's authors publish the set. The server has no https."""


class FolderOptions(Options):
    """Options of every component that reads a folder with splits."""

    root: str
    """Folder of the set: absolute, or relative to the recipe's file, to the working directory, to
    `$GANZOO_DATA` or to ganzoo's cache, whichever has it first."""
    train: str = "train"
    """Name of the folder of the training images; `train` is also found as `Train` or `training`."""
    val: str = "val"
    """Name of the folder of the validation images (`val`: also `Validation` or `valid`); without it
    `test` is used, and the log says so."""
    test: str = "test"
    """Name of the folder of the test images (`test`: also `Test` or `testing`); without it `val` is
    used, and the log says so."""
    split_seed: int = Field(default=0, ge=0)
    """Without folders val and test, files are distributed 80/10/10 by a hash of this seed and their
    name."""

    @field_validator("root", "train", "val", "test")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not value.strip():
            message = "must not be empty"
            raise ValueError(message)
        return value


class SideBySideOptions(FolderOptions):
    """Options of `images/side_by_side`."""

    direction: Direction = "left_to_right"
    """`left_to_right`: the left half is the source and the right half the target."""
    channels: Channels = "rgb"
    """Channels of both images; files with other channels are converted (transparency over
    white)."""


class SidesOptions(FolderOptions):
    """Options of every component that reads two folders.

    Accepted layouts, tried in this order: `train/A`, `A/train`, `trainA`, and `A` without splits.
    """

    source: str = "A"
    """Name of the folder of the source images."""
    target: str = "B"
    """Name of the folder of the target images."""
    source_channels: Channels = "rgb"
    """Channels of the source; files with other channels are converted (transparency over white)."""
    target_channels: Channels = "rgb"
    """Channels of the target."""


class TwoFoldersOptions(SidesOptions):
    """Options of `images/two_folders`.

    Accepted layouts, tried in this order: `train/A`, `A/train`, `trainA`, and `A` without splits.
    """

    unmatched: Literal["error", "skip"] = "error"
    """What to do with files that have no partner, or one of another size: stop and list them, or
    leave them out and say so."""
    source_suffix: str = ""
    """End of the names of source files, after the part that both files of a pair share."""
    target_suffix: str = ""
    """The same for target files: `x4` where `A/000.png` belongs to `B/000x4.png`."""
    sizes: Literal["equal", "resize", "crop"] = "equal"
    """How both images of a pair get one size. `equal`: they have it; `resize`: the source gets its
    target's, bicubically; `crop`: both are cut to what they have in common, around the middle."""


class UnpairedOptions(SidesOptions):
    """Options of `images/unpaired`.

    Accepted layouts, tried in this order: `train/A`, `A/train`, `trainA`, and `A` without splits.
    """


class ImageFolderOptions(FolderOptions):
    """Options of `images/folder`."""

    channels: Channels = "rgb"
    """Channels of the images; files with other channels are converted (transparency over white)."""
    classes: bool = False
    """Each folder of the set (`train/cat`, or `cat` without splits) is a class: samples then have a
    `label` too. Otherwise images in subfolders are taken together with the others."""


class FacadesOptions(Options):
    """Options of `images/facades`."""

    root: str | None = None
    """Folder of the set; absent: `$GANZOO_DATA/facades`, then ganzoo's cache."""
    direction: Direction = "right_to_left"
    """`right_to_left`: labels to photograph, as in the paper (the photograph is on the left)."""
    download: bool = True
    """Download the set into ganzoo's cache if it isn't found."""
    url: str = Field(default=FACADES_URL, pattern="^https?://")
    """Address to download it from: the server of pix2pix's authors, or a mirror of the same
    archive."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """SHA-256 of the archive, if you know it: a download with another one is refused. A folder that
    is already there isn't compared. The authors have published none, so by default only the number
    and the size of the images are checked."""


class ResizeOptions(Options):
    """Options of `images/resize`."""

    size: Side | tuple[Side, Side]
    """New size in pixels: one number for a square, or [height, width]."""
    filter: Filter = "bicubic"
    """Pillow's resampling filter for images; label maps always take `nearest`."""
    filters: dict[str, Filter] = Field(default_factory=dict)
    """Another filter for single fields: `filters = { source = "nearest" }`."""
