"""Write docs/compatibility.md: which networks, losses and augments make a step together.

`python docs/compatibility.py` asks `ganzoo check` about combinations for every task, then
trains each for two steps on tiny samples, and stops with the list where the two disagree. What is
combined comes from the registry alone; `tests/test_compatibility.py` compares the document. It
stands beside `generate.py`, which must not import torch, and so isn't one of its parts.
"""  # noqa: INP001  # a script beside the documents, no package

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ganzoo.api import Kind, Ref
from ganzoo.data.pipeline import open_data
from ganzoo.engine.accelerate_session import Session, resolve
from ganzoo.engine.check import inspect_recipe
from ganzoo.engine.plan import plan_networks
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import ExitCode, GanzooError
from ganzoo.interfaces import Field, Task
from ganzoo.plugin_system.installed_plugins import CORE
from ganzoo.plugin_system.registry import Entry, Registry, current
from ganzoo.recipe import Recipe, load_document, load_recipe
from ganzoo.recipe.find_recipe import shipped_recipes
from ganzoo.testing import Subject
from ganzoo.testing.tiny import shrunk

DOCUMENT = Path(__file__).with_name("compatibility.md")
OWN_AFFAIR = {ExitCode.RECIPE, ExitCode.PLUGIN, ExitCode.DATA}
"""Codes of a refusal; any other is no answer to whether components fit."""

HEAD = """\
# Which components fit together

This page was written by `python docs/compatibility.py`. The script asks `ganzoo check` about
combinations of this distribution's components, task by task. Then it trains each combination for
two steps on small samples, with the preset `tiny` of each component that has one. `ok` means that
both found nothing wrong, and that terms and weights stayed finite. A number means that both
refused the combination; the reason is below the table. The script compares shapes and terms, not
the quality of images.

Each task is tried in one shipped recipe for each kind of shapes that its recipes have. Generator
and discriminator are connected only by the samples, whose shape depends on the data. So the first
table puts every generator into the recipe, and the second table combines every discriminator with
every loss and every differentiable augment. A loss that contains another loss is tried with each
of them, and with every setting in a shipped recipe of the task. A penalty has no term for the
generator, so it is added to the recipe's own first loss; such a column starts with +.

Sizes are refused by the same command: `ganzoo check RECIPE` names the nearest valid ones.
"""
ALIKE = 3
"""Losses that refuse a discriminator for one reason, after which no other is tried with it."""
NO_TERM = "gives no term for"
"""How a penalty that stands alone is refused."""


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


@dataclass(frozen=True)
class Host:
    """A shipped recipe in whose tiny form a task's components are combined.

    Args:
        task: the task.
        recipe: as it is shipped.
    """

    task: Subject
    recipe: Recipe

    def made(self, tables: Mapping[str, Any]) -> Recipe:
        """Its tiny form with other tables; nothing is built."""
        document = shrunk(self.recipe, self.task, lambda document: document.update(tables))
        return load_document(document, self.task.registry)

    def own(self, key: str) -> Any:
        """One of its tables, at its smallest."""
        return shrunk(self.recipe, self.task).get(key, "none")

    def shapes(self) -> tuple[Any, ...]:
        """What tells sorts of recipes apart: kinds of what networks take and make, and classes."""
        recipe = self.made({})
        plan = plan_networks(recipe, open_data(recipe, "train").fields)
        ios = (plan.io[role] for role in sorted(plan.io))
        return tuple((_axes(io.inputs), _axes(io.outputs)) for io in ios)


def _axes(fields: Mapping[str, Field]) -> tuple[int, ...]:
    return tuple(len(field.shape) for field in fields.values())


def hosts(task: Subject) -> list[Host]:
    """The first recipe of each sort of shapes, among those whose data are there."""
    found: dict[tuple[Any, ...], Host] = {}
    for name in sorted(shipped_recipes(task.registry)):
        recipe = load_recipe(name, registry=task.registry)
        if recipe.task.id == task.id:
            host = Host(task, recipe)
            try:
                found.setdefault(host.shapes(), host)
            except GanzooError:
                continue  # its data aren't there, and it has no stand-in
    return list(found.values())


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
    # A component named without options is its name, however the recipe spells it.
    settings = {
        key: value["use"] if isinstance(value, Mapping) and set(value) == {"use"} else value
        for key, value in settings.items()
    }
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
        trainer.answers.check_any()  # a run's dry run does this before the first step
    except Exception as error:  # noqa: BLE001  # whatever a component raises is the answer
        return f"{type(error).__name__}: {error}"
    finally:
        session.close()
    return ""


