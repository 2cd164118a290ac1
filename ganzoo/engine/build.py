"""Build the networks, losses and differentiable augmentations of a plan, and check them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.api import Chosen
from ganzoo.data.rng import isolated, seed_for
from ganzoo.engine.frozen_parameters import freeze
from ganzoo.engine.plan import Plan
from ganzoo.errors import GanzooError, PluginError, RecipeError
from ganzoo.interfaces import AdaptiveDiffAugment, DiffAugment, Loss, LossInputs, NetIO
from ganzoo.nn import weights_follow
from ganzoo.recipe.model import Recipe


class SummedLoss:
    """Combine several losses into one; their terms are logged as `name/term`."""

    def __init__(self, parts: Mapping[str, Loss]) -> None:
        self.parts = parts
        self.real_in_generator_turn = any(
            getattr(part, "real_in_generator_turn", False) for part in parts.values()
        )

    def discriminator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the discriminator's terms of every loss."""
        return {
            f"{name}/{term}": value
            for name, part in self.parts.items()
            for term, value in _terms(name, part.discriminator(inputs)).items()
        }

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the generator's terms of every loss."""
        return {
            f"{name}/{term}": value
            for name, part in self.parts.items()
            for term, value in _terms(name, part.generator(inputs)).items()
        }


def parts_of(loss: Loss) -> Mapping[str, Loss]:
    """Return the losses that a loss is the sum of, by name; a single loss has the name ""."""
    return loss.parts if isinstance(loss, SummedLoss) else {"": loss}


def _terms(loss: str, given: Any) -> Mapping[str, Tensor]:
    if not isinstance(given, Mapping):
        raise PluginError(
            f"the loss {loss!r} returns a {type(given).__name__}, not a dict of terms",
            hint="It must return a dict of tensors in each player's turn.",
        )
    return given


def build_network(component: Chosen, io: NetIO, seed: int, role: str) -> nn.Module:
    """Build one network; its initial weights depend only on the seed and the role.

    Raises:
        RecipeError: when the network refuses its options or shapes.
    """
    with isolated(seed_for(seed, "weights", role)):
        try:
            network = component.build(io)
        except GanzooError:
            raise
        except (ValueError, TypeError) as error:
            raise RecipeError(
                f"{component.id} can't be built: {error}",
                where=role,
                hint="Shapes are those of the data after [[augment]], in which a resize or a crop "
                "changes the size (`ganzoo list augment`)."
                if any(len(one.shape) == 3 for one in (*io.inputs.values(), *io.outputs.values()))
                else "",
            ) from error
    if not isinstance(network, nn.Module):
        raise RecipeError(f"{component.id} built a {type(network).__name__}, not an nn.Module")
    return network


@dataclass(frozen=True)
class Built:
    """The objects that a recipe's plan describes.

    They are built once and used by the dry run and by the run itself.

    Args:
        recipe: the recipe that the objects belong to.
        plan: the recipe's plan.
        networks: the networks by role. `with_numbers` explains why some may be on the meta device.
        loss: the loss of all players.
        diffaugments: the augmentations of every input of a discriminator.
        device, dtype: the device and the number format of these objects.
    """

    recipe: Recipe
    plan: Plan
    networks: Mapping[str, nn.Module]
    loss: Loss
    diffaugments: tuple[DiffAugment, ...]
    device: torch.device
    dtype: torch.dtype


def build(
    recipe: Recipe,
    plan: Plan,
    device: torch.device,
    dtype: torch.dtype,
    *,
    restored: bool = False,
) -> Built:
    """Build the networks, losses and differentiable augmentations of a recipe.

    Args:
        recipe: the recipe.
        plan: its plan.
        device: the device to which networks, losses and augmentations are moved.
        dtype: their number format.
        restored: whether a checkpoint is loaded right afterwards, so that networks needn't load
            pretrained weights. Networks that take all weights from `[start]` don't load them
            either.

    Raises:
        GanzooError: in the same cases as `build_network` and `build_loss`.
    """
    loss = build_loss(recipe, plan, device, dtype)
    diffaugments = build_diffaugments(recipe, device, dtype)
    # This is for networks only, because checkpoints don't contain the weights of losses.
    networks = {}
    for role, chosen in plan.chosen.items():
        replaced = restored or role in recipe.start.replaced
        with weights_follow() if replaced else nullcontext():
            networks[role] = build_network(chosen, plan.io[role], recipe.train.seed, role)
    freeze(networks, recipe)
    for network in networks.values():
        network.to(device=device, dtype=dtype)
    return Built(recipe, plan, networks, loss, diffaugments, device, dtype)


def with_numbers(built: Built) -> Built:
    """Return a copy in which networks on the meta device are replaced by networks on the CPU.

    Tensors on the meta device have shapes but no values, so `ganzoo check` first builds networks
    there, which takes almost no time or memory. But some networks can't be called there.
    """
    networks = dict(built.networks)
    for role, network in built.networks.items():
        if any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers())):
            chosen, io = built.plan.chosen[role], built.plan.io[role]
            with weights_follow():
                networks[role] = build_network(chosen, io, built.recipe.train.seed, role)
    freeze(networks, built.recipe)
    return replace(built, networks=networks)


def build_loss(recipe: Recipe, plan: Plan, device: torch.device, dtype: torch.dtype) -> Loss:
    """Build the recipe's losses and move them to the device; several losses become a sum.

    Raises:
        RecipeError: when there is no loss, when a loss needs a discriminator and the recipe has
            none, or when two losses have the same name.
    """
    if not recipe.loss:
        raise RecipeError("the recipe has no [loss]", where=recipe.name)
    parts: dict[str, Loss] = {}
    has_discriminator = any(plan.task.roles[role] == "discriminator" for role in plan.chosen)
    for entry in recipe.loss:
        part: Any = entry.chosen.build()
        if isinstance(part, nn.Module):
            part.to(device=device, dtype=dtype)
        if getattr(part, "needs_discriminator", True) and not has_discriminator:
            raise RecipeError(
                f"{entry.chosen.id} needs a discriminator with these options, but the recipe has "
                "none",
                where="loss",
                hint="Give the recipe a [discriminator], or switch off the GAN term of the loss.",
            )
        name = entry.name or entry.chosen.component.name
        if name in parts:
            raise RecipeError(f"two [[loss]] tables are called {name!r}: give one a `name`")
        parts[name] = part
    return next(iter(parts.values())) if len(parts) == 1 else SummedLoss(parts)


def build_diffaugments(
    recipe: Recipe, device: torch.device, dtype: torch.dtype
) -> tuple[DiffAugment, ...]:
    """Build the differentiable augmentations of the discriminators' inputs, on the device.

    Raises:
        PluginError: when one adapts to answers and isn't an nn.Module.
    """
    built = tuple(chosen.build() for chosen in recipe.diffaugment)
    for chosen, one in zip(recipe.diffaugment, built, strict=True):
        if isinstance(one, nn.Module):
            one.to(device=device, dtype=dtype)
        elif isinstance(one, AdaptiveDiffAugment):
            raise PluginError(
                f"{chosen.id} has `observe` and isn't an nn.Module, so that no checkpoint would "
                "keep what it learns from the answers",
                where="diffaugment",
                hint="Its state must be in buffers (`register_buffer`); report this to its "
                "authors.",
            )
    return built
