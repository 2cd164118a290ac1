"""The checks that all tables of a recipe share; each problem is recorded with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import ValidationError

from ganzoo.api import Chosen, Kind, Options
from ganzoo.errors import ExitCode
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.plugin_system.option_errors import QUOTES, UNKNOWN, OptionProblem, explain
from ganzoo.plugin_system.registry import CORE_KEYS, Registry
from ganzoo.plugin_system.suggestions import did_you_mean
from ganzoo.recipe.control_characters import quotes_for
from ganzoo.recipe.merge import Node, descend, plain
from ganzoo.recipe.misplaced_keys import belongs, options_of_others
from ganzoo.recipe.optimizer_tables import with_whole_optimizers
from ganzoo.recipe.problems import Problem, at
from ganzoo.recipe.role_tables import with_whole_roles
from ganzoo.recipe.toml_positions import Keys

Model = TypeVar("Model", bound=Options)


class TableChecks:
    """The parts of a check that don't depend on which keys a recipe has.

    Args:
        tree: the recipe, merged and normalised. In the attribute `tree`, the tables of roles are
            laid over the default tables of their kinds, which `kinds` has, and those of players
            over `[optimizer]`.
        registry: the registry of components.
        problems: the problems so far; those found here are added.
    """

    def __init__(self, tree: Node, registry: Registry, problems: list[Problem]) -> None:
        tree = with_whole_optimizers(tree, registry)
        self.tree, self.kinds = with_whole_roles(tree, registry)
        self.table: dict[str, Node] = self.tree.value
        self.registry = registry
        self.problems = problems

    def complain(
        self,
        loc: Keys,
        message: str,
        hint: str = "",
        *,
        on_key: bool = False,
        exit_code: ExitCode = ExitCode.RECIPE,
    ) -> None:
        """Record a problem at its place, or at the nearest table if nothing is there."""
        node, depth = descend(self.tree, loc)
        if hint == QUOTES:
            hint = quotes_for(node)
        at_table = depth < len(loc) and isinstance(node.value, dict | list)
        key = ".".join(map(str, loc))
        problem = at(node.mark, key, message, hint, on_key=on_key or at_table, exit_code=exit_code)
        # A role's table has the values of the default table, so it has their problems too, and a
        # player's has those of [optimizer].
        known = any(problem.repeats(one) for one in self.problems)
        if not known or loc[0] not in {"networks", "players"}:
            self.problems.append(problem)

    def choose(self, kind: Kind, value: Any, loc: Keys) -> Chosen | None:
        try:
            return self.registry.choose(kind, value, loc)
        except ChoiceError as error:
            for one in error.problems:
                near = ""
                if one.message == UNKNOWN and one.loc[:-1] == loc:
                    near = did_you_mean(str(one.loc[-1]), CORE_KEYS.get(kind, ()))
                self.tell(replace(one, hint=near or one.hint))
            return None

    def tell(self, one: OptionProblem, table: Keys = ()) -> None:
        """Record a problem of a component's or of the core's table, which is at `table`."""
        loc = (*table, *one.loc)
        hint = self.home(loc, one.hint) if one.message == UNKNOWN else one.hint
        self.complain(loc, one.message, hint, on_key=one.on_key, exit_code=one.exit_code)

    def home(self, loc: Keys, hint: str) -> str:
        """Return a hint for an unknown key: the nearest known key, and tables that know the key."""
        near = hint if hint.startswith("did you mean") else ""
        there = belongs(loc, self.tree, self.registry)
        if there or near:
            return "\n".join(filter(None, (there, near)))
        others = options_of_others(str(loc[-1]), self.registry)
        return "\n".join(filter(None, (others, hint)))

    def component(self, loc: Keys, kind: Kind, core: tuple[str, ...] = ()) -> Chosen | None:
        """Return the component of a table whose keys in `core` aren't options of the component."""
        node, depth = descend(self.tree, loc)
        if depth < len(loc):
            self.complain(loc, "is required", f"`ganzoo list {kind}` lists what it may be")
            return None
        value = plain(node)
        if isinstance(value, dict):
            value = {key: item for key, item in value.items() if key not in core}
        return self.choose(kind, value, loc)

    def text(self, key: str, default: str) -> str:
        node = self.table.get(key)
        if node is None:
            return default
        if not isinstance(node.value, str):
            self.complain((key,), "must be text", QUOTES)
            return default
        return node.value

    def items(self, key: str) -> Iterator[tuple[Keys, Node]]:
        """Yield the place and node of each table of an array, or of a single table."""
        node = self.table[key]
        if isinstance(node.value, list):
            for index, item in enumerate(node.value):
                yield (key, index), item
        else:
            yield (key,), node

    def core_key(self, loc: Keys, default: Any) -> Any:
        node, depth = descend(self.tree, loc)
        return node.value if depth == len(loc) else default

    def model(self, loc: Keys, model: type[Model], value: Any) -> Model | None:
        if not isinstance(value, Mapping):
            self.complain(loc, "must be a table")
            return None
        try:
            return model.model_validate(value)
        except ValidationError as error:
            for one in explain(error, model, value):
                self.tell(one, loc)
            return None
