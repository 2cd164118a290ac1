"""Keep the answers of discriminators, for augmentations that observe them and for the accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ganzoo.engine.build import parts_of
from ganzoo.engine.task_names import ACCURACY
from ganzoo.errors import PluginError, RecipeError
from ganzoo.interfaces import (
    AdaptiveDiffAugment,
    Clock,
    DiffAugment,
    DiscriminatorOutput,
    Loss,
    LossInputs,
)
from ganzoo.recipe.model import Recipe


class ObservedLoss:
    """A loss that keeps what it is given in the turns of discriminators, and how often it's right.

    Every task asks its loss for the terms of a discriminator's turn, also a task that doesn't use
    `Task.look`. So answers are found here, where it is known which images were real.
    """

    def __init__(self, loss: Loss, decides: float | str | None, *, keeps: bool) -> None:
        self.loss = loss
        self.keeps = keeps
        self.decides = decides
        self.real_in_generator_turn = getattr(loss, "real_in_generator_turn", False)
        self.answers: list[tuple[DiscriminatorOutput, DiscriminatorOutput]] = []
        self.accuracies: list[Tensor] = []

    def discriminator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the loss's terms, and keep the answers and how often they were right."""
        real, fake = inputs.real_output, inputs.fake_output
        terms = self.loss.discriminator(inputs)
        if real is not None and fake is not None:
            if self.keeps:
                self.answers.append((_values(real), _values(fake)))
            if self.decides is not None:
                self.accuracies.append(accuracy(real, fake, self.decides))
        return terms

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the loss's terms."""
        return self.loss.generator(inputs)


def _values(output: DiscriminatorOutput) -> DiscriminatorOutput:
    """Return the logits alone, without the graph that would keep a batch's activations alive."""
    return DiscriminatorOutput(tuple(logits.detach() for logits in output.logits))


def accuracy(real: DiscriminatorOutput, fake: DiscriminatorOutput, decides: float | str) -> Tensor:
    """Return the share of right answers, as a tensor on the device.

    An answer on the border counts half. Each scale of the discriminator has the same weight.

    Args:
        real: the answers to real samples.
        fake: the answers to generated samples.
        decides: the logit above which a sample counts as real, or "pairs": the answer to a pair is
            right if the real sample has the greater logit.
    """
    shares = []
    with torch.no_grad():
        for r, f in zip(real.logits, fake.logits, strict=True):
            if isinstance(decides, str):
                right = (r - f).sign().float().mean()
            else:
                of_real, of_fake = ((x - decides).sign().float().mean() for x in (r, f))
                right = (of_real - of_fake) / 2
            shares.append((1 + right) / 2)
        return torch.stack(shares).mean()


def border_of(loss: Loss) -> float | str | None:
    """Return where the discriminator decides by the first loss that says so; None if none does.

    Raises:
        PluginError: when a loss says something else.
    """
    for part in parts_of(loss).values():
        decides = getattr(part, "decides", None)
        if decides == "pairs":
            return "pairs"
        if isinstance(decides, int | float) and math.isfinite(decides):
            return float(decides)
        if decides is not None:
            raise PluginError(
                f"the loss {type(part).__name__} says that discriminators decide at {decides!r}",
                hint='`decides` is a logit, "pairs" or None; report this to its authors.',
            )
    return None


