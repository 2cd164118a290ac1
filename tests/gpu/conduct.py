"""Rows in a process of their own: one that hangs is stopped, one that dies takes nothing along."""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.metadata
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.gpu.parts import Part, Setup
from tests.gpu.report import NotPossibleError, Row

ROOT = Path(__file__).parents[2]
Tell = Callable[[Row], None]
_ENDING = 2.0
"""Seconds that a stopped process and the report may take."""
FAIR = 15.0
"""Seconds that a row gets even where its part has less left, as long as the whole check has them. A
row that is stopped sooner has not failed: it had too little time."""


NEEDED = "tests.gpu.loops"
"""What nearly all rows need, and takes seconds to import: a process has it before it is ready."""


def use_source_tree(folder: Path) -> dict[str, str]:
    """Make ganzoo and its plugins importable without an installation, here and in children.

    Where ganzoo isn't installed, its plugins have no entry points. A folder with the metadata that
    an installation would write gives them some.

    Args:
        folder: where to write the metadata.

    Returns:
        the environment for children.
    """
    paths = [str(ROOT), *(str(path) for path in sorted((ROOT / "plugins").iterdir()))]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    name, version = project["name"], project["version"]
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        points = project["entry-points"]["ganzoo.plugins"]
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata, "utf-8")
        lines = ["[ganzoo.plugins]", *(f"{name} = {value}" for name, value in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines), "utf-8")
        paths.append(str(folder))
    sys.path[:0] = [path for path in paths if path not in sys.path]
    before = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([*paths, *([before] if before else [])])}


def conduct(
    parts: Sequence[Part], setup: Setup, environment: Mapping[str, str], tell: Tell
) -> None:
    """Make all rows of the parts within `setup.seconds`; `tell` is called with each at once.

    Each part has its share of the time. A row whose process dies or hangs has failed, and a new
    process goes on with the next row: an error on a GPU can leave a process unable to use it.
    """
    ends = time.monotonic() + setup.seconds - _ENDING
    worker: _Worker | None = None
    try:
        for index, part in enumerate(parts):
            weight = part.weight / sum(later.weight for later in parts[index:])
            part_seconds = (ends - time.monotonic()) * weight
            part_ends = time.monotonic() + part_seconds
            names = list(part.rows())
            for place, name in enumerate(names):
                left = part_ends - time.monotonic()
                if left <= 0:
                    why = f"no time was left of the part's {max(0.0, part_seconds):.0f} s"
                    tell(Row(part.name, name, "not possible", why=why))
                    continue
                if worker is None:
                    worker = _Worker(setup.folder, environment)
                # All rows but the last get at most half of what is left, so that one that hangs
                # leaves time for the others.
                share = left if place == len(names) - 1 else left / 2
                allowed = min(max(share, FAIR), ends - time.monotonic())
                allotted = Setup(setup.device, allowed, setup.folder)
                tell(worker.make(part, name, allotted, ends))
                if not worker.alive:
                    worker = None
    finally:
        if worker is not None:
            worker.stop()


class _Worker:
    """A process that makes one row after the other.

    Args:
        folder: where its output goes.
        environment: variables to add.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.alive = True
        self._log = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed in `stop`
        told, tells = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.gpu.conduct", str(tells), NEEDED],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            text=True,
            pass_fds=(tells,),
            start_new_session=True,  # so that all that it starts can be stopped with it
        )
        os.close(tells)
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, args=(told,), daemon=True).start()
        self._ready = False

    def _read(self, told: int) -> None:
        with os.fdopen(told, encoding="utf-8") as stream:
            for line in stream:
                self._lines.put(line)
        self._lines.put(None)

    def make(self, part: Part, name: str, setup: Setup, ends: float) -> Row:
        """Make a row by the moment `ends` at the latest; the process may not outlive it.

        The start of the process isn't the row's time.
        """
        allowed = setup.seconds
        try:
            if not self._ready:
                self._next(ends)
                self._ready = True
            allowed = min(allowed, ends - time.monotonic())
            order = {"part": part.name, "module": part.module, "name": name, "seconds": allowed}
            order |= {"device": setup.device, "folder": str(setup.folder)}
            assert self._process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # `_next` says how it ended
                print(json.dumps(order), file=self._process.stdin, flush=True)
            return Row(**self._next(time.monotonic() + allowed))
        except queue.Empty:
            late = f"stopped after {allowed:.0f} s"
            if allowed < FAIR or not self._ready:
                return Row(part.name, name, "not possible", why=f"{late}: too little time was left")
            return Row(part.name, name, "failed", why=f"{late}: it hung or was far too slow")
        except EOFError as error:
            return Row(part.name, name, "failed", why=str(error))

    def _next(self, ends: float) -> dict[str, Any]:
        """What the process says next.

        Raises:
            queue.Empty: it said nothing in time, and was stopped.
            EOFError: it ended.
        """
        try:
            line = self._lines.get(timeout=max(0.0, ends - time.monotonic()))
        except queue.Empty:
            self.stop()
            raise
        if line is None:
            code = self._process.wait()
            self._log.seek(0)
            said = self._log.read().decode("utf-8", "replace").strip().splitlines()
            self.stop()
            message = f"its process ended with {code}: {said[-1] if said else 'it said nothing'}"
            raise EOFError(message)
        found: dict[str, Any] = json.loads(line)
        return found

    def stop(self) -> None:
        """End the process and all that it started."""
        if not self.alive:
            return
        self.alive = False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        self._log.close()


def serve(tells: int, needed: str) -> None:
    """Be the process that makes rows: read orders, and say each row."""
    importlib.import_module(needed)
    with os.fdopen(tells, "w", encoding="utf-8") as stream:
        print(json.dumps({"ready": True}), file=stream, flush=True)
        for line in sys.stdin:
            order = json.loads(line)
            part = Part(order["part"], order["module"], weight=0)
            setup = Setup(order["device"], order["seconds"], Path(order["folder"]))
            row = made(part, order["name"], setup)
            print(json.dumps(vars(row)), file=stream, flush=True)
            _tidy()


def made(part: Part, name: str, setup: Setup) -> Row:
    """Make a row; whatever it raises becomes a row that failed."""
    try:
        figure = part.rows()[name](setup)
    except NotPossibleError as error:
        return Row(part.name, name, "not possible", why=str(error))
    except Exception as error:  # noqa: BLE001  # a row that fails stops no other
        first = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        return Row(part.name, name, "failed", why=first)
    status = "failed" if figure.fault else "passed"
    return Row(part.name, name, status, figure.text, figure.fault, figure.values)


def _tidy() -> None:
    """Give back what a row held, so that the next one measures itself alone."""
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
    sys.stdout.flush()
    os._exit(0)  # processes of a group over gloo abort at interpreter exit now and then
