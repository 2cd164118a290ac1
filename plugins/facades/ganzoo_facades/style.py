"""The appearance of one building: colours, materials, ornament and light, drawn from its seed.

Colours are linear light in [0, 1]. They are the square of the display value, a simple approximation
of sRGB's curve. `ganzoo_facades.paint.develop` inverts it by a square root.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

Colour: TypeAlias = "np.ndarray"
"""Three float32 values of linear light."""
Range: TypeAlias = tuple[float, float]

# Each row: weight, hue, saturation, value, materials. The ranges are wide and overlap on purpose,
# because a colour alone must not determine the class.
_WALLS: tuple[tuple[float, Range, Range, Range, tuple[str, ...]], ...] = (
    (3.0, (0.00, 0.05), (0.35, 0.65), (0.40, 0.75), ("brick", "brick", "plaster")),
    (2.0, (0.04, 0.10), (0.25, 0.50), (0.30, 0.65), ("brick", "stone")),
    (3.0, (0.09, 0.14), (0.20, 0.55), (0.60, 0.98), ("plaster", "stone", "brick")),
    (3.0, (0.08, 0.16), (0.00, 0.16), (0.75, 1.00), ("plaster", "stone", "panels")),
    (3.0, (0.50, 0.70), (0.00, 0.10), (0.30, 0.85), ("stone", "panels", "plaster")),
    (1.5, (0.97, 1.06), (0.12, 0.38), (0.70, 0.98), ("plaster", "stone")),
    (2.0, (0.25, 0.65), (0.06, 0.32), (0.40, 0.90), ("plaster", "panels")),
    (1.5, (0.50, 1.10), (0.00, 0.15), (0.16, 0.36), ("brick", "panels", "plaster")),
)


@dataclass(frozen=True)
class Light:
    """Sun and sky over one building, and the camera.

    Args:
        dx, dy: shift of a cast shadow for each unit of depth; dy > 0 because light comes from
            above.
        sun, ambient: colours of the direct and of the ambient light.
        softness: blur of shadow edges, in 256ths of the picture.
        exposure: factor on the developed picture's linear light.
        white: white balance, a factor for each channel.
        blur: sigma of the lens blur, in 256ths of the picture.
        noise: standard deviation of the sensor's noise, in display values of [0, 1].
    """

    dx: float
    dy: float
    sun: Colour
    ambient: Colour
    softness: float
    exposure: float
    white: Colour
    blur: float
    noise: float


@dataclass(frozen=True)
class Style:
    """What all parts of one building have in common."""

    wall: Colour
    material: str
    base_wall: Colour
    base_material: str
    trim: Colour
    frame: Colour
    metal: Colour
    paint: Colour
    door: Colour
    glass: Colour
    reflection: Colour
    roof: Colour
    panes: str
    arched: bool
    head: str
    railing: str
    dentils: bool
    course: float
    sky: str
    neighbours: tuple[bool, bool]
    light: Light
    roofed: float = 0.55
    """The probability of a roof if there is space above the wall."""
    trees: float = 0.5
    """The probability of a tree at a side without a neighbour."""
    opposite: float = 0.3
    """The probability of a shadow of the houses across the street."""
    mirror: float | None = None
    """The share of the sky that all panes mirror. With None, it is drawn at random for each variant
    of window."""
    dressing: int | None = None
    """The curtains of all windows (see `Openings`). With None, they are drawn at random for each
    variant of window."""


def hsv(rng: np.random.Generator, hue: Range, saturation: Range, value: Range) -> Colour:
    """Draw a colour uniformly from ranges of hue (in turns), saturation and display value."""
    rgb = colorsys.hsv_to_rgb(
        rng.uniform(*hue) % 1.0, rng.uniform(*saturation), rng.uniform(*value)
    )
    return np.square(np.array(rgb, dtype=np.float32))


def draw_wall(rng: np.random.Generator) -> tuple[Colour, str]:
    """Draw the colour and material of a wall."""
    weights = np.array([row[0] for row in _WALLS])
    _, hue, saturation, value, materials = _WALLS[
        rng.choice(len(_WALLS), p=weights / weights.sum())
    ]
    return hsv(rng, hue, saturation, value), materials[rng.integers(len(materials))]


def draw_light(rng: np.random.Generator) -> Light:
    """Draw sunny, hazy or overcast light, and the camera's settings."""
    sunny = float(rng.choice([0.1, 0.45, 1.0], p=[0.35, 0.25, 0.4]))
    warmth = rng.uniform(-0.10, 0.16)
    side = rng.choice([-1.0, 1.0])
    sun = np.array([1 + warmth, 1.0, 1 - warmth], np.float32) * (0.25 + 0.65 * sunny)
    ambient = np.array([0.95, 1.0, 1.06], np.float32) * (0.75 - 0.42 * sunny)
    return Light(
        dx=float(side * rng.uniform(0.2, 0.9) * sunny),
        dy=float(rng.uniform(0.6, 1.2)),
        sun=sun,
        ambient=ambient.astype(np.float32),
        softness=float(0.4 + 2.2 * (1 - sunny)),
        exposure=float(np.exp(np.clip(rng.normal(0.0, 0.25), -0.6, 0.45))),
        white=np.exp(rng.normal(0.0, 0.06, 3)).astype(np.float32),
        blur=float(rng.uniform(0.25, 0.75)),
        noise=float(rng.uniform(0.004, 0.022)),
    )


