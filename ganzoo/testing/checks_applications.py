"""What is demanded of a task's applications: what they take, give, call and draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ganzoo.api import Options
from ganzoo.data.rng import isolated
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import PluginError, UsageError
from ganzoo.inference.applications import (
    LABEL,
    available,
    choices_of,
    draws_all,
    label_classes,
    taken_by,
)
from ganzoo.inference.trained_application import Applied
from ganzoo.interfaces import Application
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.networks import generators, shape_text, values_of
from ganzoo.testing.subject import Subject
from ganzoo.testing.tiny import tiny_recipe
from ganzoo.testing.trial import batch_of, changed, inferring, training

_COUNTS = (1, 2, 5)


def applications_of(trainer: Trainer, *, drawing: bool = False) -> dict[str, Application]:
    """The applications whose networks are there; with `drawing` those that draw an input."""
    there = available(trainer.recipe.task, trainer.nets)
    return {name: one for name, one in there.items() if not drawing or one.draws}


def declared(name: str, application: Any, task: Any) -> None:
    """Check what a task says of an application.

    Raises:
        CheckFailed: it is of another type, or names what isn't there.
    """
    what = f"the application {name!r}"
    require(
        isinstance(application, Application),
        f"{what} is a {type(application).__name__}: give a ganzoo.interfaces.Application",
    )
    for key in ("takes", "gives", "roles"):
        names = getattr(application, key)
        require(
            isinstance(names, tuple) and names and all(isinstance(one, str) for one in names),
            f"{what} has {names!r} as `{key}`: give a tuple of names, one or more",
        )
    for role in application.roles:
        require(role in task.roles, f"{what} uses {role!r}, which is no role")
    draws = application.draws
    require(
        isinstance(draws, tuple) and all(one in application.takes for one in draws),
        f"{what} has {draws!r} as `draws`: give a tuple of names that are in `takes` too",
    )
    options = application.options
    require(
        isinstance(options, type) and issubclass(options, Options),
        f"{what} has {options!r} as `options`: give a subclass of ganzoo.api.Options",
    )
    needed = [key for key, info in options.model_fields.items() if info.is_required()]
    require(not needed, f"{what}: its option {min(needed, default='')!r} has no default")


@check("task")
def check_task_applies(subject: Subject) -> None:
    """`apply` gives what its application says, the same under a seed, whatever the batch."""
    with training(tiny_recipe(subject)) as trainer:
        there = applications_of(trainer)
        if not there:
            raise NotApplicable("the task has no application with the recipe's networks")
        for name, application in there.items():
            made = applied(trainer, name, 0, 1)
            known = _ready(trainer, name).fields
            for given in application.gives:
                require(
                    given in known,
                    f"{name!r} gives {given!r}, which is neither one of the data's fields nor an "
                    "output of its networks",
                )
                shape = (2, *known[given].shape)
                require(
                    tuple(made[given].shape) == shape,
                    f"{name!r} gives {given!r} as {tuple(made[given].shape)}, and it should be "
                    f"{shape}",
                )
                require(
                    torch.isfinite(made[given]).all(),
                    f"{name!r} gives {given!r} with values that aren't finite",
                )
            again, other = applied(trainer, name, 0, 1), applied(trainer, name, 0, 2)
            require(not changed(made, again), f"{name!r} isn't the same under a seed")
            for given, one in made.items():
                require(
                    torch.allclose(one[0], other[given][0], rtol=1e-4, atol=1e-5),
                    f"what {name!r} makes of a sample changes with the others in its batch",
                )


def _ready(trainer: Trainer, name: str) -> Applied:
    task, plan = trainer.recipe.task, trainer.plan
    choices = choices_of(task, name, {})
    return Applied(task, name, trainer.shown, plan.io, plan.fields, "running", choices)


def applied(trainer: Trainer, name: str, *indices: int, **changes: Tensor) -> dict[str, Tensor]:
    """What an application makes of some samples, or of as many rows of what the task draws.

    An input that only its networks have is made up.

    Args:
        trainer: whose networks are used.
        name: of the application.
        indices: of samples, or of rows.
        changes: put in the inputs' place.

    Raises:
        CheckFailed: it reads what it isn't given, or gives something else.
    """
    application = trainer.plan.task.applications[name]
    inputs: dict[str, Tensor] = {}
    if given := taken_by(application):
        batch = batch_of(trainer, *indices) | _made_up(trainer, name, indices)
        known = _ready(trainer, name).fields
        inputs = {one: batch[one] for key in given for one in (key, known[key].mask) if one}
    if application.draws:
        rows = drawn_by(trainer, name, max(indices) + 1, 0)
        chosen = {key: one[list(indices)] for key, one in rows.items()}
        inputs |= trainer.session.move(chosen)
    inputs |= changes
    with inferring(trainer, 5):
        try:
            return _ready(trainer, name).apply(inputs)
        except (PluginError, UsageError) as error:
            raise CheckFailed(f"{error.message}\n{error.hint}") from error


def _made_up(trainer: Trainer, name: str, indices: Sequence[int]) -> dict[str, Tensor]:
    """Values of the fields that only the application's networks have, a row for each index."""
    known = _ready(trainer, name).fields
    own = {key: field for key, field in known.items() if key not in trainer.plan.fields}
    rows = [values_of(own, 1, seed) for seed in indices]
    return trainer.session.move({key: torch.cat([row[key] for row in rows]) for key in own})


