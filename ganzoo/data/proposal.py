"""What a data component says of a user's own folder, for `ganzoo init`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Proposal:
    """A recipe for a folder: what to extend, and the options of its data table.

    Args:
        extends: the shipped recipe that suits such data.
        options: of the component's data table, `root` included.
        because: what was seen in the folder, in one sentence.
        turned: the options that differ when the pair is read the other way round; empty where
            that means nothing.
    """

    extends: str
    options: Mapping[str, Any]
    because: str
    turned: Mapping[str, Any] = field(default_factory=dict)


class Proposes(Protocol):
    """A data component's target that knows its folders when it sees them.

    Optional: `ganzoo init` asks every data component whose target has `propose`. A target may also
    have `propose_anyway`, of the same signature: what it makes of a folder that `propose` may not
    recognise, for `ganzoo init --use`; None where nothing can be made of it.
    """

    @classmethod
    def propose(cls, folder: Path) -> Proposal | None:
        """A recipe for this folder; None if it isn't the component's kind."""
        ...
