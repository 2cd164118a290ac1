"""Checks of generators, discriminators and networks: shapes, weights and use."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ganzoo.data.formats import format_of
from ganzoo.data.rng import isolated
from ganzoo.errors import error_text
from ganzoo.inference.modes import MODES, inference_mode
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.inference.weights_file import build_network, load_weights, save_weights
from ganzoo.testing import compare, networks
from ganzoo.testing.compare import same, unequal
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.networks import NETWORKS, Rig, on_a_rig, rigs_of
from ganzoo.testing.subject import Subject

BATCH_MATES = 1e-4
"""Relative difference that the rest of a batch may make: sums in another order cost that much."""
BF16 = 0.1
"""Relative error under bfloat16, in the L2 norm. One rounding costs up to 2^-8 = 0.004; a hundred
of them, independent, 0.04. What is far above it subtracts large numbers or overflows."""


@check(*NETWORKS)
@networks.seeded
def check_shapes(subject: Subject) -> None:
    """Built for shapes, a network returns the declared ones, or it refuses them by a ValueError."""
    faults: dict[str, str] = {}  # one line for each way to fail
    for trial in networks.trials(subject):
        if trial.error is not None and not trial.refused:
            faults.setdefault(str(trial.error), str(trial))
        for rig in () if trial.error else _variations(trial.rig):
            try:
                net = rig.build()
            except networks.REFUSALS:
                continue
            for batch, training in ((1, False), (3, True)):
                try:
                    made = rig.called(net.train(training), *rig.inputs(batch))
                except Exception as error:
                    error.add_note(f"built for {rig}, and given {batch} of them")
                    raise
                finite = all(torch.isfinite(one).all() for one in made)
                require(finite, f"built for {rig} it returns values that aren't finite")
    advice = (
        "let __init__ raise a ValueError (`io.images_in()` does, for images), and call "
        "`refuse_classes(io)` there, unless forward takes a class index after its input"
    )
    require(not faults, "\n".join([*faults.values(), advice]))


def _variations(rig: Rig) -> Iterator[Rig]:
    """The shapes themselves, oblong images, and another number of channels."""
    yield rig
    if networks.has_images(rig.io):
        height, width = networks.image_size(rig.io)
        yield rig.resized(2 * height, width)
        yield rig.resized(height, 2 * width)
        name, first = next(iter(rig.io.inputs.items()))
        if len(first.shape) == 3:
            more = replace(first, shape=(first.shape[0] + 1, *first.shape[1:]))
            yield Rig(rig.chosen, replace(rig.io, inputs={**rig.io.inputs, name: more}))


@check(*NETWORKS)
@networks.seeded
def check_seeds_decide(subject: Subject) -> None:
    """Torch's seed, which the engine sets, decides about weights and outputs; its settings stay."""
    before = compare.settings()
    *_, rig = rigs_of(subject)
    built, ends = [], []
    for seed in (1, 1, 2):
        with isolated(seed):
            net = rig.chosen.build(rig.io)
            built.append(compare.tensors(net))
            net(*rig.inputs(2))
            ends.append(compare.generators())
    after = compare.settings()
    changed = [name for name, value in before.items() if after[name] != value]
    require(
        not changed, f"changes {', '.join(changed)} for the whole process: leave it to the user"
    )
    seeds = [name for name, state in ends[0].items() if state == ends[2][name]]
    require(not seeds, f"seeds {', '.join(seeds)}'s global random generator: the engine does that")
    changed = unequal(*built[:2])
    require(not changed, f"built twice under one seed, these differ: {', '.join(changed[:5])}")
    trained = {name for name, weight in net.named_parameters() if weight.requires_grad}
    require(
        not trained or trained & set(unequal(*built[1:])),
        "built under another seed it has the same weights: draw them from torch's global generator",
    )
    for mode in MODES:
        results = []
        for seed in (1, 2):
            with isolated(seed), inference_mode(net, mode, 0):
                results.append(rig.outputs(net, *rig.inputs(1)))
        require(
            same(*results),
            f"the same input gives two outputs in inference, in the mode `{mode}`: all chance must "
            "come from torch's generator, none of it from python's or numpy's",
        )


