"""What a device multiplies in hardware, and which precision `auto` is on it."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Literal

import torch

AutoPrecision = Literal["fp32", "bf16", "fp16"]


def multiplies_bf16(device: str) -> bool:
    """Whether a device multiplies bf16 in hardware.

    A CPU does with AMX or AVX512-BF16, and an NVIDIA GPU from Ampere (2020) on. Older GPUs emulate
    bf16, which is slower than fp32. Apple's GPUs count as devices that don't.

    Args:
        device: the type, such as `cpu` or `cuda`.
    """
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu":
        return False
    # Private names: torch has no public question for either of them.
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in probes)


def auto_precision(device: str) -> AutoPrecision:
    """The precision that `auto` is on a device, for training and for use alike.

    It is bf16 where the hardware multiplies it. On older NVIDIA GPUs it is fp16, which has a
    smaller range and needs loss scaling in training. Everywhere else it is fp32.

    Args:
        device: the type, such as `cpu` or `cuda`.
    """
    if multiplies_bf16(device):
        return "bf16"
    return "fp16" if device == "cuda" else "fp32"


def processor() -> str:
    """The processor's name, as Linux gives it, or as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
