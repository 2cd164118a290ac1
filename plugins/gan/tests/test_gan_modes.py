"""gan/modes: what counts as a captured mode and as a sample of high quality."""

from __future__ import annotations

import json

import pytest
import torch
from pydantic import ValidationError

from ganzoo.errors import DataError
from ganzoo_gan.modes import Modes
from ganzoo_gan.points import Mixture
from ganzoo_gan.points_options import GridOptions, ModesOptions, RingOptions

PAIR = ModesOptions(centres=((0.0, 0.0), (10.0, 0.0)), std=1.0)


def scores(options: ModesOptions, *batches: torch.Tensor) -> dict[str, float]:
    metric = Modes(options)
    for batch in batches:
        metric.update({}, batch)
    return {name: score.mean for name, score in metric.compute().items()}


def test_three_standard_deviations_are_euclidean():
    # (2.2, 2.0) lies at 2.97; (2.2, 2.2) at 3.11, though each coordinate is within 3
    assert scores(PAIR, torch.tensor([[2.2, 2.0]])) == {"modes": 1, "high_quality": 1}
    assert scores(PAIR, torch.tensor([[2.2, 2.2]])) == {"modes": 0, "high_quality": 0}
    assert scores(PAIR, torch.tensor([[13.0, 0.0]])) == {"modes": 1, "high_quality": 1}


def test_a_mode_needs_one_good_sample_and_shares_count_all():
    far = torch.full((3, 2), 5.0)
    one = torch.tensor([[0.1, 0.1]])
    assert scores(PAIR, far, one) == {"modes": 1, "high_quality": 0.25}
    other = torch.tensor([[10.0, 0.5]])
    assert scores(PAIR, far, one, other, other) == {"modes": 2, "high_quality": 0.5}


def test_chunks_make_no_difference():
    torch.manual_seed(0)
    samples = torch.randn(101, 2) * 4
    assert scores(PAIR, samples) == scores(PAIR, *samples.split(7))


@pytest.mark.parametrize(("options", "modes"), [(RingOptions(), 8), (GridOptions(), 25)])
def test_the_data_themselves_score_98_9_percent(options, modes):
    """1 - exp(-9 / 2) = 0.98889 of a round Gaussian lie within 3 standard deviations."""
    real = torch.from_numpy(Mixture(options, "test").arrays["real"])
    wanted = ModesOptions(centres=options.centres(), std=options.std)
    good = scores(wanted, real)
    assert good["modes"] == modes
    assert good["high_quality"] == pytest.approx(0.98889, abs=0.01)
    # Controls: a generator stuck at one mode, and points that fill the space between modes.
    assert scores(wanted, real[:1].expand(2500, 2))["modes"] == 1
    between = torch.rand(2500, 2, generator=torch.Generator().manual_seed(0)) * 8 - 4
    assert scores(wanted, between)["high_quality"] < 0.02


def test_the_sentence_and_the_protocol_say_what_was_counted():
    metric = Modes(PAIR)
    metric.update({}, torch.tensor([[0.0, 0.0], [0.0, 1.0], [5.0, 0.0]]))
    assert metric.headline(metric.compute()) == (
        "1 of 2 modes captured, 66.7 % of 3 samples within 3 sd of one"
    )
    assert "3 standard deviations (1) of one of 2 modes" in metric.protocol
    assert Modes(ModesOptions(centres=((0.0,),), std=1.0)).samples == 2500
    assert Modes(PAIR).compute() == {}
    json.dumps({name: score.mean for name, score in metric.compute().items()}, allow_nan=False)


def test_samples_that_are_no_points_of_the_space_are_refused():
    for samples in (torch.zeros(4, 3), torch.zeros(4, 1, 8, 8)):
        with pytest.raises(DataError, match="points of 2 numbers"):
            Modes(PAIR).update({}, samples)


@pytest.mark.parametrize("centres", [(), ((0.0, 0.0), (1.0,)), ((),)])
def test_centres_must_be_points_of_one_space(centres):
    with pytest.raises(ValidationError):
        ModesOptions(centres=centres, std=1.0)
