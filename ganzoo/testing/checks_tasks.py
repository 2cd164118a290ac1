"""What is demanded of tasks: sound declarations, clean turns, usable networks, exact resumes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor

from ganzoo.data.pipeline import open_data
from ganzoo.errors import DataError
from ganzoo.files import write_text
from ganzoo.inference.applications import available
from ganzoo.interfaces import Application, Field, NetIO, Role, Task
from ganzoo.recipe.write import to_toml
from ganzoo.testing import tasks, trial
from ganzoo.testing.compare import unequal
from ganzoo.testing.kit import CheckFailed, NotApplicable, NotTested, check, require
from ganzoo.testing.subject import Subject
from ganzoo.testing.tiny import task_recipe, tiny_recipe

_RATES = (0.01, 0.002)
"""Learning rates at which a task may overfit one batch."""
_LATE = 3
"""The step with which a late player begins."""
_ROUNDED = 1e-3
"""How far beyond [-1, 1] an image may go by rounding."""


@check("task")
def check_task_recipe(subject: Subject) -> None:
    """A recipe names the task, and its tiny form can be planned."""
    tiny_recipe(subject)


@check("task")
def check_task_declarations(subject: Subject) -> None:
    """Roles, players, needs, applications and optional roles are declared and fit each other."""
    task: Any = subject.choose().load()
    require(
        isinstance(task, type) and issubclass(task, Task), f"{subject.id} is no subclass of Task"
    )
    for name in ("roles", "players", "needs", "applications"):
        require(getattr(task, name, None) is not None, f"the class doesn't declare `{name}`")
    legal = get_args(Role)
    for role, table in task.roles.items():
        require(table in legal, f"role {role!r} is a {table!r}, and may be: {', '.join(legal)}")
    owners: dict[str, str] = {}
    for player, roles in task.players.items():
        _names(f"player {player!r} moves", roles, task.roles)
        for role in roles:
            require(
                role not in owners,
                f"role {role!r} is moved by two players, {owners.get(role)!r} and {player!r}",
            )
            owners[role] = player
    plain = isinstance(task.needs, str)
    require(not plain, f"`needs` is {task.needs!r}: give a frozenset of names")
    unknown = sorted(set(task.optional) - set(task.roles))
    require(not unknown, f"`optional` has {unknown}, which are no roles")
    require(
        set(owners) - set(task.optional),
        "no player moves a role that is not optional: a recipe could leave nobody to train",
    )
    for name, one in task.applications.items():
        what = f"the application {name!r}"
        require(isinstance(one, Application), f"{what} is no ganzoo.interfaces.Application")
        _names(f"{what} uses", one.roles, task.roles)
        for key in ("takes", "gives"):
            _names(f"{what} {key}", getattr(one, key))
        taken = set(one.draws) <= set(one.takes)
        require(taken, f"{what} draws {one.draws!r}: give names that are in `takes` too")
        needed = [key for key, info in one.options.model_fields.items() if info.is_required()]
        require(not needed, f"{what}: its option {min(needed, default='')!r} has no default")


def _names(who: str, names: Any, roles: Collection[str] | None = None) -> None:
    """Check a tuple of names, and that each is one of the roles."""
    require(
        isinstance(names, tuple) and names and all(isinstance(one, str) for one in names),
        f"{who} {names!r}: give a tuple of names, one or more",
    )
    for name in names:
        require(roles is None or name in roles, f"{who} {name!r}, which is no role")


@check("task")
def check_task_io(subject: Subject) -> None:
    """`io` gives each role inputs and outputs, the same every time, and refuses unfit fields."""
    recipe = task_recipe(subject)
    task, options = recipe.task.load(), recipe.task.options
    fields = open_data(recipe, "train").fields
    for role in task.roles:
        io = task.io(role, options, fields)
        require(isinstance(io, NetIO), f"io({role!r}) is a {type(io).__name__}, not a NetIO")
        for name, field in (*io.inputs.items(), *io.outputs.items()):
            require(
                isinstance(field.shape, tuple) and all(n > 0 for n in field.shape),
                f"io({role!r}) has {field.shape!r} for {name!r}: give a tuple of positive integers",
            )
        require(io == task.io(role, options, fields), f"io({role!r}) isn't the same every time")
    for name in sorted(task.needs):
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
    """Each turn has finite terms with gradients, and moves its player's weights and no others."""

    def put(document: dict[str, Any]) -> None:
        document["train"] |= {"accumulate": 2, "epochs": 2 * document["train"]["epochs"]}

    with trial.training(task_recipe(subject, put)) as trainer:
        spy = trial.Spy(trainer.answers.loss)
        trainer.task = trainer.plan.make_task(trainer.recipe.task.options, trainer.task.nets, spy)
        trial.play_all(trainer)
        seeded = tasks.seeded_by_a_step(trainer)
        require(not seeded, f"a step seeds {seeded}'s global random generator: leave it alone")


