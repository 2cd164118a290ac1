"""The canvas of a procedural facade, the textures of its walls and its background."""

from __future__ import annotations

import cv2
import numpy as np

from ganzoo_facades.layout import Box
from ganzoo_facades.style import Colour, Light, Style, draw_wall


class Canvas:
    """Reflectance and sunlight of a picture while it is painted.

    Attributes:
        colour: side x side x 3 float32, linear reflectance.
        sun: side x side float32, the share of the sun's light that arrives.
        unit: pixels of the canvas per 256th of the picture's side.
        finest: smallest period of a repeated detail, in pixels of the canvas, that is still visible
            after the canvas is shrunk to the picture.
    """

    def __init__(self, size: int, factor: int, light: Light, rng: np.random.Generator) -> None:
        side = size * factor
        self.colour = np.zeros((side, side, 3), np.float32)
        self.sun = np.ones((side, side), np.float32)
        self.side = side
        self.unit = side / 256
        self.finest = 2 * factor
        self.light = light
        self.rng = rng

    def pixels(self, length: float) -> int:
        """Convert a length from 256ths of the side to pixels of the canvas, at least one."""
        return max(1, round(length * self.unit))

    def clip(self, box: Box) -> Box:
        """Return the part of a box that lies on the canvas; it may be empty (right <= left)."""
        x0, y0, x1, y1 = box
        return max(x0, 0), max(y0, 0), min(x1, self.side), min(y1, self.side)

    def view(self, box: Box) -> np.ndarray:
        """Return a view of the reflectance inside a box, to write to."""
        x0, y0, x1, y1 = self.clip(box)
        return self.colour[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]

    def light_up(self, box: Box) -> None:
        """Remove shadows from a part that stands out from the wall."""
        x0, y0, x1, y1 = self.clip(box)
        self.sun[y0:y1, x0:x1] = 1

    def shade(self, box: Box, share: float) -> None:
        """Limit the share of the sun's light in a box to `share`."""
        x0, y0, x1, y1 = self.clip(box)
        if x0 < x1 and y0 < y1:
            region = self.sun[y0:y1, x0:x1]
            np.minimum(region, share, out=region)

    def project(self, box: Box, depth: float) -> None:
        """Cast the shadow of a part that stands out by `depth` 256ths, and light the part."""
        x0, y0, x1, y1 = box
        dx, dy = round(self.light.dx * depth * self.unit), self.pixels(self.light.dy * depth)
        self.shade((x0 + dx, y0 + dy, x1 + dx, y1 + dy), 0.12)
        self.light_up(box)

    def bevel(self, box: Box, gain: float = 0.3) -> None:
        """Brighten the edges of a block that face the light, and darken the others."""
        view = self.view(box)
        t = self.pixels(1)
        if min(view.shape[:2]) < 3 * t:
            return
        view[:t] *= 1 + gain
        view[-t:] *= 1 - gain
        side = np.float32(gain if self.light.dx > 0 else -gain)
        view[:, :t] *= 1 + 0.6 * side
        view[:, -t:] *= 1 - 0.6 * side


def cloud(rng: np.random.Generator, height: int, width: int, cells: int) -> np.ndarray:
    """Return smooth noise, height x width float32, with mean about 0 and standard deviation 0.3."""
    small = rng.random((cells + 2, cells + 2), dtype=np.float32) - np.float32(0.5)
    return cv2.resize(small, (max(width, 1), max(height, 1)), interpolation=cv2.INTER_CUBIC)


def spread(plane: np.ndarray, colour: Colour) -> np.ndarray:
    """Return the outer product of a plane and a colour: H x W float32 to H x W x 3.

    Whole rows are multiplied because numpy's broadcast over a last axis of three is five times
    slower.
    """
    height, width = plane.shape
    rows = cv2.cvtColor(plane, cv2.COLOR_GRAY2RGB).reshape(height, 3 * width)
    rows *= np.tile(colour, width)
    return rows.reshape(height, width, 3)


