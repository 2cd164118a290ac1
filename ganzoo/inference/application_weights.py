"""What an application needs: the weights of its networks, all of one checkpoint."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ganzoo.api import Chosen
from ganzoo.data.formats import check_masks, checked_formats
from ganzoo.errors import DataError, GanzooError
from ganzoo.inference.applications import Command, available, fields_of, pick
from ganzoo.inference.find_weights import Roles, find_networks
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.interfaces import Application, Field, Format


@dataclass(frozen=True)
class Weights:
    """What an application needs: the weights of its networks, all of one checkpoint.

    Args:
        task: the task that they were trained for.
        name: of the application.
        files: the file of each role; a bundle is that of several.
        cards: the card of each role.
    """

    task: Chosen
    name: str
    files: Mapping[str, Path]
    cards: Mapping[str, WeightsCard]

    @property
    def path(self) -> Path:
        """The file with all of these weights, or the folder of their files."""
        files = set(self.files.values())
        first = next(iter(self.files.values()))
        return first if len(files) == 1 else first.parent

    @property
    def card(self) -> WeightsCard:
        """One of the cards, for what is the same in all of them."""
        return next(iter(self.cards.values()))

    @property
    def application(self) -> Application:
        """What the weights are used for."""
        application: Application = self.task.load().applications[self.name]
        return application

    @cached_property
    def fields(self) -> dict[str, Field]:
        """The fields of the data, and those that only the application has."""
        io = {role: card.io for role, card in self.cards.items()}
        return fields_of(self.application, self.card.fields, io)

    @cached_property
    def formats(self) -> dict[str, Format]:
        """The formats of `fields`, by name.

        Raises:
            DataError: a field can't be as the card says.
            GanzooError: a format or its plugin is missing.
        """
        try:
            for card in self.cards.values():
                for fields in (card.io.inputs, card.io.outputs):
                    checked_formats(fields)
            formats = checked_formats(self.fields)
            check_masks(self.card.fields, formats)
        except ValueError as error:
            raise DataError(
                f"its card describes a field that can't be: {error}", where=str(self.path)
            ) from error
        except GanzooError as error:
            error.where = error.where or str(self.path)
            raise
        return formats

    @property
    def which(self) -> str:
        """The option that names the application, where the task has several."""
        return f" --application {self.name}" if len(self.task.load().applications) > 1 else ""

    @property
    def ema(self) -> dict[str, bool]:
        """Whether these are moving averages, by role."""
        return {role: card.ema for role, card in self.cards.items()}

    def source(self) -> dict[str, Any]:
        """Which weights made a picture, for its metadata: no path of the machine they lay on.

        Returns:
            `weights`: the name of the file or folder; `sha256`: the card's, of weights that have
            one, by role where they are in several files; `recipe`; `step`.
        """
        hashes = {role: card.sha256 for role, card in self.cards.items() if card.sha256}
        known: dict[str, Any] = {"sha256": hashes} if hashes else {}
        if hashes and len(set(self.files.values())) == 1:
            known = {"sha256": self.card.sha256}
        return {
            "weights": self.path.name,
            **known,
            "recipe": self.card.recipe,
            "step": self.card.step,
        }


def find_application(
    run_or_file: Path,
    name: str | None = None,
    *,
    ema: bool | None = None,
    command: Command = "",
) -> Weights:
    """Find the weights of an application's networks.

    Args:
        run_or_file: a bundle, the weights file of the only network that the application calls, a
            checkpoint's folder, or a run directory (see `find_networks`).
        name: the application; None: the first one that suits the command.
        ema: see `find_networks`.
        command: see `ganzoo.inference.applications.pick`.

    Raises:
        UsageError: there is no such application, or not all of its weights are there.
        DataError: what was named is damaged, or can't be read, or is of several checkpoints.
        PluginError: the task's plugin is missing.
    """
    found: dict[str, Any] = {}

    def roles(card: WeightsCard, there: Collection[str]) -> Sequence[str]:
        found["task"] = task = task_of(card)
        found["name"] = pick(task, card.fields, there, name, command)
        return tuple(task.load().applications[found["name"]].roles)

    files, cards = find_networks(run_or_file, roles, ema=ema)
    return Weights(found["task"], found["name"], files, cards)


def task_of(card: WeightsCard) -> Chosen:
    """The task that weights were trained for.

    Raises:
        PluginError: its plugin is missing.
    """
    from ganzoo.plugin_system import registry

    return registry.current().choose("task", dict(card.task))


def all_roles(wanted: Sequence[str] = ()) -> Roles:
    """Every role that the named applications use; without names, those of all that can be used.

    The roles are those of one task, so that a run's optional networks may be absent.
    """

    def roles(card: WeightsCard, there: Collection[str]) -> Sequence[str]:
        task = task_of(card)
        names = [pick(task, card.fields, there, one) for one in wanted or (None,)]
        if not wanted:
            names = list(available(task, there))
        every = task.load().applications
        return tuple(dict.fromkeys(role for name in names for role in every[name].roles))

    return roles
