"""Networks and options that break the contract, each in one point, which is told in `BREAKS`."""

from __future__ import annotations

import random
import re
import threading
from functools import partial
from typing import Annotated

import torch
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer
from torch import nn

from ganzoo.api import Component, NetOptions, Options, hookimpl
from ganzoo.interfaces import refuse_classes


class Sound(nn.Module):
    """Nothing is wrong with it: image to image, or image to logits; some heirs take classes."""

    takes_classes = False

    def __init__(self, options, io):
        super().__init__()
        if not self.takes_classes:
            refuse_classes(io)
        self.channels = io.images_in()[0]
        made = io.output.shape[0] if io.outputs else 1
        self.first = nn.Conv2d(self.channels, 8, 3, padding=1)
        self.last = nn.Conv2d(8, made, 3, padding=1)

    def forward(self, x, y=None):
        return torch.tanh(self.last(self.middle(self.first(x))))

    def middle(self, x):
        return nn.functional.leaky_relu(x, 0.2)


class TakesAnything(Sound):
    def __init__(self, options, io):
        nn.Module.__init__(self)
        refuse_classes(io)
        self.first = nn.Conv2d(io.input.shape[0], 8, 3, padding=1)
        self.last = nn.Conv2d(8, io.output.shape[0], 3, padding=1)


class Cropped(Sound):
    def forward(self, x, y=None):
        return super().forward(x)[..., :-1]


class Tuple(Sound):
    """Returns something besides the images."""

    def forward(self, x, y=None):
        return super().forward(x), x


class Bare:
    """It isn't a torch.nn.Module."""

    def __init__(self, options, io):
        pass

    def __call__(self, x, y=None):
        return x


class Bright(Sound):
    def forward(self, x, y=None):
        return self.last(self.middle(self.first(x)))


class OneSize(Sound):
    """Its last word is a fully connected layer, which speaks up in torch's words only."""

    def __init__(self, options, io):
        super().__init__(options, io)
        self.size = io.output.shape[1] * io.output.shape[2]
        self.mix = nn.Linear(self.size, self.size)

    def forward(self, x, y=None):
        made = self.last(self.middle(self.first(x)))
        return torch.tanh(made + self.mix(made.flatten(2)).view_as(made))


class Understated(Sound):
    """Takes even sizes only, and says that it takes all."""

    def middle(self, x):
        halved = nn.functional.avg_pool2d(x, 2)
        coarse = nn.functional.interpolate(halved, scale_factor=2)
        return super().middle(x) + 0.1 * coarse


class OwnSeed(Sound):
    def __init__(self, options, io):
        super().__init__(options, io)
        draw = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(0.2 * torch.randn(weight.shape, generator=draw))


class Reseeds(Sound):
    def __init__(self, options, io):
        super().__init__(options, io)
        torch.manual_seed(0)


class Tunes(Sound):
    """Changes a setting of the whole process."""

    def __init__(self, options, io):
        super().__init__(options, io)
        torch.backends.cudnn.benchmark = True


class InPlace(Sound):
    def forward(self, x, y=None):
        x.data.clamp_(-0.5, 0.5)
        return super().forward(x)


class Forgetful(Sound):
    """What it draws is neither parameter nor buffer."""

    def __init__(self, options, io):
        super().__init__(options, io)
        self.scale = torch.rand(8, 1, 1) + 0.5

    def middle(self, x):
        return super().middle(x * self.scale)


class Uncopied(Sound):
    def __init__(self, options, io):
        super().__init__(options, io)
        self.lock = threading.Lock()


class Bound(Sound):
    """A function that it keeps calls its own layer, and that of the original in a copy."""

    def __init__(self, options, io):
        super().__init__(options, io)
        self.begin = lambda x: self.first(1.0 * x)

    def forward(self, x, y=None):
        return torch.tanh(self.last(self.middle(self.begin(x))))


class Counts(Sound):
    def __init__(self, options, io):
        super().__init__(options, io)
        self.register_buffer("calls", torch.zeros(()))

    def middle(self, x):
        self.calls += 1
        return super().middle(x)


