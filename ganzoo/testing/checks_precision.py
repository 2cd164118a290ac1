"""Checks of networks elsewhere: in other precisions, and on another device than the CPU."""

from __future__ import annotations

import torch

from ganzoo.data.rng import isolated
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.networks import NETWORKS, Rig, on_every_rig, warmed
from ganzoo.testing.subject import Subject

BF16 = 0.1
"""Relative error under bfloat16, in the L2 norm. One rounding costs up to 2^-8 = 0.004; a hundred
of them, independent, 0.04. What is far above it subtracts large numbers or overflows."""

ELSEWHERE = "is not on the expected device"
"""How torch complains of tensors on two devices."""


@check(*NETWORKS)
@on_every_rig
def check_bf16_is_near_fp32(_: Subject, rig: Rig) -> None:
    """Under bfloat16 autocast, outputs are finite and near those in float32."""
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


@check(*NETWORKS)
@on_every_rig
def check_works_in_fp64(_: Subject, rig: Rig) -> None:
    """With weights and inputs of float64 (`train.precision = "fp64"`), outputs are float64 too."""
    net = rig.build().double()
    inputs = [one.double() if one.is_floating_point() else one for one in rig.inputs(2)]
    advice = "make tensors with the dtype of the input: `x.new_zeros(...)`, `torch.randn_like`"
    try:
        outputs = rig.outputs(net, *inputs)
    except RuntimeError as error:
        message = f"in fp64 it fails: {error}\n{advice}"
        raise CheckFailed(message) from error
    for output in outputs:
        require(output.dtype == torch.float64, f"in fp64 it gives {output.dtype}: {advice}")


@check(*NETWORKS)
@on_every_rig
def check_follows_its_device(_: Subject, rig: Rig) -> None:
    """Moved to another device (torch's `meta`), it makes no tensors on the one it comes from."""
    net = rig.build().to("meta")
    inputs = [one.to("meta") for one in rig.inputs(2)]
    for training in (True, False):
        try:
            with torch.no_grad():
                rig.outputs(net.train(training), *inputs)
        except Exception as error:
            if ELSEWHERE in str(error):
                message = (
                    f"on another device than the CPU it would fail: {error}\nmake tensors where "
                    "the input is (`device=x.device`), and keep constants by `register_buffer`"
                )
                raise CheckFailed(message) from error
            message = f"its steps depend on values, which the device `meta` doesn't have: {error}"
            raise NotApplicable(message) from error
