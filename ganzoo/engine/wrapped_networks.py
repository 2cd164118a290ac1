"""How a task sees a network: moved, wrapped for several processes, under autocast."""

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
    """What a generator must give: whose it is, its role, and the shapes it was built for."""

    component: str
    role: str
    io: NetIO

    def check(self, given: Tensor, output: Any) -> None:
        """Look at one call; inputs of other sizes promise nothing.

        Raises:
            PluginError: naming component, role and shapes.
        """
        if not isinstance(output, Tensor):
            raise PluginError(
                f"{self.component} gives a {type(output).__name__}, not a tensor", where=self.role
            )
        if given.shape[1:] == self.io.inputs and output.shape[1:] != self.io.outputs:
            check_outputs(self.component, self.role, self.io, [tuple(output.shape[1:])])


class _Shell(nn.Module):
    """Stands between the wrappers (DDP, autocast) and the raw network.

    It switches autocast off, augments what a discriminator is shown, and looks whether a generator
    keeps its word about shapes: in a task a wrong one would come out as some operation's error, far
    from the network at fault.
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
        self.augments = augments  # a tuple: modules in it aren't the network's
        self.compiled = compiled
        self.clock = Clock(0, 0, 0.0)

    def forward(self, *x: Any, precise: bool = False) -> Any:
        output = self._exactly(*x) if precise else self._augmented(*x)
        if self.promise is not None:
            self.promise.check(x[0], output)
        return output

    def _exactly(self, *x: Any) -> Any:
        if self.compiled:
            # What torch.compile makes has no second derivative, which is what `precise` is for.
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
    """`ganzoo.interfaces.Net` over a raw network and its wrappers.

    Args:
        raw: the network, on the session's device.
        session: this process's share of the machine.
        promise: of a generator; other networks make none.
        augments: of a discriminator: what is done to all that it is shown.
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
            # In place, so that names of weights stay. Never dynamic: whether torch then compiles
            # for all sizes depends on those it met before, which a resume didn't.
            raw.compile(mode=mode, dynamic=False)
        self._raw = raw
        self._parameters = tuple(raw.parameters())
        self._shell = _Shell(raw, session.device.type, promise, augments, compiled=mode != "off")
        # Accelerate patches the shell's forward with autocast, then wraps it for DDP: calling the
        # shell itself is autocast without gradient synchronisation, just what `frozen` wants.
        with warnings.catch_warnings():
            # torch 2.14 announces another name, which Accelerate 1.15 has no argument for yet.
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            # The network is placed already; to find that out Accelerate would import DTensor.
            prepared = session.accelerator.prepare(self._shell, device_placement=[False])
            self.wrapped: nn.Module = prepared

    @property
    def module(self) -> nn.Module:
        """The raw network."""
        return self._raw

    def __call__(self, *x: Any, precise: bool = False) -> Any:
        """Training call, synchronised between processes in the backward pass."""
        return self.wrapped(*x, precise=precise)

    def begin_step(self, clock: Clock) -> None:
        """Let what anneals inside know how far training is."""
        if self._shell.augments:
            self._shell.clock = clock

    @contextmanager
    def frozen(self) -> Iterator[Callable[..., Any]]:
        """The network for the other player's turn: its weights get no gradient and cost none."""
        parameters = [p for p in self._parameters if p.requires_grad]
        for parameter in parameters:
            parameter.requires_grad_(False)
        try:
            yield self._shell
        finally:
            for parameter in parameters:
                parameter.requires_grad_(True)