def wall(canvas: Canvas, box: Box, colour: Colour, material: str, course: float) -> None:
    """Fill a box with a wall.

    Args:
        canvas: the canvas to paint on.
        box: the wall's box, in pixels of the canvas.
        colour: mean reflectance.
        material: `brick`, `stone`, `panels` or `plaster`.
        course: factor on the size of its blocks.
    """
    view = canvas.view(box)
    height, width = view.shape[:2]
    if not height or not width:
        return
    rng = canvas.rng
    dirt = 1 + 0.22 * cloud(rng, height, width, 5)
    if material == "plaster":
        grain = rng.standard_normal((height, width), dtype=np.float32)
        tone = dirt + 0.03 * grain + 0.1 * cloud(rng, height, width, 24)
    else:
        tone = dirt * _blocks(canvas, height, width, material, course)
    view[:] = spread(tone, colour)


def _blocks(canvas: Canvas, height: int, width: int, material: str, course: float) -> np.ndarray:
    """Return the tone of bricks, stones or panels with joints: height x width, about mean 1."""
    rng = canvas.rng
    rows, columns, spread, joint, contrast = {
        "brick": (3.2, 9.0, 0.2, 0.8, float(rng.choice([0.72, 1.4]))),
        "stone": (9.0, 20.0, 0.13, 1.0, 0.62),
        "panels": (26.0, 34.0, 0.05, 1.0, 0.55),
    }[material]
    high, wide = max(2.0, rows * course * canvas.unit), max(3.0, columns * course * canvas.unit)
    line = canvas.pixels(joint)
    y = np.arange(height, dtype=np.float32)
    x = np.arange(width, dtype=np.float32)
    row = (y / high).astype(np.intp)
    shift = (row % 2) * (wide / 2) if material != "panels" else np.zeros(height)
    across = x[None, :] + shift[:, None].astype(np.float32)
    column = (across / wide).astype(np.intp)
    tones = 1 + spread * rng.standard_normal((int(row[-1]) + 1, int(column.max()) + 1))
    tone = tones.astype(np.float32)[row[:, None], column]
    joints = (across - column * np.float32(wide)) < line
    joints |= (y - row * np.float32(high) < line)[:, None]
    return np.where(joints, np.float32(contrast), tone)


def background(canvas: Canvas, style: Style, wall_box: Box) -> None:
    """Paint sky, neighbouring buildings, a roof and the street around the wall at `wall_box`."""
    side, rng = canvas.side, canvas.rng
    low, high = {
        "blue": ((0.45, 0.62, 0.85), (0.12, 0.3, 0.68)),
        "overcast": ((0.85, 0.87, 0.9), (0.62, 0.66, 0.72)),
        "haze": ((0.9, 0.84, 0.75), (0.5, 0.56, 0.66)),
        "dusk": ((0.8, 0.45, 0.28), (0.2, 0.2, 0.42)),
        "black": ((0.003, 0.003, 0.003), (0.003, 0.003, 0.003)),
    }[style.sky]
    ramp = np.linspace(0, 1, side, dtype=np.float32)[:, None, None]
    canvas.colour[:] = np.array(high, np.float32) * (1 - ramp) + np.array(low, np.float32) * ramp
    if style.sky in {"blue", "haze", "dusk"}:
        fleece = cloud(rng, side, side, 4) + 0.5 * cloud(rng, side, side, 11)
        fleece += 0.25 * cloud(rng, side, side, 30)
        veil = np.clip(fleece * 1.3 - rng.uniform(0, 0.4), 0, 0.85)
        canvas.colour *= spread(1 - veil, np.ones(3, np.float32))
        canvas.colour += spread(veil, np.full(3, 0.85, np.float32))
    x0, y0, x1, y1 = wall_box
    for present, box in zip(style.neighbours, ((0, 0, x0, y1), (x1, 0, side, y1)), strict=True):
        if box[2] - box[0] < 2:
            continue
        if present:
            _neighbour(canvas, box, y0)
        elif rng.random() < style.trees:
            _tree(canvas, box)
    if y0 > canvas.pixels(14) and rng.random() < style.roofed:
        _roof(canvas, style.roof, wall_box)
    _street(canvas, y1)


