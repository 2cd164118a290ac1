"""Windows and doors of a procedural facade."""

from __future__ import annotations

import numpy as np

from ganzoo_facades.canvas import Canvas, spread
from ganzoo_facades.layout import Box
from ganzoo_facades.style import Style


class Openings:
    """Paint windows and doors; windows of equal size and variant share one tile."""

    def __init__(self, canvas: Canvas, style: Style) -> None:
        self._canvas = canvas
        self._style = style
        self._tiles: dict[tuple[int, int, int], np.ndarray] = {}
        rng = canvas.rng
        self._curtain = np.float32(rng.uniform(0.3, 0.75)) * np.array([1, 0.97, 0.9], np.float32)
        self._dressing = rng.choice(4, size=4, p=[0.35, 0.25, 0.2, 0.2])
        self._mirror = rng.uniform(0.1, 0.8, size=4).astype(np.float32)
        if style.dressing is not None:
            self._dressing[:] = style.dressing
        if style.mirror is not None:
            self._mirror[:] = style.mirror

    def window(self, box: Box, variant: int) -> None:
        """Paint a window of one of four variants (curtains, reflection) into a box."""
        view = self._canvas.view(box)
        height, width = view.shape[:2]
        key = (height, width, variant)
        if key not in self._tiles:
            self._tiles[key] = self._window(height, width, variant)
        if self._style.arched:
            np.copyto(view, self._tiles[key], where=_arch(height, width)[:, :, None])
        else:
            view[:] = self._tiles[key]
        self._recess(box, 2.2)

    def _recess(self, box: Box, depth: float) -> None:
        """Paint the reveal's shadow, at the top and at the side from which the light comes."""
        canvas = self._canvas
        x0, y0, x1, y1 = box
        canvas.shade((x0, y0, x1, y0 + canvas.pixels(depth * canvas.light.dy)), 0.1)
        reach = round(abs(canvas.light.dx) * depth * canvas.unit)
        if reach:
            edge = (x0, y0, x0 + reach, y1) if canvas.light.dx > 0 else (x1 - reach, y0, x1, y1)
            canvas.shade(edge, 0.1)

    def _glass(self, height: int, width: int, mirror: np.float32) -> np.ndarray:
        """Return panes that reflect the sky at the top and show the dark room at the bottom."""
        style = self._style
        y = np.linspace(1, 0, height, dtype=np.float32)[:, None]
        x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :]
        share: np.ndarray = np.clip(mirror * (0.2 + y + 0.5 * x), 0, 0.85)
        share[(y + 0.7 * x > 0.55) & (y + 0.7 * x < 0.75)] *= np.float32(1.5)
        glass: np.ndarray = spread(1 - share, style.glass)
        glass += spread(share, style.reflection)
        return glass

    def _window(self, height: int, width: int, variant: int) -> np.ndarray:
        canvas, style = self._canvas, self._style
        tile = self._glass(height, width, self._mirror[variant])
        self._dress(tile, int(self._dressing[variant]))
        t = canvas.pixels(1.6 if width > 14 * canvas.unit else 1)
        thin = canvas.pixels(1)
        middle = width // 2
        if style.panes in {"cross", "tee", "two", "grid"} and width >= 5 * t:
            tile[:, middle - t // 2 : middle - t // 2 + t] = style.frame
        if style.panes in {"cross", "tee", "sash"} and height >= 5 * t:
            row = height // 2 if style.panes == "sash" else int(0.3 * height)
            tile[row : row + t] = style.frame
            tile[row + t : row + t + thin] *= 0.55
        if style.panes == "tee":
            tile[: int(0.3 * height), middle - t // 2 : middle - t // 2 + t] = self._glass(
                1, 1, self._mirror[variant]
            )[0, 0]
        if style.panes == "grid":
            for part in (1, 2, 3):
                row = part * height // 4
                tile[row : row + thin] = style.frame
        tile[:t] = style.frame * np.float32(0.8)
        tile[-t:] = style.frame
        tile[:, :t] = style.frame * np.float32(0.9)
        tile[:, -t:] = style.frame
        return tile

    def _dress(self, tile: np.ndarray, dressing: int) -> None:
        """Paint curtains: 0 none, 1 at both sides, 2 with folds over it all, 3 the lower half."""
        height, width = tile.shape[:2]
        x = np.arange(width, dtype=np.float32)
        folds = (0.93 + 0.07 * np.sin(x * 2 * np.pi / max(3, width / 4)))[None, :, None]
        cloth = (folds * self._curtain).astype(np.float32)
        if dressing == 1:
            reach = max(1, int(0.27 * width))
            tile[:, :reach] = 0.3 * tile[:, :reach] + 0.7 * cloth[:, :reach]
            tile[:, -reach:] = 0.3 * tile[:, -reach:] + 0.7 * cloth[:, -reach:]
        elif dressing == 2:
            tile[:] = 0.45 * tile + 0.55 * cloth
        elif dressing == 3:
            half = tile[height // 2 :]
            half[:] = 0.4 * half + 0.6 * cloth

    def door(self, box: Box, variant: int) -> None:
        """Paint a door with a window above it; its leaves are panelled, glazed or slatted."""
        canvas, style = self._canvas, self._style
        view = canvas.view(box)
        height, width = view.shape[:2]
        t = canvas.pixels(1.2)
        view[:] = style.door
        top = int(0.22 * height)
        light = (slice(t, max(top - t, t + 1)), slice(t, max(width - t, t + 1)))
        view[light] = self._glass(view[light].shape[0], view[light].shape[1], self._mirror[0])
        view[top : top + t] *= 0.5
        middle = width // 2
        leaves = [(t * 2, middle - t), (middle + t, width - t * 2)]
        for a, b in leaves:
            for share0, share1 in ((0.28, 0.6), (0.66, 0.94)):
                panel = view[int(share0 * height) : int(share1 * height), a:b]
                if min(panel.shape[:2], default=0) < 2:
                    continue
                if variant == 1 and share0 < 0.5:
                    panel[:] = self._glass(panel.shape[0], panel.shape[1], self._mirror[1])
                elif variant == 2:
                    panel[:: max(2, 2 * t)] *= 0.6
                else:
                    panel *= 1.25
                    panel[:t] *= 0.5
                    panel[:, :t] *= 0.6
        view[:, middle : middle + max(1, t // 2)] *= 0.35
        view[:, :t] = style.trim * np.float32(0.8)
        view[:, -t:] = style.trim * np.float32(0.8)
        self._recess(box, 4.5)


def _arch(height: int, width: int) -> np.ndarray:
    """Return the mask of an opening with a round head."""
    radius = width / 2
    x = np.arange(width, dtype=np.float32)[None, :] + np.float32(0.5 - radius)
    y = np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5 - radius)
    return (y > 0) | (x * x + y * y <= radius * radius)
