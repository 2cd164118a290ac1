"""From weights to an application that is ready to be used."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ganzoo.api import Mode
from ganzoo.errors import DataError, UsageError
from ganzoo.inference.application_weights import Weights
from ganzoo.inference.applications import choices_of, draws_all, taken_by
from ganzoo.inference.older_cards import INPUT, OUTPUT
from ganzoo.inference.precision import PRECISIONS, lower_weights
from ganzoo.inference.trained_application import Applied, Trained
from ganzoo.inference.weights_card import NAMED_FROM
from ganzoo.inference.weights_file import build_network, load_all
from ganzoo.interfaces.fields import alike
from ganzoo.nn.device_and_precision import pick_device, pick_precision

T = TypeVar("T", bound=Applied)


def load_trained(
    weights: Weights,
    *,
    options: Mapping[str, Any] | None = None,
    mode: Mode | None = None,
    seed: int | None = None,
    device: str = "auto",
    precision: str = "fp32",
) -> Trained:
    """Build an application that takes data, with the mode and seed of its card unless given.

    Args:
        weights: of its networks.
        options: the application's, by key; the others have their defaults.
        mode: see `ganzoo.inference.modes`.
        seed: see `Trained`.
        device: `auto`, `cpu`, `cuda` or `mps`.
        precision: one of `ganzoo.inference.precision.PRECISIONS`, or `auto`.

    Raises:
        UsageError: the task draws its inputs, or an option isn't legal, or the precision is only
            for training.
        DataError: a file can't be read, or doesn't fit its network.
        PluginError: a plugin that it needs is missing.
        EnvironmentFault: the device isn't there or can't do the precision, or a newer ganzoo wrote
            the file.
    """
    refuse_drawing(weights)
    return load(Trained, weights, options or {}, mode, seed, device, precision)


def refuse_drawing(weights: Weights) -> None:
    """Say no to an application that takes no data.

    Raises:
        UsageError: the task draws all its inputs.
    """
    if draws_all(weights.application):
        wanted = " and ".join(weights.application.takes)
        command = f"ganzoo sample {shlex.quote(str(weights.path))}{weights.which} -n 64"
        raise UsageError(
            f"the application {weights.name} makes samples from {wanted}, not from files",
            where=str(weights.path),
            hint=f"Use `{command}`.",
        )


def check_fields(weights: Weights) -> None:
    """Check that the card says what goes in and comes out, and that its shapes fit the networks.

    Raises:
        DataError: they don't.
    """
    card, application, known = weights.card, weights.application, weights.fields
    for verb, name in (
        *(("takes", one) for one in taken_by(application)),
        *(("makes", one) for one in application.gives),
    ):
        if name not in known:
            raise DataError(
                f"its card doesn't say what {name!r} is, which {weights.task.id} {verb} with "
                f"{' and '.join(application.roles)}",
                where=str(weights.path),
                hint=f"Its fields are: {', '.join(card.fields) or 'none'}.",
            )
    for its in weights.cards.values():
        named = its.format >= NAMED_FROM
        for names, sides, unnamed in (
            (application.takes, its.io.inputs, INPUT),
            (application.gives, its.io.outputs, OUTPUT),
        ):
            for name in names:
                declared, data = sides.get(name if named else unnamed), card.fields.get(name)
                if declared is None or data is None:
                    continue
                own, other = declared.shape, data.shape
                # What has no name may be made of several fields, with the channels of all.
                fits = alike(own, other) if named else len(own) == len(other)
                if not fits:
                    raise DataError(
                        f"its card says that {name!r} has the shape {list(data.shape)} in the data,"
                        f" and {list(declared.shape)} in its network",
                        where=str(weights.path),
                    )


def load(
    kind: Callable[..., T],
    weights: Weights,
    options: Mapping[str, Any],
    mode: Mode | None,
    seed: int | None,
    device: str,
    precision: str,
) -> T:
    """Build an application of weights; `load_trained` says what the rest means."""
    if precision not in ("auto", *PRECISIONS):
        raise UsageError(
            f"trained networks aren't computed in {precision}",
            hint=f"These precisions can be used: auto, {', '.join(PRECISIONS)}.",
        )
    card = weights.card
    choices = choices_of(weights.task, weights.name, options)
    check_fields(weights)
    place = pick_device(device)
    # The 8-bit grid is about as coarse as 16-bit floats. All else is kept as it comes out, and
    # bf16 has three digits.
    known, formats = weights.fields, weights.formats
    coarse = all(formats[one].dtype(known[one]) == "uint8" for one in weights.application.gives)
    used = pick_precision(precision, place, auto=None if coarse else "fp32")
    nets = {}
    for path in dict.fromkeys(weights.files.values()):
        for role, (its, state) in load_all(path).items():
            if weights.files.get(role) == path:
                nets[role] = build_network(its, state, where=str(path)).to(place)
    for net in nets.values():
        lower_weights(net, used)
    return kind(
        task=weights.task,
        name=weights.name,
        nets=nets,
        io={role: its.io for role, its in weights.cards.items()},
        data_fields=card.fields,
        mode=mode or card.inference["mode"],
        choices=choices,
        seed=card.inference["seed"] if seed is None else seed,
        size_multiple=math.lcm(*(its.size_multiple for its in weights.cards.values())),
        precision=used,
    )
