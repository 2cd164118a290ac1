"""What is demanded of differentiable augments: fresh draws for each image, gradients, no memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.data.pipeline import open_data
from ganzoo.data.rng import isolated
from ganzoo.engine.plan import plan_networks
from ganzoo.errors import GanzooError
from ganzoo.interfaces import Clock, DiffAugment
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.recipe.model import Recipe
from ganzoo.testing.annealing import refuse_unread, schedules
from ganzoo.testing.checks_precision import ELSEWHERE
from ganzoo.testing.checks_task_runs import same_after_a_resume
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.networks import generators, same, seeded
from ganzoo.testing.subject import Subject
from ganzoo.testing.tiny import tiny_host

SHAPES = ((3, 16, 16), (1, 8, 8), (3, 64, 64), (6, 16, 24))
"""(C, H, W) that it must take: grey, colour, and a source beside its target; sides of 8 to 64."""
SEEDS = range(8)
"""An augment that does something by chance does it under one of these."""
BATCH = 16
"""Equal images of a batch; were they drawn anew, they would hardly all come out alike."""
NEAR = 1e-5
"""How far an image may move when others in its batch are others: sums in another order."""


def _built(subject: Subject, **changes: Any) -> DiffAugment:
    augment: DiffAugment = subject.choose(**changes).build()
    return augment


def _images(count: int, shape: tuple[int, ...] = SHAPES[0], seed: int = 0) -> Tensor:
    """Images evenly spread over [-1, 1]."""
    draw = torch.Generator().manual_seed(seed)
    return torch.rand((count, *shape), generator=draw) * 2 - 1


def _at(progress: float) -> Clock:
    return Clock(step=int(1000 * progress), images=int(64_000 * progress), progress=progress)


def _buffers(augment: DiffAugment) -> dict[str, Tensor]:
    return dict(augment.named_buffers()) if isinstance(augment, nn.Module) else {}


def _drawn(augment: DiffAugment, images: Tensor, seed: int, progress: float = 1.0) -> Tensor:
    """What it makes under a seed, with the buffers that it has; a call may change these.

    Raises:
        CheckFailed: it makes something else than images of the same shape and type.
    """
    before = {name: buffer.clone() for name, buffer in _buffers(augment).items()}
    with isolated(seed):
        made: Any = augment(images, _at(progress))
    for name, buffer in _buffers(augment).items():
        if name in before:
            buffer.copy_(before[name])
    require(isinstance(made, Tensor), f"gives a {type(made).__name__}, not a tensor")
    result: Tensor = made
    require(
        result.shape == images.shape,
        f"of {tuple(images.shape)} it makes {tuple(result.shape)}: N x C x H x W stays as it is",
    )
    require(result.dtype == images.dtype, f"of {images.dtype} it makes {result.dtype}")
    return result


@check("diffaugment")
@seeded
def check_diffaugment_keeps_shapes(subject: Subject) -> None:
    """Images keep shape and type and stay finite: of 1, 3, 6 channels, in fp32, fp64 and bf16."""
    augment = _built(subject)
    for shape in SHAPES:
        for count, dtype in ((3, torch.float32), (1, torch.float64), (2, torch.bfloat16)):
            for seed, progress in ((0, 0.0), (1, 0.5), (2, 1.0)):
                given = _images(count, shape).to(dtype)
                try:
                    made = _drawn(augment, given, seed, progress)
                except RuntimeError as error:
                    message = (
                        f"of {count} x {shape} in {dtype} it fails: {error}\nmake tensors with the "
                        "dtype of the images (`images.new_zeros(...)`), and ask them for channels"
                    )
                    raise CheckFailed(message) from error
                require(
                    torch.isfinite(made).all(),
                    f"of {count} x {shape} in {dtype} it makes values that aren't finite",
                )


@check("diffaugment")
@seeded
def check_diffaugment_leaves_its_input(subject: Subject) -> None:
    """The images given to it stay as they were: tasks and losses use them again."""
    augment = _built(subject)
    for seed in SEEDS:
        given = _images(4)
        _drawn(augment, given, seed)
        require(
            same((given,), (_images(4),)),
            "it changes the images given to it: no in-place operation may come first",
        )


@check("diffaugment")
@seeded
def check_diffaugment_is_differentiable(subject: Subject) -> None:
    """Gradients of the images are finite, reach them, and are those of small differences."""
    augment = _built(subject)
    reached = False
    for seed in SEEDS:
        given = _images(2, (3, 8, 8)).double().requires_grad_()
        made = _drawn(augment, given, seed)
        if not made.requires_grad:
            continue  # all of it may be cut out, by chance
        (slope,) = torch.autograd.grad(made.sum(), given)
        require(torch.isfinite(slope).all(), "its gradient isn't finite")
        reached = reached or bool(slope.any())
    require(reached, "no gradient reaches the images: what it makes is detached, or under no_grad")
    for seed in (0, 1):
        given = (0.9 * _images(2, (3, 6, 6))).double().requires_grad_()  # off the ends of [-1, 1]
        try:
            torch.autograd.gradcheck(
                lambda images, seed=seed: _drawn(augment, images, seed), given, atol=1e-4
            )
        except RuntimeError as error:
            first = str(error).strip().splitlines()[0]
            message = (
                f"its gradient isn't that of its values: {first}\nlet all that becomes of a pixel "
                "go through torch's operations on it, without detach(), round() or .data"
            )
            raise CheckFailed(message) from error


@check("diffaugment")
@seeded
def check_diffaugment_under_penalties(subject: Subject) -> None:
    """A penalty on the slope of a discriminator behind it can be differentiated."""
    augment = _built(subject)
    critic = nn.Conv2d(3, 1, 8).double()
    for seed in SEEDS:
        given = _images(2, (3, 8, 8)).double().requires_grad_()
        said = critic(_drawn(augment, given, seed)).square().sum()
        try:
            (slope,) = torch.autograd.grad(said, given, create_graph=True)
            slope.square().sum().backward()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            message = (
                f"its gradient has no gradient: {error}\ngradient penalties are taken through it; "
                "take operations that autograd can differentiate twice"
            )
            raise CheckFailed(message) from error
        gradient = critic.weight.grad
        require(
            gradient is not None and torch.isfinite(gradient).all(),
            "a penalty behind it has gradients that aren't finite",
        )


@check("diffaugment")
def check_diffaugment_draws_from_torch(subject: Subject) -> None:
    """Its chance comes from torch's global generator alone, which checkpoints keep."""
    augment = _built(subject)
    for seed in SEEDS:
        with isolated(3):
            before = generators()
            augment(_images(4), _at(1))
            after = generators()
        others = [name for name in before if name != "torch" and before[name] != after[name]]
        require(not others, f"it draws from the global generator of {', '.join(others)}")
        once, again = (_drawn(augment, _images(4), seed) for _ in range(2))
        require(
            same((once,), (again,)),
            "it isn't the same under torch's seed: a resume isn't exact. Draw by "
            "`torch.rand(..., device=images.device)`, with no generator of your own",
        )
    ends = []
    for seed in (1, 2):
        with isolated(seed):
            augment(_images(4), _at(1))
            ends.append(generators()["torch"])
    require(ends[0] != ends[1], "it seeds torch's global generator: leave it alone")


