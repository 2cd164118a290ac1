"""`images/facades`: the CMP Facades as pix2pix packed them, found on the disk or downloaded.

The set is from Tylecek and Sara, "Spatial pattern templates for recognition of objects with regular
structure", GCPR 2013. Isola et al. (arXiv 1611.07004) packed it into JPEG files of 512 x 256 pixels
with the photograph on the left and the labels on the right. There are 400 training, 100 validation
and 106 test pairs. The set is for research only.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.data import data_cache, find_data, image_size, places
from ganzoo.errors import DataError, DataMissing
from ganzoo_images.folders import list_images, shown
from ganzoo_images.options import SideBySideOptions
from ganzoo_images.side_by_side import SideBySide

if TYPE_CHECKING:
    from ganzoo.interfaces import Field, Split
    from ganzoo_images.options import FacadesOptions

COUNTS = {"train": 400, "val": 100, "test": 106}
"""The number of pairs in each split of the set."""

SIZE = (256, 512)
"""The height and width of each file in pixels."""

PALETTE = (
    (0, 0, 222),  # background
    (0, 48, 255),  # facade
    (0, 128, 255),  # window
    (0, 207, 255),  # door
    (32, 255, 223),  # cornice
    (112, 255, 143),  # sill
    (191, 255, 64),  # balcony
    (255, 239, 0),  # blind
    (255, 159, 0),  # deco
    (255, 79, 0),  # molding
    (255, 0, 0),  # pillar
    (175, 0, 0),  # shop
)
"""The colours of the twelve classes, measured on the set. JPEG compression blurs them at
borders."""


class Facades(SideBySide):
    """Data source of the CMP Facades.

    The set is looked for in `data.root`, in `$GANZOO_DATA/facades` and in the cache. If it isn't
    found there, it is downloaded.

    Raises:
        DataMissing: when the set isn't found and can't be downloaded. The hint lists the ways to
            get it.
        DataError: when the folder that was found doesn't hold the whole set.
    """

    def __init__(self, options: FacadesOptions, split: Split) -> None:
        folder = _find_or_fetch(options)
        side_by_side = SideBySideOptions(root=str(folder), direction=options.direction)
        super().__init__(side_by_side, split)
        self.notes = (f"Facades from {folder}.", *self.notes)
        if options.root is not None and folder not in places("", options.root):
            self.notes = (f"data.root = {options.root} isn't there.", *self.notes)
        check_sizes(self.files)

    @classmethod
    def propose(cls, folder: Path) -> None:  # noqa: ARG003
        """Return None, since `images/side_by_side` reads the user's own folders of this kind."""
        return

    @classmethod
    def propose_anyway(cls, folder: Path) -> None:  # noqa: ARG003
        """Return None, for the same reason as `propose`."""
        return

    @property
    def fields(self) -> dict[str, Field]:
        """Return `source` and `target`; the label map's field has the palette of its classes."""
        labels = "source" if self.options.direction == "right_to_left" else "target"
        plain = super().fields
        return {**plain, labels: replace(plain[labels], palette=PALETTE)}


def check_counts(root: Path) -> None:
    """Raise DataError unless each split's folder holds as many images as the set has."""
    found = {
        split: len(list_images(root / split)) if (root / split).is_dir() else 0 for split in COUNTS
    }
    if found != COUNTS:
        counts = ", ".join(f"{split} {found[split]} of {COUNTS[split]}" for split in COUNTS)
        raise DataError(
            f"this isn't the complete facades set: {counts} images",
            where=str(root),
            hint="Remove or move the folder, so that it is downloaded again, or read your own "
            "pairs with "
            "images/side_by_side.",
        )


def check_sizes(files: list[Path]) -> None:
    """Raise DataError with the names of the files that aren't 512 x 256 pixels."""
    wrong = [path for path in files if image_size(path) != SIZE]
    if wrong:
        raise DataError(
            f"{len(wrong)} of these facades aren't 512 x 256 pixels",
            where=str(wrong[0].parent),
            hint=shown([path.name for path in wrong]),
        )


def _find_or_fetch(options: FacadesOptions) -> Path:
    try:
        folder = find_data("facades", options.root)
    except DataMissing as missing:
        if not options.download:
            raise DataMissing(
                missing.message, hint=f"{missing.hint}\n  or set data.download = true."
            ) from None
        from ganzoo_images.download import fetch

        target = data_cache() / "facades"
        try:
            fetch(options.url, target, _check_whole, options.sha256)
        except DataError as failed:
            # A server may send a login page instead of the archive. Then the set is missing, and
            # the recipe's fallback data may be used.
            raise DataMissing(
                f"{missing.message}, and it couldn't be downloaded: {failed.message}",
                hint=f"{missing.hint}\n  or download {options.url} yourself and unpack it there.",
            ) from failed
        folder = target
    check_counts(folder)
    return folder


def _check_whole(root: Path) -> None:
    check_counts(root)
    for split in COUNTS:
        check_sizes(list_images(root / split))
