"""Paint a photograph from plan and style: paint the parts in order, light them, add the camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from ganzoo_facades.canvas import Canvas, background, spread, wall
from ganzoo_facades.layout import Box, Plan
from ganzoo_facades.openings import Openings
from ganzoo_facades.ornament import (
    balcony,
    blind,
    cornice,
    deco,
    molding,
    pillar,
    shop,
    sill,
)
from ganzoo_facades.style import Style

_Painter = Callable[[Canvas, Style, Box, int], None]
_ORNAMENTS: Mapping[str, _Painter] = {
    "balcony": balcony,
    "blind": blind,
    "cornice": cornice,
    "deco": deco,
    "molding": molding,
    "pillar": pillar,
    "shop": shop,
    "sill": sill,
}


def photograph(plan: Plan, style: Style, rng: np.random.Generator) -> np.ndarray:
    """Paint a plan as a photograph: `size` x `size` x 3 uint8 RGB.

    Small pictures are painted larger by an integer factor and then shrunk by area. So their details
    look like those of a photograph, and every edge still lies on the label map's grid.
    """
    factor = max(1, 256 // plan.size)
    canvas = Canvas(plan.size, factor, style.light, rng)

    def scaled(box: Box) -> Box:
        x0, y0, x1, y1 = box
        return x0 * factor, y0 * factor, x1 * factor, y1 * factor

    wall_box = scaled(plan.wall)
    background(canvas, style, wall_box)
    openings = Openings(canvas, style)
    for part in plan.parts:
        box = scaled(part.box)
        if part.kind == "facade":
            _facade(canvas, style, box, plan.base * factor)
        elif part.kind == "window":
            openings.window(box, part.variant)
        elif part.kind == "door":
            openings.door(box, part.variant)
        else:
            _ORNAMENTS[part.kind](canvas, style, box, part.variant)
    _opposite(canvas, wall_box, style.opposite)
    return develop(canvas, plan.size)


def _facade(canvas: Canvas, style: Style, box: Box, base: int) -> None:
    x0, y0, x1, y1 = box
    canvas.light_up(box)
    wall(canvas, (x0, y0, x1, base), style.wall, style.material, style.course)
    lower = style.course * (1.0 if style.base_material == style.material else 1.3)
    wall(canvas, (x0, base, x1, y1), style.base_wall, style.base_material, lower)


def _opposite(canvas: Canvas, wall_box: Box, chance: float) -> None:
    """Cast a shadow of the houses across the street on the wall, with the probability `chance`."""
    rng = canvas.rng
    if rng.random() > chance:
        return
    x0, y0, x1, y1 = wall_box
    start, end = rng.uniform(0.2, 1.0, 2) * (y1 - y0) + y0
    mask = np.zeros((canvas.side, canvas.side), np.uint8)
    corners = [[x0, int(start)], [x1, int(end)], [x1, y1], [x0, y1]]
    cv2.fillConvexPoly(mask, np.array(corners, np.int32), 1)
    canvas.sun[mask > 0] *= 0.15


def develop(canvas: Canvas, size: int) -> np.ndarray:
    """Light the canvas and photograph it: blur, exposure, white balance, tone curve and noise."""
    light, rng = canvas.light, canvas.rng
    sun = cv2.GaussianBlur(canvas.sun, (0, 0), max(0.3, light.softness * canvas.unit))
    fall = np.linspace(1.06, 0.9, canvas.side, dtype=np.float32)[:, None]
    sway = np.linspace(-1, 1, canvas.side, dtype=np.float32) * np.float32(rng.normal(0, 0.07))
    lit = spread(sun * fall * (1 + sway), light.sun)
    lit += spread(np.broadcast_to(1 + sway, sun.shape), light.ambient)
    lit *= canvas.colour
    sigma = light.blur * canvas.unit
    image: np.ndarray = cv2.GaussianBlur(lit, (0, 0), sigma) if sigma > 0.2 else lit
    if canvas.side != size:
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    rows = image.reshape(size, 3 * size)
    rows *= np.tile(light.white * np.float32(light.exposure), size)
    # The tone curve is 1.7 x / (1 + x): highlights approach white slowly instead of being clipped.
    rows /= 1 + rows
    rows *= np.float32(1.7 * 255**2)
    np.sqrt(rows, out=rows)
    image = rows.reshape(size, size, 3)
    grain = rng.standard_normal((size, size), dtype=np.float32)
    # The colour noise of sensors is coarser than their brightness noise, so it has half the
    # resolution.
    coarse = rng.standard_normal((size // 2, size // 2), dtype=np.float32)
    tint: np.ndarray = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)
    image += spread(grain, np.full(3, 255 * light.noise, np.float32))
    image += spread(tint, np.array([1, 0, -1], np.float32) * np.float32(120 * light.noise))
    image += np.float32(0.5)
    np.clip(image, 0, 255, out=image)
    return image.astype(np.uint8)
