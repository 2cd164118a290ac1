"""The table `[start]`: weights that a new run begins from, and weights that it never changes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from ganzoo.api import Options

ROLE = re.compile(r"[A-Za-z0-9_-]+")
"""What the name of a role consists of."""


def _a_source(value: Any) -> Any:
    """Refuse a value that isn't text, and list the settings: its key may be a misspelt one."""
    if not isinstance(value, str):
        message = 'must be "FILE" or "RUN[:ROLE]"; the settings are strict, adapt and freeze'
        raise ValueError(message)  # noqa: TRY004  # pydantic reports only a ValueError
    return value


class Start(Options):
    """Weights that a new run begins from. Each other key is a role of the task and names a run
    directory, a checkpoint's folder or a weights file, as in `generator = "RUN"`. A resume never
    reads them again.
    """

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, Annotated[str, Field(min_length=1), BeforeValidator(_a_source)]]

    strict: bool = True
    """Whether every name and shape of the weights must fit the network. With `false` a network
    takes what fits, and the rest keeps its initial weights."""
    adapt: Literal["none", "channels"] = "none"
    """`channels`: the first and the last layer are adapted where the images have another number of
    channels than those of the weights."""
    freeze: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Patterns of parameters that never change in training, such as `"encoder.*"` for all networks
    or `"generator/encoder.*"` for one role. `*` also stands for dots."""

    @property
    def sources(self) -> dict[str, str]:
        """Return what each role starts from, as it is written: `FILE or RUN[:role]`."""
        return dict(self.__pydantic_extra__)

    @property
    def replaced(self) -> frozenset[str]:
        """Return the roles whose networks keep none of their initial weights."""
        return frozenset(self.sources if self.strict else ())

    @model_validator(mode="after")
    def _has_an_effect(self) -> Start:
        if not self.sources and (not self.strict or self.adapt != "none"):
            key = "strict" if not self.strict else "adapt"
            message = f'{key} has no effect: name the weights, as in generator = "RUN"'
            raise ValueError(message)
        return self


def split_source(text: str) -> tuple[str, str | None]:
    """Return the path and the role of `FILE or RUN[:role]`; the role is None if there is none."""
    path, colon, role = text.rpartition(":")
    if not (colon and path and ROLE.fullmatch(role)) or _exists(text):
        return text, None
    return path, role


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # a name that no file can have
        return False
