"""Initial weights: how they are drawn, and whether others will replace them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import nn

_following: ContextVar[bool] = ContextVar("ganzoo_weights_follow", default=False)


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


@contextmanager
def weights_follow() -> Iterator[None]:
    """Build networks whose state is loaded right afterwards, or whose numbers nobody looks at.

    The engine does so for a weights file, a resume and a check. A network then needs neither the
    files nor the downloads that its options name.
    """
    token = _following.set(True)
    try:
        yield
    finally:
        _following.reset(token)


def weights_follow_now() -> bool:
    """Tell a network's constructor not to load first weights: all that it would load is replaced.

    On the meta device it is False: there a constructor may look at local files to say what is
    wrong with them, and should download nothing.
    """
    return _following.get()
