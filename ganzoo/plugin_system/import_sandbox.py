"""Runs a plugin's light code so that nothing around it changes, and says what it tried."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

SLOW = 0.5
"""Seconds from which on an import is called slow."""


@contextlib.contextmanager
def undisturbed(notes: list[str]) -> Iterator[None]:
    """Run a block, then put the process back as it was.

    A plugin may change a run that names it, and no other. So what light modules do to their
    surroundings while they are imported is undone: environment variables, the working folder, the
    root logger, torch's defaults. What they print goes to stderr, since stdout belongs to the
    command's result. Random generators need no care: every run seeds them.

    Args:
        notes: gets a sentence for whatever was undone, and for a slow import. Of several plugins
            that import torch it is the first one's.
    """
    before = [(surrounding, surrounding.look()) for surrounding in _SURROUNDINGS]
    light = "torch" not in sys.modules
    printed = _Kept()
    stdin, sys.stdin = sys.stdin, _text(_Kept())  # nobody waits for an answer to an import
    start = time.perf_counter()
    try:
        # stderr goes where it went, whatever stands in its place afterwards.
        with contextlib.redirect_stdout(_text(printed)), contextlib.redirect_stderr(sys.stderr):
            yield
    finally:
        seconds = time.perf_counter() - start
        sys.stdin = stdin
        for surrounding, state in before:
            if surrounding.look() != state:
                surrounding.put_back(state)
                notes.append(f"changes {surrounding.what} at import: undone")
        if printed.getvalue():
            sys.stderr.write(printed.getvalue().decode(errors="replace").rstrip("\n") + "\n")
            notes.append("prints at import: not to stdout")
        if light and "torch" in sys.modules:
            notes.append(f"imports torch at every start of ganzoo: {seconds:.1f} s")
        elif seconds >= SLOW:
            notes.append(f"is slow to import at every start of ganzoo: {seconds:.1f} s")


class _Kept(io.BytesIO):
    """Bytes that nobody closes: a module that closes stdout means its own."""

    def close(self) -> None:
        """Do nothing."""


def _text(file: io.BytesIO) -> io.TextIOWrapper:
    """A stream with all that the real ones have, such as `reconfigure` and `buffer`."""
    return io.TextIOWrapper(file, "utf-8", "backslashreplace", newline="", write_through=True)


class _Surrounding(NamedTuple):
    what: str
    look: Callable[[], Any]
    put_back: Callable[[Any], None]


def _put_environment_back(state: dict[str, str]) -> None:
    for name in os.environ.keys() - state.keys():
        del os.environ[name]
    os.environ.update(state)


def _working_folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  # text, for a folder that was removed has no path
    except FileNotFoundError:
        return ""


def _return_to(folder: str) -> None:
    if folder:
        os.chdir(folder)


def _root_logger() -> tuple[list[logging.Handler], int, int, bool]:
    root = logging.root
    return root.handlers[:], root.level, root.manager.disable, root.disabled


def _put_root_logger_back(state: tuple[list[logging.Handler], int, int, bool]) -> None:
    root = logging.root
    root.handlers[:], level, disable, root.disabled = state
    root.setLevel(level)
    logging.disable(disable)


def _torch_defaults() -> tuple[Any, ...]:
    """Type and device of new tensors, precision of matrix products, gradients, determinism."""
    torch = sys.modules.get("torch")
    if torch is None:
        return _FRESH
    return (
        str(torch.get_default_dtype()),
        str(torch.get_default_device()),
        torch.get_float32_matmul_precision(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
    )


_FRESH = ("torch.float32", "cpu", "highest", True, False)
"""Torch's defaults where it was never imported, as its documentation gives them."""


def _put_torch_defaults_back(state: tuple[Any, ...]) -> None:
    torch: Any = sys.modules["torch"]
    dtype, device, precision, gradients, deterministic = state
    torch.set_default_dtype(getattr(torch, dtype.removeprefix("torch.")))
    torch.set_default_device(None if device == "cpu" else device)  # None: no mode that costs time
    torch.set_float32_matmul_precision(precision)
    torch.set_grad_enabled(gradients)
    torch.use_deterministic_algorithms(deterministic)


_SURROUNDINGS = (
    _Surrounding("environment variables", lambda: dict(os.environ), _put_environment_back),
    _Surrounding("the working folder", _working_folder, _return_to),
    _Surrounding("the root logger", _root_logger, _put_root_logger_back),
    _Surrounding("torch's defaults", _torch_defaults, _put_torch_defaults_back),
)
