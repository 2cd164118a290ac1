"""Components that break one rule each: what `BREAKS` names must be caught by that check.

All else they have of `conformance_good_algorithms`, which lies in the same folder.
"""

from __future__ import annotations

import copy
import io
import multiprocessing
from dataclasses import replace
from functools import partial
from importlib.resources.abc import Traversable
from math import log
from typing import ClassVar

import conformance_good_algorithms as good
import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from ganzoo.api import Component, Options, hookimpl
from ganzoo.interfaces import Application, Field, KnownValue, NetIO, Score

HERE = __name__

# --- tasks ------------------------------------------------------------------------------------


class TwoMasters(good.Duel):
    """Two players move the discriminator."""

    players: ClassVar = {**good.Duel.players, "judge": ("discriminator",)}


class Gullible(good.Duel):
    """Takes whatever kind a field is of."""

    @classmethod
    def io(cls, role, options, fields):
        target = {"target": fields["target"]}
        return NetIO({"source": fields["source"]}, target) if role == "generator" else NetIO(target)


class Leaky(good.Duel):
    """The generator's backward leaves gradients on the discriminator."""

    def generators_turn(self, critic, real, fake, optimize):
        seen = self.look("generator", critic, real, fake)
        optimize("generator", self.loss.generator(seen))


class AloneForGood(good.Duel):
    """Looks only in its first step whether there is a discriminator."""

    optional: ClassVar = frozenset({"discriminator"})
    alone = None

    def step(self, batch, optimize):
        if self.alone is None:
            self.alone = "discriminator" not in self.nets
        if not self.alone:
            super().step(batch, optimize)
            return
        fake = self.nets["generator"](batch["source"])
        optimize("generator", {"near": F.l1_loss(fake, batch["target"])})


class Ownerless(good.Duel):
    """The generator learns from a network that no player moves."""

    roles: ClassVar = {**good.Duel.roles, "second": "discriminator"}

    def generators_turn(self, critic, real, fake, optimize):
        seen = self.look("generator", self.nets["second"], real, fake)
        optimize("generator", self.loss.generator(seen))


class CountsBatches(good.Duel):
    """Every other batch is the discriminator's: with two accumulated, it never makes a step."""

    batches = 0

    def step(self, batch, optimize):
        self.batches += 1
        mine = "discriminator" if self.batches % 2 else "generator"

        def only(player, terms):
            if player == mine:
                optimize(player, terms)

        super().step(batch, only)

    def state_dict(self):
        return {"batches": self.batches, **super().state_dict()}

    def load_state_dict(self, state):
        self.batches = state["batches"]
        super().load_state_dict(state)


class ShownDetached(good.Duel):
    """The generator can't feel the discriminator."""

    def generators_turn(self, critic, real, fake, optimize):
        with critic.frozen() as judge:
            seen = self.look("generator", judge, real, fake, lambda image: image.detach())
            optimize("generator", self.loss.generator(seen))


class Restless(good.Duel):
    """Each sample grid is another."""

    shown = 0

    def sample(self, batch, nets):
        self.shown += 1
        return {"generated": nets["generator"](batch["source"]) + 0.01 * self.shown}


class Gregarious(good.Duel):
    """What it predicts depends on the other samples of the batch."""

    @classmethod
    def apply(cls, name, options, choices, io, nets, inputs):
        made = nets["generator"](inputs["source"])
        return {"target": made - made.mean(0, keepdim=True)}


class Forgetful(good.Duel):
    """The pool isn't saved."""

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class PastTheWrapper(good.Duel):
    """The raw generator is called, so that processes don't share its gradient."""

    def step(self, batch, optimize):
        critic, real = self.nets["discriminator"], batch["target"]
        fake = self.nets["generator"].module(batch["source"])
        seen = self.look("discriminator", critic, real, fake.detach())
        optimize("discriminator", self.loss.discriminator(seen))
        self.generators_turn(critic, real, fake, optimize)


