"""Wrap networks for a task: on the device, for several processes, and with autocast."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.engine.accelerate_session import Session
from ganzoo.engine.build import check_outputs
from ganzoo.errors import PluginError
from ganzoo.interfaces import Clock, DiffAugment, NetIO


@dataclass(frozen=True)
class Promise:
    """The declared output of a generator: its component, its role and its shapes."""

    component: str
    role: str
    io: NetIO

    def check(self, given: Tensor, output: Any) -> None:
        """Check that the output of a call is a tensor of the declared shape.

        For inputs of another shape than the declared one, the output's shape isn't checked.

        Raises:
            PluginError: when it isn't; the error names component, role and shapes.
        """
        if not isinstance(output, Tensor):
            raise PluginError(
                f"{self.component} returns a {type(output).__name__}, not a tensor", where=self.role
            )
        if given.shape[1:] == self.io.inputs and output.shape[1:] != self.io.outputs:
            check_outputs(self.component, self.role, self.io, [tuple(output.shape[1:])])


class _Shell(nn.Module):
    """The layer between the wrappers (DDP, autocast) and the raw network.

    It disables autocast for calls with `precise`, augments the inputs of a discriminator, and
    checks that the generator's output has the declared shape. Without this check, a wrong shape
    would cause an error in some later operation of the task, which doesn't name the generator.
    """

    def __init__(
        self,
        raw: nn.Module,
        device_type: str,
        promise: Promise | None,
        augments: tuple[DiffAugment, ...],
        *,
        compiled: bool,
    ) -> None:
        super().__init__()
        self.raw = raw
        self.device_type = device_type
        self.promise = promise
        self.augments = augments  # in a tuple, so that they don't become submodules
        self.compiled = compiled
        self.clock = Clock(0, 0, 0.0)

    def forward(self, *x: Any, precise: bool = False) -> Any:
        output = self._exactly(*x) if precise else self._augmented(*x)
        if self.promise is not None:
            self.promise.check(x[0], output)
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
        promise: the declared output of a generator; None for other networks.
        augments: the augmentations of a discriminator's inputs.
    """

    def __init__(
        self,
        raw: nn.Module,
        session: Session,
        promise: Promise | None = None,
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
        self._shell = _Shell(raw, session.device.type, promise, augments, compiled=mode != "off")
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