def _trim(rng: np.random.Generator, wall: Colour) -> Colour:
    """Draw the colour of mouldings and surrounds: stone, white, a tone of the wall, or dark."""
    kind = rng.choice(4, p=[0.3, 0.25, 0.3, 0.15])
    if kind == 0:
        return hsv(rng, (0.07, 0.14), (0.05, 0.25), (0.55, 0.85))
    if kind == 1:
        return hsv(rng, (0.0, 1.0), (0.0, 0.05), (0.85, 1.0))
    if kind == 2:
        tone = np.float32(rng.choice([0.6, 1.35, 1.6]))
        return np.clip(wall * tone, 0.02, 0.95)
    return hsv(rng, (0.0, 0.15), (0.05, 0.35), (0.25, 0.45))


def draw_style(rng: np.random.Generator) -> Style:
    """Draw all properties of a building except the positions of its parts."""
    wall, material = draw_wall(rng)
    base_wall, base_material = wall, material
    if rng.random() < 0.45:
        base_wall, base_material = draw_wall(rng)
    bright = rng.random() < 0.35
    glass = hsv(rng, (0.50, 0.68), (0.05, 0.40), (0.30, 0.62) if bright else (0.06, 0.30))
    reflection = hsv(rng, (0.52, 0.62), (0.0, 0.35), (0.55, 0.95))
    painted = rng.random() < 0.5
    return Style(
        wall=wall,
        material=material,
        base_wall=base_wall,
        base_material=base_material,
        trim=_trim(rng, wall),
        frame=hsv(rng, (0.0, 1.0), (0.0, 0.06), (0.8, 1.0))
        if rng.random() < 0.6
        else hsv(rng, (0.02, 0.45), (0.1, 0.6), (0.12, 0.45)),
        metal=hsv(rng, (0.3, 0.7), (0.0, 0.2), (0.05, 0.3))
        if rng.random() < 0.75
        else hsv(rng, (0.0, 1.0), (0.0, 0.1), (0.7, 0.95)),
        paint=hsv(rng, (0.0, 1.0), (0.3, 0.8), (0.3, 0.8))
        if painted
        else hsv(rng, (0.05, 0.15), (0.0, 0.3), (0.5, 0.95)),
        door=hsv(rng, (0.02, 0.10), (0.3, 0.7), (0.2, 0.55))
        if rng.random() < 0.6
        else hsv(rng, (0.0, 1.0), (0.2, 0.7), (0.15, 0.7)),
        glass=glass,
        reflection=reflection,
        roof=hsv(rng, (0.0, 0.07), (0.3, 0.6), (0.35, 0.65))
        if rng.random() < 0.6
        else hsv(rng, (0.55, 0.65), (0.0, 0.2), (0.25, 0.5)),
        panes=str(rng.choice(["cross", "tee", "two", "grid", "sash", "one"])),
        arched=bool(rng.random() < 0.14),
        head=str(rng.choice(["flat", "keystone", "pediment", "hood"])),
        railing=str(rng.choice(["iron", "iron", "stone", "solid", "glass"])),
        dentils=bool(rng.random() < 0.5),
        course=float(rng.uniform(0.75, 1.35)),
        sky=str(
            rng.choice(["blue", "overcast", "haze", "dusk", "black"], p=[0.4, 0.3, 0.15, 0.1, 0.05])
        ),
        neighbours=(bool(rng.random() < 0.6), bool(rng.random() < 0.6)),
        light=draw_light(rng),
    )
