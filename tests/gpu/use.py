"""`predict` on a folder and `evaluate`: images a second, and the difference to a CPU's images."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ganzoo.data.convert import to_uint8
from ganzoo.data.pipeline import open_for_evaluation
from ganzoo.data.write_image import save_image
from ganzoo.inference.evaluate import evaluate_run
from ganzoo.inference.predict import predict
from tests.gpu.loops import papers_recipe
from tests.gpu.parts import Setup
from tests.gpu.report import Figure
from tests.gpu.training import FOLDER, train

_SHORT = "short_training"
"""A run of these rows' own, where the training before them came to nothing."""

LEVELS = 2
"""Of 255, by which a GPU's fp32 image may differ from a CPU's."""


def rows() -> Mapping[str, Callable[[Setup], Figure]]:
    """Speed, difference, evaluation."""
    return {
        "predict a folder": _predict,
        "the same images as a CPU's": _difference,
        "evaluate": _evaluate,
    }


def _run(setup: Setup) -> Path:
    for name in (FOLDER, _SHORT):
        if list((setup.folder / name / "checkpoints").glob("step_*/manifest.json")):
            return setup.folder / name
    shutil.rmtree(setup.folder / _SHORT, ignore_errors=True)
    return train(setup, 3.0, _SHORT).path


def _inputs(setup: Setup, count: int) -> Path:
    folder = setup.folder / f"inputs_{count}"
    folder.mkdir(exist_ok=True)
    data = open_for_evaluation(papers_recipe(setup), "test")
    for index in range(count):
        file = folder / f"{index:04d}.png"
        if not file.exists():
            save_image(to_uint8(data.sample(index % len(data))["source"]), file)
    return folder


def _predict(setup: Setup) -> Figure:
    run, count = _run(setup), 8 if setup.small else 106
    inputs = _inputs(setup, count)
    predict(run, [inputs], setup.folder / "warm", device=setup.device, overwrite=True)
    began = time.monotonic()
    told = predict(run, [inputs], setup.folder / "made", device=setup.device, overwrite=True)
    rate = count / (time.monotonic() - began)
    text = f"{rate:.1f} images/s of {count} in {told['precision']}, loading the weights included"
    return Figure(text, {"images_per_second": rate, "precision": told["precision"]})


def _difference(setup: Setup) -> Figure:
    run, inputs = _run(setup), _inputs(setup, 4 if setup.small else 16)
    made = {}
    for name, device, precision in (
        ("cpu", "cpu", "fp32"),
        ("fp32", setup.device, "fp32"),
        ("auto", setup.device, "auto"),
    ):
        out = setup.folder / f"difference_{name}"
        predict(run, [inputs], out, device=device, precision=precision, overwrite=True)
        made[name] = np.stack([np.asarray(Image.open(f)) for f in sorted(out.glob("*.png"))])
    apart = {name: np.abs(made[name].astype(int) - made["cpu"]) for name in ("fp32", "auto")}
    text = "; ".join(
        f"{name}: at most {one.max()} levels of 255, mean {one.mean():.3f}"
        for name, one in apart.items()
    )
    text += f" (the CPU's images have a standard deviation of {made['cpu'].std():.0f})"
    largest = int(apart["fp32"].max())
    fault = f"fp32 differs by {largest} levels, more than {LEVELS}" if largest > LEVELS else ""
    values = {name: {"largest": int(one.max()), "mean": one.mean()} for name, one in apart.items()}
    return Figure(text, values, fault)


def _write_pairs(setup: Setup, root: Path, count: int) -> None:
    for split in ("train", "val", "test"):
        (root / split).mkdir(parents=True, exist_ok=True)
        data = open_for_evaluation(papers_recipe(setup), "test")
        for index in range(count):
            sample = data.sample(index % len(data))
            pair = torch.cat([sample["source"], sample["target"]], dim=2)
            save_image(to_uint8(pair), root / split / f"{index:04d}.png")


def _evaluate(setup: Setup) -> Figure:
    # Of pairs in files: the metric that drawn facades propose trains a network of its own first.
    count = 4 if setup.small else 32
    root = setup.folder / "pairs"
    _write_pairs(setup, root, count)
    data = ("data.use=images/side_by_side", f"data.root={root}", "data.direction=left_to_right")
    shutil.rmtree(setup.folder / "evaluated", ignore_errors=True)
    run = train(setup, 3.0, "evaluated", *data).path
    began = time.monotonic()
    told = evaluate_run(run, "test", device=setup.device, limit=count)
    rate = count / (time.monotonic() - began)
    means = {name: one["mean"] for name, one in told["metrics"].items()}
    shown = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())
    return Figure(f"{rate:.1f} images/s with all metrics; {shown}", {"metrics": means})
