"""The card of a weights file: what network it holds, for which shapes, and how its task uses it.

A card comes from a file that anybody may have written, so that one model checks all of it: code
that reads a card needs no checks of its own.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any

import pydantic
import pydantic_core
import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter
from pydantic import Field as Limits
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import TypedDict

import ganzoo
from ganzoo.api import Mode
from ganzoo.errors import EnvironmentFault
from ganzoo.inference.older_cards import modern
from ganzoo.interfaces import Field, NetIO, Role, Shape
from ganzoo.plugin_system.option_errors import explain

FORMAT = 3
"""Version of the card; a file with a higher one is refused, not guessed at. In 1 there was no
`sha256`; up to 2 fields had `kind`, `low` and `high`, and inputs and outputs were shapes without
names, see `ganzoo.inference.older_cards`."""

NAMED_FROM = 3
"""The first format in which inputs and outputs have names."""

_ID = re.compile(r"[a-z][a-z0-9_]*/[a-z0-9][a-z0-9_.-]*")
_NAME = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._-]*)?")
_SHOWN = 5
"""Faults of a card that are named."""


def _positive(shape: Shape, what: str) -> None:
    if any(size < 1 for size in shape):
        message = f"{what} must be numbers of at least 1, but they are {list(shape)}"
        raise ValueError(message)


def checked_io(io: NetIO) -> NetIO:
    """The same, if a card can hold it.

    Raises:
        ValueError: there are no inputs, or a name or a field isn't legal.
    """
    if not io.inputs:
        message = "must have inputs"
        raise ValueError(message)
    for name, one in (*io.inputs.items(), *io.outputs.items()):
        _checked_name(name)
        try:
            _checked_field(one)
        except ValueError as error:
            message = f"{name}: {error}"
            raise ValueError(message) from error
    return io


def _checked_field(one: Field) -> Field:
    _positive(one.shape, "the sizes of its shape")
    if not _ID.fullmatch(one.format):
        message = f"the format must be an id such as ganzoo/image, but it is {one.format[:80]!r}"
        raise ValueError(message)
    if one.classes < 0:
        message = f"classes must be at least 0, but it is {one.classes}"
        raise ValueError(message)
    if one.range is not None and not all(map(math.isfinite, one.range)):
        message = f"range must be finite, but it is {one.range}"
        raise ValueError(message)
    if one.mask:
        _checked_name(one.mask)
    return one


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        message = f"must have only letters, digits, dots, _ and -, but it is {name[:80]!r}"
        raise ValueError(message)
    return name


# It may become a part of a path.
_Name = Annotated[str, AfterValidator(_checked_name)]
_Count = Annotated[int, Limits(ge=0)]
# The limit is far above any network's, and keeps the padding to a multiple within a memory.
_Multiple = Annotated[int, Limits(ge=1, le=2**16)]


class Inference(TypedDict):
    """How weights are used unless a flag says otherwise."""

    mode: Mode
    seed: int


@dataclass(
    frozen=True,
    kw_only=True,
    config=ConfigDict(strict=True, extra="forbid"),
)
class WeightsCard:
    """Everything that is needed to use a weights file, and where it came from.

    Args:
        role: the network's role in its task.
        kind: the kind of its component (`Task.roles[role]`).
        network: the component's table: `use` and every option.
        revision: of the component when the weights were saved; another one is refused.
        io: the inputs and outputs that the network was built for.
        task: the task's table, for `Task.apply` and `Task.applications`.
        fields: the data's fields as the network saw them, after augmentation.
        data: the data component's table; of absolute paths in it only the names.
        size_multiple: number that an input's height and width must be multiples of, in pixels.
        inference: `mode` and `seed` used unless a flag says otherwise.
        plugin: `distribution` and `version` that the component came from.
        ema: whether these are the moving average of the weights.
        step, images: how far training was.
        recipe, recipe_sha256: name and hash of the resolved recipe.
        ganzoo: version of ganzoo that wrote the file.
        format: version of this card.
        sha256: of all this and of the tensors, see `seal`; it is empty until they are written.

    Raises:
        pydantic.ValidationError: a value is of the wrong type, or out of its range.
    """

    role: _Name
    kind: Role
    network: Mapping[str, Any]
    revision: int
    io: Annotated[NetIO, AfterValidator(checked_io)]
    task: Mapping[str, Any]
    fields: Mapping[str, Annotated[Field, AfterValidator(_checked_field)]]
    data: Mapping[str, Any] = field(default_factory=dict)
    size_multiple: _Multiple = 1
    inference: Inference = field(default_factory=lambda: Inference(mode="paper", seed=0))
    plugin: Mapping[str, str] = field(default_factory=dict)
    ema: bool = False
    step: _Count = 0
    images: _Count = 0
    recipe: _Name = ""
    recipe_sha256: str = ""
    ganzoo: str = ganzoo.__version__
    format: Annotated[int, Limits(ge=1)] = FORMAT
    sha256: str = field(default="", compare=False)

    def to_json(self) -> str:
        """The card as JSON with sorted keys, so that equal cards give equal files.

        Inputs and outputs are lists of fields with their names, since their order matters.
        """
        values = dataclasses.asdict(self)
        values["io"] = {
            side: [{"name": name, **one} for name, one in fields.items()]
            for side, fields in values["io"].items()
        }
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> WeightsCard:
        """Read what `to_json` wrote.

        Raises:
            EnvironmentFault: the card's format is newer than this ganzoo.
            ValueError: the text isn't a card; its message says what is wrong, one line a key.
        """
        version = checked_version(text)
        try:
            # It refuses numbers of thousands of digits, which no card may hold.
            values = json.loads(text)
            now = modern(values) if version < NAMED_FROM else _by_name(values)
            text = json.dumps(now)
            card = TypeAdapter(cls).validate_json(text)
        except pydantic.ValidationError as error:
            raise ValueError(in_words(error, text)) from error
        return card


def checked_version(text: str) -> int:
    """Return the format of a card's JSON.

    Raises:
        EnvironmentFault: it is newer than this ganzoo.
        ValueError: the text says no format; its message says why.
    """
    try:
        version = _Version.model_validate_json(text)
    except pydantic.ValidationError as error:
        raise ValueError(in_words(error, text)) from error
    if version.format > FORMAT:
        raise EnvironmentFault(
            f"weights of format {version.format}, written by ganzoo {version.ganzoo}; this"
            f" is ganzoo {ganzoo.__version__}, which reads format {FORMAT}",
            hint="Upgrade ganzoo to read this file.",
        )
    return version.format


def _by_name(values: Mapping[str, Any]) -> dict[str, Any]:
    """The lists of inputs and outputs as mappings; what is no such list stays as it is."""
    io = values.get("io")
    if not isinstance(io, dict):
        return dict(values)
    named = {}
    for side, fields in io.items():
        named[side] = fields
        if not isinstance(fields, list) or not all(isinstance(one, dict) for one in fields):
            continue
        names = [one.get("name") for one in fields]
        if len({name for name in names if isinstance(name, str)}) == len(fields):
            named[side] = {
                one["name"]: {key: value for key, value in one.items() if key != "name"}
                for one in fields
            }
    return {**values, "io": named}


def without_places(table: Any) -> Any:
    """A component's table in which absolute paths are only names: what lay there, not where."""
    if isinstance(table, Mapping):
        return {key: without_places(value) for key, value in table.items()}
    if isinstance(table, list | tuple):
        return [without_places(value) for value in table]
    if isinstance(table, str):
        for kind in (PurePosixPath, PureWindowsPath):
            if kind(table).is_absolute() or table.startswith("~"):
                return kind(table).name
    return table


def sealed(text: str, tensors: Mapping[str, Tensor]) -> str:
    """The card's JSON with its hash in it; see `seal`."""
    values = {**json.loads(text), "sha256": seal(text, tensors)}
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def seal(text: str, tensors: Mapping[str, Tensor]) -> str:
    """The hash by which a weights file is known to be what was written, wherever it lies.

    Args:
        text: the card's JSON; its own `sha256` doesn't count.
        tensors: what the file holds, contiguous and on the CPU.
    """
    values = {**json.loads(text), "sha256": ""}
    digest = hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


class _Version(BaseModel):
    """What is read first: the rest of a newer format may mean anything."""

    model_config = ConfigDict(strict=True)

    format: int
    ganzoo: str = "?"


def in_words(error: pydantic.ValidationError, text: str) -> str:
    """What is wrong with a card's text, one line a key."""
    try:
        values = pydantic_core.from_json(text)
    except ValueError as damage:
        return f"it is not JSON: {damage}"
    problems = explain(error, BaseModel, values if isinstance(values, dict) else {})
    lines = [
        ": ".join(filter(None, (".".join(map(str, one.loc)), one.message))) for one in problems
    ]
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "\n".join((*(line[:200] for line in lines[:_SHOWN]), *more))
