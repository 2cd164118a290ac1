"""Configure how the C library handles the memory that a training step frees."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from malloc.h, for every architecture


def keep_freed_memory() -> bool:
    """Let glibc's malloc keep freed memory for the next step; return whether that is possible.

    By default malloc maps each block above 32 MiB separately and returns the end of its heap to the
    system. A training on a CPU frees its gradients in each step, so the system has to clear the
    same memory again in the next one, which causes thousands of page faults per step. The two
    settings, described in mallopt(3), disable separate mappings and the trimming of the heap. They
    apply to the whole process until it ends. Other C libraries have no such function, and nothing
    changes there.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS and musl; Windows has no CDLL(None)
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, -1))
