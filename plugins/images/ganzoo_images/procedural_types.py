"""Six types of houses whose look follows from their layout, so that it can be learnt from labels.

With `styles = "free"` a label map says nothing of its building's colours, and a generator can only
paint the mean of all of them. Here the ornament of the upper floors tells the type, window by
window, so that a small network needs no view of the whole picture: whether windows have a head
(cornice), and whether there is a carved panel (deco), or else a blind.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ganzoo_images.procedural_layout import Part, Plan
from ganzoo_images.procedural_style import Light, Style


def house_type(plan: Plan) -> int:
    """Number of the type, 0 to 5, from what the upper floors of the label map show.

    Three types with heads over the windows and three without: with neither panels nor blinds
    (0, 3), with blinds alone (1, 4), with panels (2, 5).
    """
    upper = {part.kind for part in plan.parts if part.box[1] < plan.base}
    entrance = [part for part in plan.parts if part.kind == "door"]
    # The panel over the entrance belongs to the ground floor, whichever row it begins in.
    panels = [
        part
        for part in plan.parts
        if part.kind == "deco" and not any(_stands_on(part, door) for door in entrance)
    ]
    ornament = 2 if panels else 1 if "blind" in upper else 0
    return ornament + (3 if "cornice" in upper else 0)


def _stands_on(panel: Part, door: Part) -> bool:
    x0, _, x1, y1 = panel.box
    left, top, right, _ = door.box
    return x0 <= left and x1 >= right and abs(y1 - top) <= 1


def by_layout(plan: Plan, rng: np.random.Generator) -> tuple[Plan, Style]:
    """The plan, its shops of one make, and the style of its type.

    What is left to `rng` is small: a few per cent of exposure.
    """
    number = house_type(plan)
    plan = replace(
        plan,
        parts=[
            part._replace(variant=1 + number if part.kind == "shop" else 0)
            if part.kind in {"shop", "window", "door"}
            else part
            for part in plan.parts
        ],
    )
    style = _STYLES[number]
    exposure = float(np.exp(rng.normal(0, 0.03)))
    return plan, replace(style, light=replace(style.light, exposure=exposure))


def _rgb(code: str) -> np.ndarray:
    """A colour such as `b5533c`, as it is displayed, in linear light."""
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


_STYLES: tuple[Style, ...] = (
    _house("b0573f", "brick", "efe6d6", "3f5d4a", "2f5d50", "6d6f76", "f4f1ea", "iron"),
    _house("e2b65a", "plaster", "fbf4e2", "2f7a5a", "7b4327", "9c5138", "f4f1ea", "iron"),
    _house("8d97a3", "stone", "dfe3e6", "5a3d36", "6d2f2f", "4c525c", "f4f1ea", "stone"),
    _house("f0e6cd", "plaster", "b9785a", "7d8d5a", "5d3a24", "a5583f", "5a4334", "iron"),
    _house("dc9a8e", "plaster", "f7ece4", "3e6a94", "33567a", "6d6f76", "f4f1ea", "iron"),
    _house("6f8f78", "panels", "ece8d4", "c7b27a", "8a5a2b", "5d5148", "ece8d4", "stone"),
)
