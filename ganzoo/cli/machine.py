"""What this machine can do, and where things go on it, one finding each.

Imports torch, and says so where it can't.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ganzoo.cli.diagnosis import Finding, version_of
from ganzoo.errors import GanzooError, error_text
from ganzoo.process.cpu_cores import cores

LITTLE = 2 * 2**30
"""Bytes of free disk below which a warning is due: checkpoints and data sets are large."""

VARIABLES = (
    *("GANZOO_DATA", "GANZOO_CACHE", "GANZOO_DISABLE_PLUGINS", "GANZOO_PLUGIN_AUTOLOAD"),
    *("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PYTORCH_ENABLE_MPS_FALLBACK"),
    *("WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE"),
)
"""Variables of the environment that change what ganzoo does, here or through torch."""


def of_machine() -> Iterator[Finding]:
    """Look at devices, folders and the environment."""
    yield from devices()
    yield from folders()
    yield from variables()
    yield from accelerate_config()


def devices() -> Iterator[Finding]:
    """What torch can compute on, and what `auto` means here."""
    try:
        import torch
    except Exception as error:  # noqa: BLE001  # whatever a broken build raises
        yield Finding(
            "torch",
            "broken",
            version_of("torch") or "none",
            f"it can't be imported: {error_text(error)}",
            "reinstall torch; https://pytorch.org says how for this machine",
        )
        return
    yield Finding("torch", "ok", f"{torch.__version__} of {Path(torch.__file__).parent}")
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(index)
            memory = f"{about.total_memory / 2**30:.0f} GiB"
            yield Finding("device", "ok", f"cuda:{index}: {about.name}, {memory}")
    elif torch.version.cuda and shutil.which("nvidia-smi"):
        yield Finding(
            "device",
            "warning",
            "cpu",
            "there is an NVIDIA driver, and torch sees no CUDA device",
            "compare `nvidia-smi` with the CUDA of torch: " + str(torch.version.cuda),
        )
    try:
        from ganzoo.engine.accelerate_session import resolve
        from ganzoo.nn.hardware import multiplies_bf16
        from ganzoo.recipe.model import Train

        auto = resolve(Train())
    except GanzooError as error:
        yield Finding("auto", "warning", "", error.message, error.hint)
        return
    except Exception as error:  # noqa: BLE001  # accelerate may be as broken as torch
        message = f"the engine can't be imported: {error_text(error)}"
        yield Finding("auto", "broken", "", message, "reinstall ganzoo and what it requires")
        return
    yield Finding("device", "ok", f"auto is {auto.device}")
    does = "multiplies" if multiplies_bf16(auto.device) else "doesn't multiply"
    reason = f"{auto.device} {does} bf16 in hardware"
    yield Finding("precision", "ok", f"auto is {auto.precision}", reason)
    threads = f"{cores()} cores for this process"
    if wanted := os.environ.get("OMP_NUM_THREADS"):
        threads += f", OMP_NUM_THREADS={wanted}"
    yield Finding("threads", "ok", f"auto is {auto.threads}", threads)


def folders() -> Iterator[Finding]:
    """Where data and caches are: there, writable, and with space."""
    shared = os.environ.get("GANZOO_DATA")
    if shared:
        folder = Path(shared).expanduser()
        if folder.is_dir():
            count = sum(one.is_dir() for one in folder.iterdir())
            yield Finding("data", "ok", f"{folder}", f"{count} folders")
        else:
            hint = "set GANZOO_DATA to the folder that holds data sets, or unset it"
            yield Finding("data", "warning", shared, "GANZOO_DATA names no folder", hint)
    else:
        yield Finding(
            "data", "note", "none", "GANZOO_DATA isn't set: data are looked for in caches"
        )
    try:
        from ganzoo.data import cache_folder
    except Exception:  # noqa: BLE001  # it needs torch, whose lack is a finding of its own
        yield Finding("cache", "note", "unknown", "not looked at, since torch can't be imported")
    else:
        yield _writable("cache", cache_folder(), "set GANZOO_CACHE to a folder you may write to")
    yield _writable("runs", Path.cwd() / "runs", "work in a folder that you may write to")


def _writable(name: str, folder: Path, hint: str) -> Finding:
    """Whether a folder, or the nearest one above it that exists, can be written to."""
    base = folder.absolute()
    while not base.exists():
        base = base.parent
    if not base.is_dir() or not os.access(base, os.W_OK | os.X_OK):
        return Finding(name, "warning", str(folder), "it can't be written to", hint)
    free = shutil.disk_usage(base).free
    message = f"{free / 2**30:.1f} GiB free"
    if free < LITTLE:
        return Finding(name, "warning", str(folder), message, "make space, or choose another disk")
    return Finding(name, "ok", str(folder), message)


def variables() -> Iterator[Finding]:
    """Variables of the environment that are set and matter."""
    for name in VARIABLES:
        if name in os.environ:
            yield Finding("environment", "note", f"{name}={os.environ[name]}")


def accelerate_config() -> Iterator[Finding]:
    """A config that `accelerate config` once wrote, which ganzoo doesn't read."""
    home = os.environ.get("HF_HOME") or Path("~/.cache/huggingface").expanduser()
    folder = Path(home).expanduser() / "accelerate"
    for file in sorted(folder.glob("default_config.*")):
        yield Finding(
            "accelerate_config",
            "note",
            str(file),
            "not used by ganzoo run: the recipe says precision and processes; "
            "`accelerate launch` reads it",
        )
