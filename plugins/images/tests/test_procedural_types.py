"""Houses whose look follows from their layout: what a label map tells, and what it doesn't."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from ganzoo_images.procedural import CLASSES, ProceduralFacades
from ganzoo_images.procedural_layout import Part, Plan
from ganzoo_images.procedural_options import ProceduralFacadesOptions
from ganzoo_images.procedural_types import house_type

FACADE = CLASSES.index("facade")


def samples(styles, count=240):
    data = ProceduralFacades(ProceduralFacadesOptions(size=64, styles=styles), "train")
    return [data.load(index) for index in range(count)]


def type_of(labels):
    """The type, read off a label map above the ground floor's row, as a network could."""
    upper = labels[: int(0.6 * len(labels))]
    present = {CLASSES[index] for index in np.unique(upper)}
    ornament = 2 if "deco" in present else 1 if "blind" in present else 0
    return ornament + (3 if "cornice" in present else 0)


def wall_colours(drawn):
    """Mean Lab colour of each building's wall, N x 3."""
    lab = [rgb2lab(sample["target"])[sample["labels"] == FACADE].mean(0) for sample in drawn]
    return np.array(lab)


@pytest.fixture(scope="module")
def typed():
    return samples("by_layout")


def spread_within(colours, types):
    """Mean distance of a wall's colour from the mean of its type."""
    return np.mean(
        [
            np.linalg.norm(colours[types == t] - colours[types == t].mean(0), axis=1).mean()
            for t in range(6)
        ]
    )


def test_six_types_occur_and_their_walls_differ(typed):
    types = np.array([type_of(sample["labels"]) for sample in typed])
    counts = np.bincount(types, minlength=6)
    assert counts.min() > 0.04 * len(typed)
    colours = wall_colours(typed)
    means = np.array([np.median(colours[types == t], axis=0) for t in range(6)])
    distances = np.linalg.norm(means[:, None] - means[None], axis=2)
    assert distances[~np.eye(6, dtype=bool)].min() > 10  # the eye tells 2.3 apart


def test_the_colour_follows_from_the_labels_and_in_free_styles_it_does_not(typed):
    types = np.array([type_of(sample["labels"]) for sample in typed])
    free = samples("free")
    free_types = np.array([type_of(sample["labels"]) for sample in free])
    assert spread_within(wall_colours(typed), types) < 8
    assert spread_within(wall_colours(free), free_types) > 15  # control


def test_both_have_the_same_label_maps(typed):
    for with_type, without in zip(typed[:20], samples("free", 20), strict=True):
        np.testing.assert_array_equal(with_type["labels"], without["labels"])
        assert (with_type["target"] != without["target"]).mean() > 0.5


def test_walls_have_a_texture(typed):
    rough = [sample["target"][sample["labels"] == FACADE].std(0).mean() for sample in typed]
    assert np.median(rough) > 5  # of 255 levels


@pytest.mark.parametrize(
    ("kinds", "number"),
    [
        ((), 0),
        (("blind",), 1),
        (("deco",), 2),
        (("deco", "blind"), 2),
        (("cornice",), 3),
        (("cornice", "blind"), 4),
        (("cornice", "deco", "blind"), 5),
    ],
)
def test_the_type_is_what_the_upper_floors_show(kinds, number):
    plan = Plan(64, [Part(kind, (4, 4, 9, 9)) for kind in kinds], base=40)
    assert house_type(plan) == number
    # The panel over the entrance and a blind of the ground floor say nothing.
    plan.parts += [Part("door", (20, 45, 30, 60)), Part("deco", (18, 39, 32, 45))]
    plan.parts += [Part("blind", (40, 45, 44, 50))]
    assert house_type(plan) == number