@check(*NETWORKS)
@on_a_rig
def check_calls_change_nothing(_: Subject, rig: Rig) -> None:
    """No call changes its input or frozen parts; outside training, none changes the network."""
    net = rig.build()
    frozen = tuple(
        f"{name}." if name else ""
        for name, module in net.named_modules()
        if {one.requires_grad for one in module.parameters()} == {False}
    )
    before = compare.tensors(net)
    rig.called(net)  # as it was built
    for training in (True, False):
        given = rig.inputs(2)
        rig.called(net.train(training), *given)
        require(
            same(given, rig.inputs(2)),
            "its input is another after the call, and tasks use it again: no in-place operation "
            "(`inplace=True`, `x += ...`) may come first",
        )
    changed = [one for one in unequal(before, compare.tensors(net)) if one.startswith(frozen)]
    require(
        not changed,
        f"training changes {', '.join(changed[:5])} of a frozen part; batch norms there need "
        "evaluation mode after net.train() too: override train()",
    )
    before = compare.tensors(net)
    rig.called(net)
    woken = [name or "itself" for name, module in net.named_modules() if module.training]
    require(not woken, f"in training mode after eval() and a call: {', '.join(woken[:5])}")
    for mode in MODES:
        with inference_mode(net, mode):
            net(*rig.inputs(1))
    changed = unequal(before, compare.tensors(net))
    require(not changed, f"calls in evaluation or inference change {', '.join(changed[:5])}")


@check(*NETWORKS)
@on_a_rig
def check_weights_round_trip(subject: Subject, rig: Rig) -> None:
    """Rebuilt from its file, or as a copy with its weights, it gives the same outputs, bitwise."""
    net, path = rig.warmed().eval(), subject.folder / "net.safetensors"
    try:
        copied = copy.deepcopy(rig.build(2)).eval()
    except Exception as error:
        message = f"copy.deepcopy, by which moving averages begin, fails: {error_text(error)}"
        raise CheckFailed(message) from error
    kind: Any = rig.chosen.component.kind
    revision, table = rig.chosen.component.revision, rig.chosen.as_table()
    own = {"role": kind, "kind": kind, "network": table, "revision": revision, "io": rig.io}
    save_weights(path, net.state_dict(), WeightsCard(**own, task={}, fields={}))
    card, state = load_weights(path)
    with isolated(7):
        rebuilt = build_network(card, state, where=str(path)).eval()
    copied.load_state_dict(state)
    require(
        same(rig.called(net), rig.called(rebuilt)),
        "other outputs after saving and loading: something that isn't a parameter or a buffer "
        "(`register_buffer`), or is no option, makes a difference",
    )
    require(
        same(rig.called(net), rig.called(copied)),
        "a deep copy that gets its weights gives other outputs: a function that it keeps (a "
        "lambda, a hook) calls the layers of the original",
    )


@check("generator", advisory=True, unless="unbounded_output")
@on_a_rig
def check_images_are_in_range(_: Subject, rig: Rig) -> None:
    """What it generates lies in [-1, 1], whatever it is fed, in evaluation mode; points needn't."""
    net = rig.build().eval()
    for scale in (1, 100):
        given = [one * scale if one.is_floating_point() else one for one in rig.inputs(2)]
        made = [
            one.flatten()
            for one, field in zip(rig.called(net, *given), rig.io.outputs.values(), strict=True)
            if one.is_floating_point() and format_of(field).shown != "together"
        ]
        if not made:
            raise NotApplicable("it makes points, which lie anywhere")
        low, high = torch.cat(made).aminmax()
        require(
            low >= -1 and high <= 1,
            f"makes values from {low:.3g} to {high:.3g}, with inputs up to {scale}; end with a "
            "tanh, or clamp, or give it the tag `unbounded_output`",
        )


@check("generator")
@on_a_rig
def check_other_sizes(_: Subject, rig: Rig) -> None:
    """From image to image, the network takes every legal size, or refuses by a ValueError.

    `predict` gives it pictures of any size, padded to the next multiple of `size_multiple`.
    """
    if not networks.has_images(rig.io) or len(next(iter(rig.io.inputs.values())).shape) != 3:
        raise NotApplicable("it doesn't make images of images")
    net, (height, width), step = rig.build().eval(), networks.image_size(rig.io), rig.size_multiple
    for size in ((2 * height, width), (height + step, width + step)):  # the latter are nearest
        other = rig.resized(*size)
        try:
            other.called(net, *other.inputs(1))
        except networks.REFUSALS:
            continue
        except (RuntimeError, CheckFailed) as error:
            message = (
                f"used for {other} it fails: {error}\nstate the multiple that it needs as its "
                "options' size_multiple(), or let forward raise a ValueError with the legal sizes"
            )
            raise CheckFailed(message) from error


