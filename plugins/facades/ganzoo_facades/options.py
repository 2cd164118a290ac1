"""Options of the procedural facades and of the label recovery metric. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ganzoo.api import Options


class ProceduralFacadesOptions(Options):
    """Which buildings are drawn, and how many."""

    size: int = Field(default=256, ge=32, le=512)
    """Height and width of a picture, in pixels."""
    seed: int = Field(default=0, ge=0)
    """Seed of all buildings: sample `index` of a split depends only on this seed and the index."""
    styles: Literal["free", "by_layout"] = "free"
    """`free`: colours, materials and light differ from building to building, independently of the
    labels. `by_layout`: six types of houses with one kind of ornament each, from which colours and
    material follow, so that a generator can learn them from the labels."""
    train: int = Field(default=400, ge=1)
    """Count of training samples."""
    val: int = Field(default=100, ge=1)
    """Count of validation samples."""
    test: int = Field(default=106, ge=1)
    """Count of test samples."""


class LabelRecoveryOptions(Options):
    """How the segmentation network that recovers labels from photographs is trained."""

    seed: int = Field(default=0, ge=0)
    """Seed of the net's weights and batches, and of the buildings that it is trained on."""
    images: int = Field(default=800, ge=2)
    """Count of procedural training photographs that it is trained on."""
    steps: int = Field(default=1500, ge=1)
    """Optimisation steps at up to 64 pixels; larger pictures get half as many, to keep the time."""
    width: int = Field(default=32, ge=4)
    """Channels of the net's first level."""
    use_cache: bool = True
    """Whether to keep the trained net in `$GANZOO_CACHE`, or else in the user's cache folder."""
