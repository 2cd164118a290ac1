"""What a plugin's light module imports: what declares components, and their options.

Nothing here imports torch, so that naming a component never costs more than reading its name. The
options are imported when somebody asks for one of them, since pydantic takes longer to import than
`ganzoo list` may run.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import pluggy

if TYPE_CHECKING:
    from ganzoo.options import (
        Chosen,
        HasProgress,
        Mode,
        NetOptions,
        OptimizerOptions,
        Options,
        Ref,
        Scalar,
        TaskOptions,
    )

__all__ = [
    "API_VERSION",
    "KINDS",
    "TAGS",
    "Chosen",
    "Component",
    "HasProgress",
    "Kind",
    "Mode",
    "NetOptions",
    "OptimizerOptions",
    "Options",
    "Ref",
    "Scalar",
    "Target",
    "TaskOptions",
    "component",
    "hookimpl",
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
    "optimizer",
    "schedule",
    "format",
]
"""What a component can be; `ganzoo.interfaces` says what the target of each is called with."""
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Every kind, in the order in which lists show them."""

TAGS: Mapping[str, str] = {
    "unbounded_output": "what it generates may leave [-1, 1]",
    "reads_the_batch": "what it makes of a sample depends on the other samples of the batch",
    "no_known_values": "some of its terms can't be worked out by hand",
}
"""What a component may state about itself as `tags`, with the meaning of each. The conformance kit
leaves out the check that a component with the tag can't pass, and of known values only the terms
that aren't stated; `ganzoo show` prints the tags."""

hookimpl = pluggy.HookimplMarker("ganzoo")
"""Marks a function or method as an implementation of one of ganzoo's hooks."""


Target: TypeAlias = Callable[..., Any]
"""The class or function that a component is; `ganzoo.interfaces` says how each kind's is called."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One thing that a recipe can name; `@component` makes one of a function.

    Args:
        kind: what it is, which determines how its target is called (see `ganzoo.interfaces`).
        name: its name inside the plugin's namespace: `crop` becomes the id `my_plugin/crop`.
        target: a function without arguments that imports the target and returns it. It is called
            when the component is used; None only where `renamed_to` is given.
        options: its `Options` class, or a function without arguments that imports the class and
            returns it; None for no options. The class's module must not import torch.
        summary: the line that `ganzoo list` shows.
        paper: the arXiv id or URL of the paper.
        revision: a number that is raised when the same options and weights get another meaning.
            Checkpoints have it, and those of another revision are refused.
        renamed_to: the id to use instead, if the component has another name now.
        presets: named sets of options.
        tags: what it states about itself, of `TAGS`.
    """

    kind: Kind
    name: str
    target: Callable[[], Target] | None = None
    options: Callable[[], Any] | None = None
    summary: str = ""
    paper: str = ""
    revision: int = 1
    renamed_to: str = ""
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    def load(self) -> Any:
        """Import the target and return it.

        Raises:
            TypeError: there is no function, or it returned something that can't be called.
            Exception: whatever the import raises; callers say whose component it was.
        """
        if self.target is None:
            message = "it has no target"
            raise TypeError(message)
        target = self.target()
        if not callable(target):
            message = f"its function returned {target!r}, not a class or a function"
            raise TypeError(message)
        return target

    def options_class(self) -> type[Options]:
        """Import the class of the options and return it; callers check whether it is a class.

        Raises:
            Exception: whatever the import raises; callers say whose component it was.
        """
        if self.options is None:
            given: Any = importlib.import_module("ganzoo.options").Options
        else:
            given = self.options if isinstance(self.options, type) else self.options()
        declared: type[Options] = given
        return declared

    @property
    def place(self) -> str:
        """The file and line of the function that imports the target, such as `my_gan.py:12`."""
        function = getattr(self.target, "func", self.target)  # `func` is a partial's function
        code = getattr(function, "__code__", None)
        return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle a declared component as the name of its declaration: functions may be lambdas."""
        module = getattr(self.target, "__module__", "")
        if any(one is self for one in declared_in(sys.modules.get(module))):
            return _declaration, (module, self.kind, self.name)
        return super().__reduce_ex__(protocol)


_DECLARED = "__ganzoo_components__"


def component(
    kind: Kind,
    options: type[Options] | Callable[[], type[Options]] | None = None,
    *,
    name: str = "",
    paper: str = "",
    revision: int = 1,
    presets: Mapping[str, Mapping[str, Any]] | None = None,
    tags: tuple[str, ...] = (),
) -> Callable[[Callable[[], Target]], Component]:
    """Declare a component by a function without arguments that imports its target and returns it.

    The first paragraph of the function's docstring is the component's summary. ganzoo finds every
    function that is decorated in the module that the plugin's entry point names, or imported into
    it from another module of the plugin.

    Args:
        kind: what it is, which determines how the target is called (see `ganzoo.interfaces`).
        options: its `Options` class, or a function that imports the class and returns it; None for
            no options. The function keeps pydantic out of `ganzoo list`, which imports the plugin.
        name: its name inside the plugin's namespace; the function's name if it is empty.
        paper: the arXiv id or URL of the paper.
        revision: a number that is raised when the same options and weights get another meaning.
        presets: named sets of options.
        tags: what the component states about itself, of `TAGS`.

    Raises:
        TypeError: `component` or its result decorates something other than a function.
    """
    if not isinstance(kind, str):
        message = '@component needs a kind: @component("loss")'
        raise TypeError(message)

    def declare(function: Callable[[], Target]) -> Component:
        if not isinstance(function, FunctionType):
            message = (
                f"@component decorates {function!r}; it decorates a function that returns the "
                "component's class"
            )
            raise TypeError(message)
        declared = Component(
            kind=kind,
            name=name or function.__name__,
            target=function,
            options=options,
            summary=" ".join(re.split(r"\n\s*\n", (function.__doc__ or "").strip())[0].split()),
            paper=paper,
            revision=revision,
            presets={} if presets is None else presets,
            tags=tags,
        )
        # A list of the module's own, since its attributes are not enough: a submodule
        # `resnet`, once imported, takes the place of a function `resnet` in its package.
        function.__globals__.setdefault(_DECLARED, []).append(declared)
        return declared

    return declare


def declared_in(module: ModuleType | None) -> tuple[Component, ...]:
    """Return the components that functions of a module declare, in the order of the source.

    Those that it imports from other modules of its package follow.
    """
    if module is None:
        return ()
    own = {id(one): one for one in getattr(module, _DECLARED, ())}
    package = module.__name__.partition(".")[0]
    imported = {
        id(one): one
        for one in vars(module).values()
        if isinstance(one, Component) and _declared_below(package, one)
    }
    return tuple((own | imported).values())


def _declared_below(package: str, component: Component) -> bool:
    """Return whether a decorated function in a module of a package declares a component."""
    home = getattr(component.target, "__module__", "") or ""
    declared = getattr(sys.modules.get(home), _DECLARED, ())
    return home.partition(".")[0] == package and any(one is component for one in declared)


def _declaration(module: str, kind: Kind, name: str) -> Component:
    """Return a declared component again, for pickle.

    Raises:
        AttributeError: the module declares it no longer.
    """
    for one in declared_in(importlib.import_module(module)):
        if (one.kind, one.name) == (kind, name):
            return one
    message = f"{module} declares no {kind} called {name!r}"
    raise AttributeError(message)


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
