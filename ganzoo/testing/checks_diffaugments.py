"""Checks of differentiable augments: fresh draws for each sample, gradients, state in buffers."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.data.pipeline import open_data
from ganzoo.data.rng import isolated
from ganzoo.engine.plan import plan_networks
from ganzoo.errors import GanzooError
from ganzoo.interfaces import AdaptiveDiffAugment, DiscriminatorOutput
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.recipe.model import Recipe
from ganzoo.testing.annealing import refuse_unread, schedules
from ganzoo.testing.compare import generators, same
from ganzoo.testing.diffaugments import (
    LOGITS,
    SORTS,
    at,
    buffers,
    built,
    drawn,
    hear,
    samples,
    sort,
)
from ganzoo.testing.kit import CheckFailed, NotApplicable, NotTested, check, require
from ganzoo.testing.networks import depends_on_values, seeded
from ganzoo.testing.subject import Subject
from ganzoo.testing.tiny import tiny_host
from ganzoo.testing.trial import same_after_a_resume

_SEEDS = range(8)
"""An augment that does something by chance does it under one of these."""
_BATCH = 16
"""Equal samples of a batch; were they drawn anew, they would hardly all come out alike."""
_NEAR = 1e-5
"""How far a number may move when others in its batch are others: sums in another order."""


@check("diffaugment")
@seeded
def check_diffaugment_keeps_shapes(subject: Subject) -> None:
    """Samples keep shape and type, are finite, and aren't changed in place; others are refused."""
    augment, taken = built(subject), sort(subject)
    cases = [
        (count, shape, dtype)
        for shape in taken
        for count, dtype in ((3, torch.float32), (1, torch.float64), (2, torch.bfloat16))
    ]
    for count, shape, dtype in cases:
        for seed in (0, 1, 2):
            given = samples(count, shape).to(dtype)
            kept = given.clone()
            try:
                made = drawn(augment, given, seed, seed / 2)
            except RuntimeError as error:
                message = (
                    f"of {tuple(given.shape)} in {dtype} it fails: {error}\nmake tensors with the "
                    "dtype of the images (`images.new_zeros(...)`), and ask them for channels"
                )
                raise CheckFailed(message) from error
            require(
                torch.isfinite(made).all(),
                f"of {tuple(given.shape)} in {dtype} it makes values that aren't finite",
            )
            require(
                torch.equal(given, kept),
                "it changes the images given to it, which tasks and losses use again: no in-place "
                "operation may come first",
            )
    for shape in ((2,), *(one[0] for one in SORTS if one != taken)):
        given = torch.zeros(4, *shape)
        complaint = "raise a ValueError that says which samples it takes"
        try:
            with isolated(0):
                made = augment(given, at(0))
        except ValueError:
            continue
        except Exception as error:
            message = f"given {tuple(given.shape)} it raises {error!r}: {complaint}"
            raise CheckFailed(message) from error
        require(len(shape) > 1, f"it takes {tuple(given.shape)}, which are points: {complaint}")
        require(
            made.shape == given.shape,
            f"of {tuple(given.shape)} it makes {tuple(made.shape)}: {complaint}",
        )


@check("diffaugment")
@seeded
def check_diffaugment_is_differentiable(subject: Subject) -> None:
    """Its gradients are finite and right, reach the samples, and can be differentiated again.

    A penalty on the slope of a discriminator behind it is differentiated twice.
    """
    augment, small = built(subject), (3, *sort(subject)[1][1:])
    critic = nn.Linear(prod(small), 1).double()
    reached = False
    for seed in _SEEDS:
        given = samples(2, small).double().requires_grad_()
        made = drawn(augment, given, seed)
        if not made.requires_grad:
            continue  # all of it may be cut out, by chance
        said = critic(made.flatten(1)).square().sum()
        try:
            (slope,) = torch.autograd.grad(said, given, create_graph=True)
            slope.square().sum().backward()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            message = (
                f"its gradient has no gradient: {error}\ngradient penalties are taken through it; "
                "take operations that autograd can differentiate twice"
            )
            raise CheckFailed(message) from error
        gradients = (slope, critic.weight.grad)
        finite = all(one is not None and torch.isfinite(one).all() for one in gradients)
        require(finite, "its gradient, or that of a penalty behind it, isn't finite")
        reached = reached or bool(slope.any())
    require(reached, "no gradient reaches the images: what it makes is detached, or under no_grad")
    for seed in (0, 1):
        given = (0.9 * samples(1, small)).double().requires_grad_()  # off the ends of [-1, 1]
        try:
            torch.autograd.gradcheck(
                lambda images, seed=seed: drawn(augment, images, seed),
                given,
                atol=1e-4,
                fast_mode=True,
            )
        except RuntimeError as error:
            first = str(error).strip().splitlines()[0]
            message = (
                f"its gradient isn't that of its values: {first}\nlet all that becomes of a value "
                "go through torch's operations on it, without detach(), round() or .data"
            )
            raise CheckFailed(message) from error


