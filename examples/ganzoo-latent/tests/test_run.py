"""The shipped recipe learns, can be used from a run and a bundle, and can be resumed exactly."""

import subprocess
import sys

import numpy as np
from ganzoo.data import decode_image, save_image

from ganzoo_latent.data import Shapes
from ganzoo_latent.options import ShapesOptions

SMALL = ("latent/shapes", "--set", "data.size=16", "--set", "watch.evaluate=never")
IMAGES = 8


def ganzoo(*arguments):
    command = [sys.executable, "-m", "ganzoo", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pictures(split, count):
    data = Shapes(ShapesOptions(size=16), split)
    return np.stack([data.load(index)["real"] for index in range(count)]).astype(float)


def test_a_run_learns_codes_that_stand_for_their_images(tmp_path):
    run, bundle = tmp_path / "run", tmp_path / "latent.safetensors"
    images, codes, out = (tmp_path / name for name in ("images", "codes", "out"))
    ganzoo("run", *SMALL, "--set", "data.train=640", "--out", run)
    ganzoo("bundle", run, "-o", bundle)
    shown = pictures("val", IMAGES)
    for index, image in enumerate(shown):
        save_image(image.astype(np.uint8), images / f"{index}.png")
    ganzoo("predict", run, images, "--application", "encode", "-o", codes)
    assert np.load(codes / "0.npy").shape == (4, 4, 4)
    ganzoo("predict", bundle, codes, "--application", "decode", "-o", out)
    made = np.stack([decode_image(out / f"{index}.png") for index in range(IMAGES)]).astype(float)

    # What a decoder that ignores its code can make is not better than the mean image. And an
    # image must be made of its own code: the images of the other codes are the second control.
    own = np.abs(made - shown).mean()
    constant = np.abs(pictures("train", 320).mean(0) - shown).mean()
    other = np.mean([np.abs(np.roll(made, by, 0) - shown).mean() for by in range(1, IMAGES)])
    assert own < 0.7 * constant
    assert own < 0.7 * other


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    small = [*SMALL, "--set", "data.train=16", "--set", "train.batch_size=4"]
    ganzoo("run", *small, "--out", tmp_path / "whole")
    ganzoo(
        "run", *small, "--out", tmp_path / "parts", "--max-steps", 10
    )  # after the discriminator began (step 8)
    ganzoo("run", "--resume", tmp_path / "parts")
    whole = tmp_path / "whole/checkpoints/step_16"
    files = sorted(whole.glob("*.safetensors"))
    names = ["decoder", "discriminator", "encoder", "training_state"]
    assert [file.stem for file in files] == names
    for file in files:
        other = tmp_path / "parts/checkpoints/step_16" / file.name
        assert file.read_bytes() == other.read_bytes(), file.name
