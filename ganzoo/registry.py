"""From a name in a recipe to a component with checked options.

`activate()` is what programs call; a unit test that builds options by hand needs it too, since
options may name other components.
"""

from __future__ import annotations

import fnmatch
import logging
import types
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ganzoo import plugins
from ganzoo.api import KINDS, Chosen, Component, Kind, Options, Ref, load_target, set_resolver
from ganzoo.errors import ExitCode, GanzooError, PluginError, RecipeError
from ganzoo.wording import Loc, OptionProblem, did_you_mean, explain, key_of, models_in, quoted

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A component with its id and the plugin that brings it."""

    id: str
    component: Component
    record: plugins.PluginRecord


class ChoiceError(GanzooError):
    """A component table that can't be used; `problems` has everything that is wrong with it."""

    def __init__(self, problems: Sequence[OptionProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "\n".join(_sentence(problem) for problem in self.problems),
            exit_code=common_exit_code(problem.exit_code for problem in self.problems),
        )


def _sentence(problem: OptionProblem) -> str:
    text = ": ".join(filter(None, (".".join(map(str, problem.loc)), problem.message)))
    return f"{text} ({problem.hint})" if problem.hint else text


def common_exit_code(codes: Iterable[ExitCode]) -> ExitCode:
    """4 when all problems are of missing or broken plugins; with both kinds, 3."""
    return ExitCode.PLUGIN if set(codes) == {ExitCode.PLUGIN} else ExitCode.RECIPE


class Registry:
    """The components of all working plugins, and why the others don't work.

    Args:
        records: what `ganzoo.plugins.discover` found.
    """

    def __init__(self, records: Iterable[plugins.PluginRecord]) -> None:
        self.records = tuple(records)
        self._by_namespace: dict[str, plugins.PluginRecord] = {}
        for record in self.records:
            known = self._by_namespace.get(record.namespace)
            if known is None or known.state == "quarantined":
                self._by_namespace[record.namespace] = record
        self._entries: dict[tuple[str, str], Entry] = {}
        for record in self.records:
            for component in record.components:
                entry = Entry(f"{record.namespace}/{component.name}", component, record)
                self._entries[component.kind, entry.id] = entry
        self._told: set[str] = set()

    def components(self, kind: Kind | None = None, pattern: str | None = None) -> tuple[Entry, ...]:
        """Components by kind and id, of one kind or of all; without those that were renamed.

        Args:
            kind: only this kind.
            pattern: `pix*/*`, `*hinge*`; without a wildcard, every id that contains it.
        """
        if pattern is not None and not any(sign in pattern for sign in "*?["):
            pattern = f"*{pattern}*"
        return tuple(
            sorted(
                (
                    entry
                    for (its_kind, its_id), entry in self._entries.items()
                    if kind in {None, its_kind}
                    and (pattern is None or fnmatch.fnmatchcase(its_id, pattern))
                    and not entry.component.renamed_to
                ),
                key=lambda entry: (KINDS.index(entry.component.kind), entry.id),
            )
        )

    def find(self, kind: Kind, name: str) -> Component:
        """The component of a kind with this id; a renamed one is followed, which is said once.

        Raises:
            RecipeError: an unknown name of an installed plugin, with the nearest ones (exit 3).
            PluginError: its plugin is missing, blocked or quarantined, with the cause (exit 4).
        """
        return self._follow(kind, name).component

    def _follow(self, kind: Kind, name: str) -> Entry:
        passed: list[str] = []
        while True:
            entry = self._entries.get((kind, name))
            if entry is None:
                raise self._unknown(kind, name)
            target = entry.component.renamed_to
            if not target:
                return entry
            passed.append(name)
            if target in passed:
                raise PluginError(
                    f"{passed[0]} was renamed in a circle: {' -> '.join([*passed, target])}",
                    hint=f"tell the authors of {entry.record.distribution}",
                )
            if name not in self._told:
                self._told.add(name)
                log.warning("%s is now called %s", name, target)
            name = target

    def record_of(self, name: str) -> plugins.PluginRecord:
        """The plugin that owns an id's namespace, in whatever state it is.

        Raises:
            PluginError: when it isn't installed.
        """
        namespace = name.partition("/")[0]
        record = self._by_namespace.get(namespace)
        if record is None:
            raise PluginError(
                f'no plugin "{namespace}" is installed',
                hint=did_you_mean(namespace, self._by_namespace)
                or f"it would come with the distribution {plugins.CORE}-{namespace}; "
                "`ganzoo plugins` lists what is installed",
            )
        return record

    def _unknown(self, kind: Kind, name: str) -> GanzooError:
        """Why `(kind, name)` isn't there."""
        ids = [entry.id for entry in self.components(kind)]
        if "/" not in name:
            same_end = [its_id for its_id in ids if its_id.partition("/")[2] == name]
            hint = f"did you mean {' or '.join(map(quoted, same_end))}?" if same_end else ""
            return RecipeError(
                f"{quoted(name)} is no {kind}: ids are like namespace/name",
                hint=hint or did_you_mean(name, ids) or f"`ganzoo list {kind}` lists them",
            )
        try:
            record = self.record_of(name)
        except PluginError as error:
            return error
        if record.state != "ok":
            return PluginError(
                f'the plugin "{record.namespace}" is {record.state}: {record.reason}',
                hint="`ganzoo plugins --verbose` shows all that is known of it",
            )
        kinds = [its_kind for its_kind, its_id in self._entries if its_id == name]
        if kinds:
            return RecipeError(
                f"{quoted(name)} is a {kinds[0]}, not a {kind}",
                hint=f"`ganzoo list {kind}` lists what fits",
            )
        return RecipeError(
            f"{record.distribution} has no {kind} {quoted(name)}",
            hint=did_you_mean(name, ids) or f"`ganzoo list {kind}` lists them",
        )

    def options_model(self, entry: Entry) -> type[Options]:
        """The options class of a component, imported.

        Raises:
            PluginError: when it can't be imported, or is no `Options`.
        """
        where = f"{entry.record.distribution}, {entry.component.options}"
        try:
            model = load_target(entry.component.options)
        except Exception as error:
            raise PluginError(
                f"the options of {entry.id} can't be imported: {type(error).__name__}: {error}",
                where=where,
                hint=f"reinstall {entry.record.distribution}, or tell its authors",
            ) from error
        if not (isinstance(model, type) and issubclass(model, Options)):
            raise PluginError(
                f"the options of {entry.id} are no subclass of ganzoo.api.Options", where=where
            )
        return model

    def entry(self, kind: Kind, name: str) -> Entry:
        """Like `find`, with the final id and the plugin's record."""
        return self._follow(kind, name)

    def choose(self, kind: Kind, value: str | Mapping[str, Any], loc: Loc = ()) -> Chosen:
        """The component that a string or table names, with validated options.

        Args:
            kind: what the component must be.
            value: `"namespace/name"`, or a table with `use`, perhaps `preset`, and options.
            loc: where the table stands, put before each problem's location.

        Raises:
            ChoiceError: with every problem of the table and of those nested in it.
        """
        problems: list[OptionProblem] = []
        chosen = self._choose(kind, value, loc, problems)
        if chosen is None:
            raise ChoiceError(problems)
        return chosen

    def _choose(self, kind: Kind, value: Any, loc: Loc, out: list[OptionProblem]) -> Chosen | None:
        """Append problems to `out`, and return None if there are any."""
        if isinstance(value, Chosen):
            return value
        table: dict[str, Any] = {}
        if isinstance(value, str):
            name, at = value, loc
        elif isinstance(value, Mapping):
            use, at = value.get("use"), (*loc, "use")
            table = {key: item for key, item in value.items() if key != "use"}
            if not isinstance(use, str):
                message = "is required" if use is None else "must be text"
                hint = f"`ganzoo list {kind}` lists what it may be"
                out.append(OptionProblem(at, message, hint))
                return None
            name = use
        else:
            out.append(OptionProblem(loc, f"must be the id of a {kind}, or a table with `use`"))
            return None
        try:
            entry = self._follow(kind, name)
            model = self.options_model(entry)
        except GanzooError as error:
            out.append(OptionProblem(at, error.message, error.hint, error.exit_code))
            return None
        options = self._options(entry, model, table, loc, out)
        if options is None:
            return None
        return Chosen(id=entry.id, component=entry.component, options=options)

    def _options(
        self,
        entry: Entry,
        model: type[Options],
        table: dict[str, Any],
        loc: Loc,
        out: list[OptionProblem],
    ) -> Options | None:
        before = len(out)
        if "preset" in table and not any(
            key_of(*item) == "preset" for item in model.model_fields.items()
        ):
            preset = table.pop("preset")
            presets = entry.component.presets
            if not isinstance(preset, str) or preset not in presets:
                legal = ", ".join(map(quoted, presets)) or "none: it has no presets"
                hint = did_you_mean(str(preset), presets)
                out.append(OptionProblem((*loc, "preset"), f"must be one of {legal}", hint))
            else:
                table = {**presets[preset], **table}
        nested: list[OptionProblem] = []
        resolved = self._resolve_model(model, table, (), nested)
        out.extend(_below(loc, problem) for problem in nested)
        try:
            options = model.model_validate(resolved)
        except ValidationError as error:
            failed = [problem.loc for problem in nested]
            # What hangs on an option that is wrong already isn't worth a second complaint.
            out.extend(
                _below(loc, problem)
                for problem in explain(error, model, resolved)
                if not any(problem.loc == one[: len(problem.loc)] for one in failed)
            )
        except Exception as error:  # noqa: BLE001  # a plugin's validator may raise anything
            if not nested:
                message = f"{entry.id} can't check its options: {type(error).__name__}: {error}"
                hint = f"tell the authors of {entry.record.distribution}"
                out.append(OptionProblem(loc, message, hint, ExitCode.PLUGIN))
        return options if len(out) == before else None

    def _resolve_model(
        self,
        model: type[BaseModel],
        table: Mapping[str, Any],
        loc: Loc,
        out: list[OptionProblem],
    ) -> dict[str, Any]:
        """The table with a `Chosen` in place of each name of a component, defaults included."""
        resolved = dict(table)
        for field, info in model.model_fields.items():
            key = key_of(field, info)
            default = info.get_default(call_default_factory=False)
            if key in table:
                value = table[key]
            elif isinstance(default, str | Mapping) and _ref_in(info.annotation, info.metadata):
                value = default
            else:
                continue
            resolved[key] = self._resolve(info.annotation, info.metadata, value, (*loc, key), out)
        return resolved

    def _resolve(
        self,
        annotation: Any,
        metadata: Sequence[Any],
        value: Any,
        loc: Loc,
        out: list[OptionProblem],
    ) -> Any:
        ref = next((one for one in metadata if isinstance(one, Ref)), None)
        if ref is not None:
            chosen = self._choose(ref.kind, value, loc, out)
            return value if chosen is None else chosen
        origin = get_origin(annotation)
        if origin is Annotated:
            inner, *extra = get_args(annotation)
            return self._resolve(inner, extra, value, loc, out)
        if origin in {Union, types.UnionType}:
            arm = next((arm for arm in get_args(annotation) if _ref_in(arm, ())), None)
            if arm is not None and value is not None:
                return self._resolve(arm, (), value, loc, out)
        if origin in {list, tuple} and isinstance(value, list | tuple):
            items = [arm for arm in get_args(annotation) if arm is not ...]
            return [
                self._resolve(items[min(index, len(items) - 1)], (), item, (*loc, index), out)
                for index, item in enumerate(value)
            ]
        inner_model = next(iter(models_in(annotation)), None)
        if inner_model is not None and isinstance(value, Mapping):
            return self._resolve_model(inner_model, value, loc, out)
        return value


def _below(loc: Loc, problem: OptionProblem) -> OptionProblem:
    return OptionProblem(
        (*loc, *problem.loc), problem.message, problem.hint, problem.exit_code, problem.on_key
    )


def _ref_in(annotation: Any, metadata: Iterable[Any]) -> bool:
    """Whether an annotation names a component somewhere."""
    if any(isinstance(one, Ref) for one in metadata):
        return True
    if get_origin(annotation) is Annotated:
        inner, *extra = get_args(annotation)
        return _ref_in(inner, extra)
    return any(_ref_in(arm, ()) for arm in get_args(annotation) if arm is not ...)


_active: Registry | None = None


def activate(
    *,
    block: Iterable[str] = (),
    files: Iterable[str | Path] = (),
    records: Iterable[plugins.PluginRecord] | None = None,
) -> Registry:
    """Discover plugins once, and let options that name components be resolved by them.

    Called again without arguments it returns the active registry; with arguments it makes another
    one active.

    Args:
        block: namespaces not to load, as `ganzoo.plugins.discover` takes them.
        files: Python files to load as plugins.
        records: instead of what is installed.
    """
    global _active  # noqa: PLW0603  # one registry a process
    block, files = tuple(block), tuple(files)
    if _active is None or block or files or records is not None:
        if records is None:
            records = plugins.discover(block=block, files=files)
        _active = Registry(records)
        set_resolver(_active.choose)
    return _active


def current() -> Registry:
    """The active registry; the default one is activated if there is none yet."""
    return activate()
