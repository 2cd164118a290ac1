"""Small components of every kind around an algorithm, all of which keep the contract.

`conformance_broken_algorithms` breaks one rule with each of its heirs.
"""

from __future__ import annotations

from functools import partial
from math import exp, log
from pathlib import Path
from typing import ClassVar

import numpy as np
import pydantic
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from ganzoo.api import Component, NetOptions, Options, Scalar, hookimpl
from ganzoo.errors import DataError
from ganzoo.interfaces import Application, Field, KnownValue, NetIO, Score, Task

SPLITS = ("train", "val", "test")


class WidthOptions(NetOptions):
    width: int = 8
    """Channels inside."""


class CountOptions(Options):
    count: int = 64
    """Samples of each split."""


class SquaresOptions(CountOptions):
    repeat: int = 1
    """Times that the squares of a split are counted, each at another place."""


class NearOptions(Options):
    near: float = 1.0
    """Distance at which a point belongs to a heap."""


class WeightOptions(Options):
    weight: Scalar = pydantic.Field(default=4, ge=0, validate_default=True)
    """Weight of a penalty."""


class LikenessOptions(Options):
    near: Scalar = pydantic.Field(default=10, ge=0, validate_default=True)
    """Weight of the absolute error."""
    square: Scalar = pydantic.Field(default=10, ge=0, validate_default=True)
    """Weight of the squared error: as large, so that only other values tell the two apart."""


class Painter(nn.Sequential):
    def __init__(self, options, io):
        super().__init__(
            nn.Conv2d(io.input.shape[0], options.width, 3, padding=1),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(options.width, io.output.shape[0], 3, padding=1),
            nn.Tanh(),
        )


class Critic(nn.Sequential):
    """Its first layer is frozen, and so are the statistics of the norm behind it."""

    def __init__(self, options, io):
        super().__init__(
            nn.Sequential(nn.Conv2d(io.input.shape[0], options.width, 3, 2, 1), nn.BatchNorm2d(8)),
            nn.LeakyReLU(0.2),
            nn.Conv2d(options.width, 1, 4, 2, 1),
        )
        self[0].requires_grad_(False)
        self.train()

    def train(self, mode=True):
        super().train(mode)
        self[0].eval()
        return self


class Duel(Task):
    """From pairs; the discriminator sees fakes of a pool, which is state."""

    POOL = 3

    roles: ClassVar = {"generator": "generator", "discriminator": "discriminator"}
    players: ClassVar = {"generator": ("generator",), "discriminator": ("discriminator",)}
    needs: ClassVar = frozenset({"source", "target"})
    applications: ClassVar = {
        "translate": Application(takes=("source",), gives=("target",), roles=("generator",))
    }
    needs_aligned: ClassVar = True  # for losses of likeness

    def __init__(self, options, nets, loss):
        super().__init__(options, nets, loss)
        self.pool = []

    @classmethod
    def io(cls, role, options, fields):
        for name in ("source", "target"):
            if fields[name].format != "ganzoo/image":
                raise DataError("must be an image", where=name)
        target = {"target": fields["target"]}
        return NetIO({"source": fields["source"]}, target) if role == "generator" else NetIO(target)

    def from_pool(self, fake):
        if len(self.pool) < self.POOL:
            self.pool.append(fake)
            return fake
        place = int(torch.randint(self.POOL, ()))
        old, self.pool[place] = self.pool[place], fake
        return old

    def step(self, batch, optimize):
        critic, real = self.nets["discriminator"], batch["target"]
        fake = self.nets["generator"](batch["source"])
        shown = self.from_pool(fake.detach())
        optimize(
            "discriminator",
            self.loss.discriminator(self.look("discriminator", critic, real, shown)),
        )
        self.generators_turn(critic, real, fake, optimize)

    def generators_turn(self, critic, real, fake, optimize):
        with critic.frozen() as judge:
            seen = self.look("generator", judge, real, fake)
            optimize("generator", self.loss.generator(seen))

    def sample(self, batch, nets):
        return {"source": batch["source"], "generated": nets["generator"](batch["source"])}

    @classmethod
    def apply(cls, name, options, choices, io, nets, inputs):
        return {"target": nets["generator"](inputs["source"])}

    def state_dict(self):
        return {"pool": self.pool}

    def load_state_dict(self, state):
        self.pool = list(state["pool"])