class Distracted(good.Duel):
    """The generator's gradient comes from elsewhere: it learns to paint light."""

    def generators_turn(self, critic, real, fake, optimize):
        with critic.frozen() as judge:
            terms = self.loss.generator(self.look("generator", judge, real, fake))
            terms = {name: term.detach() for name, term in terms.items()}
            optimize("generator", {**terms, "gan": terms["gan"] - 1e-3 * fake.mean()})


class SelfMoved(good.Duel):
    """The generator is moved without `optimize`."""

    def generators_turn(self, critic, real, fake, optimize):
        super().generators_turn(critic, real, fake, optimize)
        with torch.no_grad():
            for parameter in self.nets["generator"].module.parameters():
                parameter.mul_(0.99)


class Unnamed(good.Duel):
    """No recipe uses it."""


class OfNothing(good.Duel):
    """One term is of what is cut off from the generator."""

    def generators_turn(self, critic, real, fake, optimize):
        with critic.frozen() as judge:
            terms = self.loss.generator(self.look("generator", judge, real, fake))
            optimize("generator", {**terms, "far": F.l1_loss(fake.detach(), real)})


class SinglePrecision(good.Duel):
    """Its noise is in fp32, whatever the run is in."""

    def step(self, batch, optimize):
        noise = 0.01 * torch.randn(batch["source"].shape, dtype=torch.float32)
        source = (batch["source"] + noise).to(noise.dtype)
        super().step({**batch, "source": source}, optimize)


class Reseeds(good.Duel):
    """Wants the same noise in each step."""

    def step(self, batch, optimize):
        torch.manual_seed(0)
        super().step(batch, optimize)


class Lopsided(good.Duel):
    """One of its player's two networks is never shown anything."""

    roles: ClassVar = {**good.Duel.roles, "second": "discriminator"}
    players: ClassVar = {**good.Duel.players, "discriminator": ("discriminator", "second")}


class Compares(good.Duel):
    """Holds a sample to another field, and takes what lies in no pairs."""

    needs_aligned: ClassVar = False

    def generators_turn(self, critic, real, fake, optimize):
        with critic.frozen() as judge:
            terms = self.loss.generator(self.look("generator", judge, real, fake))
            optimize("generator", {**terms, "like": F.l1_loss(fake, real)})


class Clips(good.Duel):
    """Changes the discriminator's weights outside its turns."""

    def generators_turn(self, critic, real, fake, optimize):
        super().generators_turn(critic, real, fake, optimize)
        with torch.no_grad():
            for parameter in critic.module.parameters():
                parameter.clamp_(-0.01, 0.01)


class DrawsNothing(good.Cloud):
    """Nobody makes the noise that its application takes."""

    draw = good.Task.draw


class DrawsAnywhere(good.Cloud):
    """Noise from the global generator."""

    @classmethod
    def draw(cls, name, options, io, count, random):
        return {**super().draw(name, options, io, count, random), "noise": torch.randn(count, 4)}


class GivesTheUnknown(good.Cloud):
    """Makes of noise what neither the data nor its networks have."""

    applications: ClassVar = {
        "sample": Application(
            takes=("noise",), gives=("fake",), roles=("generator",), draws=("noise",)
        )
    }

    @classmethod
    def apply(cls, name, options, choices, io, nets, inputs):
        return {"fake": nets["generator"](inputs["noise"], inputs["label"])}


class ShowsBytes(good.Duel):
    """Shows images from 0 to 255."""

    def sample(self, batch, nets):
        return {name: 127.5 * (1 + one) for name, one in super().sample(batch, nets).items()}


class DrawsTooFew(good.Cloud):
    """One row less than it is asked for, but never none."""

    @classmethod
    def draw(cls, name, options, io, count, random):
        return super().draw(name, options, io, max(1, count - 1), random)


class ThreeClasses(good.Cloud):
    """Counts classes by itself."""

    @classmethod
    def io(cls, role, options, fields):
        three = replace(fields["kind"], classes=3)
        return super().io(role, options, {**fields, "kind": three})


class OneClass(good.Cloud):
    """Predicts the first class, whichever is asked for."""

    @classmethod
    def apply(cls, name, options, choices, io, nets, inputs):
        return {"points": nets["generator"](inputs["noise"], 0 * inputs["label"])}


