"""A trained application: all networks that it calls, ready to be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.api import Chosen, Mode, Options
from ganzoo.data.rng import seed_for
from ganzoo.errors import PluginError, UsageError
from ganzoo.inference.applications import beside_files, direction, fields_of, taken_by
from ganzoo.inference.modes import inference_mode
from ganzoo.inference.padding import any_size
from ganzoo.inference.precision import computing_in
from ganzoo.interfaces import Application, Field, NetIO
from ganzoo.interfaces.fields import alike
from ganzoo.nn.device_and_precision import Precision


@dataclass(frozen=True)
class Applied:
    """An application with its networks; using it never changes them.

    Args:
        task: whose `apply` and `draw` are called.
        name: of the application.
        nets: its raw networks by role.
        io: the inputs and outputs of each. The entries of other roles are removed.
        data_fields: the fields of the data, as the networks see them.
        mode: see `ganzoo.inference.modes`.
        choices: the application's options.
        seed: of the dropout, and of what is drawn beside an input.
        size_multiple: number that an input's height and width must be multiples of, in pixels.
        precision: see `ganzoo.inference.precision`.
    """

    task: Chosen
    name: str
    nets: Mapping[str, nn.Module]
    io: Mapping[str, NetIO]
    data_fields: Mapping[str, Field]
    mode: Mode
    choices: Options
    seed: int = 0
    size_multiple: int = 1
    precision: Precision = "fp32"
    all: nn.ModuleList = field(init=False, repr=False, compare=False)
    """Every network, for what concerns all of them at once."""

    def __post_init__(self) -> None:
        nets = {role: self.nets[role] for role in self.application.roles}
        object.__setattr__(self, "nets", nets)
        # In training there are other roles too, and a task's `draw` sees the same as afterwards.
        object.__setattr__(self, "io", {role: self.io[role] for role in nets})
        object.__setattr__(self, "all", nn.ModuleList(nets.values()))

    @property
    def application(self) -> Application:
        """What it takes and gives."""
        application: Application = self.task.load().applications[self.name]
        return application

    @property
    def fields(self) -> dict[str, Field]:
        """The fields of the data, and those that only the application has."""
        return fields_of(self.application, self.data_fields, self.io)

    @property
    def direction(self) -> str:
        """What it turns into what, in the user's names."""
        return direction(self.application, self.data_fields)

    @property
    def device(self) -> str:
        """Where it computes."""
        return next((str(one.device) for one in self.all.parameters()), "cpu")

    def settings(self) -> dict[str, Any]:
        """What the picture's note and the documents of commands say of its use."""
        return {
            "application": self.name,
            "options": self.choices.model_dump(mode="json", by_alias=True),
            "mode": self.mode,
            "seed": self.seed,
            "precision": self.precision,
        }

    def apply(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what the task makes of a batch.

        Raises:
            PluginError: it isn't one result a sample of each field that the application gives.
        """
        inputs = _Inputs(given)
        inputs.name = f"{self.name} of {self.task.id}"
        task = self.task.load()
        output: Any = task.apply(
            self.name, self.task.options, self.choices, self.io, self.nets, inputs
        )
        if fault := self._fault(output, len(next(iter(given.values())))):
            raise PluginError(
                f"the application {self.name} of {self.task.id} returns {fault}",
                hint="Its `apply` must return a tensor with one result for each sample for each "
                "field in `gives`; report this to its authors.",
            )
        return {name: output[name] for name in self.application.gives}

    def _fault(self, output: Any, count: int) -> str:
        """Return what is wrong with what `apply` returned; empty if nothing is."""
        gives, known = self.application.gives, self.fields
        if not isinstance(output, Mapping) or set(output) != set(gives):
            what = (
                f"{' and '.join(map(str, output)) or 'nothing'}"
                if isinstance(output, Mapping)
                else f"a {type(output).__name__}"
            )
            return f"{what}, not {' and '.join(gives)}"
        for name, made in output.items():
            if not isinstance(made, Tensor):
                return f"a {type(made).__name__} as {name!r}"
            if made.ndim == 0 or len(made) != count:
                return f"{tuple(made.shape)} as {name!r} for {count} samples"
            if name in known and not alike(tuple(made.shape[1:]), known[name].shape):
                return f"{tuple(made.shape)} as {name!r}, which has the shape {known[name].shape}"
        return ""

    def draw_inputs(self, count: int, random: torch.Generator) -> dict[str, Tensor]:
        """Return what the task draws for `count` samples, without what is taken from data or files.

        Raises:
            PluginError: the task has no `draw`, or it gives another number.
        """
        task: Any = self.task.load()
        try:
            made = dict(task.draw(self.name, self.task.options, self.io, count, random))
        except NotImplementedError as error:
            raise PluginError(str(error), where=self.task.id) from error
        for name in (*self.application.draws, *made):
            if name not in made or len(made[name]) != count:
                there = len(made[name]) if name in made else "none"
                raise PluginError(f"{self.task.id} draws {there} of {name}, but {count} are needed")
        given = taken_by(self.application)
        return {name: value for name, value in made.items() if name not in given}

    def given(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors where the networks are, as `as_given` does."""
        return {name: as_given(one, self.all) for name, one in values.items()}


@dataclass(frozen=True)
class Trained(Applied):
    """An application that takes data: calling it turns one sample's fields into others."""

    def __call__(self, sample: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
        """Turn one sample into what the application gives.

        Args:
            sample: fields without a batch axis; only those that the application takes and doesn't
                draw, and their masks, are used. Images are C x H x W in [-1, 1] and of any size:
                they are padded at the right and the bottom to the size multiple (mirrored, or with
                their edge where they are too small for that), and the result is cropped. What is
                drawn beside them keeps its size.
            name: of the sample; the seed of the dropout, and of what is drawn, comes from it and
                `seed`, so that a result depends on neither the other samples nor their order.

        Returns:
            The given fields on the CPU, in float32 or int64. An image is C' x H' x W'; H' and W'
            are H and W times the scale of the networks.

        Raises:
            UsageError: a field that it takes isn't there.
        """
        wanted, known = taken_by(self.application), self.fields
        random = torch.Generator().manual_seed(seed_for(self.seed, "draw", name))
        beside = self.draw_inputs(1, random) if self.application.draws else {}
        missing = [one for one in wanted if one not in sample]
        if missing:
            raise UsageError(
                f"the application {self.name} also takes {missing[0]!r}, but it is given only "
                f"{', '.join(sample)}",
                hint=beside_files(self.application, self.data_fields),
            )
        masks = [known[one].mask for one in wanted if one in known and known[one].mask in sample]
        given = self.given({one: sample[one][None] for one in (*wanted, *masks)})
        beside = self.given(beside)
        seed = seed_for(self.seed, "inference", name)
        with inference_mode(self.all, self.mode, seed), computing_in(self.precision, self.all):
            call = any_size(
                lambda *values: self.apply(dict(zip(given, values, strict=True)) | beside),
                self.size_multiple,
            )
            output = call(*given.values())
        return {one: as_result(made)[0] for one, made in output.items()}


class _Inputs(dict[str, Tensor]):
    """What a task may read; another field is reported as the plugin's mistake."""

    name = ""

    def __missing__(self, field: str) -> Tensor:
        raise PluginError(
            f"the application {self.name} reads the field {field!r}, which it doesn't take",
            hint=f"It is given {', '.join(self)}. Its plugin must name the field in `takes`; report"
            " this to its authors.",
        )


def as_given(value: Tensor, net: nn.Module) -> Tensor:
    """A tensor where the network is; integers as they are.

    Floats are float64 where its weights are, else float32: autocast rounds them where it should.
    """
    weight = next(net.parameters(), torch.empty(0))
    floats = torch.float64 if weight.dtype == torch.float64 else torch.float32
    return value.to(weight.device, floats if value.is_floating_point() else value.dtype)


def as_result(output: Tensor) -> Tensor:
    """What a network made, on the CPU: floats as float32, and indices as they are."""
    return (output.float() if output.is_floating_point() else output).cpu()
