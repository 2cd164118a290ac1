"""What the C library does with the memory that a training step frees."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h, the same on every architecture


def keep_freed_memory() -> bool:
    """Let glibc's malloc keep what a step frees for the next step; True where it does.

    By itself it maps each block above 32 MiB anew and gives the end of its heap back to the system,
    so that a training on a CPU, which frees its gradients in each step, has the system clear the
    same memory again and again: thousands of page faults a step. As mallopt(3) says, no blocks of
    their own and no trimming. It holds for the whole process, for as long as that lives; other C
    libraries have no such function, and nothing changes there.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS and musl; Windows has no CDLL(None)
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, -1))