# --- losses -----------------------------------------------------------------------------------


class Unreduced(good.CrossEntropy):
    """Terms aren't numbers."""

    def discriminator(self, inputs):
        logits = self.logits(inputs.real_output)[0]
        return {**super().discriminator(inputs), "real": F.softplus(-logits)}


class Shapeless(good.Likeness):
    """No samples are right for it."""

    axes = 9


class Mute(good.Likeness):
    """Has no terms in any step."""

    def generator(self, inputs):
        return {}


class ScalesApart(good.CrossEntropy):
    """Works for one scale alone."""

    def logits(self, output):
        (only,) = super().logits(output)
        return (only,)


class WrongSign(good.CrossEntropy):
    """The generator is content when it is found out."""

    def generator(self, inputs):
        return {**super().generator(inputs), "gan": self.mean(F.softplus, inputs.fake_output)}


class Severed(good.CrossEntropy):
    """No gradient reaches the generator."""

    def generator(self, inputs):
        return {name: term.detach() for name, term in super().generator(inputs).items()}


class HalfSevered(good.CrossEntropy):
    """No gradient reaches the generator from one of two terms."""

    def generator(self, inputs):
        near = 10 * F.l1_loss(inputs.fake.detach(), inputs.real)
        return {**super().generator(inputs), "near": near}


class FirstScale(good.CrossEntropy):
    """All scales but one are forgotten."""

    def generator(self, inputs):
        first = F.softplus(-self.logits(inputs.fake_output)[0]).mean()
        return {**super().generator(inputs), "gan": first}


class Overflowing(good.CrossEntropy):
    """A sigmoid, then a logarithm."""

    def discriminator(self, inputs):
        fake = self.mean(lambda x: -(1 - x.sigmoid()).log(), inputs.fake_output)
        return {**super().discriminator(inputs), "fake": fake}


class NeedsCompany(good.CrossEntropy):
    """Divides by a deviation between samples."""

    def generator(self, inputs):
        spread = inputs.fake.flatten(1).mean(1).std(unbiased=True)
        terms = super().generator(inputs)
        return {**terms, "gan": terms["gan"] + 0 * spread}


class NoWords(good.CrossEntropy):
    """Without a discriminator it stumbles over None."""

    def logits(self, output):
        return output.logits


class Peeks(good.CrossEntropy):
    """Reads what it hasn't said that it needs."""

    def generator(self, inputs):
        terms = super().generator(inputs)
        if inputs.real_output is not None:
            terms["gan"] = terms["gan"] + inputs.real_output.logits[0].mean().detach()
        return terms


class Misstated(good.CrossEntropy):
    """Says log 2 and means 0.5."""

    known_values = (KnownValue({"real": 0.5, "fake": 0.5}, {"gan": 0.5, "near": 0.0}),)


class Swapped(good.Likeness):
    """Each of two equal weights is that of the other term."""

    def weights(self, clock):
        return super().weights(clock)[::-1]


class Unweighted(good.Likeness):
    """Ignores one of its weights."""

    def weights(self, clock):
        return self.options.near.at(clock), 10


class Weightless(Swapped):
    """The same, and both terms are known only where they are 0."""

    known_values = (KnownValue({}, {"near": 0, "square": 0}),)


class HalfStated(good.Perceptual):
    """States two of three terms, and lacks the tag for that."""


class PerceptualMisstated(good.Perceptual):
    """Has the tag, and one of the two terms that it states is wrong."""

    known_values = (KnownValue({}, {"near": 7.5, "square": 7.5}, real=0.5, fake=-0.25),)


class OffChance(good.CrossEntropy):
    """Says that the term is 1 where the discriminator can't decide, and it is log 2."""

    decides = 0.0
    at_chance: ClassVar = {"real": 1.0}


class Sums(good.CrossEntropy):
    """A batch twice as large counts twice."""

    known_values = (KnownValue({"real": 4 * log(2), "fake": 4 * log(2)}, {"gan": 4 * log(2)}),)

    def mean(self, of, output):
        return torch.stack([of(one).flatten(1).mean(1).sum() for one in self.logits(output)]).mean()


