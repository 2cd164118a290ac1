"""Begin a run from the weights that `[start]` names: find, compare and load them, and say how."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from ganzoo.api import Chosen
from ganzoo.engine.accelerate_session import Session
from ganzoo.engine.fit_weights import Fit, channels, fit
from ganzoo.engine.plan import Plan
from ganzoo.errors import DataError, GanzooError, RecipeError, UsageError, one_line
from ganzoo.files import expanded
from ganzoo.inference.find_weights import find_networks
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.inference.weights_file import check_revision, load_all
from ganzoo.interfaces import Shape
from ganzoo.plugin_system import registry
from ganzoo.plugin_system.suggestions import did_you_mean
from ganzoo.recipe.model import Origin, Recipe
from ganzoo.recipe.start import Start, split_source

_SHOWN = 10
"""The largest number of tensors that a message lists of each group."""


class Source(NamedTuple):
    """A network that weights come from.

    Args:
        path: the weights file, which may be a bundle.
        role: the network's role in it.
    """

    path: Path
    role: str


@dataclass(frozen=True)
class Started:
    """What one network begins from; as text, it is what the user is told.

    Args:
        role: the network's role in this run.
        path: the weights file.
        card: the card of the file.
        fit: how its tensors fit the network.
        notes: sentences about what differs between the two networks besides their tensors.
    """

    role: str
    path: Path
    card: WeightsCard
    fit: Fit
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        card, fit = self.card, self.fit
        average = "the moving average of " if card.ema else ""
        made = f"{average}{card.role} at step {card.step:,} of {card.recipe}"
        rows = [f"{self.role} starts from {self.path} ({made})", *_rows(fit, "taken")]
        if left := len(fit.other_shape) + len(fit.fresh) + len(fit.kept):
            rows.append(f"{left} tensors keep their initial values")
        return "\n  ".join([*rows, *self.notes])

    def record(self) -> dict[str, Any]:
        """Return the entry of this network in `provenance.json`."""
        card = self.card
        return {
            "path": str(self.path.absolute()),
            "sha256": card.sha256,
            "role": card.role,
            "ema": card.ema,
            "step": card.step,
            "recipe": card.recipe,
            "network": card.network["use"],
            **asdict(self.fit),
        }


def find_files(recipe: Recipe, plan: Plan) -> dict[str, Source]:
    """Return the weights file from which each role starts, the moving average where there is one.

    Roles that start from the same run take the newest checkpoint that has all of them.

    Raises:
        RecipeError: when a role is unknown, or there are no such weights.
        DataError: when they are damaged or can't be read, or when a run's files are of several
            checkpoints.
        EnvironmentFault: when a newer version of ganzoo wrote them.
    """
    places: dict[str, tuple[Path, dict[str, str | None]]] = {}
    for role, source in recipe.start.sources.items():
        if role not in plan.chosen:
            known = [*plan.chosen, *Start.model_fields]
            raise RecipeError(
                f"start.{role}: this run has no network {role!r}",
                where=_place(recipe, role),
                hint=did_you_mean(role, known) or f"Its networks are: {', '.join(plan.chosen)}.",
            )
        name, theirs = split_source(source)
        path = expanded(name)
        places.setdefault(_real(path), (path, {}))[1][role] = theirs
    files: dict[str, Source] = {}
    for path, named in places.values():
        with _named(recipe, *named):
            files |= _find(path, named)
    return files


def _real(path: Path) -> str:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):  # a name that no file can have
        return str(path)


def _find(path: Path, named: Mapping[str, str | None]) -> dict[str, Source]:
    """Return the weights that a run, a checkpoint's folder or a file has for some roles.

    Args:
        path: the run, the folder or the file.
        named: for each role of this run the role that the recipe names; None: it names none. Then
            the only network of a file is meant, and otherwise the one with the same role.
    """
    meant: dict[str, str] = {}
    held: Collection[str] = ()

    def wanted(_: WeightsCard, roles: Collection[str]) -> Sequence[str]:
        nonlocal held
        held = roles
        only = next(iter(roles)) if path.is_file() and len(roles) == 1 else None
        meant.update({role: theirs or only or role for role, theirs in named.items()})
        return list(dict.fromkeys(meant.values()))

    try:
        files, _ = find_networks(path, wanted)
    except UsageError as error:
        others = {*held} - {*meant.values()}
        unknown = [theirs for theirs in meant.values() if theirs not in held]
        if path.is_file() and len(held) == 1:
            first = (
                f"Leave out :{unknown[0]}" if len(named) == 1 else "Name each network's own file"
            )
            error.hint = f"{first}, or name its checkpoint's folder or its run."
        elif others:
            error.hint += f"\nAnother network of it is named like this: {path}:{min(others)}"
        if len(named) > 1 and path.is_dir():
            error.hint += "\nName a checkpoint that has all of them, or name each file."
        raise
    except OSError as error:  # a name that no file can have, or a folder that can't be opened
        raise UsageError(f"can't be read: {error.strerror}", where=one_line(str(path))) from error
    return {role: Source(files[theirs], theirs) for role, theirs in meant.items()}


def find_together(session: Session, recipe: Recipe, plan: Plan) -> dict[str, Source]:
    """Return the result of `find_files` in the main process, for all processes.

    A run that is still being trained may write another checkpoint at any moment, and all processes
    must start from the same one.

    Raises:
        GanzooError: for the same reasons as in `find_files`, in every process.
    """
    outcome: dict[str, Source] | GanzooError | None = None
    if session.main:
        try:
            outcome = find_files(recipe, plan)
        except GanzooError as error:
            outcome = error
    outcome = session.share(outcome)
    if isinstance(outcome, GanzooError):
        raise outcome
    return outcome or {}


def begin(
    recipe: Recipe,
    plan: Plan,
    networks: Mapping[str, nn.Module],
    files: Mapping[str, Source],
    *,
    load: bool,
) -> tuple[Started, ...]:
    """Load weights files into networks, converted to their device and number format.

    Args:
        recipe: the recipe.
        plan: its plan.
        networks: the networks by role.
        files: the weights file of each role that starts from one.
        load: whether to load the weights. Otherwise they are only compared with the networks,
            which may be on the meta device.

    Raises:
        DataError: when a file is damaged, when it doesn't fit and `start.strict` is true, or when
            nothing in it fits.
        PluginError: when another revision of the same component made it and `start.strict` is true.
        EnvironmentFault: when a newer version of ganzoo wrote it.
    """
    started = []
    for role, card, state in _loaded(recipe, files):
        path, net, chosen = files[role].path, networks[role], plan.chosen[role]
        with _named(recipe, role):
            adapt = channels(card, plan.io[role], plan.fields)
            found, tensors = fit(state, net, adapt if recipe.start.adapt == "channels" else None)
            one = Started(role, path, card, found, tuple(_notes(card, chosen)))
            if recipe.start.strict:
                if _made_by(card, chosen) == chosen.id:
                    or_else = ", or set start.strict = false"
                    check_revision(card, chosen.component, chosen.id, or_else)
                if not found.whole:
                    could = recipe.start.adapt == "none" and fit(state, net, adapt)[0].whole
                    raise _misfit(one, chosen, could_be_adapted=could)
            if not any(name in tensors for name, _ in net.named_parameters()):
                rows = "\n".join(_rows(found, "fits"))
                raise DataError(f"no weights in {path} fit {chosen.id}", hint=rows)
        if load:
            net.load_state_dict(tensors, strict=False)
        started.append(one)
    return tuple(started)


def _loaded(
    recipe: Recipe, files: Mapping[str, Source]
) -> Iterator[tuple[str, WeightsCard, dict[str, Tensor]]]:
    """Yield the card and the tensors for each role. A file for several roles is read once."""
    roles: dict[Path, list[str]] = {}
    for role, source in files.items():
        roles.setdefault(source.path, []).append(role)
    for path, its in roles.items():
        with _named(recipe, *its):
            networks = load_all(path)
        for role in its:
            yield role, *networks[files[role].role]


def _misfit(one: Started, chosen: Chosen, *, could_be_adapted: bool) -> DataError:
    ways = ['Set start.adapt = "channels" to adapt the first and the last layer.']
    ways = ways if could_be_adapted else []
    ways += ["Set start.strict = false to start from what fits."]
    return DataError(
        f"the weights in {one.path} don't fit {chosen.id}",
        hint="\n".join([*_rows(one.fit, "fits"), *one.notes, *ways]),
    )


def _made_by(card: WeightsCard, chosen: Chosen) -> str:
    """Return the present id of the component that a card names, which may have been renamed."""
    return registry.current().present_id(chosen.component.kind, str(card.network["use"]))


def _notes(card: WeightsCard, chosen: Chosen) -> Iterator[str]:
    """Yield how the network of a card differs from this run's."""
    if _made_by(card, chosen) != chosen.id:
        yield f"the weights are those of {card.network['use']}, and this network is {chosen.id}"
        return
    if card.revision != chosen.component.revision:
        here = chosen.component.revision
        yield f"the weights are those of revision {card.revision} of {chosen.id}, not of {here}"
    table = chosen.as_table()
    other = [key for key in table if key != "use" and card.network.get(key) != table[key]]
    if other:
        yield f"options with other values than in the weights' network: {', '.join(other)}"


