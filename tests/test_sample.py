"""Samples of weights that draw: seeds, walks, classes, neighbours, and where they are written."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from ganzoo.data.contact_sheet import block, scatter
from ganzoo.data.pipeline import open_for_evaluation
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.errors import DivergedError, UsageError
from ganzoo.inference.from_noise import STEPS, slerp
from ganzoo.inference.nearest_neighbours import find_neighbours
from ganzoo.inference.sample import sample
from ganzoo.inference.weights_file import load_weights, save_weights
from ganzoo.observers import Voice
from ganzoo.recipe import load_recipe
from tests.weights_of import weights_of

TOY = "drawing_toy"
pytestmark = pytest.mark.usefixtures("toy_plugin")
RECIPE = """
name = "toy"
task = { use = "drawing_toy/draws", latent = 6 }
generator = "drawing_toy/net"
loss = "drawing_toy/loss"
data = { use = "drawing_toy/data", kind = "image" }
metric = []
train = { device = "cpu", epochs = 1, batch_size = 10, precision = "fp32" }
inference.mode = "running"
watch.samples = "never"
"""


def train(folder, *sets):
    path = folder / "toy.toml"
    path.write_text(RECIPE)
    result = run(
        load_recipe(path, sets), out=folder / "run", limits=Limits(1), voice=Voice(quiet=True)
    )
    assert result.exit_code == 0, result.error
    return folder / "run"


@pytest.fixture
def images(tmp_path):
    return train(tmp_path)


@pytest.fixture
def points(tmp_path):
    return train(tmp_path, "data.kind=points")


def array(weights, out, **settings):
    sample(weights, out, device="cpu", overwrite=True, **settings)
    return np.load(out)


def test_a_seed_gives_the_same_samples_however_many(points, tmp_path):
    out = tmp_path / "out.npy"
    many = array(points, out, count=200, seed=1)
    assert many.shape == (200, 2)
    assert np.array_equal(array(points, out, count=200, seed=1), many)
    # The network's sums may differ in their last bits with the size of a batch.
    assert np.allclose(array(points, out, count=16, seed=1), many[:16], atol=1e-6)
    assert not np.allclose(array(points, out, count=16, seed=2), many[:16], atol=1e-2)
    torch.manual_seed(5)  # nothing else is drawn from, nor changed
    before = torch.get_rng_state()
    assert np.array_equal(array(points, out, count=200, seed=1), many)
    assert torch.equal(torch.get_rng_state(), before)


def test_one_by_one_or_in_chunks_the_samples_are_the_same(images, tmp_path):
    """This network has neither norm nor dropout, so that the modes can't differ."""
    out = tmp_path / "out.npy"
    made = [array(images, out, count=70, mode=mode) for mode in ("running", "paper")]
    assert np.abs(made[0].astype(int) - made[1]).max() <= 1
    assert made[0].shape == (70, 8, 8, 1)
    assert made[0].dtype == np.uint8