class Dense(nn.Sequential):
    """Of points or noise."""

    def __init__(self, options, io):
        made = io.output.shape if io.outputs else (1,)
        size, width = int(np.prod(made)), getattr(options, "width", 16)
        super().__init__(nn.Linear(io.input.shape[0], width), nn.ReLU(), nn.Linear(width, size))


class Labelled(nn.Module):
    """Of points or noise, and of a class."""

    def __init__(self, options, io):
        super().__init__()
        self.classes = nn.Embedding(io.classes, 4)
        self.layers = nn.Sequential(
            nn.Linear(io.input.shape[0] + 4, 16),
            nn.ReLU(),
            nn.Linear(16, io.vector_out() if io.outputs else 1),
        )

    def forward(self, x, y):
        return self.layers(torch.cat((x, self.classes(y).to(x.dtype)), 1))


class Cloud(Task):
    """Points from noise, by class: no images; one player moves two networks, and plays less often.

    Its code learns to read the noise back from the points.
    """

    roles: ClassVar = {
        "generator": "generator",
        "code": "network",
        "discriminator": "discriminator",
    }
    players: ClassVar = {"makers": ("generator", "code"), "judge": ("discriminator",)}
    needs: ClassVar = frozenset({"points", "kind"})
    applications: ClassVar = {
        "sample": Application(
            takes=("noise",), gives=("points",), roles=("generator",), draws=("noise",)
        )
    }

    @classmethod
    def io(cls, role, options, fields):
        if fields["points"].format != "ganzoo/points" or fields["kind"].format != "ganzoo/class":
            raise DataError("must be points and their class")
        points, kind = {"points": fields["points"]}, {"kind": fields["kind"]}
        noise = {"noise": Field((4,), "ganzoo/points")}
        return {
            "generator": NetIO(noise | kind, points),
            "code": NetIO(points, noise),
            "discriminator": NetIO(points | kind),
        }[role]

    def step(self, batch, optimize):
        real, label, judge = batch["points"], batch["kind"], self.nets["discriminator"]
        noise = torch.randn(len(real), 4).to(real)
        fake = self.nets["generator"](noise, label)
        seen = self.look("discriminator", judge, real, fake.detach(), beside=[label])
        optimize("judge", self.loss.discriminator(seen))
        # Counted by steps, not batches: several of these may be accumulated to one.
        if self.clock.step % 2 == 0:
            with judge.frozen() as still:
                seen = self.look("generator", still, real, fake, beside=[label])
                code = F.mse_loss(self.nets["code"](fake), noise)
                optimize("makers", {**self.loss.generator(seen), "code": 0.1 * code})

    def sample(self, batch, nets):
        noise = torch.randn(len(batch["points"]), 4)
        return {"real": batch["points"], "made": nets["generator"](noise, batch["kind"])}

    @classmethod
    def apply(cls, name, options, choices, io, nets, inputs):
        return {"points": nets["generator"](inputs["noise"], inputs["label"])}

    @classmethod
    def draw(cls, name, options, io, count, random):
        its = io["generator"]
        noise = torch.randn(count, its.vector_in(), generator=random)
        return {"noise": noise, "label": torch.arange(count) % its.classes}


class Cycle(Task):
    """Four networks of two players, from images that aren't paired."""

    roles: ClassVar = {
        **dict.fromkeys(("ab", "ba"), "generator"),
        **dict.fromkeys(("judge_a", "judge_b"), "discriminator"),
    }
    players: ClassVar = {"makers": ("ab", "ba"), "judges": ("judge_a", "judge_b")}
    needs: ClassVar = frozenset({"a", "b"})
    applications: ClassVar = {
        "forth": Application(takes=("a",), gives=("b",), roles=("ab",)),
        "back": Application(takes=("b",), gives=("a",), roles=("ba",)),
    }

    @classmethod
    def io(cls, role, options, fields):
        if any(fields[name].format != "ganzoo/image" for name in "ab"):
            raise DataError("both must be images")
        a, b = ({name: fields[name]} for name in "ab")
        return {
            "ab": NetIO(a, b),
            "ba": NetIO(b, a),
            "judge_a": NetIO(a),
            "judge_b": NetIO(b),
        }[role]

    def step(self, batch, optimize):
        a, b, nets = batch["a"], batch["b"], self.nets
        fake_b, fake_a = nets["ab"](a), nets["ba"](b)
        terms = {}
        with nets["judge_a"].frozen() as judge_a, nets["judge_b"].frozen() as judge_b:
            for name, judge, real, fake in (("a", judge_a, a, fake_a), ("b", judge_b, b, fake_b)):
                for term, value in self.loss.generator(
                    self.look("generator", judge, real, fake)
                ).items():
                    terms[f"{name}/{term}"] = value
            terms["cycle"] = 5 * F.l1_loss(nets["ba"](fake_b), a)
            optimize("makers", terms)
        terms = {}
        for name, real, fake in (("a", a, fake_a.detach()), ("b", b, fake_b.detach())):
            seen = self.look("discriminator", nets[f"judge_{name}"], real, fake)
            terms |= {f"{name}/{t}": v for t, v in self.loss.discriminator(seen).items()}
        optimize("judges", terms)

    def sample(self, batch, nets):
        made = nets["ab"](batch["a"])
        return {"a": batch["a"], "b": made, "back": nets["ba"](made)}

    @classmethod
    def apply(cls, name, options, choices, io, nets, inputs):
        return {"b": nets["ab"](inputs["a"])} if name == "forth" else {"a": nets["ba"](inputs["b"])}


