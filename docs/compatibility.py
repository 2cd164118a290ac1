"""Write docs/compatibility.md: which generator, discriminator and loss make a step together.

`python docs/compatibility.py` asks `ganzoo check` about every combination for every task, then
trains each for two steps on tiny images, and stops with the list where the two disagree. What is
combined comes from the registry alone; `tests/test_compatibility.py` compares the document. It
stands beside `generate.py`, which must not import torch, and so isn't one of its parts.
"""  # noqa: INP001  # a script beside the documents, no package

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganzoo.api import Kind, Ref
from ganzoo.data.pipeline import open_data
from ganzoo.engine.check import inspect_recipe
from ganzoo.engine.session import Session, resolve
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import ExitCode, GanzooError
from ganzoo.interfaces import Task
from ganzoo.plugins import CORE
from ganzoo.recipe import Recipe, load_recipe
from ganzoo.recipe.find import shipped_recipes
from ganzoo.registry import Entry, Registry, current
from ganzoo.testing import Subject
from ganzoo.testing.tiny import tiny_recipe

DOCUMENT = Path(__file__).with_name("compatibility.md")
OWN_AFFAIR = {ExitCode.RECIPE, ExitCode.PLUGIN, ExitCode.DATA}
"""Codes of a refusal; any other is no answer to whether components fit."""

HEAD = """\
# What fits what

Made by `python docs/compatibility.py`, which asks `ganzoo check` about every combination of this
distribution's networks and losses, task by task, and then trains it for two steps on tiny images
(the preset `tiny` of each component that has one). `ok`: both found nothing wrong, and terms and
weights stayed finite. A number: both refused it, for the reason below the table. Shapes and terms
are compared, not pictures. A loss that takes another one stands here with each, and with every
setting that a shipped recipe of the task gives it.

Sizes are refused by the same command: `ganzoo check RECIPE` names the nearest legal ones.
"""


class DisagreementError(Exception):
    """`ganzoo check` says one thing of combinations, and two steps of training another."""


@dataclass(frozen=True)
class Part:
    """One choice for a recipe's table: its label in the document, and the table."""

    label: str
    table: Mapping[str, Any] | str


@dataclass(frozen=True)
class Verdict:
    """What came of a combination: nothing wrong, or the reason; and whether two steps agreed."""

    reason: str
    steps: str


def own(registry: Registry, kind: Kind) -> Iterator[Entry]:
    """The components of a kind that this distribution brings."""
    for entry in registry.components(kind):
        if entry.record.distribution == CORE:
            yield entry


def networks(subject: Subject) -> dict[Kind, list[Part]]:
    """Choices for each of a task's tables of networks."""
    task: type[Task] = subject.choose().load()
    found: dict[Kind, list[Part]] = {}
    for kind in dict.fromkeys(task.roles.values()):
        entries = own(subject.registry, kind)
        found[kind] = [Part(entry.id, subject.table(kind, entry.id)) for entry in entries]
        roles = {role for role, table in task.roles.items() if table == kind}
        if roles <= task.optional:
            found[kind].append(Part("none", "none"))
    return found


def losses(task: Subject) -> list[Part]:
    """Every loss; with each other loss that it can take; as the task's shipped recipes set it."""
    registry = task.registry
    takers = {entry.id: _slots(registry, entry) for entry in own(registry, "loss")}
    plain = [name for name, slots in takers.items() if not slots]
    parts: dict[str, Part] = {}
    for name, slots in takers.items():
        table = task.table("loss", name)
        default = registry.choose("loss", table).options.model_dump(mode="json", by_alias=True)
        parts.setdefault(name, Part(name, table))
        for slot, other in itertools.product(slots, plain):
            if default[slot] != {"use": other}:
                _add(parts, name, table, {slot: other})
        for settings in _shipped(registry, task.id, name):
            _add(parts, name, table, {k: v for k, v in settings.items() if default[k] != v})
    return list(parts.values())


