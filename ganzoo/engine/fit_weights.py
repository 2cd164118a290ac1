"""Find out which tensors of a weights file a network can take, and adapt numbers of channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ganzoo.inference.weights_card import WeightsCard
from ganzoo.interfaces import Field, NetIO, Shape

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_Pair = tuple[Shape, Shape]


@dataclass(frozen=True)
class Change:
    """A change of the number of channels that a network takes or returns.

    Args:
        before: the number in the file's network.
        here: the number in this network.
        parts: the number of images in these channels, each with the same number of channels.
    """

    before: int
    here: int
    parts: int = 1


@dataclass(frozen=True)
class Channels:
    """The changes of the channels that a network takes, and of those that it returns."""

    inputs: tuple[Change, ...] = ()
    outputs: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Fit:
    """How the tensors of a file fit a network.

    Args:
        taken: the names of the tensors with the same shape in both.
        adapted: those whose channels were adapted, with the shape in the file and the one here.
        kept: buffers whose shape depends on these channels, with both shapes. They aren't learnt,
            so they keep the values that the network computed for its own channels.
        other_shape: those with another shape, with the shape in the file and the one here.
        fresh: the names that only the network has.
        unused: the names that only the file has.
    """

    taken: tuple[str, ...] = ()
    adapted: Mapping[str, _Pair] = field(default_factory=dict)
    kept: Mapping[str, _Pair] = field(default_factory=dict)
    other_shape: Mapping[str, _Pair] = field(default_factory=dict)
    fresh: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Return whether every tensor of the file and of the network has its counterpart.

        Buffers that depend on adapted channels don't count.
        """
        return not (self.other_shape or self.fresh or self.unused)


def channels(card: WeightsCard, io: NetIO, fields: Mapping[str, Field]) -> Channels:
    """Return the changes of channels from the network of a card to one of this run.

    Args:
        card: the card of the file.
        io: the inputs and outputs of this run's network.
        fields: the fields of this run's data.
    """
    before, here = _channels_of(card.fields), _channels_of(fields)

    def changes(theirs: Mapping[str, Field], mine: Mapping[str, Field]) -> tuple[Change, ...]:
        counts = [
            [one.shape[0] for one in fields.values() if len(one.shape) >= 3]
            for fields in (theirs, mine)
        ]
        if len(counts[0]) != len(counts[1]):
            return ()
        found = []
        for old, new in zip(*counts, strict=True):
            parts = _images_in(old, before), _images_in(new, here)
            if old != new and parts[0] == parts[1] != 0:
                found.append(Change(old, new, parts[0]))
        return tuple(found)

    return Channels(changes(card.io.inputs, io.inputs), changes(card.io.outputs, io.outputs))


def _channels_of(fields: Mapping[str, Field]) -> set[int]:
    return {one.shape[0] for one in fields.values() if len(one.shape) >= 3}


def _images_in(count: int, of_fields: set[int]) -> int:
    """Return how many images of the data are in a tensor of `count` channels; 0 if unknown.

    A discriminator may take several images one after another. Where images of the data have
    different numbers of channels, it isn't known in which order they are.
    """
    if count in of_fields:
        return 1
    if len(of_fields) != 1:
        return 0
    (each,) = of_fields
    return count // each if count % each == 0 else 0


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
    parameters = {name for name, _ in net.named_parameters(remove_duplicate=False)}
    tensors: dict[str, Tensor] = {}
    taken: list[str] = []
    adapted: dict[str, _Pair] = {}
    other_shape: dict[str, _Pair] = {}
    for name in (name for name in wanted if name in state):
        given, shape = state[name], tuple(wanted[name].shape)
        made = given
        if tuple(given.shape) != shape and adapt is not None and name in parameters:
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
    kept = {}
    if adapt is not None:
        layers = {_layer(name) for name in adapted}
        kept = {
            name: pair
            for name, pair in other_shape.items()
            if name not in parameters and (_layer(name) in layers or _explained(*pair, adapt))
        }
    other_shape = {name: pair for name, pair in other_shape.items() if name not in kept}
    return Fit(tuple(taken), adapted, kept, other_shape, fresh, unused), tensors


def _layer(name: str) -> str:
    """Return the name of the module that a tensor belongs to, also if it is parametrized."""
    layer = f".{name}".partition(".parametrizations.")[0].removeprefix(".")
    return name.rpartition(".")[0] if layer == name else layer


def _explained(before: Shape, here: Shape, adapt: Channels) -> bool:
    """Return whether two shapes differ only by known changes of channels."""
    known = {(one.before, one.here) for one in (*adapt.inputs, *adapt.outputs)}
    return (
        len(before) == len(here)
        and {sizes for sizes in zip(before, here, strict=True) if sizes[0] != sizes[1]} <= known
    )


def _is_transposed(net: nn.Module, name: str) -> bool:
    """Return whether a weight belongs to a transposed convolution: its first axis is the input."""
    try:
        return isinstance(net.get_submodule(_layer(name)), _TRANSPOSED)
    except AttributeError:  # a network may give its state other names than its modules have
        return False


def _adapted(given: Tensor, shape: Shape, adapt: Channels, *, transposed: bool) -> Tensor:
    """Return a tensor in which the channels of the images were adapted, or the tensor itself.

    From n input channels to m, new channel c is n / m times the mean of the old channels that it
    stands for: old channel c mod n if there are more new ones, and all old channels k with
    k mod m = c if there are fewer. So an image whose channels are all equal gives the same result
    as before, if m is a multiple of n or n of m. Output channels are the same without the factor.
    Each of several images is adapted for itself.
    """
    if given.ndim != len(shape) or not given.ndim or not given.is_floating_point():
        return given
    inputs, outputs = (0, 1) if transposed else (1, 0)
    if given.ndim == 1:  # a bias has only outputs
        inputs, outputs = 1, 0
    made = given
    if change := _change_of(given, shape, outputs, adapt.outputs):
        made = _regrouped(made, outputs, change)
    if change := _change_of(given, shape, inputs, adapt.inputs):
        made = _regrouped(made, inputs, change) * (change.before / change.here)
    return made if tuple(made.shape) == shape else given


def _change_of(given: Tensor, shape: Shape, axis: int, known: Iterable[Change]) -> Change | None:
    """Return the known change that explains how an axis of a tensor differs from a shape."""
    if axis >= given.ndim:
        return None
    sizes = given.shape[axis], shape[axis]
    return next((one for one in known if (one.before, one.here) == sizes), None)


def _regrouped(given: Tensor, axis: int, change: Change) -> Tensor:
    """Return a tensor with other channels: repeated, or means of those that fall together."""
    count = change.here // change.parts
    images = given.chunk(change.parts, axis)
    return torch.cat([_image(one, axis, count) for one in images], axis)


def _image(given: Tensor, axis: int, count: int) -> Tensor:
    before = given.shape[axis]
    if count >= before:
        return given.index_select(axis, torch.arange(count) % before)
    groups = (torch.arange(first, before, count) for first in range(count))
    return torch.stack([given.index_select(axis, group).mean(axis) for group in groups], axis)
