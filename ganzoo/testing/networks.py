"""Networks for checks: shapes that one takes, small inputs for them, and what it returns."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.api import Chosen, Kind, NetOptions
from ganzoo.data.formats import format_of
from ganzoo.data.pipeline import open_data
from ganzoo.data.rng import isolated
from ganzoo.engine.plan import plan_networks
from ganzoo.errors import GanzooError, error_text
from ganzoo.interfaces import Field, NetIO, Shape, as_output
from ganzoo.recipe import shipped_recipes
from ganzoo.testing.compare import settings_kept
from ganzoo.testing.kit import CheckFailed, NotTested, Unusable, require
from ganzoo.testing.subject import Subject
from ganzoo.testing.tiny import tiny_recipe

NETWORKS: tuple[Kind, ...] = ("generator", "discriminator", "network")
SHAPES = "check_shapes"
"""The check that reports a network that can't be built, or returns what it should not."""
REFUSALS = (ValueError, TypeError, GanzooError)
"""How a network says that it wasn't made for a shape; the engine shows these to the user."""
_ELSEWHERE = "is not on the expected device"
"""How torch complains of tensors on two devices."""

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

    @property
    def judges(self) -> bool:
        """Whether it is a discriminator, which returns logits."""
        return self.chosen.component.kind == "discriminator"

    @property
    def conditional(self) -> bool:
        """Whether a class index is among its inputs."""
        return any(field.format == "ganzoo/class" for field in self.io.inputs.values())

    @property
    def size_multiple(self) -> int:
        """What heights and widths must be multiples of, as its options say."""
        options = self.chosen.options
        return options.size_multiple() if isinstance(options, NetOptions) else 1

    def resized(self, height: int, width: int) -> Rig:
        """The network with the first image at another size, and all others scaled as it is."""
        rows, columns = image_size(self.io)

        def other(field: Field) -> Field:
            if len(field.shape) != 3:
                return field
            depth, down, across = field.shape
            return replace(field, shape=(depth, down * height // rows, across * width // columns))

        sides = (self.io.inputs, self.io.outputs)
        made = ({name: other(field) for name, field in side.items()} for side in sides)
        return Rig(self.chosen, NetIO(*made))

    def build(self, seed: int = 0) -> nn.Module:
        """The network with the weights of a seed, in training mode.

        Raises:
            CheckFailed: it is no `nn.Module`.
        """
        with isolated(seed):
            net: Any = self.chosen.build(self.io)
        made = f"it builds a {type(net).__name__}"
        require(isinstance(net, nn.Module), f"{made}, which is no torch.nn.Module")
        return net  # type: ignore[no-any-return]  # `require` has looked

    def inputs(self, batch: int, seed: int = 1) -> tuple[Tensor, ...]:
        """What its formats say, see `values_of`."""
        return tuple(values_of(self.io.inputs, batch, seed).values())

    def outputs(self, net: Callable[..., Any], *inputs: Tensor) -> tuple[Tensor, ...]:
        """A network's outputs in their order, or a discriminator's logits of every scale.

        Raises:
            CheckFailed: it returns something else, or other shapes than it should.
        """
        value: Any = net(*inputs)
        given = f"given {' and '.join(shape_text(tuple(one.shape)) for one in inputs)} it returns"
        names: list[Any] = list(self.io.outputs)
        if self.judges:
            try:
                value = dict(enumerate(as_output(value).logits))
            except (TypeError, KeyError) as error:
                message = f'{given} no tensor, list of them or {{"logits": [...]}}: {error!r}'
                raise CheckFailed(message) from error
            names = list(value)
        elif len(names) == 1:
            value = {names[0]: value}
        what = f"a {type(value).__name__}, not a mapping with {', '.join(map(str, names))}"
        require(isinstance(value, Mapping) and set(value) == set(names), f"{given} {what}")
        for name, one in value.items():
            require(isinstance(one, Tensor), f"{given} a {type(one).__name__}, not a tensor")
            shape, batch = tuple(one.shape), len(inputs[0])
            if self.judges:
                fits, wanted = shape[:1] == (batch,) and shape[1:2] in {(), (1,)}, "N x 1 x ..."
            else:
                expected = (batch, *self.io.outputs[name].shape)
                fits, wanted = shape == expected, shape_text(expected)
            require(fits, f"{given} {shape_text(shape)}, not {wanted}")
            require(one.is_floating_point(), f"{given} {one.dtype}, which has no gradient")
        return tuple(value[name] for name in names)

    def called(self, net: nn.Module, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Outputs without gradients, with the noise of one seed; by default for two samples."""
        with torch.no_grad(), isolated(3):
            return self.outputs(net, *(inputs or self.inputs(2)))

    def warmed(self) -> nn.Module:
        """A network in training mode, whose stored statistics aren't the initial ones any more."""
        net = self.build()
        self.called(net, *self.inputs(3, seed=5))
        return net

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


def depends_on_values(error: Exception) -> bool:
    """Whether what failed on the device `meta` reads values, which aren't there.

    It then can't be tried on `meta`. Every other error there is a fault.
    """
    return isinstance(error, RuntimeError) and _ELSEWHERE not in str(error)


def shape_text(shape: Shape) -> str:
    """A shape as messages show it: `3 x 16 x 16`, `(2)`."""
    return " x ".join(map(str, shape)) if len(shape) > 1 else f"({', '.join(map(str, shape))})"


@contextmanager
def _seeded() -> Iterator[None]:
    with settings_kept(), isolated(0):
        yield


seeded = _seeded()
"""Lets a check draw the same random numbers each time; generators and settings stay as they are."""


def on_a_rig(function: Callable[[Subject, Rig], None]) -> Callable[[Subject], None]:
    """Make a check of a network, with classes where it takes them; `seeded` too."""

    @functools.wraps(function)
    def wrapped(subject: Subject) -> None:
        with settings_kept():
            *_, rig = rigs_of(subject)
            with isolated(0):
                function(subject, rig)

    return wrapped


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


def _families(kind: Kind, side: int) -> Iterator[NetIO]:
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


def _of_recipe(subject: Subject) -> list[Rig]:
    """The network with the shapes that the first recipe that names it gives it, by its task."""
    namespace = subject.record.namespace
    if not any(name.startswith(f"{namespace}/") for name in shipped_recipes(subject.registry)):
        message = f"{namespace} ships no recipe (the hook ganzoo_recipes), which would give others"
        raise CheckFailed(message)
    recipe = tiny_recipe(subject)
    plan = plan_networks(recipe, open_data(recipe, "train").fields)
    return [
        Rig(chosen, plan.io[role])
        for role, chosen in plan.chosen.items()
        if (chosen.id, plan.task.roles[role]) == (subject.id, subject.component.component.kind)
    ]


@dataclass(frozen=True)
class Trial:
    """Whether a network can be built for some shapes and called; `error` says why it can't."""

    rig: Rig
    error: Exception | None = None
    built: bool = True

    @property
    def refused(self) -> bool:
        """Whether the network says as it should that it wasn't made for these shapes."""
        return not self.built and isinstance(self.error, REFUSALS)

    def __str__(self) -> str:
        why = error_text(self.error) if self.error else ""
        why = str(self.error) if isinstance(self.error, CheckFailed) else why
        return f"{self.rig}: {why}" if self.built else f"{self.rig}: its __init__ ends in a {why}"


def _attempt(rig: Rig) -> Trial:
    built = False
    try:
        net = rig.build()
        built = True
        rig.called(net.eval())
    except CheckFailed as fault:
        return Trial(rig, fault)
    except Exception as error:  # noqa: BLE001  # a plugin's code may raise anything
        return Trial(rig, error, built)
    return Trial(rig)


def trials(subject: Subject) -> Iterator[Trial]:
    """An attempt for each family of shapes, with images at the smallest side that isn't refused.

    A network that takes none of them, of sound or volumes for example, is tried with the shapes
    that the first recipe that names it gives it.

    Raises:
        Unusable: at the end, if it takes none of all these.
        NotTested: the data of the recipes that name it aren't here.
    """
    chosen, tried, last = subject.choose(), [], ""
    multiple = Rig(chosen, NetIO({})).size_multiple
    first, *more = (-(-least // multiple) * multiple for least in SIDES)
    for small in _families(chosen.component.kind, first):
        trial = _attempt(Rig(chosen, small))
        for side in more if has_images(small) else ():
            if not trial.refused:
                break
            trial = _attempt(trial.rig.resized(side, side))
        tried.append(trial)
        yield trial
    if not all(trial.error for trial in tried):
        return
    try:
        found = [_attempt(rig) for rig in _of_recipe(subject)]
    except (CheckFailed, Unusable) as fault:  # this check is the only one that reports it
        found, last = [], str(fault)
    yield from found
    tried += found
    if all(trial.error for trial in tried):
        lines = [f"  {trial}" for trial in tried]
        message = "\n".join(["it takes none of the shapes that were tried:", *lines, last]).rstrip()
        if "nvidia" in message.lower() or "CUDA" in message:
            message += "\nleave the device to the engine: make tensors where the inputs are"
        raise Unusable(message, reported_by=SHAPES)


def rigs_of(subject: Subject) -> list[Rig]:
    """The first shapes that the network takes, and the first with a class index if there are any.

    Raises:
        Unusable: it takes none of those that are tried, or these can't be tried here.
    """
    found: dict[bool, Rig] = {}
    with isolated(0):
        try:
            for trial in trials(subject):
                if not trial.error:
                    found.setdefault(trial.rig.conditional, trial.rig)
                if len(found) == 2:
                    break
        except NotTested as reason:
            raise Unusable(str(reason), reported_by=SHAPES) from reason
    return list(found.values())


def has_images(io: NetIO) -> bool:
    """Whether it has images, and no other maps whose size would have to change with theirs."""
    dimensions = {len(field.shape) for field in (*io.inputs.values(), *io.outputs.values())}
    return 3 in dimensions <= {0, 1, 3}


def image_size(io: NetIO) -> Shape:
    """Height and width of the first image, in pixels."""
    both = (*io.inputs.values(), *io.outputs.values())
    return next(field.shape[1:] for field in both if len(field.shape) == 3)
