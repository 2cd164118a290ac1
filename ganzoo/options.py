"""Options of components, as pydantic models, and what they may hold. Imported by `ganzoo.api`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializeAsAny,
    model_serializer,
    model_validator,
)
from pydantic_core import core_schema

from ganzoo.api import Component, Kind, resolved
from ganzoo.errors import GanzooError, PluginError, error_text

Mode = Literal["paper", "deterministic", "running"]
"""How a trained network is used. `paper`: statistics of each single image and active, seeded
dropout (arXiv 1611.07004, section 3.4); `deterministic`: the same statistics, no dropout;
`running`: the statistics stored in training, no dropout."""

COMPONENT = "x-ganzoo-component"
"""The keyword that marks a component in a JSON Schema. Its value is the component's kind."""


class Options(BaseModel):
    """Base class of the options of components: they don't change, and unknown keys are refused.

    The docstring under a field is its help text; give each field one.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class NetOptions(Options):
    """Base class of a network's options.

    It imports no torch, so that a recipe can be checked before networks are built.
    """

    def size_multiple(self) -> int:
        """Return the number of pixels that height and width of an input must be multiples of."""
        return 1

    def fitting(self, height: int, width: int) -> Mapping[str, Any]:
        """Return options, by name, with which the network would take images of this size, if known.

        Asked for where `size_multiple` refuses a size, and shown beside the nearest legal ones.
        """
        del height, width
        return {}

    def receptive_field(self) -> int | None:
        """Return the side, in input pixels, of the square that one output cell sees.

        None: it isn't defined.
        """
        return None


class TaskOptions(Options):
    """Base class of a task's options.

    It imports no torch, so that a recipe is complete before it is run.

    A task whose `default_mode` is "running" may have any `Options`.
    """

    default_mode: ClassVar[Mode] = "running"
    """The `inference.mode` of recipes that don't set it."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Check the mode when the class is defined.

        Raises:
            ValueError: there is no such mode.
        """
        if cls.default_mode not in get_args(Mode):
            message = (
                f"default_mode is {cls.default_mode!r}, and may be: {', '.join(get_args(Mode))}"
            )
            raise ValueError(message)


class Chosen(BaseModel):
    """A component that a recipe names, with its validated options.

    `build(...)` imports the target and calls it with the options first.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    id: str
    component: Component
    options: SerializeAsAny[Options]

    def build(self, *args: Any) -> Any:
        """Return `target(options, *args)`."""
        return self.load()(self.options, *args)

    def load(self) -> Any:
        """Import the target and return it.

        Raises:
            PluginError: naming the component, when it can't be.
        """
        try:
            return self.component.load()
        except GanzooError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"{self.id} can't be imported: {error_text(error)}",
                where=self.component.place,
                hint=f'the error is in the plugin "{self.id.partition("/")[0]}": report this '
                "to its authors, or see `ganzoo plugins`",
            ) from error

    def ids(self) -> Iterator[str]:
        """Yield the ids of this component and of all that its options name, at any depth."""
        yield self.id
        yield from _ids_in(dict(self.options))

    @model_serializer(mode="plain")
    def as_table(self) -> dict[str, Any]:
        """Return the table as a recipe would state it: `use` and every option."""
        return {"use": self.id, **self.options.model_dump(mode="json", by_alias=True)}


def _ids_in(value: Any) -> Iterator[str]:
    # By type, not by a key called `use`: a plugin may have an option of that name in a table.
    if isinstance(value, Chosen):
        yield from value.ids()
        return
    if isinstance(value, BaseModel):
        value = dict(value)
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _ids_in(part)


