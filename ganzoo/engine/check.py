"""Find out for `ganzoo check` what a recipe would train, without training it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ganzoo.api import Chosen, NetOptions
from ganzoo.data.file_headers import try_extremes
from ganzoo.data.pipeline import PreparedData, open_data
from ganzoo.engine.accelerate_session import resolve
from ganzoo.engine.build import Built, build_diffaugments, build_loss, build_network
from ganzoo.engine.dry_run import parts_named, try_optimizers, try_step, zeros
from ganzoo.engine.frozen_parameters import freeze, frozen_in_words
from ganzoo.engine.late_players import LatePlayers
from ganzoo.engine.plan import Plan, plan_networks
from ganzoo.engine.starting_weights import begin, find_files
from ganzoo.engine.step_timing import kept_for_backward, measure, refuse_what_does_not_fit
from ganzoo.engine.validation import open_watched
from ganzoo.engine.wrapped_networks import Declared
from ganzoo.errors import EnvironmentFault, GanzooError, RecipeError, error_text
from ganzoo.interfaces import as_output
from ganzoo.nn import weights_follow
from ganzoo.recipe.model import Recipe


def inspect_recipe(recipe: Recipe, *, timed: bool = False) -> dict[str, Any]:
    """Open the data, determine the shapes, build every network and try a step on the meta device.

    Args:
        recipe: the recipe to check.
        timed: whether to make a few real steps too and measure their `time`.

    Returns:
        A document with these keys:

        - `networks`: `{ROLE: {"id", "parameters", "flops", "inputs", "outputs",
          "receptive_field"?}}`. `inputs` and `outputs` are `{NAME: SHAPE}`, without the batch axis.
          A discriminator's output is called `logits`, or `logits_1`, `logits_2`, ... if it has
          several scales. `outputs` is empty for a network that can't be called with zeros.
          `flops` counts one image's forward pass; it is None where the operations can't be counted.
        - `machine`: `{"device", "precision"}` that a run on this machine would use. It is empty,
          with a note, where the recipe requires something that this machine lacks.
        - `time`: `{"step", "steps", "whole"}`: the seconds of a step, the number of planned steps,
          and the seconds of all of them, as measured here. It is empty where `timed` is false or,
          with a note, where the measurement failed.
        - `problems`: a list of `{"message", "where", "excerpt", "hint", "exit_code"}`.
        - `notes`: a list of sentences.
    """
    report: dict[str, Any] = {
        "networks": {},
        "machine": {},
        "time": {},
        "problems": [],
        "notes": [],
    }
    try:
        data = open_data(recipe, "train")
        report["notes"] = list(data.notes)
        report["machine"], notes = _machine(recipe)
        report["notes"] += notes
        open_watched(recipe, stand_in=data.stand_in)
        try_extremes(data)
        plan = plan_networks(recipe, data.fields)
        report["notes"] += plan.notes
        LatePlayers(recipe, plan).check_begins(len(data))
        device, dtype = torch.device("cpu"), torch.float32
        loss = build_loss(recipe, plan, device, dtype)
        files = find_files(recipe, plan)
        report["networks"], networks, refusals = _describe(recipe, plan)
        report["notes"] += map(str, begin(recipe, plan, networks, files, load=False))
        freeze(networks, recipe)
        if recipe.start.freeze:
            report["notes"].append(frozen_in_words(networks, recipe))
        try:
            with parts_named(recipe, plan):
                diffaugments = build_diffaugments(recipe, device, dtype)
            built = Built(recipe, plan, networks, loss, diffaugments, device, dtype)
            try_optimizers(built)
            with kept_for_backward() as kept:
                try_step(built, on_meta=True)
        except GanzooError as error:
            # Only a failed step is a problem, because a network may reject zeros and take data.
            # Where the step fails, the network's own error is more informative.
            raise refusals[0] if refusals else error from error
        if timed and report["machine"]:
            weights = sum(network["parameters"] for network in report["networks"].values())
            report["time"], notes = _time_of_steps(recipe, data, weights, sum(kept))
            report["notes"] += notes
    except GanzooError as error:
        report["problems"].append(
            {
                "message": error.message,
                "where": error.where,
                "excerpt": error.excerpt,
                "hint": error.hint,
                "exit_code": int(error.exit_code),
            }
        )
    return report


def _machine(recipe: Recipe) -> tuple[dict[str, str], list[str]]:
    """Return the device and precision of a run on this machine, and notes.

    A recipe for another machine is valid, so a missing device is a note and not a problem.
    """
    try:
        resolved = resolve(recipe.train)
    except EnvironmentFault as error:
        return {}, [f"a run on this machine would be refused: {error.message}"]
    return {"device": resolved.device, "precision": resolved.precision}, []


def _time_of_steps(
    recipe: Recipe, data: PreparedData, weights: int, kept: int
) -> tuple[dict[str, Any], list[str]]:
    """Measure a step on this machine; where that fails, return a note with the reason."""
    try:
        refuse_what_does_not_fit(recipe, weights, kept)
        found = measure(recipe, data)
    except GanzooError as error:
        return {}, [f"how long a step takes here can't be measured: {error.message}"]
    return {"step": found.seconds, "steps": found.steps, "whole": found.whole}, []


def network_costs(recipe: Recipe, *, stand_in: bool | None = None) -> dict[str, Any]:
    """Return only the `networks` of `inspect_recipe`.

    Args:
        recipe: the recipe of a run.
        stand_in: whether the run trains on its fallback data; None: not known yet.

    Raises:
        GanzooError: when the data can't be opened or a network can't be built.
    """
    data = open_data(recipe, "train", stand_in=stand_in)
    return _describe(recipe, plan_networks(recipe, data.fields))[0]


def _describe(
    recipe: Recipe, plan: Plan
) -> tuple[dict[str, Any], dict[str, torch.nn.Module], list[RecipeError]]:
    """Return the facts about each network, the networks, and the errors of failed calls."""
    told: dict[str, Any] = {}
    networks: dict[str, torch.nn.Module] = {}
    refusals = []
    for role, component in plan.chosen.items():
        declared = Declared(recipe.task.id, component.id, role, plan.io[role])
        with weights_follow() if role in recipe.start.replaced else nullcontext():
            tried = _tried(component, declared, recipe)
        networks[role] = tried.network
        if tried.refusal is not None:
            refusals.append(tried.refusal)
        told[role] = {
            "id": component.id,
            "parameters": sum(p.numel() for p in tried.network.parameters()),
            "flops": tried.flops,
            "inputs": {name: list(field.shape) for name, field in declared.io.inputs.items()},
            "outputs": tried.outputs,
        }
        options = component.options
        field = options.receptive_field() if isinstance(options, NetOptions) else None
        if field is not None:
            told[role]["receptive_field"] = field
    return told, networks, refusals


@dataclass(frozen=True)
class _Tried:
    """A network, and the result of a call with zeros: `_forward`'s, or an error."""

    network: torch.nn.Module
    outputs: dict[str, list[int]] = field(default_factory=dict)
    flops: int | None = None
    refusal: RecipeError | None = None


