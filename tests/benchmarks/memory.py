"""Peak resident memory of a run, beside the plain loop in fp32: the paper's facades model.

python -m tests.benchmarks.memory [--rounds N] [--steps N] [--precisions fp32 bf16] [--json]

Goals: at most 1.0 times the plain loop in fp32, at most 1.1 in bf16 (`precision = auto` where the
CPU multiplies it). Every measurement is a fresh process, and they take turns. What counts is the
highest resident size of the main process (VmHWM, in MB of 10^6 bytes), interpreter and imports
included: the whole of `ganzoo run` up to its last step, and the plain loop with Pillow, NumPy and
torch alone. Beside it stand what was resident after the imports, and the peak with the checkpoint
and the sample that end a run (the plain loop saves both networks by `torch.save`).

The data are `$GANZOO_DATA/facades` where that is, else drawn facades on disk. The EMA is off and
no process loads data beside the main one, in both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.timing import Spread, arguments, show

GOALS = {"fp32": 1.0, "bf16": 1.1}
WHAT = {
    "imports": "after imports",
    "first": "first step",
    "steps": "peak of the steps",
    "whole": "with the end",
}


def resident(field: str = "VmRSS") -> float:
    """This process's resident memory in MB: `VmRSS` now, `VmHWM` the highest so far."""
    with Path("/proc/self/status").open(encoding="ascii") as file:
        line = next(line for line in file if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024 / 1e6


def plain_batches(root: Path, size: int) -> Iterator[tuple[Any, Any]]:
    """Batches of one pair, label map and photograph, jittered as the reference does it.

    Args:
        root: folder of the files, each photograph | label map.
        size: pixels that are cut out of a picture enlarged by 286 / 256.
    """
    import random

    import numpy as np
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    class Pairs(Dataset[tuple[torch.Tensor, torch.Tensor]]):
        def __init__(self) -> None:
            self.files = sorted(path for path in root.iterdir() if path.is_file())

        def __len__(self) -> int:
            return len(self.files)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
            with Image.open(self.files[index]) as file:
                both = file.convert("RGB")
            half, large = both.width // 2, size * 286 // 256
            x, y = random.randint(0, large - size), random.randint(0, large - size)
            mirrored = random.random() > 0.5
            pair = []
            for left in (half, 0):
                image = both.crop((left, 0, left + half, both.height))
                image = image.resize((large, large), Image.Resampling.BICUBIC)
                image = image.crop((x, y, x + size, y + size))
                if mirrored:
                    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
                pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
                pair.append(pixels.contiguous().float().div(255).sub(0.5).div(0.5))
            return pair[0], pair[1]

    loader = DataLoader(Pairs(), batch_size=1, shuffle=True)
    while True:
        for source, target in loader:
            yield source, target


def plain_child(settings: dict[str, Any]) -> dict[str, float]:
    """Memory of the plain loop in this process, in MB."""
    import torch

    from tests.benchmarks.plain import make_step

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    batches = plain_batches(Path(settings["root"]) / "train", settings["size"])
    step = make_step(width=settings["width"], depth=settings["size"].bit_length() - 1)
    marks = {}
    for number in range(settings["steps"]):
        source, target = next(batches)
        if number == 0:
            marks["imports"] = resident()
        step(source, target)
        if number == 0:
            marks["first"] = resident("VmHWM")
    marks["steps"] = resident("VmHWM")
    torch.save(step.generator.state_dict(), Path(settings["out"]) / "generator.pt")
    torch.save(step.discriminator.state_dict(), Path(settings["out"]) / "discriminator.pt")
    return {**marks, "whole": resident("VmHWM")}


def ganzoo_child(settings: dict[str, Any]) -> dict[str, float]:
    """Memory of `ganzoo run` in this process, in MB."""
    from ganzoo.cli.main import main as ganzoo
    from ganzoo.engine.loop import Loop
    from ganzoo.engine.trainer import Trainer

    marks: dict[str, float] = {}
    began, stepped, finish = Trainer.__init__, Trainer.step, Loop._finish

    def begin(self: Trainer, *rest: Any, **more: Any) -> None:
        marks["imports"] = resident()
        began(self, *rest, **more)

    def step(self: Trainer) -> None:
        stepped(self)
        marks.setdefault("first", resident("VmHWM"))

    def end(self: Loop, *rest: Any) -> None:
        marks["steps"] = resident("VmHWM")
        finish(self, *rest)

    Trainer.__init__, Trainer.step, Loop._finish = begin, step, end  # type: ignore[method-assign]
    out, steps = str(Path(settings["out"]) / "run"), str(settings["steps"])
    recipe = ["--set", f"train.precision={settings['precision']}", settings["recipe"]]
    if code := ganzoo(["run", *recipe, "--max-steps", steps, "--out", out]):
        raise SystemExit(code)
    return {**marks, "whole": resident("VmHWM")}


RECIPE = """
extends = "pix2pix_facades.toml"
name = "memory"
[data]
use = "{use}"
root = "{root}"
direction = "right_to_left"
[[augment]]
use = "images/resize"
size = {large}
[[augment]]
use = "albumentations/random_crop"
height = {size}
width = {size}
[[augment]]
use = "albumentations/horizontal_flip"
p = 0.5
[generator]
depth = {depth}
width = {width}
[discriminator]
width = {width}
[train]
device = "cpu"
workers = 0
[ema]
enabled = false
"""
"""The paper's, at the size that is asked for."""


def data_root(folder: Path, size: int, count: int) -> Path:
    """The folder of facades: the real set, or `count` drawn ones that are written to `folder`."""
    real = Path(os.environ.get("GANZOO_DATA", "")) / "facades"
    if size >= 256 and (real / "train").is_dir():
        return real
    # Not in this process: a child that it forks would begin with its peak.
    subprocess.run([sys.executable, "-c", DRAW, str(folder), str(size), str(count)], check=True)
    return folder


DRAW = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
from ganzoo_images.procedural import ProceduralFacades
from ganzoo_images.procedural_options import ProceduralFacadesOptions
folder, size, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for split in ("train", "val", "test"):
    drawn = ProceduralFacades(ProceduralFacadesOptions(size=size), split)
    (folder / split).mkdir()
    for index in range(count):
        pair = drawn.load(index)
        both = np.concatenate([pair["target"], pair["source"]], 1)
        Image.fromarray(both).save(folder / split / f"{index:03d}.png")
"""


def measure(settings: dict[str, Any], rounds: int, contenders: list[str]) -> dict[str, Any]:
    """MB of each contender (`plain`, or a precision) at each mark, over fresh processes."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in contenders}
    for _ in range(rounds):
        for name in contenders:
            with tempfile.TemporaryDirectory() as out:
                told = json.dumps({**settings, "out": out, "precision": name})
                command = [sys.executable, "-m", "tests.benchmarks.memory", "--child", told]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            for mark, value in json.loads(done.stdout.splitlines()[-1]).items():
                found[name].setdefault(mark, []).append(value)
    return {
        name: {mark: Spread.of(values) for mark, values in marks.items()}
        for name, marks in found.items()
    }


def main() -> None:
    """Measure, and print the figures."""
    flags: list[tuple[str, dict[str, Any]]] = [
        ("--steps", {"type": int, "default": 25}),
        ("--size", {"type": int, "default": 256, "help": "pixels of an image's side"}),
        ("--width", {"type": int, "default": 64}),
        ("--precisions", {"nargs": "+", "default": ["fp32", "bf16"], "choices": list(GOALS)}),
        ("--child", {"metavar": "SETTINGS", "help": "measure one contender in this process"}),
    ]
    asked = arguments(__doc__, rounds=3, extra=flags)
    if asked.child is not None:
        settings = json.loads(asked.child)
        child = plain_child if settings["precision"] == "plain" else ganzoo_child
        print(json.dumps(child(settings)))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = data_root(Path(folder), asked.size, min(asked.steps, 16))
        settings = {
            "steps": asked.steps,
            "size": asked.size,
            "width": asked.width,
            "root": str(root),
            "recipe": str(Path(folder) / "recipe.toml"),
        }
        use = "images/side_by_side" if root == Path(folder) else "images/facades"
        large, depth = asked.size * 286 // 256, asked.size.bit_length() - 1
        text = RECIPE.format(**settings, use=use, large=large, depth=depth)
        Path(settings["recipe"]).write_text(text, encoding="utf-8")
        figures = measure(settings, asked.rounds, ["plain", *asked.precisions])
    plain = figures["plain"]["steps"].median
    ratios = {name: figures[name]["steps"].median / plain for name in asked.precisions}
    lines = []
    for name, marks in figures.items():
        lines.append(name if name == "plain" else f"ganzoo, {name}: {ratios[name]:.3f} of plain")
        lines += [f"  {words:20} {marks[mark].words('MB', digits=0)}" for mark, words in WHAT.items()]
    document = {
        "settings": settings,
        "megabytes": {
            name: {mark: spread.document() for mark, spread in marks.items()}
            for name, marks in figures.items()
        },
        "ratios": ratios,
        "goals": {name: GOALS[name] for name in asked.precisions},
    }
    show(document, lines, as_json=asked.json)


if __name__ == "__main__":
    main()