class Wakes(Sound):
    """Its dropout is active for ever after the first call."""

    def __init__(self, options, io):
        super().__init__(options, io)
        self.drop = nn.Dropout(0.1)

    def middle(self, x):
        return super().middle(self.drop.train()(x))


class PythonNoise(Sound):
    def middle(self, x):
        return super().middle(x + random.random())


class Sociable(Sound):
    def middle(self, x):
        return super().middle(x - 0.5 * x.mean(0))


class DropsOn(Sound):
    """Functional dropout doesn't know of evaluation mode."""

    def middle(self, x):
        return super().middle(nn.functional.dropout(x, 0.05))


class Classless(Sound):
    """All classes are the first one to it."""

    takes_classes = True

    def __init__(self, options, io):
        super().__init__(options, io)
        self.classes = nn.Embedding(io.classes, 8) if io.classes else None

    def forward(self, x, y=None):
        middle = self.middle(self.first(x))
        if self.classes is not None:
            middle = middle + self.classes(torch.zeros_like(y))[:, :, None, None]
        return torch.tanh(self.last(middle))


class Unconcerned(Sound):
    """Takes classes and has no use for them."""

    takes_classes = True


class ClassesInSingle(Classless):
    """What it knows of a class is float32, whatever the images are."""

    def forward(self, x, y=None):
        middle = self.middle(self.first(x))
        if self.classes is not None:
            place = self.classes.weight.new_zeros(len(y), self.classes.num_embeddings)
            shares = place.float().scatter(1, y[:, None], 1)
            middle = middle + (shares @ self.classes.weight)[:, :, None, None]
        return torch.tanh(self.last(middle))


class SinglePrecision(Sound):
    def middle(self, x):
        return super().middle(x.to(torch.float32))


class Rooted(Sound):
    """Its constant is of the CPU."""

    def middle(self, x):
        return super().middle(x + torch.linspace(0, 1, x.shape[-1]))


class RootedInTraining(Sound):
    """Its constant is of the CPU, in training alone."""

    def middle(self, x):
        shade = torch.linspace(0, 1, x.shape[-1]) if self.training else 0.0
        return super().middle(x + shade)


class Cancels(Sound):
    def middle(self, x):
        return super().middle((x + 1000) - 1000)


class Idle(Sound):
    def __init__(self, options, io):
        super().__init__(options, io)
        self.spare = nn.Parameter(torch.zeros(3))


class Detached(Sound):
    def forward(self, x, y=None):
        return super().forward(x.detach())


class Judge(Sound):
    """Nothing is wrong with it but what its options say of it."""

    def forward(self, x, y=None):
        return self.last(self.middle(self.first(x)))


class Once(torch.autograd.Function):
    """x, with a gradient that is a constant to autograd."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, gradient):
        return gradient


class Flat(Judge):
    """Its slope has no slope."""

    def middle(self, x):
        return super().middle(Once.apply(x))


class Rough(Judge):
    """Its slope's slope isn't finite: the root of a deviation of 0, far beyond its cells."""

    def middle(self, x):
        return super().middle(x) + 0.1 * (x - x.detach()).abs().pow(1.5).sum()


class CutScale(Judge):
    """No gradient comes from one of its two scales."""

    def forward(self, x, y=None):
        logits = super().forward(x)
        return [logits, nn.functional.avg_pool2d(logits, 2).detach()]


class Fields(NetOptions):
    def receptive_field(self) -> int:
        return 7


class Thawing(Sound):
    """Its frozen layer's statistics follow the training."""

    def __init__(self, options, io):
        super().__init__(options, io)
        self.features = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))
        self.features.requires_grad_(False)

    def middle(self, x):
        return super().middle(x + self.features(x))


class Weak(Sound):
    """Its output says next to nothing of its weights."""

    def forward(self, x, y=None):
        return 1e-3 * super().forward(x)


class HalfRange(Sound):
    """Its images are never dark."""

    def forward(self, x, y=None):
        return torch.sigmoid(self.last(self.middle(self.first(x))))