def _tried(component: Chosen, declared: Declared, recipe: Recipe) -> _Tried:
    """Build a network and call it with zeros.

    Raises:
        RecipeError: when the network can't be built.
        PluginError: when it returns something else than declared.
    """
    seed = recipe.train.seed
    try:
        with torch.device("meta"):
            network = build_network(component, declared.io, seed, declared.role)
        # torch's batch norm rejects a single image with a 1 x 1 feature map, so two are used.
        return _Tried(network, *_forward(network, declared, max(2, recipe.train.batch_size)))
    except GanzooError:
        raise
    except Exception:  # noqa: BLE001  # a plugin's code may raise anything on the meta device
        # A network whose code reads values of tensors can't be built or called without values.
        with weights_follow():
            network = _with_numbers(component, declared, seed)
        try:
            return _Tried(network, *_forward(network, declared, 2))
        except GanzooError:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            return _Tried(network, refusal=_refusal(declared, error))


def _with_numbers(component: Chosen, declared: Declared, seed: int) -> torch.nn.Module:
    try:
        return build_network(component, declared.io, seed, declared.role)
    except GanzooError:
        raise
    except Exception as error:
        raise _refusal(declared, error) from error


def _refusal(declared: Declared, error: Exception) -> RecipeError:
    shapes = ", ".join(
        " x ".join(map(str, field.shape)) or name for name, field in declared.io.inputs.items()
    )
    return RecipeError(
        f"{declared.component} can't take {shapes}: {error_text(error)}",
        where=declared.role,
        hint="use images of another size, or another component",
    )


def _forward(
    network: torch.nn.Module, declared: Declared, images: int
) -> tuple[dict[str, list[int]], int | None]:
    """Return the outputs' shapes and the number of operations of one image's forward pass.

    A multiplication and an addition count as two operations. The number is None where torch's
    counter fails, which also happens with correct networks.

    Raises:
        PluginError: when the network returns something else than declared.
    """
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    inputs = [zeros(field, images, device, torch.float32) for field in declared.io.inputs.values()]
    flops: int | None = None
    with torch.no_grad():
        try:
            with FlopCounterMode(display=False) as counter:
                output = network(*inputs)
            flops = counter.get_total_flops() // images
        except Exception:  # noqa: BLE001  # the counter failed, or the network, which fails again
            output = network(*inputs)
    declared.check_outputs(inputs, output)
    return _shapes(declared, output), flops


def _shapes(declared: Declared, output: Any) -> dict[str, list[int]]:
    """Return the shapes of what a network returned, by name."""
    names = list(declared.io.outputs)
    if len(names) == 1:
        made = {names[0]: output}
    elif names:
        made = {name: output[name] for name in names}
    else:
        logits = as_output(output).logits
        numbered = [f"logits_{number}" for number in range(1, len(logits) + 1)]
        made = dict(zip(numbered if len(logits) > 1 else ["logits"], logits, strict=True))
    return {name: list(tensor.shape[1:]) for name, tensor in made.items()}
