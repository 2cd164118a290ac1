"""What is the author's own: the distance of the random network."""

import pytest
import torch
from ganzoo.interfaces import Clock, LossInputs
from ganzoo.plugin_system.registry import activate

from ganzoo_latent.loss import Perceptual
from ganzoo_latent.options import PerceptualOptions


@pytest.fixture
def build():
    activate()  # options that name components need the registry
    return lambda **options: Perceptual(PerceptualOptions(**options))


def test_features_of_equal_images_are_equal_and_those_of_a_shifted_edge_are_not(build):
    loss = build()
    edge = torch.zeros(1, 3, 16, 16)
    edge[..., 8:] = 1
    near, far = (loss.distance(edge, edge.roll(by, -1)).item() for by in (1, 4))
    assert loss.distance(edge, edge).item() == 0
    assert 0 < near < far


def test_the_network_depends_on_its_seed_alone(build):
    image, other = torch.rand(2, 1, 3, 16, 16)
    distances = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(distances))  # must not matter
        distances.append(build(seed=seed).distance(image, other).item())
    assert distances[0] == distances[1] != distances[2]


def test_weights(build):
    image, other = torch.rand(2, 1, 3, 16, 16)
    inputs = LossInputs(image, other, Clock(0, 0, 0.0), None, None, lambda x: x)
    loss = build(l1=2, perceptual=3)
    terms = loss.generator(inputs)
    assert terms["l1"].item() == pytest.approx(2 * (image - other).abs().mean().item())
    assert terms["perceptual"].item() == pytest.approx(3 * loss.distance(image, other).item())
