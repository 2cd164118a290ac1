"""What is demanded of tasks around the training: samples to show, and classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ganzoo.data.pipeline import open_data
from ganzoo.data.rng import isolated
from ganzoo.engine.plan import plan_networks
from ganzoo.engine.trainer import Trainer
from ganzoo.inference.applications import LABEL
from ganzoo.recipe.model import Recipe
from ganzoo.testing.checks_applications import applications_of, applied, drawn_by
from ganzoo.testing.kit import check, require
from ganzoo.testing.subject import Subject
from ganzoo.testing.tiny import tiny_recipe
from ganzoo.testing.trial import batch_of, changed, inferring, training, weights_of

_ROUNDED = 1e-3
"""How far beyond [-1, 1] an image may go by rounding."""


@check("task")
def check_task_samples(subject: Subject) -> None:
    """`sample` gives images, or points, to show: a row a sample, finite, the same under a seed."""
    with training(tiny_recipe(subject)) as trainer:
        before = weights_of(trainer.nets)
        shown = []
        for _ in range(2):
            batch = batch_of(trainer, 0, 1)
            with inferring(trainer, 5):
                shown.append(trainer.task.sample(batch, dict(trainer.shown)))
        once, again = shown
        require(isinstance(once, dict) and once, "`sample` gives nothing to show")
        for caption, rows in once.items():
            require(
                isinstance(rows, Tensor)
                and (rows.ndim == 4 or (rows.ndim == 2 and rows.shape[1] == 2))
                and len(rows) == 2,
                f"{caption!r} is no tensor N x C x H x W, or N x 2 of points, with a row for each "
                "of the batch's 2 samples: draw what is neither",
            )
            require(torch.isfinite(rows).all(), f"{caption!r} has values that aren't finite")
            require(
                rows.ndim == 2 or rows.abs().max() <= 1 + _ROUNDED,
                f"{caption!r} goes from {rows.min():.4g} to {rows.max():.4g}, and images lie in "
                "[-1, 1]",
            )
        require(not changed(once, again), f"not the same under a seed: {changed(once, again)}")
        touched = changed(before, weights_of(trainer.nets))
        require(not touched, f"`sample` changes the networks: {touched[:3]}")


def _conditional(recipe: Recipe) -> bool:
    """Whether any network of a recipe is told of classes."""
    plan = plan_networks(recipe, open_data(recipe, "train").fields)
    return any(io.classes for io in plan.io.values())


@check("task")
def check_task_classes(subject: Subject) -> None:
    """As many classes as the data have; they reach the networks, in steps and in predictions."""
    recipe = tiny_recipe(subject, fits=_conditional, wanted="has networks that take classes")
    with training(recipe) as trainer:
        plan, told = trainer.plan, _Told(trainer)
        (count,) = {io.classes for io in plan.io.values()} - {0}
        known = {name: field for name, field in plan.fields.items() if field.classes == count}
        require(known, f"io() says {count} classes, and no field of the data has as many")
        more = {
            name: replace(field, classes=count + 1 if name in known else field.classes)
            for name, field in plan.fields.items()
        }
        for role, io in plan.io.items():
            if io.classes:
                counted = plan.task.io(role, recipe.task.options, more).classes
                require(
                    counted == count + 1,
                    f"io({role!r}) says {counted} classes where the data have {count + 1}: take "
                    "them from the field, `fields[...].classes`",
                )
        trainer.step()
        for role, labels in told.labels.items():
            require(
                all(_labels(one, count) for one in labels),
                f"io({role!r}) says {count} classes, and a step calls it without labels, or with "
                "others: give it N class indices beside its input",
            )
        for name in applications_of(trainer, drawing=True):
            if any(plan.io[role].classes for role in plan.task.applications[name].roles):
                _labels_matter(trainer, name, count)


class _Told:
    """Notes the class indices that networks are called with, and the first input beside them."""

    def __init__(self, trainer: Trainer) -> None:
        self.labels: dict[str, list[Any]] = {}
        for role, net in trainer.nets.items():
            inputs = trainer.plan.io[role].inputs
            for place, field in enumerate(inputs.values()):
                if field.format == "ganzoo/class":
                    self.labels[role] = []
                    net.register_forward_pre_hook(self._note(role, place))

    def _note(self, role: str, place: int) -> Callable[..., None]:
        def note(_: Any, given: tuple[Any, ...]) -> None:
            self.labels[role].append((given[0], given[place]))

        return note


def _labels(call: tuple[Any, Any], classes: int) -> bool:
    """Whether a network was called with a class for each row of its input."""
    x, y = call
    return (
        isinstance(y, Tensor)
        and y.shape == (len(x),)
        and not y.is_floating_point()
        and bool(((y >= 0) & (y < classes)).all())
    )


def _labels_matter(trainer: Trainer, name: str, classes: int) -> None:
    """Another class makes another sample; after a change of weights that may be alike at first."""
    with isolated(0), torch.no_grad():
        for role in trainer.plan.task.applications[name].roles:
            for weight in trainer.shown[role].parameters():
                weight.add_(torch.randn_like(weight), alpha=0.1)
    labels = drawn_by(trainer, name, 2, 0)[LABEL]
    one, other = (
        applied(trainer, name, 0, 1, **trainer.session.move({LABEL: chosen}))
        for chosen in (labels, (labels + 1) % classes)
    )
    require(
        bool(changed(one, other)),
        f"the application {name!r} makes the same of every class: give the network {LABEL!r}",
    )