class Steady(good.Steepness):
    """Its weight stays as it was at first."""

    def weight(self, inputs):
        return self.options.weight.start


class Unread(good.Steepness):
    """Has a weight that nothing reads."""

    def weight(self, inputs):
        return 1.0


class RewardsSlopes(good.Steepness):
    """Has the sign of its penalty wrong."""

    # as Steepness, with the other sign
    known_values = (
        KnownValue({"steep": -4 / 3}, {}, real_logit=3, fake_logit=1, real=0.5, fake=0.25),
    )

    def weight(self, inputs):
        return -super().weight(inputs)


class Fades(good.Drift):
    """A penalty from which D gets away by going far enough."""

    # 3.6 of Drift, over 1 + its square
    known_values = (KnownValue({"drift": 3.6 / 13.96}, {}, real_logit=3, fake_logit=1),)

    def discriminator(self, inputs):
        return {
            name: term / (1 + term.square()) for name, term in super().discriminator(inputs).items()
        }


class SingleLoss(good.CrossEntropy):
    """Compares with numbers of one type only."""

    def discriminator(self, inputs):
        torch.ones(1) @ inputs.real.flatten()[:1]
        return super().discriminator(inputs)


class OfItsPrecision(good.CrossEntropy):
    """Its epsilon is so large that the terms depend on it."""

    def discriminator(self, inputs):
        terms = super().discriminator(inputs)
        return {name: one + torch.finfo(one.dtype).eps ** 0.25 for name, one in terms.items()}


class PlainKnownValue(good.CrossEntropy):
    """States its terms as a dict."""

    known_values = ({"real": log(2)},)


class Rooted(good.Penalised):
    """Draws shares where it is, not where the images are."""

    def shares(self, real):
        return torch.rand(len(real), *[1] * (real.ndim - 1))


# --- data -------------------------------------------------------------------------------------


class Transposed(good.Squares):
    """Its field says H x W x C."""

    @property
    def fields(self):
        return {name: Field((16, 16, 3), "ganzoo/image") for name in ("source", "target")}


class Endless(good.Squares):
    """Counts on round its end."""

    def load(self, index, rng):
        return super().load(index % len(self), rng)


class DrawsForItself(good.Points):
    """Random, and not from `rng`."""

    def load(self, index, rng):
        sample = super().load(index, rng)
        noise = np.random.standard_normal(2)  # noqa: NPY002
        return {**sample, "points": sample["points"] + noise.astype(np.float32)}


class PeeksAtItsRng(good.Points):
    """Random, and its `rng` is left as it was."""

    def load(self, index, rng):
        return super().load(index, copy.deepcopy(rng))


class Namesakes(good.Squares):
    """Two samples of one name."""

    def name(self, index):
        return f"{index // 2:05d}"


class NamesakesOfRepeats(good.Squares):
    """Its names are unique as long as nothing is repeated."""

    def name(self, index):
        return super().name(index % self.options.count)


class LoadsNothing(good.Squares):
    """Fails at its first sample."""

    def load(self, index, rng):
        return {}["source"]


class SharesSplits(good.Squares):
    """Is judged by what it learned."""

    def __init__(self, options, split):
        super().__init__(options, "train")


class DoesntTravel(good.Squares):
    """Holds a function that no other process can have."""

    def __init__(self, options, split):
        super().__init__(options, split)
        self.change = lambda image: image


_opened: dict[str, int] = {}


