"""Python's search for reference cycles, put off while much is made that will stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unsearched() -> Iterator[None]:
    """No search for garbage in this block.

    Importing torch and what a run needs beside it makes a million objects that stay; looking
    through them again and again, in vain, was a quarter of a run's start. Afterwards they count as
    old, so that the next search isn't about all of them at once; garbage among them is found when
    the old ones are searched. Where the search is off, or objects are kept out of it
    (`gc.freeze`), somebody has taken it in hand, and nothing changes.
    """
    if not gc.isenabled() or gc.get_freeze_count():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # takes all out of every generation ...
        gc.unfreeze()  # ... and puts them into the oldest
        gc.enable()
