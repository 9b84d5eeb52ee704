"""A figure of pictures as one image: rows and columns named, a grid with its captions in every cell."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from bench.data.picture_grid import PictureGrid
from bench.report.model import TableReport

GAP, APART = 2, 14  # pixels between two pictures, and between two cells
SMALL, LARGE = 11, 14  # of the letters: captions of a grid, and labels of the figure
LABEL = 150  # the width of the rows' labels and of their captions
LEAST = 64  # a picture is drawn at least so large, by whole factors
GREY, MISSING = (205, 205, 205), (240, 240, 240)


def drawn(report: TableReport) -> Image.Image:
    """The whole figure; cells without pictures are grey and say why, cells that the paper leaves out have a dash."""
    assert report.figure is not None
    side, cells = report.figure.drawn.side, report.figure.cells
    made: dict[tuple[str, str], Image.Image] = {
        key: drawn_grid(cell.grid, side) for key, cell in cells.items() if cell.grid is not None
    }
    plain = (max((image.width for image in made.values()), default=4 * LEAST), 2 * LEAST)
    # What stands in each place
    places = [
        [
            made.get((row.id, column.id)) or _empty(cells[row.id, column.id].why, plain)
            if (row.id, column.id) in cells
            else _text("-", LARGE, LABEL)
            for column in report.columns
        ]
        for row in report.rows
    ]
    # A line of labels above, a column of labels on the left
    widths = [max(column_of.width for column_of in line) for line in zip(*places, strict=True)]
    heads = [_text(column.label, LARGE, width) for column, width in zip(report.columns, widths, strict=True)]
    labels = [_text(row.label.strip(), LARGE, LABEL) for row in report.rows]
    title = _text(f"{report.name}: {report.title} (scale {report.scale})", LARGE, sum(widths) + LABEL)
    lines = [[title], [_blank(LABEL, 1), *heads]]
    lines += [[label, *line] for label, line in zip(labels, places, strict=True)]
    return _laid_out(lines, [LABEL, *widths])


def drawn_grid(grid: PictureGrid, side: int) -> Image.Image:
    """A grid with its captions: those of columns above, those of rows on the left."""
    columns, many = len(grid.columns), grid.images_NHWC
    images = [_sized(image, side) for image in many]
    width, height = images[0].size
    heads = [_text(text, SMALL, width) for text in grid.columns] if any(grid.columns) else []
    labels = [_text(text, SMALL, LABEL) for text in grid.rows] if any(grid.rows) else []
    left = max((label.width for label in labels), default=-GAP) + GAP
    top = max((head.height for head in heads), default=-GAP) + GAP
    row_height = max([height, *(label.height for label in labels)]) + GAP
    canvas = _blank(left + columns * (width + GAP) - GAP, top + len(grid.rows) * row_height - GAP)
    for place, head in enumerate(heads):
        canvas.paste(head, (left + place * (width + GAP), top - GAP - head.height))
    for place, label in enumerate(labels):
        canvas.paste(label, (0, top + place * row_height))
    for place, image in enumerate(images):
        canvas.paste(image, (left + place % columns * (width + GAP), top + place // columns * row_height))
    return canvas


def side_by_side(pieces: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Images beside each other, each with its label above."""
    widths = [image.width for _, image in pieces]
    return _laid_out(
        [[_text(label, LARGE, image.width) for label, image in pieces], [image for _, image in pieces]], widths
    )


def _laid_out(lines: Sequence[Sequence[Image.Image]], widths: Sequence[int]) -> Image.Image:
    """Lines of images below each other, in columns of these widths; the first line is as wide as it is."""
    heights = [max(image.height for image in line) for line in lines]
    canvas = _blank(sum(widths) + APART * (len(widths) + 1), sum(heights) + APART * (len(lines) + 1))
    top = APART
    for line, height in zip(lines, heights, strict=True):
        left = APART
        for image, width in zip(line, widths):
            canvas.paste(image, (left, top))
            left += width + APART
        top += height + APART
    return canvas


def _sized(image_HWC: np.ndarray, side: int) -> Image.Image:
    """A picture as it is drawn: small ones larger by a whole factor, large ones reduced to `side`."""
    longest = max(image_HWC.shape[:2])
    picture = Image.fromarray(image_HWC)
    if longest > side:
        size = tuple(max(1, round(edge * side / longest)) for edge in picture.size)
        return picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    factor = -(-min(LEAST, side) // longest)
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _empty(why: str, size: tuple[int, int]) -> Image.Image:
    """A grey cell with the reason in it."""
    text = _text(why, SMALL, size[0] - 2 * GAP, MISSING)
    cell = Image.new("RGB", (size[0], max(size[1], text.height)), GREY)
    cell.paste(text, (GAP, (cell.height - text.height) // 2))
    return cell


def _text(text: str, size: int, width: int, ground: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """Letters on a ground, broken into lines of at most `width` pixels; a longer word sticks out of none of them."""
    font = _font(size)
    lines = textwrap.wrap(text, max(3, int(width / font.getlength("n")))) or [""]
    high = round(1.3 * size)
    wide = max(1, min(width, max(round(font.getlength(line)) for line in lines)))
    image = Image.new("RGB", (wide, high * len(lines)), ground)
    for place, line in enumerate(lines):
        ImageDraw.Draw(image).text((0, place * high), line, fill="black", font=font)
    return image


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """The letters of the plots, which have every sign that labels use."""
    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def _blank(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (max(1, width), max(1, height)), "white")
