"""Write and read checkpoints, which consist of safetensors and JSON files.

A checkpoint is written under a temporary name, synchronised to disk, and renamed, so that it is
either complete or absent. `manifest.json` contains the sha256 of every file, which is verified
before a checkpoint is used. A process that is killed at any moment leaves the previous checkpoint
unchanged.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
)
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ganzoo.engine.run_directory import now
from ganzoo.errors import DataError, EnvironmentFault, PluginError
from ganzoo.files import (
    cannot_write,
    read_json,
    replacing,
    sha256_of,
    spelt,
    unspelt,
    write_json,
    write_text,
)
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.inference.weights_file import load_weights, save_weights, writable
from ganzoo.run_files import MANIFEST, checkpoint_folders, damage_of, read_manifest, step_of

FORMAT = 1
LATEST = "LATEST"
_TRAINING = "training_state"


class _Rank(BaseModel):
    model_config = ConfigDict(strict=True)

    class Generators(BaseModel):
        """The states of the random generators of NumPy and Python."""

        numpy: tuple[str, list[int], Annotated[int, Field(ge=0, le=624)], int, float]
        python: tuple[int, list[int], float | None]

    rng: Generators
    task: Any


class _Best(BaseModel):
    step: NonNegativeInt
    value: float
    metric: str


class _Stepper(BaseModel):
    model_config = ConfigDict(strict=True)

    window_counts: dict[str, PositiveInt]
    turns: dict[str, NonNegativeInt] = {}
    resting: list[str] = []
    optimizer_layout: str = ""
    scaler: dict[str, float] = {}


class _Plain(BaseModel):
    """The fields that `restore` needs in `training_state.json`."""

    model_config = ConfigDict(strict=True)

    format: PositiveInt
    step: PositiveInt
    images: PositiveInt
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    stepper: _Stepper
    ranks: Annotated[list[_Rank], Field(min_length=1)]
    best: _Best | None
    revisions: dict[str, int]


@dataclass
class State:
    """The content of a checkpoint.

    Args:
        step, images: the numbers of steps made and of images seen so far.
        weights: for each file stem (`generator`, `generator.ema`), its card and tensors.
        tensors: the tensors of optimizers, random generators, log window, per-rank buffers and
            task state.
        plain: all other values, for JSON.
    """

    step: int
    images: int
    weights: dict[str, tuple[WeightsCard, Mapping[str, Tensor]]] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    plain: dict[str, Any] = field(default_factory=dict)


def split_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Move the tensors of nested dicts and lists into `tensors`, and return the rest for JSON."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"__tensor__": name}
    if isinstance(value, Mapping):
        return {key: split_tensors(item, f"{name}/{key}", tensors) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [split_tensors(item, f"{name}/{i}", tensors) for i, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise PluginError(f"{name}: a task's state can't hold a {type(value).__name__}")


def join_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Put the tensors back in the places from which `split_tensors` took them."""
    if isinstance(value, dict):
        if "__tensor__" in value:
            return tensors[value["__tensor__"]]
        return {key: join_tensors(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [join_tensors(item, tensors) for item in value]
    return value


def save(root: Path, state: State, *, keep: int, best: int | None) -> Path:
    """Write the checkpoint `root/step_N` and delete older ones.

    Args:
        root: the run's `checkpoints` folder.
        state: the state to save.
        keep: the number of checkpoints kept besides this one and the best one.
        best: the step of the best checkpoint, which is always kept.

    Raises:
        EnvironmentFault: when the disk is full or can't be written. The error contains the number
            of bytes needed. Older checkpoints are unchanged in this case.
    """
    final = root / f"step_{state.step}"
    folder = root / f"step_{state.step}.tmp"
    try:
        root.mkdir(exist_ok=True)
        for leftover in root.glob("step_*.tmp"):
            shutil.rmtree(leftover)
        folder.mkdir()
        _write_files(folder, state)
        if final.exists():
            shutil.rmtree(final)  # a checkpoint of the same step that was found to be damaged
        folder.rename(final)
        _sync(root)
        write_text(root / LATEST, final.name + "\n")
        _thin_out(root, latest=state.step, keep=keep, best=best)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)  # status.json may need the space
        fault = cannot_write(error, final, _bytes_of(state))
        fault.where = str(final)  # not a file in the folder that was just removed
        fault.message = f"the checkpoint of step {state.step} {fault.message}"
        fault.hint += "\nThen continue with --resume; older checkpoints are intact."
        raise fault from error
    return final


def _write_files(folder: Path, state: State) -> None:
    for stem, (card, tensors) in state.weights.items():
        save_weights(folder / f"{stem}.safetensors", tensors, card)
    with replacing(folder / f"{_TRAINING}.safetensors") as temporary:
        save_file(writable(state.tensors), temporary)
    plain = {"format": FORMAT, "step": state.step, "images": state.images, **state.plain}
    # write_json isn't used, because a resume needs infinite values (of a scaler or of an image
    # pool) unchanged.
    write_text(folder / f"{_TRAINING}.json", json.dumps(spelt(plain), allow_nan=False) + "\n")
    files = {
        file.name: {"sha256": sha256_of(file), "bytes": file.stat().st_size}
        for file in sorted(folder.iterdir())
    }
    write_json(
        folder / MANIFEST,
        {"step": state.step, "images": state.images, "created": now(), "files": files},
    )
    _sync(folder)


def _bytes_of(state: State) -> int:
    """Return the size of a state's tensors; everything else is small in comparison."""
    groups = [*(tensors for _, tensors in state.weights.values()), state.tensors]
    return sum(t.numel() * t.element_size() for group in groups for t in group.values())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def steps(root: Path) -> list[int]:
    """Return the steps that have a checkpoint folder, newest first."""
    return [step_of(folder) for folder in checkpoint_folders(root)]


def _thin_out(root: Path, *, latest: int, keep: int, best: int | None) -> None:
    older = [step for step in steps(root) if step not in (latest, best)]
    for step in older[keep:]:
        # The folder is renamed first, so that a process that is killed here doesn't leave an
        # incomplete checkpoint under the final name.
        leaving = (root / f"step_{step}").rename(root / f"step_{step}.tmp")
        shutil.rmtree(leaving)


def damage(folder: Path) -> str:
    """Return what is wrong with a checkpoint, or an empty string.

    A checkpoint is valid when every hash is correct and no necessary file or field is missing.
    """
    try:
        files = read_manifest(folder)
    except DataError:
        return f"{MANIFEST} is missing or unreadable"
    if unlisted := {f"{_TRAINING}.json", f"{_TRAINING}.safetensors"} - files.keys():
        return f"{MANIFEST} doesn't list {min(unlisted)}"
    for name, written in files.items():
        if fault := damage_of(folder / name, written):
            return f"{name}: {fault}"
    return _misfit(folder)


def _misfit(folder: Path) -> str:
    """Return what is wrong with the content of a training state whose hashes are correct."""
    try:
        plain = unspelt(read_json(folder / f"{_TRAINING}.json"))
        if isinstance(plain.get("format"), int) and plain["format"] > FORMAT:
            return ""  # `load` raises the error
        step = _Plain.model_validate_json(json.dumps(plain)).step
    except ValidationError as error:
        first = error.errors()[0]
        return f"{_TRAINING}.json: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    except DataError as error:
        return f"{_TRAINING}.json {error.message}"
    except (TypeError, ValueError) as error:
        return f"{_TRAINING}.json: {error}"
    return "" if step == step_of(folder) else f"it is a checkpoint of step {step}"


def newest_good(root: Path, *, below: Path | None = None) -> tuple[Path | None, list[str]]:
    """Return the newest undamaged checkpoint, and what is wrong with the newer ones.

    Args:
        root: the run's `checkpoints` folder.
        below: a checkpoint; only older ones are considered.

    Returns:
        The folder, or None when there are no checkpoints at all, and a sentence for each damaged
        checkpoint.

    Raises:
        DataError: when there are checkpoints and all of them are damaged.
    """
    problems: list[str] = []
    for folder in checkpoint_folders(root):
        if below is not None and step_of(folder) >= step_of(below):
            continue
        problem = damage(folder)
        if not problem:
            return folder, problems
        problems.append(f"{folder.name} is damaged: {problem}")
    if problems:
        raise DataError(
            "no checkpoint of this run is intact",
            where=str(root),
            hint="\n".join([*problems, "Restore one from a backup, or start a new run."]),
        )
    return None, problems


def weights_files(folder: Path) -> dict[str, str]:
    """Return the paths of a checkpoint's weights by role: the EMA weights where there are any."""
    found = {}
    # x.ema.safetensors comes after x.safetensors and replaces it.
    for file in sorted(folder.glob("*.safetensors"), reverse=True):
        if file.stem != _TRAINING:
            found[file.stem.removesuffix(".ema")] = str(file)
    return found


@dataclass(frozen=True)
class Progress:
    """The progress of a checkpoint.

    Args:
        step, images: the numbers of steps made and of images seen so far.
        seconds: the time spent in training, in all parts of the run.
    """

    step: int
    images: int
    seconds: float


def progress(folder: Path) -> Progress:
    """Return the progress of a checkpoint whose files are known to be undamaged."""
    plain = read_json(folder / f"{_TRAINING}.json")
    return Progress(plain["step"], plain["images"], plain["seconds"])


def load(folder: Path) -> State:
    """Read a checkpoint whose files are known to be undamaged.

    Raises:
        EnvironmentFault: when a newer version of ganzoo wrote it.
        DataError: when a file has a correct hash but its content is invalid.
    """
    plain = unspelt(read_json(folder / f"{_TRAINING}.json"))
    if plain.pop("format") > FORMAT:
        raise EnvironmentFault(
            "a newer ganzoo wrote this checkpoint", where=str(folder), hint="Upgrade ganzoo."
        )
    state = State(step=plain.pop("step"), images=plain.pop("images"), plain=plain)
    file = folder / f"{_TRAINING}.safetensors"
    try:
        state.tensors = load_file(file)
    except SafetensorError as error:
        raise DataError(f"is not a safetensors file ({error})", where=str(file)) from error
    for file in folder.glob("*.safetensors"):
        if file.stem != _TRAINING:
            state.weights[file.stem] = load_weights(file)
    return state
