"""The options that `ganzoo predict`, `sample`, `evaluate` and `bundle` have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

MODES = ("paper", "deterministic", "running")
"""The modes of `ganzoo.inference.modes`. They are repeated here because that module imports torch.
A test compares the two."""

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
"""`auto` and the precisions of `ganzoo.inference.precision`, repeated for the same reason."""

mode = click.option(
    "--mode",
    type=click.Choice(MODES),
    help="paper: statistics of each image and seeded dropout, as in training with one image a"
    " batch; deterministic: the same without dropout, with the same result for every seed; running:"
    " the statistics stored in training, for networks trained with larger batches, and for parts of"
    " one picture or frames of a film, which should look alike. Without batch norm and dropout all"
    " three are the same. Default: the mode in the recipe.",
)
device = click.option(
    "--device",
    type=click.Choice(("auto", "cpu", "cuda", "mps")),
    default="auto",
    show_default=True,
    help="The device to compute on.",
)


def precision(default: str, more: str = "") -> Callable[[Any], Any]:
    """Return the option `--precision` with a default and text that is appended to its help."""
    return click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default=default,
        show_default=True,
        help=f"The number format of multiplications. auto: as in training, which is bf16 where "
        f"the hardware supports it, fp16 on older NVIDIA GPUs, and fp32 elsewhere. With 16 bits, "
        f"pixel values change by a few of 255 levels. fp16 needs CUDA.{more}",
    )


def application(default: str) -> Callable[[Any], Any]:
    """Return the option `--application` with the description of what is used without it."""
    return click.option(
        "--application",
        metavar="NAME",
        help="What to use the weights for, if the task has several applications. A name that "
        f"doesn't exist lists them. Default: {default}.",
    )


options = click.option(
    "--option",
    "options",
    metavar="KEY=VALUE",
    multiple=True,
    help="Set an option of the application; can be repeated. An option that doesn't exist lists "
    "them.",
)
ema = click.option(
    "--ema/--no-ema",
    default=None,
    help="Use the moving average of the weights, or the plain weights. Default: the average if "
    "there is one.",
)
overwrite = click.option("--overwrite", is_flag=True, help="Replace results that exist already.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
