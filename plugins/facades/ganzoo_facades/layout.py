"""The layout of the parts of one building: a small grammar of floors and bays.

Lengths are in 256ths of the picture's side until `Plan.add` rounds them to pixels. The terms are
those of the CMP facade database as its label maps use them: a *cornice* is the head over a window,
a *molding* is a band across the wall (also the one under the roof), and *deco* is any other
ornament.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

CLASSES: tuple[str, ...] = (
    "background", "facade", "window", "door", "cornice", "sill",
    "balcony", "blind", "deco", "molding", "pillar", "shop",
)  # fmt: skip
"""The names of the classes. The index of a class is its position here."""

PALETTE: tuple[tuple[int, int, int], ...] = (
    (0, 0, 222), (0, 48, 255), (0, 128, 255), (0, 207, 255), (32, 255, 223), (112, 255, 143),
    (191, 255, 64), (255, 239, 0), (255, 159, 0), (255, 79, 0), (255, 0, 0), (175, 0, 0),
)  # fmt: skip
"""The RGB colours of the classes, measured on the CMP facades that pix2pix was published with."""

Box: TypeAlias = tuple[int, int, int, int]
"""The left, top, right and bottom edges in pixels. The right and the bottom edge are outside."""


Edges: TypeAlias = tuple[float, float, float, float]
"""The left, top, right and bottom edges in 256ths of the picture's side."""


Ornament = Literal["plain", "heads", "shutters", "balconies", "panels", "pilasters"]
ORNAMENTS: tuple[Ornament, ...] = get_args(Ornament)
"""The kinds of ornament. If a building has one kind only, each of its windows has this ornament,
and no building of another kind has it."""


class Part(NamedTuple):
    """One rectangle of the label map; `variant` selects how a part of this kind is painted."""

    kind: str
    box: Box
    variant: int = 0


@dataclass
class Plan:
    """The parts of a picture of `size` pixels, in the order in which they are drawn."""

    size: int
    parts: list[Part] = field(default_factory=list)
    wall: Box = (0, 0, 0, 0)
    base: int = 0
    """The row at which the ground floor begins, in pixels."""
    ornament: Ornament | None = None
    """The only ornament of the building, if it was drawn with a single one."""

    def box(self, left: float, top: float, right: float, bottom: float) -> Box:
        """Round a box from 256ths to pixels; it gets at least one pixel in width and height."""
        scale = self.size / 256
        x0, y0 = round(left * scale), round(top * scale)
        return x0, y0, max(x0 + 1, round(right * scale)), max(y0 + 1, round(bottom * scale))

    def add(self, kind: str, edges: Edges, variant: int = 0) -> None:
        """Add a part, cut at the picture's edges; a part outside the picture is dropped."""
        x0, y0, x1, y1 = self.box(*edges)
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, self.size), min(y1, self.size)
        if x0 < x1 and y0 < y1:
            self.parts.append(Part(kind, (x0, y0, x1, y1), variant))

    def labels(self) -> np.ndarray:
        """Return each pixel's class, `size` x `size` uint8; later parts cover earlier ones."""
        labels = np.zeros((self.size, self.size), np.uint8)
        for kind, (x0, y0, x1, y1), _ in self.parts:
            labels[y0:y1, x0:x1] = CLASSES.index(kind)
        return labels


@dataclass(frozen=True)
class _Bays:
    """What is repeated in every bay of the upper floors."""

    centres: Sequence[float]
    width: float
    pitch: float
    height: float
    floor: float
    head: float
    sill: float
    overhang: float
    blind: str
    balcony: str
    deco: str


# The drawing order: a part that stands out is drawn after the parts that it covers or shades.
_ORDER = (
    "facade", "pillar", "molding", "window", "blind", "deco", "door", "shop", "cornice", "sill",
    "balcony",
)  # fmt: skip


