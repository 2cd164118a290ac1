"""The parts that stand out from the wall; each public function paints one part into its box."""

from __future__ import annotations

import numpy as np

from ganzoo_facades.canvas import Canvas, cloud, spread
from ganzoo_facades.layout import Box
from ganzoo_facades.style import Style, hsv


def _profile(view: np.ndarray, t: int, *, steps: bool) -> None:
    """Paint the lines of a horizontal moulding: bright upper edges, dark lower ones."""
    height = len(view)
    view[:t] *= 1.3
    if steps and height >= 6 * t:
        for share in (0.35, 0.68):
            row = int(share * height)
            view[row : row + t] *= 0.6
            view[row + t : row + 2 * t] *= 1.2
    if height > 2 * t:
        view[-t:] *= 0.55


def _stone(canvas: Canvas, view: np.ndarray, style: Style) -> None:
    """Fill with the trim's colour, slightly stained."""
    height, width = view.shape[:2]
    if height * width > 60:
        view[:] = spread(1 + 0.18 * cloud(canvas.rng, height, width, 6), style.trim)
    else:
        view[:] = style.trim


def molding(canvas: Canvas, style: Style, box: Box, variant: int) -> None:
    """Paint a band: plain (0), under the roof with dentils (1), or the plinth at the foot (2)."""
    view = canvas.view(box)
    if variant == 2:
        _stone(canvas, view, style)
        view *= 0.8
        view[: canvas.pixels(1)] *= 1.4
        return
    _stone(canvas, view, style)
    _profile(view, canvas.pixels(1), steps=True)
    height = len(view)
    if variant == 1 and style.dentils:
        pitch = max(canvas.finest, canvas.pixels(4.5))
        gaps = np.arange(view.shape[1]) % pitch < pitch // 2
        band = view[int(0.62 * height) : int(0.92 * height)]
        band[:, gaps] *= 0.4
    canvas.project(box, 5.0 if variant == 1 else 2.6)


def cornice(canvas: Canvas, style: Style, box: Box, _: int) -> None:
    """Paint a window head: flat, with a keystone, a pediment, or a hood on its upper half."""
    view = canvas.view(box)
    height, width = view.shape[:2]
    t = canvas.pixels(1)
    if style.head == "pediment" and height >= 4:
        x = np.abs(np.linspace(-1, 1, width, dtype=np.float32))[None, :]
        y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
        inside = y >= 0.75 * x
        np.copyto(view, style.trim, where=inside[:, :, None])
        edge = inside & (y < 0.75 * x + 0.28)
        view[edge] *= 1.3
        view[-t:] *= 1.25
    else:
        view[:] = style.trim
        _profile(view, t, steps=False)
        if style.head == "keystone" and width > 8 * t:
            middle, half = width // 2, max(1, width // 12)
            view[:, middle - half : middle + half] = style.trim * np.float32(1.3)
            view[:, middle - half - t : middle - half] *= 0.5
            view[:, middle + half : middle + half + t] *= 0.5
        elif style.head == "hood" and height >= 4:
            view[height // 2 :] *= 0.7
    canvas.project(box, 3.2 if style.head == "hood" else 2.2)


def sill(canvas: Canvas, style: Style, box: Box, _: int) -> None:
    """Paint a window sill with its shadow on the wall."""
    view = canvas.view(box)
    view[:] = style.trim
    _profile(view, canvas.pixels(1), steps=False)
    half = len(view) // 2
    view[half:] *= 0.78
    canvas.project(box, 2.4)


def pillar(canvas: Canvas, style: Style, box: Box, _: int) -> None:
    """Paint a pilaster with rounded shading, flutes, capital and base."""
    view = canvas.view(box)
    height, width = view.shape[:2]
    t = canvas.pixels(1)
    _stone(canvas, view, style)
    across = np.linspace(-1, 1, width, dtype=np.float32)
    towards = np.float32(-1 if canvas.light.dx > 0 else 1)
    view *= (1.05 - 0.2 * across**2 + 0.18 * towards * across)[None, :, None]
    if width >= 5 * t:
        view[:, 2 * t : -t : 2 * t] *= 0.72
    for rows in (slice(0, min(4 * t, height)), slice(max(height - 5 * t, 0), height)):
        view[rows] = style.trim * np.float32(1.1)
        view[rows][-t:] *= 0.6
    canvas.project(box, 2.0)


def deco(canvas: Canvas, style: Style, box: Box, _: int) -> None:
    """Paint a carved panel: a raised border around a rosette or a row of lozenges."""
    view = canvas.view(box)
    height, width = view.shape[:2]
    _stone(canvas, view, style)
    y = np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5 - height / 2)
    x = np.arange(width, dtype=np.float32)[None, :] + np.float32(0.5)
    side = min(height, width)
    x = (x % side) - np.float32(side / 2)
    radius = (np.abs(x) + np.abs(y)) / (side / 2)
    relief = np.where(radius < 0.75, 0.55, 0.95) + np.where(radius < 0.4, 0.75, 0)
    relief = relief - 0.18 * np.sign(y + x) * (radius < 0.75)
    view *= relief.astype(np.float32)[:, :, None]
    canvas.bevel(box, 0.4)
    canvas.project(box, 1.2)