@check("generator", "network", unless="reads_the_batch")
@on_a_rig
def check_running_ignores_batch_mates(_: Subject, rig: Rig) -> None:
    """With stored statistics (`running`), an output depends on its own input alone."""
    net, mine, results = rig.warmed(), rig.inputs(3), []
    others = [torch.cat((a[:1], b[1:])) for a, b in zip(mine, rig.inputs(3, seed=2), strict=True)]
    for given in (mine, others):
        with inference_mode(net, "running", 0):
            results.append(torch.cat([one[0].flatten() for one in rig.outputs(net, *given)]))
    change = float((results[0] - results[1]).norm() / results[0].norm().clamp_min(1e-9))
    require(
        change <= BATCH_MATES,
        f"with two others in the batch a sample's output changes by {change:.1%}: use nothing of "
        "the others (their mean, say), or give it the tag `reads_the_batch`",
    )


class _Dropouts(TorchFunctionMode):
    """Notes active dropout of torch.nn.functional, whose arguments are keywords here."""

    active = ""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given, name = kwargs or {}, getattr(func, "__name__", "")
        if given.get("dropout_p") or (given.get("p") and given.get("training")):
            self.active = name
        return func(*args, **given)


@check("generator", "network")
@on_a_rig
def check_dropout_ends(_: Subject, rig: Rig) -> None:
    """No dropout is active where a mode of inference says so, nor in evaluation mode."""
    net = rig.warmed()
    for mode in ("deterministic", "running"):
        with inference_mode(net, mode), _Dropouts() as seen:
            net(*rig.inputs(2))
        require(
            not seen.active,
            f"in the mode `{mode}` {seen.active} is active: use an nn.Dropout, or give the "
            "function `training=self.training`",
        )


@check(*NETWORKS)
@on_a_rig
def check_classes_matter(_: Subject, rig: Rig) -> None:
    """Built for classes, the network's outputs depend on the class, or can learn to."""
    if not rig.conditional:
        raise NotApplicable("it takes no classes")
    net, given = rig.build().eval(), rig.inputs(2)
    fields = rig.io.inputs.values()
    other = [
        (one + 1) % field.classes if field.format == "ganzoo/class" else one
        for field, one in zip(fields, given, strict=True)
    ]
    for weight in net.parameters():  # gains and shifts by class may all be alike at first
        weight.data.add_(torch.randn_like(weight), alpha=0.1)
    require(
        not same(rig.called(net, *given), rig.called(net, *other)),
        "its outputs are the same whatever the class: use `y`, or let __init__ raise a ValueError "
        "for `io.classes` above 0 (`ganzoo.interfaces.refuse_classes` does)",
    )


@check(*NETWORKS, advisory=True)
@on_a_rig
def check_bf16_is_near_fp32(_: Subject, rig: Rig) -> None:
    """Under bfloat16 autocast, outputs are finite and near those in float32."""
    net = rig.warmed().eval()
    with torch.autocast("cpu", torch.bfloat16):
        rough = rig.called(net)
    for exact, one in zip(rig.called(net), rough, strict=True):
        error = float((exact - one.float()).norm() / exact.norm().clamp_min(1e-12))
        require(
            error <= BF16,
            f"{error:.0%} off under bfloat16 autocast (legal: {BF16:.0%}); large numbers that "
            "cancel, exponentials and sums belong under torch.autocast(..., enabled=False)",
        )


@check(*NETWORKS)
@on_a_rig
def check_follows_dtype_and_device(_: Subject, rig: Rig) -> None:
    """In float64, and on another device (torch's `meta`), it makes all tensors of that sort."""
    inputs = [one.double() if one.is_floating_point() else one for one in rig.inputs(2)]
    try:
        made = {one.dtype for one in rig.called(rig.build().double(), *inputs)}
        fault = " and ".join(f"it gives {one}" for one in made - {torch.float64})
    except RuntimeError as error:
        fault = f"it fails: {error}"
    require(
        not fault,
        f"in fp64 {fault}\nmake tensors with the dtype of the input: `x.new_zeros(...)`, "
        "`torch.randn_like`",
    )
    for training in (True, False):
        try:
            rig.build().train(training).to("meta")(*[one.to("meta") for one in rig.inputs(2)])
        except Exception as error:
            if networks.depends_on_values(error):
                continue  # and so this mode can't be tried there
            message = (
                f"on another device than the CPU it would fail: {error}\nmake tensors where the "
                "input is (`device=x.device`), and keep constants by `register_buffer`"
            )
            raise CheckFailed(message) from error
