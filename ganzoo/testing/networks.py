"""Networks for checks: shapes that one takes, small inputs for them, and what it returns."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ganzoo.api import Chosen, Kind, NetOptions
from ganzoo.data.formats import format_of
from ganzoo.data.rng import get_state, isolated
from ganzoo.errors import GanzooError, error_text
from ganzoo.interfaces import Field, NetIO, Shape, as_output
from ganzoo.testing.kit import CheckFailed, NotApplicable, require
from ganzoo.testing.subject import Subject

NETWORKS: tuple[Kind, ...] = ("generator", "discriminator", "network")
REFUSALS = (ValueError, TypeError, GanzooError)
"""How a network says that it wasn't made for a shape; the engine shows these to the user."""

SIDES = (16, 32, 64, 128, 224, 256)
"""Sides of images, in pixels, that are tried until a network takes one."""
NOISE, POINTS, CLASSES = 16, 2, 10


@dataclass(frozen=True)
class Rig:
    """A component with shapes that it may be built for.

    Args:
        chosen: the network's component with its options.
        io: the shapes.
    """

    chosen: Chosen
    io: NetIO

    def build(self, seed: int = 0) -> nn.Module:
        """The network with the weights of a seed, in training mode.

        Raises:
            CheckFailed: it is no `nn.Module`, or not complete.
        """
        with isolated(seed):
            net = self.chosen.build(self.io)
        require(isinstance(net, nn.Module), f"built a {type(net).__name__}, not an nn.Module")
        module: nn.Module = net
        lazy = [name for name, one in module.named_parameters() if is_lazy(one)]
        require(
            not lazy,
            f"without a shape before the first call: {', '.join(lazy)}; the engine counts, seeds "
            "and loads weights before that, so work shapes out from `io`",
        )
        return module

    def inputs(self, batch: int, seed: int = 1) -> tuple[Tensor, ...]:
        """What its formats say, see `values_of`."""
        return tuple(values_of(self.io.inputs, batch, seed).values())

    def outputs(self, net: Callable[..., Any], *inputs: Tensor) -> tuple[Tensor, ...]:
        """A network's outputs in their order, or a discriminator's logits of every scale.

        Raises:
            CheckFailed: it returns something else.
        """
        value = net(*inputs)
        if self.chosen.component.kind != "discriminator":
            names = list(self.io.outputs)
            if len(names) == 1:
                value = {names[0]: value}
            require(
                isinstance(value, Mapping) and set(value) == set(names),
                f"returns a {type(value).__name__}, not a mapping with {' and '.join(names)}",
            )
            for one in value.values():
                require(isinstance(one, Tensor), f"returns a {type(one).__name__}, not one tensor")
            return tuple(value[name] for name in names)
        try:
            logits = as_output(value).logits
        except (TypeError, KeyError) as error:
            message = f'returns no tensor, list or {{"logits": [...]}}: {error!r}'
            raise CheckFailed(message) from error
        require(
            logits and all(isinstance(one, Tensor) for one in logits),
            f'returns {type(value).__name__}: no tensor, list of them or {{"logits": [...]}}',
        )
        return logits

    def __str__(self) -> str:
        sides = (
            " and ".join(
                f"{field.classes} classes" if not field.shape else shape_text(field.shape)
                for field in fields.values()
            )
            for fields in (self.io.inputs, self.io.outputs)
        )
        return " -> ".join(side or "logits" for side in sides)


def values_of(fields: Mapping[str, Field], batch: int, seed: int) -> dict[str, Tensor]:
    """What formats say: values spread evenly over [-1, 1], normal noise, or indices."""
    draw = torch.Generator().manual_seed(seed)
    made = {}
    for name, field in fields.items():
        shape = (batch, *field.shape)
        its_format = format_of(field)
        if its_format.indices:
            made[name] = torch.randint(max(field.classes, 1), shape, generator=draw)
        elif its_format.shown == "together":
            made[name] = torch.randn(shape, generator=draw)
        else:
            made[name] = torch.rand(shape, generator=draw) * 2 - 1
    return made


def shape_text(shape: Shape) -> str:
    """A shape as messages show it: `3 x 16 x 16`, `(2)`."""
    return " x ".join(map(str, shape)) if len(shape) > 1 else f"({', '.join(map(str, shape))})"


def seeded(function: Callable[[Subject], None]) -> Callable[[Subject], None]:
    """Let a check draw random numbers, the same each time, and nobody notice."""

    @functools.wraps(function)
    def wrapped(subject: Subject) -> None:
        with isolated(0):
            function(subject)

    return wrapped


def on_every_rig(function: Callable[[Subject, Rig], None]) -> Callable[[Subject], None]:
    """Make a check of a network also of it with classes, where it takes them; `seeded` too."""

    @functools.wraps(function)
    def wrapped(subject: Subject) -> None:
        idle: list[NotApplicable] = []
        with isolated(0):
            first, classes = rig_of(subject), class_rig_of(subject)
        rigs = [first] if classes is None or classes == first else [first, classes]
        for rig in rigs:
            try:
                with isolated(0):
                    function(subject, rig)
            except NotApplicable as reason:
                idle.append(reason)
            except CheckFailed as fault:
                if not rig.io.classes:
                    raise
                raise CheckFailed(f"built for {rig}: {fault}") from fault
        if len(idle) == len(rigs):
            raise idle[0]

    return wrapped