class KeepsGlobals(good.Squares):
    """Counts on what this process has done before."""

    def __init__(self, options, split):
        super().__init__(options, split)
        _opened["shade"] = 17

    def load(self, index, rng):
        sample = super().load(index, rng)
        return {**sample, "source": sample["source"] // 2 + _opened.get("shade", 0)}


class HasNoOrder(good.Squares):
    """Its order is another one in each process, as that of a set of texts is."""

    def __init__(self, options, split):
        super().__init__(options, split)
        # Not of the process's number: two may have the same remainder.
        self.turned = multiprocessing.parent_process() is not None

    def load(self, index, rng):
        sample = super().load(index, rng)
        return {**sample, "source": sample["source"] ^ np.uint8(self.turned)}


class Uncounted(good.Points):
    """Doesn't say how many classes there are."""

    @property
    def fields(self):
        return {**super().fields, "kind": Field((), "ganzoo/class")}


class CountsFromOne(good.Points):
    def load(self, index, rng):
        sample = super().load(index, rng)
        return {**sample, "kind": sample["kind"] + 1}


class ShiftsArrays(good.Spots):
    """Another precision in memory than when it is loaded one by one."""

    def load(self, index, rng):
        sample = super().load(index, rng)
        return {**sample, "points": sample["points"].astype(np.float16).astype(np.float32)}


class DrawsBesideArrays(good.Spots):
    def load(self, index, rng):
        rng.random()
        return super().load(index, rng)


class WantsTheUnknown(good.Squares):
    metrics = ({"use": "conformance_good_algorithms/heap"},)


# --- augments ---------------------------------------------------------------------------------


class DrawsGlobally(good.Mirror):
    def __call__(self, sample, rng):
        return super().__call__(sample, np.random.default_rng(np.random.randint(99)))  # noqa: NPY002


class DrawsFromACopy(good.Mirror):
    def __call__(self, sample, rng):
        return super().__call__(sample, copy.deepcopy(rng))


class WritesInPlace(good.Mirror):
    def __call__(self, sample, rng):
        for name in ("source", "target"):
            sample[name][:4] = 0
        return super().__call__(sample, rng)


class MakesDoubles(good.Mirror):
    def __call__(self, sample, rng):
        made = super().__call__(sample, rng)
        return {**made, "source": made["source"] / 1.0}


class MirrorsOne(good.Mirror):
    def __call__(self, sample, rng):
        return {**super().__call__(sample, rng), "target": sample["target"]}


class MirrorsNoLabels(good.Mirror):
    def __call__(self, sample, rng):
        return {**super().__call__(sample, rng), "labels": sample["labels"]}


class BlendsLabels(good.Mirror):
    def __call__(self, sample, rng):
        sample = super().__call__(sample, rng)
        labels = sample["labels"]
        return {**sample, "labels": ((labels + 0.0 + np.roll(labels, 1, 1)) / 2).astype(np.uint8)}


class HoldsFunction(good.Mirror):
    def __init__(self, options):
        super().__init__(options)
        self.change = lambda image: image


# --- differentiable augments ------------------------------------------------------------------


class Upcasts(good.Dim):
    def forward(self, images, clock):
        return super().forward(images, clock).float()


class PaintsOver(good.Dim):
    def forward(self, images, clock):
        with torch.no_grad():
            images[:, :, :1] = 0
        return super().forward(images, clock)


class Rounds(good.Dim):
    """Sixteen levels, whose slope it says is 1."""

    def forward(self, images, clock):
        made = super().forward(images, clock)
        return made + ((8 * made).round() / 8 - made).detach()


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images):
        ctx.save_for_backward(images)
        return images * images

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, slope):
        return 2 * slope * ctx.saved_tensors[0]


class OnceOnly(good.Dim):
    """Its gradient has none."""

    def forward(self, images, clock):
        return _Once.apply(super().forward(images, clock))


class HasItsOwn(good.Dim):
    """A generator that no checkpoint holds."""

    def __init__(self, options):
        super().__init__(options)
        self.random = torch.Generator().manual_seed(0)

    def shares(self, images):
        return torch.rand(len(images), 1, 1, 1, generator=self.random).to(images)


class DrawsOnce(good.Dim):
    """One share for a batch."""

    def shares(self, images):
        share = torch.rand((), dtype=images.dtype, device=images.device)
        return share.expand(len(images), 1, 1, 1)


class Mixes(good.Dim):
    """Takes the mean of a batch for that of an image."""

    def forward(self, images, clock):
        return super().forward(images, clock) + 0.1 * images.mean()