def _add(
    parts: dict[str, Part], name: str, table: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:
    if settings:
        label = ", ".join([name, *(f"{key} = {value}" for key, value in settings.items())])
        parts.setdefault(label, Part(label, {**table, **settings}))


def _slots(registry: Registry, entry: Entry) -> list[str]:
    """The options of a loss that name another loss."""
    fields = registry.options_model(entry).model_fields.items()
    return [
        field.alias or name
        for name, field in fields
        if any(isinstance(one, Ref) and one.kind == "loss" for one in field.metadata)
    ]


def _shipped(registry: Registry, task: str, loss: str) -> Iterator[dict[str, Any]]:
    """The options of a loss in each shipped recipe of a task that has it alone."""
    for name in shipped_recipes(registry):
        recipe = load_recipe(name, registry=registry)
        if recipe.task.id == task and [entry.chosen.id for entry in recipe.loss] == [loss]:
            yield recipe.loss[0].chosen.options.model_dump(mode="json", by_alias=True)


def subject_of(registry: Registry, entry: Entry) -> Subject:
    """A component as the conformance kit looks at it; no file is ever written."""
    return Subject(registry, entry.record, entry, Path("never"))


def two_steps(recipe: Recipe) -> str:
    """Train for two steps; the error's words, or nothing."""
    session = Session(resolve(recipe.train), accumulate=1)
    try:
        trainer = Trainer(recipe, open_data(recipe, "train"), session)
        for _ in range(2):
            trainer.step()
        trainer.check_finite()
    except Exception as error:  # noqa: BLE001  # whatever a component raises is the answer
        return f"{type(error).__name__}: {error}"
    finally:
        session.close()
    return ""


def judge(task: Subject, tables: Mapping[str, Any]) -> Verdict:
    """What `check` and two steps say of the task's tiny recipe with these tables.

    Raises:
        GanzooError: neither could be asked, such as for a machine that lacks something.
    """
    recipe = tiny_recipe(task, lambda document: document.update(tables))
    problems = inspect_recipe(recipe)["problems"]
    for problem in problems:
        if problem["exit_code"] not in OWN_AFFAIR:
            raise GanzooError(problem["message"], hint=problem["hint"], where=problem["where"])
    return Verdict("; ".join(problem["message"] for problem in problems), two_steps(recipe))


def disagreement(verdict: Verdict) -> str:
    """Where `check` and the two steps say different things, or nothing."""
    if bool(verdict.reason) == bool(verdict.steps):
        return ""
    if verdict.reason:
        return f"check refuses it ({verdict.reason}), and it makes two steps"
    return f"check finds nothing wrong, and two steps end with {verdict.steps}"


def section(registry: Registry, entry: Entry) -> str:
    """A task's heading, table and reasons.

    Raises:
        DisagreementError: listing every combination of which `check` and two steps disagree.
    """
    task = subject_of(registry, entry)
    tables = networks(task)
    columns = losses(task)
    reasons: dict[str, int] = {}
    rows: dict[tuple[str, ...], list[str]] = {}
    wrong: list[str] = []
    for chosen, loss in itertools.product(itertools.product(*tables.values()), columns):
        made = {kind: part.table for kind, part in zip(tables, chosen, strict=True)}
        verdict = judge(task, {**made, "loss": [loss.table]})
        labels = tuple(part.label for part in chosen)
        if fault := disagreement(verdict):
            wrong.append(f"{task.id}: {', '.join([*labels, loss.label])}: {fault}")
        number = reasons.setdefault(verdict.reason, len(reasons) + 1) if verdict.reason else 0
        rows.setdefault(labels, []).append(f"({number})" if number else "ok")
    if wrong:
        raise DisagreementError("\n".join(wrong))
    return _written(task.id, list(tables), [one.label for one in columns], rows, list(reasons))


def _written(
    name: str,
    kinds: list[Kind],
    columns: list[str],
    rows: Mapping[tuple[str, ...], list[str]],
    reasons: list[str],
) -> str:
    lines = [[*kinds, *(f"`{one}`" for one in columns)]]
    lines.append(["---"] * len(lines[0]))
    for labels, cells in rows.items():
        lines.append([*(f"`{one}`" for one in labels), *cells])
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    listed = "\n".join(f"{number}. {reason}" for number, reason in enumerate(reasons, 1))
    return "\n\n".join(part for part in (f"## `{name}`", table, listed) if part) + "\n"


def document(registry: Registry) -> str:
    """The whole of docs/compatibility.md."""
    tasks = [section(registry, entry) for entry in own(registry, "task")]
    return "\n".join([HEAD, *tasks])


if __name__ == "__main__":
    warnings.filterwarnings("ignore")  # of torch, about sizes that only this script has
    torch.set_num_threads(1)
    try:
        made = document(current())
    except DisagreementError as error:
        sys.exit(f"`ganzoo check` and two steps disagree:\n{error}")
    if not DOCUMENT.exists() or DOCUMENT.read_text(encoding="utf-8") != made:
        DOCUMENT.write_text(made, encoding="utf-8")
        print("wrote docs/compatibility.md", file=sys.stderr)  # noqa: T201
