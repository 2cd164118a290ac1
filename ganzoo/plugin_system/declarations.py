"""The declarations of a plugin: its decorated functions, the results of its hooks, their checks."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.resources.abc import Traversable
from typing import Any
from unicodedata import category

import pluggy

from ganzoo.api import API_VERSION, KINDS, TAGS, Component, declared_in
from ganzoo.plugin_system.hookspecs import DiscoverySpecs
from ganzoo.plugin_system.suggestions import did_you_mean

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_ID = re.compile(r"[a-z][a-z0-9_]*/[a-z0-9][a-z0-9_.-]*")

_LOADED = frozenset({"data", "augment", "format"})
"""The kinds whose components are sent to loader processes."""
_PAGE = 'docs/contract-2.md, "From contract 1 to 2",'


class RefusedError(Exception):
    """A plugin breaks a rule; the message becomes the reason in its record."""


def ask(plugin: Any, module: str) -> tuple[tuple[Component, ...], tuple[Traversable, ...]]:
    """Return a plugin's components and recipes after a check; its discovery hooks are called.

    Args:
        plugin: what the entry point names: a module, or an object with hookimpls as methods.
        module: the name of the module that the entry point names, which is imported; functions
            that are decorated in it declare components.

    Raises:
        RefusedError: the plugin breaks a rule.
        pluggy.PluginValidationError: the plugin has an unknown hook, or one with other arguments.
    """
    light = sys.modules.get(module)
    stated = getattr(light, "GANZOO_API_VERSION", API_VERSION)
    version = getattr(plugin, "GANZOO_API_VERSION", stated)
    if not isinstance(version, int) or isinstance(version, bool):
        raise RefusedError(f"GANZOO_API_VERSION is {version!r}, which is not a whole number")
    if version != API_VERSION:
        advice = "upgrade ganzoo" if version > API_VERSION else f"{_PAGE} says what to change in it"
        raise RefusedError(
            f"written for API version {version}; this ganzoo has API version {API_VERSION}: "
            f"{advice}"
        )
    if inspect.isclass(plugin):
        raise RefusedError(f"the entry point names the class {plugin.__name__}, not an object")
    for name, value in getattr(plugin, "__dict__", {}).items():
        if (
            name.startswith("ganzoo_")
            and inspect.isfunction(value)
            and value.__module__ == getattr(plugin, "__name__", "")
            and not hasattr(value, "ganzoo_impl")
        ):
            raise RefusedError(f"{name} lacks @hookimpl (from ganzoo.api), so it is never called")
    # Each plugin has its own manager: in a shared one, a fault of one plugin would fail them all.
    manager = pluggy.PluginManager("ganzoo")
    manager.add_hookspecs(DiscoverySpecs)
    manager.register(plugin)
    manager.check_pending()
    returned = tuple(_by_name(_flat(manager.hook.ganzoo_components(), "ganzoo_components")))
    components = _checked((*declared_in(light), *returned))
    return tuple(components), tuple(_recipes(manager))


def _by_name(components: Iterable[Any]) -> Iterator[Any]:
    """Check that loader processes can get what they use; decorated functions are always found."""
    for component in components:
        target = getattr(component, "target", None)
        function = getattr(target, "func", target)  # `func` is a partial's function
        if (
            isinstance(component, Component)
            and component.kind in _LOADED
            and inspect.isfunction(function)
            and not _found(function)
        ):
            raise RefusedError(
                f'component "{component.name}": loader processes can\'t import its target, '
                f"{function.__qualname__}: use a function of the module, or a functools.partial of "
                "one"
            )
        yield component


def _found(function: Any) -> bool:
    """Return whether a function is what its module has under its name."""
    found: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is function


def _checked(components: Iterable[Any]) -> Iterator[Component]:
    seen = set()
    for component in components:
        if not isinstance(component, Component):
            raise RefusedError(
                f"ganzoo_components returned {component!r}, which is not a Component"
            )
        if fault := (
            _fault_of_types(component)
            or _fault_of_words(component)
            or _fault_of_functions(component)
        ):
            raise RefusedError(f'component "{component.name}": {fault}')
        key = (component.kind, component.name)
        if key in seen:
            raise RefusedError(f'it has two components of kind {key[0]} called "{key[1]}"')
        seen.add(key)
        yield component


def _recipes(manager: pluggy.PluginManager) -> Iterator[Traversable]:
    seen = set()
    for recipe in _flat(manager.hook.ganzoo_recipes(), "ganzoo_recipes"):
        if not isinstance(recipe, Traversable):
            raise RefusedError(f"ganzoo_recipes returned {recipe!r}, which is not a readable file")
        if not recipe.name.endswith(".toml") or not recipe.is_file():
            raise RefusedError(f"ganzoo_recipes returned {recipe}, which is not a TOML file")
        if recipe.name in seen:
            raise RefusedError(f'it has two recipes called "{recipe.name}"')
        seen.add(recipe.name)
        yield recipe


def _flat(results: list[Any], hook: str) -> Iterator[Any]:
    for result in results:
        if isinstance(result, str) or not isinstance(result, Iterable):
            raise RefusedError(f"{hook} returned {result!r}, which is not a list")
        yield from result


def _fault_of_types(component: Component) -> str:
    """Return which field hasn't its declared type, or an empty string.

    Python doesn't check the types of a dataclass.
    """
    for what in ("kind", "name", "summary", "paper", "renamed_to"):
        text: Any = getattr(component, what)
        if not isinstance(text, str) or any(category(sign) in {"Cc", "Cs"} for sign in text):
            return f"{what} is {text!r}, not one line of text"
    revision: Any = component.revision
    if not isinstance(revision, int) or isinstance(revision, bool):
        return f"revision is {revision!r}, which is not a whole number"
    presets: Any = component.presets
    if not _is_table(presets) or not all(map(_is_table, presets.values())):
        return "presets must be tables of options, by name"
    for name, preset in presets.items():
        if not _could_be_toml(preset):
            return f'the preset "{name}" holds a value that no recipe can contain'
    tags: Any = component.tags
    if not isinstance(tags, tuple) or not all(isinstance(tag, str) for tag in tags):
        return f'tags is {tags!r}, not a tuple of texts such as ("{next(iter(TAGS))}",)'
    return ""


def _fault_of_words(component: Component) -> str:
    """Return what is wrong with a text field, or an empty string."""
    if component.kind not in KINDS:
        return f'unknown kind "{component.kind}"'
    if not _NAME.fullmatch(component.name):
        return "a name has lower-case letters, digits, _ . and -"
    if component.renamed_to and not _ID.fullmatch(component.renamed_to):
        return f'renamed_to "{component.renamed_to}" must have the form namespace/name'
    for tag in component.tags:
        if tag not in TAGS:
            advice = did_you_mean(tag, TAGS) or f"the tags are {', '.join(TAGS)}"
            return f'unknown tag "{tag}": {advice}'
    return ""


def _fault_of_functions(component: Component) -> str:
    """Return why the target or the options can't be asked for, or an empty string.

    Neither function is called here, since that would import torch or pydantic.
    """
    if component.renamed_to:
        return ""
    for what, function in (("target", component.target), ("options", component.options)):
        if what == "options" and (function is None or inspect.isclass(function)):
            continue
        if not callable(function) or inspect.isclass(function):
            fault = f"{what} is {function!r}, not a function that returns it"
            return f"{fault}: see {_PAGE.rstrip(',')}" if isinstance(function, str) else fault
        if needed := _arguments(function):
            return f"the function of its {what} is called without arguments, but needs {needed}"
    return ""


def _arguments(function: Callable[..., Any]) -> str:
    """Return the names of the arguments that a function can't be called without."""
    code = None if hasattr(function, "__wrapped__") else getattr(function, "__code__", None)
    if code is not None and code.co_argcount == code.co_kwonlyargcount == 0:
        # This is the usual case. `inspect.signature` takes several times as long, and every command
        # calls this function for each component.
        return ""
    return ", ".join(
        name
        for name, one in inspect.signature(function).parameters.items()
        if one.default is one.empty and one.kind not in {one.VAR_POSITIONAL, one.VAR_KEYWORD}
    )


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _could_be_toml(value: Any) -> bool:
    if isinstance(value, Mapping):
        return _is_table(value) and all(map(_could_be_toml, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_could_be_toml, value))
    return isinstance(value, str | int | float)
