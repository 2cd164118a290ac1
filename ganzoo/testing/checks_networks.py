"""Checks of generators, discriminators and networks: building, shapes and weights."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.api import NetOptions
from ganzoo.data.rng import isolated
from ganzoo.errors import error_text
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.inference.weights_file import build_network, load_weights, save_weights
from ganzoo.interfaces import NetIO
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.networks import (
    NETWORKS,
    REFUSALS,
    Rig,
    generators,
    has_images,
    on_every_rig,
    resized,
    rig_of,
    same,
    seeded,
    shape_text,
    tensors,
    trials,
    unequal,
    warmed,
)
from ganzoo.testing.subject import Subject


@check(*NETWORKS)
@seeded
def check_unfit_shapes_are_refused(subject: Subject) -> None:
    """Shapes that the network wasn't made for are refused when it is built, by a ValueError."""
    count = 0
    faults: dict[str, str] = {}  # one line for each way to fail
    for trial in trials(subject):
        count += trial.works
        if trial.refused is not None and not isinstance(trial.refused, REFUSALS):
            why = error_text(trial.refused)
            faults.setdefault(why, f"for {trial.rig} its __init__ ends in a {why}")
        if trial.failed is not None:
            why = error_text(trial.failed)
            faults.setdefault(why, f"it is built for {trial.rig}, and then fails: {why}")
    advice = (
        "let __init__ raise a ValueError (`io.images_in()` does, for images), and call "
        "`refuse_classes(io)` there, unless forward takes a class index after its input"
    )
    if any(word in why.lower() for why in faults for word in ("cuda", "nvidia")):
        advice = "leave the device to the engine: make tensors where the inputs are"
    require(not faults, "\n".join([*faults.values(), advice]))
    if not count:
        rig_of(subject)  # says why each was refused


@check(*NETWORKS)
@seeded
def check_output_shapes(subject: Subject) -> None:
    """Outputs have the declared shape and are finite, for several sizes, and batches of 1, 2, 3."""
    for trial in trials(subject):
        if not trial.works:
            continue
        for io in _variations(trial.rig.io):
            rig = Rig(trial.rig.chosen, io)
            try:
                net = rig.build()
            except REFUSALS:
                continue
            for batch, training in ((1, False), (2, False), (3, True), (1, True)):
                net.train(training)
                try:
                    with torch.no_grad():
                        outputs = rig.outputs(net, *rig.inputs(batch))
                except REFUSALS:
                    if (batch, training) == (1, True):
                        continue  # there are no statistics of one value
                    raise
                except Exception as error:
                    mode = "training" if training else "evaluation"
                    error.add_note(f"given {batch} x {shape_text(io.input.shape)}, in {mode} mode")
                    raise
                _check_outputs(rig, batch, outputs)


def _variations(io: NetIO) -> list[NetIO]:
    """The shapes themselves, oblong images, and another number of channels."""
    if not has_images(io):
        return [io]
    shape = io.input.shape
    side = (shape if len(shape) == 3 else io.output.shape)[1]
    found = [io, resized(io, 2 * side, side), resized(io, side, 2 * side)]
    if len(shape) == 3:
        more = replace(io.input, shape=(shape[0] + 1, side, side))
        found.append(replace(io, inputs={**io.inputs, next(iter(io.inputs)): more}))
    return found


def _check_outputs(rig: Rig, batch: int, outputs: tuple[Tensor, ...]) -> None:
    where = f"for {batch} x {shape_text(rig.io.input.shape)}"
    judges = rig.chosen.component.kind == "discriminator"
    wanted = [None] * len(outputs) if judges else [one.shape for one in rig.io.outputs.values()]
    for output, one in zip(outputs, wanted, strict=True):
        shape = tuple(output.shape)
        require(output.is_floating_point(), f"{where} it gives {output.dtype}, not numbers")
        require(torch.isfinite(output).all(), f"{where} it gives values that aren't finite")
        if one is None:
            fits = shape[:1] == (batch,) and shape[1:2] in {(), (1,)}
            expected = f"logits {batch} x 1 x ... (or {batch})"
        else:
            fits = shape == (batch, *one)
            expected = shape_text((batch, *one))
        require(fits, f"{where} it gives {shape_text(shape)}, not {expected}")


@check("generator")
@seeded
def check_images_are_in_range(subject: Subject) -> None:
    """Generated images lie in [-1, 1], whatever the network is fed.

    In evaluation mode: to a discriminator in training it may show more.
    """
    rig = rig_of(subject)
    if len(rig.io.output.shape) != 3:
        raise NotApplicable("it makes no images")
    net = rig.build().eval()
    x, *rest = rig.inputs(2)
    for scale in (1, 100):
        with torch.no_grad():
            (images,) = rig.outputs(net, x * scale, *rest)
        low, high = float(images.min()), float(images.max())
        require(
            low >= -1 and high <= 1,
            f"makes values from {low:.3g} to {high:.3g}; end with a tanh, or clamp (inputs from "
            f"{float(x.min()) * scale:.3g} to {float(x.max()) * scale:.3g})",
        )


@check("generator")
@seeded
def check_other_sizes(subject: Subject) -> None:
    """From image to image, the network takes every legal size, or refuses by a ValueError.

    `predict` gives it pictures of any size, padded to the next multiple of `size_multiple`.
    """
    rig = rig_of(subject)
    if len(rig.io.input.shape) != 3 or len(rig.io.output.shape) != 3:
        raise NotApplicable("it doesn't make images of images")
    net, (_, height, width) = rig.build().eval(), rig.io.images_in()
    options = rig.chosen.options
    multiple = options.size_multiple() if isinstance(options, NetOptions) else 1
    _takes(rig, net, 2 * height, width)
    _takes(rig, net, height + multiple, width + multiple)  # the nearest that are legal


