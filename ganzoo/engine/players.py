"""What a plan and its recipe say of the players."""

from __future__ import annotations

from ganzoo.engine.plan import Plan
from ganzoo.recipe.model import Optimizer, Recipe


def optimizer_options(recipe: Recipe, plan: Plan) -> dict[str, Optimizer]:
    """Return each player's optimizer table."""
    return {player: recipe.players.get(player, recipe.optimizer) for player in plan.players}


def discriminator_player(plan: Plan) -> str:
    """Return the player whose accuracy is logged.

    It is the only player whose networks are all discriminators. If there is no such player, or more
    than one, the name is "discriminator".
    """
    players = [
        player
        for player, roles in plan.players.items()
        if all(plan.task.roles[role] == "discriminator" for role in roles)
    ]
    return players[0] if len(players) == 1 else "discriminator"