class CrossEntropy:
    """On logits, plus the distance of images; known where the logits are 0."""

    needs_discriminator = True
    # -log s(0) = log 2; |0.5 - (-0.25)| = 0.75 everywhere, times 10
    known_values = (
        KnownValue(
            {"real": log(2), "fake": log(2)}, {"gan": log(2), "near": 7.5}, real=0.5, fake=-0.25
        ),
    )

    def __init__(self, options):
        self.options = options

    def logits(self, output):
        if output is None:
            raise RuntimeError("needs a discriminator")
        return output.logits

    def mean(self, of, output):
        """Mean of a function of logits: over each scale, then over the scales."""
        return torch.stack([of(one).mean() for one in self.logits(output)]).mean()

    def discriminator(self, inputs):
        return {
            "real": self.mean(lambda x: F.softplus(-x), inputs.real_output),
            "fake": self.mean(F.softplus, inputs.fake_output),
        }

    def generator(self, inputs):
        return {
            "gan": self.mean(lambda x: F.softplus(-x), inputs.fake_output),
            "near": 10 * F.l1_loss(inputs.fake, inputs.real),
        }


class Penalised:
    """The critic's distance with a gradient penalty: no images are compared, points will do."""

    # The slope is (3 - 1) / (0.5 - 0.25) = 8 by the mean of 192 values, so the gradient's norm is
    # 8 / sqrt(192): 10 * (8 / sqrt(192) - 1)^2.
    known_values = (
        KnownValue(
            {"critic": -2.0, "penalty": 10 * (8 / 192**0.5 - 1) ** 2},
            {"critic": -1.0},
            real_logit=3,
            fake_logit=1,
            real=0.5,
            fake=0.25,
        ),
    )

    def __init__(self, options):
        self.options = options

    def discriminator(self, inputs):
        share = self.shares(inputs.real)
        between = (share * inputs.real + (1 - share) * inputs.fake).detach().requires_grad_()
        said = self.mean(inputs.discriminate(between, precise=True))
        (slope,) = torch.autograd.grad(said.sum(), between, create_graph=True)
        penalty = 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()
        real, fake = self.mean(inputs.real_output), self.mean(inputs.fake_output)
        return {"critic": fake.mean() - real.mean(), "penalty": penalty}

    def shares(self, real):
        return torch.rand(len(real), *[1] * (real.ndim - 1)).to(real)

    @staticmethod
    def mean(output):
        """What is said of each sample: a mean over cells, then over scales."""
        return torch.stack([one.flatten(1).mean(1) for one in output.logits]).mean(0)

    def generator(self, inputs):
        if inputs.fake_output is None:
            raise RuntimeError("needs a discriminator")
        return {"critic": -self.mean(inputs.fake_output).mean()}


