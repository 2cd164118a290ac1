"""Checks of networks in training: gradients, what they see, what stays, and whether they learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import NetOptions
from ganzoo.interfaces import Shape
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.networks import (
    NETWORKS,
    Rig,
    class_rig_of,
    legal_side,
    on_every_rig,
    resized,
    rig_of,
    seeded,
    shape_text,
    tensors,
    unequal,
)
from ganzoo.testing.subject import Subject

STEPS = 200
"""Of the overfit, at most, for each of the learning rates."""
RATES = (1e-2, 3e-2, 2e-3)
"""Of Adam, in the order in which they are tried: most small networks learn with the first."""
GOAL = 1 / 3
"""Share that a loss must come down to: of its first value, or of what zeros as outputs would cost,
whichever is less, since nobody should gain from a bad start."""
POINTS_SCALE = 4.0
"""How much further apart points are than values of images, for discriminators."""
LARGEST = 640
"""Side, in pixels, of the largest image on which a receptive field is measured."""

Objective: TypeAlias = Callable[[nn.Module], Tensor]


def _weighed(outputs: tuple[Tensor, ...]) -> Tensor:
    """A number to which every output contributes, each value with a weight of its own."""
    draw = torch.Generator().manual_seed(4)
    parts = [(one.float() * torch.randn(one.shape, generator=draw)).sum() for one in outputs]
    return torch.stack(parts).sum()


@check(*NETWORKS)
@seeded
def check_every_parameter_learns(subject: Subject) -> None:
    """Every parameter that wants one gets a finite gradient; several processes wait for all."""
    for rig in filter(None, (rig_of(subject), class_rig_of(subject))):
        _every_parameter_learns(rig)


def _every_parameter_learns(rig: Rig) -> None:
    net = rig.build()
    wanted = {name: one for name, one in net.named_parameters() if one.requires_grad}
    if not wanted:
        raise NotApplicable("it has no weights to train")
    _weighed(rig.outputs(net, *rig.inputs(2))).backward()  # type: ignore[no-untyped-call]
    idle = [name for name, one in wanted.items() if one.grad is None]
    require(
        not idle,
        f"built for {rig}, no gradient reaches {', '.join(idle[:5])}: remove what isn't used, or "
        "set requires_grad_(False)",
    )
    wild = [
        name
        for name, one in wanted.items()
        if one.grad is not None and not torch.isfinite(one.grad).all()
    ]
    require(not wild, f"gradients that aren't finite: {', '.join(wild[:5])}")


@check("generator", "discriminator")
@on_every_rig
def check_input_gets_a_gradient(_: Subject, rig: Rig) -> None:
    """The input gets a finite gradient, with all weights frozen: generators learn through it."""
    net = rig.build().requires_grad_(False)
    x, *rest = rig.inputs(2)
    outputs = rig.outputs(net, x.requires_grad_(), *rest)
    require(
        all(one.requires_grad for one in outputs),
        "no gradient comes back to the input: what it passes is detached, or under no_grad",
    )
    _weighed(outputs).backward()  # type: ignore[no-untyped-call]
    gradient = x.grad if x.grad is not None else torch.zeros(())
    require(torch.isfinite(gradient).all(), "the input's gradient isn't finite")
    require(gradient.abs().sum() > 0, "no gradient comes back to the input, or only zeros")


@check("discriminator")
@on_every_rig
def check_penalties_reach_the_weights(_: Subject, rig: Rig) -> None:
    """A penalty on its input's gradient has finite gradients itself, and some reach its weights."""
    net = rig.build()
    trained = [one for one in net.parameters() if one.requires_grad]
    if not trained:
        raise NotApplicable("it has no weights to train")
    x, *rest = rig.inputs(2)
    total = _weighed(rig.outputs(net, x.requires_grad_(), *rest))
    try:
        (slope,) = torch.autograd.grad(total, x, create_graph=True)
        # As a run does it: autograd.grad would leave out what no weight lies behind.
        slope.square().sum().backward()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        message = (
            f"its gradient has no gradient: {error}\n"
            "losses with gradient penalties need one; take operations that autograd can "
            "differentiate twice, or say in `expected_failures` why not"
        )
        raise CheckFailed(message) from error
    found = [one.grad for one in trained if one.grad is not None]
    require(
        all(torch.isfinite(one).all() for one in found),
        "a penalty on the slope has gradients that aren't finite: a root or a norm of 0, perhaps; "
        "add an epsilon inside it",
    )
    require(any(one.any() for one in found), "no penalty on the slope reaches a weight")