class CountsForItself(good.Dim):
    """Its count is no buffer."""

    calls = 0

    def forward(self, images, clock):
        self.calls += 1
        return super().forward(images, clock) * (1 - 0.5**self.calls)


class TakesPoints(good.Dim):
    def forward(self, images, clock):
        return super().forward(images, clock) if images.ndim == 4 else 2 * images


class SteadyDim(good.Dim):
    def weight(self, clock):
        return self.options.weight.start


class UnreadDim(good.Dim):
    def weight(self, clock):
        return 1.0


class RootedDim(good.Dim):
    def shares(self, images):
        return torch.rand(len(images), 1, 1, 1, dtype=images.dtype)


class LateBuffer(good.Dim):
    """Its buffer exists from the first call on, so that a resume has no place for it."""

    def forward(self, images, clock):
        if not hasattr(self, "first"):
            self.register_buffer("first", images.detach()[:1].clone())
        return super().forward(images, clock) + 0.1 * self.first


class CountsAnswersForItself(good.Wary):
    """Its memory of answers is no buffer."""

    heard = 0

    def observe(self, real, fake, clock):
        self.heard += 1
        self.learn(1 - 0.5**self.heard)
        return {}

    def learn(self, sure):
        self.sure.fill_(sure)


class WaitsForAnswers(good.Wary):
    def learn(self, sure):
        if sure > 0.5:
            super().learn(sure)


class HearsTheFirst(good.Wary):
    """Which sample is the first depends on the number of processes."""

    def observe(self, real, fake, clock):
        self.learn(real.logits[0][0].sigmoid().mean())
        return {}


class SaysNothing(good.Wary):
    def observe(self, real, fake, clock):
        super().observe(real, fake, clock)


class DrawsAtAnswers(good.Wary):
    """Every process draws something else."""

    def learn(self, sure):
        super().learn(sure + torch.rand(()).to(sure))


# --- metrics and callbacks --------------------------------------------------------------------


class WithoutProtocol(good.Distance):
    protocol = ""


class Constant(good.Distance):
    def compute(self):
        return {"distance": Score(0.5)}


class MeanOfMeans(good.Distance):
    """The mean over batches; a small last one counts as much as the others."""

    def update(self, batch, generated):
        self.values.append(float((batch["target"] - generated).abs().mean()))

    def compute(self):
        return {"distance": Score(sum(self.values) / len(self.values))}


class Draws(good.Distance):
    def update(self, batch, generated):
        torch.rand(())
        super().update(batch, generated)


class WritesIn(good.Distance):
    """Judges in [0, 1], and so does everybody after it."""

    def update(self, batch, generated):
        super().update(batch, generated.add_(1).div_(2))


class Collects(good.Distance):
    """All instances have one list."""

    values: ClassVar = []

    def __init__(self, options):
        pass

    def compute(self):
        return {"distance": Score(sum(self.values) / len(self.values))}


class WantsNone(good.Distance):
    samples = 0


class Headless(good.Distance):
    def headline(self, scores):
        return scores["distance"].mean


class FarOff(good.Heaps):
    """Is as content with points that are nowhere near."""

    def update(self, batch, generated):
        super().update(batch, 0 * generated)


class ReadsTheUnsaid(good.Distance):
    """Compares with what it doesn't say that it needs."""

    def update(self, batch, generated):
        super().update({"target": batch["real"]}, generated)


class Unmarked:
    def __init__(self, options):
        pass

    def ganzoo_step_done(self, run, step):
        pass


class Interferes(good.Diary):
    @hookimpl
    def ganzoo_step_done(self, run, step):
        torch.rand(())


# --- what is offered --------------------------------------------------------------------------

