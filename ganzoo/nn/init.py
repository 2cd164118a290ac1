"""Draw initial weights, or skip that where other weights will replace them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import nn

_following: ContextVar[bool] = ContextVar("ganzoo_weights_follow", default=False)


def init_normal(network: nn.Module, std: float = 0.02) -> None:
    """Draw a network's initial weights in place, from torch's global random generator.

    Convolutions and transposed convolutions get weights from N(0, std) and biases of 0. Batch norm
    gets a scale from N(1, std) and a shift of 0. The rule and the value 0.02 are those of
    arXiv 1511.06434, section 4.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, std)
            nn.init.zeros_(module.bias)


@contextmanager
def weights_follow() -> Iterator[None]:
    """Build networks whose weights are loaded right afterwards, or whose values aren't used.

    ganzoo does this for a weights file, a resume, a check, and a run that starts from other weights
    in full. A network then needs neither the files nor the downloads that its options name.
    """
    token = _following.set(True)
    try:
        yield
    finally:
        _following.reset(token)


def weights_follow_now() -> bool:
    """Return whether a network's constructor needn't load pretrained weights.

    It is True where all weights will be replaced. When a check builds a network on the meta device,
    it is False: a constructor may then check local files, but should not download any.
    """
    return _following.get()
