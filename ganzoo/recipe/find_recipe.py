"""The search for a recipe: by path, beside the file that extends it, or among shipped recipes."""

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
from ganzoo.files import expanded
from ganzoo.plugin_system.registry import Registry
from ganzoo.plugin_system.suggestions import quoted

_PLUGIN_RECIPE = re.compile(r"[a-z][a-z0-9_]*/[^/.]+")


def shipped_recipes(registry: Registry) -> dict[str, Traversable]:
    """Return every shipped recipe by name, such as `quickstart`, `paper/ablation` or `plugin/name`.

    Recipes of the core lie in the folder `ganzoo/recipes` of a wheel, or in `recipes` of a
    checkout. The name of a plugin's recipe begins with the plugin's namespace.
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
    """Return the file that `ref` names.

    Args:
        ref: a path, or the name of a shipped recipe, each with or without `.toml`.
        registry: for the recipes that plugins ship.
        beside: the file in whose `extends` the name stands. Its folder is then searched before the
            working directory, so that the meaning doesn't depend on the working directory.

    Raises:
        RecipeError: there is no such file, or it is a folder; the hint has the nearest names.
        PluginError: there is no such file, and the name begins with a plugin that is absent or
            broken.
    """
    if not ref.strip():
        raise RecipeError("no recipe is named", hint=_LISTED)
    itself, refused = False, ""
    for candidate in _candidates(ref, registry, beside):
        try:
            if not candidate.is_file():
                continue
            if beside is not None and isinstance(candidate, Path) and _same(candidate, beside):
                itself = True  # a recipe may extend a shipped recipe with the same name
                continue
        except OSError as error:  # the name is too long, or the folder isn't readable
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


_LISTED = "`ganzoo recipes` lists the shipped recipes; for one of your own, give its path"


def _refuse_folder(ref: str, beside: Path | None) -> None:
    """Raise a RecipeError if `ref` is a folder; the hint names recipes in it, or what to do."""
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
    """Return `did you mean ...?` with similar names of files and shipped recipes, or ""."""
    known = {_shipped_name(name): name for name in names}
    for path in _paths(ref, beside):
        for name in _recipes_in(path.parent):
            end = name if path.suffix == ".toml" else name.removesuffix(".toml")
            one = str(Path(ref).with_name(end))
            known.setdefault(one.removesuffix(".toml"), one)
    near = get_close_matches(str(Path(_shipped_name(ref))), known)
    return f"did you mean {' or '.join(quoted(known[one]) for one in near)}?" if near else ""


def _recipes_in(folder: Path) -> list[str]:
    """Return the names of at most 1,000 TOML files in a folder."""
    with suppress(OSError, ValueError):
        return sorted(one.name for one in islice(folder.glob("*.toml"), 1000))
    return []


def _same(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same file; `other` may not exist yet."""
    return other.exists() and one.samefile(other)


def _refuse_absent_plugin(ref: str, registry: Registry, near: str) -> None:
    """Raise a PluginError if `ref` is like `plugin/name` and that plugin is absent or broken."""
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
            hint="`ganzoo plugins --verbose` shows the details",
        )


def _paths(ref: str, beside: Path | None) -> list[Path]:
    """Return the files that a path may lead to.

    It is taken from the folder of the file that extends, then from the working directory.
    """
    path = expanded(ref)
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
