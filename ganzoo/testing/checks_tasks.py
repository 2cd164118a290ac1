"""What is demanded of tasks: sound declarations, and clean turns of every player and network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from ganzoo.data.pipeline import open_data
from ganzoo.data.rng import isolated
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import DataError
from ganzoo.interfaces import Field, NetIO, Role, Task
from ganzoo.testing.checks_applications import declared
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.networks import generators
from ganzoo.testing.subject import Subject
from ganzoo.testing.tiny import tiny_recipe
from ganzoo.testing.trial import PATIENCE, Spy, Watched, training


@check("task")
def check_task_declarations(subject: Subject) -> None:
    """Roles, players, needs, applications and optional roles are declared and fit each other."""
    task: Any = subject.choose().load()
    require(
        isinstance(task, type) and issubclass(task, Task), f"{subject.id} is no subclass of Task"
    )
    for name in ("roles", "players", "needs", "applications"):
        require(hasattr(task, name), f"the class doesn't declare `{name}`")
    require(task.roles, "`roles` is empty: a task has networks")
    for role, table in task.roles.items():
        legal = ", ".join(get_args(Role))
        require(table in get_args(Role), f"role {role!r} is a {table!r}, and may be: {legal}")
    require(task.players, "`players` is empty: nobody would be trained")
    owners: dict[str, str] = {}
    for player, roles in task.players.items():
        require(
            isinstance(roles, tuple) and roles,
            f"player {player!r} moves {roles!r}: give a tuple of roles, one or more",
        )
        for role in roles:
            require(role in task.roles, f"player {player!r} moves {role!r}, which is no role")
            require(
                role not in owners,
                f"role {role!r} is moved by two players, {owners.get(role)!r} and {player!r}",
            )
            owners[role] = player
    _fields_declared(task)
    require(
        isinstance(task.needs_aligned, bool),
        f"`needs_aligned` is {task.needs_aligned!r}: say True or False",
    )
    unknown = sorted(set(task.optional) - set(task.roles))
    require(not unknown, f"`optional` has {unknown}, which are no roles")
    require(
        any(set(roles) - set(task.optional) for roles in task.players.values()),
        "every role is optional: a recipe could leave nobody to train",
    )


def _fields_declared(task: Any) -> None:
    require(
        not isinstance(task.needs, str) and all(isinstance(name, str) for name in task.needs),
        f"`needs` is {task.needs!r}: give a frozenset of names of fields",
    )
    for name, application in task.applications.items():
        declared(name, application, task)


@check("task")
def check_task_io(subject: Subject) -> None:
    """`io` gives each role inputs and outputs, the same every time, and refuses unfit fields."""
    recipe = tiny_recipe(subject)
    task, options = recipe.task.load(), recipe.task.options
    fields = open_data(recipe, "train").fields
    for role in task.roles:
        io = task.io(role, options, fields)
        require(isinstance(io, NetIO), f"io({role!r}) is a {type(io).__name__}, not a NetIO")
        for name, field in (*io.inputs.items(), *io.outputs.items()):
            shape = field.shape
            require(
                isinstance(shape, tuple) and all(isinstance(n, int) and n > 0 for n in shape),
                f"io({role!r}) has {shape!r} for {name!r}: a shape is a tuple of positive integers",
            )
        require(io == task.io(role, options, fields), f"io({role!r}) isn't the same every time")
    for name in sorted(task.needs):
        _refuses_unfit(task, options, fields, name)


def _refuses_unfit(task: type[Task], options: Any, fields: Mapping[str, Field], name: str) -> None:
    """A needed field of another format gives a `DataError` or, if it was no image, shapes."""
    was_image = fields[name].format == "ganzoo/image"
    other = Field((), "ganzoo/class") if was_image else Field((3, 8, 8), "ganzoo/image")
    refused = False
    for role in task.roles:
        try:
            task.io(role, options, {**fields, name: other})
        except DataError:
            refused = True
        except Exception as error:
            message = (
                f"io({role!r}) meets {other.format} as {name!r} and raises {error!r}: raise a "
                "ganzoo.errors.DataError that says what the field must be"
            )
            raise CheckFailed(message) from error
    require(
        refused or not was_image,
        f"io takes a class index for the image {name!r}: raise a ganzoo.errors.DataError",
    )


@check("task")
def check_task_step(subject: Subject) -> None:
    """Each turn has finite terms, moves only its player's weights and leaves no gradient."""
    with training(tiny_recipe(subject)) as trainer:
        _play_all(trainer)
        ends = []
        for seed in (1, 2):
            with isolated(seed):
                trainer.step()
                ends.append(generators())
    seeded = [name for name, state in ends[0].items() if state == ends[1][name]]
    require(
        not seeded, f"a step seeds {', '.join(seeded)}'s global random generator: leave it alone"
    )


