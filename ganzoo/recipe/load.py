"""Functions that make a `Recipe` from a file, a text or plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from ganzoo.errors import RecipeError
from ganzoo.plugin_system import registry as registries
from ganzoo.recipe.find_recipe import find_recipe
from ganzoo.recipe.merge import Node, Source, build, plain
from ganzoo.recipe.model import Recipe
from ganzoo.recipe.optimizer_merge import merge_recipes
from ganzoo.recipe.override import apply_override
from ganzoo.recipe.parse import MOST_BYTES, NotReadError, parse
from ganzoo.recipe.problems import Problem, RecipeProblems, at
from ganzoo.recipe.relative_paths import rooted
from ganzoo.recipe.resolved import ARRAYS
from ganzoo.recipe.validate import runs_folder, validate


def load_recipe(
    ref: str | Path,
    overrides: Sequence[str] = (),
    registry: registries.Registry | None = None,
) -> Recipe:
    """Read, complete and check a recipe.

    Args:
        ref: a path, or the name of a shipped recipe, each with or without `.toml`.
        overrides: arguments of `--set`, `KEY=VALUE`, applied in their order.
        registry: the plugins; by default `ganzoo.plugin_system.registry.current()`.

    Raises:
        RecipeProblems: the recipe has problems; the error has each of them with its place.
        RecipeError: there is no such recipe.
        UsageError: an override isn't like `KEY=VALUE`.
    """
    return read_recipe(ref, registry).checked(overrides)


def read_recipe(ref: str | Path, registry: registries.Registry | None = None) -> ReadRecipe:
    """Read a recipe and all that it extends, without any check of its content.

    Args:
        ref: as for `load_recipe`.
        registry: as for `load_recipe`.

    Raises:
        RecipeProblems: a file isn't valid TOML, or extends a recipe that doesn't exist.
        RecipeError: there is no such recipe, or it can't be read.
    """
    registry = registry or registries.current()
    file = find_recipe(str(ref), registry)
    reader = _Reader(registry)
    tree = reader.read(file)
    stem = file.name.removesuffix(".toml")
    path = file if isinstance(file, Path) else None
    return ReadRecipe(reader, tree, stem, tree.mark.source.text, path)


def read_merged(
    file: Traversable, registry: registries.Registry, *, places: bool = True
) -> dict[str, Any]:
    """Return a recipe merged with all that it extends, as plain data; no component is checked.

    Args:
        file: the recipe.
        registry: for the recipes that plugins ship.
        places: whether problems have their places. Finding the places doubles the time.

    Raises:
        RecipeProblems: a file isn't valid TOML, or extends a recipe that doesn't exist.
        RecipeError: the recipe can't be read.
    """
    merged: dict[str, Any] = plain(read_tree(file, registry, places=places))
    return merged


def read_tree(file: Traversable, registry: registries.Registry, *, places: bool = True) -> Node:
    """Do the same as `read_merged`, but return the values with their places."""
    return _Reader(registry, places=places).read(file)


def loads(
    text: str,
    name: str = "recipe",
    overrides: Sequence[str] = (),
    registry: registries.Registry | None = None,
    path: Path | None = None,
) -> Recipe:
    """Do the same as `load_recipe` for a text.

    Args:
        text: the recipe, as TOML.
        name: what messages show in place of the file's name.
        overrides: as for `load_recipe`.
        registry: as for `load_recipe`.
        path: the file to which the text will be written; relative names are searched beside it.
    """
    reader = _Reader(registry or registries.current())
    read = ReadRecipe(reader, reader.parse(text, name, path), name, text, path)
    return read.checked(overrides)


def load_document(
    document: Mapping[str, Any], registry: registries.Registry | None = None
) -> Recipe:
    """Do the same as `load_recipe` for plain data, such as the `document` of a recipe."""
    reader = _Reader(registry or registries.current())
    return ReadRecipe(reader, build(document, Source("document"), {}), "recipe").checked()


MOST_PARENTS = 100
"""The largest number of recipes that one recipe may extend, directly and through others."""


def read_text(file: Traversable) -> str:
    """Return the text of a recipe's file.

    Raises:
        RecipeError: the file can't be read, is too long, or isn't UTF-8 text.
    """
    where = _shown(file)
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            message = f"is too long for a recipe: more than {MOST_BYTES:,} bytes"
            raise RecipeError(message, where=where)
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(f"is not UTF-8 text: {error.reason}", where=where) from error
    except OSError as error:
        raise RecipeError(f"can't be read: {error.strerror}", where=where) from error


@dataclass
class _Reader:
    registry: registries.Registry
    places: bool = True
    """Whether the place of each value is found."""
    count: int = 0
    """The number of files read so far."""
    parents: int = 0
    """The number of recipes named by `extends` so far."""
    above: list[Path] = field(default_factory=list)
    """The files whose `extends` are being followed."""
    seen: dict[Traversable, Node] = field(default_factory=dict)
    """The content of the files that were read already. Two parents may extend the same file."""

    def read(self, file: Traversable) -> Node:
        if file not in self.seen:
            path = file if isinstance(file, Path) else None
            self.seen[file] = self.parse(read_text(file), _shown(file), path)
        return self.seen[file]

    def parse(self, text: str, name: str, path: Path | None) -> Node:
        """Parse a text and merge it with the recipes that it extends."""
        text = text.replace("\r\n", "\n")
        source = Source(name, text, self.count)
        self.count += 1
        try:
            data, spans = parse(text, places=self.places)
        except NotReadError as error:
            raise RecipeProblems([error.problem(source)]) from error
        node = build(data, source, spans)
        extends = node.value.pop("extends", None)
        if extends is None:
            return node
        base: Node | None = None
        for parent in extends.value if isinstance(extends.value, list) else [extends]:
            other = self._parent(parent, path)
            base = other if base is None else merge_recipes(base, other, self.registry)
        return node if base is None else merge_recipes(base, node, self.registry)

    def _parent(self, node: Node, path: Path | None) -> Node:
        def problem(message: str, hint: str = "") -> RecipeProblems:
            return RecipeProblems([at(node.mark, "extends", message, hint)])

        if not isinstance(node.value, str):
            raise problem("must be the name or path of a recipe, or an array of them")
        self.parents += 1
        if self.parents > MOST_PARENTS:
            raise problem(f"more than {MOST_PARENTS} recipes are extended in total")
        try:
            file = find_recipe(node.value, self.registry, beside=path)
        except RecipeError as error:
            raise problem(error.message, error.hint) from error
        here = [] if path is None else [path.resolve()]
        if isinstance(file, Path) and file.resolve() in self.above + here:
            names = [one.name for one in [*self.above, *here, file]]
            names[1:-4] = ["..."] if len(names) > 6 else names[1:-4]
            raise problem(f"recipes extend each other in a circle: {' -> '.join(names)}")
        self.above += here
        try:
            return self.read(file)
        finally:
            del self.above[len(self.above) - len(here) :]


@dataclass(frozen=True)
class ReadRecipe:
    """A recipe as read from its files, before any check of its content."""

    reader: _Reader
    tree: Node
    stem: str
    """The name of the recipe if it doesn't contain one."""
    text: str = ""
    path: Path | None = None

    def checked(self, overrides: Sequence[str] = ()) -> Recipe:
        """Return the recipe, completed and checked.

        Raises:
            RecipeProblems, UsageError: for the same reasons as in `load_recipe`.
        """
        tree, problems = self._changed(overrides)
        registry = self.reader.registry
        recipe = validate(tree, registry, problems, stem=self.stem, text=self.text, path=self.path)
        return recipe if self.path is None else rooted(recipe)

    def runs(self, overrides: Sequence[str] = ()) -> Path:
        """Return the folder of the recipe's runs, `OUT/NAME`; no other key is checked.

        Raises:
            RecipeProblems, UsageError: as in `load_recipe`, but for these two keys only.
        """
        tree, problems = self._changed(overrides)
        return runs_folder(tree, self.reader.registry, problems, stem=self.stem)

    def _changed(self, overrides: Sequence[str]) -> tuple[Node, list[Problem]]:
        """Return the tree with the overrides applied, and the problems of the overrides."""
        tree = _normalised(self.tree)
        problems: list[Problem] = []
        for number, argument in enumerate(overrides):
            outcome = apply_override(
                tree, argument, self.reader.count + number, self.reader.registry
            )
            if isinstance(outcome, Problem):
                problems.append(outcome)
            else:
                tree = outcome
        return _normalised(tree), problems


def _normalised(tree: Node) -> Node:
    """Return the tree with one form for values with two, such as `[loss]` and `[[loss]]`."""
    table = dict(tree.value)
    for key in ARRAYS:
        if key in table and not isinstance(table[key].value, list):
            table[key] = Node([table[key]], table[key].mark)
    if "loss" in table and isinstance(table["loss"].value, list) and len(table["loss"].value) == 1:
        table["loss"] = table["loss"].value[0]
    return Node(table, tree.mark)


def _shown(file: Traversable) -> str:
    """Return a path as messages show it: relative if it lies below the working directory."""
    if not isinstance(file, Path):
        return str(file)
    try:
        return str(file.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(file)
