"""What core tests share: a recipe so small that a step takes milliseconds."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

TINY = """
name = "tiny"
task = "pix2pix/paired"

[data]
use = "images/procedural_facades"
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


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The tiny recipe as a file in an empty folder."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's caches and data."""
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    if "GANZOO_DATA" in os.environ and "keep_ganzoo_data" not in os.environ:
        monkeypatch.delenv("GANZOO_DATA")
