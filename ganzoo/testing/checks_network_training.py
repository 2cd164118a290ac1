"""Checks of networks in training: gradients, what a cell sees, and whether they learn."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import NetOptions
from ganzoo.testing.kit import CheckFailed, NotApplicable, NotTested, check, require
from ganzoo.testing.networks import NETWORKS, Rig, has_images, image_size, on_a_rig, rigs_of, seeded
from ganzoo.testing.subject import Subject

STEPS, RATES = 200, (1e-2, 3e-2, 2e-3)
"""Of the overfit: Adam's steps at most, for each of the learning rates, in the order of trial."""
GOAL = 1 / 3
"""Share that a loss must come down to: of its first value, or of what zeros as outputs would cost,
whichever is less, since nobody should gain from a bad start."""


def _weighed(outputs: tuple[Tensor, ...]) -> Tensor:
    """A number to which every output contributes, each value with a weight of its own."""
    draw = torch.Generator().manual_seed(4)
    parts = [(one.float() * torch.randn(one.shape, generator=draw)).sum() for one in outputs]
    return torch.stack(parts).sum()


@check(*NETWORKS)
@seeded
def check_gradients(subject: Subject) -> None:
    """Finite gradients reach every trained weight, and the input of all but a `network`."""
    for rig in rigs_of(subject):
        net, inputs = rig.build(), rig.inputs(2)
        given = [one.requires_grad_() for one in inputs if one.is_floating_point()]
        wanted = {name: one for name, one in net.named_parameters() if one.requires_grad}
        outputs = rig.outputs(net, *inputs)
        cut = [place for place, one in enumerate(outputs) if not one.requires_grad]
        require(
            not (rig.judges and wanted and cut),
            f"built for {rig}, its logits of scale {', '.join(map(str, cut))} have no gradient: "
            "they are detached, or made under no_grad",
        )
        if any(one.requires_grad for one in outputs):
            _weighed(outputs).backward()  # type: ignore[no-untyped-call]
        idle = [name for name, one in wanted.items() if one.grad is None]
        require(
            not idle,
            f"built for {rig}, no gradient reaches {', '.join(idle[:5])}, for which several "
            "processes would wait: remove what isn't used, or set requires_grad_(False)",
        )
        found = {"the input": given[0], **wanted}
        grads = {name: one.grad for name, one in found.items() if one.grad is not None}
        wild = [name for name, grad in grads.items() if not grad.isfinite().all()]
        require(not wild, f"gradients that aren't finite: {', '.join(wild[:5])}")
        # A discriminator may be shown fakes at any place; a generator's noise may weigh 0 as yet.
        least = {"discriminator": len(given), "generator": 1}.get(rig.chosen.component.kind, 0)
        require(
            sum(one.grad is not None and bool(one.grad.any()) for one in given) >= least,
            "no gradient comes back to the input, or only zeros: what it passes is detached, or "
            "under no_grad, and generators learn through it",
        )


@check("discriminator")
@on_a_rig
def check_penalties_reach_the_weights(_: Subject, rig: Rig) -> None:
    """A penalty on its input's gradient has finite gradients itself, and some reach its weights."""
    net, inputs = rig.build(), rig.inputs(2)
    given = [one.requires_grad_() for one in inputs if one.is_floating_point()]
    try:
        slopes = torch.autograd.grad(_weighed(rig.outputs(net, *inputs)), given, create_graph=True)
        # As a run does it: autograd.grad would leave out what no weight lies behind.
        torch.stack([one.square().sum() for one in slopes]).sum().backward()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        message = (
            f"its gradient has no gradient: {error}\nlosses with gradient penalties need one; take "
            "operations that autograd can differentiate twice, or expect this failure and say why"
        )
        raise CheckFailed(message) from error
    found = [one.grad for one in net.parameters() if one.grad is not None]
    require(
        all(torch.isfinite(one).all() for one in found),
        "a penalty on the slope has gradients that aren't finite: a root or a norm of 0, perhaps; "
        "add an epsilon inside it",
    )
    trained = any(one.requires_grad for one in net.parameters())
    require(not trained or any(map(torch.any, found)), "no penalty on the slope reaches a weight")