def _neighbour(canvas: Canvas, box: Box, roof_line: int) -> None:
    rng = canvas.rng
    x0, _, x1, y1 = box
    top = int(roof_line + rng.uniform(-30, 50) * canvas.unit)
    body = canvas.clip((x0, max(top, 0), x1, y1))
    if body[1] >= body[3]:
        return
    colour, material = draw_wall(rng)
    wall(canvas, body, colour * np.float32(0.7), material, 1.0)
    canvas.view((x0, body[1], x1, body[1] + canvas.pixels(3)))[:] *= 0.5
    canvas.sun[body[1] : body[3], x0:x1] = np.float32(rng.uniform(0.1, 0.9))


def _tree(canvas: Canvas, box: Box) -> None:
    rng = canvas.rng
    x0, _, x1, y1 = box
    top = int(rng.uniform(0.3, 0.75) * canvas.side)
    view = canvas.view((x0, top, x1, y1))
    height, width = view.shape[:2]
    if height < 4 or width < 2:
        return
    # The crown consists of overlapping discs and is wider towards its middle.
    crown = np.zeros((height, width), np.uint8)
    trunk = x1 - x0 if x0 == 0 else 0
    for _ in range(26):
        rise = rng.random()
        reach = (0.25 + np.sin(np.pi * rise)) * 0.45 * width
        at = (int(width - trunk + rng.uniform(-1, 1) * reach), int((0.12 + 0.88 * rise) * height))
        cv2.circle(crown, at, max(2, int(rng.uniform(0.1, 0.24) * width)), 1, -1)
    leaves = 1 + 0.9 * cloud(rng, height, width, 14) + 0.7 * cloud(rng, height, width, 60)
    green = np.array([0.06, 0.11, 0.03], np.float32) * np.float32(rng.uniform(0.6, 1.6))
    np.copyto(view, spread(leaves, green), where=(crown > 0)[:, :, None])


def _roof(canvas: Canvas, colour: Colour, wall_box: Box) -> None:
    rng = canvas.rng
    x0, y0, x1, _ = wall_box
    high = int(min(y0, rng.uniform(14, 44) * canvas.unit))
    slope = int(high * rng.uniform(0.2, 0.9))
    if rng.random() < 0.6:
        at = int(rng.uniform(x0 + slope, max(x1 - slope, x0 + slope + 1)))
        stack = (at, y0 - high - canvas.pixels(9), at + canvas.pixels(8), y0)
        wall(canvas, canvas.clip(stack), colour * np.float32(0.6), "brick", 1.0)
    mask = np.zeros((canvas.side, canvas.side), np.uint8)
    corners = [[x0, y0], [x0 + slope, y0 - high], [x1 - slope, y0 - high], [x1, y0]]
    cv2.fillConvexPoly(mask, np.array(corners, np.int32), 1)
    rows = np.arange(canvas.side) % max(2, canvas.pixels(4))
    tone = np.where(rows == 0, 0.65, 1.0).astype(np.float32)[:, None]
    band = slice(max(y0 - high, 0), y0)
    tiles = spread(tone[band] * (1 + 0.25 * cloud(rng, band.stop, canvas.side, 40)[band]), colour)
    np.copyto(canvas.colour[band], tiles, where=mask[band, :, None] > 0)


def _street(canvas: Canvas, top: int) -> None:
    rng = canvas.rng
    view = canvas.colour[top:]
    if not len(view):
        return
    grey = np.float32(rng.uniform(0.05, 0.3)) * np.array([1.02, 1.0, 0.97], np.float32)
    view[:] = spread(1 + 0.35 * cloud(rng, len(view), canvas.side, 40), grey)
    kerb = len(view) // 3
    view[kerb : kerb + canvas.pixels(1.5)] *= 1.7
