"""Find out which tensors of a weights file a network can take, and adapt numbers of channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ganzoo.interfaces import NetIO, Shape

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_Pair = tuple[Shape, Shape]


@dataclass(frozen=True)
class Channels:
    """The channels of images in the file's network and in this one; None where they are equal."""

    inputs: tuple[int, int] | None
    outputs: tuple[int, int] | None


@dataclass(frozen=True)
class Fit:
    """How the tensors of a file fit a network.

    Args:
        taken: the names of the tensors with the same shape in both.
        adapted: those whose channels were adapted, with the shape in the file and the one here.
        other_shape: those with another shape, with the shape in the file and the one here.
        fresh: the names that only the network has.
        unused: the names that only the file has.
    """

    taken: tuple[str, ...] = ()
    adapted: Mapping[str, _Pair] = field(default_factory=dict)
    other_shape: Mapping[str, _Pair] = field(default_factory=dict)
    fresh: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Return whether every tensor of the file and of the network has its counterpart."""
        return not (self.other_shape or self.fresh or self.unused)


def channels(before: NetIO, here: NetIO) -> Channels:
    """Return how many channels the images of two networks have: C of C x H x W."""
    return Channels(_pair(before.inputs, here.inputs), _pair(before.outputs, here.outputs))


def _pair(before: Shape, here: Shape) -> tuple[int, int] | None:
    if len(before) < 3 or len(here) < 3 or before[0] == here[0]:
        return None
    return before[0], here[0]


def fit(
    state: Mapping[str, Tensor], net: nn.Module, adapt: Channels | None
) -> tuple[Fit, dict[str, Tensor]]:
    """Compare a state with a network, which may be on the meta device.

    Args:
        state: the tensors of the file.
        net: the network.
        adapt: how channels are adapted; None: they aren't.

    Returns:
        The comparison, and the tensors that the network can load.
    """
    wanted = net.state_dict()
    tensors: dict[str, Tensor] = {}
    taken: list[str] = []
    adapted: dict[str, _Pair] = {}
    other_shape: dict[str, _Pair] = {}
    for name in (name for name in wanted if name in state):
        given, shape = state[name], tuple(wanted[name].shape)
        made = given
        if tuple(given.shape) != shape and adapt is not None:
            made = _adapted(given, shape, adapt, transposed=_is_transposed(net, name))
        if tuple(made.shape) != shape:
            other_shape[name] = (tuple(given.shape), shape)
            continue
        tensors[name] = made
        if made is given:
            taken.append(name)
        else:
            adapted[name] = (tuple(given.shape), shape)
    fresh = tuple(name for name in wanted if name not in state)
    unused = tuple(name for name in state if name not in wanted)
    return Fit(tuple(taken), adapted, other_shape, fresh, unused), tensors


def _is_transposed(net: nn.Module, name: str) -> bool:
    """Return whether a weight belongs to a transposed convolution: its first axis is the input."""
    layer = f".{name}".partition(".parametrizations.")[0].removeprefix(".")
    if layer == name:
        layer = name.rpartition(".")[0]
    try:
        return isinstance(net.get_submodule(layer), _TRANSPOSED)
    except AttributeError:  # a network may give its state other names than its modules have
        return False


def _adapted(given: Tensor, shape: Shape, adapt: Channels, *, transposed: bool) -> Tensor:
    """Return a tensor in which the channels of the images were adapted, or the tensor itself.

    From n input channels to m, new channel c is n / m times the mean of the old channels that it
    stands for: old channel c mod n if there are more new ones, and all old channels k with
    k mod m = c if there are fewer. So an image whose channels are all equal gives the same result
    as before, if m is a multiple of n or n of m. Output channels are the same without the factor.
    """
    if given.ndim != len(shape) or not given.ndim or not given.is_floating_point():
        return given
    if given.ndim == 1:  # a bias has only outputs
        inputs, outputs = None, 0
    else:
        inputs, outputs = (0, 1) if transposed else (1, 0)
    made = given
    if adapt.outputs is not None and (given.shape[outputs], shape[outputs]) == adapt.outputs:
        made = _regrouped(made, outputs, shape[outputs])
    if inputs is not None and (given.shape[inputs], shape[inputs]) == adapt.inputs:
        made = _regrouped(made, inputs, shape[inputs]) * (given.shape[inputs] / shape[inputs])
    return made if tuple(made.shape) == shape else given


def _regrouped(given: Tensor, axis: int, count: int) -> Tensor:
    """Return a tensor with `count` channels: repeated, or means of those that fall together."""
    before = given.shape[axis]
    if count >= before:
        return given.index_select(axis, torch.arange(count) % before)
    groups = (torch.arange(first, before, count) for first in range(count))
    return torch.stack([given.index_select(axis, group).mean(axis) for group in groups], axis)