@check("task")
def check_task_precisions(subject: Subject) -> None:
    """Its turns work in fp64 and under bfloat16 too."""
    for precision in ("fp64", "bf16"):

        def put(document: dict[str, Any], precision: str = precision) -> None:
            document["train"] |= {"precision": precision}

        with trial.training(task_recipe(subject, put)) as trainer:
            try:
                trial.play_all(trainer)
            except RuntimeError as error:
                message = (
                    f"in {precision} it fails: {error}\nmake tensors with the dtype of the batch: "
                    "`torch.randn(..., dtype=real.dtype, device=real.device)`"
                )
                raise CheckFailed(message) from error


@check("task")
def check_task_players_begin_later(subject: Subject) -> None:
    """A player whose networks are optional stands still until it begins, and the others don't."""
    task = subject.choose().load()
    late = [player for player, roles in task.players.items() if {*roles} <= task.optional]
    if not late:
        raise NotApplicable("no player of optional roles alone")
    for player in late:

        def put(document: dict[str, Any], player: str = player) -> None:
            document["players"] = {player: {"begin": f"{_LATE} steps"}}

        fits = partial(tasks.has_a_term_beside, player=player)
        wanted = f"has the player {player!r} and a loss with another term"
        try:
            recipe = task_recipe(subject, put, fits, wanted)
        except NotApplicable as reason:
            raise NotTested(str(reason)) from reason
        with trial.training(recipe) as trainer:
            tasks.judge_late(trainer, player, _LATE)


@check("task")
def check_task_compares_only_pairs(subject: Subject) -> None:
    """A task whose terms tell which rows of two fields belong together says `needs_aligned`."""

    def put(document: dict[str, Any]) -> None:
        document["train"] |= {"precision": "fp64"}
        document["diffaugment"] = []

    with trial.training(task_recipe(subject, put)) as trainer:
        task, fields = trainer.plan.task, trainer.plan.fields
        names = sorted(name for name in task.needs if fields[name].shape)
        if len(names) < 2 or task.needs_aligned:
            raise NotApplicable("it needs no two fields, or says that they are pairs")
        for net in trainer.nets.values():
            net.eval()  # dropout is drawn by rows
        batch = trial.batch_of(trainer, 0, 1)
        for name in names[1:]:
            swapped = {**batch, name: batch[name].flip(0)}
            require(
                tasks.alike(trainer, batch, swapped),
                f"its terms change when the rows of {name!r} come in another order than those of "
                f"{names[0]!r}: it compares the two, so say `needs_aligned: ClassVar[bool] = True`",
            )


@check("task")
def check_task_applies(subject: Subject) -> None:
    """Applications draw and give what they say, the same under a seed, each sample for itself."""
    recipe = task_recipe(subject)
    alone = not tasks.has_tag(subject, recipe, "reads_the_batch")
    with trial.training(recipe) as trainer:
        there = available(recipe.task, trainer.nets)
        if not there:
            raise NotApplicable("the task has no application with the recipe's networks")
        for name, application in there.items():
            if application.draws:
                tasks.judge_draws(trainer, name)
            made, again, other = (tasks.applied(trainer, name, 0, n) for n in (1, 1, 2))
            known = tasks.ready(trainer, name).fields
            for given, one in made.items():
                require(
                    given in known,
                    f"{name!r} gives {given!r}, which is neither one of the data's fields nor an "
                    "output of its networks",
                )
                shape = (2, *known[given].shape)
                require(
                    one.shape == shape,
                    f"{name!r} gives {given!r} as {tuple(one.shape)}, and it should be {shape}",
                )
                finite = torch.isfinite(one).all()
                require(finite, f"{name!r} gives {given!r} with values that aren't finite")
                require(
                    not alone or torch.allclose(one[0], other[given][0], rtol=1e-4, atol=1e-5),
                    f"what {name!r} makes of a sample changes with the others in its batch; if it "
                    "must, give the network, or the task, the tag reads_the_batch",
                )
            require(not unequal(made, again), f"{name!r} makes something else under the same seed")


