"""Draw what `growth` measured: an SVG that is read on a light and on a dark page.

python -m tests.benchmarks.growth_plot PICTURE.svg FIGURES.json...

The figures may lie in several files, one a sweep.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, MARGIN = 380, 280, 62
COLOURS = {"side": "#1f6fb2", "batch": "#b8531a", "width": "#2a7f4f", "drift": "#6a4fa3"}
WORDS = {
    "side": "side 128 to 512",
    "batch": "batch 1 to 8",
    "width": "width 16 to 128",
}

Line = tuple[str, str, Sequence[float], Sequence[float]]
"""Name, colour, and where its points are."""


class Axis:
    """Where values lie between two pixels, and the numbers beside them."""

    def __init__(self, values: Sequence[float], start: float, end: float, *, log: bool) -> None:
        self.log = log
        low, high = min(values), max(values)
        if log:
            low, high = low / 1.3, high * 1.3
        else:
            low, high = 0.0, high * 1.15 or 1.0
        self.low, self.high, self.start, self.end = low, high, start, end

    def at(self, value: float) -> float:
        """The pixel of a value."""
        turn: Callable[[float], float] = math.log10 if self.log else float
        share = (turn(value) - turn(self.low)) / (turn(self.high) - turn(self.low))
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Values that are worth a number."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            every = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
            found = [value for value in every if self.low <= value <= self.high]
            return found if len(found) <= 7 else [v for v in found if f"{v:e}"[0] == "1"]
        step = 10.0 ** math.floor(math.log10(self.high))
        step = next(s for s in (step / 5, step / 2, step, 2 * step) if self.high / s <= 6)
        return [step * number for number in range(int(self.high / step) + 1)]


def panel(
    left: float, top: float, title: str, names: tuple[str, str], lines: list[Line], *, log: bool
) -> list[str]:
    """One diagram as elements of SVG.

    Args:
        left, top: its corner in pixels.
        title: above it.
        names: of its axes, below and above the left one.
        lines: what is drawn.
        log: both axes are logarithmic, and a dashed line has the slope 1.
    """
    xs = [value for _, _, across, _ in lines for value in across]
    ys = [value for _, _, _, up in lines for value in up]
    right, bottom = left + WIDTH - 18, top + HEIGHT - 48
    x = Axis(xs, left + MARGIN, right, log=log)
    y = Axis(ys, bottom, top + 52, log=log)
    parts = [
        f'<text x="{left + MARGIN}" y="{top + 20}" class="title">{title}</text>',
        f'<text x="{left + MARGIN}" y="{top + 40}">{names[1]}</text>',
        f'<text x="{right}" y="{bottom + 36}" text-anchor="end">{names[0]}</text>',
    ]
    for value in x.ticks():
        at = x.at(value)
        parts.append(f'<path d="M{at:.1f} {bottom}V{top + 52}" class="grid"/>')
        parts.append(
            f'<text x="{at:.1f}" y="{bottom + 17}" text-anchor="middle">{value:,.6g}</text>'
        )
    for value in y.ticks():
        at = y.at(value)
        parts.append(f'<path d="M{left + MARGIN} {at:.1f}H{right}" class="grid"/>')
        parts.append(
            f'<text x="{left + MARGIN - 6}" y="{at + 4:.1f}" text-anchor="end">{value:,.6g}</text>'
        )
    if log:
        # Through the middle of all points.
        middle = sum(math.log10(v / u) for u, v in zip(xs, ys, strict=True)) / len(xs)
        ends = [max(x.low, y.low / 10**middle), min(x.high, y.high / 10**middle)]
        places = [(x.at(end), y.at(end * 10**middle)) for end in ends]
        path = "L".join(f"{across:.1f} {up:.1f}" for across, up in places)
        parts.append(f'<path d="M{path}" class="slope"/>')
    for row, (name, colour, across, up) in enumerate(lines):
        places = [(x.at(u), y.at(v)) for u, v in zip(across, up, strict=True)]
        corners = " ".join(f"{u:.1f},{v:.1f}" for u, v in places)
        parts.append(f'<polyline points="{corners}" stroke="{colour}" class="line"/>')
        parts += [f'<circle cx="{u:.1f}" cy="{v:.1f}" r="3" fill="{colour}"/>' for u, v in places]
        if len(lines) > 1:
            height = top + 68 + 17 * row
            parts.append(
                f'<text x="{left + MARGIN + 10}" y="{height}" style="fill:{colour}">{name}</text>'
            )
    return parts


def merged(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sweeps and drift of several files as one."""
    found: dict[str, Any] = {"sweeps": {}}
    for document in documents:
        found["sweeps"] |= document["sweeps"]
        if "drift" in document:
            found["drift"] = document["drift"]
    return found


def draw(document: Mapping[str, Any]) -> str:
    """The picture as text."""
    parts: list[str] = []

    def lines(across: Callable[[Any], float], up: Callable[[Any], float]) -> list[Line]:
        return [
            (
                WORDS[name],
                COLOURS[name],
                [across(point) for point in found["points"]],
                [up(point) for point in found["points"]],
            )
            for name, found in document["sweeps"].items()
        ]

    rows = 0
    if document["sweeps"]:
        seconds = lines(lambda p: p["flops"] / 1e9, lambda p: p["seconds"]["median"] * 1000)
        memory = lines(lambda p: p["bytes"] / 1e6, lambda p: p["megabytes"])
        held = "MB of weights, gradients, moments, activations"
        parts += panel(0, 0, "Time of a step", ("GFLOP of a step", "ms"), seconds, log=True)
        parts += panel(
            WIDTH, 0, "Memory", (held, "MB resident beyond the imports"), memory, log=True
        )
        rows += 1
    if "drift" in document:
        drift, colour, top = document["drift"], COLOURS["drift"], rows * HEIGHT
        of = f"over {drift['steps'][-1]:,} steps"
        time = [("", colour, drift["steps"], drift["milliseconds"])]
        memory = [("", colour, drift["steps"], drift["megabytes"])]
        parts += panel(0, top, f"Time {of}", ("step", "ms a step"), time, log=False)
        parts += panel(WIDTH, top, f"Memory {of}", ("step", "MB resident"), memory, log=False)
        rows += 1
    wide, high = 2 * WIDTH, rows * HEIGHT
    style = (
        "text{font:12px sans-serif;fill:#333}.title{font-weight:bold;font-size:13px}"
        ".grid{stroke:#ddd}.slope{stroke:#999;stroke-dasharray:5 4;fill:none}"
        ".line{fill:none;stroke-width:1.8}"
    )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" '
        f'width="{wide}" height="{high}"><style>{style}</style>'
        f'<rect width="{wide}" height="{high}" rx="8" fill="#fff"/>'
    )
    return "\n".join([head, *parts, "</svg>", ""])


def main() -> None:
    """Read the figures and write the picture."""
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    picture, *files = map(Path, sys.argv[1:])
    documents = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    picture.write_text(draw(merged(documents)), encoding="utf-8")


if __name__ == "__main__":
    main()