@check("diffaugment")
@seeded
def check_diffaugment_draws_from_torch(subject: Subject) -> None:
    """Its chance comes from torch's global generator alone, which checkpoints keep."""
    augment, given = built(subject), samples(4, sort(subject)[0])
    ends = []
    for seed in _SEEDS:
        with isolated(seed):
            before = generators()
            augment(given, at(1))
            after = generators()
        ends.append(after["torch"])
        others = [name for name in before if name != "torch" and before[name] != after[name]]
        require(not others, f"it draws from the global generator of {', '.join(others)}")
        once, again = (drawn(augment, given, seed) for _ in range(2))
        require(
            same((once,), (again,)),
            "it isn't the same under torch's seed: a resume isn't exact. Draw by "
            "`torch.rand(..., device=images.device)`, with no generator of your own",
        )
    require(ends[0] != ends[1], "it seeds torch's global generator: leave it alone")


@check("diffaugment")
@seeded
def check_diffaugment_is_drawn_for_each_image(subject: Subject) -> None:
    """Each sample is drawn for anew, and what becomes of it doesn't depend on the others."""
    augment, shape = built(subject), sort(subject)[0]
    alike, firsts = True, []
    one = samples(1, shape)
    images = one.expand(_BATCH, *shape).contiguous()
    for seed in _SEEDS:
        made = drawn(augment, images, seed)
        alike = alike and all(torch.equal(made[0], other) for other in made[1:])
        firsts.append(made[0])
        mates = torch.cat((one, samples(_BATCH - 1, shape, seed + 1)))
        change = float((drawn(augment, mates, seed)[0] - made[0]).abs().max())
        require(
            change <= _NEAR,
            f"with others in its batch an image moves by {change:.3g}: take means and the like "
            "of each image alone",
        )
    random = any(not torch.equal(firsts[0], other) for other in firsts[1:])
    require(
        not (random and alike),
        "all images of a batch are changed alike: draw for each, with `len(images)` numbers",
    )


@check("diffaugment")
@seeded
def check_diffaugment_remembers_in_buffers(subject: Subject) -> None:
    """What it keeps of samples and answers are buffers of an `nn.Module`, as checkpoints hold."""
    used, fresh, shape = built(subject), built(subject), sort(subject)[0]
    learns = isinstance(used, AdaptiveDiffAugment)
    for call in range(3):
        used(samples(4, shape, call), at(0))
    if learns:
        first = {name: buffer.clone() for name, buffer in buffers(used).items()}
        hear(used)
        require(
            any(not torch.equal(first[name], now) for name, now in buffers(used).items()),
            "after 6 batches of answers its buffers are those of the beginning: it learns nothing, "
            "or keeps it elsewhere than in the buffers of an `nn.Module`",
        )
    for name, buffer in buffers(fresh).items():
        buffer.copy_(buffers(used)[name])
    if learns:
        for each in (used, fresh):
            hear(each, calls=1)
    kept = all(torch.equal(one, buffers(fresh)[name]) for name, one in buffers(used).items())
    for seed in _SEEDS:
        one, other = (drawn(each, samples(4, shape), seed) for each in (used, fresh))
        require(
            kept and same((one,), (other,)),
            "a new instance with the same buffers makes or learns something else: it keeps what no "
            "checkpoint holds, or draws when it is built. Keep state by `register_buffer`",
        )


