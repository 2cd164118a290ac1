"""The layers of the paper's facades model one by one: torch's convolutions against ganzoo.nn's.

python -m tests.benchmarks.convolutions [--formats fp32 bf16] [--rounds N] [--json]

Forward and backward of each layer at batch 1, its weights in the number format of the arithmetic,
in turns; lowest times, since a neighbour only ever adds to them. Layers that ganzoo.nn leaves to
torch are timed once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ganzoo.engine.memory_allocator import keep_freed_memory
from ganzoo.nn import Conv2d, ConvTranspose2d
from tests.benchmarks.timing import Spread, alternate, arguments, show

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16}
LAYERS = [
    *(("conv", 3, 64, 256, 2), ("conv", 64, 128, 128, 2), ("conv", 128, 256, 64, 2)),
    *(("conv", 256, 512, 32, 2), ("conv", 512, 512, 16, 2), ("conv", 512, 512, 8, 2)),
    *(("conv", 512, 512, 4, 2), ("conv", 512, 512, 2, 2)),
    *(("transposed", 512, 512, 1, 2), ("transposed", 1024, 512, 2, 2)),
    *(("transposed", 1024, 512, 4, 2), ("transposed", 1024, 512, 8, 2)),
    *(("transposed", 1024, 256, 16, 2), ("transposed", 512, 128, 32, 2)),
    *(("transposed", 256, 64, 64, 2), ("transposed", 128, 3, 128, 2)),
    *(("conv", 6, 64, 256, 2), ("conv", 256, 512, 32, 1), ("conv", 512, 1, 31, 1)),
]
"""Kind, channels in and out, side of the input, stride; the last three are the discriminator's."""
TORCHS: dict[type[nn.Module], type[nn.Module]] = {
    Conv2d: nn.Conv2d,
    ConvTranspose2d: nn.ConvTranspose2d,
}


def play(layer: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """A forward and a backward of one layer."""
    gradient = torch.ones_like(layer(x))

    def once() -> None:
        x.grad = None
        layer.zero_grad(set_to_none=True)
        layer(x).backward(gradient)

    return once


def measure(layer: tuple[str, int, int, int, int], dtype: torch.dtype, rounds: int) -> Any:
    """The way that ours goes, and seconds of both."""
    kind, inputs, outputs, side, stride = layer
    chosen: Any = Conv2d if kind == "conv" else ConvTranspose2d
    x = torch.randn(1, inputs, side, side, dtype=dtype).requires_grad_()
    settings = {"stride": stride, "padding": 1, "bias": False}
    ours = chosen(inputs, outputs, 4, **settings).to(dtype)
    ours(x)
    contenders = {"torch": play(TORCHS[chosen](inputs, outputs, 4, **settings).to(dtype), x)}
    if ours.way != "native":
        contenders["ganzoo"] = play(ours, x)
    return ours.way, alternate(contenders, rounds)


def main() -> None:
    """Print the figures."""
    given = arguments(
        __doc__,
        rounds=9,
        extra=(
            ("--formats", {"nargs": "+", "choices": [*FORMATS], "default": [*FORMATS]}),
            ("--largest", {"type": int, "default": 256, "help": "side of inputs (256)"}),
        ),
    )
    keep_freed_memory()
    document: dict[str, Any] = {"formats": {}}
    lines = []
    for name in given.formats:
        found = document["formats"][name] = []
        for layer in LAYERS:
            if layer[3] > given.largest:
                continue
            way, spent = measure(layer, FORMATS[name], given.rounds)
            times: dict[str, Spread] = spent
            found.append(
                {"layer": layer, "way": way, **{who: one.document() for who, one in times.items()}}
            )
            kind, inputs, outputs, side, stride = layer
            words = ", ".join(f"{who} {one.lowest * 1e3:.1f} ms" for who, one in times.items())
            lines.append(
                f"{name} {kind:10} {inputs:4} to {outputs:3} at {side:3}, stride {stride}: "
                f"{way:8} {words}"
            )
    show(document, lines, as_json=given.json)


if __name__ == "__main__":
    main()
