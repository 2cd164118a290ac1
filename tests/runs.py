"""Training in processes of their own, and what two runs have in common."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file


def ganzoo(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of ganzoo in a folder, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "ganzoo", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def train(
    recipe: Path, out: str, *sets: str, processes: int, steps: int, plugins: tuple[Path, ...] = ()
) -> Path:
    """Train a recipe on the CPU, in as many processes; return the run's folder.

    Args:
        recipe: its file. The run's folder is beside it.
        out: name of the run's folder. A run that is there is resumed.
        sets: changes of the recipe, of a new run alone.
        processes: their number.
        steps: at which the training ends.
        plugins: files of plugins to register.
    """
    folder = recipe.parent / out
    what = ["--resume", folder] if folder.exists() else [recipe, "--out", folder]
    ended = ganzoo(
        *(f"--plugin={file}" for file in plugins),
        *("run", *what, "--processes", processes, "--device", "cpu"),
        *("--max-steps", steps, "--json", *(f"--set={one}" for one in sets)),
        cwd=recipe.parent,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["step"] == steps
    return folder


def tensors(run: Path, step: int) -> dict[str, torch.Tensor]:
    """All tensors of a checkpoint, by `FILE/NAME`: weights and the state of the training."""
    return {
        f"{file.name}/{name}": tensor
        for file in sorted((run / "checkpoints" / f"step_{step}").glob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }


def weights(run: Path, step: int) -> dict[str, torch.Tensor]:
    """The weights of all networks of a checkpoint, by `ROLE.NAME`."""
    return {
        name.replace(".safetensors/", ".", 1): tensor
        for name, tensor in tensors(run, step).items()
        if not name.startswith("training_state.")
    }


def worst(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest distance between two values of the same name and place."""
    assert one.keys() == other.keys() != set()
    return max((one[name].double() - other[name].double()).abs().max().item() for name in one)


def log_of(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def losses(run: Path) -> list[dict[str, float]]:
    """The losses of each log step."""
    return [line["losses"] for line in log_of(run) if "losses" in line]


def assert_same_bits(one: Path, two: Path, step: int) -> None:
    """Two runs have the same checkpoint, bit for bit, and the same log."""
    first, second = tensors(one, step), tensors(two, step)
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert not different
    assert log_of(one) == log_of(two)
