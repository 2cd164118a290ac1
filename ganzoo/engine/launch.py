"""Start a requested run in this process, or in several processes and wait for them.

The several processes end when the process that launched them ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.engine.ranks import STORE
from ganzoo.errors import ExitCode, GanzooError, RecipeError, UsageError, error_text
from ganzoo.files import expanded, to_json
from ganzoo.plugin_system.blame import culprit, left_by
from ganzoo.plugin_system.suggestions import quoted
from ganzoo.process.memory import out_of_memory
from ganzoo.process.signals import HEEDED, Insistence, handled, leave
from ganzoo.process.streams import lasting_streams

if TYPE_CHECKING:
    from ganzoo.recipe import Recipe

_PARTS = ("message", "hint", "where", "excerpt")
"""The parts of an error that a process tells its launcher."""

GRACE = 8.0
"""The time in seconds that a process has to write a checkpoint after its launcher has ended."""


@dataclass(frozen=True)
class Request:
    """The arguments of `ganzoo run`.

    Args:
        recipe: the recipe's path or name; None: the stored recipe of `resume`.
        overrides: `KEY=VALUE`, as for `--set`.
        out: the run directory itself; None: a new one.
        resume: the run directory to resume, or `last`.
        max_steps, max_seconds: the totals at which to stop.
        plugin_files, blocked: the values of `--plugin` and `--no-plugin`.
    """

    recipe: str | None
    overrides: tuple[str, ...] = ()
    out: str | None = None
    resume: str | None = None
    max_steps: int | None = None
    max_seconds: float | None = None
    plugin_files: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The result of a request: the exit code, the document of `--json`, and the error if any."""

    exit_code: int
    document: Mapping[str, Any] = field(default_factory=dict)
    error: GanzooError | None = None


def launch(request: Request, processes: int) -> Answer:
    """Execute a request in one or several processes, and wait for its end.

    Raises:
        GanzooError: when the run could not begin.
    """
    return execute(request) if processes == 1 else _launch_several(request, processes)


def execute(request: Request) -> Answer:
    """Execute a request in this process, which may be one of several that a launcher started.

    Raises:
        GanzooError: when the run could not begin.
    """
    from ganzoo.engine.intervals import Limits
    from ganzoo.engine.run import run

    recipe, resume, overrides = settled(request)
    result = run(
        recipe,
        out=Path(request.out) if request.out else None,
        resume=resume,
        limits=Limits(request.max_steps, request.max_seconds),
        overrides=overrides,
    )
    return Answer(int(result.exit_code), result.document, result.error)


def settled(request: Request) -> tuple[Recipe | None, Path | None, list[str]]:
    """Return the recipe, the run directory to resume, and every `--set` that applies.

    The recipe is None where the request names no recipe and no override, so that the stored recipe
    is used unchanged. The run directory is None for a new run.

    Raises:
        GanzooError: when the recipe or the run directory can't be used.
    """
    from ganzoo.engine import run_record
    from ganzoo.engine.resume import stored_recipe
    from ganzoo.recipe import load_recipe, read_recipe
    from ganzoo.run_files import find_run

    overrides = list(request.overrides)
    if request.recipe is not None:
        _refuse_run(request.recipe)
    if request.resume is None:
        if request.recipe is None:
            raise UsageError("nothing to run", hint="ganzoo run RECIPE, or ganzoo run --resume RUN")
        return load_recipe(request.recipe, overrides), None, overrides
    read = read_recipe(request.recipe) if request.recipe is not None else None
    runs = read.runs(overrides) if read is not None and request.resume == "last" else None
    path = find_run(request.resume, runs)
    # The overrides of the run's earlier parts still apply, unless they are given again.
    overrides = [*run_record.stored_overrides(path), *overrides]
    if read is not None:
        return read.checked(overrides), path, overrides
    return stored_recipe(path, request.overrides) if request.overrides else None, path, overrides


def _refuse_run(recipe: str) -> None:
    """Refuse a run directory in the place of a recipe.

    Raises:
        RecipeError: it is one; the hint says how it is resumed.
    """
    from ganzoo.run_files import is_run

    if is_run(expanded(recipe)):
        raise RecipeError(
            f"{quoted(recipe)} is a run directory, not a recipe",
            hint=f"`ganzoo run --resume {shlex.quote(recipe)}` continues it; the recipe in it is "
            f"{Path(recipe, 'recipe.toml')}",
        )


def _launch_several(request: Request, processes: int) -> Answer:
    """Execute a request in several processes on this machine, and wait for them.

    Each process gets the environment variables that torchrun would set, except those for a port:
    the processes find each other through a file. When one fails, the others are stopped, since
    they would wait for it forever. Its exit code becomes the exit code of the answer.

    Raises:
        GanzooError: when the recipe or the run directory can't be used. No process has been
            started then.
    """
    settled(request)
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers"
        answers.mkdir()
        command = [sys.executable, "-m", "ganzoo.engine.launch"]
        command += [json.dumps(asdict(request)), str(answers)]
        children = [
            subprocess.Popen(  # noqa: S603  # our own interpreter and arguments
                command,
                env=_environment(rank, processes, Path(folder) / "store"),
                # Only this process has the pipe's other end: when it closes, this process has
                # ended, and the child ends too.
                stdin=subprocess.PIPE,
                stdout=2,  # stdout is for this process's result; the children write files
                # The children are in a process group of their own, so that the terminal doesn't
                # send Ctrl-C to them. This process forwards it once.
                process_group=0,
            )
            for rank in range(processes)
        ]
        code, first = _wait(children)
        told = {file.stem: json.loads(file.read_text("utf-8")) for file in answers.iterdir()}
    document = told.get("0", {}).get("document", {})
    fault = told.get(str(first), {}).get("error") if first is not None else None
    error = None
    if fault is not None:
        where = f"process {first}, {fault['where']}" if fault["where"] else f"process {first}"
        error = GanzooError(fault["message"], hint=fault["hint"], where=where)
        error.excerpt, error.exit_code = fault["excerpt"], ExitCode(code)
    return Answer(code, document, error)


