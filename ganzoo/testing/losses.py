"""Made-up inputs for losses, and what the checks of losses ask of a loss at such inputs."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from ganzoo.api import Scalar
from ganzoo.data.rng import isolated
from ganzoo.errors import GanzooError
from ganzoo.interfaces import (
    Clock,
    DiscriminatorOutput,
    KnownValue,
    Loss,
    LossInputs,
    Shape,
)
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.plugin_system.option_errors import key_of
from ganzoo.testing.kit import CheckFailed, Unusable, require
from ganzoo.testing.subject import Subject
from ganzoo.testing.trial import number

Turn: TypeAlias = Literal["discriminator", "generator"]
TURNS: tuple[Turn, ...] = ("discriminator", "generator")
_SHAPES = ((3, 32, 32), (2,), (1, 64), (1, 8, 8, 8))
"""Images; points, vectors of length and volumes for losses that take no images."""
_SMALL = (3, 8, 8)
"""Of the images of `KnownValue`."""
_LAZIEST = 64
"""Steps within which a loss must have a term."""


@dataclass(frozen=True)
class Probe:
    """What a loss is to be shown.

    Args:
        shape: of one sample.
        rows: samples in the batch.
        scales: of the discriminator; the logits of scale s have 2^(s + 1) cells on each axis.
        features: whether the discriminator gives features too: each scale's only layer is `x`.
        real_logit, fake_logit: every logit.
        real, fake: the samples; by default random ones in [-1, 1], the same every time.
        line: (slope, offset) of the discriminator at other points, whose logit is slope * mean +
            offset; None: it can't be asked there.
        cells: False: one logit a sample.
        discriminator: whether there is one.
        show_real: show `real_output` in the generator's turn, whatever the loss declares.
        track: whether logits, real and fake want gradients.
        dtype, device: of everything.
        progress: how far training is.
        step: steps done.
    """

    shape: Shape = (3, 32, 32)
    rows: int = 4
    scales: int = 1
    features: bool = False
    real_logit: float = 0.3
    fake_logit: float = -0.2
    real: Any = None
    fake: Any = None
    line: tuple[float, float] | None = (1.0, 0.0)
    cells: bool = True
    discriminator: bool = True
    show_real: bool = False
    track: bool = False
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    progress: float = 0.0
    step: int = 0
    slope: Tensor = field(init=False, repr=False)
    """The discriminator's only weight, as penalties reach it."""

    def __post_init__(self) -> None:
        for seed, name in enumerate(("real", "fake")):
            if getattr(self, name) is None:
                generator = torch.Generator().manual_seed(seed)
                drawn = torch.rand((self.rows, *self.shape), generator=generator) * 2 - 1
                object.__setattr__(self, name, drawn)
        slope = self.line[0] if self.line else 0.0
        object.__setattr__(self, "slope", torch.tensor(slope, dtype=self.dtype, device=self.device))
        self.slope.requires_grad_(self.track)

    @classmethod
    def of_known_value(cls, value: KnownValue, shape: Shape) -> Probe:
        """What a `KnownValue` describes for samples of a shape, in double precision."""
        rise, run = value.real_logit - value.fake_logit, value.real - value.fake
        if run:
            slope = rise / run
            line: tuple[float, float] | None = (slope, value.real_logit - slope * value.real)
        else:
            line = None if rise else (0.0, value.real_logit)
        return cls(
            shape=shape,
            real_logit=value.real_logit,
            fake_logit=value.fake_logit,
            real=torch.full((4, *shape), value.real, dtype=torch.float64),
            fake=torch.full((4, *shape), value.fake, dtype=torch.float64),
            line=line,
            cells=False,
            dtype=torch.float64,
        )

    def but(self, **changes: Any) -> Probe:
        """The same with changes."""
        if "rows" in changes:
            changes = {"real": None, "fake": None} | changes
        return replace(self, **changes)

    def inputs(self, loss: Loss, turn: Turn) -> LossInputs:
        """What the loss gets in a turn; real outputs in the generator's only if it declares it."""
        real, fake = (
            one.detach().clone().to(self.device, self.dtype).requires_grad_(self.track)
            for one in (self.real, self.fake)
        )
        shows_real = (
            turn == "discriminator"
            or self.show_real
            or getattr(loss, "real_in_generator_turn", False)
        )
        there = self.discriminator
        return LossInputs(
            real=real,
            fake=fake,
            clock=Clock(self.step, 0, self.progress),
            real_output=self._output(real, self.real_logit) if there and shows_real else None,
            fake_output=self._output(fake, self.fake_logit) if there else None,
            discriminate=self._discriminate,
        )

    def _output(self, x: Tensor, logit: float) -> DiscriminatorOutput:
        """The stated logit for all of `x`; features are its own."""
        logits = tuple(
            torch.full(
                (len(x), 1, *side), logit, dtype=self.dtype, device=self.device
            ).requires_grad_(self.track)
            for side in self._sides()
        )
        return DiscriminatorOutput(logits, self._features(x))

    def _sides(self) -> list[tuple[int, ...]]:
        axes = len(self.shape) - 1
        return [(2**scale * 2 if self.cells else 1,) * axes for scale in range(self.scales)]

    def _features(self, x: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        if not self.features:
            return ()
        # A feature depends on the discriminator's weight, as its graph shows; its value is `x`.
        return ((x + 0 * self.slope,),) * self.scales

    def _discriminate(self, x: Tensor, *, precise: bool = False) -> DiscriminatorOutput:
        """The discriminator at other points: linear in the mean of each sample."""
        del precise
        if not self.discriminator:
            message = "the recipe has no discriminator, and its loss asks for one"
            raise RuntimeError(message)
        if self.line is None:
            message = (
                "the loss asks for logits at other points, and its `known_values` doesn't define "
                "them: state `real` and `fake` that differ; the logit is then linear in the mean "
                "of a sample, through both"
            )
            raise CheckFailed(message)
        _, offset = self.line
        mean = self.slope * x.flatten(1).mean(1) + offset
        logits = tuple(
            mean.reshape(-1, 1, *(1 for _ in side)).expand(-1, 1, *side) for side in self._sides()
        )
        return DiscriminatorOutput(logits, self._features(x))


class Rise(NamedTuple):
    """A change of a logit that a player wants.

    Args:
        turn: the player's.
        what: the logit that changes.
        worse, better: its values.
        other: the other logit meanwhile.
    """

    turn: Turn
    what: str
    worse: float
    better: float
    other: Mapping[str, float]

    def of(self, loss: Loss, probe: Probe) -> tuple[float, float]:
        """What the player minimises at the worse value and at the better one."""
        worse, better = (
            total_at(loss, self.turn, probe.but(**{self.what: value}, **self.other))
            for value in (self.worse, self.better)
        )
        return worse, better


RISES = (
    Rise("discriminator", "real_logit", 0.0, 1.0, {"fake_logit": 0.0}),
    Rise("discriminator", "fake_logit", 1.0, 0.0, {"real_logit": 1.0}),
    Rise("generator", "fake_logit", 0.0, 1.0, {"real_logit": 0.0}),
)


def loss_and_probe(subject: Subject) -> tuple[Loss, Probe]:
    """The loss, and inputs of the first shape that it takes.

    Raises:
        Unusable: it takes none, or its terms are no terms; `check_loss_terms` reports it.
    """
    reports = "check_loss_terms"
    loss: Any = subject.choose().build()
    if not isinstance(loss, Loss):
        message = f"{subject.id} has no methods `discriminator` and `generator`"
        raise Unusable(message, reported_by=reports)
    first: Exception | None = None
    for shape in _SHAPES:
        probe = Probe(shape=shape)
        for tried in (probe, probe.but(features=True)):
            try:
                for turn in TURNS:
                    values_of(loss, turn, tried)
                at = at_its_step(loss, tried)
            except CheckFailed as error:
                raise Unusable(str(error), reported_by=reports) from error
            except Exception as error:  # noqa: BLE001  # a plugin's loss may raise any exception
                first = first or error
                continue
            if at is None:
                message = f"it gives no terms in any turn of its first {_LAZIEST} steps"
                raise Unusable(message, reported_by=reports)
            return loss, at
    message = (
        f"it can't be computed: {first!r}\n"
        "Inputs were images (N x 3 x 32 x 32), points (N x 2), vectors of length 64 (N x 1 x 64) "
        "and volumes (N x 1 x 8 x 8 x 8). In the generator's turn `real_output` is None unless the "
        "loss has `real_in_generator_turn = True`, and `condition` is empty."
    )
    raise Unusable(message, reported_by=reports) from first


def at_its_step(loss: Loss, probe: Probe) -> Probe | None:
    """The same at the first step at which the loss has a term; None if it has none in any."""
    steps = (probe.but(step=step) for step in range(_LAZIEST))
    return next((at for at in steps if any(terms_of(loss, turn, at)[0] for turn in TURNS)), None)


def terms_of(
    loss: Loss, turn: Turn, probe: Probe, seed: int = 0
) -> tuple[dict[str, Tensor], LossInputs]:
    """A turn's terms as the loss gives them, and what it was given."""
    inputs = probe.inputs(loss, turn)
    with isolated(seed):  # points between real and fake, drawn at random
        terms: Any = getattr(loss, turn)(inputs)
    require(
        isinstance(terms, dict) and all(isinstance(name, str) and name for name in terms),
        f"the {turn}'s turn gives {type(terms).__name__}: give a dict of named terms",
    )
    return terms, inputs


def values_of(loss: Loss, turn: Turn, probe: Probe, seed: int = 0) -> dict[str, float]:
    """A turn's terms as numbers, each known to be finite."""
    terms, _ = terms_of(loss, turn, probe, seed)
    return {name: number(f"{turn}/{name}", term) for name, term in terms.items()}


def total_at(loss: Loss, turn: Turn, probe: Probe) -> float:
    """What a turn minimises."""
    return sum(values_of(loss, turn, probe).values())


def gradients_of(total: Tensor, wanted: list[Tensor]) -> list[Tensor | None]:
    """With respect to each; None where the graph doesn't lead there."""
    if not total.requires_grad:
        return [None] * len(wanted)
    return list(torch.autograd.grad(total, wanted, allow_unused=True, retain_graph=True))


def is_penalty(loss: Loss, probe: Probe) -> bool:
    """Whether it isn't adversarial: nothing for G, and D doesn't learn to tell real from fake."""
    if values_of(loss, "generator", probe):
        return False
    of_d = (one.of(loss, probe) for one in RISES if one.turn == "discriminator")
    return not all(better < worse for worse, better in of_d)


def to(loss: Any, where: torch.dtype | str) -> Any:
    """The loss, with its parameters and buffers in another type or on another device."""
    return loss.to(where) if isinstance(loss, nn.Module) else loss


def known_probe(loss: Loss, value: KnownValue, like: Probe) -> Probe:
    """What the value describes: images, or samples of the shape that the loss takes instead."""
    probe = Probe.of_known_value(value, _SMALL if like.shape == _SHAPES[0] else like.shape)
    try:
        terms_of(loss, "generator", probe)
    except (GanzooError, RuntimeError):
        probe = probe.but(features=True)  # a loss that refuses to work without
    return at_its_step(loss, probe) or probe


def difference(
    got: Mapping[str, float], right: Mapping[str, float], near: float, *, floor: float = 1.0
) -> str:
    """How terms differ from the right ones, by more than `near` of the larger of these and `floor`.

    Empty if they don't.
    """
    if set(got) != set(right):
        return f"the terms are called {sorted(got)}, and not {sorted(right)}"
    for name, value in right.items():
        if abs(got[name] - value) > near * max(floor, abs(value)):
            return f"{name!r} is {got[name]:.8g}, and should be {value:.8g}"
    return ""


def differ(loss: Loss, other: Loss, probe: Probe, names: Container[str]) -> bool:
    """Whether any of the terms called so differ between two losses."""
    there = at_its_step(other, probe) or probe
    for turn in TURNS:
        both = (values_of(loss, turn, probe), values_of(other, turn, there))
        old, new = ({name: one[name] for name in one if name in names} for one in both)
        if difference(new, old, 1e-9, floor=0):
            return True
    return False


def with_other_numbers(subject: Subject) -> Iterator[tuple[str, Any]]:
    """The loss in fp64, another value of one numeric option each, by the option's recipe name."""
    options = subject.choose().options
    for name, info in type(options).model_fields.items():
        value = getattr(options, name)
        now = value.start if isinstance(value, Scalar) else value
        if isinstance(now, bool) or not isinstance(now, int | float):
            continue
        others = (now + 1, now - 1) if isinstance(now, int) else (now / 2 or 1.0, now * 2 or 0.5)
        for other in others:
            try:
                built = subject.choose(**{key_of(name, info): other}).build()
            except (ChoiceError, ValueError):
                continue  # a limit of the option
            yield key_of(name, info), to(built, torch.float64)
            break
