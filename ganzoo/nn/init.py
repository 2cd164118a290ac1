"""Initial weights."""

from __future__ import annotations

from torch import nn


def init_normal(network: nn.Module, std: float = 0.02) -> None:
    """Draw a network's initial weights in place, from torch's global random generator.

    Convolutions and transposed convolutions: weights N(0, std), biases 0. Batch norm: scale
    N(1, std), shift 0. Rule and 0.02 are those of arXiv 1511.06434, section 4.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, std)
            nn.init.zeros_(module.bias)