@check("diffaugment")
@seeded
def check_diffaugment_is_drawn_for_each_image(subject: Subject) -> None:
    """Each image is drawn for anew, and what becomes of it doesn't depend on the others."""
    augment = _built(subject)
    alike, firsts = True, []
    images = _images(1).expand(BATCH, -1, -1, -1).contiguous()
    for seed in SEEDS:
        made = _drawn(augment, images, seed)
        alike = alike and all(torch.equal(made[0], one) for one in made[1:])
        firsts.append(made[0])
    random = any(not torch.equal(firsts[0], one) for one in firsts[1:])
    require(
        not (random and alike),
        "all images of a batch are changed alike: draw for each, with `len(images)` numbers",
    )
    for seed, first in zip(SEEDS, firsts, strict=True):
        mates = torch.cat((images[:1], _images(BATCH - 1, seed=seed + 1)))
        change = float((_drawn(augment, mates, seed)[0] - first).abs().max())
        require(
            change <= NEAR,
            f"with others in its batch an image moves by {change:.3g}: take means and the like "
            "of each image alone",
        )


@check("diffaugment")
@seeded
def check_diffaugment_remembers_in_buffers(subject: Subject) -> None:
    """What it keeps from call to call are buffers of an `nn.Module`, which checkpoints hold."""
    with isolated(1):
        used = _built(subject)
    for call in range(3):
        used(_images(4, seed=call), _at(0))
    with isolated(2):
        fresh = _built(subject)
    for name, buffer in _buffers(fresh).items():
        buffer.copy_(_buffers(used)[name])
    for seed in SEEDS:
        one, other = (_drawn(each, _images(4), seed) for each in (used, fresh))
        require(
            same((one,), (other,)),
            "a new instance with the same buffers makes something else: it keeps what no "
            "checkpoint holds, or draws when it is built. Keep state by `register_buffer`",
        )