@check("diffaugment")
@seeded
def check_diffaugment_anneals(subject: Subject) -> None:
    """An option that may change with training (`Scalar`) is read by the clock, in every call."""
    given = samples(4, sort(subject)[0])
    judged = False
    without_effect = []
    for name, start, end in schedules(subject):
        try:
            annealed = built(subject, **{name: {"from": start, "to": end}})
            fixed = [built(subject, **{name: value}) for value in (start, end)]
        except ChoiceError:
            continue  # a limit of its own
        without_effect.append(name)
        for seed in _SEEDS:
            wanted = [drawn(one, given, seed) for one in fixed]
            if same(*((one,) for one in wanted)):
                continue  # it makes no difference here
            judged = True
            for progress, right in zip((0.0, 1.0), wanted, strict=True):
                require(
                    same((drawn(annealed, given, seed, progress),), (right,)),
                    f"with {name} from {start:g} to {end:g}, at a progress of {progress:g} it does "
                    f"otherwise than with {start if progress == 0 else end:g}: read it in each "
                    f"call, as `options.{name}.at(clock)`",
                )
    if not judged:
        refuse_unread(without_effect, "clock")


@check("diffaugment")
@seeded
def check_diffaugment_follows_its_device(subject: Subject) -> None:
    """Given samples on another device (torch's `meta`), it makes nothing on the CPU."""
    augment, given = built(subject), samples(2, sort(subject)[0])
    if isinstance(augment, nn.Module):
        augment.to("meta")
    try:
        augment(given.to("meta"), at(1))
    except Exception as error:
        if depends_on_values(error):
            message = f"its steps depend on values, which the device `meta` doesn't have: {error}"
            raise NotTested(message) from error
        message = (
            f"on another device than the CPU it would fail: {error}\nmake tensors where the "
            "images are (`device=images.device`), and keep constants by `register_buffer`"
        )
        raise CheckFailed(message) from error


@check("diffaugment")
def check_diffaugment_in_a_run(subject: Subject) -> None:
    """A run with it makes steps, and a resume of that run is exact."""

    def put(document: dict[str, Any]) -> None:
        document["diffaugment"] = [subject.table("diffaugment", subject.id)]

    axes = len(sort(subject)[0])

    def judges(recipe: Recipe) -> bool:
        data = open_data(recipe, "train")
        plan = plan_networks(recipe, data.fields)
        return any(plan.task.roles[role] == "discriminator" for role in plan.chosen) and any(
            len(data.fields[name].shape) == axes and not data.formats[name].indices
            for name in plan.task.needs
        )

    recipe = tiny_host(subject, put, judges, "has a discriminator of samples that it takes")
    try:
        same_after_a_resume(recipe, subject.folder)
    except GanzooError as error:
        raise CheckFailed(f"a run with it fails: {error}") from error


@check("diffaugment")
@seeded
def check_diffaugment_observes_answers(subject: Subject) -> None:
    """`observe` takes logits of any shape and order, draws nothing, logs numbers, and never waits.

    Reading a tensor's value would make each step wait for the device.
    """
    if not isinstance(built(subject), AdaptiveDiffAugment):
        raise NotApplicable("it doesn't adapt to answers: it has no `observe`")
    for shapes in LOGITS:
        one, other = built(subject), built(subject)
        before = generators()
        logged = hear(one, logits=shapes)
        draws = [name for name, state in generators().items() if state != before[name]]
        require(not draws, f"`observe` draws from the global generator of {', '.join(draws)}")
        require(
            isinstance(logged, Mapping),
            f"`observe` returns a {type(logged).__name__}: return what to log, `{{}}` for nothing",
        )
        for name, value in logged.items():
            require(
                isinstance(value, Tensor) and value.numel() == 1 and torch.isfinite(value).all(),
                f"it logs {name!r}, which isn't a tensor of one finite number",
            )
        hear(other, logits=shapes, flip=True)
        for name, buffer in buffers(one).items():
            require(
                torch.allclose(buffer.double(), buffers(other)[name].double(), 1e-5, 1e-5),
                f"in another order of the samples it learns something else ({name}): samples come "
                "in an order of their own for each number of processes",
            )
    elsewhere = built(subject).to("meta")
    given = DiscriminatorOutput(tuple(torch.zeros(one, device="meta") for one in LOGITS[1]))
    try:
        with torch.no_grad():
            elsewhere.observe(given, given, at(0.1))
    except Exception as error:
        message = (
            f"`observe` reads a tensor's value, or makes a tensor on another device: {error}\n"
            "choose with `torch.where`, and keep what it learns in tensors"
        )
        raise CheckFailed(message) from error
