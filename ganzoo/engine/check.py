"""`ganzoo check`: what a recipe would train, without training it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ganzoo.api import NetOptions
from ganzoo.data.pipeline import open_data
from ganzoo.engine.build import build_loss, build_network, plan_networks
from ganzoo.errors import GanzooError
from ganzoo.interfaces import NetIO, as_output
from ganzoo.recipe.model import Recipe


def inspect_recipe(recipe: Recipe) -> dict[str, Any]:
    """Open the data, settle shapes and build every network on the meta device.

    Returns:
        `{"networks": {ROLE: {"id", "parameters", "input", "outputs", "receptive_field"?}},
        "problems": [...], "notes": [...]}`; shapes have no batch axis, and `outputs` is a list of
        shapes, one per scale. A problem is `{"message", "where", "hint", "exit_code"}`.
    """
    report: dict[str, Any] = {"networks": {}, "problems": [], "notes": []}
    try:
        data = open_data(recipe, "train")
        report["notes"] = list(data.notes)
        plan = plan_networks(recipe, data.fields)
        build_loss(recipe, plan, torch.device("cpu"), torch.float32)
        for role, component in plan.chosen.items():
            io = plan.io[role]
            entry: dict[str, Any] = {"id": component.id}
            network = _build_cheaply(component, io, role)
            entry["parameters"] = sum(p.numel() for p in network.parameters())
            entry["input"] = list(io.inputs)
            entry["outputs"] = _output_shapes(network, io)
            field = (
                component.options.receptive_field()
                if isinstance(component.options, NetOptions)
                else None
            )
            if field is not None:
                entry["receptive_field"] = field
            report["networks"][role] = entry
    except GanzooError as error:
        report["problems"].append(
            {
                "message": error.message,
                "where": error.where,
                "hint": error.hint,
                "exit_code": int(error.exit_code),
            }
        )
    return report


def _build_cheaply(component: Any, io: NetIO, role: str) -> torch.nn.Module:
    try:
        with torch.device("meta"):
            return build_network(component, io, 0, role)
    except (NotImplementedError, RuntimeError):
        # A network whose constructor looks at its numbers can't be built without them.
        return build_network(component, io, 0, role)


def _output_shapes(network: torch.nn.Module, io: NetIO) -> list[list[int]]:
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    inputs: list[Tensor] = [torch.zeros((2, *io.inputs), device=device)]
    if io.classes:
        inputs.append(torch.zeros(2, dtype=torch.int64, device=device))
    with torch.no_grad():
        output = as_output(network(*inputs))
    return [list(logits.shape[1:]) for logits in output.logits]
