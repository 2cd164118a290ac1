"""The choice of a component with checked options by a string or table of a recipe.

Components named by options are resolved here before pydantic validates the table. The types of the
options' fields show which options name one. Each problem so keeps the place of its nested key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError

from ganzoo.api import Chosen, Component, Kind, Options
from ganzoo.errors import ExitCode, GanzooError, error_text
from ganzoo.plugin_system.discovery import Entry
from ganzoo.plugin_system.option_errors import Loc, OptionProblem, explain, key_of
from ganzoo.plugin_system.option_types import OptionType, option_type
from ganzoo.plugin_system.suggestions import did_you_mean, quoted, with_article


class Components(Protocol):
    """The part of the registry that the choice needs."""

    def entry(self, kind: Kind, name: str) -> Entry:
        """Return the component of a kind with an id; a former id leads to the renamed component."""
        ...

    def options_model(self, entry: Entry) -> type[Options]:
        """Import and return the options class of a component."""
        ...


class ChoiceError(GanzooError):
    """A component's table can't be used; `problems` has everything that is wrong with it."""

    def __init__(self, problems: Sequence[OptionProblem]) -> None:
        self.problems = tuple(problems)
        codes = {problem.exit_code for problem in self.problems}
        super().__init__(
            "\n".join(_sentence(problem) for problem in self.problems),
            exit_code=ExitCode.PLUGIN if codes == {ExitCode.PLUGIN} else ExitCode.RECIPE,
        )


def _sentence(problem: OptionProblem) -> str:
    text = ": ".join(filter(None, (".".join(map(str, problem.loc)), problem.message)))
    return f"{text} ({problem.hint})" if problem.hint else text


def choose(components: Components, kind: Kind, value: str | Mapping[str, Any], loc: Loc) -> Chosen:
    """Do the work of `Registry.choose`, which describes arguments and errors."""
    chooser = _Chooser(components)
    chosen = chooser.component(kind, value, loc)
    if chosen is None:
        raise ChoiceError(chooser.problems)
    return chosen


class _Chooser:
    """A collector of problems, whose methods return None or a substitute where they find one."""

    def __init__(self, components: Components) -> None:
        self.components = components
        self.problems: list[OptionProblem] = []

    def complain(
        self, loc: Loc, message: str, hint: str = "", code: ExitCode = ExitCode.RECIPE
    ) -> None:
        self.problems.append(OptionProblem(loc, message, hint, code))

    def component(self, kind: Kind, value: Any, loc: Loc) -> Chosen | None:
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
                self.complain(at, message, f"`ganzoo list {kind}` lists what it may be")
                return None
            name = use
        else:
            self.complain(loc, f"must be the id of {with_article(kind)}, or a table with `use`")
            return None
        try:
            entry = self.components.entry(kind, name)
            model = self.components.options_model(entry)
        except GanzooError as error:
            self.complain(at, error.message, error.hint, error.exit_code)
            return None
        options = self.options(entry, model, table, loc)
        if options is None:
            return None
        return Chosen(id=entry.id, component=entry.component, options=options)

    def options(
        self, entry: Entry, model: type[Options], table: dict[str, Any], loc: Loc
    ) -> Options | None:
        before = len(self.problems)
        table = self.with_preset(entry, model, table, loc)
        resolved = self.table(model, table, loc)
        nested = [problem.loc[len(loc) :] for problem in self.problems[before:]]
        options = None
        try:
            options = model.model_validate(resolved)
        except ValidationError as error:
            # No second problem is reported for an option in which a nested key is already wrong.
            self.problems.extend(
                OptionProblem((*loc, *one.loc), one.message, one.hint, one.exit_code, one.on_key)
                for one in explain(error, model, resolved)
                if not any(one.loc == bad[: len(one.loc)] for bad in nested)
            )
        except Exception as error:  # noqa: BLE001  # a plugin's validator may raise anything
            if not nested:
                message = f"{entry.id} can't check its options: {error_text(error)}"
                hint = f"report this to the authors of {entry.record.distribution}"
                self.complain(loc, message, hint, ExitCode.PLUGIN)
        return options if len(self.problems) == before else None

    def with_preset(
        self, entry: Entry, model: type[Options], table: dict[str, Any], loc: Loc
    ) -> dict[str, Any]:
        """Return the options of the preset that the table names, overridden by the table's own."""
        if any(key_of(*item) == "preset" for item in model.model_fields.items()):
            return table
        own = {key: item for key, item in table.items() if key != "preset"}
        if "preset" not in table:
            return own
        preset, presets = table["preset"], entry.component.presets
        if isinstance(preset, str) and preset in presets:
            return {**presets[preset], **own}
        legal = f"must be {' or '.join(map(quoted, presets))}"
        message = legal if presets else f"unknown: {entry.id} has no presets"
        self.complain((*loc, "preset"), message, did_you_mean(str(preset), presets))
        return own

    def table(self, model: type[BaseModel], table: Mapping[str, Any], loc: Loc) -> dict[str, Any]:
        """Return the table with a `Chosen` for each component that it or a default names."""
        resolved = dict(table)
        for field, info in model.model_fields.items():
            key, written = key_of(field, info), option_type(info)
            default = info.get_default(call_default_factory=False)
            if key in table:
                value = table[key]
            elif isinstance(default, str | Mapping) and written.names_component:
                value = default
            else:
                continue
            resolved[key] = self.value(written, value, (*loc, key))
        return resolved

    def value(self, written: OptionType, value: Any, loc: Loc) -> Any:
        """Return a value with a `Chosen` for each component that it names."""
        if written.ref is not None:
            return self.component(written.ref.kind, value, loc) or _stand_in(written.ref.kind)
        parts = written.parts
        if written.form == "union":
            arm = next((part for part in parts if part.names_component), None)
            if arm is not None and value is not None:
                return self.value(arm, value, loc)
        elif parts and isinstance(value, list | tuple):
            return [
                self.value(parts[min(index, len(parts) - 1)], item, (*loc, index))
                for index, item in enumerate(value)
            ]
        model = next(written.models(), None)
        if model is not None and isinstance(value, Mapping):
            return self.table(model, value, loc)
        return value


def _stand_in(kind: Kind) -> Chosen:
    """Return a substitute for an unusable component, so that the other options are checked."""
    return Chosen(id="", component=Component(kind=kind, name="unusable"), options=Options())