@check("diffaugment")
@seeded
def check_diffaugment_refuses_points(subject: Subject) -> None:
    """What is no batch of images is refused by a ValueError, which says so."""
    augment = _built(subject)
    for shape in ((4, 2), (3, 8, 8)):
        given = torch.zeros(shape)
        try:
            with isolated(0):
                augment(given, _at(0))
        except ValueError:
            continue
        except Exception as error:
            message = f"given {shape} it raises {error!r}: raise a ValueError in words"
            raise CheckFailed(message) from error
        message = f"it takes {shape}, which is no batch of images: raise a ValueError"
        raise CheckFailed(message)


@check("diffaugment")
@seeded
def check_diffaugment_anneals(subject: Subject) -> None:
    """An option that may change with training (`Scalar`) is read by the clock, in every call."""
    judged = False
    without_effect = []
    for name, start, end in schedules(subject):
        try:
            annealed = _built(subject, **{name: {"from": start, "to": end}})
            fixed = [_built(subject, **{name: value}) for value in (start, end)]
        except ChoiceError:
            continue  # a limit of its own
        without_effect.append(name)
        for seed in SEEDS:
            wanted = [_drawn(one, _images(4), seed) for one in fixed]
            if same(*((one,) for one in wanted)):
                continue  # it makes no difference here
            judged = True
            for progress, right in zip((0.0, 1.0), wanted, strict=True):
                require(
                    same((_drawn(annealed, _images(4), seed, progress),), (right,)),
                    f"with {name} from {start:g} to {end:g}, at a progress of {progress:g} it does "
                    f"otherwise than with {start if progress == 0 else end:g}: read it in each "
                    f"call, as `options.{name}.at(clock)`",
                )
    if not judged:
        refuse_unread(without_effect, "clock")


@check("diffaugment")
@seeded
def check_diffaugment_follows_its_device(subject: Subject) -> None:
    """Given images on another device (torch's `meta`), it makes nothing on the CPU."""
    augment: Any = _built(subject)
    if isinstance(augment, nn.Module):
        augment.to("meta")
    try:
        augment(_images(2).to("meta"), _at(1))
    except Exception as error:
        if ELSEWHERE in str(error):
            message = (
                f"on another device than the CPU it would fail: {error}\nmake tensors where the "
                "images are (`device=images.device`), and keep constants by `register_buffer`"
            )
            raise CheckFailed(message) from error
        message = f"its steps depend on values, which the device `meta` doesn't have: {error}"
        raise NotApplicable(message) from error


@check("diffaugment")
def check_diffaugment_in_a_run(subject: Subject) -> None:
    """A run with it makes steps, and a resume of that run is exact."""

    def put(document: dict[str, Any]) -> None:
        document["diffaugment"] = [subject.table("diffaugment", subject.id)]

    recipe = tiny_host(subject, put, _judges_images, "has a discriminator of images")
    try:
        same_after_a_resume(recipe, subject.folder)
    except GanzooError as error:
        message = f"a run with it fails: {error}"
        raise CheckFailed(message) from error


def _judges_images(recipe: Recipe) -> bool:
    data = open_data(recipe, "train")
    plan, formats = plan_networks(recipe, data.fields), data.formats
    return any(plan.task.roles[role] == "discriminator" for role in plan.chosen) and any(
        formats[name].pixels and not formats[name].indices for name in plan.task.needs
    )
