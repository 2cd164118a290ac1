"""What a plugin's light module imports: the hook marker, components and their options.

Nothing here imports torch, so that naming a component never costs more than reading its name. The
options are imported when somebody asks for one of them, since pydantic takes longer to import than
`ganzoo list` may run.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import pluggy

if TYPE_CHECKING:
    from ganzoo.options import (
        Chosen,
        HasProgress,
        Mode,
        NetOptions,
        Options,
        Ref,
        Scalar,
        TaskOptions,
    )

__all__ = [
    "API_VERSION",
    "KINDS",
    "Chosen",
    "Component",
    "HasProgress",
    "Kind",
    "Mode",
    "NetOptions",
    "Options",
    "Ref",
    "Scalar",
    "TaskOptions",
    "hookimpl",
    "load_target",
    "set_resolver",
]

API_VERSION = 2
"""The version of this contract. A plugin module may state the one it was written for as
`GANZOO_API_VERSION`; one that states another version is not loaded."""

Kind = Literal[
    "generator",
    "discriminator",
    "network",
    "loss",
    "task",
    "data",
    "augment",
    "diffaugment",
    "metric",
    "callback",
]
"""What a component can be; `ganzoo.interfaces` says what the target of each is called with."""
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Every kind, in the order in which lists show them."""

hookimpl = pluggy.HookimplMarker("ganzoo")
"""Marks a function or method as an implementation of one of ganzoo's hooks."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One thing that a recipe can name.

    Args:
        kind: what it is; decides how `target` is called (see `ganzoo.interfaces`).
        name: its name inside the plugin's namespace: `crop` becomes the id `my_plugin/crop`.
        target: `module:attribute`, imported only when the component is used.
        options: `module:attribute` of its `Options` class; that module must not import torch.
        summary: one line for `ganzoo list`.
        paper: arXiv id or URL.
        revision: raised when the same options and weights would mean something else; stored in
            checkpoints, and a mismatch is refused.
        renamed_to: the id to use instead; the component then only points there.
        presets: named sets of options.
    """

    kind: Kind
    name: str
    target: str = ""
    options: str = "ganzoo.api:Options"
    summary: str = ""
    paper: str = ""
    revision: int = 1
    renamed_to: str = ""
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def load_target(target: str) -> Any:
    """Import `module:attribute` and return the attribute.

    Raises:
        ImportError, AttributeError: as Python does; callers say whose component it was.
    """
    module, _, attribute = target.partition(":")
    value: Any = importlib.import_module(module)
    for part in attribute.split("."):
        value = getattr(value, part)
    return value


_resolver: Callable[[Kind, Any], Chosen] | None = None


def set_resolver(resolver: Callable[[Kind, Any], Chosen]) -> None:
    """Install the function that turns a string or table into a `Chosen` (the registry does)."""
    global _resolver  # noqa: PLW0603  # the one slot through which the layer above is reached
    _resolver = resolver


def resolved(kind: Kind, value: Any) -> Chosen:
    """Return the component that a string or table names.

    Raises:
        ValueError: no registry is active.
        GanzooError: no such component, or wrong options.
    """
    if _resolver is None:
        message = "no registry is active: call ganzoo.plugin_system.registry.activate() first"
        raise ValueError(message)
    return _resolver(kind, value)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import the options when one of them is asked for."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module("ganzoo.options"), name)
