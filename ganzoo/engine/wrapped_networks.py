"""Wrap networks for a task: on the device, for several processes, and with autocast."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.engine.accelerate_session import Session
from ganzoo.errors import PluginError, RecipeError
from ganzoo.interfaces import Clock, DiffAugment, Field, NetIO, Shape
from ganzoo.interfaces.fields import alike
from ganzoo.plugin_system.blame import in_plugin_of


@dataclass(frozen=True)
class Declared:
    """The inputs and outputs that a task declared for one of its networks.

    Every call of the network is checked, so that an error names the task or the network, and not
    some later operation.

    Args:
        task: the task's id.
        component: the network's id.
        role: its role, which distinguishes two networks of the same component.
        io: the declaration.
    """

    task: str
    component: str
    role: str
    io: NetIO

    def check_inputs(self, given: Sequence[Any]) -> None:
        """Check that the task calls the network with what it declared.

        Maps may have another size than the declared one.

        Raises:
            PluginError: when the number of inputs, their channels or their axes differ.
        """
        wanted = self.io.inputs
        if len(given) != len(wanted):
            raise PluginError(
                f"{self.task} calls {self.component} with {len(given)} "
                f"input{'s' * (len(given) != 1)}, but its io() declares {_in_words(wanted)}",
                where=self.role,
                hint=in_plugin_of(self.task),
            )
        for (name, declared), value in zip(wanted.items(), given, strict=True):
            if not isinstance(value, Tensor) or not _fits(value, declared):
                raise PluginError(
                    f"{self.task} calls {self.component} with {_shown(value)} as {name}, but its "
                    f"io() declares {_shape(declared.shape)}",
                    where=self.role,
                    hint=in_plugin_of(self.task),
                )

    def check_outputs(self, given: Sequence[Tensor], output: Any) -> None:
        """Check that a network returns what was declared. A discriminator declares no outputs.

        Where the inputs have other sizes than the declared ones, the sizes of the outputs aren't
        checked either.

        Args:
            given: the inputs of the call.
            output: its result.

        Raises:
            RecipeError: when a network keeps the size of its inputs where another size is needed.
            PluginError: when the type, the names or the shapes differ in another way.
        """
        wanted = self.io.outputs
        if not wanted:
            return
        exact = all(
            value.shape[1:] == declared.shape
            for value, declared in zip(given, self.io.inputs.values(), strict=True)
        )
        for name, value in self._by_name(output).items():
            fits = isinstance(value, Tensor) and (
                value.shape[1:] == wanted[name].shape if exact else _fits(value, wanted[name])
            )
            if not fits:
                of = f" as {name}" if len(wanted) > 1 else ""
                if isinstance(value, Tensor) and self._keeps_size(given, value, wanted[name]):
                    raise RecipeError(
                        f"{self.component} keeps the size of its inputs and returns "
                        f"{_shown(value)}{of}, but the data need {_shape(wanted[name].shape)}",
                        where=self.role,
                        hint="Use a network that changes the size, or bring the data to one size.",
                    )
                raise self._differs(f"{_shown(value)}{of}", _shape(wanted[name].shape))

    @staticmethod
    def _keeps_size(given: Sequence[Tensor], value: Tensor, declared: Field) -> bool:
        """Return whether an output is as declared, except that it has the size of all inputs."""
        return (
            value.ndim > 2  # a batch of maps
            and _fits(value, declared)
            and all(one.shape[-2:] == value.shape[-2:] for one in given)
        )

    def _by_name(self, output: Any) -> Mapping[str, Any]:
        wanted = self.io.outputs
        if len(wanted) == 1:
            if not isinstance(output, Tensor):
                raise self._differs(f"a {type(output).__name__}", "a tensor")
            return {next(iter(wanted)): output}
        if not isinstance(output, Mapping):
            raise self._differs(f"a {type(output).__name__}", f"a mapping with {_in_words(wanted)}")
        if output.keys() != wanted.keys():
            raise self._differs(_in_words(output), _in_words(wanted))
        return output

    def _differs(self, given: str, wanted: str) -> PluginError:
        return PluginError(
            f"{self.component} returns {given}, not {wanted}",
            where=self.role,
            hint=in_plugin_of(self.component),
        )


def _fits(value: Tensor, declared: Field) -> bool:
    """Return whether a batch has the declared axes and channels; the size of maps is free."""
    return alike(tuple(value.shape[1:]), declared.shape)


def _shown(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    return _shape(tuple(value.shape[1:])) if value.ndim else "a single number"


def _shape(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "one number a sample"


def _in_words(names: Iterable[Any]) -> str:
    return " and ".join(map(str, names)) or "nothing"


class _Shell(nn.Module):
    """The layer between the wrappers (DDP, autocast) and the raw network.

    It disables autocast for calls with `precise`, augments the first input of a discriminator, and
    checks each call against what the task declared.
    """

    def __init__(
        self,
        raw: nn.Module,
        device_type: str,
        declared: Declared,
        augments: tuple[DiffAugment, ...],
        *,
        compiled: bool,
    ) -> None:
        super().__init__()
        self.raw = raw
        self.device_type = device_type
        self.declared = declared
        self.augments = augments  # in a tuple, so that they don't become submodules
        self.compiled = compiled
        self.clock = Clock(0, 0, 0.0)

    def forward(self, *x: Any, precise: bool = False) -> Any:
        self.declared.check_inputs(x)
        output = self._exactly(*x) if precise else self._augmented(*x)
        self.declared.check_outputs(x, output)
        return output

    def _exactly(self, *x: Any) -> Any:
        if self.compiled:
            # Callers use `precise` for second derivatives, which compiled code doesn't have.
            with torch.compiler.set_stance("force_eager"):
                return self._in_full(*x)
        return self._in_full(*x)

    def _in_full(self, *x: Any) -> Any:
        dtype = next(self.raw.parameters()).dtype
        exact = [
            value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value
            for value in x
        ]
        with torch.autocast(self.device_type, enabled=False):
            return self._augmented(*exact)

    def _augmented(self, shown: Any, *rest: Any) -> Any:
        for augment in self.augments:
            shown = augment(shown, self.clock)
        return self.raw(shown, *rest)


class PreparedNet:
    """The implementation of `ganzoo.interfaces.Net`, with a raw network and its wrappers.

    Args:
        raw: the network, on the session's device.
        session: this process's session.
        declared: its declared inputs and outputs.
        augments: the augmentations of a discriminator's inputs.
    """

    def __init__(
        self,
        raw: nn.Module,
        session: Session,
        declared: Declared,
        augments: tuple[DiffAugment, ...] = (),
    ) -> None:
        if session.resolved.channels_last:
            raw.to(memory_format=torch.channels_last)
        mode = session.resolved.compile
        if mode != "off":
            # The network is compiled in place, so that the names of weights don't change. With
            # dynamic shapes, the compiled code would depend on the sizes of earlier calls, which
            # are others after a resume.
            raw.compile(mode=mode, dynamic=False)
        self._raw = raw
        self._parameters = tuple(raw.parameters())
        self._shell = _Shell(raw, session.device.type, declared, augments, compiled=mode != "off")
        # Accelerate adds autocast to the shell's forward, then wraps the shell for DDP. So a call
        # of the shell itself has autocast but no gradient synchronisation, as `frozen` needs.
        with warnings.catch_warnings():
            # torch 2.14 deprecates this argument, and Accelerate 1.15 has no other one yet.
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            # The network is on the device already, and Accelerate would import DTensor to find
            # that out.
            prepared = session.accelerator.prepare(self._shell, device_placement=[False])
            self.wrapped: nn.Module = prepared

    @property
    def module(self) -> nn.Module:
        """Return the raw network."""
        return self._raw

    def __call__(self, *x: Any, precise: bool = False) -> Any:
        """Call the network for training; the backward pass synchronises gradients between ranks."""
        return self.wrapped(*x, precise=precise)

    def begin_step(self, clock: Clock) -> None:
        """Set the clock of the augmentations, whose options may change during training."""
        if self._shell.augments:
            self._shell.clock = clock

    @contextmanager
    def frozen(self) -> Iterator[Callable[..., Any]]:
        """Yield the network for another player's turn; its weights get no gradients."""
        parameters = [p for p in self._parameters if p.requires_grad]
        for parameter in parameters:
            parameter.requires_grad_(False)
        try:
            yield self._shell
        finally:
            for parameter in parameters:
                parameter.requires_grad_(True)