@check("task")
def check_task_samples(subject: Subject) -> None:
    """`sample` gives batches of fields to show: a row a sample, finite, the same under a seed."""
    recipe = task_recipe(subject)
    bound = float("inf") if tasks.has_tag(subject, recipe, "unbounded_output") else 1 + _ROUNDED
    with trial.training(recipe) as trainer:
        axes = {len(field.shape) for field in trainer.plan.fields.values()}
        before = trial.weights_of(trainer.nets)
        once, again = tasks.sampled(trainer), tasks.sampled(trainer)
        require(isinstance(once, dict) and once, "`sample` gives nothing to show")
        for caption, rows in once.items():
            require(
                isinstance(rows, Tensor) and rows.ndim - 1 in axes and len(rows) == 2,
                f"{caption!r} is no tensor with the axes of a field of the data and a row for each "
                "of the batch's 2 samples, such as N x C x H x W for images",
            )
            require(torch.isfinite(rows).all(), f"{caption!r} has values that aren't finite")
            require(
                rows.ndim == 2 or not rows.is_floating_point() or rows.abs().max() <= bound,
                f"{caption!r} goes from {rows.min():.4g} to {rows.max():.4g}, and fields lie in "
                "[-1, 1]; if its network has no bound, give that the tag unbounded_output",
            )
        differ = unequal(once, again)
        require(not differ, f"`sample` shows something else under the same seed, in {differ}")
        touched = unequal(before, trial.weights_of(trainer.nets))
        require(not touched, f"`sample` changes the networks: {touched[:3]}")


@check("task")
def check_task_classes(subject: Subject) -> None:
    """As many classes as the data have; they reach the networks, in steps and in predictions."""
    recipe = task_recipe(subject, fits=tasks.conditional, wanted="has networks that take classes")
    with trial.training(recipe) as trainer:
        tasks.judge_classes(trainer)


@check("task")
def check_task_resume(subject: Subject) -> None:
    """A resume is exact to the bit, with averages, annealed rates of each player, augmentation."""
    players = sorted(subject.choose().load().players)

    def put(document: dict[str, Any]) -> None:
        """All that changes with training: each player's own rates, averages; augments stay."""
        document["ema"] = {"enabled": True, "half_life": {"from": 2, "to": 20}}
        document["players"] = {
            player: {
                "use": "ganzoo/adam",
                "lr": {"from": 1e-3 * 2**place, "to": 1e-4},
                "betas": [0.5, {"from": 0.9, "to": 0.99}],
                "schedule": "ganzoo/cosine",
            }
            for place, player in enumerate(players)
        }

    trial.same_after_a_resume(task_recipe(subject, put), subject.folder)


@check("task", slow=True)
def check_task_on_ranks(subject: Subject) -> None:
    """`ganzoo run` trains on one process and on two, whose weights then are equal."""
    file = subject.folder / "tiny.toml"
    write_text(file, to_toml(task_recipe(subject)))
    for processes in (1, 2):
        command = [sys.executable, "-m", "ganzoo", *subject.plugin_arguments(), "run", str(file)]
        command += ["--processes", str(processes), "--device", "cpu", "--max-steps", "2"]
        command += ["--out", str(subject.folder / f"of_{processes}")]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(  # noqa: S603  # our own interpreter
            command, check=False, capture_output=True, text=True, timeout=300, env=environment
        )
        require(
            done.returncode == 0,
            f"on {processes} process(es) the run ends with exit code {done.returncode}:\n"
            + "\n".join(done.stderr.strip().splitlines()[-12:]),
        )


@check("task", advisory=True)
def check_task_overfits(subject: Subject) -> None:
    """The generator alone brings its loss on one batch to a third."""
    task = subject.choose().load()
    made = {role for role, table in task.roles.items() if table == "generator"}
    makers = [player for player, roles in task.players.items() if made & set(roles)]
    if not makers:
        raise NotApplicable("no player has a generator")
    tried = []
    for rate in _RATES:

        def put(document: dict[str, Any], rate: float = rate) -> None:
            document["optimizer"] = {"use": "ganzoo/adam", "lr": rate, "betas": [0.9, 0.999]}
            document.pop("players", None)
            document["diffaugment"] = []

        start, end, goal = tasks.overfitted(task_recipe(subject, put), makers)
        if end <= goal:
            return
        tried.append(f"from {start:.4g} to {end:.4g} (lr {rate}; {goal:.4g} is expected)")
    message = (
        "on one batch, against other players that stand still, the generator's loss goes "
        f"{', '.join(tried)}. It may be as it should be where the loss holds path lengths or fresh "
        "noise; else look for a term with the wrong sign, or one that reaches no generator"
    )
    raise CheckFailed(message)
