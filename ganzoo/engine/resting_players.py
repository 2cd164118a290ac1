"""Players that rest: they make no step while they are right too often (`rest_above`)."""

from __future__ import annotations

from collections.abc import Mapping

from ganzoo.engine.accelerate_session import Session
from ganzoo.engine.plan import Plan
from ganzoo.engine.players import discriminator_player, optimizer_options
from ganzoo.errors import RecipeError
from ganzoo.recipe.model import Optimizer, Recipe


class RestingPlayers:
    """The players with `rest_above`, and which of them rest.

    That changes only at log steps, between the steps of the training. So a player rests in whole
    steps, with all their accumulated batches, and no gradient is left over from before.

    Args:
        options: each player's optimizer table.
    """

    def __init__(self, options: Mapping[str, Optimizer]) -> None:
        self.bounds = {
            player: one.keys.rest_above
            for player, one in options.items()
            if one.keys.rest_above is not None
        }
        """The accuracy above which each of these players rests."""
        self.resting: frozenset[str] = frozenset()
        """The players that make no step at present."""
        self.turns = 0
        """The number of turns in which a player rested, in this part of the run."""

    def decide(self, accuracy: Mapping[str, float], session: Session) -> None:
        """Decide who rests from now on; with several processes this is a collective call.

        A player without a turn since the last log step goes on as before.

        Args:
            accuracy: the share of right answers since the last log step, by player.
            session: this process's session.
        """
        if not self.bounds:
            return
        resting = {
            player
            for player, bound in self.bounds.items()
            if (accuracy[player] > bound if player in accuracy else player in self.resting)
        }
        # The processes have the same means. But if they differed in the last bit, some processes
        # would wait forever for the gradients of the others.
        self.resting = frozenset(session.share(sorted(resting)))


def check_rests(recipe: Recipe, plan: Plan, *, seen: bool) -> None:
    """Check that the accuracy of each player with `rest_above` is known.

    Args:
        recipe: the recipe.
        plan: its plan.
        seen: whether turns of all players have shown how often discriminators are right.

    Raises:
        RecipeError: when it isn't known.
    """
    for player, options in optimizer_options(recipe, plan).items():
        if options.keys.rest_above is None or (seen and player == discriminator_player(plan)):
            continue
        if player != discriminator_player(plan):
            reason, hint = "only discriminators have an accuracy", "Leave rest_above out."
        else:
            losses = ", ".join(entry.chosen.id for entry in recipe.loss)
            reason = f"with {losses} in {recipe.task.id}, nothing says how often it is right"
            hint = "Leave rest_above out, or use a loss that says where the discriminator decides."
        raise RecipeError(
            f"[players.{player}] can't rest: {reason}",
            where=recipe.origins.get(("players", player, "rest_above"), recipe.name),
            hint=hint,
        )
