"""Free memory, and the recognition of out-of-memory errors of all libraries."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ganzoo.errors import EnvironmentFault

_SAID = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|not enough memory"
    r"|insufficient memory|unable to allocate|failed to allocate|bad_alloc|_ALLOC_FAILED"
    r"|can't start new thread|failed to map segment",
    re.IGNORECASE,
)
"""The parts of error messages about missing memory from torch's allocators, CUDA's libraries,
NumPy, OpenCV, Python and the system's loader of libraries."""

_ASKED = re.compile(r"allocate (\d+(?:\.\d*)?) ?(bytes|KiB|MiB|GiB|TiB|PiB|EiB)?\b", re.IGNORECASE)

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


@dataclass(frozen=True)
class Shortage:
    """A request for memory that failed.

    Args:
        device: `the CUDA device`, `the Apple GPU`, or `this machine` for the host's memory.
        asked: the size of the request, such as `1.5 GiB`; empty if the error doesn't contain it.
    """

    device: str
    asked: str = ""

    def __str__(self) -> str:
        more = f" ({self.asked} more were asked for)" if self.asked else ""
        return f"{self.device} has no memory left{more}"


def shortage(error: BaseException) -> Shortage | None:
    """Return the failed request for memory that caused an error, or None.

    The chain of causes of the error is searched too, since a library may wrap the original error.
    """
    for one in _chain(error):
        text = str(one)
        if isinstance(one, OSError):
            if one.errno == errno.ENOMEM:
                return Shortage("this machine")
        elif isinstance(one, MemoryError) or (
            # torch.OutOfMemoryError is a RuntimeError; cv2.error is a direct Exception.
            (isinstance(one, RuntimeError | ImportError) or type(one).__module__.startswith("cv2"))
            and _SAID.search(text)
        ):
            return Shortage(_device(text), _asked(text))
    return None


def out_of_memory(
    error: BaseException, doing: str, *, hint: str, where: str = ""
) -> EnvironmentFault | None:
    """Return the error to raise in place of an out-of-memory error; None for other errors.

    Args:
        error: the error that was caught.
        doing: what needed the memory, with its sizes: `a training step of 4 images of 256 x 256`.
        hint: what the user can make smaller.
        where: the file or sample concerned.
    """
    short = shortage(error)
    if short is None:
        return None
    return EnvironmentFault(f"{doing} needs more memory: {short}", hint=hint, where=where)


@contextmanager
def memory_for(doing: str, *, hint: str, where: str = "") -> Iterator[None]:
    """Turn an out-of-memory error inside the block into an error that names what needed memory.

    Other errors are not changed.

    Args:
        doing: what needed the memory, as for `out_of_memory`.
        hint: what the user can make smaller.
        where: the file or sample concerned.

    Raises:
        EnvironmentFault: there was too little memory.
    """
    try:
        yield
    except Exception as error:
        fault = out_of_memory(error, doing, hint=hint, where=where)
        if fault is None:
            raise
        raise fault from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _device(text: str) -> str:
    if re.search(r"CUDA|CUBLAS|CUDNN|NCCL|HIP\b", text):
        return "the CUDA device"
    return "the Apple GPU" if "MPS backend" in text else "this machine"


def _asked(text: str) -> str:
    match = _ASKED.search(text)
    if match is None:
        return ""
    size, unit = float(match[1]), match[2] or "bytes"
    place = [one.lower() for one in _UNITS].index(unit.lower())
    while size >= 1024 and place + 1 < len(_UNITS):
        size, place = size / 1024, place + 1
    return f"{size:.4g} {_UNITS[place]}"


def free_memory(file: Path = Path("/proc/meminfo")) -> int | None:
    """Return the bytes of main memory available without swapping; None if they aren't known."""
    try:
        found = re.search(r"^MemAvailable:\s*(\d+) kB$", file.read_text("ascii"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
