"""Which of several processes this one is, as its environment says, and how they meet."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ganzoo.errors import EnvironmentFault, error_text

STORE = "GANZOO_STORE"
"""Variable that names the file by which the processes of `--processes` meet, in place of a port."""

MEETING = timedelta(minutes=5)
"""How long the processes of another launcher may take until all are there, as long as torch's own
stores wait."""

_HINT = (
    "torchrun, accelerate launch and --processes set it; start the run by one of them, or unset it"
)


@dataclass(frozen=True)
class Place:
    """This process among those of a run.

    Args:
        rank: its number, from 0.
        world: how many there are.
        local_world: how many of them are on this machine.
    """

    rank: int = 0
    world: int = 1
    local_world: int = 1


def place(environ: Mapping[str, str] | None = None) -> Place:
    """This process's place, as torchrun and accelerate state it; alone outside of both.

    Raises:
        EnvironmentFault: naming the variable that can't be meant.
    """
    environ = os.environ if environ is None else environ
    world = _number(environ, "WORLD_SIZE", 1, least=1)
    local_world = _number(environ, "LOCAL_WORLD_SIZE", world, least=1)
    if world > 1 and "RANK" not in environ:
        raise EnvironmentFault(
            f"WORLD_SIZE is {world}, and RANK isn't set: which of {world} processes is this?",
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
            f"{name} is {environ[name]!r}, which is no whole number from {least} on", hint=_HINT
        )
    return number


def meet(device: str) -> None:
    """Join the other processes of this run, if there are any.

    Those of `--processes` meet by a file, so that nothing listens for them. Those of another
    launcher meet where it says: at `MASTER_ADDR` and `MASTER_PORT`.

    Args:
        device: what this run computes on: `cpu`, `cuda` or `mps`.

    Raises:
        EnvironmentFault: when they can't meet, in time or at all.
    """
    distributed: Any = importlib.import_module("torch.distributed")  # not all of it is typed
    mine = place()
    # accelerate makes a group of one process, too, where a launcher has set LOCAL_RANK.
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
            hint="Is the port taken by another program? Set MASTER_PORT to a free one "
            "(torchrun: --master-port), and see that all processes are started."
            if STORE not in os.environ
            else "See that the folder for temporary files (TMPDIR) can be written to.",
        ) from error


def _found(mine: Place, distributed: Any) -> Any:
    """The store that another launcher's variables name."""
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        if not os.environ.get(name):
            raise EnvironmentFault(
                f"WORLD_SIZE is {mine.world}, and {name} isn't set: where do they meet?", hint=_HINT
            )
    _number(os.environ, "MASTER_PORT", 0, least=0)
    store, _, _ = next(distributed.rendezvous("env://", mine.rank, mine.world, timeout=MEETING))
    store.set_timeout(distributed.default_pg_timeout)
    return store


def _where() -> str:
    if STORE in os.environ:
        return f" by the file {os.environ[STORE]}"
    return f" at {os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