def draw_plan(rng: np.random.Generator, size: int, ornament: Ornament | None = None) -> Plan:
    """Lay out one building in a picture of `size` x `size` pixels.

    Args:
        rng: source of all random numbers.
        size: height and width of the picture, in pixels.
        ornament: the only ornament of the building; None: any combination of ornaments, or none.
    """
    plan = Plan(size, ornament=ornament)
    pixel = 256 / size
    left = 0.0 if rng.random() < 0.4 else rng.uniform(4, 38)
    right = 256.0 if rng.random() < 0.4 else 256 - rng.uniform(4, 38)
    top = 0.0 if rng.random() < 0.2 else rng.uniform(6, 58)
    bottom = 256 - rng.uniform(1, 16)
    # Small pictures get fewer, wider bays, because a window must be a few pixels wide to be
    # visible.
    pitch = max(rng.uniform(26, 56), 8 * pixel)
    floor = max(rng.uniform(36, 64), 10 * pixel)
    ground = min(max(rng.uniform(44, 68), 11 * pixel), 0.45 * (bottom - top))
    crown = rng.uniform(7, 17)
    floors = max(1, round((bottom - top - ground - crown) / floor))
    floor = (bottom - top - ground - crown) / floors
    margin = rng.uniform(0, 10)
    count = max(2, round((right - left - 2 * margin) / pitch))
    pitch = (right - left - 2 * margin) / count
    plan.wall = plan.box(left, top, right, bottom)
    plan.base = plan.box(0, bottom - ground, 1, bottom)[1]
    plan.add("facade", (left, top, right, bottom))
    plan.add("molding", (left - 2, top, right + 2, top + crown), 1)
    bays = _Bays(
        centres=[left + margin + pitch * (i + 0.5) for i in range(count)],
        width=pitch * rng.uniform(0.40, 0.64),
        pitch=pitch,
        height=floor * rng.uniform(0.48, 0.66),
        floor=floor,
        head=rng.uniform(4, 8) if rng.random() < 0.62 else 0.0,
        sill=rng.uniform(4, 8) if rng.random() < 0.85 else 0.0,
        overhang=rng.uniform(1, 0.14 * pitch),
        blind=str(rng.choice(["none", "shutters", "roller"], p=[0.66, 0.12, 0.22])),
        balcony=str(
            rng.choice(["none", "all", "odd", "centre", "floor"], p=[0.36, 0.14, 0.2, 0.13, 0.17])
        ),
        deco=str(rng.choice(["none", "spandrel", "between"], p=[0.45, 0.33, 0.22])),
    )
    if ornament is not None:
        bays = replace(
            bays,
            head=6.0 if ornament == "heads" else 0.0,
            blind="shutters" if ornament == "shutters" else "none",
            balcony="all" if ornament == "balconies" else "none",
            deco="spandrel" if ornament == "panels" else "none",
            # A panel needs 10 units between the sill and the next window.
            height=0.5 * floor if ornament == "panels" else bays.height,
        )
    band = rng.uniform(4, 10)
    banded = rng.random() < 0.55
    for storey in range(floors):
        y = top + crown + storey * floor
        last = storey == floors - 1
        _upper_floor(rng, plan, bays, y, storey)
        if last and rng.random() < 0.8:
            plan.add("molding", (left - 1, y + floor - band, right + 1, y + floor + band * 0.4))
        elif banded and not last:
            plan.add("molding", (left, y + floor - band * 0.7, right, y + floor))
    pillars = rng.random() < 0.18
    if pillars if ornament is None else ornament == "pilasters":
        _pillars(rng, plan, bays, (left, top + crown, right, bottom - ground))
    _ground_floor(rng, plan, bays, (left, bottom - ground, right, bottom))
    plan.parts.sort(key=lambda part: _ORDER.index(part.kind))
    return plan


def _upper_floor(rng: np.random.Generator, plan: Plan, bays: _Bays, y: float, storey: int) -> None:
    w, h, floor = bays.width, bays.height, bays.floor
    y0 = y + 0.45 * (floor - h) + 0.3 * bays.head
    y1 = y0 + h
    middle = len(bays.centres) // 2
    balconies = bays.balcony == "floor" and storey % 2 == 1
    if balconies:
        first, last = bays.centres[0] - 0.48 * bays.pitch, bays.centres[-1] + 0.48 * bays.pitch
        plan.add("balcony", (first, y1 - 0.32 * h, last, y1 + 4))
    for column, x in enumerate(bays.centres):
        x0, x1 = x - w / 2, x + w / 2
        own = not balconies and (
            bays.balcony == "all"
            or (bays.balcony == "odd" and column % 2 == 1)
            or (bays.balcony == "centre" and column == middle)
        )
        plan.add("window", (x0, y0, x1, y1 + (3 if own else 0)), int(rng.integers(4)))
        reach = bays.overhang
        if bays.head:
            plan.add("cornice", (x0 - reach, y0 - bays.head, x1 + reach, y0))
        if own:
            plan.add("balcony", (x0 - 1 - reach, y1 - 0.42 * h, x1 + 1 + reach, y1 + 5))
        elif bays.sill and not balconies:
            plan.add("sill", (x0 - reach, y1, x1 + reach, y1 + bays.sill))
        _blind(rng, plan, bays, (x0, y0, x1, y1))
        if bays.deco == "spandrel" and not own and not balconies:
            gap = floor - h - bays.head - bays.sill
            if gap > 9:
                start = y1 + bays.sill + 1.5
                plan.add("deco", (x0 + 1, start, x1 - 1, start + min(gap - 5, 14)))
        elif bays.deco == "between" and column and bays.pitch - w > 16:
            size = min(0.4 * (bays.pitch - w), 12)
            edge = x - bays.pitch / 2
            plan.add("deco", (edge - size, y0 + 2, edge + size, y0 + 2 + 2 * size))


