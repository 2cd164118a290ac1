"""CycleGAN: image-to-image translation without pairs (arXiv 1703.10593). Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ganzoo.api import Component, hookimpl


@hookimpl
def ganzoo_components() -> Iterable[Component]:
    """Return the components."""
    return ()