def blind(canvas: Canvas, style: Style, box: Box, variant: int) -> None:
    """Paint a roller blind (0) or a louvred shutter (1)."""
    view = canvas.view(box)
    height, width = view.shape[:2]
    slat = max(canvas.finest, canvas.pixels(2.2 if variant else 1.8))
    gap = slat // 2 if slat > 3 else 1
    tone = np.where(np.arange(height) % slat < gap, 0.5, 1.0).astype(np.float32)
    view[:] = style.paint * tone[:, None, None]
    t = canvas.pixels(1)
    if variant:
        if min(height, width) >= 5 * t:
            for rows in (slice(0, t), slice(height // 2, height // 2 + t), slice(-t, None)):
                view[rows] = style.paint * np.float32(1.2)
            view[:, :t] = style.paint * np.float32(1.2)
            view[:, -t:] = style.paint * np.float32(0.8)
        canvas.project(box, 1.2)
    else:
        view[-t:] *= 0.5


def balcony(canvas: Canvas, style: Style, box: Box, _: int) -> None:
    """Paint a slab with a railing of iron bars, stone balusters, a solid parapet or glass."""
    x0, y0, x1, y1 = box
    view = canvas.view(box)
    height, width = view.shape[:2]
    t = canvas.pixels(1)
    slab = min(max(canvas.pixels(3), height // 5), max(height - 1, 1))
    rail = view[: height - slab]
    bars = np.arange(width)
    if style.railing == "iron":
        canvas.shade((x0, y0, x1, y1), 0.55)
        pitch = max(canvas.finest, canvas.pixels(3))
        rail[:, bars % pitch < max(1, pitch * 2 // 5)] = style.metal
        rail[len(rail) // 2 : len(rail) // 2 + t] = style.metal
        rail[:t] = style.metal
    elif style.railing == "stone":
        pitch = max(3, canvas.finest, canvas.pixels(4.5))
        rail[:, bars % pitch < pitch * 0.6] = style.trim * np.float32(0.95)
        rail[:, bars % pitch >= pitch * 0.6] *= 0.35
        rail[: 2 * t] = style.trim * np.float32(1.15)
        canvas.light_up(box)
    elif style.railing == "solid":
        rail[:] = style.trim * np.float32(0.9)
        rail[:t] *= 1.3
        canvas.light_up(box)
        canvas.bevel(box, 0.2)
    else:
        rail[:] = 0.45 * rail + 0.55 * style.reflection
        rail[:t] = style.metal
        canvas.light_up(box)
    view[height - slab :] = style.trim
    view[-t:] *= 0.5
    depth = canvas.pixels(7 * canvas.light.dy)
    shift = round(canvas.light.dx * 7 * canvas.unit)
    canvas.shade((x0 + shift, y1, x1 + shift, y1 + depth), 0.08)
    canvas.light_up((x0, y1 - slab, x1, y1))


def shop(canvas: Canvas, style: Style, box: Box, variant: int) -> None:
    """Paint a shop: a sign with letters, a display window on a low wall, sometimes an awning."""
    rng = np.random.default_rng(variant)
    view = canvas.view(box)
    height, width = view.shape[:2]
    t = canvas.pixels(1)
    tint = hsv(rng, (0.0, 1.0), (0.0, 0.65), (0.15, 0.85))
    ink = hsv(rng, (0.0, 1.0), (0.0, 0.8), (0.1, 1.0))
    panes = np.float32(rng.uniform(0.1, 0.5)) * style.reflection + np.float32(0.5) * style.glass
    view[:] = panes * np.linspace(1.3, 0.5, height, dtype=np.float32)[:, None, None]
    for top in (0.42, 0.64):
        _goods(rng, view[int(top * height) : int((top + 0.19) * height)], canvas.pixels(3))
    foot = int(0.87 * height)
    view[foot:] = tint * np.float32(0.7)
    pitch = max(4 * t, canvas.pixels(float(rng.uniform(16, 30))))
    for column in range(0, width, pitch):
        view[:, column : column + 2 * t] = tint * np.float32(0.8)
    view[:, -2 * t :] = tint * np.float32(0.8)
    sign = view[: max(2, int(0.2 * height))]
    sign[:] = tint
    sign[-t:] *= 0.5
    _letters(rng, sign, ink, t)
    if rng.random() < 0.55:
        start, end = int(0.2 * height), int(rng.uniform(0.34, 0.5) * height)
        stripes = (np.arange(width) // canvas.pixels(5)) % 2 == 0
        fall = np.linspace(1.15, 0.85, max(end - start, 1), dtype=np.float32)[:, None, None]
        cloth = np.where(stripes[:, None], ink, np.float32(0.8) if rng.random() < 0.6 else tint)
        view[start:end] = cloth[None].astype(np.float32) * fall
        x0, y0, x1, y1 = box
        canvas.shade((x0, y0 + end, x1, y1), 0.15)
        canvas.light_up((x0, y0 + start, x1, y0 + end))


def _goods(rng: np.random.Generator, shelf: np.ndarray, size: int) -> None:
    """Paint objects of random colours and heights side by side on a shelf."""
    height, width = shelf.shape[:2]
    for x in range(size, width - size, size + max(1, size // 3)):
        top = int(rng.uniform(0, 0.9) * height)
        shelf[top:, x : x + size] = hsv(rng, (0.0, 1.0), (0.0, 0.6), (0.1, 0.8))


def _letters(rng: np.random.Generator, sign: np.ndarray, ink: np.ndarray, t: int) -> None:
    """Paint upright strokes and bars that resemble letters from a distance."""
    height, width = sign.shape[:2]
    a, b = int(0.25 * height), max(int(0.75 * height), int(0.25 * height) + 1)
    size = max(3 * t, (b - a))
    start = int(rng.uniform(0.1, 0.4) * width)
    for x in range(start, int(0.85 * width) - size, size + t):
        if rng.random() < 0.15:
            continue
        sign[a:b, x : x + t] = ink
        row = a + int(rng.integers(3) * (b - a - t) / 2)
        sign[row : row + t, x : x + size - t] = ink
        if rng.random() < 0.6:
            sign[a:b, x + size - 2 * t : x + size - t] = ink