def _takes(rig: Rig, net: nn.Module, height: int, width: int) -> None:
    other = Rig(rig.chosen, resized(rig.io, height, width))
    built, shown = rig.io.input.shape, other.io.input.shape
    what = f"built for {shape_text(built)} and given {shape_text(shown)}"
    try:
        with torch.no_grad():
            (output,) = rig.outputs(net, *other.inputs(1))
    except REFUSALS:
        return
    except RuntimeError as error:
        message = (
            f"{what} it fails: {error}\nstate the multiple that it needs as its options' "
            "size_multiple(), or let forward raise a ValueError that says which it takes"
        )
        raise CheckFailed(message) from error
    given, wanted = shape_text(tuple(output.shape[1:])), shape_text(other.io.output.shape)
    require(given == wanted, f"{what} it gives {given}, not {wanted}")


@check(*NETWORKS)
@on_every_rig
def check_building_follows_the_seed(_: Subject, rig: Rig) -> None:
    """One seed gives the same weights each time, and another seed others."""
    first, again, other = (tensors(rig.build(seed)) for seed in (1, 1, 2))
    changed = unequal(first, again)
    require(not changed, f"built twice under one seed, these differ: {', '.join(changed[:5])}")
    trained = [name for name, weight in rig.build().named_parameters() if weight.requires_grad]
    if not trained:
        raise NotApplicable("it has no weights to train")
    require(
        set(unequal(first, other)) & set(trained),
        "built under another seed it has the same weights: it doesn't draw them from torch's "
        "global generator, or seeds that itself",
    )


def _settings() -> dict[str, Any]:
    return {
        "the default dtype": torch.get_default_dtype(),
        "the default device": torch.get_default_device(),
        "gradients on or off": torch.is_grad_enabled(),
        "the number of threads": torch.get_num_threads(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "the precision of matrix products": torch.get_float32_matmul_precision(),
    }


@check(*NETWORKS)
@on_every_rig
def check_globals_stay(_: Subject, rig: Rig) -> None:
    """Neither building nor calling seeds random generators or changes torch's settings."""
    before, ends = _settings(), []
    for seed in (1, 2):
        with isolated(seed):
            net = rig.chosen.build(rig.io)
            net(*rig.inputs(2))
            ends.append(generators())
    after = _settings()
    changed = [name for name, value in before.items() if after[name] != value]
    require(not changed, f"changes {', '.join(changed)} for everyone")
    seeds = [name for name, state in ends[0].items() if state == ends[1][name]]
    require(not seeds, f"seeds {', '.join(seeds)}'s global random generator: the engine does that")


@check(*NETWORKS)
@on_every_rig
def check_input_is_unchanged(_: Subject, rig: Rig) -> None:
    """Calling the network doesn't change its input in place; tasks use it again."""
    net = rig.build()
    for training in (True, False):
        given = rig.inputs(2)
        with torch.no_grad():
            net.train(training)(*given)
        require(
            same(given, rig.inputs(2)),
            "its input is another after the call: no in-place "
            "operation (`inplace=True`, `x += ...`) may come first",
        )


@check(*NETWORKS)
@on_every_rig
def check_weights_round_trip(subject: Subject, rig: Rig) -> None:
    """Saved as safetensors and rebuilt from the file alone, it gives the same outputs, bitwise."""
    net, path = warmed(rig).eval(), subject.folder / "net.safetensors"
    save_weights(path, net.state_dict(), _card(subject, rig))
    card, state = load_weights(path)
    with isolated(7):
        again = build_network(card, state, where=str(path)).eval()
    kept = card.io == rig.io and list(card.io.inputs) == list(rig.io.inputs)
    require(kept, f"its inputs and outputs were {rig.io}, and are {card.io} in the file")
    with torch.no_grad(), isolated(3):
        before = rig.outputs(net, *rig.inputs(2))
    with torch.no_grad(), isolated(3):
        after = rig.outputs(again, *rig.inputs(2))
    require(
        same(before, after),
        "other outputs after saving and loading: something that isn't a parameter or a buffer "
        "(`register_buffer`), or is no option, makes a difference",
    )


def _card(subject: Subject, rig: Rig) -> WeightsCard:
    component, options = rig.chosen.component, rig.chosen.options
    kind: Any = component.kind
    return WeightsCard(
        role=kind,
        kind=kind,
        network=rig.chosen.as_table(),
        revision=component.revision,
        io=rig.io,
        task={},
        fields={},
        size_multiple=options.size_multiple() if isinstance(options, NetOptions) else 1,
        plugin={"distribution": subject.record.distribution, "version": subject.record.version},
    )


@check(*NETWORKS)
@on_every_rig
def check_copies_are_apart(_: Subject, rig: Rig) -> None:
    """A deep copy gives the same outputs and shares no weights; moving averages are one."""
    net = warmed(rig).eval()
    try:
        copied = copy.deepcopy(net)
    except Exception as error:
        message = f"copy.deepcopy fails: {error_text(error)}"
        raise CheckFailed(message) from error
    with torch.no_grad():
        with isolated(3):
            before = rig.outputs(net, *rig.inputs(2))
        with isolated(3):
            require(same(before, rig.outputs(copied, *rig.inputs(2))), "a copy gives other outputs")
        for tensor in copied.parameters():
            tensor.zero_()
        with isolated(3):
            after = rig.outputs(net, *rig.inputs(2))
    require(same(before, after), "changing a copy's weights changes the original's outputs")
