"""Checks of networks in use: evaluation, the modes of inference, and classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ganzoo.data.rng import isolated
from ganzoo.inference.modes import MODES, inference_mode
from ganzoo.testing.kit import NotApplicable, check, require
from ganzoo.testing.networks import (
    NETWORKS,
    Rig,
    class_rig_of,
    on_every_rig,
    same,
    seeded,
    tensors,
    unequal,
    warmed,
)
from ganzoo.testing.subject import Subject

BATCH_MATES = 1e-4
"""Relative difference by which a batch of another size may change a sample: other kernels sum in
another order, which costs some units of float32's 6e-8 a layer."""


@check(*NETWORKS)
@on_every_rig
def check_evaluation_changes_nothing(_: Subject, rig: Rig) -> None:
    """In evaluation and in inference, parameters, buffers and training flags stay as they are."""
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
@on_every_rig
def check_inference_repeats(_: Subject, rig: Rig) -> None:
    """Each mode of inference gives the same under the same seed, whatever else draws numbers."""
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
@on_every_rig
def check_running_ignores_batch_mates(_: Subject, rig: Rig) -> None:
    """With stored statistics (`running`), an output depends on its own input alone."""
    net, inputs = warmed(rig), rig.inputs(3)
    fewer = [one[:1] for one in inputs]
    others = [torch.cat((a[:1], b[1:])) for a, b in zip(inputs, rig.inputs(3, seed=2), strict=True)]

    def first(given: Sequence[Tensor], seed: int = 0) -> Tensor:
        with inference_mode(net, "running", seed):
            (many,) = rig.outputs(net, *given)
        return many[:1]

    mates = [("two others", others)]
    if torch.equal(first(inputs), first(inputs, seed=1)):
        # Who draws noise for each sample draws other noise for it alone.
        mates.append(("no others", fewer))
    for what, given in mates:
        change = float((first(inputs) - first(given)).norm() / first(inputs).norm().clamp_min(1e-9))
        require(
            change <= BATCH_MATES,
            f"with {what} in the batch a sample's output changes by {change:.1%}: it may use "
            "nothing of the others (their mean, say) and nothing that a call left behind",
        )


class _Dropouts(TorchFunctionMode):
    """Notes active dropout, by whatever function."""

    def __init__(self) -> None:
        super().__init__()
        self.active: list[str] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        name = getattr(func, "__name__", "")
        if name.rstrip("_").rstrip("123d").endswith("dropout"):
            # functional's have keywords here, whatever the caller wrote; torch's (input, p, train)
            p = given.get("p", args[1] if len(args) > 1 else 0.5)
            if p and given.get("training", given.get("train", args[2] if len(args) > 2 else True)):
                self.active.append(name)
        elif name == "scaled_dot_product_attention" and given.get("dropout_p"):
            self.active.append(name)
        return func(*args, **given)


@check("generator", "network")
@on_every_rig
def check_dropout_ends(_: Subject, rig: Rig) -> None:
    """No dropout is active where a mode of inference says so, nor in evaluation mode."""
    net = warmed(rig)
    for mode in ("deterministic", "running"):
        with inference_mode(net, mode), _Dropouts() as seen:
            net(*rig.inputs(2))
        require(
            not seen.active,
            f"in the mode `{mode}` {', '.join(sorted(set(seen.active)))} is active: use an "
            "nn.Dropout, or give the function `training=self.training`",
        )


@check(*NETWORKS)
@seeded
def check_classes_matter(subject: Subject) -> None:
    """Built for classes, the network's outputs depend on the class, or can learn to."""
    rig = class_rig_of(subject)
    if rig is None:
        raise NotApplicable("it takes no classes")
    net = rig.build().eval()
    with torch.no_grad():
        for weight in net.parameters():  # gains and shifts by class may all be alike at first
            weight.add_(torch.randn_like(weight), alpha=0.1)
        x, y = rig.inputs(2)
        outputs = []
        for classes in (y, (y + 1) % rig.io.classes):
            with isolated(3):
                outputs.append(rig.outputs(net, x, classes))
    require(
        not same(*outputs),
        f"built for {rig}, its outputs are the same whatever the class: use `y`, or let __init__ "
        "raise a ValueError for `io.classes` above 0 (`ganzoo.interfaces.refuse_classes` does)",
    )