def _blind(
    rng: np.random.Generator, plan: Plan, bays: _Bays, window: tuple[float, float, float, float]
) -> None:
    x0, y0, x1, y1 = window
    if bays.blind == "shutters":
        leaf = min(0.34 * (x1 - x0), 0.46 * (bays.pitch - (x1 - x0)))
        if rng.random() < 0.9:
            plan.add("blind", (x0 - leaf, y0, x0, y1), 1)
            plan.add("blind", (x1, y0, x1 + leaf, y1), 1)
        else:
            plan.add("blind", (x0, y0, x1, y1), 1)
    elif bays.blind == "roller" and rng.random() < 0.4:
        plan.add("blind", (x0 + 1, y0 + 1, x1 - 1, y0 + (y1 - y0) * rng.uniform(0.25, 0.8)))


def _pillars(
    rng: np.random.Generator,
    plan: Plan,
    bays: _Bays,
    wall: Edges,
) -> None:
    left, top, right, bottom = wall
    width = min(rng.uniform(5, 10), 0.7 * (bays.pitch - bays.width))
    # Where pilasters are the building's ornament, each window has one beside it.
    every = int(rng.integers(1, 3)) if plan.ornament is None else 1
    edges = [left + width / 2 + 1, right - width / 2 - 1]
    edges += [x + bays.pitch / 2 for x in bays.centres[:-1]][::every]
    for x in edges:
        plan.add("pillar", (x - width / 2, top, x + width / 2, bottom))


def _ground_floor(
    rng: np.random.Generator,
    plan: Plan,
    bays: _Bays,
    wall: Edges,
) -> None:
    left, top, right, bottom = wall
    height = bottom - top
    count = len(bays.centres)
    entrance = int(rng.integers(count))
    start = top + height * rng.uniform(0.16, 0.28)
    half = min(0.36 * bays.pitch, 14.0)
    entry = bays.centres[entrance]
    if rng.random() < 0.42:
        gap = rng.uniform(1, 5)
        for group in (bays.centres[:entrance], bays.centres[entrance + 1 :]):
            split = len(group) // 2 if len(group) > 2 and rng.random() < 0.6 else len(group)
            for some in (group[:split], group[split:]):
                if some:
                    reach = bays.pitch / 2 - gap
                    variant = int(rng.integers(1, 1 << 16))
                    plan.add("shop", (some[0] - reach, start, some[-1] + reach, bottom), variant)
    else:
        foot = rng.uniform(6, 13)
        if rng.random() < 0.5:
            plan.add("molding", (left, bottom - foot, right, bottom), 2)
        w = bays.width * rng.uniform(0.9, 1.2)
        low = min(bottom - foot - 7, start + height * rng.uniform(0.4, 0.55))
        for column, x in enumerate(bays.centres):
            if column != entrance:
                plan.add("window", (x - w / 2, start, x + w / 2, low), int(rng.integers(4)))
                if bays.sill:
                    reach = bays.overhang
                    plan.add("sill", (x - w / 2 - reach, low, x + w / 2 + reach, low + bays.sill))
    plan.add("door", (entry - half, start, entry + half, bottom), int(rng.integers(3)))
    # A panel over the entrance would indicate the type "panels" where another ornament is the
    # building's only one.
    if rng.random() < 0.4 and plan.ornament in {None, "panels"}:
        plan.add("deco", (entry - half - 3, start - 0.14 * height, entry + half + 3, start))
