"""Players that begin later than the training: until then the task sees none of their networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ganzoo.engine.plan import Plan, planned_steps
from ganzoo.engine.players import optimizer_options
from ganzoo.errors import RecipeError
from ganzoo.interfaces import Clock
from ganzoo.recipe.interval import Interval, parse_begin
from ganzoo.recipe.model import Origin, Recipe


class LatePlayers:
    """The players with `begin`. Whether one has begun is a function of the clock alone.

    Args:
        recipe: the recipe.
        plan: its plan.

    Raises:
        RecipeError: when the task needs a network of such a player from the first step on.
    """

    def __init__(self, recipe: Recipe, plan: Plan) -> None:
        self.recipe = recipe
        self.roles = plan.players
        self.begins: dict[str, Interval] = {}
        for player, options in optimizer_options(recipe, plan).items():
            begin = options.keys.begin and parse_begin(options.keys.begin)
            if begin:
                self.begins[player] = begin
        for player in self.begins:
            needed = [role for role in plan.players[player] if role not in plan.task.optional]
            if needed:
                raise RecipeError(
                    f"[players.{player}] can't begin later: {recipe.task.id} needs "
                    f"{', '.join(needed)} in every step",
                    where=self._place(player),
                    hint="Only players can whose networks a recipe may leave out with this task. "
                    "Weights of a loss can begin later: { from = 0, to = 1, begin = 0.1, until = "
                    "0.2 }.",
                )

    def _place(self, player: str) -> Origin | str:
        """Return where the recipe says when a player begins."""
        return self.recipe.origins.get(("players", player, "begin"), self.recipe.name)

    def check_begins(self, samples: int, world: int = 1) -> None:
        """Check that each player begins before the last step of the planned training.

        Args:
            samples: the number of samples of the training data.
            world: the number of processes.

        Raises:
            RecipeError: when one doesn't. A player can begin only where a step starts.
        """
        train = self.recipe.train
        before = planned_steps(train, samples, world) - 1
        images = before * train.batch_size * world * train.accumulate
        last = {"steps": before, "images": images, "epochs": images // samples}
        for player, begin in self.begins.items():
            if begin.count > last[begin.unit]:
                raise RecipeError(
                    f"[players.{player}] begins after {self.in_words(player)}, and the last step of"
                    f" the planned training starts after {last[begin.unit]:,} {begin.unit}"
                    + (f" with {world} processes" if world > 1 else ""),
                    where=self._place(player),
                    hint="Let it begin earlier, or train for more epochs (train.epochs).",
                )

    def not_begun(self, clock: Clock) -> frozenset[str]:
        """Return the players that haven't begun in the step that starts at `clock`."""
        passed = {"steps": clock.step, "images": clock.images, "epochs": clock.epoch}
        return frozenset(
            player for player, begin in self.begins.items() if passed[begin.unit] < begin.count
        )

    def hidden(self, not_begun: frozenset[str]) -> frozenset[str]:
        """Return the roles of players that haven't begun."""
        return frozenset(role for player in not_begun for role in self.roles[player])

    def in_words(self, player: str) -> str:
        """Return when a player begins, such as `5 epochs`."""
        begin = self.begins[player]
        return f"{begin.count:,.0f} {begin.unit}"


class PresentNets(Mapping[str, Any]):
    """The networks that a task sees: all but those of players that haven't begun.

    Args:
        nets: the networks by role.
    """

    def __init__(self, nets: Mapping[str, Any]) -> None:
        self._nets = nets
        self.hidden: frozenset[str] = frozenset()

    def __getitem__(self, role: str) -> Any:
        if role in self.hidden:
            raise KeyError(role)
        return self._nets[role]

    def __iter__(self) -> Iterator[str]:
        return (role for role in self._nets if role not in self.hidden)

    def __len__(self) -> int:
        return len(self._nets.keys() - self.hidden)