def test_a_picture_holds_every_sample(images, tmp_path):
    levels = array(images, tmp_path / "out.npy", count=6, seed=3)
    document = sample(images, tmp_path / "out.png", count=6, seed=3, device="cpu")
    assert document["labels"] == [0, 1, 0, 1, 0, 1]
    picture = Image.open(tmp_path / "out.png")
    note = json.loads(picture.info["ganzoo"])
    assert (note["seed"], note["n"], note["mode"], note["step"]) == (3, 6, "running", 1)
    assert note["weights"] == "generator.safetensors"
    assert str(tmp_path) not in str(note)
    # Two classes, so two columns; whole pixels, with gaps of two.
    sheet, expected = np.asarray(picture), block(list(levels), 2)
    assert np.array_equal(sheet, expected)
    side = (expected.shape[1] - 2) // 2
    assert side % 8 == 0
    cell = sheet[side + 2 : 2 * side + 2, :side, 0]  # the third sample
    assert np.array_equal(cell[:: side // 8, :: side // 8], levels[2, :, :, 0])


def test_a_folder_gets_a_picture_a_sample(images, tmp_path):
    levels = array(images, tmp_path / "out.npy", count=5)
    sample(images, tmp_path / "out", count=5, device="cpu")
    names = ["000000.png", "000001.png", "000002.png", "000003.png", "000004.png", "grid.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    picture = Image.open(tmp_path / "out" / "000003.png")
    assert np.array_equal(np.asarray(picture), levels[3, :, :, 0])
    assert json.loads(picture.info["ganzoo"])["label"] == 1


def test_points_are_a_scatter_plot(points, tmp_path):
    sample(points, tmp_path / "out", count=300, device="cpu")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "samples.npy",
        "scatter.png",
    ]
    assert np.load(tmp_path / "out" / "samples.npy").shape == (300, 2)
    assert json.loads(Image.open(tmp_path / "out" / "scatter.png").info["ganzoo"])["n"] == 300


def test_a_scatter_plot_puts_points_where_they_are():
    corners = np.array([[-1.0, -1.0], [1.0, 1.0]] * 50)
    sheet = np.asarray(scatter({"real": corners, "made": np.array([[1.0, -1.0], [9.0, 9.0]])}, "",
                               behind=["real"]))[26:, 53:].astype(int)  # fmt: skip

    def middle(mask):
        rows, columns = np.nonzero(mask)
        return columns.mean() / 512, 1 - rows.mean() / 512  # y upwards

    blue = (sheet[..., 2] - sheet[..., 0] > 90) & (sheet[..., 0] < 120)
    # Limits are the grey points' with a fifth more: -1 lies at 0.1 / 1.2 of the way.
    assert middle(blue) == pytest.approx((1.1 / 1.2, 0.1 / 1.2), abs=0.01)
    gray = (abs(sheet - 165) < 30).all(2) & (np.ptp(sheet, 2) == 0)
    lower = gray.copy()
    lower[:256] = False
    lower[490:] = False
    assert middle(lower) == pytest.approx((0.1 / 1.2, 0.1 / 1.2), abs=0.02)


def test_a_scatter_plot_draws_what_can_be_drawn():
    for size in (1, 2, 5):
        cloud = np.random.default_rng(0).normal(size=(20, size))
        assert scatter({"a": cloud}, "caption").size[0] > 512
    assert scatter({"a": np.zeros((3, 2))}, "all in one place")


def test_a_walk_goes_from_one_latent_to_another(images, tmp_path):
    count = 3 * STEPS
    rows = array(images, tmp_path / "out.npy", count=count, interpolate=True)
    rows = rows.reshape(3, STEPS, 8, 8).astype(int)
    ends = array(images, tmp_path / "out.npy", count=6).reshape(6, 8, 8).astype(int)
    assert np.abs(rows[:, 0] - ends[:3]).max() <= 1
    steps = np.abs(np.diff(rows, axis=1)).mean((2, 3))
    whole = np.abs(rows[:, -1] - rows[:, 0]).mean((1, 2))
    assert (whole > 5).all()
    assert (steps < whole[:, None] / 2).all()
    document = sample(images, tmp_path / "out.png", count=count, interpolate=True, device="cpu")
    assert document["labels"] == [0] * STEPS + [1] * STEPS + [0] * STEPS
    # The control: samples that aren't of a walk jump.
    apart = array(images, tmp_path / "out.npy", count=count, label=0).reshape(3, STEPS, 8, 8)
    assert np.abs(np.diff(apart.astype(int), axis=1)).mean() > 1.5 * steps.mean()
    with pytest.raises(UsageError, match="30 is not a multiple") as caught:
        sample(images, tmp_path / "x.png", count=30, interpolate=True, device="cpu")
    assert "-n 32" in caught.value.hint


def test_slerp_keeps_to_the_sphere():
    torch.manual_seed(0)
    a, b = torch.nn.functional.normalize(torch.randn(2, 9, 5), dim=2)
    assert torch.allclose(slerp(a, b, 0.0), a, atol=1e-6)
    assert torch.allclose(slerp(a, b, 1.0), b, atol=1e-6)
    for share in (0.25, 0.5, 0.8):
        point = slerp(a, b, share)
        assert torch.allclose(point.norm(dim=1), torch.ones(9), atol=1e-5)
        angle = (a * b).sum(1).arccos()
        assert torch.allclose((a * point).sum(1).arccos(), share * angle, atol=1e-4)
    assert torch.lerp(a, b, 0.5).norm(dim=1).max() < 0.999  # the control: a line leaves it
    # Right angle, by hand: halfway is (1, 1) / sqrt 2. No angle, or a straight one: the line.
    x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert torch.allclose(slerp(x, y, 0.5), torch.full((1, 2), 0.5**0.5))
    assert torch.allclose(slerp(x, 3 * x, 0.5), 2 * x)
    assert torch.allclose(slerp(x, -x, 0.25), 0.5 * x)


def test_uniform_noise_is_walked_in_a_line(tmp_path, monkeypatch):
    straight = []
    lerp = torch.lerp
    monkeypatch.setattr(torch, "lerp", lambda *a: straight.append(1) or lerp(*a))
    for uniform in (True, False):
        folder = tmp_path / str(uniform)
        folder.mkdir()
        path = train(folder, f"task.uniform={str(uniform).lower()}")
        straight.clear()
        sample(path, folder / "out.npy", count=STEPS, interpolate=True, device="cpu")
        assert bool(straight) == uniform


def test_a_class_can_be_asked_for(images, tmp_path):
    for label in (0, 1):
        made = array(images, tmp_path / "out.npy", count=12, label=label)
        assert ((made.mean((1, 2, 3)) > 127.5) == bool(label)).all()
    for label in (-1, 2):
        with pytest.raises(UsageError, match=r"has 2 \(0 to 1\)"):
            sample(images, tmp_path / "x.png", label=label, device="cpu")
    other = tmp_path / "other"
    other.mkdir()
    path = train(other, "task.conditional=false")
    with pytest.raises(UsageError, match="sample has no class index 'label'") as caught:
        sample(path, tmp_path / "x.png", label=0, device="cpu")
    assert caught.value.hint == "It draws noise."
    assert not (tmp_path / "x.png").exists()


def test_neighbours_are_the_nearest_by_hand(images):
    recipe = load_recipe(images / "recipe.resolved.toml")
    train_split, test = (open_for_evaluation(recipe, split) for split in ("train", "test"))
    real = np.stack([
        ((train_split.sample(i)["real"].numpy() + 1) * 127.5).round().astype(np.uint8)[0, ..., None]
        for i in range(len(train_split))
    ])  # fmt: skip
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 256, (7, 8, 8, 1), np.uint8)
    found = find_neighbours(samples, train_split, test, "real")
    away = np.sqrt(((samples[:, None].astype(float) - real) ** 2).sum((2, 3, 4))) / 127.5
    assert np.array_equal(found.indices, away.argsort(1)[:, :3])
    assert found.distances == pytest.approx(np.sort(away, 1)[:, :3])
    assert found.held_out.shape == (7,)
    assert (found.held_out > 0).all()
    # Who copies is found out.
    copied = find_neighbours(real[[4, 9]], train_split, test, "real")
    assert copied.indices[:, 0].tolist() == [4, 9]
    assert copied.distances[:, 0].tolist() == [0, 0]


def test_neighbours_are_looked_for_in_the_runs_data(images, tmp_path):
    seen = []
    document = sample(
        images, tmp_path / "out.png", count=5, neighbours=True, device="cpu",
        done=lambda count, total: seen.append((count, total)),
    )  # fmt: skip
    assert seen[-1] == (30, 30)
    found = document["neighbours"]
    assert len(found["nearest"]) == 5
    assert all(len(one) == 3 for one in found["nearest"])
    assert found["nearest"][0][0]["name"] in {f"{index:06d}" for index in range(30)}
    assert found["median"] == np.median([one[0]["distance"] for one in found["nearest"]])
    assert Image.open(tmp_path / "out.png").size[0] > 300

    weights = weights_of(images, "generator")
    alone = tmp_path / "alone" / weights.name
    alone.parent.mkdir()
    shutil.copy(weights, alone)
    assert sample(alone, tmp_path / "alone.png", device="cpu")["neighbours"] is None
    with pytest.raises(UsageError, match="these weights aren't in a run"):
        sample(alone, tmp_path / "x.png", neighbours=True, device="cpu")
    with pytest.raises(UsageError, match="different pictures"):
        sample(images, tmp_path / "x.png", neighbours=True, interpolate=True, device="cpu")


def test_nothing_is_replaced_unasked(images, tmp_path):
    for out in (tmp_path / "out.png", tmp_path / "folder"):
        sample(images, out, count=2, device="cpu")
        with pytest.raises(UsageError, match="exist already"):
            sample(images, out, count=2, device="cpu")
        sample(images, out, count=2, device="cpu", overwrite=True)
    with pytest.raises(UsageError, match=r"\.jpg isn't known"):
        sample(images, tmp_path / "out.jpg", device="cpu")
    (tmp_path / "d.png").mkdir()
    with pytest.raises(UsageError, match="is a folder already"):
        sample(images, tmp_path / "d.png", device="cpu")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file already"):
        sample(images, tmp_path / "file", device="cpu")


def test_broken_weights_are_no_picture(images, tmp_path):
    path = weights_of(images, "generator")
    card, state = load_weights(path)
    save_weights(tmp_path / "broken.safetensors",
                 {name: value * float("nan") for name, value in state.items()}, card)  # fmt: skip
    with pytest.raises(DivergedError, match="not finite"):
        sample(tmp_path / "broken.safetensors", tmp_path / "x.png", device="cpu")
    assert not (tmp_path / "x.png").exists()


def test_the_command(images, tmp_path, monkeypatch):
    from ganzoo.cli.sample import command

    monkeypatch.chdir(tmp_path)
    arguments = [str(images), "-n", "4", "--seed", "1", "--device", "cpu"]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.exception
    assert done.stdout == "toy_samples.png\n"
    assert "4 samples of" in done.stderr
    assert (tmp_path / "toy_samples.png").is_file()
    more = ["-o", "near.png", "--neighbours", "--json"]
    done = CliRunner().invoke(command, [*arguments, *more])
    assert json.loads(done.stdout)["n"] == 4
    assert "held out" in done.stderr