@check(*NETWORKS)
@seeded
def check_receptive_field(subject: Subject) -> None:
    """The declared receptive field is the one that an output cell's gradient shows."""
    rig = rig_of(subject)
    options = rig.chosen.options
    declared = options.receptive_field() if isinstance(options, NetOptions) else None
    if declared is None:
        raise NotApplicable("none is declared")
    shape = rig.io.input.shape
    if len(shape) != 3:
        raise NotApplicable("it takes no images")
    side = legal_side(rig.chosen, max(2 * declared + 16, shape[1]))
    if side > LARGEST:
        raise NotApplicable(f"{declared} pixels are too many to measure; take other settings")
    large = Rig(rig.chosen, resized(rig.io, side, side))
    net = large.build().eval()
    for module in net.modules():
        if isinstance(module, nn.GroupNorm | nn.InstanceNorm2d):
            # Statistics of the whole image would let a cell see all of it.
            module.register_forward_hook(lambda _, inputs, __: inputs[0])
    x, *rest = large.inputs(2)
    for output in large.outputs(net, x.requires_grad_(), *rest)[:1]:
        require(output.dim() == 4, "a receptive field is declared, and the output is no map")
        middle = output[:, :, output.shape[2] // 2, output.shape[3] // 2]
        (gradient,) = torch.autograd.grad(_weighed((middle,)), x)
        seen = gradient.abs().sum((0, 1)) > 0
        height, width = (_extent(seen.any(axis)) for axis in (1, 0))
        require(
            height == width == declared,
            f"declares {declared} pixels, and an output cell sees {height} x {width}",
        )


def _extent(line: Tensor) -> int:
    """From the first pixel that is seen to the last one."""
    places = line.nonzero().flatten()
    return int(places[-1] - places[0]) + 1 if len(places) else 0


@check(*NETWORKS)
@on_every_rig
def check_network_keeps_frozen_parts(_: Subject, rig: Rig) -> None:
    """Sub-networks built frozen keep weights and buffers, bit for bit, through training."""
    net = rig.build()
    frozen = [
        f"{name}." if name else ""
        for name, module in net.named_modules()
        if any(True for _ in module.parameters())
        and not any(one.requires_grad for one in module.parameters())
    ]
    if not frozen:
        raise NotApplicable("nothing of it is frozen")
    before = tensors(net)
    trained = [one for one in net.parameters() if one.requires_grad]
    for seed in range(4):
        if seed == 2:
            net.train()  # at first as it was built
        outputs = rig.outputs(net, *rig.inputs(2, seed))
        if trained:
            optimizer = torch.optim.Adam(trained, 1e-2)
            _weighed(outputs).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
    changed = [name for name in unequal(before, tensors(net)) if name.startswith(tuple(frozen))]
    require(
        not changed,
        f"training changes {', '.join(changed[:5])} of a frozen part; batch norms there need "
        "evaluation mode, when they are built and after net.train(): override train()",
    )


@check(*NETWORKS)
@seeded
def check_overfits(subject: Subject) -> None:
    """On two samples a loss comes down to a third; without optimizer steps it doesn't."""
    rig = rig_of(subject)
    if not any(one.requires_grad for one in rig.build().parameters()):
        raise NotApplicable("it has no weights to train")
    judges = rig.chosen.component.kind == "discriminator"
    loss, of_zeros = _telling_apart(rig) if judges else _regression(rig)
    said = []
    for rate in RATES:
        losses = _train(rig, loss, rate, STEPS, of_zeros)
        if losses[-1] <= GOAL * min(losses[0], of_zeros):
            still = _train(rig, loss, rate, len(losses) - 1, None)
            require(
                min(still) > GOAL * min(still[0], of_zeros),
                f"the loss falls from {still[0]:.3g} to {min(still):.3g} although no optimizer "
                "steps: something but training changes the network",
            )
            return
        goal = GOAL * min(losses[0], of_zeros)
        said.append(f"to {min(losses):.3g} instead of {goal:.3g} (Adam, lr {rate:g})")
    raise CheckFailed(
        f"{STEPS} steps on two samples brought the loss {', '.join(said)}: "
        "is its input used, and can its output take every value?"
    )


def _train(
    rig: Rig, loss: Objective, rate: float, steps: int, of_zeros: float | None
) -> list[float]:
    """Losses of a training until the goal or the last step; without `of_zeros` none is a step."""
    net = rig.build()
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], rate, (0.5, 0.9))
    losses: list[float] = []
    for _ in range(steps + 1):
        value = loss(net)
        losses.append(float(value.detach()))
        if not math.isfinite(losses[-1]):
            break
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        if of_zeros is not None:
            if losses[-1] <= GOAL * min(losses[0], of_zeros):
                break
            optimizer.step()
    return losses


def _regression(rig: Rig) -> tuple[Objective, float]:
    """Mean squared error of two outputs, which are to become two given ones."""
    inputs, targets = rig.inputs(2), _smooth(rig.io.output.shape, (1.0, 2.0))

    def loss(net: nn.Module) -> Tensor:
        (made,) = rig.outputs(net, *inputs)
        require(
            made.shape == targets.shape,
            f"gives {shape_text(tuple(made.shape))}, not {shape_text(tuple(targets.shape))}",
        )
        return functional.mse_loss(made, targets)

    return loss, float(targets.square().mean())


def _telling_apart(rig: Rig) -> tuple[Objective, float]:
    """Cross entropy of logits for two batches, one of them real; the mean of all scales.

    They differ in each value, and in their waves' length: one of both is in any network's sight.
    Points have no range, and lie some units apart: the few values of one that are in [-1, 1] are
    too near for a critic whose slope is limited, by spectral norms say.
    """
    _, *rest = rig.inputs(2)
    shape = rig.io.input.shape
    scale = 1.0 if len(shape) == 3 else POINTS_SCALE
    real = scale * (0.4 + 0.5 * _smooth(shape, (1.0, 2.0)))
    fake = scale * (-0.4 + 0.5 * _smooth(shape, (3.0, 4.0)))

    def loss(net: nn.Module) -> Tensor:
        good, bad = rig.outputs(net, real, *rest), rig.outputs(net, fake, *rest)
        terms = [functional.softplus(-one).mean() for one in good]
        terms += [functional.softplus(one).mean() for one in bad]
        return torch.stack(terms).sum() / len(good)

    return loss, 2 * math.log(2)


def _smooth(shape: Shape, waves: tuple[float, ...]) -> Tensor:
    """Samples in [-0.8, 0.8]: waves across an image, another phase in each channel."""
    size = shape[-1]
    across = torch.linspace(0, math.pi, size)
    down = torch.linspace(0, math.pi, shape[1] if len(shape) == 3 else 1)
    phases = torch.arange(shape[0] if len(shape) == 3 else 1)
    samples = [
        0.8 * torch.sin(wave * (across + 0.5 * down[:, None]) + wave + phases[:, None, None])
        for wave in waves
    ]
    return torch.stack(samples).reshape(len(waves), *shape)
