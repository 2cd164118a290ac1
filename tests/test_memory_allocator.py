"""Memory that a step frees stays with the process, where the C library is glibc."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from ganzoo.engine.memory_allocator import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def step():
    for _ in range(4):
        np.ones(12 * 2**20)  # 96 MiB, freed at once
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no mallopt")
def test_freed_memory_is_not_faulted_in_again():
    faults = {
        how: int(subprocess.check_output([sys.executable, "-c", FAULTS, how]))
        for how in ("kept", "returned")
    }
    assert faults["kept"] < 20
    assert faults["returned"] > 100  # 4 x 48 huge pages of 2 MiB; 4 KiB ones are many more


def test_other_c_libraries_are_left_alone(monkeypatch):
    import ctypes

    from ganzoo.engine.memory_allocator import keep_freed_memory

    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert keep_freed_memory() is False

    def refuse(_):
        raise TypeError("Windows wants a name")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert keep_freed_memory() is False