def crash(net, *arguments, **more):
    """What a test puts in the place of a method."""
    return 1 / 0


class Open(NetOptions):
    model_config = ConfigDict(extra="ignore")


class Unexplained(NetOptions):
    width: int = 3


class Thawed(NetOptions):
    model_config = ConfigDict(frozen=False)
    width: int = 3
    """Channels."""


class Doubles(NetOptions):
    width: Annotated[int, AfterValidator(lambda value: 2 * value)] = 3
    """Channels; twice as many with each reading."""


def _without_unit(value):
    return int(value.removesuffix("px")) if isinstance(value, str) else value


class Units(NetOptions):
    width: Annotated[
        int, BeforeValidator(_without_unit), PlainSerializer(lambda value: f"{value}px")
    ] = 3
    """Pixels; written with a unit that the schema doesn't know."""


def _hidden():
    class Hidden(NetOptions):
        width: int = Field(default=3, description="Channels.")

    return Hidden


HIDDEN = _hidden()

NETWORKS = {
    "check_shapes": (TakesAnything, Cropped, Tuple, Bare),
    "check_images_are_in_range": (Bright,),
    "check_other_sizes": (OneSize, Understated),
    "check_seeds_decide": (OwnSeed, Reseeds, PythonNoise, Tunes),
    "check_calls_change_nothing": (InPlace, Counts, Thawing, Wakes),
    "check_weights_round_trip": (Forgetful, Uncopied, Bound),
    "check_running_ignores_batch_mates": (Sociable,),
    "check_dropout_ends": (DropsOn,),
    "check_classes_matter": (Classless, Unconcerned),
    "check_follows_dtype_and_device": (SinglePrecision, Rooted, RootedInTraining, ClassesInSingle),
    "check_bf16_is_near_fp32": (Cancels,),
    "check_gradients": (Idle, Detached, CutScale),
    "check_penalties_reach_the_weights": (Flat, Rough),
    "check_receptive_field": (Judge,),
    "check_overfits": (Weak, HalfRange),
}
OPTIONS = {
    "open": (Open, "check_options_are_strict"),
    "thawed": (Thawed, "check_options_are_strict"),
    "unexplained": (Unexplained, "check_options_are_documented"),
    "doubles": (Doubles, "check_options_round_trip"),
    "hidden": (HIDDEN, "check_options_round_trip"),
    "preset": (NetOptions, "check_options_round_trip"),
    "units": (Units, "check_options_schema"),
}


def _id(check):
    return f"conformance_broken_networks/{check.removeprefix('check_')}"


def _name(network):
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", network.__name__).lower()


BREAKS = {_id("check_loads"): "check_loads"}
BREAKS |= {_id(name): check for name, (_, check) in OPTIONS.items()}
BREAKS |= {_id(_name(one)): check for check, networks in NETWORKS.items() for one in networks}
"""The component, and the check that it fails."""

FOLLOWS = {
    _id("python_noise"): {"check_running_ignores_batch_mates"},
    _id("forgetful"): {"check_follows_dtype_and_device"},
    _id("wakes"): {"check_dropout_ends"},
    _id("open"): {"check_options_schema"},
}
"""Other checks that it can't but fail too; no component fails any but these."""


def given(target):
    return target


@hookimpl
def ganzoo_components():
    def component(kind, name, check, target, options):
        return Component(
            kind=kind,
            name=name,
            target=partial(given, target),
            options=options,
            summary=f"fails {check}",
            presets={"wide": {"width": 4}} if name == "preset" else {},
        )

    for check, networks in NETWORKS.items():
        for network in networks:
            options = Fields if check == "check_receptive_field" else NetOptions
            kind = "discriminator" if issubclass(network, Judge) else "generator"
            yield component(kind, _name(network), check, network, options)
    for name, (options, check) in OPTIONS.items():
        yield component("generator", name, check, Sound, options)
    yield component("callback", "loads", "check_loads", None, Options)