@check(*NETWORKS)
@seeded
def check_receptive_field(subject: Subject) -> None:
    """The declared receptive field is the one that an output cell's gradient shows."""
    rig = rigs_of(subject)[0]
    options = rig.chosen.options
    declared = options.receptive_field() if isinstance(options, NetOptions) else None
    if declared is None or not has_images(rig.io):
        raise NotApplicable("none is declared" if declared is None else "it takes no images")
    side = max(2 * declared + 16, *image_size(rig.io))
    if side > 640:
        raise NotTested(f"{declared} pixels are too many to measure; take other settings")
    side = -(-side // rig.size_multiple) * rig.size_multiple
    rig = rig.resized(side, side)
    net, inputs = rig.build().eval(), rig.inputs(2)
    for module in net.modules():
        if isinstance(module, nn.GroupNorm | nn.InstanceNorm2d):
            # Statistics of the whole image would let a cell see all of it.
            module.register_forward_hook(lambda _, inputs, __: inputs[0])
    output = rig.outputs(net, inputs[0].requires_grad_(), *inputs[1:])[0]
    require(output.dim() == 4, "a receptive field is declared, and the output is no map")
    middle = output[:, :, output.shape[2] // 2, output.shape[3] // 2]
    (gradient,) = torch.autograd.grad(_weighed((middle,)), inputs[0])
    seen = gradient.abs().sum((0, 1)).nonzero().unbind(1)
    extent = [int(places.max() - places.min()) + 1 if len(places) else 0 for places in seen]
    require(
        extent == [declared, declared],
        f"declares {declared} pixels, and an output cell sees {extent[0]} x {extent[1]}",
    )


@check(*NETWORKS, advisory=True)
@seeded
def check_overfits(subject: Subject) -> None:
    """On two samples, a mean squared error comes down to a third.

    A discriminator is to answer 1 and -1. The samples differ in each value, and in their waves'
    length: one of both is in any network's sight. Its points lie some units apart, since those in
    [-1, 1] are too near for a critic whose slope is limited, by spectral norms say.
    """
    rig, said = rigs_of(subject)[0], []
    inputs = list(rig.inputs(2))
    for place, one in enumerate(inputs):
        if rig.judges and one.is_floating_point():
            apart = torch.tensor([0.4, -0.4]).view(-1, *[1] * (one.dim() - 1))
            waves = 0.5 * _smooth(one[0], 1, 3) + apart
            inputs[place] = waves if one.dim() > 2 else 4 * waves
    for rate in RATES:
        net, goal, least = rig.build(), math.inf, math.inf
        trained = [one for one in net.parameters() if one.requires_grad]
        if not trained:
            raise NotApplicable("it has no weights to train")
        optimizer = torch.optim.Adam(trained, rate, (0.5, 0.9))
        for step in range(STEPS + 1):
            loss = zeros = torch.zeros(())
            for one in rig.outputs(net, *inputs):
                answers = torch.tensor([1.0, -1.0]).view(-1, *[1] * (one.dim() - 1)).expand_as(one)
                wanted = answers if rig.judges else _smooth(one[0], 1, 2)
                loss = loss + functional.mse_loss(one, wanted)
                zeros = zeros + wanted.square().mean()
            least = min(least, float(loss.detach()))
            goal = goal if step else GOAL * min(least, float(zeros))
            if least <= goal:
                return
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        said.append(f"to {least:.3g} instead of {goal:.3g} (Adam, lr {rate:g})")
    raise CheckFailed(
        f"{STEPS} steps on two samples brought the loss {', '.join(said)}: "
        "is its input used, and can its output take every value?"
    )


def _smooth(like: Tensor, *waves: int) -> Tensor:
    """Samples in [-0.8, 0.8], of the shape of one: waves along each axis."""
    ramp, end = torch.zeros(like.shape), math.pi / min(like.dim(), 2)
    for axis, size in enumerate(like.shape):
        ramp += torch.linspace(0, end, size).view(-1, *[1] * (like.dim() - axis - 1))
    return torch.stack([0.8 * torch.sin(wave * ramp + wave) for wave in waves])
