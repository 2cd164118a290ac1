"""gan/ring and gan/grid: where the points lie, and on what they depend."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from ganzoo.cli.main import main
from ganzoo.plugin_system import registry
from ganzoo_gan.points import Mixture
from ganzoo_gan.points_options import GridOptions, RingOptions


def points(options, split="train"):
    return Mixture(options, split).arrays["real"]


def test_the_ring_goes_round_without_its_endpoint():
    centres = np.array(RingOptions().centres())
    side = 2**0.5  # 2 cos 45
    wanted = [(2, 0), (side, side), (0, 2), (-side, side), (-2, 0), (-side, -side), (0, -2)]
    assert np.allclose(centres, [*wanted, (side, -side)])
    # with the endpoint, first and last would fall on one another
    assert len(np.unique(centres.round(6), axis=0)) == 8


def test_the_grid_is_the_square_of_its_steps():
    centres = GridOptions().centres()
    assert sorted(centres) == [(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]
    assert sorted(GridOptions(side=2, spacing=1).centres()) == [
        (-0.5, -0.5),
        (-0.5, 0.5),
        (0.5, -0.5),
        (0.5, 0.5),
    ]


@pytest.mark.parametrize("options", [RingOptions(train=40_000), GridOptions(train=40_000)])
def test_points_are_an_equal_mixture_of_round_gaussians(options):
    real, centres = points(options), np.array(options.centres())
    assert real.dtype == np.float32
    distances = np.linalg.norm(real[:, None] - centres, axis=2)
    nearest = distances.argmin(1)
    shares = np.bincount(nearest, minlength=len(centres)) / len(real)
    # A share of p has a standard error of sqrt(p / 40,000): 5 of them.
    assert np.abs(shares - 1 / len(centres)).max() < 5 * (1 / len(centres) / 40_000) ** 0.5
    offsets = real - centres[nearest]
    assert np.allclose(offsets.std(0), options.std, rtol=0.02)
    assert np.allclose(offsets.mean(0), 0, atol=options.std * 0.025)
    within = (distances.min(1) <= 3 * options.std).mean()
    assert within == pytest.approx(1 - np.exp(-4.5), abs=0.003)


def test_points_depend_on_seed_and_split():
    few = {"train": 50, "val": 50, "test": 50}
    first = points(RingOptions(**few))
    assert np.array_equal(first, points(RingOptions(**few)))
    others = [points(RingOptions(**few), split) for split in ("val", "test")]
    others.append(points(RingOptions(**few, seed=1)))
    for other in others:
        assert not np.isclose(first, other).all(1).any()


def test_samples_are_the_rows_of_the_arrays():
    source = Mixture(GridOptions(train=20), "train")
    copied = pickle.loads(pickle.dumps(source))  # as a loader's worker gets it
    for index in range(20):
        assert np.array_equal(copied.load(index)["real"], source.arrays["real"][index])
    with pytest.raises(IndexError):
        source.load(20)
    with pytest.raises(IndexError):
        source.load(-1)


def test_they_propose_the_metric_that_knows_their_modes():
    for name, modes, std in (("gan/ring", 8, 0.02), ("gan/grid", 25, 0.05)):
        source = registry.activate().choose("data", name).build("test")
        (proposed,) = source.metrics
        options = registry.activate().choose("metric", proposed).options
        assert len(options.centres) == modes
        assert options.std == std
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        RingOptions(modes=0)


@pytest.mark.parametrize(("recipe", "modes"), [("gan_ring", 8), ("gan_grid25", 25)])
@pytest.mark.parametrize("loss", [None, "gan/vanilla"])
def test_recipes_run_to_their_headline(recipe, modes, loss, tmp_path, capsys):
    """A few steps of each: they end with the modes captured, control included."""
    path = Path(__file__).parents[3] / "recipes" / f"{recipe}.toml"
    sets = ["data.train=64", "data.test=32", "train.batch_size=32", "train.epochs=1"]
    if loss:
        sets.append(f"loss={loss}")
    arguments = [part for one in sets for part in ("--set", one)]
    code = main(["run", str(path), "--out", str(tmp_path / "run"), "--json", *arguments])
    assert code == 0
    shown = capsys.readouterr()
    assert set(json.loads(shown.out)["metrics"]) == {"modes", "high_quality"}
    assert f"of {modes} modes captured" in shown.err
    terms = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert ("discriminator/r2/penalty" in json.dumps(terms)) == (loss is None)
