"""The contract between the engine and components. Everything here is for plugin authors too.

What a component's target is called with:

| kind | call |
|---|---|
| generator, discriminator, network | `target(options, io) -> torch.nn.Module` |
| loss | `target(options) -> Loss` (an `nn.Module` is moved, not trained; its buffers are saved) |
| task | `target(options, nets, loss) -> Task` |
| data | `target(options, split) -> DataSource` |
| augment | `target(options) -> Augment` |
| diffaugment | `target(options) -> DiffAugment` (an `nn.Module` is moved; its buffers are saved) |
| metric | `target(options) -> Metric` |
| callback | `target(options) -> object with ganzoo_* run hooks` |
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

Shape: TypeAlias = tuple[int, ...]
"""(C, H, W): image; (H, W): label map; (D,): points or noise; (): class index."""

Split = Literal["train", "val", "test"]
"""A part of a data set."""
Outcome = Literal["finished", "stopped", "interrupted", "diverged", "failed"]
"""How a run ended."""
Role = Literal["generator", "discriminator", "network"]
"""The table of a recipe that describes the network of one of a task's roles."""


@dataclass(frozen=True)
class Field:
    """What one named part of a sample is, as networks see it.

    Args:
        shape: without the batch axis.
        kind: `image`: float in [low, high]; `labels`: integer map; `points`: float vector;
            `class`: one integer.
        low, high: range of an image's values. -1 and 1 alone for now: what shows, saves and scores
            images knows no other, so that other ranges are refused.
        palette: RGB colours (0 to 255) of the classes, when the image is a colour-coded label map.
        classes: how many there are, of a `class` or of `labels`; 0 if that isn't known.
        aligned: whether it belongs to the sample's other fields. False: drawn apart from them
            (unpaired folders), so that nothing may compare the two.
        called: what a user calls it, such as its folder's name `cats`; "" where that is the
            field's own name.
    """

    shape: Shape
    kind: Literal["image", "labels", "points", "class"]
    low: float = -1.0
    high: float = 1.0
    palette: tuple[tuple[int, int, int], ...] = ()
    classes: int = 0
    aligned: bool = True
    called: str = ""


@dataclass(frozen=True)
class NetIO:
    """Shapes that a network is built for; stored whole in the metadata of its weights.

    Args:
        inputs: shape of one input, without the batch axis.
        outputs: shape of one output; `(1,)` for a discriminator, whose map size is its own affair.
        classes: number of classes of a conditional network, 0 if it has none.
    """

    inputs: Shape
    outputs: Shape
    classes: int = 0


def image_shape(shape: Shape, what: str = "takes") -> tuple[int, int, int]:
    """A shape as (C, H, W), for networks whose inputs or outputs must be images.

    Args:
        shape: of `NetIO`.
        what: the message's verb: `takes` or `makes`.

    Raises:
        ValueError: it isn't an image's; the engine shows it as a recipe's mistake.
    """
    if len(shape) != 3:
        message = f"{what} images (C, H, W), not {shape}"
        raise ValueError(message)
    return shape


def refuse_classes(io: NetIO) -> None:
    """Say no to class indices, for networks that would ignore them in silence.

    Raises:
        ValueError: the network is to be conditional; the engine shows it as a recipe's mistake.
    """
    if io.classes:
        message = f"has no use for classes, and the task has {io.classes} of them"
        raise ValueError(message)


@dataclass(frozen=True)
class Clock:
    """How far training is.

    Args:
        step: optimisation steps done.
        images: images seen by all processes together.
        progress: images / images that the recipe plans; no flag changes it.
        epoch: complete passes over the data.
    """

    step: int
    images: int
    progress: float
    epoch: int = 0


@dataclass(frozen=True)
class DiscriminatorOutput:
    """What a discriminator says of a batch.

    Args:
        logits: one tensor per scale, never after a sigmoid.
        features: for each scale, intermediate activations (feature matching), or nothing.
    """

    logits: tuple[Tensor, ...]
    features: tuple[tuple[Tensor, ...], ...] = ()