class Relativistic:
    """Real against fake, in both turns."""

    real_in_generator_turn = True
    # softplus(-(1 - (-1))) and softplus(1 - (-1))
    known_values = (
        KnownValue(
            {"gap": log(1 + exp(-2))}, {"gap": log(1 + exp(2))}, real_logit=1, fake_logit=-1
        ),
    )

    def __init__(self, options):
        self.options = options

    def gaps(self, inputs):
        if inputs.fake_output is None:
            raise RuntimeError("needs a discriminator")
        pairs = zip(inputs.real_output.logits, inputs.fake_output.logits, strict=True)
        return [real - fake for real, fake in pairs]

    def discriminator(self, inputs):
        gaps = self.gaps(inputs)
        return {"gap": torch.stack([F.softplus(-gap).mean() for gap in gaps]).mean()}

    def generator(self, inputs):
        gaps = self.gaps(inputs)
        return {"gap": torch.stack([F.softplus(gap).mean() for gap in gaps]).mean()}


class Features:
    """Activations for the fake should be those for the real; nothing in the other turn."""

    real_in_generator_turn = True
    known_values = (KnownValue({}, {"features": 0.75}, real=0.5, fake=-0.25),)

    def __init__(self, options):
        self.options = options

    def discriminator(self, inputs):
        return {}

    def generator(self, inputs):
        if inputs.fake_output is None or not inputs.fake_output.features:
            raise RuntimeError("needs a discriminator that gives features")
        pairs = zip(inputs.fake_output.features, inputs.real_output.features, strict=True)
        each = [F.l1_loss(a, b) for one, other in pairs for a, b in zip(one, other, strict=True)]
        return {"features": torch.stack(each).mean()}


class Margin(CrossEntropy):
    """A hinge with a narrow margin: D's terms are 0, and so are their gradients, once it is met."""

    # max(0, 0.1 - 0), max(0, 0.1 + 0), -0, and 10 * |0.5 - (-0.25)|
    known_values = (
        KnownValue({"real": 0.1, "fake": 0.1}, {"gan": 0, "near": 7.5}, real=0.5, fake=-0.25),
    )

    def discriminator(self, inputs):
        return {
            "real": self.mean(lambda x: F.relu(0.1 - x), inputs.real_output),
            "fake": self.mean(lambda x: F.relu(0.1 + x), inputs.fake_output),
        }

    def generator(self, inputs):
        return super().generator(inputs) | {"gan": -self.mean(lambda x: x, inputs.fake_output)}


class Likeness:
    """Two errors of samples, with two weights; no discriminator, and any number of axes."""

    needs_discriminator = False
    axes = None

    def __init__(self, options):
        self.options = options

    @property
    def known_values(self):
        # The difference is 0.75 everywhere, and its square 0.5625.
        near, square = self.options.near.start, self.options.square.start
        terms = {"near": 0.75 * near, "square": 0.5625 * square}
        return (KnownValue({}, terms, real=0.5, fake=-0.25),)

    def weights(self, clock):
        return self.options.near.at(clock), self.options.square.at(clock)

    def discriminator(self, inputs):
        return {}

    def generator(self, inputs):
        if self.axes not in {None, inputs.fake.ndim}:
            raise ValueError(f"compares samples of {self.axes} axes")
        near, square = self.weights(inputs.clock)
        return {
            "near": near * F.l1_loss(inputs.fake, inputs.real),
            "square": square * F.mse_loss(inputs.fake, inputs.real),
        }


class Sounds(Likeness):
    """N x C x L alone."""

    axes = 3


class Volumes(Likeness):
    """N x C x D x H x W alone."""

    axes = 5


class Perceptual(Likeness):
    """With a term that nobody works out by hand, which the tag `no_known_values` says."""

    def generator(self, inputs):
        felt = F.l1_loss(inputs.fake.sin().cumsum(-1), inputs.real.sin().cumsum(-1))
        return {**super().generator(inputs), "felt": felt}


class Steepness:
    """A penalty on D's slope at the real samples, every fourth step; nothing else."""

    # slope 8 by the mean of 192 values: 8^2 / 192, times 4 for the steps without
    known_values = (
        KnownValue({"steep": 4 * 64 / 192}, {}, real_logit=3, fake_logit=1, real=0.5, fake=0.25),
    )

    def __init__(self, options):
        self.options = options

    def discriminator(self, inputs):
        if inputs.clock.step % 4:
            return {}
        real = inputs.real.detach().requires_grad_()
        said = Penalised.mean(inputs.discriminate(real, precise=True))
        (slope,) = torch.autograd.grad(said.sum(), real, create_graph=True)
        return {"steep": self.weight(inputs) * slope.square().flatten(1).sum(1).mean()}

    def weight(self, inputs):
        return self.options.weight.at(inputs.clock)

    def generator(self, inputs):
        return {}