_TASKS = {
    AloneForGood: "check_task_players_begin_later",
    TwoMasters: "check_task_declarations",
    Gullible: "check_task_io",
    Leaky: "check_task_step",
    Ownerless: "check_task_step",
    GivesTheUnknown: "check_task_applies",
    ShowsBytes: "check_task_samples",
    CountsBatches: "check_task_step",
    ShownDetached: "check_task_step",
    Restless: "check_task_samples",
    Gregarious: "check_task_applies",
    Forgetful: "check_task_resume",
    PastTheWrapper: "check_task_on_ranks",
    Distracted: "check_task_overfits",
    SelfMoved: "check_task_step",
    Unnamed: "check_task_recipe",
    OfNothing: "check_task_step",
    SinglePrecision: "check_task_precisions",
    Reseeds: "check_task_step",
    Lopsided: "check_task_step",
    Compares: "check_task_compares_only_pairs",
    Clips: "check_task_step",
    DrawsNothing: "check_task_applies",
    DrawsAnywhere: "check_task_applies",
    DrawsTooFew: "check_task_applies",
    ThreeClasses: "check_task_classes",
    OneClass: "check_task_classes",
}
_LOSSES = {
    Unreduced: "check_loss_terms",
    Shapeless: "check_loss_terms",
    Mute: "check_loss_terms",
    ScalesApart: "check_loss_terms",
    WrongSign: "check_loss_sign",
    Severed: "check_loss_gradients",
    HalfSevered: "check_loss_gradients",
    FirstScale: "check_loss_gradients",
    Overflowing: "check_loss_gradients",
    NeedsCompany: "check_loss_batches",
    NoWords: "check_loss_attributes",
    Peeks: "check_loss_attributes",
    Misstated: "check_loss_known_values",
    PlainKnownValue: "check_loss_known_values",
    Swapped: "check_loss_known_values",
    Unweighted: "check_loss_known_values",
    Weightless: "check_loss_known_values",
    HalfStated: "check_loss_known_values",
    PerceptualMisstated: "check_loss_known_values",
    OffChance: "check_loss_attributes",
    Sums: "check_loss_batches",
    Steady: "check_loss_anneals",
    Unread: "check_loss_anneals",
    RewardsSlopes: "check_loss_sign",
    Fades: "check_loss_sign",
    SingleLoss: "check_loss_elsewhere",
    OfItsPrecision: "check_loss_elsewhere",
    Rooted: "check_loss_elsewhere",
}
_DATA = {
    Transposed: "check_data_fields",
    Endless: "check_data_bad_index",
    DrawsForItself: "check_data_deterministic",
    PeeksAtItsRng: "check_data_deterministic",
    Namesakes: "check_data_names",
    NamesakesOfRepeats: "check_data_names",
    LoadsNothing: "check_data_fields",
    SharesSplits: "check_data_splits",
    DoesntTravel: "check_data_pickles",
    KeepsGlobals: "check_data_in_workers",
    HasNoOrder: "check_data_in_workers",
    Uncounted: "check_data_fields",
    CountsFromOne: "check_data_fields",
    ShiftsArrays: "check_data_arrays",
    DrawsBesideArrays: "check_data_arrays",
    WantsTheUnknown: "check_data_metrics",
}
_AUGMENTS = {
    DrawsGlobally: "check_augment_draws_from_rng",
    DrawsFromACopy: "check_augment_draws_from_rng",
    WritesInPlace: "check_augment_types",
    MakesDoubles: "check_augment_types",
    MirrorsOne: "check_augment_one_geometry",
    MirrorsNoLabels: "check_augment_one_geometry",
    BlendsLabels: "check_augment_one_geometry",
    HoldsFunction: "check_augment_pickles",
}
_DIFFAUGMENTS = {
    Upcasts: "check_diffaugment_keeps_shapes",
    PaintsOver: "check_diffaugment_keeps_shapes",
    Rounds: "check_diffaugment_is_differentiable",
    OnceOnly: "check_diffaugment_is_differentiable",
    HasItsOwn: "check_diffaugment_draws_from_torch",
    DrawsOnce: "check_diffaugment_is_drawn_for_each_image",
    Mixes: "check_diffaugment_is_drawn_for_each_image",
    CountsForItself: "check_diffaugment_remembers_in_buffers",
    TakesPoints: "check_diffaugment_keeps_shapes",
    SteadyDim: "check_diffaugment_anneals",
    UnreadDim: "check_diffaugment_anneals",
    RootedDim: "check_diffaugment_follows_its_device",
    LateBuffer: "check_diffaugment_in_a_run",
    CountsAnswersForItself: "check_diffaugment_remembers_in_buffers",
    WaitsForAnswers: "check_diffaugment_observes_answers",
    HearsTheFirst: "check_diffaugment_observes_answers",
    SaysNothing: "check_diffaugment_observes_answers",
    DrawsAtAnswers: "check_diffaugment_observes_answers",
}
_METRICS = {
    WithoutProtocol: "check_metric_declarations",
    Constant: "check_metric_scores",
    MeanOfMeans: "check_metric_batching",
    Draws: "check_metric_leaves_images",
    WritesIn: "check_metric_leaves_images",
    Collects: "check_metric_leaves_images",
    WantsNone: "check_metric_declarations",
    Headless: "check_metric_scores",
    FarOff: "check_metric_scores",
    ReadsTheUnsaid: "check_metric_scores",
}
_CALLBACKS = {
    Unmarked: "check_callback_hooks",
    Interferes: "check_callback_changes_nothing",
}
_BY_KIND = {
    "task": _TASKS,
    "loss": _LOSSES,
    "data": _DATA,
    "augment": _AUGMENTS,
    "diffaugment": _DIFFAUGMENTS,
    "metric": _METRICS,
    "callback": _CALLBACKS,
}