def judge(host: Host, tables: Mapping[str, Any]) -> Verdict:
    """What `check` and two steps say of the recipe with these tables.

    Raises:
        GanzooError: neither could be asked, such as for a machine that lacks something.
    """
    recipe = host.made(tables)
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


@dataclass
class Table:
    """One table of the document: its corner, its columns, and the rows so far, by label."""

    corner: str
    columns: list[str]
    rows: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        titles = [f"`{one}`".replace("`+ ", "+ `") for one in self.columns]
        lines = [[self.corner, *titles]]
        lines.append(["---"] * len(lines[0]))
        lines += [[f"`{label}`", *cells] for label, cells in self.rows.items()]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


class Section:
    """What is found out of one host: tables, the reasons that their cells point to, disagreements.

    Args:
        host: the recipe.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.reasons: dict[str, int] = {}
        self.wrong: list[str] = []

    def cell(self, what: str, tables: Mapping[str, Any]) -> str:
        """`ok`, or the number of the reason why not."""
        verdict = judge(self.host, tables)
        if fault := disagreement(verdict):
            self.wrong.append(f"{self.host.task.id} in {self.host.recipe.name}: {what}: {fault}")
        if not verdict.reason:
            return "ok"
        return f"({self.reasons.setdefault(verdict.reason, len(self.reasons) + 1)})"

    def alone(self, parts: Mapping[Kind, list[Part]]) -> Table:
        """Every network in its own table of the recipe, beside the recipe's others."""
        made = Table("network", ["table", "fits"])
        for kind in parts:
            for part in parts[kind]:
                cell = self.cell(part.label, {kind: part.table})
                made.rows[part.label] = [kind, cell]
        return made

    def upon(self, kind: Kind, parts: list[Part]) -> Table:
        """Every loss and differentiable augment upon every network of a kind."""
        changes = [self._of_loss(part) for part in losses(self.host.task)]
        for entry in own(self.host.task.registry, "diffaugment"):
            table = self.host.task.table("diffaugment", entry.id)
            changes.append((entry.id, {"diffaugment": [table]}))
        made = Table(kind, [label for label, _ in changes])
        for row in parts:
            cells: list[str] = []
            for label, change in changes:
                if len(cells) == ALIKE and len(set(cells)) == 1 and cells[0] != "ok":
                    break  # whatever the loss is, it says the same
                cells.append(self.cell(f"{row.label}, {label}", {kind: row.table, **change}))
            made.rows[row.label] = cells + cells[-1:] * (len(changes) - len(cells))
        return made

    def _of_loss(self, loss: Part) -> tuple[str, dict[str, Any]]:
        """A loss alone or, where it has no term for the generator, beside the recipe's own."""
        if NO_TERM not in judge(self.host, {"loss": [loss.table]}).reason:
            return loss.label, {"loss": [loss.table]}
        tables = self.host.own("loss")
        first = tables[0] if isinstance(tables, list) else tables
        return f"+ {loss.label}", {"loss": [{**first, "name": "own"}, loss.table]}


def section(host: Host) -> str:
    """A recipe's heading, tables and reasons.

    Raises:
        DisagreementError: listing every combination of which `check` and two steps disagree.
    """
    found, parts = Section(host), networks(host.task)
    tables = [found.alone({kind: parts[kind] for kind in parts if kind != "discriminator"})]
    if "discriminator" in parts:
        tables.append(found.upon("discriminator", parts["discriminator"]))
    if found.wrong:
        raise DisagreementError("\n".join(found.wrong))
    heading = f"## `{host.task.id}` in `{host.recipe.name}`"
    listed = "\n".join(f"{number}. {reason}" for number, reason in enumerate(found.reasons, 1))
    return "\n\n".join([heading, *map(str, tables), *([listed] if listed else [])]) + "\n"


def document(registry: Registry) -> str:
    """The whole of docs/compatibility.md."""
    tasks = [subject_of(registry, entry) for entry in own(registry, "task")]
    return "\n".join([HEAD, *(section(host) for task in tasks for host in hosts(task))])


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