def legal_side(chosen: Chosen, least: int) -> int:
    """The smallest side, at least `least`, that the options say the network takes."""
    options = chosen.options
    multiple = options.size_multiple() if isinstance(options, NetOptions) else 1
    return -(-least // multiple) * multiple


def io_of(given: Shape, made: Shape | None = None, classes: int = 0) -> NetIO:
    """What a network of one input and at most one output would be declared as.

    Args:
        given: the shape of its input `x`.
        made: the shape of its output `made`; None for a discriminator.
        classes: of a class index `label` behind the input; 0 for none.
    """
    inputs = {"x": _field(given)}
    if classes:
        inputs["label"] = Field((), "ganzoo/class", classes=classes)
    return NetIO(inputs, {} if made is None else {"made": _field(made)})


def _field(shape: Shape) -> Field:
    return Field(shape, {3: "ganzoo/image", 2: "ganzoo/labels"}.get(len(shape), "ganzoo/points"))


def families(kind: Kind, side: int) -> Iterator[NetIO]:
    """Shapes that some network of a kind is made for; one for each sort of input and output."""
    image: Shape = (3, side, side)
    for classes in (0, CLASSES):
        if kind == "discriminator":
            yield io_of(image, None, classes)
            yield io_of((POINTS,), None, classes)
            continue
        yield io_of(image, image, classes)
        yield io_of((NOISE,), image, classes)
        yield io_of((NOISE,), (POINTS,), classes)
        yield io_of((POINTS,), (POINTS,), classes)
        if kind == "network":
            yield io_of(image, (NOISE,), classes)


@dataclass(frozen=True)
class Trial:
    """What became of the attempt to build a network for some shapes, and to call it.

    Args:
        rig: the attempt.
        refused: why it wasn't built; None if it was.
        failed: what happened when it was called; None if nothing did.
    """

    rig: Rig
    refused: Exception | None = None
    failed: Exception | None = None

    @property
    def works(self) -> bool:
        """Whether the network was built and called."""
        return self.refused is None and self.failed is None


def attempt(rig: Rig) -> Trial:
    """Build a network and call it with two samples in evaluation mode."""
    try:
        net = rig.build()
    except CheckFailed:
        raise
    except Exception as error:  # noqa: BLE001  # a plugin's code may raise anything
        return Trial(rig, refused=error)
    try:
        with torch.no_grad():
            net.eval()(*rig.inputs(2))
    except Exception as error:  # noqa: BLE001
        return Trial(rig, failed=error)
    return Trial(rig)


def trials(subject: Subject) -> Iterator[Trial]:
    """An attempt for each family of shapes: at the smallest side that isn't refused."""
    chosen = subject.choose()
    for small in families(chosen.component.kind, legal_side(chosen, SIDES[0])):
        trial = attempt(Rig(chosen, small))
        for least in SIDES[1:]:
            if not isinstance(trial.refused, REFUSALS) or not has_images(small):
                break
            trial = attempt(Rig(chosen, resized(small, *2 * (legal_side(chosen, least),))))
        yield trial


def has_images(io: NetIO) -> bool:
    """Whether height and width mean anything to a network."""
    return any(len(field.shape) == 3 for field in (*io.inputs.values(), *io.outputs.values()))


def resized(io: NetIO, height: int, width: int) -> NetIO:
    """The same shapes for images of another size."""
    inputs, outputs = (
        {
            name: replace(field, shape=(field.shape[0], height, width))
            if len(field.shape) == 3
            else field
            for name, field in fields.items()
        }
        for fields in (io.inputs, io.outputs)
    )
    return NetIO(inputs, outputs)


def rig_of(subject: Subject) -> Rig:
    """The first shapes that the network takes.

    Raises:
        CheckFailed: it takes none of those that are tried.
    """
    said = []
    for trial in trials(subject):
        if trial.works:
            return trial.rig
        errors = filter(None, (trial.refused, trial.failed))
        said += [f"  {trial.rig}: {error_text(error)}" for error in errors]
    raise CheckFailed("it takes none of the shapes that were tried:\n" + "\n".join(said))


def class_rig_of(subject: Subject) -> Rig | None:
    """The first shapes with classes that the network takes; None if it takes none."""
    works = (trial.rig for trial in trials(subject) if trial.rig.io.classes and trial.works)
    return next(works, None)


def unequal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """Names of tensors that aren't the same bit for bit (a NaN is like itself)."""
    return [
        name
        for name in {**one, **other}
        if name not in one
        or name not in other
        or one[name].shape != other[name].shape
        or one[name].dtype != other[name].dtype
        or not torch.equal(_bits(one[name]), _bits(other[name]))
    ]


def _bits(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8)


def same(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> bool:
    """Whether two outputs are equal bit for bit."""
    return not unequal(*({str(i): t for i, t in enumerate(many)} for many in (one, other)))


def generators() -> dict[str, Any]:
    """State of every global random generator, by library."""
    tensors, plain = get_state()
    return plain | {name: tensor.tolist() for name, tensor in tensors.items()}


def tensors(net: nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters and buffers, those that aren't saved too."""
    named = [*net.named_parameters(), *net.named_buffers()]
    return {name: tensor.detach().clone() for name, tensor in named}


def warmed(rig: Rig) -> nn.Module:
    """A network whose stored statistics aren't the initial ones any more; in training mode."""
    net = rig.build()
    with torch.no_grad():
        net(*rig.inputs(3, seed=5))
    return net
