"""Whether a network that is being built will get its weights from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_following: ContextVar[bool] = ContextVar("ganzoo_weights_follow", default=False)


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
