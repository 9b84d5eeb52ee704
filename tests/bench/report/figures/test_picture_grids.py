"""A figure of pictures as one image: every picture in its place, captions, grey cells for what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.data.picture_grid import PictureGrid
from bench.report.figures.picture_grids import GREY, LEAST, drawn, drawn_grid
from bench.report.html.page import Extras
from bench.report.model import ColumnHead, RowHead, TableReport
from bench.report.picture_figure import PictureCell, PictureFigure
from bench.report.picture_words import alternative_text, index, told
from bench.report.pictures import pictures as shown_pictures
from bench.report.render import html, latex, markdown, text
from bench.spec.show import Pictures

RED, BLUE = (255, 0, 0), (0, 0, 255)


def plain(colours, columns, side=8, rows=None):
    images = np.stack([np.full((side, side, 3), colour, np.uint8) for colour in colours])
    return PictureGrid(images, rows or ("",) * (len(colours) // columns), ("",) * columns, "colours")


def cell(grid=None, status="done", name="a"):
    return PictureCell(f"samples_{name}", f"run_{name}", 2, status, 7 if grid else None, Path(f"/s/{name}.png"), grid)


def report(cells, file=""):
    heads = tuple(ColumnHead(name, name.title(), "shapes", "shapes", None, 0, 0) for name in ("one", "two"))
    rows = (RowHead("up", "  Up & over"), RowHead("down", "Down"))
    figure = PictureFigure(2, Pictures(side=64), cells, file)
    return TableReport("x/fig1", "What is made", "x", "mini", rows, heads, (), (), ("A caption.",), (), pd.DataFrame(),
                       figure=figure)  # fmt: skip


@pytest.fixture
def half():
    """A figure whose first row has a grid and a failed cell, and whose second has a cell that is not there."""
    return report({("up", "one"): cell(plain([RED, BLUE], 2)), ("up", "two"): cell(status="failed", name="b"),
                   ("down", "one"): cell(status="planned", name="c")})  # fmt: skip


def colours_of(image):
    return {tuple(colour) for colour in np.asarray(image).reshape(-1, 3)}


def test_pictures_keep_their_order_and_their_pixels():
    made = np.asarray(drawn_grid(plain([RED, BLUE, BLUE, RED], 2), 64))
    assert made.shape == (2 * LEAST + 2, 2 * LEAST + 2, 3), "eight pixels are drawn eight times as large"
    assert [tuple(made[y, x]) for y in (5, 100) for x in (5, 100)] == [RED, BLUE, BLUE, RED]
    large = drawn_grid(plain([RED], 1, side=256), 64)
    assert large.size == (64, 64) and colours_of(large) == {RED}


def test_captions_take_room_and_cover_no_picture():
    named = drawn_grid(plain([RED, BLUE], 1, rows=("a caption of many words", "α → β ± 1")), 64)
    made = np.asarray(named)
    right = made[:, -LEAST:]
    assert named.width > LEAST + 40 and (right == RED).all(-1).sum() == LEAST**2 == (right == BLUE).all(-1).sum()
    assert (made[:, : -LEAST - 2] < 128).all(-1).any(), "letters"


def test_missing_cells_are_grey_and_absent_ones_are_not(half):
    pixels = np.asarray(drawn(half))
    assert {RED, BLUE} <= colours_of(pixels) and 25_000 < (pixels == GREY).all(-1).sum() < 34_000, "two of 130 x 128"
    assert np.array_equal(pixels, np.asarray(drawn(half))), "equal records, equal figures"
    whole = np.asarray(drawn(report({key: cell(plain([RED, BLUE], 2)) for key in half.figure.cells})))
    assert (whole == GREY).all(-1).sum() < 100, "the edges of letters alone"
    assert (whole == RED).all(-1).sum() == 3 * LEAST**2


def test_a_figure_in_words(half):
    first, there, missing = told(half)
    assert first == (
        "Pictures of seed 2: 1 of 3 cells; `bench report x/fig1 --scale mini --output DIR` draws the whole figure."
    )
    assert there == "up · one: 1 row of 2; run run_a, seed 2, step 7; /s/a.png"
    assert missing == "No pictures (grey in the figure): up · two (failed), down · one (not run)."
    assert alternative_text(half) == (
        "What is made. Rows: Up & over, Down. Columns: One, Two. In each cell: colours. 2 cells are grey: they have no "
        "pictures."
    )
    listed = index(half)
    assert [entry.get("missing") for entry in listed["cells"]] == [None, "failed", "not run"]
    assert listed["cells"][0]["alternative_text"] == "Up & over, One: colours (1 row of 2)"


def test_every_renderer_shows_it(half):
    shown = report(half.figure.cells, "fig.pictures.png")
    assert told(shown)[0] == "Pictures of seed 2: 1 of 3 cells; the whole figure is fig.pictures.png."
    page = html.render(shown, Extras(shown_pictures(shown)))
    assert 'alt="What is made. Rows: Up &amp; over, Down.' in page and page.count("data:image/png;base64,") == 1
    assert "](fig.pictures.png)" in markdown.render(shown) and "![What is made" in markdown.render(shown)
    assert r"\includegraphics[width=\linewidth]{fig.pictures.png}" in latex.render(shown)
    assert "](" not in markdown.render(half) and "includegraphics" not in latex.render(half), "not written yet"
    assert "What is made" in text.render(shown)
