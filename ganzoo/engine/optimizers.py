"""Build the optimizers of a recipe, and compute their settings for each step.

Settings that change during training are a pure function of the clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.api import Chosen
from ganzoo.errors import GanzooError, PluginError, RecipeError, error_text
from ganzoo.interfaces import Clock
from ganzoo.plugin_system.blame import in_plugin_of, last_line
from ganzoo.plugin_system.suggestions import with_article
from ganzoo.recipe.model import Optimizer


def build_optimizer(
    options: Optimizer, parameters: Sequence[nn.Parameter], epochs: int
) -> torch.optim.Optimizer:
    """Build a player's optimizer, and check that the engine can set what it needs to.

    Args:
        options: the player's optimizer table.
        parameters: the player's weights.
        epochs: the planned number of passes over the data.

    Raises:
        RecipeError: when the optimizer refuses its options.
        PluginError: when it fails or isn't an optimizer of torch, when it changes other parameters
            or has no group setting for an option that may change; as `PlayerSettings.at` for the
            first step.
    """
    chosen = options.chosen
    settings = PlayerSettings(options, epochs).at(Clock(0, 0, 0.0))
    try:
        optimizer = chosen.build(list(parameters))
    except GanzooError:
        raise
    except (ValueError, TypeError) as error:
        raise RecipeError(
            f"{chosen.id} can't be built: {error_text(error)}",
            where=options.table,
            hint=f"`ganzoo show {chosen.id}` lists its options and names its plugin.",
        ) from error
    except Exception as error:
        raise _failed(chosen, "can't be built", error, options.table) from error
    fault = _fault_of(optimizer, parameters, settings)
    if fault:
        raise PluginError(f"{chosen.id} {fault}", where=options.table, hint=in_plugin_of(chosen.id))
    made: torch.optim.Optimizer = optimizer
    return made


def _failed(chosen: Chosen, what: str, error: Exception, where: str) -> PluginError:
    place = last_line(error)
    return PluginError(
        f"{chosen.id} {what}: {error_text(error)}{f' ({place})' if place else ''}",
        where=where,
        hint=in_plugin_of(chosen.id),
    )


def _fault_of(
    optimizer: object, parameters: Sequence[nn.Parameter], settings: dict[str, Any]
) -> str:
    """Return what is wrong with an optimizer that was built; "" if nothing is."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        return f"built {with_article(type(optimizer).__name__)}, not a torch.optim.Optimizer"
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if len(held) != len(parameters) or {*map(id, held)} != {*map(id, parameters)}:
        return "doesn't have exactly the parameters in its groups that it was given"
    unknown = {name for group in optimizer.param_groups for name in settings if name not in group}
    if unknown:
        return (
            f"doesn't use its option {min(unknown)!r}: its parameter groups have no such key, so "
            "the engine can't set it in each step"
        )
    return ""


def _settings_of(options: Optimizer, clock: Clock) -> dict[str, Any]:
    """Return the settings of the parameter groups at a clock, before the schedule's factor."""
    chosen = options.chosen
    try:
        settings: Any = chosen.options.settings(clock)  # type: ignore[attr-defined]
    except Exception as error:
        raise _failed(chosen, "can't compute its settings", error, options.table) from error
    if not isinstance(settings, dict) or "lr" not in settings:
        raise PluginError(
            f"the settings of {chosen.id} have no learning rate",
            where=options.table,
            hint="The `settings` of its options must return a dict with `lr`; report this to its "
            "authors.",
        )
    for name, value in settings.items():
        parts = value if isinstance(value, tuple) and name != "lr" else (value,)
        if not all(isinstance(one, int | float) and math.isfinite(one) for one in parts):
            raise PluginError(
                f"the settings of {chosen.id} have {value!r} as {name!r}, not a finite number",
                where=options.table,
                hint="The `settings` of its options must return numbers or tuples of numbers, such "
                "as `self.lr.at(clock)` for an option that may change; report this to its authors.",
            )
    return settings


class PlayerSettings:
    """The settings of a player's parameter groups, as a function of the clock.

    Args:
        options: the player's optimizer table. Its schedule is imported once, here.
        epochs: the planned number of passes over the data.
    """

    def __init__(self, options: Optimizer, epochs: int) -> None:
        self.options = options
        self.epochs = epochs
        self._schedule = options.keys.schedule.load()

    def at(self, clock: Clock) -> dict[str, Any]:
        """Return the settings in the step that starts at `clock`.

        Raises:
            PluginError: when they can't be computed, when the learning rate isn't among them, when
                one isn't a finite number or a tuple of such numbers, or when the schedule's factor
                can't be computed or isn't a finite number from 0 on.
        """
        settings = _settings_of(self.options, clock)
        return {**settings, "lr": settings["lr"] * self._factor(clock)}

    def rate(self, clock: Clock) -> float:
        """Return the learning rate in the step that starts at `clock`; it raises as `at` does."""
        rate: float = self.at(clock)["lr"]
        return rate

    def _factor(self, clock: Clock) -> float:
        """Return the factor of the schedule."""
        schedule, where = self.options.keys.schedule, f"{self.options.table}.schedule"
        try:
            value: Any = self._schedule(schedule.options, clock, self.epochs)
        except GanzooError:
            raise
        except Exception as error:
            what = f"fails at progress {clock.progress:g}"
            raise _failed(schedule, what, error, where) from error
        if isinstance(value, int | float) and math.isfinite(value) and value >= 0:
            return value
        raise PluginError(
            f"{schedule.id} gives the factor {value!r} at progress {clock.progress:g}",
            where=where,
            hint="It must be a finite number that isn't negative; report this to its authors.",
        )


Named = Sequence[tuple[str, nn.Parameter]]
"""The parameters of an optimizer with their names, in the order in which it got them."""


def state_of(optimizer: torch.optim.Optimizer, named: Named, component: str) -> dict[str, Tensor]:
    """Return the state of an optimizer: its tensors for each weight, as `NAME/KEY`.

    Args:
        optimizer: the optimizer.
        named: its parameters.
        component: its id, for the error.

    Raises:
        PluginError: when a part of the state isn't a tensor.
    """
    tensors: dict[str, Tensor] = {}
    for name, parameter in named:
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{name}/{key}"] = value
            elif value is not None:
                raise PluginError(
                    f"{component} keeps {key!r} of a weight as "
                    f"{with_article(type(value).__name__)}, which can't be saved",
                    hint="An optimizer keeps its state as tensors in `self.state[parameter]`; "
                    "report this to its authors.",
                )
    return tensors


def load_state(
    optimizer: torch.optim.Optimizer, named: Named, tensors: Mapping[str, Tensor]
) -> None:
    """Restore what `state_of` returned.

    Raises:
        GanzooError: when there is no weight for a tensor.
    """
    places = {name: index for index, (name, _) in enumerate(named)}
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        weight, _, key = name.rpartition("/")
        if weight not in places:
            raise GanzooError(f"there are no weights for {name}")
        state.setdefault(places[weight], {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