class Drift:
    """Holds D's logits of real samples near 0, at the last of every four steps."""

    # 0.1 * 3^2, times 4 for the steps without
    known_values = (KnownValue({"drift": 3.6}, {}, real_logit=3, fake_logit=1),)

    def __init__(self, options):
        self.options = options

    def discriminator(self, inputs):
        if inputs.clock.step % 4 != 3:
            return {}
        squares = [logits.square().mean() for logits in inputs.real_output.logits]
        return {"drift": 4 * 0.1 * torch.stack(squares).mean()}

    def generator(self, inputs):
        return {}


class Squares:
    """A square, and the same filled."""

    def __init__(self, options, split):
        self.options, self.split = options, split

    @property
    def fields(self):
        return {
            "source": Field((3, 16, 16), "ganzoo/image"),
            "target": Field((3, 16, 16), "ganzoo/image"),
        }

    def __len__(self):
        return self.options.count * self.options.repeat

    def load(self, index, rng):
        if not 0 <= index < len(self):
            raise IndexError(index)
        draw = np.random.Generator(np.random.PCG64([SPLITS.index(self.split), index]))
        top, left = draw.integers(8, size=2)
        colour = draw.integers(100, 256, size=3)
        image = np.zeros((16, 16, 3), np.uint8)
        image[top : top + 8, left : left + 8] = colour
        source = image.copy()
        source[top + 1 : top + 7, left + 1 : left + 7] = 0
        return {"source": source, "target": image}

    def name(self, index):
        return f"{index:05d}"


class Unpaired(Squares):
    """Squares, and filled ones drawn anew for each."""

    @property
    def fields(self):
        return {name: Field((3, 16, 16), "ganzoo/image", aligned=False) for name in "ab"}

    def load(self, index, rng):
        a = super().load(index, rng)["source"]
        return {"a": a, "b": super().load(int(rng.integers(len(self))), rng)["target"]}


class Points:
    """Three heaps of points, drawn anew in each epoch."""

    def __init__(self, options, split):
        self.options = options

    @property
    def fields(self):
        return {
            "points": Field((2,), "ganzoo/points"),
            "kind": Field((), "ganzoo/class", classes=3),
        }

    def __len__(self):
        return self.options.count

    def load(self, index, rng):
        if not 0 <= index < len(self):
            raise IndexError(index)
        kind = index % 3
        point = np.array([2 * kind - 2, 0]) + 0.1 * rng.standard_normal(2)
        return {"points": point.astype(np.float32), "kind": np.array(kind)}

    def name(self, index):
        return f"{index:05d}"


class Spots(Points):
    """The same points in each epoch, all of them in memory."""

    metrics = ({"use": f"{__name__}/heaps", "near": 0.5},)

    def __init__(self, options, split):
        super().__init__(options, split)
        draw = np.random.default_rng(SPLITS.index(split))
        kinds = np.arange(options.count) % 3
        centres = np.stack([2 * kinds - 2, 0 * kinds], 1)
        points = centres + 0.1 * draw.standard_normal((options.count, 2))
        self.arrays = {"points": points.astype(np.float32), "kind": kinds}

    def load(self, index, rng):
        if not 0 <= index < len(self):
            raise IndexError(index)
        return {name: np.asarray(rows[index]) for name, rows in self.arrays.items()}


class Mirror:
    """Mirrors the whole sample, or none of it."""

    def __init__(self, options):
        self.options = options

    def __call__(self, sample, rng):
        if rng.random() < 0.5:
            return dict(sample)
        return {
            name: np.ascontiguousarray(array[:, ::-1]) if array.ndim > 1 else array
            for name, array in sample.items()
        }


class Dim(nn.Module):
    """Darkens each image by a share of its own, up to `weight`, and shifts it to the side.

    It counts what it has seen, and does nothing to the first images of a training.
    """

    def __init__(self, options):
        super().__init__()
        self.options = options
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, images, clock):
        if images.ndim != 4:
            raise ValueError("takes images, N x C x H x W")
        self.seen.add_(1)
        shares = self.shares(images) * self.weight(clock) / 8 * (1 - 0.5**self.seen)
        shifted = torch.roll(images, 1, 3)
        return torch.where(self.shares(images) < 0.5, images, shifted) * (1 - shares)

    def shares(self, images):
        """N x 1 x 1 x 1, from 0 to 1."""
        return torch.rand(len(images), 1, 1, 1, dtype=images.dtype, device=images.device)

    def weight(self, clock):
        return self.options.weight.at(clock)