@check("task")
def check_task_precisions(subject: Subject) -> None:
    """Its turns work in fp64 and under bfloat16 too."""
    for precision in ("fp64", "bf16"):

        def put(document: dict[str, Any], precision: str = precision) -> None:
            document["train"] |= {"precision": precision}

        with training(tiny_recipe(subject, put)) as trainer:
            try:
                _play_all(trainer)
            except RuntimeError as error:
                message = f"in {precision} it fails: {error}"
                if "type" in str(error):
                    message += (
                        "\nmake tensors with the dtype of the batch: "
                        "`torch.randn(..., dtype=real.dtype, device=real.device)`"
                    )
                raise CheckFailed(message) from error


@check("task")
def check_task_accumulates(subject: Subject) -> None:
    """With accumulated gradients no weight moves before the last batch, and then each player's."""

    def put(document: dict[str, Any]) -> None:
        document["train"] |= {"accumulate": 2, "epochs": 2 * document["train"]["epochs"]}

    with training(tiny_recipe(subject, put)) as trainer:
        watched = _play_all(trainer)
    require(
        any(not turn.final for turn in watched.record),
        "no player had a turn in a batch whose gradients are only accumulated",
    )


def _unowned(trainer: Trainer, leaks: Iterable[str]) -> str:
    """Which of the networks with stray gradients no player moves: that may be the slip."""
    owned = {role for roles in trainer.plan.players.values() for role in roles}
    nobodys = sorted({name.partition(".")[0] for name in leaks} - owned)
    return f"\nno player moves {', '.join(nobodys)}: should one, in `players`?" if nobodys else ""


def _play_all(trainer: Trainer) -> Watched:
    """Step until every player had its turn; each turn is judged."""
    watched = Watched(trainer)
    players = trainer.plan.players
    waiting, resting = set(players), {role for roles in players.values() for role in roles}
    for _ in range(PATIENCE):
        trainer.step()
        for turn in watched.record:
            whose = f"the turn of player {turn.player!r}"
            require(
                not turn.strays, f"{whose} also changes weights that aren't its own: {turn.strays}"
            )
            require(
                not turn.leaks,
                f"{whose} leaves gradients on weights that aren't its own "
                f"({len(turn.leaks)}, such as {min(turn.leaks, default='')}): show the other "
                "player's network under `with net.frozen()`, and detach what isn't this turn's"
                + _unowned(trainer, turn.leaks),
            )
            if turn.final:
                require(turn.moved, f"{whose} changes none of its weights")
                waiting -= {turn.player}
                resting -= {name.partition(".")[0] for name in turn.moved}
            else:
                require(not turn.moved, f"{whose} moves weights while gradients are accumulated")
        if not waiting and not resting:
            return watched
    require(waiting, f"after {PATIENCE} steps nothing has moved the weights of {sorted(resting)}")
    message = f"after {PATIENCE} steps these players never had a turn: {sorted(waiting)}"
    raise CheckFailed(message)


@check("task")
def check_task_gradients_reach_the_generator(subject: Subject) -> None:
    """In the generator's turn gradients pass through the discriminator to what was made."""
    with training(tiny_recipe(subject)) as trainer:
        if not any(trainer.plan.task.roles[role] == "discriminator" for role in trainer.nets):
            raise NotApplicable("the recipe has no discriminator")
        spy = Spy(trainer.loss)
        trainer.task = trainer.plan.make_task(trainer.recipe.task.options, trainer.prepared, spy)
        for _ in range(PATIENCE):
            trainer.step()
            require(not spy.blind, f"in the generator's turn {next(iter(spy.blind), '')}")
            if spy.looks:
                return
    raise NotApplicable("the task shows no discriminator to its loss in the generator's turn")
