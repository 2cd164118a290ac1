"""Checks of components of every kind: their targets, and the options that recipes write."""

from __future__ import annotations

import pickle
import tomllib
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from ganzoo import DISTRIBUTION
from ganzoo.api import KINDS, Chosen, Scalar
from ganzoo.errors import EnvironmentFault, error_text
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.plugin_system.option_errors import key_of
from ganzoo.plugin_system.option_types import option_type
from ganzoo.recipe import Recipe
from ganzoo.recipe.model import Optimizer, OptimizerKeys
from ganzoo.recipe.schema import component_schema
from ganzoo.recipe.write import to_toml
from ganzoo.testing.kit import CheckFailed, Unusable, check, require
from ganzoo.testing.subject import Subject

try:
    import jsonschema
except ImportError as error:
    raise EnvironmentFault(
        f"the checks of a plugin need jsonschema, which can't be imported: {error}",
        hint="Install it: python -m pip install 'jsonschema>=4.20'. A plugin's package gets it by "
        f"requiring {DISTRIBUTION}[testing] for its tests.",
    ) from error

_UNKNOWN = "an_option_that_nobody_has"


def _models(subject: Subject) -> Iterator[type[BaseModel]]:
    """The model of options and those of its inner tables, each once; `Scalar` is the core's."""
    todo: list[type[BaseModel]] = [subject.registry.options_model(subject.component)]
    seen: set[type[BaseModel]] = {Scalar}
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            yield one
            for info in one.model_fields.values():
                todo += option_type(info).models()


def _choices(subject: Subject) -> Iterator[tuple[str, Chosen, dict[str, Any]]]:
    """The component with its smallest settings, and with each preset; and its table as in TOML.

    Raises:
        Unusable: a preset isn't legal.
    """
    presets = {f'preset "{name}"': {"preset": name} for name in subject.component.component.presets}
    for what, changes in {"its settings": {}, **presets}.items():
        try:
            chosen = subject.choose(**changes)
        except ChoiceError as error:
            message = f"{what}: {error}"
            raise Unusable(message, reported_by="check_options_round_trip") from error
        yield what, chosen, _without_none(chosen.as_table())


def _without_none(value: Any) -> Any:
    """A table without what TOML can't say; None always is an option's default."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


@check(*KINDS)
def check_loads(subject: Subject) -> None:
    """The component can be imported, and its smallest options are legal."""
    subject.load()


@check(*KINDS)
def check_options_are_strict(subject: Subject) -> None:
    """Options that don't exist are refused, and nobody changes options after they were checked."""
    for setting, wanted in (("extra", "forbid"), ("frozen", True)):
        wrong = [m.__name__ for m in _models(subject) if m.model_config.get(setting) != wanted]
        require(
            not wrong,
            f"{', '.join(wrong)} must have {setting}={wanted!r}, or a slip in a recipe, or a "
            "change in a run, goes unseen: derive tables of options from ganzoo.api.Options",
        )
    try:
        subject.choose(**{_UNKNOWN: 1})
    except ChoiceError as error:
        named = any(_UNKNOWN in map(str, problem.loc) for problem in error.problems)
        require(named, f"an unknown option is refused without being named: {error}")
    else:
        raise CheckFailed(f"the unknown option {_UNKNOWN} is accepted without a message")


@check(*KINDS)
def check_options_are_documented(subject: Subject) -> None:
    """Every option has a help text, those of inner tables too."""
    missing = [
        f"{model.__name__}.{key_of(name, info)}"
        for model in _models(subject)
        for name, info in model.model_fields.items()
        if not (info.description or "").strip()
    ]
    require(
        not missing,
        f"no help text: {', '.join(missing)}; write a docstring under each field "
        "(`ganzoo show` prints it)",
    )


@check(*KINDS)
def check_options_round_trip(subject: Subject) -> None:
    """Options, every preset's too, are the same after TOML (a run's form) and after pickling."""
    kind = subject.component.component.kind
    for what, chosen, table in _choices(subject):
        optimizer = Optimizer(chosen, OptimizerKeys(schedule=chosen))  # neither is looked at
        document = {"component": table}
        recipe = Recipe(name="", task=chosen, data=chosen, optimizer=optimizer, document=document)
        try:
            again = subject.registry.choose(kind, tomllib.loads(to_toml(recipe))["component"])
        except ChoiceError as error:
            raise CheckFailed(f"{what}, written out in full, are refused: {error}") from error
        before, after = chosen.as_table(), again.as_table()
        changed = [
            f"{k}: {before[k]!r}, then {after[k]!r}" for k in before if before[k] != after[k]
        ]
        require(
            not changed and again.options == chosen.options,
            f"{what} aren't the same after TOML: {'; '.join(changed) or 'unequal'}",
        )
    chosen = subject.choose()
    try:
        again = pickle.loads(pickle.dumps(chosen))  # noqa: S301  # our own bytes
    except Exception as error:  # pickle raises what it likes
        message = (
            f"can't be pickled, as loaders' processes need: {error_text(error)}; are the class of "
            "its options and the function of its target at the top of their modules?"
        )
        raise CheckFailed(message) from error
    require(again.options == chosen.options, "not the same after pickling")


@check(*KINDS)
def check_options_schema(subject: Subject) -> None:
    """The JSON Schema that editors complete by admits what is legal, and no unknown option."""
    schema = component_schema(subject.registry, subject.component)
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    for what, _, table in _choices(subject):
        errors = [
            f"{'.'.join(map(str, e.path))}: {e.message}" for e in validator.iter_errors(table)
        ]
        require(not errors, f"the schema refuses {what}: {'; '.join(errors)}")
        require(
            not validator.is_valid({**table, _UNKNOWN: 1}),
            "the schema admits an option that no component has",
        )
