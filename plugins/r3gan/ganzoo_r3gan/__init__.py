"""R3GAN: a relativistic GAN with zero-centred penalties (arXiv 2501.05441). Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ganzoo.api import Component, hookimpl


@hookimpl
def ganzoo_components() -> Iterable[Component]:
    """Return the components."""
    return ()
