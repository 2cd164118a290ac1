"""Where recipes are: a path, beside the file that extends, or shipped."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from contextlib import suppress
from difflib import get_close_matches
from importlib.resources.abc import Traversable
from itertools import islice
from pathlib import Path

import ganzoo
from ganzoo.errors import PluginError, RecipeError, one_line
from ganzoo.plugin_system.registry import Registry
from ganzoo.plugin_system.suggestions import quoted

_PLUGIN_RECIPE = re.compile(r"[a-z][a-z0-9_]*/[^/.]+")


def shipped_recipes(registry: Registry) -> dict[str, Traversable]:
    """Every shipped recipe by its name, such as `quickstart`, `paper/ablation` or `plugin/name`.

    The core's come from `ganzoo/recipes` of a wheel, or from the checkout's `recipes`; a plugin's
    have its namespace before them.
    """
    found: dict[str, Traversable] = {}
    package = Path(ganzoo.__file__).parent
    folder = package / "recipes"
    if not folder.is_dir() and (package.parent / "pyproject.toml").is_file():
        folder = package.parent / "recipes"
    for file in sorted(folder.rglob("*.toml")):
        found[file.relative_to(folder).with_suffix("").as_posix()] = file
    for record in registry.records:
        for recipe in record.recipes:
            found[f"{record.namespace}/{recipe.name.removesuffix('.toml')}"] = recipe
    return found


def find_recipe(ref: str, registry: Registry, beside: Path | None = None) -> Traversable:
    """The file that `ref` means.

    Args:
        ref: a path, or the name of a shipped recipe, each with or without `.toml`.
        registry: for the recipes that plugins ship.
        beside: the file whose `extends` it is. Its own folder is then looked into before the
            working directory, so that where a command is given doesn't change what it means.

    Raises:
        RecipeError: nothing is there, or a folder; the nearest names are in the hint.
        PluginError: nothing is there, and the plugin that the name begins with is absent or broken.
    """
    if not ref.strip():
        raise RecipeError("no recipe is named", hint=_LISTED)
    itself, refused = False, ""
    for candidate in _candidates(ref, registry, beside):
        try:
            if not candidate.is_file():
                continue
            if beside is not None and isinstance(candidate, Path) and _same(candidate, beside):
                itself = True  # a recipe may extend a shipped one of its own name
                continue
        except OSError as error:  # too long a name, or a folder that may not be read
            refused = f": {error.strerror}"
            continue
        return candidate
    if itself:
        raise RecipeError(f"{quoted(ref)} is this recipe itself")
    with suppress(OSError):
        _refuse_folder(ref, beside)
    names = shipped_recipes(registry)
    near = _nearest(ref, names, beside)
    folders = {one.partition("/")[0] for one in names if "/" in one}
    if ref.partition("/")[0] not in folders:
        _refuse_absent_plugin(ref, registry, near)
    raise RecipeError(f"no recipe {quoted(one_line(ref, 100))}{refused}", hint=near or _LISTED)


_LISTED = "`ganzoo recipes` lists those that are shipped; one of your own is named by its path"


def _refuse_folder(ref: str, beside: Path | None) -> None:
    """Raise a RecipeError where `ref` is a folder, with what in it could be meant."""
    folder = next((one for one in _paths(ref, beside) if one.is_dir()), None)
    if folder is None:
        return
    recipes = _recipes_in(folder)
    if "recipe.toml" in recipes:
        hint = f"the recipe in it is {Path(ref, 'recipe.toml')}"
    elif recipes:
        more = ", ..." if len(recipes) > 3 else ""
        hint = f"recipes in it: {', '.join(str(Path(ref, one)) for one in recipes[:3])}{more}"
    elif beside is None:
        hint = f"`ganzoo init {shlex.quote(ref)}` writes a recipe for a folder of pictures"
    else:
        hint = _LISTED
    raise RecipeError(f"{quoted(ref)} is a folder, not a recipe", hint=hint)


def _nearest(ref: str, names: Iterable[str], beside: Path | None) -> str:
    """`did you mean ...?` for files where one was looked for, and for shipped recipes."""
    known = {_shipped_name(name): name for name in names}
    for path in _paths(ref, beside):
        for name in _recipes_in(path.parent):
            end = name if path.suffix == ".toml" else name.removesuffix(".toml")
            one = str(Path(ref).with_name(end))
            known.setdefault(one.removesuffix(".toml"), one)
    near = get_close_matches(str(Path(_shipped_name(ref))), known)
    return f"did you mean {' or '.join(quoted(known[one]) for one in near)}?" if near else ""


def _recipes_in(folder: Path) -> list[str]:
    """Names of the TOML files in a folder, of at most 1,000."""
    with suppress(OSError, ValueError):
        return sorted(one.name for one in islice(folder.glob("*.toml"), 1000))
    return []


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one file; `other` may not be written yet."""
    return other.exists() and one.samefile(other)


def _refuse_absent_plugin(ref: str, registry: Registry, near: str) -> None:
    """Raise a PluginError where `ref` is like `plugin/name` and that plugin is absent or broken."""
    if not _PLUGIN_RECIPE.fullmatch(ref) or Path(ref).parent.is_dir():
        return
    try:
        record = registry.record_of(ref)
    except PluginError as error:
        hint = "\n".join(filter(None, (near, error.hint)))
        raise PluginError(f'no recipe "{ref}": {error.message}', hint=hint) from error
    if record.state != "ok":
        raise PluginError(
            f'no recipe "{ref}": the plugin "{record.namespace}" is {record.state}: '
            f"{record.reason}",
            hint="`ganzoo plugins --verbose` shows all that is known of it",
        )


def _paths(ref: str, beside: Path | None) -> list[Path]:
    """Where a path leads: from the folder of the file that extends, and from where one is."""
    path = Path(ref)
    with suppress(RuntimeError):  # `~name` of nobody
        path = path.expanduser()
    return [path] if beside is None or path.is_absolute() else [beside.parent / path, path]


def _candidates(ref: str, registry: Registry, beside: Path | None) -> Iterator[Traversable]:
    for path in _paths(ref, beside):
        yield path
        if path.suffix != ".toml" and path.name:
            yield path.with_name(path.name + ".toml")
    names = shipped_recipes(registry)
    name = _shipped_name(ref)
    if name in names:
        yield names[name]
    ends = [file for known, file in names.items() if known.endswith(f"/{name}")]
    if len(ends) == 1:
        yield ends[0]


def _shipped_name(ref: str) -> str:
    return ref.removeprefix("./").removeprefix("recipes/").removesuffix(".toml")
