"""What all tests share: a machine of their own, and a recipe whose steps take milliseconds."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ganzoo.data.pipeline import PreparedData
    from ganzoo.engine.trainer import Trainer
    from ganzoo.recipe import Recipe

# Before torch is imported: threads cost tiny networks more than they give.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# As the command line does, so that a busy machine doesn't bring tests of two threads to a halt.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

TINY = """
name = "tiny"
task = "pix2pix/paired"

[data]
use = "facades/procedural"
size = 32
train = 7
val = 3
test = 4

[[augment]]
use = "albumentations/horizontal_flip"
p = 0.5

[generator]
use = "pix2pix/unet"
depth = 5
width = 4
dropout_layers = [2, 3]

[discriminator]
use = "pix2pix/patchgan"
receptive_field = 16
width = 4

[loss]
use = "pix2pix/cgan_l1"

[train]
epochs = 4
precision = "fp32"
device = "cpu"
threads = 1

[optimizer.schedule]
shape = "linear"
hold = 0.5
every = "epoch"

[watch]
log = "3 steps"
samples = "never"

[checkpoints]
every = "never"
"""


QUICK = frozenset(
    f"test_{name}.py"
    for name in (
        *("convert", "dataset_paths", "file_headers", "file_pipeline", "layers", "metrics"),
        *("modes", "names", "nn", "plugins", "project", "recipe_load", "recipe_locate", "registry"),
        *("gan_losses", "gan_mlp", "patchgan", "pix2pix_loss"),
        *("folder", "resize", "side_by_side", "unpack"),
    )
)
"""Files whose tests are marked quick: for work between edits, less than a minute together."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m quick`, leave the other files alone: importing them takes longer than the tests."""
    name = collection_path.name
    if config.option.markexpr != "quick" or not name.startswith("test_") or name in QUICK:
        return None
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the quick files, before `-m` is applied."""
    for item in items:
        if item.path.name in QUICK:
            item.add_marker("quick")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The tiny recipe as a file in an empty folder."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture
def trainer_of() -> Iterator[Callable[..., Trainer]]:
    """Builds trainers: `trainer_of(recipe)`, or `trainer_of(path, *sets)` of a recipe's file.

    A trainer's session is closed when the next trainer is built, and at the end of the test.
    """
    from ganzoo.recipe import Recipe, load_recipe
    from ganzoo.testing.trial import training

    with ExitStack() as opened:

        def build(recipe: Path | Recipe, *sets: str) -> Trainer:
            opened.close()
            loaded = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, sets)
            return opened.enter_context(training(loaded))

        yield build


@pytest.fixture(autouse=True)
def _own_machine(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No test reads or writes the user's caches, sees real data or reaches the network unasked."""
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    for name in ("GANZOO_DISABLE_PLUGINS", "GANZOO_PLUGIN_AUTOLOAD"):
        monkeypatch.delenv(name, raising=False)
    if request.node.get_closest_marker("data") is None:
        monkeypatch.delenv("GANZOO_DATA", raising=False)
    elif not os.environ.get("GANZOO_DATA"):
        pytest.skip("GANZOO_DATA doesn't name the folder of real data")
    else:
        monkeypatch.setenv("GANZOO_DATA", str(Path(os.environ["GANZOO_DATA"]).absolute()))
    if request.node.get_closest_marker("network") is None:
        # Port 9 answers nobody, so that a forgotten download fails at once, in subprocesses too.
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")


@pytest.fixture
def step_seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What a step takes, wherever one is measured; a test may put another number into the list."""
    from ganzoo.engine import step_timing

    seconds = [0.15]

    def pretend(recipe: Recipe, data: PreparedData, **_options: float) -> step_timing.StepTime:
        images = recipe.train.batch_size
        return step_timing.StepTime(
            seconds=seconds[0],
            reading=0.0,
            timed=images,
            images=images,
            steps=-(-recipe.train.epochs * len(data) // images),
            samples=len(data),
            device="cpu",
            precision="fp32",
            threads=1,
        )

    monkeypatch.setattr(step_timing, "measure", pretend)
    return seconds
