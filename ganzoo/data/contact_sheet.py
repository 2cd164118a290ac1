"""Draw images and points as pictures: rows with captions, blocks, and scatter plots."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 4
TEXT = 18
NOTICE = 256
"""The side length of a notice in pixels."""
LEGIBLE = 192
"""The side length in pixels up to which small images are enlarged, by a whole factor."""
BLOCK_SIDE = 640
"""The largest side length in pixels to which the images of a block are enlarged together."""

PLOT = 512
"""The side length of a scatter plot in pixels, without its labels."""
GREY = (165, 165, 165)
COLOURS = (
    *((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167)),
    *((230, 159, 0), (86, 180, 233), (120, 94, 240)),
)
"""Colours that colour-blind people can distinguish too. They are Okabe and Ito's colours, with a
violet instead of the yellow."""


def grid(table: Sequence[Mapping[str, np.ndarray]], caption: str) -> Image.Image:
    """Draw rows of images with captions as one picture.

    Args:
        table: for each row, its images (H x W x C uint8) by caption. All rows have the same
            captions.
        caption: the text below the rows.
    """
    table = [{name: _enlarged(image) for name, image in row.items()} for row in table]
    names = list(table[0])
    font = ImageFont.load_default(12)
    widths = [
        max(*(row[name].shape[1] for row in table), math.ceil(font.getlength(name)))
        for name in names
    ]
    heights = [max(image.shape[0] for image in row.values()) for row in table]
    needed = round(font.getlength(caption)) + 2 * GAP
    width = max(sum(widths) + GAP * (len(names) + 1), needed)
    height = sum(heights) + GAP * (len(table) + 1) + 2 * TEXT
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    left = GAP
    for column, name in enumerate(names):
        draw.text((left, 2), name, fill="black", font=font)
        top = TEXT
        for row, row_height in zip(table, heights, strict=True):
            sheet.paste(_as_picture(row[name]), (left, top))
            top += row_height + GAP
        left += widths[column] + GAP
    draw.text((GAP, height - TEXT), caption, fill="black", font=font)
    return sheet


def notice(text: str) -> np.ndarray:
    """Draw a grey square with a text, in place of an image that can't be shown.

    Args:
        text: the text. Lines are broken at spaces and slashes, and within words that are too long.

    Returns:
        The square, 256 x 256 x 3 uint8.
    """
    font = ImageFont.load_default(12)
    lines = [""]
    for word in re.findall(r"[^ /\\]*[ /\\]|[^ /\\]+", text):
        for part in [word] if font.getlength(word) < NOTICE - 4 * GAP else word:
            if font.getlength((lines[-1] + part).rstrip()) > NOTICE - 2 * GAP:
                lines.append("")
            lines[-1] += part
    square = Image.new("RGB", (NOTICE, NOTICE), (235, 235, 235))
    draw = ImageDraw.Draw(square)
    for number, line in enumerate(lines):
        draw.text((GAP, GAP + number * TEXT), line, fill=(160, 0, 0), font=font)
    return np.asarray(square)


def block(
    images: Sequence[np.ndarray], columns: int | None = None, side: int = BLOCK_SIDE
) -> np.ndarray:
    """Combine images of one size into one image, in rows on a white background.

    Args:
        images: the images, H x W x C uint8. Small ones are enlarged by a whole factor.
        columns: the number of images in a row; by default the block is about square.
        side: the largest length in pixels to which the longer side of the block is enlarged.

    Returns:
        The block, H' x W' x 3 uint8.
    """
    height, width = images[0].shape[:2]
    across = columns or min(len(images), math.ceil(math.sqrt(len(images) * height / width)))
    down = math.ceil(len(images) / across)
    fits = side // max(across * width, down * height)
    factor = max(1, min(LEGIBLE // min(height, width), fits))
    height, width = factor * height, factor * width
    gap = GAP // 2
    sheet = Image.new("RGB", (across * (width + gap) - gap, down * (height + gap) - gap), "white")
    for index, image in enumerate(images):
        row, column = divmod(index, across)
        large = _as_picture(image.repeat(factor, axis=0).repeat(factor, axis=1))
        sheet.paste(large, (column * (width + gap), row * (height + gap)))
    return np.asarray(sheet)


def scatter(
    points: Mapping[str, np.ndarray], caption: str, behind: Sequence[str] = ()
) -> Image.Image:
    """Draw clouds of points in one scatter plot, whose axes have the same scale.

    The limits of the plot are determined by the clouds in `behind`, if there are any, so that
    pictures of one run can be compared. The legend states how many points are outside.

    Args:
        points: each cloud by name, N x D. If D > 2, the first two coordinates are drawn, and the
            caption states that. If D = 1, the points are drawn along a line.
        caption: the text below the plot.
        behind: the names of clouds that are drawn first, in grey.
    """
    clouds = {name: _plane(cloud) for name, cloud in points.items()}
    size = next(iter(points.values())).shape[1]
    if size > 2:
        caption += f" · the first 2 of {size} numbers"
    fixed = [clouds[name] for name in behind if name in clouds]
    low, high = _limits(np.concatenate(fixed or list(clouds.values())))
    font = ImageFont.load_default(12)
    left, top = 52, TEXT + GAP
    width = max(left + PLOT + 3 * GAP, round(font.getlength(caption)) + 2 * GAP)
    sheet = Image.new("RGB", (width, top + PLOT + 2 * TEXT + 2 * GAP), "white")
    draw = ImageDraw.Draw(sheet)
    _axes(draw, font, (left, top), low, high)
    order = sorted(clouds, key=lambda name: name not in behind)
    colours = iter(COLOURS * len(clouds))
    at = float(left)
    for name in order:
        colour = GREY if name in behind else next(colours)
        inside = ((clouds[name] >= low) & (clouds[name] <= high)).all(1)
        place = (clouds[name][inside] - low) / (high - low)
        _dots(sheet, (left, top), place, colour)
        outside = int((~inside).sum())
        label = name + (f" ({outside} outside)" if outside else "")
        draw.ellipse((at, 7, at + 8, 15), fill=colour)
        draw.text((at + 12, 3), label, fill="black", font=font)
        at += 12 + font.getlength(label) + 4 * GAP
    draw.text((GAP, sheet.height - TEXT), caption, fill="black", font=font)
    return sheet


def _plane(points: np.ndarray) -> np.ndarray:
    if points.shape[1] == 1:
        points = np.concatenate((points, np.zeros_like(points)), 1)
    return points[:, :2].astype(np.float64)


def _limits(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of a square around nearly all points.

    Its side is the larger range between the 0.5th and 99.5th percentile of a coordinate, plus 20 %.
    """
    low, high = np.percentile(points, [0.5, 99.5], axis=0)
    half = 0.6 * float((high - low).max()) or 1.0
    middle = (low + high) / 2
    return middle - half, middle + half