@dataclass(frozen=True)
class Ref:
    """`gan: Annotated[Chosen, Ref("loss")]`: an option that names another component.

    A recipe writes a string or a table with `use`; the option then holds a `Chosen`.
    """

    kind: Kind

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        def resolve(value: Any) -> Chosen:
            if isinstance(value, Chosen):
                return value
            return resolved(self.kind, value)

        return core_schema.no_info_plain_validator_function(
            resolve,
            serialization=core_schema.plain_serializer_function_ser_schema(Chosen.as_table),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        del schema, handler
        return {COMPONENT: self.kind}


class Scalar(BaseModel):
    """An option's number that may change with training.

    A recipe writes a number, or a table such as `{ from = 10, to = 1, until = 0.5 }`; code reads
    `options.gamma.at(inputs.clock)`. `Field(ge=0)` and its like hold both ends to a limit. In
    Python, `Scalar(10.0)` is a number that stays as it is.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    start: float = Field(alias="from")
    """Value at the beginning of training, until `begin`."""
    end: float = Field(alias="to")
    """Value from `until` on."""
    begin: float = Field(default=0.0, ge=0, lt=1)
    """Share of the planned images from which on the value changes."""
    until: float = Field(default=1.0, gt=0, le=1)
    """Share of the planned images at which `to` is reached."""
    shape: Literal["linear", "cosine", "log", "step"] = "linear"
    """Shape of the curve between both values; `log` is linear in the logarithm and needs two
    positive values; `step` changes from the one to the other at `until`."""

    def __init__(self, value: float | None = None, /, **table: Any) -> None:
        """Make a number that stays as it is, as `Scalar(10.0)`, or one of the keys of a table."""
        super().__init__(**({} if value is None else {"from": value, "to": value}), **table)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> dict[str, Any]:
        table = handler.resolve_ref_schema(handler(schema))
        table.pop("description", None)  # what the option does is said by its own docstring
        return {"anyOf": [{"type": "number"}, table]}

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"from": value, "to": value}
        return value

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Scalar:
        if self.shape == "step" and (self.begin > 0 or self.until == 1):
            message = "shape = 'step' needs `until`, the share at which it changes, and no `begin`"
            raise ValueError(message)
        if self.begin >= self.until:
            message = "`begin` must be less than `until`"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _every_value_between_is_finite(self) -> Scalar:
        if self.shape == "log" and min(self.start, self.end) <= 0:
            message = "shape = 'log' needs two positive values"
            raise ValueError(message)
        ratio = self.end / self.start if self.shape == "log" else 1.0
        if ratio in {0.0, math.inf} or math.isinf(self.end - self.start):
            message = "must not change by so large a factor or difference"
            raise ValueError(message)
        return self

    @model_serializer(mode="plain")
    def _as_written(self) -> float | dict[str, Any]:
        if self.start == self.end:
            return self.start
        begin = {"begin": self.begin} if self.begin else {}
        ends = {"from": self.start, "to": self.end}
        return {**ends, **begin, "until": self.until, "shape": self.shape}

    # Every path stays between its ends, so what holds of both holds of all values.
    def __ge__(self, limit: float) -> bool:
        return min(self.start, self.end) >= limit

    def __gt__(self, limit: float) -> bool:
        return min(self.start, self.end) > limit

    def __le__(self, limit: float) -> bool:
        return max(self.start, self.end) <= limit

    def __lt__(self, limit: float) -> bool:
        return max(self.start, self.end) < limit

    def at(self, clock: HasProgress) -> float:
        """Return the value at a clock's progress: 0 at the first image, 1 at the last planned."""
        passed, length = clock.progress - self.begin, self.until - self.begin
        share = min(max(passed / length, 0.0), 1.0)
        # At `until` itself the division of the differences may give less than 1.
        if clock.progress >= self.until:
            return self.end
        if share == 0 or self.start == self.end or self.shape == "step":
            return self.start
        if self.shape == "log":
            return float(self.start * (self.end / self.start) ** share)
        if self.shape == "cosine":
            share = (1 - math.cos(math.pi * share)) / 2
        return self.start + (self.end - self.start) * share


class HasProgress(Protocol):
    """Anything that knows how far training is; `ganzoo.interfaces.Clock` does."""

    @property
    def progress(self) -> float:
        """Images seen divided by images planned."""


class OptimizerOptions(Options):
    """Base class of an optimizer's options.

    The engine writes what `settings` returns into the optimizer's parameter groups before each
    step, with `lr` multiplied by the schedule's factor.
    """

    lr: Annotated[Scalar, Field(gt=0)] = Scalar(2e-4)
    """Learning rate, before the schedule's factor."""

    def settings(self, clock: HasProgress) -> dict[str, Any]:
        """Return the settings of the parameter groups in the step at `clock`, by torch's names.

        They are the options that may change with training: each `Scalar`, and each array of them,
        under its own name. Another class may return other settings; `lr` must be among them.
        """
        return {
            name: _at(value, clock)
            for name, value in ((name, getattr(self, name)) for name in type(self).model_fields)
            if isinstance(value, Scalar)
            or (isinstance(value, tuple) and any(isinstance(one, Scalar) for one in value))
        }


def _at(value: Any, clock: HasProgress) -> Any:
    """Return an option's value at a clock: of a number that may change, or of each in an array."""
    if isinstance(value, tuple):
        return tuple(_at(one, clock) for one in value)
    return value.at(clock) if isinstance(value, Scalar) else value
