"""CycleGAN's training: two generators, two discriminators and cycle terms (arXiv 1703.10593)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from ganzoo.api import Options
from ganzoo.errors import DataError, RecipeError
from ganzoo.interfaces import Application, Clock, Field, Loss, Net, NetIO, Optimize, Role, Task
from ganzoo_cyclegan.options import UnpairedOptions
from ganzoo_cyclegan.pool import ImagePool


class Unpaired(Task):
    """Task: learn to translate `source` (the paper's A) to `target` (B) and back, without pairs.

    The adversarial part of each direction is the recipe's loss. Its terms have the prefix `a/`
    where images of kind A are judged, and `b/` for B. `cycle_a` is the mean absolute error of an
    image of A after the translations A to B to A. `identity_a` is the mean absolute change that
    `generator_ba` makes to an image of A. `cycle_b` and `identity_b` are defined likewise.
    """

    roles: ClassVar[Mapping[str, Role]] = {
        "generator_ab": "generator",
        "generator_ba": "generator",
        "discriminator_a": "discriminator",
        "discriminator_b": "discriminator",
    }
    players: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "generators": ("generator_ab", "generator_ba"),
        "discriminators": ("discriminator_a", "discriminator_b"),
    }
    needs: ClassVar[frozenset[str]] = frozenset({"source", "target"})
    applications: ClassVar[Mapping[str, Application]] = {
        "a_to_b": Application(takes=("source",), gives=("target",), roles=("generator_ab",)),
        "b_to_a": Application(takes=("target",), gives=("source",), roles=("generator_ba",)),
    }

    options: UnpairedOptions

    def __init__(self, options: UnpairedOptions, nets: Mapping[str, Net], loss: Loss) -> None:
        super().__init__(options, nets, loss)
        self.pools = {domain: ImagePool(options.pool_size) for domain in ("a", "b")}

    @classmethod
    def io(cls, role: str, options: UnpairedOptions, fields: Mapping[str, Field]) -> NetIO:
        """Return the inputs and outputs: a field to the other (generators), or a field to logits.

        Raises:
            DataError: when source and target aren't images of one size.
            RecipeError: when identity terms are used and the numbers of channels differ.
        """
        source, target = fields["source"], fields["target"]
        for name in ("source", "target"):
            if fields[name].format != "ganzoo/image":
                raise DataError(
                    f"must be an image, but it is of format {fields[name].format}",
                    hint="cyclegan/unpaired maps images to images",
                    where=name,
                )
        if source.shape[1:] != target.shape[1:]:
            sizes = [f"{field.shape[2]} x {field.shape[1]}" for field in (source, target)]
            raise DataError(
                f"source is {sizes[0]} and target {sizes[1]} (W x H)",
                hint="bring both to one size, such as by an [[augment]] with images/resize",
            )
        if options.uses_identity() and source.shape[0] != target.shape[0]:
            raise RecipeError(
                f"source has {source.shape[0]} channels and target {target.shape[0]}: a generator "
                "can't process an image of the kind that it makes",
                where="task.identity",
                hint="set task.identity = 0, or read both with the same channels",
            )
        return {
            "generator_ab": NetIO({"source": source}, {"target": target}),
            "generator_ba": NetIO({"target": target}, {"source": source}),
            "discriminator_a": NetIO({"source": source}),
            "discriminator_b": NetIO({"target": target}),
        }[role]

    def step(self, batch: Mapping[str, Tensor], optimize: Optimize) -> None:
        """Train both generators, then both discriminators, which get images from the pools."""
        a, b = batch["source"], batch["target"]
        fake_b, fake_a = self.nets["generator_ab"](a), self.nets["generator_ba"](b)
        judge_a, judge_b = self.nets["discriminator_a"], self.nets["discriminator_b"]
        # All terms of a player go through one backward pass, because two passes would leave the
        # gradients of several processes unsynchronised.
        with judge_a.frozen() as frozen_a, judge_b.frozen() as frozen_b:
            adversarial = {
                "a": self.loss.generator(self.look("generator", frozen_a, a, fake_a)),
                "b": self.loss.generator(self.look("generator", frozen_b, b, fake_b)),
            }
            terms = _prefixed(adversarial) | self._consistency(a, b, fake_a, fake_b)
            optimize("generators", terms)
        old_a = self.pools["a"].exchange(fake_a.detach())
        old_b = self.pools["b"].exchange(fake_b.detach())
        judged = {
            "a": self.loss.discriminator(self.look("discriminator", judge_a, a, old_a)),
            "b": self.loss.discriminator(self.look("discriminator", judge_b, b, old_b)),
        }
        optimize("discriminators", _prefixed(judged, self.options.discriminator_weight))

    def _consistency(
        self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor
    ) -> dict[str, Tensor]:
        """Return the cycle and identity terms, without generator calls for those switched off."""
        to_a, to_b = self.nets["generator_ba"], self.nets["generator_ab"]
        terms: dict[str, Tensor] = {}
        if self.options.uses_cycle():
            weight = self.options.cycle.at(self.clock)
            terms["cycle_a"] = weight * F.l1_loss(to_a(fake_b), a)
            terms["cycle_b"] = weight * F.l1_loss(to_b(fake_a), b)
        if self.options.uses_identity():
            weight = self.options.cycle.at(self.clock) * self.options.identity.at(self.clock)
            terms["identity_a"] = weight * F.l1_loss(to_a(a), a)
            terms["identity_b"] = weight * F.l1_loss(to_b(b), b)
        return terms

    def term_weights(self, clock: Clock) -> dict[str, float]:
        """Return the weights of the cycle and identity terms, which are mean absolute errors."""
        cycle = self.options.cycle.at(clock)
        identity = cycle * self.options.identity.at(clock)
        return {
            **dict.fromkeys(("cycle_a", "cycle_b"), cycle),
            **dict.fromkeys(("identity_a", "identity_b"), identity),
        }

    def sample(
        self, batch: Mapping[str, Tensor], nets: Mapping[str, Callable[..., Tensor]]
    ) -> dict[str, Tensor]:
        """Return both images, their translations, and these translated back.

        Each is N x C x H x W in [-1, 1].
        """
        source, target = batch["source"], batch["target"]
        to_target, to_source = nets["generator_ab"], nets["generator_ba"]
        made_target, made_source = to_target(source), to_source(target)
        return {
            "source": source,
            "source to target": made_target,
            "target": target,
            "target to source": made_source,
            "source and back": to_source(made_target),
            "target and back": to_target(made_source),
        }

    @classmethod
    def apply(
        cls,
        name: str,
        options: UnpairedOptions,  # noqa: ARG003
        choices: Options,  # noqa: ARG003
        io: Mapping[str, NetIO],  # noqa: ARG003
        nets: Mapping[str, Callable[..., Tensor]],
        inputs: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """Return the translated images, N x C x H x W in [-1, 1]."""
        if name == "a_to_b":
            return {"target": nets["generator_ab"](inputs["source"])}
        return {"source": nets["generator_ba"](inputs["target"])}

    def state_dict(self) -> dict[str, Any]:
        """Return the state of both pools."""
        return {domain: pool.state_dict() for domain, pool in self.pools.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, on the networks' device."""
        device = next(self.nets["generator_ab"].module.parameters()).device
        for domain, pool in self.pools.items():
            pool.load_state_dict(state[domain], device)


def _prefixed(
    by_domain: Mapping[str, Mapping[str, Tensor]], weight: float = 1.0
) -> dict[str, Tensor]:
    return {
        f"{domain}/{name}": weight * term
        for domain, terms in by_domain.items()
        for name, term in terms.items()
    }