@dataclass(frozen=True)
class LossInputs:
    """All that a loss may look at in one player's turn.

    Args:
        real, fake: N x C x H x W in [-1, 1], or N x D points, as the data's `Field` says.
        clock: for lazy intervals and annealed weights.
        real_output: None in the generator's turn unless the loss has `real_in_generator_turn`,
            and where the recipe has no discriminator.
        fake_output: None where the recipe has no discriminator.
        discriminate: runs the discriminator on other points, for penalties:
            `discriminate(x, precise=True)` without autocast. Raises `RuntimeError` where the
            recipe has no discriminator.
        condition: what else the discriminator saw, by name.
    """

    real: Tensor
    fake: Tensor
    clock: Clock
    real_output: DiscriminatorOutput | None
    fake_output: DiscriminatorOutput | None
    discriminate: Callable[..., DiscriminatorOutput]
    condition: Mapping[str, Tensor] = field(default_factory=dict)


class Generator(Protocol):
    """An `nn.Module` called with an input batch and, if conditional, class indices."""

    def __call__(self, x: Tensor, y: Tensor | None = None) -> Tensor: ...


class Discriminator(Protocol):
    """An `nn.Module` that returns logits: one scale, several, or a dict with features.

    The dict is `{"logits": [...], "features": [[...], ...]}`. Never a dataclass: Accelerate would
    leave its tensors in bf16.
    """

    def __call__(
        self, x: Tensor, y: Tensor | None = None
    ) -> Tensor | list[Tensor] | dict[str, Any]: ...


@dataclass(frozen=True)
class KnownValue:
    """A loss's terms where they can be worked out by hand; `ganzoo.testing` holds the loss to it.

    The discriminator gives one logit an image, N x 1 x 1 x 1. At other points, where a penalty asks
    for it, the logit is linear in the mean of an image, through both of those stated: with
    `slope = (real_logit - fake_logit) / (real - fake)` its gradient has slope / 192 at each of the
    192 values, so the norm |slope| / sqrt(192). For that `real` and `fake` must differ (or both
    logits be equal: the slope is then 0). A loss that refuses to work without features gets
    the images themselves as those of one layer.

    Args:
        discriminator: the terms of the discriminator's turn.
        generator: the terms of the generator's turn.
        real_logit, fake_logit: every logit of real and of fake images.
        real, fake: every value of the images, N x 3 x 8 x 8.
    """

    discriminator: Mapping[str, float]
    generator: Mapping[str, float]
    real_logit: float = 0.0
    fake_logit: float = 0.0
    real: float = 0.0
    fake: float = 0.0


@runtime_checkable
class Loss(Protocol):
    """Weighted, named terms for each player; their sum is minimised and each one is logged.

    Optional attributes: `real_in_generator_turn: bool` (default False), for relativistic losses and
    feature matching; `needs_discriminator: bool` (default True); `known_values`, a sequence of
    `KnownValue` to which tests hold the loss; `term_weights(clock) -> Mapping[str, float]`, the
    weight of terms that a person would compare with a metric: logs show their plain values too. A
    task may have it as well.
    """

    def discriminator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Scalar terms of the discriminator's turn."""
        ...

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Scalar terms of the generator's turn."""
        ...


class Net(Protocol):
    """A network as a task gets it: moved, wrapped for several processes, under autocast."""

    @property
    def module(self) -> nn.Module:
        """The raw network."""
        ...

    def __call__(self, *x: Any, precise: bool = False) -> Any:
        """Training call; `precise` switches autocast off inside."""
        ...

    def frozen(self) -> AbstractContextManager[Callable[..., Any]]:
        """The network without its wrapper: gradients pass through it and never into its weights."""
        ...


class Optimize(Protocol):
    """backward, unscale, clip, step, zero for one player: a task's only way to an optimizer."""

    clock: Clock

    def __call__(self, player: str, terms: Mapping[str, Tensor]) -> None:
        """Minimise the sum of `terms` over the player's weights; directly follows its forward."""
        ...


