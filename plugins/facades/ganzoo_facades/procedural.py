"""Procedural facades: pictures of drawn buildings with exactly known label maps.

They replace the CMP facades where these aren't available. They have the same classes, the same
colours of the label maps and about the same shares of pixels, but no perspective. Colours,
materials and light change from building to building. Labels can therefore be recovered from texture
and context, but not from colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ganzoo.interfaces import Field, Split
from ganzoo_facades.building_types import alike, draw_house, style_of
from ganzoo_facades.layout import CLASSES, PALETTE, draw_plan
from ganzoo_facades.options import ProceduralFacadesOptions
from ganzoo_facades.paint import photograph
from ganzoo_facades.style import draw_style

REVISION = 1
"""The number of the drawing's version. It is raised with any change of what is drawn, because
trained segmentation networks are cached under it."""

_SPLITS: tuple[Split, ...] = ("train", "val", "test")
_COLOURS = np.array(PALETTE, np.uint8)


class ProceduralFacades:
    """Data source of drawn facades; a sample is a function of (seed, split, index) alone.

    The fields are `source`, the label map in the CMP palette (3 x size x size image); `target`, the
    photograph (3 x size x size image); and `labels`, the class indices 0 to 11 in the palette's
    order (size x size).
    """

    metrics = ("facades/label_recovery", "images/colour_error")
    notes = ("procedural facades: drawn buildings, not photographs",)

    def __init__(self, options: ProceduralFacadesOptions, split: Split) -> None:
        self.options = options
        self.split: Split = split
        self._count = {"train": options.train, "val": options.val, "test": options.test}[split]

    @property
    def fields(self) -> Mapping[str, Field]:
        """Return the shapes, kinds and palette of `source`, `target` and `labels`."""
        size = self.options.size
        return {
            "source": Field((3, size, size), "ganzoo/image", palette=PALETTE),
            "target": Field((3, size, size), "ganzoo/image"),
            "labels": Field((size, size), "ganzoo/labels"),
        }

    def __len__(self) -> int:
        return self._count

    def load(self, index: int, rng: np.random.Generator | None = None) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Draw a sample.

        Args:
            index: 0 to `len(self) - 1`.
            rng: not used; the building depends on seed, split and index alone.

        Returns:
            `source` and `target` as size x size x 3 uint8, `labels` as size x size uint8.

        Raises:
            IndexError: when there is no such sample.
        """
        if not 0 <= index < self._count:
            message = f"{self.split} has {self._count} samples, there is no index {index}"
            raise IndexError(message)
        entropy = (self.options.seed, _SPLITS.index(self.split), index)
        # Plan, style and paint have separate random streams, so a code change in one of them
        # doesn't change the others.
        streams = [
            np.random.Generator(np.random.PCG64(s))
            for s in np.random.SeedSequence(entropy).spawn(3)
        ]
        if self.options.styles == "by_layout":
            plan = draw_house(streams[0], self.options.size)
            style, plan = style_of(plan, streams[1]), alike(plan)
        else:
            plan, style = draw_plan(streams[0], self.options.size), draw_style(streams[1])
        labels = plan.labels()
        return {
            "source": _COLOURS[labels],
            "target": photograph(plan, style, streams[2]),
            "labels": labels,
        }

    def name(self, index: int) -> str:
        """Return the index with six digits: `000012`."""
        return f"{index:06d}"


__all__ = ["CLASSES", "PALETTE", "REVISION", "ProceduralFacades"]