def _environment(rank: int, processes: int, store: Path) -> Mapping[str, str]:
    """Return the environment variables of a process.

    Its sockets use the loopback interface, unless the environment names another one.
    """
    own = {
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        STORE: str(store),
    }
    names = {name for _, name in socket.if_nameindex()} if hasattr(socket, "if_nameindex") else ()
    for loopback in ("lo", "lo0"):  # Linux's and macOS's
        if loopback in names:
            inside = {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
            return {**inside, **os.environ, **own}
    return {**os.environ, **own}


def _wait(children: Sequence[subprocess.Popen[bytes]]) -> tuple[int, int | None]:
    """Wait for all processes, and return the exit code and rank of the first one that failed.

    The result is (0, None) if none failed.
    """
    insistence = Insistence()
    until = float("inf")

    def forward(number: int, _frame: object) -> None:
        nonlocal until
        _send(children, number)
        if insistence.heard(number):
            until = time.monotonic() + 2  # for processes that can't handle signals any more

    with handled(forward), _stopped_together(children):
        waiting = list(children)
        code, first = 0, None
        while waiting:
            if time.monotonic() >= until:
                _send(waiting, signal.SIGKILL)
            for child in list(waiting):
                try:
                    ended = child.wait(timeout=0.1)
                except subprocess.TimeoutExpired:
                    continue
                waiting.remove(child)
                if ended and not code:
                    code, first = _code(ended), children.index(child)
                    if code != ExitCode.INTERRUPTED:
                        _stop(waiting)
        return code, first


def _code(ended: int) -> int:
    """Return a process's exit code, which is 130 if a stop signal killed the process.

    Such a signal kills a process that hasn't installed its signal handlers yet.
    """
    if -ended in HEEDED:
        return ExitCode.INTERRUPTED
    return 128 - ended if ended < 0 else ended


def _send(children: Sequence[subprocess.Popen[bytes]], number: int) -> None:
    for child in children:
        if child.poll() is None:
            child.send_signal(number)


@contextlib.contextmanager
def _stopped_together(children: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Let Ctrl-Z suspend the children too, until this process is resumed."""
    if not hasattr(signal, "SIGTSTP"):
        yield
        return

    def hold(_number: int, _frame: object) -> None:
        _send(children, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        _send(children, signal.SIGCONT)

    before = signal.signal(signal.SIGTSTP, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)


def _stop(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        try:
            # This is long enough for a rank that has the same error to end with it by itself.
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()


def _end_with_launcher() -> None:
    """Wait until the launcher's end of stdin closes; then end this process.

    It writes a checkpoint if that takes less than `GRACE` seconds.
    """
    with contextlib.suppress(OSError):
        while os.read(0, 64):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    leave(ExitCode.INTERRUPTED)


def _child(argument: str, folder: str) -> int:
    from ganzoo.plugin_system.registry import activate

    threading.Thread(target=_end_with_launcher, daemon=True).start()
    plain = json.loads(argument)
    for name in ("overrides", "plugin_files", "blocked"):  # JSON has no tuples
        plain[name] = tuple(plain[name])
    request = Request(**plain)
    try:
        activate(block=request.blocked, files=request.plugin_files)
        answer = execute(request)
    except GanzooError as error:
        answer = Answer(int(error.exit_code), {}, error)
    except KeyboardInterrupt:
        answer = Answer(ExitCode.INTERRUPTED)
    except SystemExit as left:
        answer = Answer(ExitCode.PLUGIN, {}, left_by(left))
    except Exception as error:  # noqa: BLE001  # the launcher reports the error as a bug
        fault = out_of_memory(
            error, "this run", hint="Make networks or batches smaller, or use fewer processes."
        ) or _bug(error)
        answer = Answer(int(fault.exit_code), {}, fault)
    told: dict[str, Any] = {"document": dict(answer.document)}
    if (wrong := answer.error) is not None:
        told["error"] = {key: getattr(wrong, key) for key in _PARTS}
    file = Path(folder) / f"{os.environ['RANK']}.json"
    file.write_text(to_json(told), encoding="utf-8")
    return answer.exit_code


def _bug(error: Exception) -> GanzooError:
    traceback.print_exception(error)
    return GanzooError(
        f"this is a bug in {culprit(error) or 'ganzoo'}: {error_text(error)}",
        hint="please report it with the traceback above and the command",
    )


if __name__ == "__main__":
    with lasting_streams():
        status = _child(sys.argv[1], sys.argv[2])
    # torch 2.14 with gloo sometimes aborts during the interpreter's exit, so that is skipped;
    # nothing remains to be done there.
    os._exit(status)
