"""Six types of houses whose appearance follows from their layout.

A generator can therefore learn the appearance from the labels. With `styles = "free"` a label map
contains no information on the colours of its building, and a generator can only produce the mean of
all colours. Here each house has one kind of ornament at every window, and the ornament determines
the type. So near any part of a wall the label map determines what that wall looks like.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ganzoo_facades.layout import ORNAMENTS, Ornament, Plan, draw_plan
from ganzoo_facades.style import Light, Style


def draw_house(rng: np.random.Generator, size: int) -> Plan:
    """Lay out a house of one of the six types, which are equally likely."""
    return draw_plan(rng, size, ORNAMENTS[int(rng.integers(len(ORNAMENTS)))])


def style_of(plan: Plan, rng: np.random.Generator) -> Style:
    """Return the style of a plan's type; only the exposure is random, by a few per cent.

    Raises:
        ValueError: when the plan wasn't drawn with a single ornament.
    """
    if plan.ornament is None:
        message = "the plan has no single ornament, so no style follows from it"
        raise ValueError(message)
    style = _STYLES[plan.ornament]
    exposure = float(np.exp(rng.normal(0, 0.03)))
    return replace(style, light=replace(style.light, exposure=exposure))


def alike(plan: Plan) -> Plan:
    """Return the plan with one variant of windows, doors and shops.

    The label map doesn't contain variants, so a generator couldn't learn them.
    """
    parts = [
        part._replace(variant=1) if part.kind in {"window", "door", "shop"} else part
        for part in plan.parts
    ]
    return replace(plan, parts=parts)


def _rgb(code: str) -> np.ndarray:
    """Return the linear light of a displayed colour such as `b5533c`."""
    values = [int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    return np.square(np.array(values, np.float32))


_MORNING = Light(
    dx=0.55,
    dy=0.8,
    sun=np.array([0.76, 0.72, 0.66], np.float32),
    ambient=np.array([0.40, 0.42, 0.45], np.float32),
    softness=0.6,
    exposure=1.0,
    white=np.ones(3, np.float32),
    blur=0.3,
    noise=0.004,
)


def _house(
    wall: str, material: str, trim: str, paint: str, door: str, roof: str, frame: str, railing: str
) -> Style:
    return Style(
        wall=_rgb(wall),
        material=material,
        base_wall=_rgb(wall),
        base_material=material,
        trim=_rgb(trim),
        frame=_rgb(frame),
        metal=_rgb("23272a"),
        paint=_rgb(paint),
        door=_rgb(door),
        glass=_rgb("2c3b49"),
        reflection=_rgb("b4c9d8"),
        roof=_rgb(roof),
        panes="cross",
        arched=False,
        head="flat",
        railing=railing,
        dentils=True,
        course=1.3,
        sky="blue",
        neighbours=(False, False),
        light=_MORNING,
        roofed=1.0,
        trees=0.0,
        opposite=0.0,
        mirror=0.45,
        dressing=0,
    )


_STYLES: Mapping[Ornament, Style] = {
    "plain": _house("b0573f", "brick", "efe6d6", "3f5d4a", "2f5d50", "6d6f76", "f4f1ea", "iron"),
    "heads": _house("f0e6cd", "plaster", "b9785a", "7d8d5a", "5d3a24", "a5583f", "5a4334", "iron"),
    "shutters": _house(
        "e2b65a", "plaster", "fbf4e2", "2f7a5a", "7b4327", "9c5138", "f4f1ea", "iron"
    ),
    "balconies": _house(
        "dc9a8e", "plaster", "f7ece4", "3e6a94", "33567a", "6d6f76", "f4f1ea", "iron"
    ),
    "panels": _house("6f8f78", "panels", "ece8d4", "c7b27a", "8a5a2b", "5d5148", "ece8d4", "stone"),
    "pilasters": _house(
        "8d97a3", "stone", "dfe3e6", "5a3d36", "6d2f2f", "4c525c", "f4f1ea", "stone"
    ),
}
