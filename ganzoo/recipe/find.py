"""Where recipes are: a path, beside the file that extends, or shipped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path

import ganzoo
from ganzoo.errors import PluginError, RecipeError
from ganzoo.registry import Registry
from ganzoo.wording import did_you_mean

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
        RecipeError: nothing is there; the nearest names are in the hint.
        PluginError: nothing is there, and the plugin that the name begins with is absent or broken.
    """
    itself = False
    for candidate in _candidates(ref, registry, beside):
        if not candidate.is_file():
            continue
        if beside is not None and isinstance(candidate, Path) and candidate.samefile(beside):
            itself = True  # a recipe may extend a shipped one of its own name
            continue
        return candidate
    if itself:
        raise RecipeError(f'"{ref}" is this recipe itself')
    if (Path(ref).expanduser() / "recipe.toml").is_file():
        raise RecipeError(
            f'"{ref}" is a folder', hint=f"the recipe in it is {Path(ref, 'recipe.toml')}"
        )
    names = shipped_recipes(registry)
    near = did_you_mean(_shipped_name(ref), names)
    folders = {one.partition("/")[0] for one in names if "/" in one}
    if ref.partition("/")[0] not in folders:
        _refuse_absent_plugin(ref, registry, near)
    raise RecipeError(
        f'no recipe "{ref}"',
        hint=near or ("shipped: " + ", ".join(sorted(names)) if names else ""),
    )


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


def _candidates(ref: str, registry: Registry, beside: Path | None) -> Iterator[Traversable]:
    path = Path(ref).expanduser()
    paths = [path] if path.suffix == ".toml" else [path, path.with_name(path.name + ".toml")]
    if beside is not None and not path.is_absolute():
        yield from (beside.parent / one for one in paths)
    yield from paths
    names = shipped_recipes(registry)
    name = _shipped_name(ref)
    if name in names:
        yield names[name]
    ends = [file for known, file in names.items() if known.endswith(f"/{name}")]
    if len(ends) == 1:
        yield ends[0]


def _shipped_name(ref: str) -> str:
    return ref.removeprefix("./").removeprefix("recipes/").removesuffix(".toml")
