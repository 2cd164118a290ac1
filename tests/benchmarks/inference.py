"""`predict` against a plain fp32 loop, image for image: images a second, and how far bf16 is off.

python -m tests.benchmarks.inference [--rounds N] [--json] [--images N] [--mode M] [--weights FILE]

The inputs are label maps of pix2pix_facades' test split (real ones where GANZOO_DATA has them, else
the stand-in's), saved as PNG. All loops read them from disk, run the same weights in the same mode
and save PNGs; loading the weights is excluded. Untrained weights make gray images, which every
precision gets right: give --weights for figures of the difference.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ganzoo.data.convert import to_uint8
from ganzoo.data.pipeline import open_for_evaluation
from ganzoo.data.rng import seed_for
from ganzoo.data.write_image import save_image
from ganzoo.inference.application_weights import find_application
from ganzoo.inference.file_pipeline import make_all
from ganzoo.inference.load_application import load_trained
from ganzoo.inference.predict import plan
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.inference.weights_file import save_weights
from ganzoo.interfaces import Field
from ganzoo.recipe import load_recipe
from ganzoo.testing.networks import io_of
from tests.benchmarks.plain import PlainUNet, draw_weights
from tests.benchmarks.timing import alternate, arguments, ratio, show

RECIPE = "pix2pix_facades"
GOAL = 2.0
GOAL_LEVELS = 2
SHAPE = (3, 256, 256)


def write_inputs(folder: Path, count: int) -> str:
    """Save label maps as PNG, over and over where the split has fewer; returns what they are."""
    data = open_for_evaluation(load_recipe(RECIPE, ["data.download=false"]), "test")
    for index in range(count):
        source = data.sample(index % len(data))["source"]
        save_image(to_uint8(source), folder / f"{index:04d}.png")
    return data.chosen.id


def write_weights(path: Path) -> Path:
    """Save untrained weights of the paper's generator, and the card that `predict` needs."""
    recipe = load_recipe(RECIPE)
    network = recipe.networks["generator"]
    assert network is not None
    torch.manual_seed(0)
    card = WeightsCard(
        role="generator",
        kind="generator",
        network=network.as_table(),
        revision=network.component.revision,
        io=io_of(SHAPE, SHAPE),
        task=recipe.task.as_table(),
        fields={"source": Field(SHAPE, "ganzoo/image"), "target": Field(SHAPE, "ganzoo/image")},
        size_multiple=256,
    )
    named = network.build(card.io).state_dict()
    plain = list(draw_weights(PlainUNet()).state_dict().values())
    save_weights(path, dict(zip(named, plain, strict=True)), card)
    return path


class PlainLoop:
    """Open, to a tensor, network, to 8 bits, save: as anyone would write it.

    Dropout is seeded as `predict` seeds it, so that images can be compared.
    """

    def __init__(self, weights: Path, mode: str) -> None:
        self.net = PlainUNet()
        trained = load_trained(find_application(weights), device="cpu")
        values = trained.nets["generator"].state_dict().values()
        self.net.load_state_dict(dict(zip(self.net.state_dict(), values, strict=True)))
        self.net.train(mode == "paper")

    @torch.no_grad()
    def __call__(self, files: list[Path], out: Path) -> None:
        """Make all images."""
        out.mkdir(exist_ok=True)
        for file in files:
            pixels = np.array(Image.open(file).convert("RGB"))
            image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
            torch.manual_seed(seed_for(0, "inference", file.stem))
            made = self.net(image)[0]
            levels = ((made + 1) * 127.5).round().clamp(0, 255).byte()
            Image.fromarray(levels.permute(1, 2, 0).numpy()).save(out / f"{file.stem}.png")


def predict_loop(weights: Path, mode: Any, precision: str) -> Callable[[list[Path], Path], None]:
    """`ganzoo predict` without the loading of weights."""
    found = find_application(weights)
    trained = load_trained(found, mode=mode, device="cpu", precision=precision)

    def run(files: list[Path], out: Path) -> None:
        jobs = plan(files, out, suffixes=(".png",), endings={"target": ".png"}, overwrite=True)
        for _, refusal in make_all(trained, found, jobs):
            assert refusal is None

    return run


def difference(one: Path, other: Path) -> dict[str, float]:
    """Levels of 255 between the images of two folders: largest, 99.9th percentile, mean."""
    apart = np.concatenate(
        [
            np.abs(
                np.asarray(Image.open(file)).astype(int) - np.asarray(Image.open(other / file.name))
            )
            for file in sorted(one.glob("*.png"))
        ]
    ).ravel()
    return {
        "largest": int(apart.max()),
        "p999": float(np.quantile(apart, 0.999)),
        "mean": float(apart.mean()),
        "above_goal": int((apart > GOAL_LEVELS).sum()),
    }


def contrast(folder: Path) -> float:
    """Standard deviation of all pixels, in levels: near 0 for a network that shows nothing."""
    pixels = [np.asarray(Image.open(file)) for file in sorted(folder.glob("*.png"))]
    return float(np.stack(pixels).std())


def main() -> None:
    """Print the figures."""
    given = arguments(
        __doc__,
        rounds=3,
        extra=(
            ("--images", {"type": int, "default": 106, "help": "inputs (106)"}),
            ("--mode", {"choices": ("paper", "running"), "default": "paper"}),
            ("--weights", {"type": Path, "help": "of the paper's U-Net (default: untrained)"}),
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = write_inputs(root / "in", given.images)
        weights = given.weights or write_weights(root / "generator.safetensors")
        files = sorted((root / "in").glob("*.png"))
        loops = {
            "plain fp32": PlainLoop(weights, given.mode),
            "predict fp32": predict_loop(weights, given.mode, "fp32"),
            "predict bf16": predict_loop(weights, given.mode, "bf16"),
        }
        for name, loop in loops.items():
            loop(files[:3], root / name)  # what the first images pay once
        seconds = alternate(
            {name: partial(loop, files, root / name) for name, loop in loops.items()},
            given.rounds,
            warm=0,
        )
        apart = {
            "bf16 to fp32": difference(root / "predict bf16", root / "predict fp32"),
            "fp32 to plain": difference(root / "predict fp32", root / "plain fp32"),
        }
        shown = contrast(root / "predict fp32")
    gains = {name: ratio(seconds["plain fp32"], one) for name, one in seconds.items()}
    document = {
        "goal": GOAL,
        "goal_levels": GOAL_LEVELS,
        "data": data,
        "weights": str(given.weights or "untrained"),
        "mode": given.mode,
        "images": given.images,
        "seconds": {name: one.document() for name, one in seconds.items()},
        "images_per_second": {name: given.images / one.median for name, one in seconds.items()},
        "gain": gains,
        "levels_apart": apart,
        "contrast": shown,
    }
    lines = [
        f"{given.images} images of {data}, mode {given.mode}, weights {document['weights']}",
        *(
            f"{name:13} {one.words('ms an image', 1000 / given.images)},"
            f" {given.images / one.median:.1f} images/s, {gains[name]:.2f}x"
            for name, one in seconds.items()
        ),
        *(
            f"{name}: at most {one['largest']} levels, p99.9 {one['p999']:.1f},"
            f" mean {one['mean']:.3f}, {one['above_goal']} values above {GOAL_LEVELS}"
            for name, one in apart.items()
        ),
        f"standard deviation of the pixels {shown:.1f} levels",
        f"goal: bf16 {GOAL}x, within {GOAL_LEVELS} levels of fp32",
    ]
    show(document, lines, as_json=given.json)


if __name__ == "__main__":
    main()
