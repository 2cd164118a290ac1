"""Houses whose look follows from their layout: what a label map tells, and what it doesn't."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from ganzoo_facades.building_types import style_of
from ganzoo_facades.layout import ORNAMENTS, Plan, draw_plan
from ganzoo_facades.options import ProceduralFacadesOptions
from ganzoo_facades.procedural import CLASSES, ProceduralFacades

FACADE = CLASSES.index("facade")
# The class that only houses of this ornament have in their labels.
TELLS = {
    "heads": "cornice", "shutters": "blind", "balconies": "balcony", "panels": "deco",
    "pilasters": "pillar",
}  # fmt: skip


def samples(styles, count, size=64):
    data = ProceduralFacades(ProceduralFacadesOptions(size=size, styles=styles), "train")
    return [data.load(index) for index in range(count)]


def type_of(labels):
    """The ornament, read off the label map alone."""
    present = {CLASSES[index] for index in np.unique(labels)}
    found = [ornament for ornament, tell in TELLS.items() if tell in present]
    assert len(found) <= 1
    return ORNAMENTS.index(found[0] if found else "plain")


def wall_colours(drawn):
    """Mean Lab colour of each building's wall, N x 3."""
    lab = [rgb2lab(sample["target"])[sample["labels"] == FACADE].mean(0) for sample in drawn]
    return np.array(lab)


@pytest.fixture(scope="module")
def houses():
    drawn = samples("by_layout", 120)
    return drawn, np.array([type_of(sample["labels"]) for sample in drawn])


def test_six_types_occur_and_their_walls_differ(houses):
    drawn, types = houses
    assert np.bincount(types, minlength=6).min() > 0.05 * len(drawn)
    colours = wall_colours(drawn)
    means = np.array([np.median(colours[types == t], axis=0) for t in range(6)])
    distances = np.linalg.norm(means[:, None] - means[None], axis=2)
    assert distances[~np.eye(6, dtype=bool)].min() > 10  # the eye tells 2.3 apart


def test_the_colour_follows_from_the_labels_and_in_free_styles_it_does_not(houses):
    drawn, types = houses
    colours = wall_colours(drawn)
    within = np.mean([np.linalg.norm(colours[types == t].std(0)) for t in range(6)])
    assert within < 6
    # Control: free styles differ more than that, whatever the labels are.
    assert np.linalg.norm(wall_colours(samples("free", 60)).std(0)) > 3 * within


def test_walls_have_a_texture(houses):
    rough = [sample["target"][sample["labels"] == FACADE].std(0).mean() for sample in houses[0]]
    assert np.median(rough) > 5  # of 255 levels


def test_every_window_of_the_upper_floors_has_the_ornament():
    for seed in range(40):
        for ornament, tell in TELLS.items():
            plan = draw_plan(np.random.default_rng(seed), 128, ornament)
            windows = [p for p in plan.parts if p.kind == "window" and p.box[1] < plan.base - 1]
            parts = [p for p in plan.parts if p.kind == tell]
            assert windows
            for window in windows:
                x0, y0, x1, y1 = window.box
                reach = (x1 - x0) // 2 + 24  # a pilaster stands in the middle between two windows
                assert any(
                    part.box[0] < x1 + reach
                    and part.box[2] > x0 - reach
                    and part.box[1] < y1 + 16
                    and part.box[3] > y0 - 8
                    for part in parts
                ), (seed, ornament, window)


def test_a_plan_without_an_ornament_has_no_style_of_its_own():
    with pytest.raises(ValueError, match="no single ornament"):
        style_of(Plan(64), np.random.default_rng(0))