def _rows(found: Fit, fits: str) -> list[str]:
    """Return the comparison as lines: what fits, what doesn't, and what is only in one of both."""
    own = (found.taken, found.adapted, found.kept, found.other_shape, found.fresh)
    every = sum(map(len, own))
    count = len(found.taken)
    rows = [f"{fits}: {count} of the network's {every} tensors"]
    adapted = [f"{name} {_arrow(shapes)}" for name, shapes in found.adapted.items()]
    other = [f"{name} {_arrow(shapes)}" for name, shapes in found.other_shape.items()]
    rows += _group("channels adapted", adapted)
    kept = [f"{name} {_arrow(shapes)}" for name, shapes in found.kept.items()]
    rows += _group("buffer that keeps the network's own values", kept)
    rows += _group("another shape", other)
    rows += _group("not in the file", found.fresh)
    rows += _group("only in the file", found.unused)
    return rows


def _group(title: str, names: Iterable[str]) -> list[str]:
    listed = [*names]
    rows = [f"{title}: {name}" for name in listed[:_SHOWN]]
    more = len(listed) - len(rows)
    return rows + ([f"{title}: {more} more"] if more else [])


def _arrow(shapes: tuple[Shape, Shape]) -> str:
    before, here = ("x".join(map(str, shape)) or "a number" for shape in shapes)
    return f"{before} -> {here}"


@contextmanager
def _named(recipe: Recipe, *roles: str) -> Iterator[None]:
    """Name the keys of the recipe in an error; what isn't there is a mistake in the recipe."""
    try:
        yield
    except GanzooError as error:
        kind = RecipeError if isinstance(error, UsageError) else type(error)
        message = f"{error.where}: {error.message}" if error.where else error.message
        keys = " and ".join(f"start.{role}" for role in roles)
        place = _place(recipe, roles[0])
        raise kind(f"{keys}: {message}", where=place, hint=error.hint) from error


def _place(recipe: Recipe, role: str) -> str | Origin:
    return recipe.origins.get(("start", role), recipe.name)