def _axes(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    corner: tuple[int, int],
    low: np.ndarray,
    high: np.ndarray,
) -> None:
    left, top = corner
    bottom = top + PLOT
    scale = PLOT / float(high[0] - low[0])
    step = _tick(float(high[0] - low[0]))
    for axis in (0, 1):
        first = math.ceil(float(low[axis]) / step)
        for number in range(first, math.floor(float(high[axis]) / step) + 1):
            label = f"{number * step:.10g}"
            offset = (number * step - float(low[axis])) * scale
            length = font.getlength(label)
            if axis == 0:
                x = left + offset
                draw.line((x, top, x, bottom + 4), fill=(235, 235, 235))
                draw.text((x - length / 2, bottom + 4), label, fill="black", font=font)
            else:
                y = bottom - offset
                draw.line((left - 4, y, left + PLOT, y), fill=(235, 235, 235))
                draw.text((left - 8 - length, y - 8), label, fill="black", font=font)
    draw.rectangle((left, top, left + PLOT, bottom), outline=(120, 120, 120))


def _tick(span: float) -> float:
    """Return the distance of ticks: 1, 2 or 5 times a power of ten, 4 to 10 times in the span."""
    power = 10.0 ** math.floor(math.log10(span / 4))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= span / 4)


def _dots(
    sheet: Image.Image, corner: tuple[int, int], place: np.ndarray, colour: tuple[int, int, int]
) -> None:
    """Draw dots at places in [0, 1] x [0, 1], with y pointing upwards.

    They are drawn three times as large and then reduced, so that their edges are smooth.
    """
    fine = 3
    side = PLOT * fine
    mask = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(mask)
    radius = 1.7 * fine
    for x, y in place * [1, -1] * side + [0, side]:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=220)
    mask = mask.resize((PLOT, PLOT), Image.Resampling.BOX)
    sheet.paste(Image.new("RGB", mask.size, colour), corner, mask)


def _enlarged(image: np.ndarray) -> np.ndarray:
    """Enlarge a small image by a whole factor, so that details are visible."""
    factor = max(1, LEGIBLE // max(image.shape[:2]))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def _as_picture(image: np.ndarray) -> Image.Image:
    """Convert an image with any number of channels to RGB.

    Of an image with two channels or more than four, only the first channel is shown, as gray.
    """
    channels = image.shape[2]
    if channels == 4:
        return Image.fromarray(image, "RGBA").convert("RGB")
    if channels == 3:
        return Image.fromarray(image)
    return Image.fromarray(np.ascontiguousarray(image[:, :, 0])).convert("RGB")