class Answers:
    """The answers of a batch, and the augmentations that observe them.

    Args:
        recipe: the recipe, which names the augmentations.
        loss: the recipe's loss.
        augments: the recipe's augmentations, in the order of the recipe.

    Raises:
        RecipeError: when an augmentation needs the logit at which discriminators decide, and no
            loss has one.
        PluginError: when an augmentation has the name of another part of the log, or when a loss
            says something wrong about where discriminators decide.
    """

    def __init__(self, recipe: Recipe, loss: Loss, augments: Sequence[DiffAugment]) -> None:
        self.task = recipe.task.id
        self.decides = border_of(loss)
        """Where discriminators decide, as the loss says. It is None if no loss says so."""
        self.observers: dict[str, AdaptiveDiffAugment] = {}
        """By the name in logs: the component's, with a number if it is there twice."""
        self.ids: list[str] = []
        for index, (chosen, augment) in enumerate(zip(recipe.diffaugment, augments, strict=True)):
            if isinstance(augment, AdaptiveDiffAugment):
                same = self.ids.count(chosen.id)
                name = chosen.component.name + (f"_{same + 1}" if same else "")
                if name == ACCURACY:
                    raise PluginError(
                        f"{chosen.id} observes answers, so it can't be called {ACCURACY!r}: the "
                        "accuracy of discriminators is logged under this name",
                        where="diffaugment",
                        hint="Its plugin must give it another name; report this to its authors.",
                    )
                if getattr(augment, "needs_decides", False):
                    _check_border(index, recipe, self.decides)
                self.observers[name] = augment
                self.ids.append(chosen.id)
        keeps = bool(self.observers)
        observed = keeps or self.decides is not None
        self._observed = ObservedLoss(loss, self.decides, keeps=keeps) if observed else None
        self.loss: Loss = self._observed or loss
        """The loss for the task."""
        self.any = False
        """Whether there has been an answer."""

    def tell(
        self, clock: Clock, joined: Callable[[Tensor], Tensor] = lambda tensor: tensor
    ) -> dict[str, Mapping[str, Tensor]]:
        """Let the augmentations observe the answers of the last batch, if there were any.

        This is done when all turns of a batch are over: the backward pass of a turn may need a
        value that an augmentation changes.

        Args:
            clock: the progress of the training.
            joined: returns the samples of all processes for those of this one.

        Returns:
            What each augmentation logs, by its name.

        Raises:
            PluginError: when an augmentation returns anything else than a mapping of numbers.
        """
        if self._observed is None or not self._observed.answers:
            return {}
        answers, self._observed.answers = self._observed.answers, []
        border = self.decides if isinstance(self.decides, float) else 0.0
        self.any = True
        real, fake = (
            DiscriminatorOutput(
                tuple(
                    joined(logits - border) for answer in answers for logits in answer[side].logits
                )
            )
            for side in (0, 1)
        )
        with torch.no_grad():
            return {
                name: _numbers(name, observer.observe(real, fake, clock))
                for name, observer in self.observers.items()
            }

    def accuracy(self) -> Tensor | None:
        """Return the share of right answers since the last call; None if there was none."""
        if self._observed is None or not self._observed.accuracies:
            return None
        accuracies, self._observed.accuracies = self._observed.accuracies, []
        return torch.stack(accuracies).mean()

    def check_any(self) -> None:
        """Check that augmentations have observed an answer, after steps with every player.

        Raises:
            PluginError: when none has, so that they never adapt.
        """
        if self.observers and not self.any:
            raise PluginError(
                f"{', '.join(self.ids)} adapts to what discriminators answer, but {self.task} "
                "asks its loss for the terms of no discriminator",
                where="diffaugment",
                hint="Use an augmentation that doesn't adapt, or a task and networks with a "
                "discriminator.",
            )


def _check_border(index: int, recipe: Recipe, decides: float | str | None) -> None:
    """Refuse an augmentation that needs a logit at which discriminators decide, if there is none.

    Raises:
        RecipeError: when the losses have none.
    """
    if isinstance(decides, float):
        return
    losses = ", ".join(entry.chosen.id for entry in recipe.loss)
    reason = "compares real samples with generated ones" if decides else "states no such logit"
    raise RecipeError(
        f"{recipe.diffaugment[index].id} needs a logit above which a sample counts as real; the "
        f"loss ({losses}) {reason}",
        where=recipe.origins.get(("diffaugment", index, "use"), recipe.name),
        hint="Use an augmentation that doesn't adapt, or a loss that decides about each sample "
        "alone.",
    )


def _numbers(name: str, logged: Any) -> Mapping[str, Tensor]:
    if isinstance(logged, Mapping) and all(
        isinstance(value, Tensor) and value.numel() == 1 for value in logged.values()
    ):
        return logged
    raise PluginError(
        f"`observe` of the augmentation {name!r} doesn't return what to log: a dict of tensors of "
        "one value",
        hint="It may be empty; report this to its authors.",
    )
