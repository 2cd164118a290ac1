"""Checks of networks in use: evaluation, the modes of inference, and bfloat16."""

from __future__ import annotations

import torch

from ganzoo.engine.rng import isolated
from ganzoo.inference.modes import MODES, inference_mode
from ganzoo.testing.kit import Subject, check, require
from ganzoo.testing.networks import NETWORKS, rig_of, same, seeded, tensors, unequal, warmed

BATCH_MATES = 1e-4
"""Relative difference by which a batch of another size may change a sample: other kernels sum in
another order, which costs some units of float32's 6e-8 a layer."""
BF16 = 0.1
"""Relative error under bfloat16, in the L2 norm. One rounding costs up to 2^-8 = 0.004; a hundred
of them, independent, 0.04. What is far above it subtracts large numbers or overflows."""


@check(*NETWORKS)
@seeded
def check_evaluation_changes_nothing(subject: Subject) -> None:
    """In evaluation and in inference, parameters, buffers and training flags stay as they are."""
    rig = rig_of(subject)
    net = warmed(rig)
    before = tensors(net)
    for mode in MODES:
        flags = [module.training for module in net.modules()]
        with inference_mode(net, mode):
            net(*rig.inputs(1))
        require(flags == [module.training for module in net.modules()], f"{mode}: other flags")
        changed = unequal(before, tensors(net))
        require(not changed, f"inference ({mode}) changes {', '.join(changed[:5])}")
    net.eval()
    with torch.no_grad():
        net(*rig.inputs(2))
    woken = [name for name, module in net.named_modules() if module.training]
    require(not woken, f"in training mode after eval() and a call: {', '.join(woken[:5]) or 'it'}")
    changed = unequal(before, tensors(net))
    require(not changed, f"a call in evaluation mode changes {', '.join(changed[:5])}")


@check("generator", "network")
@seeded
def check_inference_repeats(subject: Subject) -> None:
    """Each mode of inference gives the same under the same seed, whatever else draws numbers."""
    rig = rig_of(subject)
    net = warmed(rig)
    for mode in MODES:
        results = []
        for seed in (1, 2):
            with isolated(seed), inference_mode(net, mode, 0):
                results.append(rig.outputs(net, *rig.inputs(1)))
        require(
            same(*results),
            f"{mode}: the same input gives two outputs; all chance must come from torch's "
            "generator, none of it from python's or numpy's",
        )


@check("generator", "network")
@seeded
def check_running_ignores_batch_mates(subject: Subject) -> None:
    """With stored statistics (`running`), an output depends on its own input alone."""
    rig = rig_of(subject)
    net, together = warmed(rig), rig.inputs(3)
    with inference_mode(net, "running"):
        (many,) = rig.outputs(net, *together)
        (alone,) = rig.outputs(net, *(one[:1] for one in together))
    change = float((many[:1] - alone).norm() / many[:1].norm().clamp_min(1e-12))
    require(
        change <= BATCH_MATES,
        f"two more samples in the batch change a sample's output by {change:.1%}",
    )


@check(*NETWORKS)
@seeded
def check_bf16_is_near_fp32(subject: Subject) -> None:
    """Under bfloat16 autocast, outputs are finite and near those in float32."""
    rig = rig_of(subject)
    net = warmed(rig).eval()
    with torch.no_grad():
        with isolated(3):
            exact = rig.outputs(net, *rig.inputs(2))
        with isolated(3), torch.autocast("cpu", torch.bfloat16):
            rough = rig.outputs(net, *rig.inputs(2))
    for one, other in zip(exact, rough, strict=True):
        require(torch.isfinite(other).all(), "values that aren't finite under bfloat16 autocast")
        error = float((one - other.float()).norm() / one.norm().clamp_min(1e-12))
        require(
            error <= BF16,
            f"{error:.0%} off under bfloat16 autocast (legal: {BF16:.0%}); large numbers that "
            "cancel, exponentials and sums belong under torch.autocast(..., enabled=False)",
        )
