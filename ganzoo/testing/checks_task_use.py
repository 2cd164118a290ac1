"""What is demanded of tasks around the training: inputs that are drawn, classes, pairs, samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ganzoo.data.pipeline import open_data
from ganzoo.data.rng import isolated
from ganzoo.engine.plan import plan_networks
from ganzoo.engine.trainer import Trainer
from ganzoo.interfaces import NetIO
from ganzoo.recipe.model import Recipe
from ganzoo.testing.kit import CheckFailed, NotApplicable, Subject, check, require
from ganzoo.testing.networks import generators, shape_text
from ganzoo.testing.tiny import tiny_recipe
from ganzoo.testing.trial import batch_of, changed, inferring, training, weights_of

LABEL = "label"
"""What tasks call the class indices that they draw."""
_COUNTS = (1, 2, 5)
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


@check("task")
def check_task_predicts(subject: Subject) -> None:
    """`predict` makes what `serves` says, the same under a seed, whatever else is in the batch."""
    with training(tiny_recipe(subject)) as trainer:
        task = trainer.plan.task
        served = {role: pair for role, pair in task.serves.items() if role in trainer.nets}
        if not served:
            raise NotApplicable("the task serves no network")
        for role, (_, target) in served.items():
            io, fields = trainer.plan.io[role], trainer.plan.fields
            made = _predicted(trainer, role, 0, 1)
            wanted = fields.get(target) or io.output
            shape = (2, *wanted.shape)
            require(
                tuple(made.shape) == shape,
                f"{role!r} predicts {target!r} as {tuple(made.shape)}, and it should be {shape}",
            )
            require(torch.isfinite(made).all(), f"{role!r} predicts values that aren't finite")
            require(
                torch.equal(made, _predicted(trainer, role, 0, 1)),
                f"{role!r} isn't the same under a seed",
            )
            require(
                torch.allclose(made[0], _predicted(trainer, role, 0, 2)[0], rtol=1e-4, atol=1e-5),
                f"what {role!r} makes of a sample changes with the others in its batch",
            )


def _predicted(trainer: Trainer, role: str, *indices: int, **changes: Tensor) -> Tensor:
    """What a role's network makes of some samples, or of as many rows of what the task draws.

    Args:
        trainer: whose networks are used.
        role: one that its task serves.
        indices: of samples, or of rows.
        changes: put in the inputs' place.

    Raises:
        CheckFailed: it reads what it isn't given.
    """
    task, options = trainer.plan.task, trainer.recipe.task.options
    source, target = task.serves[role]
    if source in trainer.plan.fields:
        inputs = {
            name: rows for name, rows in batch_of(trainer, *indices).items() if name != target
        }
    else:
        wanted = max(indices) + 1
        drawn = _drawn(trainer, role, wanted, 0)
        short = [name for name, rows in drawn.items() if len(rows) != wanted]
        require(
            not short,
            f"`draw` is asked for {wanted} rows for {role!r}, and {short} have others",
        )
        inputs = trainer.session.move({name: rows[list(indices)] for name, rows in drawn.items()})
    inputs |= changes
    with inferring(trainer, 5):
        try:
            return task.predict(options, role, trainer.shown[role], inputs)
        except KeyError as error:
            message = (
                f"`predict` reads {error} for {role!r}, and is given {', '.join(inputs)}: the "
                f"field {source!r} that goes in, as `serves` says, and what lies beside it"
            )
            raise CheckFailed(message) from error


def _drawn(trainer: Trainer, role: str, count: int, seed: int) -> dict[str, Tensor]:
    """What the task draws for a role's network.

    Raises:
        CheckFailed: it draws nothing.
    """
    task, random = trainer.plan.task, torch.Generator().manual_seed(seed)
    try:
        drawn = task.draw(trainer.recipe.task.options, role, trainer.plan.io[role], count, random)
    except NotImplementedError as error:
        source = task.serves[role][0]
        message = (
            f"`serves` says that {role!r} takes {source!r}, which no data have, and the task has "
            "no `draw` to make it"
        )
        raise CheckFailed(message) from error
    return dict(drawn)


def _draws(trainer: Trainer) -> dict[str, str]:
    """Roles whose inputs the task draws, with the name of these."""
    return {
        role: source
        for role, (source, _) in trainer.plan.task.serves.items()
        if role in trainer.nets and source not in trainer.plan.fields
    }


@check("task")
def check_task_draws(subject: Subject) -> None:
    """`draw` makes as many inputs as it is asked for, from the given generator and nothing else."""
    with training(tiny_recipe(subject)) as trainer:
        roles = _draws(trainer)
        if not roles:
            raise NotApplicable("its networks take their inputs from the data")
        for role, source in roles.items():
            for count in _COUNTS:
                with isolated(1):
                    before = generators()
                    drawn = _drawn(trainer, role, count, 0)
                    require(
                        before == generators(),
                        f"for {role!r} it draws from a global random generator: `random` is the "
                        "only source of numbers",
                    )
                _fits(trainer.plan.io[role], role, source, count, drawn)
                with isolated(2):
                    again, other = (_drawn(trainer, role, count, seed) for seed in (0, 1))
                differ = changed(drawn, again)
                require(not differ, f"for {role!r} {differ} aren't the same under the same seed")
                require(
                    source in changed(drawn, other),
                    f"for {role!r} {source!r} is the same under another seed: draw it from "
                    "`random`, `torch.randn(..., generator=random)`",
                )
            made = _predicted(trainer, role, *range(5))
            require(
                len(made) == 5 and not torch.equal(made[0], made[2]),
                f"{role!r} makes the same of everything that is drawn",
            )


def _fits(io: NetIO, role: str, source: str, count: int, drawn: Mapping[str, Any]) -> None:
    """What was drawn is for that network: its shape, and classes if it has any."""
    require(source in drawn, f"for {role!r} it draws {sorted(drawn)}, and `serves` says {source!r}")
    for name, rows in drawn.items():
        require(
            isinstance(rows, Tensor) and rows.ndim and len(rows) == count,
            f"for {role!r} {name!r} isn't a tensor of {count} rows",
        )
        require(
            rows.device.type == "cpu",
            f"for {role!r} {name!r} isn't on the CPU; the engine moves it",
        )
    shape = tuple(drawn[source].shape[1:])
    if source in io.inputs:
        wanted = io.inputs[source].shape
        require(
            shape == wanted,
            f"for {role!r} {source!r} is {shape_text(shape)}, and io() says {shape_text(wanted)}",
        )
    require(
        (LABEL in drawn) == bool(io.classes),
        f"for {role!r} io() says {io.classes} classes, and it draws {sorted(drawn)}: class indices "
        f"are called {LABEL!r}, and are drawn where there are classes",
    )
    if io.classes:
        labels = drawn[LABEL]
        whole = labels.dtype == torch.int64 and labels.shape == (count,)
        require(whole, f"for {role!r} {LABEL!r} is {labels.dtype} of {tuple(labels.shape)}")
        require(
            bool(((labels >= 0) & (labels < io.classes)).all()),
            f"for {role!r} {LABEL!r} goes from {labels.min()} to {labels.max()}, and there are "
            f"{io.classes} classes",
        )


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
        for role in _draws(trainer):
            if plan.io[role].classes:
                _labels_matter(trainer, role, count)


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


def _labels_matter(trainer: Trainer, role: str, classes: int) -> None:
    """Another class makes another sample; after a change of weights that may be alike at first."""
    net = trainer.shown[role]
    with isolated(0), torch.no_grad():
        for weight in net.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
    drawn = _drawn(trainer, role, 2, 0)[LABEL]
    one, other = (
        _predicted(trainer, role, 0, 1, **trainer.session.move({LABEL: labels}))
        for labels in (drawn, (drawn + 1) % classes)
    )
    require(
        not torch.equal(one, other),
        f"`predict` makes the same of every class for {role!r}: give the network {LABEL!r}",
    )