def _name(toy):
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in toy.__name__)[
        1:
    ]


def _options(kind, toy):
    if kind == "data":
        return good.SquaresOptions if issubclass(toy, good.Squares) else good.CountOptions
    if issubclass(toy, good.Likeness):
        return good.LikenessOptions
    if issubclass(toy, good.Heaps):
        return good.NearOptions
    annealed = issubclass(toy, good.Steepness | good.Dim)
    return good.WeightOptions if annealed else Options


BREAKS = {
    f"{HERE}/{_name(toy)}": check for toys in _BY_KIND.values() for toy, check in toys.items()
}
"""The check that must catch each component."""


class Written(Traversable):
    """A recipe that is no file."""

    def __init__(self, name, text):
        self._name, self.text = f"{name}.toml", text

    @property
    def name(self):
        return self._name

    def __str__(self):
        return self._name

    def is_file(self):
        return True

    def is_dir(self):
        return False

    def iterdir(self):
        return iter(())

    def joinpath(self, *parts):
        raise NotImplementedError(parts)

    def open(self, mode="r", **more):
        return io.BytesIO(self.text.encode()) if "b" in mode else io.StringIO(self.text)

    def read_text(self, encoding=None):
        return self.text


_RECIPE = """
task = "{here}/{task}"
data = "{here}/squares"
generator = "{here}/painter"
discriminator = "{here}/critic"
loss = "{here}/cross_entropy"
"""
_CLOUD = """
task = "{here}/{task}"
data = "{here}/points"
generator = "{here}/labelled"
network = "{here}/dense"
discriminator = "{here}/labelled"
loss = "{here}/penalised"
"""


@hookimpl
def ganzoo_components():
    mine = [
        Component(
            kind=kind,
            name=_name(toy),
            target=partial(good.given, toy),
            summary=_name(toy),
            options=_options(kind, toy),
            presets={"tiny": {"count": 8}} if kind == "data" else {},
            tags=("no_known_values",) if toy is PerceptualMisstated else (),
        )
        for kind, toys in _BY_KIND.items()
        for toy in toys
    ]
    whole = [
        one for one in good.good_components() if one.name not in {"cloud", "cycle"}
    ]  # no recipe
    return [*whole, *mine]


@hookimpl
def ganzoo_recipes():
    of_points = {_name(toy) for toy in _TASKS if issubclass(toy, good.Cloud)}
    return [
        Written(
            f"{number:02d}_{task}",
            (_CLOUD if task in of_points else _RECIPE).format(
                here=HERE,
                task=task,
            ),
        )
        for number, task in enumerate(["duel", *map(_name, _TASKS)])
        if task != "unnamed"
    ]