class Wary(Dim):
    """Darkens the more, the surer discriminators are of real images."""

    def __init__(self, options):
        super().__init__(options)
        self.register_buffer("sure", torch.zeros(()))

    def weight(self, clock):
        return super().weight(clock) * (1 + self.sure)

    def observe(self, real, fake, clock):
        """Learn from real images alone."""
        self.learn(torch.stack([logits.sigmoid().mean() for logits in real.logits]).mean())
        return {"sure": self.sure}

    def learn(self, sure):
        self.sure.copy_(0.5 * self.sure + 0.5 * sure)


class Distance:
    """Mean absolute difference."""

    needs = frozenset({"target"})
    protocol = "mean absolute difference to the target, in [-1, 1]"

    def __init__(self, options):
        self.values = []

    def update(self, batch, generated):
        self.values += (batch["target"] - generated).abs().flatten(1).mean(1).tolist()

    def compute(self):
        return {"distance": Score(sum(self.values) / len(self.values), tuple(self.values))}


class Heaps:
    """Share of points that lie near one of the heaps."""

    needs = frozenset()
    protocol = "share of 100 points within `near` of a heap (0 to 1, higher is better)"
    samples = 100

    def __init__(self, options):
        self.options, self.hits = options, []

    def update(self, batch, generated):
        heaps = torch.tensor([[-2.0, 0], [0, 0], [2, 0]])
        nearest = torch.cdist(generated.float(), heaps).min(1).values
        self.hits += (nearest < self.options.near).float().tolist()

    def compute(self):
        return {"heaps": Score(sum(self.hits) / len(self.hits))}

    def headline(self, scores):
        return f"{scores['heaps'].mean:.0%} of the points lie near a heap."


class Diary:
    """Counts what happens."""

    def __init__(self, options):
        self.steps = 0

    @hookimpl
    def ganzoo_step_done(self, run, step):
        self.steps += 1


def given(target):
    return target


def component(kind, name, target, options=Options, **more):
    return Component(
        kind=kind,
        name=name,
        target=partial(given, target),
        options=options,
        summary=name,
        **more,
    )


def good_components():
    tiny = {"tiny": {"count": 8}}
    return [
        component("generator", "painter", Painter, WidthOptions),
        # Others of this name have no option `width`: what is meant for one kind isn't for them.
        component("generator", "dense", Dense, WidthOptions, presets={"tiny": {"width": 12}}),
        component("network", "dense", Dense),
        component("generator", "labelled", Labelled),
        component("discriminator", "labelled", Labelled),
        component("discriminator", "critic", Critic, WidthOptions),
        component("discriminator", "dense", Dense),
        component("task", "duel", Duel),
        component("task", "cloud", Cloud),
        component("task", "cycle", Cycle),
        component("loss", "cross_entropy", CrossEntropy),
        component("loss", "penalised", Penalised),
        component("loss", "relativistic", Relativistic),
        component("loss", "features", Features),
        component("loss", "drift", Drift),
        component("loss", "steepness", Steepness, WeightOptions),
        component("loss", "margin", Margin),
        component("loss", "likeness", Likeness, LikenessOptions),
        component("loss", "sounds", Sounds, LikenessOptions),
        component("loss", "volumes", Volumes, LikenessOptions),
        component("loss", "perceptual", Perceptual, LikenessOptions, tags=("no_known_values",)),
        component("data", "squares", Squares, SquaresOptions, presets=tiny),
        component("data", "points", Points, CountOptions, presets=tiny),
        component("data", "unpaired", Unpaired, SquaresOptions, presets=tiny),
        component("augment", "mirror", Mirror),
        component("diffaugment", "dim", Dim, WeightOptions),
        component("diffaugment", "wary", Wary, WeightOptions),
        component("data", "spots", Spots, CountOptions, presets=tiny),
        component("metric", "distance", Distance),
        component("metric", "heaps", Heaps, NearOptions),
        component("callback", "diary", Diary),
    ]


@hookimpl
def ganzoo_components():
    return good_components()


@hookimpl
def ganzoo_recipes():
    folder = Path(__file__).parent / "conformance_recipes"
    return [folder / f"{name}.toml" for name in ("duel", "cloud", "cycle", "spots")]