class DataSource(Protocol):
    """Samples of one split; must pickle, since loader workers may be started by forkserver.

    Attributes `palette`-like extras belong to `fields`. Optional attributes: `metrics`, what this
    data add to an evaluation: ids of metrics, or tables (`{"use": ID, ...}`); `notes`, sentences
    that the user should see once; `arrays`, the whole split in memory by field, one row a sample
    and equal to what `load` gives, which draws nothing then: batches are cut out of it at once
    where a recipe has no augments; `sizes`, a method: height and width of each image of sample
    `index` by field, before augmentation, from headers alone, by which `ganzoo check` finds the
    samples that a crop doesn't fit. For fields that aren't aligned: `own_names`, the names of each
    one's own items by field, of which item i is in sample i, so that an evaluation takes each once;
    `undrawn`, a method: this split with nothing drawn beside a sample, for evaluations of `train`.
    """

    @property
    def fields(self) -> Mapping[str, Field]:
        """What a sample holds. Image shapes are those of sample 0, before augmentation."""
        ...

    def __len__(self) -> int: ...

    def load(self, index: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
        """Sample `index`: images as H x W x C uint8, uint16 or float32 (already in [low, high]),
        labels as H x W integers, points as D float32, a class as a 0-d integer.

        A sample that draws nothing from `rng` must depend on `index` alone as long as the run
        lasts: training keeps it from one epoch to the next (`train.cache`). Drawing is calling
        `rng` itself, or `rng.spawn`, never a copy of it or of its state.

        Raises:
            DataError: naming the file, when a sample can't be read.
        """
        ...

    def name(self, index: int) -> str:
        """Name of the sample, for files and messages: a file's stem, or `000012`."""
        ...


class Augment(Protocol):
    """A random or fixed change of a sample, drawn from `rng` alone; must pickle.

    Drawing is calling `rng` itself, or `rng.spawn`, never a copy of it or of its state: a change
    that leaves `rng` alone is a function of the sample, and what it made is kept from one epoch to
    the next (`train.cache`).

    All images of a sample (arrays with three axes) get the same geometry; label maps (two axes)
    are resampled with nearest neighbour.
    """

    def __call__(
        self, sample: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> dict[str, np.ndarray]: ...


class DiffAugment(Protocol):
    """A differentiable change of all that a discriminator is shown, real and generated alike.

    The engine calls it inside every discriminator in training, in both players' turns, so that
    tasks and losses know nothing of it. It draws from torch's global generator, which checkpoints
    keep, anew for each image; gradients pass through it.
    """

    def __call__(self, images: Tensor, clock: Clock) -> Tensor:
        """Return images of the same shape.

        Args:
            images: N x C x H x W in [-1, 1]; C may be more than an image's own channels, where the
                task shows a discriminator the source beside it.
            clock: for probabilities that anneal.

        Raises:
            ValueError: the input is no batch of images.
        """
        ...


@dataclass(frozen=True)
class Score:
    """A metric's value: the mean (or one value of a whole set), and the values it is made of."""

    mean: float
    per_image: tuple[float, ...] = ()


class Metric(Protocol):
    """Judges generated images or points against the data.

    Attributes:
        needs: names of the fields it reads from a batch. One that reads `target` is left out where
            that isn't aligned with the source.
        protocol: one sentence that says how the figure is made, printed beside it.

    Optional attributes: `samples: int`, how many it wants of a network that draws its inputs (as
    many as the split has, unless it says); `headline(scores) -> str`, a sentence for the end of a
    run; `better`, of the class: which way each value is better, `{"l1": "lower"}`: `lower`,
    `higher`, or what it should be near, `near 1`.
    """

    needs: frozenset[str]
    protocol: str

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:
        """Take a batch in; images are on the 8-bit grid of [-1, 1], on the CPU.

        Args:
            batch: a sample's fields; `source` and `target` are what the network got and should
                have made, whatever the data call them. Of a network that draws its inputs
                (`Task.draw`): what it drew, beside samples of the data that have nothing to do
                with what was generated.
            generated: N x C x H x W, or N x D points.
        """
        ...

    def compute(self) -> Mapping[str, Score]:
        """Values of everything taken in."""
        ...


class RunView(Protocol):
    """What a callback sees of a run; read only.

    Attributes:
        path: the run directory.
        recipe: the validated recipe (`ganzoo.recipe.Recipe`).
        clock: how far training is.
        nets: the raw networks by role; call them inside `ganzoo.data.isolated()`, or the training
            that follows is another.
    """

    @property
    def path(self) -> Path: ...
    @property
    def recipe(self) -> Any: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def nets(self) -> Mapping[str, nn.Module]: ...


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


def _no_discriminator(*_: Any, **__: Any) -> DiscriminatorOutput:
    message = "the recipe has no discriminator, and its loss asks for one"
    raise RuntimeError(message)


class Task(ABC):
    """A training algorithm: it owns the order of play, and nothing of the machinery.

    Args:
        options: the task's options.
        nets: prepared networks by role; optional roles that the recipe set to "none" are absent.
        loss: the recipe's loss; several are summed by the engine before the task sees them.
    """

    roles: ClassVar[Mapping[str, Role]]
    """Each network's role, and the recipe table (`[generator]`...) that describes it."""
    players: ClassVar[Mapping[str, tuple[str, ...]]]
    """Each player, and the roles whose weights it moves."""
    needs: ClassVar[frozenset[str]]
    """Fields that a batch must have; checked against the data component."""
    serves: ClassVar[Mapping[str, tuple[str, str]]]
    """Roles whose weights are of use alone: (field that goes in, field that comes out). Where the
    first is in no data (noise), `draw` makes it, and `ganzoo sample` takes the weights; else
    `ganzoo predict` does."""
    needs_aligned: ClassVar[bool] = False
    """Whether the fields in `needs` must belong together: unpaired data are then refused."""
    optional: ClassVar[frozenset[str]] = frozenset()
    """Roles that a recipe may set to "none": then not in `nets`, and their player doesn't exist."""
    clock: Clock
    """Set by the engine before each step."""

    def __init__(self, options: Any, nets: Mapping[str, Net], loss: Loss) -> None:
        self.options = options
        self.nets = nets
        self.loss = loss

    @classmethod
    @abstractmethod
    def io(cls, role: str, options: Any, fields: Mapping[str, Field]) -> NetIO:
        """Shapes of a role's network, from the data's fields: never repeated in a recipe.

        Raises:
            DataError: when the fields don't fit the task.
        """

    @abstractmethod
    def step(self, batch: Mapping[str, Tensor], optimize: Optimize) -> None:
        """One step of every player; at least one of them must have its turn."""

    @abstractmethod
    def sample(
        self, batch: Mapping[str, Tensor], nets: Mapping[str, Callable[..., Tensor]]
    ) -> dict[str, Tensor]:
        """What to show for a batch, by caption, in the order of the sample grid's columns.

        Images N x C x H x W in [-1, 1]; or points N x 2, which are drawn in one picture.
        """

    @classmethod
    @abstractmethod
    def predict(
        cls, options: Any, role: str, net: Callable[..., Tensor], inputs: Mapping[str, Tensor]
    ) -> Tensor:
        """What one network makes of a batch; the engine sets mode and seed around it.

        Args:
            options: the task's.
            role: whose network it is, one of `serves`.
            net: it.
            inputs: the field that goes in, and those beside it that aren't what comes out; or what
                `draw` gave.
        """

    @classmethod
    def draw(
        cls,
        options: Any,
        role: str,
        io: NetIO,
        count: int,
        random: torch.Generator,
    ) -> dict[str, Tensor]:
        """Inputs of a network that makes samples from none of the data's: noise, class indices.

        Only for roles whose input field, as `serves` names it, no data have. Class indices are
        called `label`, so that `ganzoo sample --label` can set them.

        Args:
            options: the task's.
            role: one of `serves`.
            io: shapes and classes of its network.
            count: samples wanted.
            random: on the CPU; the only source of numbers, so that a seed means the same anywhere.

        Raises:
            NotImplementedError: the task takes its inputs from data alone.
        """
        message = f"{cls.__name__} draws no inputs for {role!r}: its `serves` must name a field"
        raise NotImplementedError(message)

    def state_dict(self) -> dict[str, Any]:
        """State beyond networks and optimizers (image pools), made of tensors and JSON's types."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027  # most have none
        """Take back what `state_dict` gave."""

    def look(
        self,
        turn: Literal["discriminator", "generator"],
        net: Callable[..., Any] | None,
        real: Tensor,
        fake: Tensor,
        see: Callable[[Tensor], Tensor] = lambda image: image,
        condition: Mapping[str, Tensor] | None = None,
        label: Tensor | None = None,
    ) -> LossInputs:
        """Show real and fake to a discriminator and gather what a loss may look at.

        Args:
            turn: whose turn it is; the generator's turn skips the real images unless the loss has
                `real_in_generator_turn`.
            net: the discriminator (its frozen form in the generator's turn), None without one.
            real: N x C x H x W.
            fake: the same; detached in the discriminator's turn.
            see: what the discriminator is shown of an image, such as the source beside it.
            condition: passed on to the loss.
            label: class indices, N, for a discriminator that takes them.
        """
        wants_real = turn == "discriminator" or getattr(self.loss, "real_in_generator_turn", False)
        if net is None:
            return LossInputs(
                real, fake, self.clock, None, None, _no_discriminator, condition or {}
            )

        def discriminate(x: Tensor, *, precise: bool = False) -> DiscriminatorOutput:
            shown = (see(x),) if label is None else (see(x), label)
            return as_output(net(*shown, precise=precise))

        real_output = discriminate(real) if wants_real else None
        fake_output = discriminate(fake)
        return LossInputs(
            real, fake, self.clock, real_output, fake_output, discriminate, condition or {}
        )