def drawn_by(trainer: Trainer, name: str, count: int, seed: int) -> dict[str, Tensor]:
    """What the task draws for an application.

    Raises:
        CheckFailed: it draws nothing, or another number.
    """
    try:
        return _ready(trainer, name).draw_inputs(count, torch.Generator().manual_seed(seed))
    except PluginError as error:
        raise CheckFailed(error.message) from error


@check("task")
def check_task_draws(subject: Subject) -> None:
    """`draw` makes as many inputs as it is asked for, from the given generator and nothing else."""
    with training(tiny_recipe(subject)) as trainer:
        there = applications_of(trainer, drawing=True)
        if not there:
            raise NotApplicable("its applications take their inputs from the data")
        for name, application in there.items():
            own = application.draws
            for count in _COUNTS:
                with isolated(1):
                    before = generators()
                    rows = drawn_by(trainer, name, count, 0)
                    require(
                        before == generators(),
                        f"for {name!r} it draws from a global random generator: `random` is the "
                        "only source of numbers",
                    )
                _fits(trainer, name, own, count, rows)
                with isolated(2):
                    again, other = (drawn_by(trainer, name, count, seed) for seed in (0, 1))
                differ = changed(rows, again)
                require(not differ, f"for {name!r} {differ} aren't the same under the same seed")
                require(
                    set(own) & set(changed(rows, other)),
                    f"for {name!r} {' and '.join(own)} are the same under another seed: draw from "
                    "`random`, `torch.randn(..., generator=random)`",
                )
            if draws_all(application):
                made = applied(trainer, name, *range(5))
                require(
                    any(not torch.equal(one[0], one[2]) for one in made.values()),
                    f"{name!r} makes the same of everything that is drawn",
                )


def _fits(
    trainer: Trainer, name: str, own: Sequence[str], count: int, rows: Mapping[str, Any]
) -> None:
    """What was drawn is for these networks: its shapes, and classes if they take any."""
    for key, one in rows.items():
        require(
            isinstance(one, Tensor) and one.ndim and len(one) == count,
            f"for {name!r} {key!r} isn't a tensor of {count} rows",
        )
        require(
            one.device.type == "cpu",
            f"for {name!r} {key!r} isn't on the CPU; the engine moves it",
        )
    plan = trainer.plan
    inputs = {
        key: field
        for role in plan.task.applications[name].roles
        for key, field in plan.io[role].inputs.items()
    }
    for key in own:
        shape, wanted = tuple(rows[key].shape[1:]), inputs[key].shape if key in inputs else None
        require(
            wanted is None or shape == wanted,
            f"for {name!r} {key!r} is {shape_text(shape)}, and io() says "
            f"{shape_text(wanted or ())}",
        )
    indices = [key for key, field in inputs.items() if field.format == "ganzoo/class"]
    classes = label_classes(plan.io[role] for role in plan.task.applications[name].roles)
    require(
        (LABEL in rows) == bool(indices),
        f"for {name!r} io() says {classes} classes, and it draws {sorted(rows)}: class indices "
        f"are called {LABEL!r}, and are drawn where there are classes",
    )
    require(
        bool(classes) or not indices,
        f"for {name!r} {' and '.join(indices)} are class indices: call the one that is drawn as "
        f"{LABEL!r} so in io() too",
    )
    if classes:
        labels = rows[LABEL]
        whole = labels.dtype == torch.int64 and labels.shape == (count,)
        require(whole, f"for {name!r} {LABEL!r} is {labels.dtype} of {tuple(labels.shape)}")
        require(
            bool(((labels >= 0) & (labels < classes)).all()),
            f"for {name!r} {LABEL!r} goes from {labels.min()} to {labels.max()}, and there are "
            f"{classes} classes",
        )
