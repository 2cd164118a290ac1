"""Choose the device and number format in which networks are computed."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

import torch

from ganzoo.errors import EnvironmentFault

Precision: TypeAlias = Literal["fp64", "fp32", "bf16", "fp16"]
"""The number format of multiplications. With the 16-bit formats, weights, sums and sensitive
operations stay in fp32 (autocast)."""


def pick_device(wanted: str) -> str:
    """Return the device for a name; `auto` means an accelerator if there is one.

    Args:
        wanted: `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        EnvironmentFault: when torch doesn't find the device.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "cuda" and not cuda:
        raise EnvironmentFault(
            "the device cuda was requested, but torch finds no CUDA device",
            hint="Use --device cpu, or install a torch build with CUDA and check `nvidia-smi`.",
        )
    if wanted == "mps" and not mps:
        raise EnvironmentFault(
            "the device mps was requested, but torch finds no Apple GPU", hint="Use --device cpu."
        )
    if wanted != "auto":
        return wanted
    if cuda:
        return "cuda"
    return "mps" if mps else "cpu"


def pick_precision(wanted: str, device: str, *, auto: Precision | None = None) -> Precision:
    """Return the precision for a name on a device.

    Args:
        wanted: `auto`, or a `Precision`.
        device: the type of the device, such as `cpu` or `cuda`.
        auto: the meaning of `auto`; by default `auto_precision` of the device.

    Raises:
        EnvironmentFault: when the device can't compute in this precision.
        ValueError: when there is no such precision.
    """
    if wanted == "fp16" and device != "cuda":
        raise EnvironmentFault(
            f"precision fp16 needs CUDA, but the device is {device}",
            hint="Use the precision bf16 or fp32 (or auto).",
        )
    if wanted == "fp64" and device == "mps":
        raise EnvironmentFault("an Apple GPU has no fp64", hint="Use --device cpu.")
    if wanted == "auto":
        return auto or auto_precision(device)
    if wanted not in get_args(Precision):
        raise ValueError(wanted)
    return cast("Precision", wanted)


def multiplies_bf16(device: str) -> bool:
    """Return whether a device multiplies bf16 numbers in hardware.

    CPUs with AMX or AVX512-BF16 do, and NVIDIA GPUs since Ampere (2020). Older NVIDIA GPUs emulate
    bf16, which is slower than fp32. For Apple's GPUs the answer is always no.

    Args:
        device: the type of the device, such as `cpu` or `cuda`.
    """
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu":
        return False
    # These names are private, because torch has no public function for either of them.
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in probes)


def auto_precision(device: str) -> Precision:
    """Return the precision that `auto` means on a device, in training and in inference.

    It is bf16 where the hardware multiplies bf16 numbers. On older NVIDIA GPUs it is fp16, which
    has a smaller range and needs loss scaling in training. Everywhere else it is fp32.

    Args:
        device: the type of the device, such as `cpu` or `cuda`.
    """
    if multiplies_bf16(device):
        return "bf16"
    return "fp16" if device == "cuda" else "fp32"


def set_fp32(products: str, convolutions: str | None = None) -> tuple[str, str]:
    """Set the precision of CUDA's fp32 operations, and return the previous settings.

    `torch.backends.cudnn.benchmark` stays off, as is torch's default. It chooses kernels by
    measuring them, so that a resume would no longer be exact.

    Args:
        products: the precision of matrix products: `ieee` or `tf32` (see torch's notes on CUDA
            semantics).
        convolutions: the precision of convolutions; by default the same.
    """
    cudnn: Any = torch.backends.cudnn  # mypy doesn't know its attribute `conv`
    matmul: Any = torch.backends.cuda.matmul
    wanted = (products, convolutions or products)
    if not hasattr(matmul, "fp32_precision"):  # torch before 2.9
        before = ("tf32" if matmul.allow_tf32 else "ieee", "tf32" if cudnn.allow_tf32 else "ieee")
        matmul.allow_tf32, cudnn.allow_tf32 = (value == "tf32" for value in wanted)
        return before
    before = (str(matmul.fp32_precision), str(cudnn.conv.fp32_precision))
    matmul.fp32_precision, cudnn.conv.fp32_precision = wanted
    return before


def processor() -> str:
    """Return the processor's name from /proc/cpuinfo or, without that, from Python."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
