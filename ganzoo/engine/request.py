"""A run as asked for: small, plain, and the same in this process or in many."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.errors import ExitCode, GanzooError, UsageError
from ganzoo.files import to_json
from ganzoo.garbage import unsearched

if TYPE_CHECKING:
    from ganzoo.recipe import Recipe


@dataclass(frozen=True)
class Request:
    """What `ganzoo run` was asked.

    Args:
        recipe: path or name; None to go on with the stored one of `resume`.
        overrides: `KEY=VALUE`, as `--set` takes them.
        out: the run directory itself; None: a new one.
        resume: a run directory, or `last`.
        max_steps, max_seconds: totals at which to stop.
        plugin_files, blocked: as the command line's `--plugin` and `--no-plugin`.
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
    """What came of a request: the exit code, the document of `--json`, and the error if any."""

    exit_code: int
    document: Mapping[str, Any] = field(default_factory=dict)
    error: GanzooError | None = None


def execute(request: Request) -> Answer:
    """Run in this process, alone or as one of several that a launcher started.

    Raises:
        GanzooError: when the run could not begin.
    """
    with unsearched():
        from ganzoo.engine.clocks import Limits
        from ganzoo.engine.run import run

        recipe, resume, overrides = _settled(request)
    result = run(
        recipe,
        out=Path(request.out) if request.out else None,
        resume=resume,
        limits=Limits(request.max_steps, request.max_seconds),
        overrides=overrides,
    )
    return Answer(int(result.exit_code), result.document, result.error)


def _settled(request: Request) -> tuple[Recipe | None, Path | None, list[str]]:
    """The recipe, the run directory to go on with, and every `--set` in force."""
    from ganzoo.engine import provenance, rundir
    from ganzoo.engine.resume import stored_recipe
    from ganzoo.recipe import load_recipe

    if request.recipe is None and request.resume is None:
        raise UsageError("nothing to run", hint="ganzoo run RECIPE, or ganzoo run --resume RUN")
    recipe = load_recipe(request.recipe, request.overrides) if request.recipe else None
    overrides = list(request.overrides)
    resume = rundir.find(request.resume, recipe) if request.resume else None
    if resume is not None:
        # What the run was begun with stays set, unless it is said anew.
        overrides = [*provenance.stored_overrides(resume), *overrides]
        if request.recipe is not None:
            recipe = load_recipe(request.recipe, overrides)
        elif request.overrides:
            recipe = stored_recipe(resume, request.overrides)
    return recipe, resume, overrides


def launch(request: Request, processes: int) -> Answer:
    """Run in several processes on this machine and wait for them.

    Each gets what torchrun would give it. When one fails the others are stopped, since they would
    wait for it for ever; its exit code is the answer's.

    Raises:
        GanzooError: when recipe or run directory can't be used, before any process is started.
    """
    _settled(request)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        base = {
            "WORLD_SIZE": str(processes),
            "LOCAL_WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        command = [sys.executable, "-m", "ganzoo.engine.request"]
        command += [json.dumps(asdict(request)), folder]
        children = [
            subprocess.Popen(  # noqa: S603  # our own interpreter and arguments
                command,
                env={**os.environ, **base, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=2,  # stdout has this process's result; they tell theirs in files
            )
            for rank in range(processes)
        ]
        code, first = _wait(children)
        told = {file.stem: json.loads(file.read_text("utf-8")) for file in Path(folder).iterdir()}
    document = told.get("0", {}).get("document", {})
    fault = told.get(str(first), {}).get("error") if first is not None else None
    error = None
    if fault is not None:
        where = f"process {first}, {fault['where']}" if fault["where"] else f"process {first}"
        error = GanzooError(
            fault["message"], hint=fault["hint"], where=where, exit_code=ExitCode(code)
        )
    return Answer(code, document, error)


def _wait(children: list[subprocess.Popen[bytes]]) -> tuple[int, int | None]:
    """The exit code of the first process that failed, and its rank; (0, None) if none did."""

    def forward(number: int, _frame: object) -> None:
        for child in children:
            if child.poll() is None:
                child.send_signal(number)

    # A terminal's Ctrl-C reaches the children by itself; they finish their step, and we wait.
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, forward),
    }
    try:
        waiting = list(children)
        code, first = 0, None
        while waiting:
            for child in list(waiting):
                try:
                    ended = child.wait(timeout=0.1)
                except subprocess.TimeoutExpired:
                    continue
                waiting.remove(child)
                if ended and not code:
                    code = 128 - ended if ended < 0 else ended
                    first = children.index(child)
                    if ended != ExitCode.INTERRUPTED:
                        _stop(waiting)
        return code, first
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        try:
            # Long enough to say the same fault by itself, when all ranks have it.
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()


def _child(argument: str, folder: str) -> int:
    from ganzoo.registry import activate

    plain = json.loads(argument)
    for name in ("overrides", "plugin_files", "blocked"):  # JSON has no tuples
        plain[name] = tuple(plain[name])
    request = Request(**plain)
    activate(block=request.blocked, files=request.plugin_files)
    try:
        answer = execute(request)
    except GanzooError as error:
        answer = Answer(int(error.exit_code), {}, error)
    told: dict[str, Any] = {"document": dict(answer.document)}
    if (fault := answer.error) is not None:
        told["error"] = {"message": fault.message, "hint": fault.hint, "where": fault.where}
    file = Path(folder) / f"{os.environ['RANK']}.json"
    file.write_text(to_json(told), encoding="utf-8")
    return answer.exit_code


if __name__ == "__main__":
    status = _child(sys.argv[1], sys.argv[2])
    sys.stdout.flush()
    sys.stderr.flush()
    # torch 2.14 with gloo aborts at interpreter exit now and then; nothing is left to do there.
    os._exit(status)
