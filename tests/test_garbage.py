"""The search for garbage is put off, comes back, and forgets nothing."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest

from ganzoo.garbage import unsearched


class Loop:
    """Refers to itself, so that only a search frees it."""

    def __init__(self):
        self.me = self


def generation(thing):
    """Where the search keeps a thing: 0 is searched often, 2 seldom."""
    return next(n for n in range(3) if any(one is thing for one in gc.get_objects(n)))


@pytest.fixture(autouse=True)
def searching():
    gc.enable()
    yield
    gc.enable()


def test_nothing_is_searched_inside_and_again_after():
    searched = []
    gc.callbacks.append(lambda phase, info: searched.append(phase))
    try:
        with unsearched():
            assert not gc.isenabled()
            kept = [[] for _ in range(100_000)]
        assert searched == []
        assert gc.isenabled()
        kept = [[] for _ in range(100_000)]  # the control: outside it is searched
        assert searched
    finally:
        gc.callbacks.pop()
    assert kept


def test_what_was_made_is_old_afterwards():
    with unsearched():
        inside = Loop()
    outside = Loop()
    assert (generation(inside), generation(outside)) == (2, 0)


def test_garbage_of_the_block_is_found_later():
    with unsearched():
        ghost = weakref.ref(Loop())
    assert gc.get_freeze_count() == 0
    assert ghost() is not None
    gc.collect()
    assert ghost() is None


def test_it_ends_with_an_error_too():
    with pytest.raises(ZeroDivisionError), unsearched():
        _ = 1 / 0
    assert gc.isenabled()


def test_blocks_nest():
    with unsearched():
        with unsearched():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_who_took_it_in_hand_keeps_it():
    gc.disable()
    with unsearched():
        pass
    assert not gc.isenabled()
    gc.enable()
    gc.freeze()
    try:
        with unsearched():
            assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


ENDING = """
import atexit, gc, sys, types
atexit.register(lambda: print("kept out:", gc.get_freeze_count() > 1000, file=sys.stderr))
from ganzoo.cli.main import main
{before}
main(["--help"])
print("before:", gc.get_freeze_count() > 1000, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("before", "kept_out"),
    [("", True), ('sys.modules["torch"] = types.ModuleType("torch")', False)],
)
def test_a_light_command_ends_without_a_search(before, kept_out):
    done = subprocess.run(
        [sys.executable, "-c", ENDING.format(before=before)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.splitlines()[-2:] == ["before: False", f"kept out: {kept_out}"]
