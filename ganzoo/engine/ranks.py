"""Read this process's rank from its environment, and connect the processes of a run."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ganzoo.errors import EnvironmentFault, error_text

STORE = "GANZOO_STORE"
"""The environment variable that names the file through which the processes of `--processes` find
each other. The file is used instead of a port."""

MEETING = timedelta(minutes=5)
"""The time that the processes of another launcher have to find each other. It is as long as the
default of torch's own stores."""

_HINT = (
    "torchrun, accelerate launch and --processes set it; start the run with one of them, or "
    "unset it"
)


@dataclass(frozen=True)
class Place:
    """The rank of this process and the number of processes of its run.

    Args:
        rank: the number of this process, counted from 0.
        world: the number of processes.
        local_world: the number of processes on this machine.
    """

    rank: int = 0
    world: int = 1
    local_world: int = 1


def place(environ: Mapping[str, str] | None = None) -> Place:
    """Return this process's rank and world sizes, as torchrun and accelerate set them.

    Without their variables the process is the only one of its run.

    Raises:
        EnvironmentFault: when a variable is invalid; the error names it.
    """
    environ = os.environ if environ is None else environ
    world = _number(environ, "WORLD_SIZE", 1, least=1)
    local_world = _number(environ, "LOCAL_WORLD_SIZE", world, least=1)
    if world > 1 and "RANK" not in environ:
        raise EnvironmentFault(
            f"WORLD_SIZE is {world}, but RANK isn't set: it isn't known which of the {world} "
            "processes this is",
            hint=_HINT,
        )
    rank = _number(environ, "RANK", 0, least=0)
    _number(environ, "LOCAL_RANK", 0, least=-1)  # accelerate reads it
    if rank >= world:
        raise EnvironmentFault(
            f"RANK is {rank}, and WORLD_SIZE {world}: ranks go from 0 to {world - 1}", hint=_HINT
        )
    return Place(rank, world, local_world)


def _number(environ: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise EnvironmentFault(
            f"{name} is {environ[name]!r}, which is not a whole number of at least {least}",
            hint=_HINT,
        )
    return number


def meet(device: str) -> None:
    """Connect this process with the other processes of this run, if there are any.

    The processes of `--processes` find each other through a file, so that no port has to be open.
    The processes of another launcher use its `MASTER_ADDR` and `MASTER_PORT`.

    Args:
        device: the device of this run: `cpu`, `cuda` or `mps`.

    Raises:
        EnvironmentFault: when the processes can't be connected, or not in time.
    """
    distributed: Any = importlib.import_module("torch.distributed")  # it is only partly typed
    mine = place()
    # Where a launcher has set LOCAL_RANK, accelerate creates a process group even for one process.
    alone = mine.world == 1 and int(os.environ.get("LOCAL_RANK") or -1) == -1
    if alone or distributed.is_initialized():
        return
    if device not in ("cpu", "cuda"):
        if mine.world == 1:
            return
        raise EnvironmentFault(
            f"several processes can't train on {device}", hint="Use --device cpu, or one process."
        )
    os.environ.setdefault("LOCAL_RANK", str(mine.rank % mine.local_world))  # for accelerate
    backend = "nccl" if device == "cuda" else "gloo"
    try:
        if file := os.environ.get(STORE):
            store = distributed.FileStore(file, mine.world)
        else:
            store = _found(mine, distributed)
        distributed.init_process_group(backend, store=store, rank=mine.rank, world_size=mine.world)
    except (RuntimeError, ValueError, OSError) as error:
        reason = error_text(error, kind=False)
        raise EnvironmentFault(
            f"the {mine.world} processes of this run can't meet{_where()}: {reason}",
            hint="The port may be in use by another program: set MASTER_PORT to a free one "
            "(torchrun: --master-port), and check that all processes are started."
            if STORE not in os.environ
            else "Check that the folder for temporary files (TMPDIR) can be written to.",
        ) from error


def _found(mine: Place, distributed: Any) -> Any:
    """Return the store that the variables of another launcher specify."""
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        if not os.environ.get(name):
            raise EnvironmentFault(
                f"WORLD_SIZE is {mine.world}, but {name} isn't set: the processes need a common "
                "address",
                hint=_HINT,
            )
    _number(os.environ, "MASTER_PORT", 0, least=0)
    store, _, _ = next(distributed.rendezvous("env://", mine.rank, mine.world, timeout=MEETING))
    store.set_timeout(distributed.default_pg_timeout)
    return store


def _where() -> str:
    if STORE in os.environ:
        return f" by the file {os.environ[STORE]}"
    return f" at {os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
