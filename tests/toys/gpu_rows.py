"""Rows for the GPU check's own test: one of each way to end."""

from __future__ import annotations

import os
import time

from tests.gpu.report import Figure, NotPossibleError


def _hang(setup):
    time.sleep(600)


def _die(setup):
    print("the device is on fire", flush=True)
    os._exit(3)


def _raise(setup):
    message = "first line\nsecond line"
    raise ValueError(message)


def _lack(setup):
    message = "no such thing here"
    raise NotPossibleError(message)


def rows():
    return {
        "good": lambda setup: Figure("1.5 ms | a step", {"ms": 1.5, "device": setup.device}),
        "raises": _raise,
        "dies": _die,
        "lacks": _lack,
        "wrong": lambda setup: Figure("", fault="7 levels apart"),
        "hangs": _hang,
        "after": lambda setup: Figure("still here"),
    }
