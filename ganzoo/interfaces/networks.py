"""Generators and discriminators: how they are called, and what they return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

Role = Literal["generator", "discriminator", "network"]
"""The kind of the network of a role: the table of a recipe that describes it."""


@dataclass(frozen=True)
class DiscriminatorOutput:
    """What a discriminator returned for a batch.

    Args:
        logits: one tensor for each scale, never after a sigmoid.
        features: the intermediate activations of each scale, for feature matching; or nothing.
    """

    logits: tuple[Tensor, ...]
    features: tuple[tuple[Tensor, ...], ...] = ()


class Generator(Protocol):
    """An `nn.Module` that is called with its inputs by position, in the order of `NetIO.inputs`.

    It returns its one output as a tensor, several as a mapping by the names of `NetIO.outputs`.
    """

    def __call__(self, *inputs: Tensor) -> Tensor | Mapping[str, Tensor]: ...


class Discriminator(Protocol):
    """An `nn.Module` that returns logits: a tensor, a list of them, or a dict with features.

    It is called as a generator is. The dict is `{"logits": [...], "features": [[...], ...]}`. Never
    a dataclass: Accelerate would leave its tensors in bf16.
    """

    def __call__(self, *inputs: Tensor) -> Tensor | list[Tensor] | dict[str, Any]: ...


def as_output(value: Any) -> DiscriminatorOutput:
    """Wrap what a discriminator returned: a tensor, a list of them, or a dict with features."""
    if isinstance(value, DiscriminatorOutput):
        return value
    if isinstance(value, Mapping):
        features = tuple(tuple(scale) for scale in value.get("features", ()))
        return DiscriminatorOutput(tuple(value["logits"]), features)
    if isinstance(value, Sequence):
        return DiscriminatorOutput(tuple(value))
    return DiscriminatorOutput((value,))
